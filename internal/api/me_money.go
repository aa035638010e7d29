package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/wallet"
)

// MyTransaction is money that came to the user or left him.
type MyTransaction struct {
	TransactionID  string       `json:"transactionId" example:"txn_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Type           string       `json:"type" enum:"SENT,RECEIVED"`
	Kind           string       `json:"kind" enum:"TRANSFER,DEPOSIT,WITHDRAWAL,OPENING,REVERSAL"`
	Status         string       `json:"status" enum:"PENDING,IN_REVIEW,COMPLETED,FAILED" doc:"PENDING and IN_REVIEW end as one of the others; what leaves the account is reserved until then."`
	AccountID      string       `json:"accountId" doc:"The user's own."`
	Counterparty   Counterparty `json:"counterparty"`
	Amount         Money        `json:"amount" doc:"Above zero."`
	Currency       string       `json:"currency" doc:"ISO 4217." example:"USD"`
	Description    string       `json:"description,omitempty"`
	FailureCode    string       `json:"failureCode,omitempty" doc:"Why it FAILED."`
	FailureMessage string       `json:"failureMessage,omitempty"`
	CreatedAt      time.Time    `json:"createdAt"`
	CompletedAt    *time.Time   `json:"completedAt,omitempty" doc:"When it was completed or failed."`
}

// Counterparty is who is at the other end.
type Counterparty struct {
	Name            string `json:"name,omitempty" doc:"Shortened. Absent for the house, and for who has left." example:"Bob B."`
	AccountID       string `json:"accountId,omitempty"`
	LinkedAccountID string `json:"linkedAccountId,omitempty" doc:"Of a deposit or withdrawal that is under way."`
	IsSelf          bool   `json:"isSelf" doc:"The user's own other account."`
}

func counterpartyOf(c wallet.Counterparty) Counterparty {
	return Counterparty{Name: c.Name, AccountID: c.AccountID, LinkedAccountID: c.LinkedAccountID, IsSelf: c.IsSelf}
}

func myTransactionOf(t wallet.Transaction) MyTransaction {
	return MyTransaction{
		TransactionID: t.ID, Type: string(t.Direction), Kind: string(t.Kind), Status: string(t.Status), AccountID: t.AccountID,
		Counterparty: counterpartyOf(t.Counterparty), Amount: moneyOf(t.Amount, t.Currency), Currency: string(t.Currency),
		Description: t.Description, FailureCode: t.FailureCode, FailureMessage: t.FailureMessage,
		CreatedAt: t.CreatedAt, CompletedAt: t.FinishedAt,
	}
}

// MyTransactionList is a page of the user's transactions.
type MyTransactionList struct {
	Data       []MyTransaction `json:"data" nullable:"false"`
	NextCursor string          `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last. A page may be shorter than asked for and have a next one."`
}

// MyAccountList is all accounts of the user.
type MyAccountList struct {
	Data []Account `json:"data" nullable:"false"`
}

// StatementLine is one posting of a statement.
type StatementLine struct {
	At            time.Time    `json:"at"`
	TransactionID string       `json:"transactionId"`
	Kind          string       `json:"kind" enum:"TRANSFER,DEPOSIT,WITHDRAWAL,OPENING,REVERSAL"`
	Counterparty  Counterparty `json:"counterparty"`
	Description   string       `json:"description,omitempty"`
	Amount        Money        `json:"amount" doc:"What came is positive, what went negative."`
	Balance       Money        `json:"balance" doc:"After it."`
}

// AccountStatement is what happened on an account in a period, as of one moment.
type AccountStatement struct {
	AccountID      string          `json:"accountId"`
	Currency       string          `json:"currency" doc:"ISO 4217."`
	From           time.Time       `json:"from"`
	To             time.Time       `json:"to" doc:"Exclusive. What is booked later is not in the statement, however long it is read."`
	OpeningBalance Money           `json:"openingBalance"`
	Data           []StatementLine `json:"data" nullable:"false" doc:"The oldest first."`
	ClosingBalance Money           `json:"closingBalance"`
}

// OpenMyAccountRequest asks for an account of the user's own.
type OpenMyAccountRequest struct {
	AccountType string `json:"accountType,omitempty" enum:"CHECKING,SAVINGS,WALLET,MERCHANT" default:"WALLET" doc:"MERCHANT for merchants alone."`
	Currency    string `json:"currency,omitempty" default:"USD" doc:"ISO 4217, in capitals."`
}

