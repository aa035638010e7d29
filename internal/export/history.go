package export

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// history is everything posted, in the order of the primary key, as tx sees it.
// The rows are streamed: neither side keeps them.
const historyQuery = `
SELECT t.transfer_id, t.kind, t.status, t.description, t.hold_id, t.reverses_id, t.effective_at,
       d.account_id, d.seq, d.transfer_id, d.amount, d.balance, d.currency, d.created_at,
       c.account_id, c.seq, c.transfer_id, c.amount, c.balance, c.currency, c.created_at
FROM transfers AS t
LEFT JOIN postings AS d ON d.account_id = t.source_account_id AND d.seq = t.source_seq AND d.transfer_id = t.transfer_id
LEFT JOIN postings AS c ON c.account_id = t.destination_account_id AND c.seq = t.destination_seq AND c.transfer_id = t.transfer_id
WHERE t.status = 'COMPLETED'
ORDER BY t.transfer_id`

// readHistory calls each for every transaction that tx sees. A transfer without
// its postings ends it with an error: an inner join would leave it out silently.
func readHistory(ctx context.Context, tx pgx.Tx, each func(transaction) error) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	rows, err := tx.Query(ctx, historyQuery)
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	var t transfer
	var d, c posting
	columns := append([]any{&t.ID, &t.Kind, &t.Status, &t.Description, &t.HoldID, &t.ReversesID, &t.EffectiveAt},
		append(postingColumns(&d), postingColumns(&c)...)...)
	_, err = pgx.ForEachRow(rows, columns, func() error {
		joined, err := join(t, []posting{d, c}, time.Time{})
		if err == nil {
			err = each(joined)
		}
		if err != nil {
			giveUp() // or all that is left would be read first
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return nil
}

func postingColumns(p *posting) []any {
	return []any{&p.AccountID, &p.Seq, &p.TransferID, &p.Amount, &p.Balance, &p.Currency, &p.CreatedAt}
}
