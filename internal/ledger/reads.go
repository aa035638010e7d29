package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// MaxPage is the most rows of one page of a list.
const MaxPage = 500

// settleTime is longer than any transaction of the executor can take: postings
// whose time is further back than this are committed or will never be.
const settleTime = 30 * time.Second

// View reads the books: a Ledger's own View the newest, others one moment of the
// past. Its reads lock nothing and join no serializable transaction.
type View struct {
	queries *ledgerdb.Queries
	// reach is the owner whose accounts alone are shown; "" for all (Ledger.As).
	// Every read keeps to it.
	reach string
}

// Account returns one account, closed ones included. Returns AccountNotFound.
func (v View) Account(ctx context.Context, accountID string) (Account, error) {
	if !id.IsPossible(accountID) {
		return Account{}, AccountNotFound.Failure("there is no account %q", accountID)
	}
	row, err := v.queries.GetAccount(ctx, accountID)
	if database.NotFound(err) || err == nil && !v.seesAccount(row.OwnerID) {
		return Account{}, accountNotFound(accountID)
	}
	if err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	}
	return readAccount(row), nil
}

func readAccount(row ledgerdb.Account) Account {
	account := accountFromRow(row)
	account.Metadata = fromJSONB(account.Metadata)
	return account
}

// AccountFilter selects accounts; empty fields select all.
type AccountFilter struct {
	Type     AccountType
	Status   AccountStatus
	Currency money.Currency
	OwnerID  string
	Metadata json.RawMessage // a JSON object that the metadata contains
}