var openMyAccountMembers = []member[OpenMyAccountRequest]{
	{"accountType", false, func(d *decoder, r *OpenMyAccountRequest) { d.readText(&r.AccountType) }},
	{"currency", false, func(d *decoder, r *OpenMyAccountRequest) { d.readText(&r.Currency) }},
}

func (OpenMyAccountRequest) members() []member[OpenMyAccountRequest] { return openMyAccountMembers }

// BankPaymentRequest asks for money to be moved from or to the user's bank.
type BankPaymentRequest struct {
	AccountID       string `json:"accountId" doc:"The user's own."`
	LinkedAccountID string `json:"linkedAccountId" example:"linked_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Amount          Amount `json:"amount" doc:"Above zero."`
	Currency        string `json:"currency,omitempty" doc:"The account's; refused when it is another." example:"USD"`
	Description     string `json:"description,omitempty" maxLength:"500"`
}

var bankPaymentMembers = []member[BankPaymentRequest]{
	{"accountId", true, func(d *decoder, r *BankPaymentRequest) { d.readText(&r.AccountID) }},
	{"linkedAccountId", true, func(d *decoder, r *BankPaymentRequest) { d.readText(&r.LinkedAccountID) }},
	{"amount", true, func(d *decoder, r *BankPaymentRequest) { d.readAmount(&r.Amount) }},
	{"currency", false, func(d *decoder, r *BankPaymentRequest) { d.readText(&r.Currency) }},
	{"description", false, func(d *decoder, r *BankPaymentRequest) { d.readText(&r.Description) }},
}

func (BankPaymentRequest) members() []member[BankPaymentRequest] { return bankPaymentMembers }

// MyTransferRequest asks for money to be paid to somebody.
type MyTransferRequest struct {
	AccountID   string       `json:"accountId" doc:"The user's own, which pays."`
	To          PayeeRequest `json:"to"`
	Amount      Amount       `json:"amount" doc:"Above zero."`
	Currency    string       `json:"currency,omitempty" doc:"The account's; refused when it is another." example:"USD"`
	Description string       `json:"description,omitempty" maxLength:"500" doc:"The payee reads it."`
}

// PayeeRequest names who is paid, in one of three ways.
type PayeeRequest struct {
	UserID    string `json:"userId,omitempty"`
	Email     string `json:"email,omitempty" example:"bob@example.com"`
	AccountID string `json:"accountId,omitempty" doc:"Also one of the user's own."`
}

var payeeMembers = []member[PayeeRequest]{
	{"userId", false, func(d *decoder, r *PayeeRequest) { d.readText(&r.UserID) }},
	{"email", false, func(d *decoder, r *PayeeRequest) { d.readText(&r.Email) }},
	{"accountId", false, func(d *decoder, r *PayeeRequest) { d.readText(&r.AccountID) }},
}

func (PayeeRequest) members() []member[PayeeRequest] { return payeeMembers }

var myTransferMembers = []member[MyTransferRequest]{
	{"accountId", true, func(d *decoder, r *MyTransferRequest) { d.readText(&r.AccountID) }},
	{"to", true, func(d *decoder, r *MyTransferRequest) { decodeObject(d, &r.To) }},
	{"amount", true, func(d *decoder, r *MyTransferRequest) { d.readAmount(&r.Amount) }},
	{"currency", false, func(d *decoder, r *MyTransferRequest) { d.readText(&r.Currency) }},
	{"description", false, func(d *decoder, r *MyTransferRequest) { d.readText(&r.Description) }},
}

func (MyTransferRequest) members() []member[MyTransferRequest] { return myTransferMembers }

type openMyAccountInput struct {
	PaymentKey
	Payload jsonBody[OpenMyAccountRequest]
}

type bankPaymentInput struct {
	PaymentKey
	Payload jsonBody[BankPaymentRequest]
}

type myTransferInput struct {
	PaymentKey
	Payload jsonBody[MyTransferRequest]
}

// PaymentKey makes a repeat safe.
type PaymentKey struct {
	Key string `header:"Idempotency-Key" minLength:"1" maxLength:"255" pattern:"^[!-~]+$" patternDescription:"printable ASCII without blanks" doc:"Makes a repeat safe: the same request under the same key gives the first outcome, another one a 409. Without it each request is another payment. Random values such as UUIDs are best." example:"6f1c2f0e-9a55-4f0e-8a53-6f2f1a6f0f7e"`
}

type listMyTransactionsInput struct {
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"Most rows of the page."`
	Cursor    string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	AccountID ID     `query:"accountId" doc:"One of the user's; all of them when absent."`
	Period
}

