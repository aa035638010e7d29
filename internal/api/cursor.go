package api

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Page asks for a page of a list.
type Page struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	Consistency
}

// Period narrows a list to a time.
type Period struct {
	From time.Time `query:"from" doc:"Not before this time (RFC 3339)." example:"2026-01-01T00:00:00Z"`
	To   time.Time `query:"to" doc:"Before this time (RFC 3339)." example:"2026-02-01T00:00:00Z"`
}

// A cursor names its list and the last row that was seen, so that rows which
// come later move nothing; a snapshot's names its time before the row. Its parts
// are written one after the other; callers are told nothing about them. Nor is it
// signed: what a forged one asks for, its sender may read.
const cursorSeparator = "\n"

// newCursor is of the list as it is, or at a time that is not zero of that
// snapshot.
func newCursor(kind string, at database.Timestamp, row ...string) string {
	parts := []string{kind}
	if !at.IsZero() {
		parts = []string{kind + snapshotSuffix, at.String()}
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(append(parts, row...), cursorSeparator)))
}

// snapshotSuffix makes two kinds of a list's cursors, so that none is taken for
// one of the other consistency.
const snapshotSuffix = ".snapshot"

// parts returns what newCursor was given, a row of so many parts, or nil for the
// first page.
func (p *Page) parts(kind string, count int) (at database.Timestamp, row []string, err error) {
	if p.Cursor == "" {
		return at, nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	parts := strings.Split(string(text), cursorSeparator)
	if p.isSnapshot() {
		kind, count = kind+snapshotSuffix, count+1
	}
	if err != nil || len(parts) != count+1 || parts[0] != kind {
		return at, nil, badCursor()
	}
	row = parts[1:]
	if p.isSnapshot() {
		if at, err = database.ParseTimestamp(row[0]); err != nil {
			return at, nil, badCursor()
		}
		row = row[1:]
	}
	return at, row, nil
}

func badCursor() *ledger.InvalidInput {
	return &ledger.InvalidInput{Fields: []ledger.FieldError{{Field: "cursor", Problem: "is not the nextCursor of this list with this consistency"}}}
}

// accountsAfter is the id that a page of accounts begins after.
func (p *Page) accountsAfter() (at database.Timestamp, id string, err error) {
	at, row, err := p.parts("accounts", 1)
	if row == nil {
		return at, "", err
	}
	id, err = checkedID(row[0])
	return at, id, err
}

func accountsCursor(at database.Timestamp, last ledger.Account) string {
	return newCursor("accounts", at, last.ID)
}

// transfersBefore is the place that a page of transfers begins before.
func (p *Page) transfersBefore() (at database.Timestamp, place ledger.TransferPosition, err error) {
	at, row, err := p.parts("transactions", 2)
	if row == nil {
		return at, place, err
	}
	if place.CreatedAt, err = cursorTime(row[0]); err != nil {
		return at, place, err
	}
	place.ID, err = checkedID(row[1])
	return at, place, err
}

// cursorTime reads a time that a cursor names by its microseconds.
func cursorTime(text string) (time.Time, error) {
	micros, err := strconv.ParseInt(text, 10, 64)
	at := time.UnixMicro(micros).UTC()
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}, badCursor()
	}
	return at, nil
}

// placeAfter is a time and an id that a page of a list by both goes on from.
func placeAfter(cursor, kind string) (at time.Time, id string, err error) {
	page := Page{Cursor: cursor}
	_, row, err := page.parts(kind, 2)
	if row == nil {
		return time.Time{}, "", err
	}
	if at, err = cursorTime(row[0]); err != nil {
		return time.Time{}, "", err
	}
	id, err = checkedID(row[1])
	return at, id, err
}

func placeCursor(kind string, at time.Time, id string) string {
	return newCursor(kind, noSnapshot, strconv.FormatInt(at.UnixMicro(), 10), id)
}

// idAfter is the id that a page of a list in the order of ids begins after.
func idAfter(cursor, kind string) (string, error) {
	page := Page{Cursor: cursor}
	_, row, err := page.parts(kind, 1)
	if row == nil {
		return "", err
	}
	return checkedID(row[0])
}

// versionAfter is the version that a page of a list of versions, the newest first,
// begins before; 0 for the first page.
func versionAfter(cursor, kind string) (int64, error) {
	after, err := idAfter(cursor, kind)
	if after == "" {
		return 0, err
	}
	version, err := strconv.ParseInt(after, 10, 64)
	if err != nil || version < 1 {
		return 0, badCursor()
	}
	return version, nil
}

func transfersCursor(at database.Timestamp, last ledger.Transfer) string {
	return newCursor("transactions", at, strconv.FormatInt(last.CreatedAt.UnixMicro(), 10), last.ID)
}

// postingsBefore is the number that a page of an account's postings begins before.
func (p *Page) postingsBefore(accountID string) (at database.Timestamp, seq int64, err error) {
	at, row, err := p.parts("postings", 2)
	if row == nil {
		return at, 0, err
	}
	seq, err = strconv.ParseInt(row[1], 10, 64)
	if err != nil || seq < 1 || row[0] != accountID {
		return at, 0, badCursor()
	}
	return at, seq, nil
}

func postingsCursor(at database.Timestamp, last ledger.Posting) string {
	return newCursor("postings", at, last.AccountID, strconv.FormatInt(last.Seq, 10))
}

// checkedID refuses a forged cursor before the database does.
func checkedID(text string) (string, error) {
	if !id.IsPossible(text) {
		return "", badCursor()
	}
	return text, nil
}

// cut takes the row too many off a page and says whether there was one.
func cut[Row any](rows []Row, limit int) (page []Row, more bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}
