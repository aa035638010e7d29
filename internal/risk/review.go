package risk

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/platform/id"
	"florin/internal/risk/internal/riskdb"
)

// ReviewStatus is where a review is.
type ReviewStatus string

// The statuses.
const (
	ReviewPending  ReviewStatus = "PENDING"
	ReviewApproved ReviewStatus = "APPROVED" // the payment may happen
	ReviewRejected ReviewStatus = "REJECTED" // it does not happen
)

// ReviewState is what became of a decision that wants a review.
type ReviewState struct {
	Status ReviewStatus
	By     string // id of the user or key that ended it
	ByKind string // "user", "key", or "system" where nobody could be asked
	Reason string
	At     time.Time
}

// MaxReasonLength bounds the reason of a review, in characters.
const MaxReasonLength = 500

// ReviewFilter selects reviews; empty fields select all, but for Status.
type ReviewFilter struct {
	Status    ReviewStatus // "" is ReviewPending: the queue
	UserID    string
	AccountID string
}

// Reviews lists decisions to review, who waits longest first, at most limit of
// them, beginning after the position after. Returns InvalidInput.
func (r *Rules) Reviews(ctx context.Context, f ReviewFilter, after Position, limit int) ([]Decision, error) {
	switch f.Status {
	case "":
		f.Status = ReviewPending
	case ReviewPending, ReviewApproved, ReviewRejected:
	default:
		return nil, invalid("status", "must be PENDING, APPROVED or REJECTED")
	}
	for field, value := range map[string]string{"userId": f.UserID, "accountId": f.AccountID} {
		if value != "" && !id.IsPossible(value) {
			return nil, invalid(field, "must have up to 50 characters of A-Z a-z 0-9 _ - . :")
		}
	}
	rows, err := r.queries.ListReviews(ctx, riskdb.ListReviewsParams{
		ReviewStatus: string(f.Status), AfterDecidedAt: after.DecidedAt, AfterDecisionID: after.ID,
		UserID: orNil(f.UserID), AccountID: orNil(f.AccountID), MaxRows: pageSize(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	return decisionsFromRows(rows)
}

// Resolve ends the review of a decision, for whoever acts under ctx (audit.With).
// It says what may be done and does not do it: the caller carries the payment out,
// or gives up what was reserved for it, and calls again when it could not.
//
// A second call to the same effect returns what the first recorded, whoever makes
// it. Returns DecisionNotFound, NotUnderReview, AlreadyReviewed when it ended the
// other way, OwnReview when the reviewer, or the person behind his key, pays or is
// paid, NotAPerson when nobody is known behind it, and InvalidInput.
func (r *Rules) Resolve(ctx context.Context, decisionID string, approve bool, reason string) (Decision, error) {
	if utf8.RuneCountInString(reason) > MaxReasonLength || !isPlainText(reason) {
		return Decision{}, invalid("reason", "must have up to %d characters, none of them control characters", MaxReasonLength)
	}
	if !id.IsPossible(decisionID) {
		return Decision{}, decisionNotFound(decisionID)
	}
	reviewer, person, err := r.reviewer(ctx)
	if err != nil {
		return Decision{}, err
	}
	state := ReviewState{Status: ReviewRejected, By: reviewer.ActorID, ByKind: reviewer.ActorKind, Reason: reason}
	if approve {
		state.Status = ReviewApproved
	}
	var d Decision
	err = r.db.InTx(ctx, "risk.review", func(ctx context.Context, tx pgx.Tx) error {
		queries := riskdb.New(tx)
		row, err := queries.LockDecision(ctx, decisionID)
		if d, err = readDecision(row, err, decisionID); err != nil {
			return err
		}
		if person == d.UserID || person == d.PayeeID {
			return OwnReview.Failure("nobody reviews a payment that he makes or receives")
		}
		switch d.Review.Status {
		case ReviewPending:
		case state.Status:
			return nil
		case "":
			return NotUnderReview.Failure("decision %s is %s: there is nothing to review", d.ID, d.Outcome)
		default:
			return AlreadyReviewed.Failure("decision %s was reviewed before, and is %s", d.ID, d.Review.Status)
		}
		state.At = r.clock()
		d.Review = state
		if err := queries.SetReview(ctx, riskdb.SetReviewParams{
			DecisionID: d.ID, ReviewStatus: string(state.Status), ReviewedBy: state.By, ReviewedKind: state.ByKind,
			ReviewReason: state.Reason, ReviewedAt: &state.At,
		}); err != nil {
			return err
		}
		return r.log.AppendTx(ctx, tx, reviewEvent(d))
	})
	if err != nil {
		return Decision{}, fmt.Errorf("review decision: %w", err)
	}
	return d, nil
}

// reviewer is who acts under ctx, and the id of the person that this is.
func (r *Rules) reviewer(ctx context.Context) (origin audit.Origin, person string, err error) {
	origin, found := audit.From(ctx)
	switch {
	case found && origin.ActorKind == "user" && origin.ActorID != "":
		return origin, origin.ActorID, nil
	case found && origin.ActorKind == "key" && origin.ActorID != "":
		if r.personBehind != nil {
			if person, err = r.personBehind(ctx, origin.ActorID); err != nil {
				return origin, "", fmt.Errorf("find the person behind a key: %w", err)
			}
		}
		if person == "" {
			// It could be anybody's, so the payer's too.
			return origin, "", NotAPerson.Failure("nobody is known behind the key %s: sign in, or use a key that a user made", origin.ActorID)
		}
		return origin, person, nil
	}
	return origin, "", errors.New("a review needs a user or a key who makes it (audit.With)")
}

func reviewEvent(d Decision) audit.Event {
	event := audit.Event{
		Action: "risk_review.rejected", TargetKind: "risk_decision", TargetID: d.ID, Result: audit.OK,
		Before: object(map[string]string{"status": string(ReviewPending)}),
		After:  object(map[string]string{"status": string(d.Review.Status), "transferId": d.TransferID, "ruleId": d.RuleID}),
	}
	if d.Review.Status == ReviewApproved {
		event.Action = "risk_review.approved"
	}
	return event
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
