package cashback

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
)

// ClickResult is what became of a click: on record, or the refusal.
type ClickResult struct {
	Click Click
	Err   error // a *Failure
}

// RecordClicks puts clicks on record, 1 to MaxBatch, in a transaction of its own, and
// returns one result each, in order. A click counts for purchases that are taken in
// after it: one that comes later than its purchase changes nothing, and one of a
// campaign that is not known matches nothing. What is new of them is one event of the
// audit trail.
//
// The same click again is the same; another one under its id is DuplicateClick, and
// the others are on record all the same. Returns InvalidInput, and nothing is stored,
// when any makes no sense.
func (c *Cashback) RecordClicks(ctx context.Context, requests []ClickRequest) ([]ClickResult, error) {
	if len(requests) == 0 || len(requests) > MaxBatch {
		return nil, invalid("clicks", "must be 1 to %d, not %d", MaxBatch, len(requests))
	}
	requests = slices.Clone(requests)
	p := problems{item: "clicks", now: c.clock()}
	insert := cashbackdb.InsertClicksParams{CreatedAt: p.now}
	for i := range requests {
		r := &requests[i]
		if p.index = i; p.isMany() {
			break
		}
		r.check(&p)
		insert.ClickIds = append(insert.ClickIds, r.ID)
		insert.CustomerIds = append(insert.CustomerIds, r.CustomerID)
		insert.MerchantIds = append(insert.MerchantIds, r.MerchantID)
		insert.CampaignIds = append(insert.CampaignIds, r.CampaignID)
		insert.ClickedAt = append(insert.ClickedAt, r.At)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	recorded := make(map[string]Click, len(requests))
	err := c.db.InTx(ctx, "cashback.clicks", func(ctx context.Context, tx pgx.Tx) error {
		queries := cashbackdb.New(tx)
		inserted, err := queries.InsertClicks(ctx, insert)
		if err != nil {
			return err
		}
		rows, err := queries.FindClicks(ctx, insert.ClickIds)
		if err != nil {
			return err
		}
		for _, row := range rows {
			recorded[row.ClickID] = clickFromRow(row)
		}
		if inserted == 0 {
			return nil
		}
		return c.audit.AppendTx(ctx, tx, clicksEvent(requests[0].ID, inserted))
	})
	if err != nil {
		return nil, fmt.Errorf("record clicks: %w", err)
	}
	results := make([]ClickResult, len(requests))
	for i, r := range requests {
		if known := recorded[r.ID]; known.ClickRequest == r {
			results[i].Click = known
		} else {
			results[i].Err = DuplicateClick.Failure("click %s is on record with another content", r.ID)
		}
	}
	return results, nil
}

// clicksEvent is one for a request, as of purchases. Its target is the request's first
// click.
func clicksEvent(clickID string, count int64) audit.Event {
	after := struct {
		Count int64 `json:"count"`
	}{count}
	return audit.Event{Action: "clicks.recorded", TargetKind: "click", TargetID: clickID, After: object(after), Result: audit.OK}
}

func clickFromRow(row cashbackdb.Click) Click {
	return Click{
		ClickRequest: ClickRequest{
			ID: row.ClickID, CustomerID: row.CustomerID, MerchantID: row.MerchantID, CampaignID: row.CampaignID, At: row.ClickedAt.UTC(),
		},
		PurchaseID: orEmpty(row.PurchaseID), CreatedAt: row.CreatedAt.UTC(),
	}
}
