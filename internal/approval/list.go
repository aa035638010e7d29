package approval

import (
	"context"
	"fmt"
	"slices"
	"time"

	"florin/internal/approval/internal/approvaldb"
	"florin/internal/platform/database"
)

// Filter selects approvals; empty fields select all.
type Filter struct {
	Status      Status
	Operation   Operation
	TargetID    string
	RequestedBy string // id of a user or a key
}

// Position is a place in the list of approvals: that of the last one of a page.
// Zero is the beginning.
type Position struct {
	RequestedAt time.Time
	ID          string
}

// Position is where the approval stands in the list.
func (a *Approval) Position() Position { return Position{RequestedAt: a.RequestedAt, ID: a.ID} }

// farFuture is after all approvals.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Get returns one approval. Returns ErrNotFound.
func (a *Approvals) Get(ctx context.Context, approvalID string) (Approval, error) {
	if !idPattern.MatchString(approvalID) {
		return Approval{}, notFound(approvalID)
	}
	row, err := a.queries.GetApproval(ctx, approvalID)
	if database.NotFound(err) {
		return Approval{}, notFound(approvalID)
	}
	if err != nil {
		return Approval{}, fmt.Errorf("read approval: %w", err)
	}
	return fromRow(row, a.clock()), nil
}

// List lists approvals, the newest first, at most limit of them, from before the
// position before. Returns InvalidInput.
func (a *Approvals) List(ctx context.Context, f Filter, before Position, limit int) ([]Approval, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	if before == (Position{}) {
		before.RequestedAt = farFuture
	}
	now := a.clock()
	rows, err := a.queries.ListApprovals(ctx, approvaldb.ListApprovalsParams{
		Status: orNil(string(f.Status)), Operation: orNil(string(f.Operation)), TargetID: orNil(f.TargetID), RequestedBy: orNil(f.RequestedBy),
		BeforeRequestedAt: before.RequestedAt, BeforeApprovalID: before.ID, Now: now, MaxRows: int32(max(1, min(limit, MaxPage))),
	})
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	approvals := make([]Approval, len(rows))
	for i, row := range rows {
		approvals[i] = fromRow(row, now)
	}
	return approvals, nil
}

func (f Filter) validate() error {
	if f.Status != "" && !slices.Contains([]Status{Pending, Approved, Rejected, Lapsed}, f.Status) {
		return invalid("status", "must be PENDING, APPROVED, REJECTED or EXPIRED")
	}
	if f.Operation != "" {
		if _, err := ParseOperation(string(f.Operation)); err != nil {
			return err
		}
	}
	for field, value := range map[string]string{"targetId": f.TargetID, "requestedBy": f.RequestedBy} {
		if value != "" && !idPattern.MatchString(value) {
			return invalid(field, "must have up to 100 characters of A-Z a-z 0-9 _ - . : /")
		}
	}
	return nil
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
