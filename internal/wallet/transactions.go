package wallet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/id"
	"florin/internal/wallet/internal/walletdb"
)

// MaxPage is the most transactions of one page.
const MaxPage = 200

// endOfTime is after every time that a request can name.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// TransactionFilter selects transactions; empty fields select all.
type TransactionFilter struct {
	AccountID string    // one of the user's
	From, To  time.Time // of CreatedAt; To is exclusive
}

// TransactionPage is a part of the list of transactions.
type TransactionPage struct {
	Transactions []Transaction
	// Next is where the next page begins; nil at the end. A page may be shorter than
	// asked for and have a next one.
	Next *ledger.TransferPosition
}

// Transactions lists what came to the user's accounts and left them, newest first,
// from before a position (zero: from the newest), at most limit (1 to MaxPage).
// What others tried to send him and could not is not shown: it would tell of their
// accounts. Payments under way are Pending's. Returns ledger.AccountNotFound for an
// account that is not the user's.
func (w *Wallets) Transactions(ctx context.Context, p identity.Principal, f TransactionFilter, before ledger.TransferPosition, limit int) (TransactionPage, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return TransactionPage{}, err
	}
	if f.AccountID != "" {
		if _, err := books.Account(ctx, f.AccountID); err != nil {
			return TransactionPage{}, err
		}
	}
	if before.CreatedAt.IsZero() {
		before.CreatedAt = endOfTime
	}
	if f.To.IsZero() {
		f.To = endOfTime
	}
	limit = min(max(limit, 1), MaxPage)
	rows, err := w.queries.TransfersOfOwner(ctx, walletdb.TransfersOfOwnerParams{
		OwnerID: p.UserID, AccountID: f.AccountID, FromTime: f.From, ToTime: f.To,
		BeforeTime: before.CreatedAt, BeforeID: before.ID, MaxRows: int32(limit),
	})
	if err != nil {
		return TransactionPage{}, fmt.Errorf("list transactions: %w", err)
	}
	var page TransactionPage
	for i, row := range rows {
		if i == 0 || row.TransferID != rows[i-1].TransferID { // once for both ends
			page.Transactions = append(page.Transactions, listed(row))
		}
	}
	if len(rows) == limit {
		last := rows[limit-1]
		page.Next = &ledger.TransferPosition{CreatedAt: last.CreatedAt, ID: last.TransferID}
	}
	return page, w.nameCounterparties(ctx, p, page.Transactions)
}

func listed(row walletdb.TransfersOfOwnerRow) Transaction {
	t := Transaction{
		ID: row.TransferID, Kind: kindOf(ledger.Kind(row.Kind), row.SourceAccountID, row.DestinationAccountID),
		Direction: Direction(row.Direction), Status: statusOf(ledger.TransferStatus(row.Status)), AccountID: row.AccountID,
		Amount: row.Amount, Currency: money.Currency(row.Currency), Description: row.Description,
		CreatedAt: row.CreatedAt, FinishedAt: row.FinishedAt,
	}
	t.Counterparty.AccountID = row.DestinationAccountID
	if t.Direction == Received {
		t.Counterparty.AccountID = row.SourceAccountID
	}
	if row.FailureCode != nil {
		t.FailureCode = *row.FailureCode
	}
	if row.FailureMessage != nil {
		t.FailureMessage = *row.FailureMessage
	}
	return t
}

