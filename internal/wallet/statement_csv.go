package wallet

import (
	"context"
	"encoding/csv"
	"io"
	"time"

	"florin/internal/money"
	"florin/internal/platform/spreadsheet"
)

var csvHeader = []string{"time", "transactionId", "kind", "counterparty", "description", "amount", "balance", "currency"}

// WriteCSV writes the statement's lines as CSV with a header, as it reads them. The
// opening balance stands in a line before the first, the closing one in a line
// after the last: a file that was cut off shows. An error may come after some of it
// is written.
func (s *Statement) WriteCSV(ctx context.Context, to io.Writer) error {
	out := csv.NewWriter(to)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	currency := s.Account.Currency
	balance := func(at time.Time, what, amount string) []string {
		return []string{at.Format(time.RFC3339Nano), "", what, "", "", "", amount, string(currency)}
	}
	if err := out.Write(balance(s.From, "OPENING_BALANCE", money.Format(s.Opening, currency))); err != nil {
		return err
	}
	for line, err := range s.Lines(ctx) {
		if err != nil {
			return err
		}
		err = out.Write([]string{
			line.At.UTC().Format(time.RFC3339Nano), line.TransactionID, string(line.Kind),
			spreadsheet.Safe(line.Counterparty.Name), spreadsheet.Safe(line.Description),
			money.Format(line.Amount, line.Currency), money.Format(line.Balance, line.Currency), string(line.Currency),
		})
		if err != nil {
			return err
		}
	}
	if err := out.Write(balance(s.To, "CLOSING_BALANCE", money.Format(s.Closing, currency))); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