// Accounts lists accounts in the order of their ids, beginning after the id
// after, at most limit of them. Returns InvalidInput when the filter's metadata
// is no JSON object.
func (v View) Accounts(ctx context.Context, f AccountFilter, after string, limit int) ([]Account, error) {
	var problems fields
	if f.Metadata = problems.metadata(f.Metadata); problems.err() != nil {
		return nil, problems.err()
	}
	if v.reach != "" && f.OwnerID != "" && f.OwnerID != v.reach {
		return nil, nil
	}
	rows, err := v.listAccounts(ctx, f, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	accounts := make([]Account, len(rows))
	for i, row := range rows {
		accounts[i] = readAccount(row)
	}
	return accounts, nil
}

func (v View) listAccounts(ctx context.Context, f AccountFilter, after string, limit int) ([]ledgerdb.Account, error) {
	if owner := cmp.Or(v.reach, f.OwnerID); owner != "" {
		return v.queries.ListAccountsOfOwner(ctx, ledgerdb.ListAccountsOfOwnerParams{
			OwnerID: owner, AfterAccountID: after,
			AccountType: optional(string(f.Type)), Status: optional(string(f.Status)),
			Currency: optional(string(f.Currency)), Metadata: f.Metadata,
			MaxRows: int32(limit),
		})
	}
	return v.queries.ListAccounts(ctx, ledgerdb.ListAccountsParams{
		AfterAccountID: after,
		AccountType:    optional(string(f.Type)), Status: optional(string(f.Status)),
		Currency: optional(string(f.Currency)), Metadata: f.Metadata,
		MaxRows: int32(limit),
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// TransferByID returns one transfer with the id of its reversal, if there is
// one. Returns TransactionNotFound.
func (v View) TransferByID(ctx context.Context, transferID string) (Transfer, error) {
	if !id.IsPossible(transferID) {
		return Transfer{}, TransactionNotFound.Failure("there is no transaction %q", transferID)
	}
	row, err := v.queries.GetTransfer(ctx, transferID)
	if database.NotFound(err) {
		return Transfer{}, transactionNotFound(transferID)
	}
	if err != nil {
		return Transfer{}, fmt.Errorf("read transaction: %w", err)
	}
	hasFailed := TransferStatus(row.Status) == Failed
	ends := []string{row.SourceAccountID, row.DestinationAccountID}
	if hasFailed && Kind(row.Kind) != KindCapture {
		ends = ends[:1] // why it failed is the payer's to know
	}
	isSeen, err := v.sees(ctx, row.CreatedAt, hasFailed, ends...)
	if err != nil {
		return Transfer{}, err
	}
	if !isSeen {
		return Transfer{}, transactionNotFound(transferID)
	}
	transfer := transferFromRow(ledgerdb.FindTransfersRow{
		TransferID: row.TransferID, Kind: row.Kind,
		SourceAccountID: row.SourceAccountID, DestinationAccountID: row.DestinationAccountID,
		Amount: row.Amount, Currency: row.Currency, Status: row.Status,
		FailureCode: row.FailureCode, FailureMessage: row.FailureMessage,
		Description: row.Description, Metadata: row.Metadata, HoldID: row.HoldID, ReversesID: row.ReversesID,
		SourceSeq: row.SourceSeq, DestinationSeq: row.DestinationSeq,
		EffectiveAt: row.EffectiveAt, CreatedAt: row.CreatedAt, FinishedAt: row.FinishedAt,
	})
	transfer.ReversedByID = row.ReversedByID
	return transfer, nil
}

// TransferFilter selects transfers; empty fields select all.
type TransferFilter struct {
	AccountID string // source or destination
	Status    TransferStatus
	From, To  time.Time // of CreatedAt; To is exclusive
}

// TransferPosition is a place in the list of transfers, which is in the order of
// (CreatedAt, ID), newest first. Both never change, so a place stays what it is.
type TransferPosition struct {
	CreatedAt time.Time
	ID        string
}

// Transfers lists transfers before a position, newest first, at most limit of
// them. The zero position is the beginning.
//
// An owner's view (Ledger.As) lists those of one account of his: it returns
// InvalidInput without one, and AccountNotFound.
func (v View) Transfers(ctx context.Context, f TransferFilter, before TransferPosition, limit int) ([]Transfer, error) {
	var failedFrom time.Time
	if v.reach != "" {
		if f.AccountID == "" {
			return nil, invalid("accountId", "must be given: one of your accounts")
		}
		account, err := v.Account(ctx, f.AccountID)
		if err != nil {
			return nil, err
		}
		failedFrom = account.CreatedAt
	}
	if f.AccountID != "" && !id.IsPossible(f.AccountID) {
		return nil, nil
	}
	if before.CreatedAt.IsZero() {
		before.CreatedAt = endOfTime
	}
	if f.To.IsZero() {
		f.To = endOfTime
	}
	var rows []ledgerdb.FindTransfersRow
	if f.AccountID != "" {
		found, err := v.queries.ListTransfersOfAccount(ctx, ledgerdb.ListTransfersOfAccountParams{
			AccountID: f.AccountID, BeforeTime: before.CreatedAt, BeforeID: before.ID,
			FromTime: f.From, ToTime: f.To, FailedFrom: failedFrom, HidesFailedReceipts: v.reach != "",
			Status: optional(string(f.Status)), MaxRows: int32(limit),
		})
		if err != nil {
			return nil, fmt.Errorf("list transactions: %w", err)
		}
		for _, row := range found {
			rows = append(rows, ledgerdb.FindTransfersRow(row))
		}
	} else {
		found, err := v.queries.ListTransfers(ctx, ledgerdb.ListTransfersParams{
			BeforeTime: before.CreatedAt, BeforeID: before.ID,
			FromTime: f.From, ToTime: f.To, Status: optional(string(f.Status)), MaxRows: int32(limit),
		})
		if err != nil {
			return nil, fmt.Errorf("list transactions: %w", err)
		}
		for _, row := range found {
			rows = append(rows, ledgerdb.FindTransfersRow(row))
		}
	}
	transfers := make([]Transfer, len(rows))
	for i, row := range rows {
		transfers[i] = transferFromRow(row)
	}
	return transfers, nil
}

// endOfTime is after every time that a request can name.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// PostingsOf returns the two postings of a completed transfer, the debit first;
// none for other transfers. An owner's view (Ledger.As) shows those of his accounts
// alone: the other tells the other account's balance.
func (v View) PostingsOf(ctx context.Context, t Transfer) ([]Posting, error) {
	if t.Status != Completed {
		return nil, nil
	}
	rows, err := v.queries.GetPostings(ctx, ledgerdb.GetPostingsParams{
		SourceAccountID: t.SourceAccountID, SourceSeq: t.SourceSeq,
		DestinationAccountID: t.DestinationAccountID, DestinationSeq: t.DestinationSeq,
	})
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", err)
	}
	postings := postingsFromRows(rows)
	if v.reach != "" {
		owned, err := v.owned(ctx, t.SourceAccountID, t.DestinationAccountID)
		if err != nil {
			return nil, err
		}
		postings = slices.DeleteFunc(postings, func(p Posting) bool {
			_, isOwn := owned[p.AccountID]
			return !isOwn
		})
	}
	sort.Slice(postings, func(i, _ int) bool { return postings[i].Amount.IsNegative() })
	return postings, nil
}

// HoldByID returns one hold. Returns HoldNotFound.
func (v View) HoldByID(ctx context.Context, holdID string) (Hold, error) {
	if !id.IsPossible(holdID) {
		return Hold{}, HoldNotFound.Failure("there is no hold %q", holdID)
	}
	row, err := v.queries.GetHold(ctx, holdID)
	if database.NotFound(err) {
		return Hold{}, holdNotFound(holdID)
	}
	if err != nil {
		return Hold{}, fmt.Errorf("read hold: %w", err)
	}
	isSeen, err := v.sees(ctx, row.CreatedAt, false, row.SourceAccountID, row.DestinationAccountID)
	if err != nil {
		return Hold{}, err
	}
	if !isSeen {
		return Hold{}, holdNotFound(holdID)
	}
	return holdFromRow(row), nil
}

// PendingHolds lists the holds that reserve an account's money, in the order of
// their ids: those after an id ("": all), at most limit. Returns AccountNotFound.
func (v View) PendingHolds(ctx context.Context, accountID, after string, limit int) ([]Hold, error) {
	if _, err := v.Account(ctx, accountID); err != nil {
		return nil, err
	}
	rows, err := v.queries.ListPendingHolds(ctx, ledgerdb.ListPendingHoldsParams{AccountID: accountID, AfterHoldID: after, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	holds := make([]Hold, len(rows))
	for i, row := range rows {
		holds[i] = holdFromRow(row)
	}
	return holds, nil
}

// Postings lists an account's postings of a period, newest first: those numbered
// below beforeSeq (0: all), at most limit. from and to may be zero; to is
// exclusive. Returns AccountNotFound.
func (v View) Postings(ctx context.Context, accountID string, from, to time.Time, beforeSeq int64, limit int) ([]Posting, error) {
	account, err := v.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	first, end := int64(1), account.Postings+1
	if !from.IsZero() {
		if first, err = v.firstSeq(ctx, account, func(at time.Time) bool { return !at.Before(from) }); err != nil {
			return nil, err
		}
	}
	if !to.IsZero() {
		if end, err = v.firstSeq(ctx, account, func(at time.Time) bool { return !at.Before(to) }); err != nil {
			return nil, err
		}
	}
	if beforeSeq > 0 {
		end = min(end, beforeSeq)
	}
	rows, err := v.queries.ListPostings(ctx, ledgerdb.ListPostingsParams{
		AccountID: accountID, BeforeSeq: end, FromSeq: first, MaxRows: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list postings: %w", err)
	}
	return postingsFromRows(rows), nil
}

func postingsFromRows(rows []ledgerdb.Posting) []Posting {
	postings := make([]Posting, len(rows))
	for i, row := range rows {
		postings[i] = postingFromRow(row)
	}
	return postings
}

// BalanceAt returns the account as its postings had left it at a time: Posted
// and Postings are as they were then, exact to the last posting; the rest is as
// it is now. The time must not be in the future (InvalidInput). Returns
// AccountNotFound, also when it was not open yet.
func (l *Ledger) BalanceAt(ctx context.Context, accountID string, at time.Time) (Account, error) {
	now := l.clock()
	if at.After(now) {
		return Account{}, invalid("at", "must not be in the future")
	}
	account, err := l.Account(ctx, accountID)
	if err != nil {
		return Account{}, err
	}
	if now.Sub(at) < settleTime {
		// A transaction under way may still book at or before that time: wait for
		// the one that has the account locked. Later ones book later.
		row, err := l.queries.GetAccountSettled(ctx, accountID)
		if err != nil {
			return Account{}, fmt.Errorf("read settled account: %w", err)
		}
		if !l.seesAccount(row.OwnerID) {
			return Account{}, accountNotFound(accountID)
		}
		account = readAccount(row)
	}
	if at.Before(account.CreatedAt) {
		return Account{}, AccountNotFound.Failure("account %s was opened later, at %s", accountID, account.CreatedAt.Format(time.RFC3339Nano))
	}
	next, err := l.firstSeq(ctx, account, func(posted time.Time) bool { return posted.After(at) })
	if err != nil {
		return Account{}, err
	}
	account.Postings = next - 1
	if account.Postings == 0 {
		account.Posted = decimal.Zero
		return account, nil
	}
	posting, err := l.queries.GetPosting(ctx, ledgerdb.GetPostingParams{AccountID: accountID, Seq: account.Postings})
	if err != nil {
		return Account{}, fmt.Errorf("read posting: %w", err)
	}
	account.Posted = posting.Balance
	return account, nil
}

// firstSeq finds the first posting whose time satisfies reached, or one past the
// last. Within an account time never goes back, so that a binary search over the
// primary key will do: some twenty lookups among a million postings, and no
// index by time to keep on every insert.
func (v View) firstSeq(ctx context.Context, account Account, reached func(time.Time) bool) (int64, error) {
	low, high := int64(1), account.Postings+1
	for low < high {
		middle := low + (high-low)/2
		posting, err := v.queries.GetPosting(ctx, ledgerdb.GetPostingParams{AccountID: account.ID, Seq: middle})
		if err != nil {
			return 0, fmt.Errorf("find posting by time: %w", err)
		}
		if reached(posting.CreatedAt) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}