// Pending lists the user's payments under way: those that wait for the bank or for
// a reviewer.
func (w *Wallets) Pending(ctx context.Context, p identity.Principal) ([]Transaction, error) {
	if p.UserID == "" {
		return nil, errNoUser
	}
	open, err := w.openPayments(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	transactions := make([]Transaction, len(open))
	for i := range open {
		transactions[i] = open[i].transaction()
	}
	slices.SortFunc(transactions, func(a, b Transaction) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return transactions, w.nameCounterparties(ctx, p, transactions)
}

func (w *Wallets) openPayments(ctx context.Context, userID string) ([]payment, error) {
	rows, err := w.queries.OpenPayments(ctx, walletdb.OpenPaymentsParams{UserID: userID, MaxRows: int32(w.pendingMax)})
	if err != nil {
		return nil, fmt.Errorf("list payments under way: %w", err)
	}
	open := make([]payment, len(rows))
	for i, row := range rows {
		open[i] = paymentFrom(row)
	}
	return open, nil
}

// Transaction returns one of the user's transactions, or a payment of his that is
// under way. Returns PaymentNotFound, also for another's.
func (w *Wallets) Transaction(ctx context.Context, p identity.Principal, transactionID string) (Transaction, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return Transaction{}, err
	}
	notFound := PaymentNotFound.Failure("there is no transaction %q", transactionID)
	if !id.IsPossible(transactionID) {
		return Transaction{}, notFound
	}
	pay, err := w.payment(ctx, transactionID)
	switch {
	case err == nil && pay.UserID == p.UserID:
		t := pay.transaction()
		return t, w.nameCounterparty(ctx, p, &t)
	case err != nil && !isFailure(err, PaymentNotFound):
		return Transaction{}, err
	}
	transfer, err := books.TransferByID(ctx, transactionID)
	if isLedgerFailure(err, ledger.TransactionNotFound) {
		return Transaction{}, notFound
	}
	if err != nil {
		return Transaction{}, err
	}
	isSender, err := isOwn(ctx, books, transfer.SourceAccountID)
	if err != nil {
		return Transaction{}, err
	}
	// What did not come about is its sender's to see, unless that was the house.
	if !isSender && transfer.Status != ledger.Completed && !strings.HasPrefix(transfer.SourceAccountID, housePrefix) {
		return Transaction{}, notFound
	}
	t := transactionOf(&transfer, isSender)
	return t, w.nameCounterparty(ctx, p, &t)
}

func isOwn(ctx context.Context, books *ledger.Ledger, accountID string) (bool, error) {
	_, err := books.Account(ctx, accountID)
	if isLedgerFailure(err, ledger.AccountNotFound) {
		return false, nil
	}
	return err == nil, err
}

// transactionOf is a transfer as its sender or its receiver sees it.
func transactionOf(t *ledger.Transfer, isSender bool) Transaction {
	shown := Transaction{
		ID: t.ID, Kind: kindOf(t.Kind, t.SourceAccountID, t.DestinationAccountID), Direction: Received, Status: statusOf(t.Status),
		AccountID: t.DestinationAccountID, Counterparty: Counterparty{AccountID: t.SourceAccountID},
		Amount: t.Amount, Currency: t.Currency, Description: t.Description, CreatedAt: t.CreatedAt, FinishedAt: t.FinishedAt,
	}
	if isSender {
		shown.Direction = Sent
		shown.AccountID, shown.Counterparty.AccountID = t.SourceAccountID, t.DestinationAccountID
	}
	if t.Failure != nil {
		shown.FailureCode, shown.FailureMessage = string(t.Failure.Code), t.Failure.Message
	}
	return shown
}

func kindOf(kind ledger.Kind, sourceID, destinationID string) Kind {
	switch {
	case kind == ledger.KindOpening:
		return KindOpening
	case kind == ledger.KindReversal:
		return KindReversal
	case strings.HasPrefix(sourceID, bankPrefix):
		return KindDeposit
	case strings.HasPrefix(destinationID, bankPrefix):
		return KindWithdrawal
	}
	return KindTransfer
}

// nameCounterparties says who is at the other ends, as far as the user may know.
func (w *Wallets) nameCounterparties(ctx context.Context, p identity.Principal, transactions []Transaction) error {
	ends := make([]*Counterparty, len(transactions))
	for i := range transactions {
		ends[i] = &transactions[i].Counterparty
	}
	return w.nameEnds(ctx, p, ends)
}

func (w *Wallets) nameCounterparty(ctx context.Context, p identity.Principal, t *Transaction) error {
	return w.nameEnds(ctx, p, []*Counterparty{&t.Counterparty})
}

func (w *Wallets) nameEnds(ctx context.Context, p identity.Principal, ends []*Counterparty) error {
	var accountIDs []string
	for _, end := range ends {
		if strings.HasPrefix(end.AccountID, housePrefix) {
			end.AccountID = ""
		}
		if end.AccountID != "" {
			accountIDs = append(accountIDs, end.AccountID)
		}
	}
	if len(accountIDs) == 0 {
		return nil
	}
	slices.Sort(accountIDs)
	owners, err := w.queries.OwnersOfAccounts(ctx, slices.Compact(accountIDs))
	if err != nil {
		return fmt.Errorf("read counterparties: %w", err)
	}
	ownerOf := make(map[string]walletdb.OwnersOfAccountsRow, len(owners))
	for _, owner := range owners {
		ownerOf[owner.AccountID] = owner
	}
	for _, end := range ends {
		owner := ownerOf[end.AccountID]
		end.Name, end.IsSelf = shownName(owner.Name), owner.OwnerID == p.UserID
	}
	return nil
}

// sent is a transfer that the user has just made, with the failure that is
// returned beside it.
func (w *Wallets) sent(ctx context.Context, p identity.Principal, t ledger.Transfer, failure error) (Transaction, error) {
	shown := transactionOf(&t, true)
	if err := w.nameCounterparty(ctx, p, &shown); err != nil {
		return Transaction{}, err
	}
	return shown, failure
}

// shownPayment is a payment with the failure that is returned beside it.
func (w *Wallets) shownPayment(ctx context.Context, p identity.Principal, pay payment) (Transaction, error) {
	shown := pay.transaction()
	if err := w.nameCounterparty(ctx, p, &shown); err != nil {
		return Transaction{}, err
	}
	return shown, pay.failure()
}
