package wallet

import (
	"context"
	"encoding/csv"
	"io"
	"strings"
	"time"

	"florin/internal/money"
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
			spreadsheetSafe(line.Counterparty.Name), spreadsheetSafe(line.Description),
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

// spreadsheetSafe keeps what somebody else wrote from being run as a formula by the
// program that the file is opened with (CWE-1236): an apostrophe makes it text.
func spreadsheetSafe(text string) string {
	if strings.ContainsAny(firstRune(strings.TrimLeft(text, " ")), "=+-@\t\r\n＝＋－＠") {
		return "'" + text
	}
	return text
}

func firstRune(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}