type myStatementInput struct {
	AccountID ID `query:"accountId" required:"true" doc:"One of the user's." example:"acc_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Period
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv for spreadsheets: the opening balance stands before the first line, the closing one after the last."`
}

type myTransactionOutput struct {
	Status int
	Body   MyTransaction
}

type myTransactionsOutput struct{ Body MyTransactionList }

type myAccountsOutput struct{ Body MyAccountList }

func (a *api) routeMyMoney() {
	route(a, openMyAccountEndpoint, a.openMyAccount)
	route(a, listMyAccountsEndpoint, a.listMyAccounts)
	route(a, depositEndpoint, a.deposit)
	route(a, withdrawEndpoint, a.withdraw)
	route(a, myTransferEndpoint, a.myTransfer)
	route(a, listMyTransactionsEndpoint, a.listMyTransactions)
	route(a, listMyPendingEndpoint, a.listMyPending)
	route(a, getMyTransactionEndpoint, a.getMyTransaction)
	route(a, myStatementEndpoint, a.myStatement)
}

func (a *api) openMyAccount(ctx context.Context, in *openMyAccountInput) (*accountOutput, error) {
	r := &in.Payload.Value
	account, err := a.wallets.OpenAccount(ctx, *principalOf(ctx), ledger.AccountType(r.AccountType), money.Currency(r.Currency), in.Key)
	if err != nil {
		return nil, err
	}
	return &accountOutput{accountOf(account)}, nil
}

func (a *api) listMyAccounts(ctx context.Context, _ *struct{}) (*myAccountsOutput, error) {
	rows, err := a.wallets.Accounts(ctx, *principalOf(ctx))
	if err != nil {
		return nil, err
	}
	list := MyAccountList{Data: make([]Account, len(rows))}
	for i, row := range rows {
		list.Data[i] = accountOf(row)
	}
	return &myAccountsOutput{list}, nil
}

func (a *api) deposit(ctx context.Context, in *bankPaymentInput) (*myTransactionOutput, error) {
	return a.bankPayment(ctx, in, a.wallets.Deposit)
}

func (a *api) withdraw(ctx context.Context, in *bankPaymentInput) (*myTransactionOutput, error) {
	return a.bankPayment(ctx, in, a.wallets.Withdraw)
}

func (*api) bankPayment(ctx context.Context, in *bankPaymentInput, pay func(context.Context, identity.Principal, wallet.BankPayment) (wallet.Transaction, error)) (*myTransactionOutput, error) {
	r := &in.Payload.Value
	return paid(pay(ctx, *principalOf(ctx), wallet.BankPayment{
		AccountID: r.AccountID, LinkedAccountID: r.LinkedAccountID, Amount: r.Amount.Decimal, Currency: money.Currency(r.Currency),
		Description: r.Description, Key: in.Key,
	}))
}

func (a *api) myTransfer(ctx context.Context, in *myTransferInput) (*myTransactionOutput, error) {
	r := &in.Payload.Value
	return paid(a.wallets.Transfer(ctx, *principalOf(ctx), wallet.TransferRequest{
		From: r.AccountID, To: wallet.Payee{UserID: r.To.UserID, Email: r.To.Email, AccountID: r.To.AccountID},
		Amount: r.Amount.Decimal, Currency: money.Currency(r.Currency), Description: r.Description, Key: in.Key,
	}))
}

// paid answers 201 for what is done, and 202 for what is under way.
func paid(t wallet.Transaction, err error) (*myTransactionOutput, error) {
	if err != nil {
		if t.ID != "" {
			err = recordedFailure{err, ledger.Transfer{ID: t.ID, Status: ledger.TransferStatus(t.Status)}}
		}
		return nil, err
	}
	status := http.StatusCreated
	if t.Status == wallet.Pending || t.Status == wallet.InReview {
		status = http.StatusAccepted
	}
	return &myTransactionOutput{status, myTransactionOf(t)}, nil
}

