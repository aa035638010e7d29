package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Account is an account in an answer.
type Account struct {
	AccountID      string    `json:"accountId" doc:"The account's id." example:"alice"`
	AccountType    string    `json:"accountType" enum:"CHECKING,SAVINGS,WALLET,MERCHANT,ASSET,LIABILITY,EQUITY,REVENUE,EXPENSE" doc:"The first four are customers', the others the house's."`
	Currency       string    `json:"currency" doc:"ISO 4217." example:"USD"`
	Status         string    `json:"status" enum:"ACTIVE,FROZEN,CLOSED" doc:"A FROZEN account neither pays nor receives; a CLOSED one is closed for good."`
	Balance        Money     `json:"balance" doc:"Sum of the account's postings."`
	Held           Money     `json:"held" doc:"Sum of its pending holds."`
	Available      *Money    `json:"available" nullable:"true" doc:"What it can pay: balance - held + overdraftLimit. null: without limit."`
	OverdraftLimit *Money    `json:"overdraftLimit" nullable:"true" doc:"How far available funds may reach below zero. null: without limit (house accounts)."`
	TransferLimit  *Money    `json:"transferLimit" nullable:"true" doc:"Most that it may pay at a time, its own limit in place of the payer's. null: none of its own."`
	DailyLimit     *Money    `json:"dailyLimit" nullable:"true" doc:"Most that it may pay in a day (UTC), its own limit in place of the payer's. null: none of its own."`
	OwnerID        string    `json:"ownerId,omitempty" doc:"The user whose account it is, for good. Absent: nobody's." example:"usr_w3m5x2k4z6n2p7r5t3v6y4a2q7"`
	Metadata       Metadata  `json:"metadata"`
	HomeRegion     string    `json:"homeRegion,omitempty" doc:"Where the account's rows live. Absent in a database without regions, and for an account that was opened before there were any." example:"us-east-1"`
	Version        int64     `json:"version" doc:"Counts the account's changes; its opening balance is one."`
	CreatedAt      time.Time `json:"createdAt" doc:"When it was opened."`
	UpdatedAt      time.Time `json:"updatedAt" doc:"When it last changed."`
}

