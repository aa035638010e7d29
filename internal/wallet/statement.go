package wallet

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
)

// Statement is what happened on an account in a period. It is of one moment: what
// is booked later is not in it, however long it is read.
type Statement struct {
	Account  ledger.Account // as it is now
	From, To time.Time      // To is exclusive, and not in the future
	Opening  decimal.Decimal
	Closing  decimal.Decimal // Opening and all lines
	Count    int64           // of lines

	wallets *Wallets
	books   *ledger.Ledger
	viewer  identity.Principal
	first   int64 // seq of the first line's posting
}

// Line is one posting of a statement.
type Line struct {
	TransactionID string
	Kind          Kind
	Counterparty  Counterparty
	Description   string
	Amount        decimal.Decimal // what came is positive, what went negative
	Balance       decimal.Decimal // after it
	Currency      money.Currency
	At            time.Time
}

// Statement returns the statement of an account of the user's for the time from
// (zero: since it was opened) until to (zero, or in the future: until now). Returns
// ledger.InvalidInput when the period is empty, and ledger.AccountNotFound.
func (w *Wallets) Statement(ctx context.Context, p identity.Principal, accountID string, from, to time.Time) (*Statement, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return nil, err
	}
	now := w.clock()
	if to.IsZero() || to.After(now) {
		to = now
	}
	account, err := books.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if from.IsZero() {
		from = account.CreatedAt
	}
	from, to = from.UTC().Truncate(time.Microsecond), to.UTC().Truncate(time.Microsecond)
	if !from.Before(to) {
		return nil, invalid("from", "must be before to and before now")
	}
	s := &Statement{Account: account, From: from, To: to, wallets: w, books: books, viewer: p}
	before, err := balanceBefore(ctx, books, account, from)
	if err != nil {
		return nil, err
	}
	until, err := balanceBefore(ctx, books, account, to)
	if err != nil {
		return nil, err
	}
	s.Opening, s.Closing = before.Posted, until.Posted
	s.first, s.Count = before.Postings+1, until.Postings-before.Postings
	return s, nil
}

// balanceBefore is an account as it was just before a time: empty before it was
// opened. Postings have microseconds.
func balanceBefore(ctx context.Context, books *ledger.Ledger, account ledger.Account, at time.Time) (ledger.Account, error) {
	at = at.Add(-time.Microsecond)
	if at.Before(account.CreatedAt) {
		return ledger.Account{}, nil
	}
	return books.BalanceAt(ctx, account.ID, at)
}

// Lines reads the statement's lines, the oldest first, a page at a time. An error
// ends it. It may be gone through again.
func (s *Statement) Lines(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		end := s.first + s.Count
		for seq := s.first; seq < end; seq += ledger.MaxPage {
			lines, err := s.page(ctx, seq, min(seq+ledger.MaxPage, end))
			if err != nil {
				yield(Line{}, err)
				return
			}
			for _, line := range lines {
				if !yield(line, nil) {
					return
				}
			}
		}
	}
}

// page reads the lines of the postings numbered from first to before end.
func (s *Statement) page(ctx context.Context, first, end int64) ([]Line, error) {
	postings, err := s.books.Postings(ctx, s.Account.ID, time.Time{}, time.Time{}, end, int(end-first))
	if err != nil {
		return nil, err
	}
	slices.Reverse(postings)
	ids := make([]string, len(postings))
	for i := range postings {
		ids[i] = postings[i].TransferID
	}
	rows, err := s.wallets.queries.TransfersByID(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read transactions of a statement: %w", err)
	}
	transfers := make(map[string]int, len(rows))
	for i := range rows {
		transfers[rows[i].TransferID] = i
	}
	lines, ends := make([]Line, len(postings)), make([]*Counterparty, len(postings))
	for i, posting := range postings {
		lines[i] = Line{
			TransactionID: posting.TransferID, Amount: posting.Amount, Balance: posting.Balance,
			Currency: posting.Currency, At: posting.CreatedAt,
		}
		ends[i] = &lines[i].Counterparty
		at, found := transfers[posting.TransferID]
		if !found {
			return nil, fmt.Errorf("posting %d of account %s has no transaction %s", posting.Seq, s.Account.ID, posting.TransferID)
		}
		row := rows[at]
		lines[i].Description = row.Description
		lines[i].Kind = kindOf(ledger.Kind(row.Kind), row.SourceAccountID, row.DestinationAccountID)
		lines[i].Counterparty.AccountID = row.DestinationAccountID
		if posting.Amount.IsPositive() {
			lines[i].Counterparty.AccountID = row.SourceAccountID
		}
	}
	return lines, s.wallets.nameEnds(ctx, s.viewer, ends)
}
