package approval

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/approval/internal/approvaldb"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Request records what somebody wants done, PENDING until a second person
// approves. The same request (operation, target and payload) that is pending
// already is answered with that one, whoever asks again. A key behind which no
// person is known can't ask: its holder could agree as anybody. Returns
// ErrNotAPerson and InvalidInput.
func (a *Approvals) Request(ctx context.Context, r Request) (Approval, error) {
	payload, err := r.validate()
	if err != nil {
		return Approval{}, err
	}
	if r.By.person() == "" {
		return Approval{}, NotAPerson.Failure("this needs two persons, and nobody is known behind the key %s: sign in, or use a key that a user made", r.By.ID)
	}
	r.Payload = payload
	approvalID, hash := id.New("apr"), r.hash()
	var requested Approval
	err = a.db.InTx(ctx, "approval.request", func(ctx context.Context, tx pgx.Tx) error {
		queries, now := approvaldb.New(tx), a.clock()
		if err := queries.ExpireApproval(ctx, approvaldb.ExpireApprovalParams{RequestHash: hash, Now: now}); err != nil {
			return err
		}
		inserted, err := queries.InsertApproval(ctx, approvaldb.InsertApprovalParams{
			ApprovalID: approvalID, Operation: string(r.Operation), TargetID: r.TargetID, Payload: string(payload), RequestHash: hash,
			RequestedKind: string(r.By.Kind), RequestedBy: r.By.ID, RequestedPerson: r.By.person(),
			RequestedAt: now, ExpiresAt: now.Add(a.timeToLive),
		})
		if err != nil {
			return err
		}
		row, err := queries.PendingApproval(ctx, hash)
		if database.NotFound(err) {
			return database.Retry(err) // decided by somebody between the two statements
		}
		if err != nil {
			return err
		}
		requested = fromRow(row, now)
		if inserted == 0 {
			return nil
		}
		return a.log.AppendTx(ctx, tx, requested.event("approval.requested", nil))
	})
	if err != nil {
		return Approval{}, fmt.Errorf("request approval: %w", err)
	}
	return requested, nil
}

// Approve agrees to a request, as a person who is neither who asked nor the user
// that it is done to. The caller then executes it.
//
// What is approved already is answered as it is, so that whoever may approve can
// have an execution that failed go on; ExecutedAt says whether there is anything
// left to do. Returns ErrNotFound, ErrSamePerson, ErrNotAPerson, ErrNotPending
// when it was rejected, ErrExpired, also when it was approved and not executed
// in time, and InvalidInput.
func (a *Approvals) Approve(ctx context.Context, approvalID string, by Party) (Approval, error) {
	if err := by.validate(); err != nil {
		return Approval{}, err
	}
	return a.change(ctx, approvalID, "approval.approved", func(approval *Approval, now time.Time) error {
		switch {
		case by.Kind != User:
			return NotAPerson.Failure("a key can't approve: a person has to")
		case by.ID == approval.By.ID, by.ID == approval.By.PersonID:
			return SamePerson.Failure("approval %s was requested by the same person: a second one has to approve", approval.ID)
		case by.ID == approval.TargetID:
			return SamePerson.Failure("approval %s is about the person who would approve: another one has to", approval.ID)
		case !approval.ExecutedAt.IsZero():
			return nil
		case !now.Before(approval.ExpiresAt):
			return expired(approval.ID)
		case approval.Status == Approved:
			return nil
		case approval.Status != Pending:
			return NotPending.Failure("approval %s is %s", approval.ID, approval.Status)
		}
		approval.Status, approval.DecidedBy, approval.DecidedAt = Approved, by.ID, now
		return nil
	})
}

// Reject refuses a request, or takes it back when whoever asked does. Rejecting
// again changes nothing. Returns ErrNotFound, ErrNotPending when it was approved,
// ErrExpired and InvalidInput.
func (a *Approvals) Reject(ctx context.Context, approvalID string, by Party, reason string) (Approval, error) {
	if err := by.validate(); err != nil {
		return Approval{}, err
	}
	if err := validateText("reason", reason, MaxReasonLength); err != nil {
		return Approval{}, err
	}
	return a.change(ctx, approvalID, "approval.rejected", func(approval *Approval, now time.Time) error {
		switch approval.Status {
		case Rejected:
			return nil
		case Lapsed:
			return expired(approval.ID)
		case Approved:
			return NotPending.Failure("approval %s is APPROVED", approval.ID)
		}
		approval.Status, approval.DecidedBy, approval.DecidedAt, approval.Reason = Rejected, by.ID, now, reason
		return nil
	})
}

// MarkExecuted records that what was approved is done, and its result in the
// caller's words. A second call changes nothing. Returns ErrNotFound,
// ErrNotApproved and InvalidInput.
func (a *Approvals) MarkExecuted(ctx context.Context, approvalID, result string) (Approval, error) {
	if err := validateText("result", result, MaxResultLength); err != nil {
		return Approval{}, err
	}
	return a.change(ctx, approvalID, "approval.executed", func(approval *Approval, now time.Time) error {
		switch {
		case approval.Status != Approved:
			return NotApproved.Failure("approval %s is %s", approval.ID, approval.Status)
		case approval.ExecutedAt.IsZero():
			approval.ExecutedAt, approval.Result = now, result
		}
		return nil
	})
}

// change reads an approval under its row's lock and writes what decide makes of
// it, if anything.
func (a *Approvals) change(ctx context.Context, approvalID, action string, decide func(*Approval, time.Time) error) (Approval, error) {
	if !idPattern.MatchString(approvalID) {
		return Approval{}, notFound(approvalID)
	}
	var changed Approval
	err := a.db.InTx(ctx, action, func(ctx context.Context, tx pgx.Tx) error {
		queries, now := approvaldb.New(tx), a.clock()
		row, err := queries.LockApproval(ctx, approvalID)
		if database.NotFound(err) {
			return notFound(approvalID)
		}
		if err != nil {
			return err
		}
		changed = fromRow(row, now)
		before := changed
		if err := decide(&changed, now); err != nil {
			return err
		}
		switch {
		case changed.Status != before.Status:
			err = queries.DecideApproval(ctx, approvaldb.DecideApprovalParams{
				ApprovalID: approvalID, Status: string(changed.Status), DecidedBy: changed.DecidedBy, DecidedAt: &changed.DecidedAt,
				Reason: changed.Reason,
			})
		case changed.ExecutedAt != before.ExecutedAt:
			err = queries.ExecuteApproval(ctx, approvaldb.ExecuteApprovalParams{
				ApprovalID: approvalID, ExecutedAt: &changed.ExecutedAt, Result: changed.Result,
			})
		default:
			return nil
		}
		if err != nil {
			return err
		}
		return a.log.AppendTx(ctx, tx, changed.event(action, &before))
	})
	if err != nil {
		return Approval{}, fmt.Errorf("%s: %w", action, err)
	}
	return changed, nil
}

func expired(approvalID string) error {
	return Expired.Failure("approval %s has expired: ask again", approvalID)
}
