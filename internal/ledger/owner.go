package ledger

import (
	"context"
	"fmt"
	"time"

	"florin/internal/ledger/internal/ledgerdb"
)

// As returns the same books as one owner sees them: his accounts alone can be
// read, moved and changed. What is another's is not there: it is refused with the
// very words for what does not exist, and such a refusal leaves no record. A
// transfer or hold is seen when one of its accounts is the owner's, and of a
// transfer's postings his own.
//
// The owner pays from his accounts to any but the house's own. He captures and voids
// holds that others placed for him, not those that he placed, nor the house's. He opens customers' accounts, empty
// and without overdraft, which are then his; he changes their metadata alone, and
// forces nothing. "" returns the ledger itself.
func (l *Ledger) As(ownerID string) *Ledger {
	if ownerID == "" {
		return l
	}
	as := *l
	as.reach = ownerID
	return &as
}

// seesAccount says whether the view shows an account.
func (v View) seesAccount(ownerID string) bool { return v.reach == "" || v.reach == ownerID }

// sees says whether the view shows what happened at a time between accounts.
// What failed before an account was opened is not its owner's to see: it named
// an account that did not exist.
func (v View) sees(ctx context.Context, at time.Time, hasFailed bool, accountIDs ...string) (bool, error) {
	if v.reach == "" {
		return true, nil
	}
	owned, err := v.owned(ctx, accountIDs...)
	if err != nil {
		return false, err
	}
	for _, openedAt := range owned {
		if !hasFailed || !at.Before(openedAt) {
			return true, nil
		}
	}
	return false, nil
}

// owned are those of the accounts that the view's owner has, with the time that
// each was opened.
func (v View) owned(ctx context.Context, accountIDs ...string) (map[string]time.Time, error) {
	rows, err := v.queries.OwnedAccounts(ctx, ledgerdb.OwnedAccountsParams{AccountIds: accountIDs, OwnerID: v.reach})
	if err != nil {
		return nil, fmt.Errorf("read owners: %w", err)
	}
	owned := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		owned[row.AccountID] = row.CreatedAt
	}
	return owned, nil
}

// reaches says whether whoever the command is from may move and change the
// account; not when there is none.
func (b *book) reaches(accountID string) bool {
	if b.reach == "" {
		return true
	}
	account := b.accounts[accountID]
	return account != nil && account.OwnerID == b.reach
}

// mayPayInto says whether whoever the command is from may name the account as a
// destination: the house books on its own accounts itself.
func (b *book) mayPayInto(accountID string) bool { return b.reach == "" || !isHouseID(accountID) }

// mayEnd says whether whoever the command is from may capture or void a hold: the
// house, and who is to receive the money. The payer has promised it; and what the
// house reserves, under an id that begins with "house:", waits for the house.
func (b *book) mayEnd(holdID, destinationAccountID string) bool {
	return b.reach == "" || b.reaches(destinationAccountID) && !isHouseID(holdID)
}

func accountNotFound(id string) *Failure {
	return AccountNotFound.Failure("there is no account %s", id)
}

func transactionNotFound(id string) *Failure {
	return TransactionNotFound.Failure("there is no transaction %s", id)
}

func holdNotFound(id string) *Failure { return HoldNotFound.Failure("there is no hold %s", id) }
