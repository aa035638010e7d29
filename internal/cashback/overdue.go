package cashback

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/cashback/internal/cashbackdb"
)

// ReturnWaitMax is how long a return waits for the purchase that it names to be
// reported. Gateways tell of refunds of all payments, also of those that are no
// purchases here.
const ReturnWaitMax = 90 * 24 * time.Hour

const (
	// overdueInterval is how often returns are looked for that have waited too long.
	overdueInterval = time.Hour
	// overduePage is how many are looked at, and refused, at once.
	overduePage = 500
)

// refuseOverdue calls RefuseOverdueReturns now and then until ctx ends. Several replicas
// may run it.
func (c *Cashback) refuseOverdue(ctx context.Context) {
	ticker := time.NewTicker(overdueInterval)
	defer ticker.Stop()
	for {
		c.tell(ctx, c.RefuseOverdueReturns(ctx), "returns that have waited too long could not be refused")
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// RefuseOverdueReturns makes returns REFUSED, as PurchaseNotFound, that were reported
// ReturnWaitMax ago and whose purchase is still not on record. One of a purchase that is
// HELD waits with it. A second call refuses those that are overdue since. Returns errors
// of the infrastructure; whatever was not done is done by the next call.
func (c *Cashback) RefuseOverdueReturns(ctx context.Context) error {
	now := c.clock()
	page := cashbackdb.WaitingReturnsParams{MaxRows: overduePage}
	for {
		rows, err := c.queries.WaitingReturns(ctx, page)
		if err != nil {
			return fmt.Errorf("find returns that wait for their purchase: %w", err)
		}
		var overdue []string
		for _, row := range rows {
			page.AfterPurchaseID, page.AfterReturnID = row.PurchaseID, row.ReturnID
			if !row.CreatedAt.Add(ReturnWaitMax).After(now) {
				overdue = append(overdue, row.ReturnID)
			}
		}
		if err := c.refuseReturns(ctx, overdue, now); err != nil {
			return err
		}
		if len(rows) < overduePage {
			return nil
		}
	}
}

func (c *Cashback) refuseReturns(ctx context.Context, returnIDs []string, now time.Time) error {
	if len(returnIDs) == 0 {
		return nil
	}
	why := PurchaseNotFound.Failure("the purchase that it names was not reported within %d days", int(ReturnWaitMax.Hours())/24)
	var refused []string
	err := c.db.InTx(ctx, "cashback.overdue", func(ctx context.Context, tx pgx.Tx) (err error) {
		refused, err = cashbackdb.New(tx).RefuseReturns(ctx, cashbackdb.RefuseReturnsParams{
			ReturnIds: returnIDs, FailureCode: string(why.Code), FailureMessage: why.Message, Now: now,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("refuse returns that have waited too long: %w", err)
	}
	for _, returnID := range refused {
		c.log.WarnContext(ctx, "a return was refused: its purchase was never reported", "return", returnID)
	}
	return nil
}
