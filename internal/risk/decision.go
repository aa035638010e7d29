package risk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
	"florin/internal/risk/internal/riskdb"
)

// Position is a place in a list of decisions: that of the last one of a page.
// Zero is the beginning.
type Position struct {
	DecidedAt time.Time
	ID        string
}

// Position is where the decision stands in a list.
func (d *Decision) Position() Position { return Position{DecidedAt: d.DecidedAt, ID: d.ID} }

// farFuture is after all decisions.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Decision returns one decision. Returns DecisionNotFound, also while it is being
// made.
func (r *Rules) Decision(ctx context.Context, decisionID string) (Decision, error) {
	if !id.IsPossible(decisionID) {
		return Decision{}, decisionNotFound(decisionID)
	}
	row, err := r.queries.GetDecision(ctx, decisionID)
	return readDecision(row, err, decisionID)
}

// DecisionOf returns the decision about a transfer. Returns DecisionNotFound, also
// while it is being made.
func (r *Rules) DecisionOf(ctx context.Context, transferID string) (Decision, error) {
	if !id.IsPossible(transferID) {
		return Decision{}, decisionNotFound(transferID)
	}
	row, err := r.queries.DecisionOfTransfer(ctx, transferID)
	return readDecision(row, err, transferID)
}

func readDecision(row riskdb.RiskDecision, err error, anID string) (Decision, error) {
	if database.NotFound(err) || err == nil && row.Outcome == string(pending) {
		return Decision{}, decisionNotFound(anID)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("read decision: %w", err)
	}
	return decisionFromRow(row)
}

// DecisionsOf lists the decisions about payments out of an account, the newest
// first, at most limit of them, from before the position before.
func (r *Rules) DecisionsOf(ctx context.Context, accountID string, before Position, limit int) ([]Decision, error) {
	if !id.IsPossible(accountID) {
		return nil, nil
	}
	if before == (Position{}) {
		before.DecidedAt = farFuture
	}
	rows, err := r.queries.ListDecisionsOfAccount(ctx, riskdb.ListDecisionsOfAccountParams{
		AccountID: accountID, BeforeDecidedAt: before.DecidedAt, BeforeDecisionID: before.ID, MaxRows: pageSize(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	return decisionsFromRows(rows)
}

func decisionNotFound(anID string) error {
	return DecisionNotFound.Failure("there is no decision %q", anID)
}

func decisionsFromRows(rows []riskdb.RiskDecision) ([]Decision, error) {
	decisions := make([]Decision, len(rows))
	for i, row := range rows {
		var err error
		if decisions[i], err = decisionFromRow(row); err != nil {
			return nil, err
		}
	}
	return decisions, nil
}

func decisionFromRow(row riskdb.RiskDecision) (Decision, error) {
	d := Decision{
		ID:        row.DecisionID,
		Subject:   Subject{TransferID: row.TransferID, AccountID: row.AccountID, UserID: row.UserID, PayeeID: row.PayeeID},
		Operation: Operation(row.Operation), Amount: row.Amount, Currency: money.Currency(row.Currency),
		Outcome: Outcome(row.Outcome), RuleID: row.RuleID, RuleVersion: row.RuleVersion, DecidedAt: row.DecidedAt.UTC(),
		Review: ReviewState{Status: ReviewStatus(row.ReviewStatus), By: row.ReviewedBy, ByKind: row.ReviewedKind, Reason: row.ReviewReason},
	}
	if row.ReviewedAt != nil {
		d.Review.At = row.ReviewedAt.UTC()
	}
	if err := json.Unmarshal([]byte(row.Inputs), &d.Facts); err != nil {
		return Decision{}, fmt.Errorf("read the facts of decision %s: %w", row.DecisionID, err)
	}
	if err := json.Unmarshal([]byte(row.Matches), &d.Matches); err != nil {
		return Decision{}, fmt.Errorf("read the matches of decision %s: %w", row.DecisionID, err)
	}
	return d, nil
}
