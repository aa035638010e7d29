package api

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"florin/internal/ledger"
)

// Page asks for a page of a list.
type Page struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

// Period narrows a list to a time.
type Period struct {
	From time.Time `query:"from" doc:"Not before this time (RFC 3339)." example:"2026-01-01T00:00:00Z"`
	To   time.Time `query:"to" doc:"Before this time (RFC 3339)." example:"2026-02-01T00:00:00Z"`
}

// A cursor names its list and the last row that was seen, so that rows which
// come later move nothing. Its parts are written one after the other; callers
// are told nothing about them.
const cursorSeparator = "\n"

func newCursor(kind string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(append([]string{kind}, parts...), cursorSeparator)))
}

// parts returns what newCursor was given, or nil for the first page.
func (p *Page) parts(kind string, count int) ([]string, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	parts := strings.Split(string(text), cursorSeparator)
	if err != nil || len(parts) != count+1 || parts[0] != kind {
		return nil, badCursor()
	}
	return parts[1:], nil
}

func badCursor() error {
	return &ledger.InvalidInput{Fields: []ledger.FieldError{{Field: "cursor", Problem: "is not the nextCursor of this list"}}}
}

// accountsAfter is the id that a page of accounts begins after.
func (p *Page) accountsAfter() (string, error) {
	parts, err := p.parts("accounts", 1)
	if parts == nil {
		return "", err
	}
	return checkedID(parts[0])
}

func accountsCursor(last ledger.Account) string { return newCursor("accounts", last.ID) }

// transfersBefore is the place that a page of transfers begins before.
func (p *Page) transfersBefore() (ledger.TransferPosition, error) {
	parts, err := p.parts("transactions", 2)
	if parts == nil {
		return ledger.TransferPosition{}, err
	}
	micros, err := strconv.ParseInt(parts[0], 10, 64)
	createdAt := time.UnixMicro(micros).UTC()
	if err != nil || createdAt.Year() < 1 || createdAt.Year() > 9999 {
		return ledger.TransferPosition{}, badCursor()
	}
	id, err := checkedID(parts[1])
	return ledger.TransferPosition{CreatedAt: createdAt, ID: id}, err
}

func transfersCursor(last ledger.Transfer) string {
	return newCursor("transactions", strconv.FormatInt(last.CreatedAt.UnixMicro(), 10), last.ID)
}

// postingsBefore is the number that a page of an account's postings begins before.
func (p *Page) postingsBefore(accountID string) (int64, error) {
	parts, err := p.parts("postings", 2)
	if parts == nil {
		return 0, err
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || seq < 1 || parts[0] != accountID {
		return 0, badCursor()
	}
	return seq, nil
}

func postingsCursor(last ledger.Posting) string {
	return newCursor("postings", last.AccountID, strconv.FormatInt(last.Seq, 10))
}

// checkedID refuses a forged cursor before the database does.
func checkedID(id string) (string, error) {
	if !idPattern.MatchString(id) {
		return "", badCursor()
	}
	return id, nil
}

// cut takes the row too many off a page and says whether there was one.
func cut[Row any](rows []Row, limit int) (page []Row, more bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}
