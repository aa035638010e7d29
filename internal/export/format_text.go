package export

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// timeLayout has all microseconds, so that times sort as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// record is a row as text, in the order of the columns.
type record struct {
	AccountID             string `json:"accountId"`
	Seq                   int64  `json:"seq"`
	TransactionID         string `json:"transactionId"`
	Kind                  string `json:"kind"`
	CounterpartyAccountID string `json:"counterpartyAccountId"`
	Amount                string `json:"amount"`
	Balance               string `json:"balance"`
	Currency              string `json:"currency"`
	CreatedAt             string `json:"createdAt"`
	EffectiveAt           string `json:"effectiveAt,omitempty"`
	Description           string `json:"description"`
	ReversesTransactionID string `json:"reversesTransactionId,omitempty"`
	HoldID                string `json:"holdId,omitempty"`
	CommittedAt           string `json:"committedAt,omitempty"`
}

var csvHeader = []string{
	"accountId", "seq", "transactionId", "kind", "counterpartyAccountId", "amount", "balance", "currency",
	"createdAt", "effectiveAt", "description", "reversesTransactionId", "holdId", "committedAt",
}

func recordOf(r Row) record {
	return record{
		AccountID: r.AccountID, Seq: r.Seq, TransactionID: r.TransactionID, Kind: r.Kind,
		CounterpartyAccountID: r.CounterpartyAccountID,
		Amount:                money.Format(r.Amount, r.Currency), Balance: money.Format(r.Balance, r.Currency),
		Currency: string(r.Currency), CreatedAt: timeText(r.CreatedAt), EffectiveAt: timeText(r.EffectiveAt),
		Description: r.Description, ReversesTransactionID: r.ReversesTransactionID, HoldID: r.HoldID,
		CommittedAt: timeText(r.CommittedAt),
	}
}

func (c record) row() (Row, error) {
	r := Row{
		AccountID: c.AccountID, Seq: c.Seq, TransactionID: c.TransactionID, Kind: c.Kind,
		CounterpartyAccountID: c.CounterpartyAccountID, Currency: money.Currency(c.Currency),
		Description: c.Description, ReversesTransactionID: c.ReversesTransactionID, HoldID: c.HoldID,
	}
	var err error
	if r.Amount, err = decimal.NewFromString(c.Amount); err != nil {
		return Row{}, fmt.Errorf("amount %q is no amount", c.Amount)
	}
	if r.Balance, err = decimal.NewFromString(c.Balance); err != nil {
		return Row{}, fmt.Errorf("balance %q is no amount", c.Balance)
	}
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{c.CreatedAt, &r.CreatedAt}, {c.EffectiveAt, &r.EffectiveAt}, {c.CommittedAt, &r.CommittedAt}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(timeLayout, t.text); err != nil {
			return Row{}, fmt.Errorf("%q is no time such as %s", t.text, timeLayout)
		}
	}
	return r, nil
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(timeLayout)
}

type jsonEncoder struct {
	buffer *bufio.Writer
	*json.Encoder
}

func newJSONEncoder(w io.Writer) encoder {
	e := jsonEncoder{buffer: bufio.NewWriter(w)}
	e.Encoder = json.NewEncoder(e.buffer)
	e.SetEscapeHTML(false)
	return e
}

func (e jsonEncoder) Encode(r Row) error { return e.Encoder.Encode(recordOf(r)) }
func (e jsonEncoder) Close() error       { return e.buffer.Flush() }

func decodeJSON(r io.Reader, each func(Row) error) error {
	reader := bufio.NewReaderSize(r, 64<<10)
	var again bytes.Buffer
	encoder := newJSONEncoder(&again)
	for line := 1; ; line++ {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d does not end: %w", line, err)
		}
		var c record
		if err := json.Unmarshal(text, &c); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		row, err := c.row()
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		again.Reset()
		if err := errors.Join(encoder.Encode(row), encoder.Close()); err != nil {
			return err
		}
		if !bytes.Equal(again.Bytes(), text) {
			return fmt.Errorf("line %d: %w", line, errOtherHand)
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

// errOtherHand says that what was read means something, but was not written so
// by an encoder.
var errOtherHand = errors.New("it is not written as an export writes it")

type csvEncoder struct{ *csv.Writer }

func newCSVEncoder(w io.Writer) (encoder, error) {
	e := csvEncoder{csv.NewWriter(w)}
	return e, e.Write(csvHeader)
}

func (e csvEncoder) Encode(r Row) error {
	return e.Write(csvFields(r))
}

func csvFields(r Row) []string {
	c := recordOf(r)
	return []string{
		guard(c.AccountID), strconv.FormatInt(c.Seq, 10), guard(c.TransactionID), c.Kind, guard(c.CounterpartyAccountID),
		c.Amount, c.Balance, c.Currency, c.CreatedAt, c.EffectiveAt, guard(c.Description),
		guard(c.ReversesTransactionID), guard(c.HoldID), c.CommittedAt,
	}
}

func (e csvEncoder) Close() error {
	e.Flush()
	return e.Error()
}

func decodeCSV(r io.Reader, each func(Row) error) error {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = len(csvHeader)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if !slices.Equal(header, csvHeader) {
		return errors.New("the header is not that of an export")
	}
	for number := 1; ; number++ {
		f, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		seq, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return fmt.Errorf("row %d: seq %q is no number", number, f[1])
		}
		c := record{
			AccountID: unguard(f[0]), Seq: seq, TransactionID: unguard(f[2]), Kind: f[3], CounterpartyAccountID: unguard(f[4]),
			Amount: f[5], Balance: f[6], Currency: f[7], CreatedAt: f[8], EffectiveAt: f[9], Description: unguard(f[10]),
			ReversesTransactionID: unguard(f[11]), HoldID: unguard(f[12]), CommittedAt: f[13],
		}
		row, err := c.row()
		if err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
		if !slices.Equal(csvFields(row), f) {
			return fmt.Errorf("row %d: %w", number, errOtherHand)
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

// guard keeps a spreadsheet from taking text that a customer wrote for a
// formula: an apostrophe goes before it, which shows the rest as text. Text that
// begins with an apostrophe gets another, and a carriage return, which readers of
// CSV drop or change, is written as \r (and a backslash as \\), so that nothing
// is lost: unguard is the way back.
// Source: OWASP, "CSV Injection".
func guard(text string) string {
	text = carriageReturns.Replace(text)
	if text != "" && strings.ContainsRune("=+-@\t'", rune(text[0])) {
		return "'" + text
	}
	return text
}

func unguard(text string) string {
	text = strings.TrimPrefix(text, "'")
	return carriageReturnsBack.Replace(text)
}

var (
	carriageReturns     = strings.NewReplacer("\\", `\\`, "\r", `\r`)
	carriageReturnsBack = strings.NewReplacer(`\\`, "\\", `\r`, "\r")
)