func (a *api) listMyTransactions(ctx context.Context, in *listMyTransactionsInput) (*myTransactionsOutput, error) {
	page := Page{Cursor: in.Cursor}
	_, before, err := page.transfersBefore()
	if err != nil {
		return nil, err
	}
	found, err := a.wallets.Transactions(ctx, *principalOf(ctx), wallet.TransactionFilter{AccountID: string(in.AccountID), From: in.From, To: in.To}, before, in.Limit)
	if err != nil {
		return nil, err
	}
	list := MyTransactionList{Data: myTransactionsOf(found.Transactions)}
	if next := found.Next; next != nil {
		list.NextCursor = transfersCursor(noSnapshot, ledger.Transfer{ID: next.ID, CreatedAt: next.CreatedAt})
	}
	return &myTransactionsOutput{list}, nil
}

func (a *api) getMyTransaction(ctx context.Context, in *TransactionPath) (*myTransactionOutput, error) {
	t, err := a.wallets.Transaction(ctx, *principalOf(ctx), string(in.TransactionID))
	if err != nil {
		return nil, err
	}
	return &myTransactionOutput{http.StatusOK, myTransactionOf(t)}, nil
}

func (a *api) listMyPending(ctx context.Context, _ *struct{}) (*myTransactionsOutput, error) {
	rows, err := a.wallets.Pending(ctx, *principalOf(ctx))
	if err != nil {
		return nil, err
	}
	return &myTransactionsOutput{MyTransactionList{Data: myTransactionsOf(rows)}}, nil
}

func myTransactionsOf(rows []wallet.Transaction) []MyTransaction {
	list := make([]MyTransaction, len(rows))
	for i, row := range rows {
		list[i] = myTransactionOf(row)
	}
	return list
}

// myStatement writes a statement as it is read: a long one fills no memory.
func (a *api) myStatement(ctx context.Context, in *myStatementInput) (*huma.StreamResponse, error) {
	statement, err := a.wallets.Statement(ctx, *principalOf(ctx), string(in.AccountID), in.From, in.To)
	if err != nil {
		return nil, err
	}
	write, mediaType := writeStatement, "application/json"
	if in.Format == "csv" {
		write = func(ctx context.Context, s *wallet.Statement, out io.Writer) error { return s.WriteCSV(ctx, out) }
		mediaType = "text/csv; charset=utf-8; header=present"
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", mediaType)
		h.SetHeader("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "statement-"+string(in.AccountID)+"-"+statement.From.Format(time.DateOnly)+"."+in.Format))
		out := bufio.NewWriterSize(h.BodyWriter(), 32<<10)
		err := write(ctx, statement, out)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			requestFrom(ctx).err = fmt.Errorf("statement cut off: %w", err)
			panic(http.ErrAbortHandler) // or what was sent would seem to be all of it
		}
	}}, nil
}

func writeStatement(ctx context.Context, s *wallet.Statement, out io.Writer) error {
	currency := s.Account.Currency
	frame := AccountStatement{
		AccountID: s.Account.ID, Currency: string(currency), From: s.From, To: s.To,
		OpeningBalance: moneyOf(s.Opening, currency), Data: []StatementLine{}, ClosingBalance: moneyOf(s.Closing, currency),
	}
	text, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	const end = `],"closingBalance":`
	split := len(text) - len(end) - len(`""}`) - len(frame.ClosingBalance)
	if _, err := out.Write(text[:split]); err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	isFirst := true
	for line, err := range s.Lines(ctx) {
		if err != nil {
			return err
		}
		if !isFirst {
			if _, err := io.WriteString(out, ","); err != nil {
				return err
			}
		}
		isFirst = false
		err := encoder.Encode(StatementLine{
			At: line.At, TransactionID: line.TransactionID, Kind: string(line.Kind), Counterparty: counterpartyOf(line.Counterparty),
			Description: line.Description, Amount: moneyOf(line.Amount, line.Currency), Balance: moneyOf(line.Balance, line.Currency),
		})
		if err != nil {
			return err
		}
	}
	_, err = out.Write(text[split:])
	return err
}
