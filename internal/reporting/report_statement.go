package reporting

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/platform/id"
	"florin/internal/reporting/internal/reportingdb"
)

// statementAccountsMax is how many accounts of a user one statement can have.
const statementAccountsMax = 100

type statementAccount = reportingdb.StatementAccountsRow

// writeStatement goes through the accounts in the order of their ids.
func writeStatement(ctx context.Context, r *reading) error {
	accounts, err := r.accounts(ctx)
	if err != nil {
		return err
	}
	if err := r.out.Begin(r.Head); err != nil {
		return err
	}
	totals := make([][]string, len(accounts))
	for i := range accounts {
		if totals[i], err = r.writeAccount(ctx, &accounts[i]); err != nil {
			return err
		}
	}
	for _, cells := range totals {
		if err := r.out.Total(cells); err != nil {
			return err
		}
	}
	return nil
}

// accounts are those that the statement is of.
func (r *reading) accounts(ctx context.Context) ([]statementAccount, error) {
	if r.AccountID != "" {
		if !id.IsPossible(r.AccountID) {
			return nil, UnknownAccount.Failure("there is no account %q", r.AccountID)
		}
		account, err := r.queries.StatementAccount(ctx, r.AccountID)
		if database.NotFound(err) {
			return nil, UnknownAccount.Failure("there is no account %s", r.AccountID)
		}
		if err != nil {
			return nil, fmt.Errorf("read the statement's account: %w", err)
		}
		return []statementAccount{statementAccount(account)}, nil
	}
	if !id.IsPossible(r.OwnerID) {
		return nil, UnknownAccount.Failure("%q has no accounts", r.OwnerID)
	}
	accounts, err := r.queries.StatementAccounts(ctx, reportingdb.StatementAccountsParams{OwnerID: r.OwnerID, MaxRows: statementAccountsMax + 1})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the statement's accounts: %w", err)
	case len(accounts) == 0:
		return nil, UnknownAccount.Failure("%s has no accounts", r.OwnerID)
	case len(accounts) > statementAccountsMax:
		return nil, failure.Invalidf("ownerId", "has more than %d accounts: ask for one by accountId", statementAccountsMax)
	}
	return accounts, nil
}

// writeAccount passes an account's lines on and returns its sums.
func (r *reading) writeAccount(ctx context.Context, account *statementAccount) (total []string, err error) {
	first, opening, err := r.before(ctx, account, r.Head.From)
	if err != nil {
		return nil, err
	}
	last, closing, err := r.before(ctx, account, r.Head.To)
	if err != nil {
		return nil, err
	}
	var debits, credits decimal.Decimal
	err = each(ctx, r, reportingdb.StatementLines, func(line *reportingdb.StatementLinesRow) error {
		if line.Amount.IsNegative() {
			debits = debits.Sub(line.Amount)
		} else {
			credits = credits.Add(line.Amount)
		}
		return r.out.Row([]string{
			line.AccountID, count(line.Seq), timeText(line.CreatedAt), line.TransferID, line.Kind, line.Counterparty, line.Description,
			amount(line.Amount, line.Currency), amount(line.Balance, line.Currency), line.Currency,
		})
	}, account.AccountID, first, last)
	if err != nil {
		return nil, err
	}
	if sum := opening.Add(credits).Sub(debits); !sum.Equal(closing) {
		return nil, fmt.Errorf("the lines of account %s sum up to %s, its balance is %s: run florin verify", account.AccountID, sum, closing)
	}
	return []string{
		account.AccountID, account.Currency, amount(opening, account.Currency), amount(debits, account.Currency), amount(credits, account.Currency), amount(closing, account.Currency),
	}, nil
}

// before returns how many postings an account had before a time, and its balance
// after the last of them. Times never go back within an account, so that it is found
// by halving.
func (r *reading) before(ctx context.Context, account *statementAccount, at time.Time) (seq int64, balance decimal.Decimal, err error) {
	if !account.CreatedAt.Before(at) {
		return 0, decimal.Zero, nil
	}
	posting := func(seq int64) (found reportingdb.PostingNumberedRow) {
		if err == nil {
			found, err = r.queries.PostingNumbered(ctx, reportingdb.PostingNumberedParams{AccountID: account.AccountID, Seq: seq})
		}
		return found
	}
	n := sort.Search(int(account.LastSeq), func(i int) bool { return !posting(int64(i) + 1).CreatedAt.Before(at) })
	if n > 0 {
		balance = posting(int64(n)).Balance
	}
	if err != nil {
		return 0, decimal.Zero, fmt.Errorf("find the postings of account %s before %s: %w", account.AccountID, timeText(at), err)
	}
	return int64(n), balance, nil
}
