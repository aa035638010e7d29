package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/platform/id"
)

// OutflowMax is how many of an account's newest transactions Outflow looks at, those
// that failed among them.
const OutflowMax = 2000

// Outflow counts and sums, in the account's currency, what it has paid by
// completed transfers and captures of holds that were created at or after a time. It
// looks at the newest OutflowMax transactions alone: of a busier account both are at
// least that much. Returns AccountNotFound.
func (v View) Outflow(ctx context.Context, accountID string, since time.Time) (count int64, sum decimal.Decimal, err error) {
	if _, err := v.Account(ctx, accountID); err != nil {
		return 0, decimal.Zero, err
	}
	row, err := v.queries.Outflow(ctx, ledgerdb.OutflowParams{AccountID: accountID, Since: since, MaxRows: OutflowMax})
	if err != nil {
		return 0, decimal.Zero, fmt.Errorf("sum what was paid: %w", err)
	}
	return row.Transfers, row.Total, nil
}

// HasPaid says whether the source account has ever paid the destination, by a
// completed transfer or a capture, reversed or not. Returns AccountNotFound for
// the source; nothing was ever paid to an account that does not exist.
func (v View) HasPaid(ctx context.Context, sourceAccountID, destinationAccountID string) (bool, error) {
	if _, err := v.Account(ctx, sourceAccountID); err != nil {
		return false, err
	}
	if !id.IsPossible(destinationAccountID) {
		return false, nil
	}
	hasPaid, err := v.queries.HasPaid(ctx, ledgerdb.HasPaidParams{
		SourceAccountID: sourceAccountID, DestinationAccountID: destinationAccountID,
	})
	if err != nil {
		return false, fmt.Errorf("look for an earlier payment: %w", err)
	}
	return hasPaid, nil
}