func accountOf(a ledger.Account) Account {
	return Account{
		AccountID: a.ID, AccountType: string(a.Type), Currency: string(a.Currency), Status: string(a.Status),
		Balance: moneyOf(a.Posted, a.Currency), Held: moneyOf(a.Held, a.Currency),
		Available:      optionalMoneyOf(a.Available(), a.Currency),
		OverdraftLimit: optionalMoneyOf(a.OverdraftLimit, a.Currency),
		TransferLimit:  optionalMoneyOf(a.TransferLimit, a.Currency), DailyLimit: optionalMoneyOf(a.DailyLimit, a.Currency), OwnerID: a.OwnerID,
		Metadata: Metadata(a.Metadata), HomeRegion: a.HomeRegion, Version: a.Version, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}

// OpenAccountRequest asks for an account. All is optional.
type OpenAccountRequest struct {
	AccountID      ID       `json:"accountId,omitempty" doc:"Made by the server when absent." example:"alice"`
	Balance        Amount   `json:"balance,omitempty" doc:"Above zero it is booked as a transfer from the house's opening account, and needs transfers:write. Default 0."`
	AccountType    string   `json:"accountType,omitempty" enum:"CHECKING,SAVINGS,WALLET,MERCHANT,ASSET,LIABILITY,EQUITY,REVENUE,EXPENSE" default:"CHECKING" doc:"Whose money it holds."`
	Currency       string   `json:"currency,omitempty" default:"USD" doc:"ISO 4217, in capitals."`
	OverdraftLimit Amount   `json:"overdraftLimit,omitempty" doc:"How far available funds may reach below zero. Default 0; without limit for house accounts. Above zero it needs limits:write for a customer's account, and of people a proof."`
	OwnerID        ID       `json:"ownerId,omitempty" doc:"The user whose account it will be, for good; customers' accounts only. Nobody's when absent." example:"usr_w3m5x2k4z6n2p7r5t3v6y4a2q7"`
	Metadata       Metadata `json:"metadata,omitempty"`
	HomeRegion     string   `json:"homeRegion,omitempty" doc:"A region of the database, for good. Default: the region of the server that is asked." example:"us-east-1"`
}

var openAccountMembers = []member[OpenAccountRequest]{
	{"accountId", false, func(d *decoder, r *OpenAccountRequest) { d.readText((*string)(&r.AccountID)) }},
	{"balance", false, func(d *decoder, r *OpenAccountRequest) { d.readAmount(&r.Balance) }},
	{"accountType", false, func(d *decoder, r *OpenAccountRequest) { d.readText(&r.AccountType) }},
	{"currency", false, func(d *decoder, r *OpenAccountRequest) { d.readText(&r.Currency) }},
	{"overdraftLimit", false, func(d *decoder, r *OpenAccountRequest) { d.readAmount(&r.OverdraftLimit) }},
	{"ownerId", false, func(d *decoder, r *OpenAccountRequest) { d.readText((*string)(&r.OwnerID)) }},
	{"metadata", false, func(d *decoder, r *OpenAccountRequest) { d.readMetadata(&r.Metadata) }},
	{"homeRegion", false, func(d *decoder, r *OpenAccountRequest) { d.readText(&r.HomeRegion) }},
}

func (OpenAccountRequest) members() []member[OpenAccountRequest] { return openAccountMembers }

// UpdateAccountRequest changes what is not a balance. What is absent stays.
type UpdateAccountRequest struct {
	Status         string      `json:"status,omitempty" enum:"ACTIVE,FROZEN" doc:"FROZEN to freeze, ACTIVE to unfreeze. Needs accounts:freeze."`
	OverdraftLimit Amount      `json:"overdraftLimit,omitempty" doc:"Not below what is used of it. Needs accounts:write; to raise it also limits:write, and of people a proof."`
	TransferLimit  AmountLimit `json:"transferLimit,omitempty" doc:"Most that the account may pay at a time. Needs limits:write."`
	DailyLimit     AmountLimit `json:"dailyLimit,omitempty" doc:"Most that the account may pay in a day (UTC). Needs limits:write."`
	Metadata       Metadata    `json:"metadata,omitempty" doc:"Needs accounts:write. Merged into the account's (RFC 7396): a key with null is taken away."`
}

var updateAccountMembers = []member[UpdateAccountRequest]{
	{"status", false, func(d *decoder, r *UpdateAccountRequest) { d.readText(&r.Status) }},
	{"overdraftLimit", false, func(d *decoder, r *UpdateAccountRequest) { d.readAmount(&r.OverdraftLimit) }},
	{"transferLimit", false, func(d *decoder, r *UpdateAccountRequest) { d.readAmountLimit(&r.TransferLimit) }},
	{"dailyLimit", false, func(d *decoder, r *UpdateAccountRequest) { d.readAmountLimit(&r.DailyLimit) }},
	{"metadata", false, func(d *decoder, r *UpdateAccountRequest) { d.readMetadata(&r.Metadata) }},
}

func (UpdateAccountRequest) members() []member[UpdateAccountRequest] { return updateAccountMembers }

// AccountPath names an account.
type AccountPath struct {
	AccountID ID `path:"accountId" doc:"The account's id." example:"alice"`
}

type openAccountInput struct {
	IdempotencyKey
	Payload jsonBody[OpenAccountRequest]
}

type updateAccountInput struct {
	AccountPath
	Payload jsonBody[UpdateAccountRequest]
}

type listAccountsInput struct {
	Page
	AccountType string `query:"accountType" enum:"CHECKING,SAVINGS,WALLET,MERCHANT,ASSET,LIABILITY,EQUITY,REVENUE,EXPENSE" doc:"Of this type only."`
	Status      string `query:"status" enum:"ACTIVE,FROZEN,CLOSED" doc:"Of this status only."`
	Currency    string `query:"currency" pattern:"^[A-Z]{3}$" patternDescription:"an ISO 4217 code in capitals" doc:"In this currency only." example:"USD"`
	OwnerID     ID     `query:"ownerId" doc:"Of this user only." example:"usr_w3m5x2k4z6n2p7r5t3v6y4a2q7"`
	Metadata    string `query:"metadata" maxLength:"2000" doc:"A JSON object, percent-encoded as any parameter: only accounts whose metadata contains all of it." example:"{\"customer\":\"42\"}"`
}

type balanceInput struct {
	AccountPath
	At time.Time `query:"at" doc:"The time asked about (RFC 3339), not in the future; now when absent." example:"2026-01-31T23:59:59Z"`
}

type listPostingsInput struct {
	AccountPath
	Page
	Period
}

type accountOutput struct{ Body Account }

type openedAccountOutput struct {
	Location string `header:"Location" doc:"Path of the account."`
	Body     Account
}

type accountsOutput struct{ Body AccountList }

// AccountList is a page of accounts.
type AccountList struct {
	Data []Account `json:"data" nullable:"false"`
	PageInfo
}

type messageOutput struct{ Body Message }

// Message is an answer for people.
type Message struct {
	Message string `json:"message"`
}

type balanceOutput struct{ Body Balance }

// Balance is what an account had at a time.
type Balance struct {
	AccountID string    `json:"accountId"`
	Currency  string    `json:"currency" doc:"ISO 4217."`
	At        time.Time `json:"at" doc:"The time that was asked about."`
	Balance   Money     `json:"balance" doc:"Sum of the postings up to and including that time."`
	Postings  int64     `json:"postings" doc:"How many those are: the seq of the newest."`
}

type postingsOutput struct{ Body PostingList }

// PostingList is a page of an account's postings.
type PostingList struct {
	Data []Posting `json:"data" nullable:"false"`
	PageInfo
}

func (a *api) routeAccounts() {
	route(a, openAccountEndpoint, a.openAccount)
	route(a, listAccountsEndpoint, a.listAccounts)
	route(a, getAccountEndpoint, a.getAccount)
	route(a, updateAccountEndpoint, a.updateAccount)
	route(a, closeAccountEndpoint, a.closeAccount)
	route(a, getBalanceEndpoint, a.getBalance)
	route(a, listPostingsEndpoint, a.listPostings)
}

func (a *api) openAccount(ctx context.Context, in *openAccountInput) (*openedAccountOutput, error) {
	r := &in.Payload.Value
	if err := a.permitOpening(ctx, r); err != nil {
		return nil, err
	}
	open := ledger.OpenAccount{
		ID: in.id(ctx, "acc", r.AccountID), Type: ledger.AccountType(r.AccountType), Currency: money.Currency(r.Currency),
		Balance: r.Balance.Decimal, OverdraftLimit: r.OverdraftLimit.NullDecimal, Metadata: json.RawMessage(r.Metadata),
		HomeRegion: r.HomeRegion, OwnerID: string(r.OwnerID),
	}
	if in.Key != "" {
		open.IdempotencyKey = in.digest(ctx, "account")
	}
	account, err := a.booksFor(ctx).OpenAccount(ctx, open)
	if err != nil {
		return nil, err
	}
	return &openedAccountOutput{Location: "/api/v1/accounts/" + account.ID, Body: accountOf(account)}, nil
}

func (a *api) getAccount(ctx context.Context, in *AccountPath) (*accountOutput, error) {
	account, err := a.booksFor(ctx).Account(ctx, string(in.AccountID))
	if err != nil {
		return nil, err
	}
	return &accountOutput{accountOf(account)}, nil
}

func (a *api) listAccounts(ctx context.Context, in *listAccountsInput) (*accountsOutput, error) {
	at, after, err := in.accountsAfter()
	if err != nil {
		return nil, err
	}
	filter := ledger.AccountFilter{
		Type: ledger.AccountType(in.AccountType), Status: ledger.AccountStatus(in.Status),
		Currency: money.Currency(in.Currency), Metadata: json.RawMessage(in.Metadata), OwnerID: string(in.OwnerID),
	}
	var rows []ledger.Account
	shown, err := a.read(ctx, in.Consistency, at, func(books ledger.View) (err error) {
		rows, err = books.Accounts(ctx, filter, after, in.Limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := AccountList{Data: make([]Account, len(rows)), PageInfo: PageInfo{ReadAt: shown.readAt}}
	for i, row := range rows {
		list.Data[i] = accountOf(row)
	}
	if more {
		list.NextCursor = accountsCursor(shown.snapshot, rows[len(rows)-1])
	}
	return &accountsOutput{list}, nil
}

func (a *api) updateAccount(ctx context.Context, in *updateAccountInput) (*accountOutput, error) {
	r := &in.Payload.Value
	if err := a.permitUpdate(ctx, r); err != nil {
		return nil, err
	}
	update := ledger.UpdateAccount{
		ID: string(in.AccountID), Metadata: json.RawMessage(r.Metadata),
		TransferLimit: r.TransferLimit.asked(), DailyLimit: r.DailyLimit.asked(),
	}
	if r.Status != "" {
		status := ledger.AccountStatus(r.Status)
		update.Status = &status
	}
	if r.OverdraftLimit.Valid {
		update.OverdraftLimit = &r.OverdraftLimit.Decimal
	}
	// A raise is found under the account's lock, so that none slips in between.
	update.LowersOnly = a.needsSecondPerson(approval.LimitRaise) || a.requireSensitive(ctx, identity.LimitsWrite) != nil
	account, err := a.booksFor(ctx).UpdateAccount(ctx, update)
	if errors.Is(err, ledger.ErrLimitRaised) {
		err = a.raiseLimits(ctx, update)
	}
	if err != nil {
		return nil, err
	}
	return &accountOutput{accountOf(account)}, nil
}

// raiseLimits asks for the second person whom a raise of an account's own limits
// needs; it is made by a request of its own, since what is approved is all that is
// done. It returns why the raise is not done now.
func (a *api) raiseLimits(ctx context.Context, update ledger.UpdateAccount) error {
	if err := a.requireSensitive(ctx, identity.LimitsWrite); err != nil {
		return err
	}
	if !a.needsSecondPerson(approval.LimitRaise) {
		return proofRequired() // it was found missing, and given since
	}
	if update.Status != nil || update.Metadata != nil {
		field := "transferLimit"
		if update.TransferLimit == nil && update.DailyLimit == nil {
			field = "overdraftLimit"
		}
		return invalidField(field, "must be raised by a request of its own: it needs a second person")
	}
	raise := limitRaise{AccountID: update.ID, PerTransfer: raisedTo(update.TransferLimit), Daily: raisedTo(update.DailyLimit)}
	if update.OverdraftLimit != nil {
		raise.Overdraft = &raisedLimit{decimal.NewNullDecimal(*update.OverdraftLimit)}
	}
	return a.secondPerson(ctx, approval.LimitRaise, update.ID, raise)
}

// permitOpening asks for more than to open accounts of those who give them money,
// or credit.
func (a *api) permitOpening(ctx context.Context, r *OpenAccountRequest) error {
	if r.Balance.Decimal.IsPositive() {
		if err := require(ctx, identity.TransfersWrite); err != nil {
			return err
		}
	}
	if !r.OverdraftLimit.Decimal.IsPositive() || ledger.AccountType(r.AccountType).IsHouse() {
		return nil // a house account is without limit unless it is given one
	}
	if err := a.requireSensitive(ctx, identity.LimitsWrite); err != nil {
		return err
	}
	if a.needsSecondPerson(approval.LimitRaise) {
		return invalidField("overdraftLimit", "must be raised when the account is open: it needs a second person")
	}
	return nil
}

// permitUpdate asks for the permission of each part of the request.
func (a *api) permitUpdate(ctx context.Context, r *UpdateAccountRequest) error {
	var err error
	if r.Status != "" {
		err = require(ctx, identity.AccountsFreeze)
	}
	if err == nil && (r.OverdraftLimit.Valid || r.Metadata != nil) {
		err = require(ctx, identity.AccountsWrite)
	}
	if err == nil && (r.TransferLimit.IsGiven || r.DailyLimit.IsGiven) {
		err = a.requireSensitive(ctx, identity.LimitsWrite)
	}
	return err
}

func (a *api) closeAccount(ctx context.Context, in *AccountPath) (*messageOutput, error) {
	if _, err := a.booksFor(ctx).CloseAccount(ctx, string(in.AccountID)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"Account deleted successfully."}}, nil
}

func (a *api) getBalance(ctx context.Context, in *balanceInput) (*balanceOutput, error) {
	at := in.At.UTC()
	var account ledger.Account
	var err error
	if at.IsZero() {
		// As it is, not as of this replica's clock, which may be behind another's.
		account, err = a.booksFor(ctx).Account(ctx, string(in.AccountID))
		at = clock.System()
	} else {
		account, err = a.booksFor(ctx).BalanceAt(ctx, string(in.AccountID), at)
	}
	if err != nil {
		return nil, err
	}
	return &balanceOutput{Balance{
		AccountID: account.ID, Currency: string(account.Currency), At: at,
		Balance: moneyOf(account.Posted, account.Currency), Postings: account.Postings,
	}}, nil
}

func (a *api) listPostings(ctx context.Context, in *listPostingsInput) (*postingsOutput, error) {
	at, before, err := in.postingsBefore(string(in.AccountID))
	if err != nil {
		return nil, err
	}
	rows, shown, err := a.readPostings(ctx, in, at, before)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := PostingList{Data: postingsOf(rows), PageInfo: PageInfo{ReadAt: shown.readAt}}
	if more {
		list.NextCursor = postingsCursor(shown.snapshot, rows[len(rows)-1])
	}
	return &postingsOutput{list}, nil
}

// readPostings reads as read does; postings have snapshots on every engine.
func (a *api) readPostings(ctx context.Context, in *listPostingsInput, at database.Timestamp, before int64) (rows []ledger.Posting, shown pageTime, err error) {
	if in.isSnapshot() {
		rows, at, err = a.booksFor(ctx).PostingsSnapshot(ctx, at, string(in.AccountID), in.From, in.To, before, in.Limit+1)
		return rows, snapshotTime(at), err
	}
	shown, err = a.read(ctx, in.Consistency, at, func(books ledger.View) (err error) {
		rows, err = books.Postings(ctx, string(in.AccountID), in.From, in.To, before, in.Limit+1)
		return err
	})
	return rows, shown, err
}
