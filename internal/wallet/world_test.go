package wallet_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
	"florin/internal/platform/seal"
	"florin/internal/risk"
	"florin/internal/wallet"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is a server with a time and a bank of its own. Worlds of one database share
// what is stored.
type world struct {
	*wallet.Wallets
	t      *testing.T
	url    string
	db     *database.DB
	books  *ledger.Ledger
	users  *identity.Users
	rules  *risk.Rules
	linked *identity.LinkedAccounts
	log    *audit.Log
	bank   *testBank
	time   *testTime
	told   *slog.Logger
}

// Secrets of all people in the tests.
const (
	password      = "wobbly lantern 47 orchid"
	accountNumber = "000123456789"
)

// testTime is the present, which tests move.
type testTime struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testTime) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testTime) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// noMail throws away what is written to users.
type noMail struct{}

func (noMail) EnqueueTx(context.Context, pgx.Tx, mail.Message) error { return nil }

// eachWorld runs a test on each engine. Whatever it does, payments and books agree in
// the end.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		test(t, w)
		w.wantSound()
	})
}

// eachFresh is eachWorld with a database of the test's own, for tests that settle
// whatever is due in it.
func eachFresh(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		w := newWorld(t, fresh)
		test(t, w)
		w.wantSound()
	})
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{
		t: t, url: url, db: dbtest.Open(t, url, database.Options{MaxConns: 16}),
		bank: newTestBank(), time: &testTime{now: clock.System()},
	}
	sealingKey := seal.NewKey("test")
	secrets.Register(t, "encryption key", sealingKey)
	secrets.Register(t, "account number", accountNumber)
	secrets.Register(t, "password", password)
	w.told = slog.New(slog.NewTextHandler(secrets.NewLog(t), nil))
	keys, err := seal.Parse(sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	w.log = audit.New(w.db, w.time.Now)
	w.users = identity.NewUsers(w.db, identity.UsersOptions{
		Clock: w.time.Now, Log: w.log, Mail: noMail{}, Sealer: keys, AnswerTime: time.Millisecond, HashConcurrency: 8,
	})
	w.linked = identity.NewLinkedAccounts(w.db, identity.LinkedAccountsOptions{Clock: w.time.Now, Log: w.log, Sealer: keys})
	w.rules = risk.New(w.db, risk.Options{Clock: w.time.Now, Log: w.log})
	w.books = w.ledger()
	w.Wallets = w.replica(w.bank)
	return w
}

// ledger runs one more process's ledger until the test ends.
func (w *world) ledger() *ledger.Ledger {
	w.t.Helper()
	l := ledger.New(w.db, dbtest.Open(w.t, w.url, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: w.time.Now, Log: w.told})
	ctx, stop := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	w.t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return l
}

// replica is one more server on the same database.
func (w *world) replica(bank wallet.Bank) *wallet.Wallets {
	return wallet.New(w.db, w.books, w.users, w.rules, w.linked, bank, wallet.Options{
		Clock: w.time.Now, Log: w.told, Audit: w.log, BankTimeout: 5 * time.Second,
	})
}

// person is a user with a wallet and a bank account.
type person struct {
	identity.Principal
	email    string
	currency string
	account  string // in the currency
	link     string
}

// join makes a user who has a wallet in USD.
func (w *world) join(name string, role identity.Role) *person { return w.joinIn("USD", name, role) }

// joinIn is join in a currency. That of a test's own keeps its rules to it, and its
// house accounts, whose postings never go back in time, from other tests' future.
func (w *world) joinIn(currency, name string, role identity.Role) *person {
	w.t.Helper()
	email := strings.ToLower(id.New("u")) + "@example.com"
	user, err := w.users.Create(w.t.Context(), identity.NewUser{Email: email, Name: name, Password: password, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{
		Principal: identity.Principal{Kind: identity.UserPrincipal, ID: user.ID, UserID: user.ID, Name: name, Role: role},
		email:     email, currency: currency,
	}
	if role.ReachesOwnOnly() {
		p.OwnerID = user.ID
	}
	p.account = w.open(p, currency)
	link, err := w.linked.Add(w.t.Context(), user.ID, identity.NewLinkedAccount{
		Kind: identity.USAccount, BankName: "Bank of Test", RoutingNumber: "021000021", AccountNumber: accountNumber,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.link = link.ID
	return p
}

func (w *world) open(p *person, currency string) string {
	w.t.Helper()
	account, err := w.OpenAccount(w.as(p), p.Principal, ledger.Wallet, moneyOf(currency), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return account.ID
}

// grown is join, a month ago: young accounts are watched more closely.
func (w *world) grown(balance string, names ...string) []*person {
	return w.grownIn("USD", balance, names...)
}

func (w *world) grownIn(currency, balance string, names ...string) []*person {
	w.t.Helper()
	people := make([]*person, len(names))
	for i, name := range names {
		people[i] = w.joinIn(currency, name, identity.Customer)
	}
	w.time.pass(31 * 24 * time.Hour)
	for _, p := range people {
		if balance != "0" {
			w.fund(p.account, balance)
		}
	}
	return people
}

// fund puts money of the house's into an account.
func (w *world) fund(accountID, amount string) {
	w.t.Helper()
	account, err := w.books.Account(w.t.Context(), accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	house := "house:test:" + string(account.Currency)
	if _, err := w.books.OpenHouse(w.t.Context(), house, ledger.Equity, account.Currency); err != nil {
		w.t.Fatal(err)
	}
	_, err = w.books.Transfer(w.t.Context(), ledger.TransferRequest{
		ID: id.New("fund"), SourceAccountID: house, DestinationAccountID: accountID, Amount: dec(amount),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// as is the context of a request by a person.
func (w *world) as(p *person) context.Context {
	return audit.With(w.t.Context(), audit.Origin{
		ActorKind: "user", ActorID: p.ID, Role: string(p.Role), Address: "192.0.2.7", RequestID: id.New("req"),
	})
}

func (w *world) wantBalance(accountID, posted, held string) {
	w.t.Helper()
	account, err := w.books.Account(w.t.Context(), accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	if !account.Posted.Equal(dec(posted)) || !account.Held.Equal(dec(held)) {
		w.t.Fatalf("account %s has %s posted and %s held; want %s and %s", accountID, account.Posted, account.Held, posted, held)
	}
}

func (w *world) posted(accountID string) decimal.Decimal {
	w.t.Helper()
	account, err := w.books.Account(w.t.Context(), accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	return account.Posted
}

// wantEvents checks that the audit trail has these actions about a target.
func (w *world) wantEvents(targetID string, actions ...string) {
	w.t.Helper()
	found, err := w.log.Search(w.t.Context(), audit.Filter{TargetID: targetID}, audit.Position{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, record := range found.Records {
		got = append(got, record.Action+" "+record.Result)
	}
	for _, action := range actions {
		if !strings.Contains(strings.Join(got, "\n"), action) {
			w.t.Fatalf("the audit trail of %s has %q; want %q", targetID, got, action)
		}
	}
}

func (p *person) transfer(to wallet.Payee, amount, key string) wallet.TransferRequest {
	return wallet.TransferRequest{From: p.account, To: to, Amount: dec(amount), Currency: moneyOf(p.currency), Description: "lunch", Key: key}
}

func (p *person) bankPayment(amount, key string) wallet.BankPayment {
	return wallet.BankPayment{AccountID: p.account, LinkedAccountID: p.link, Amount: dec(amount), Currency: moneyOf(p.currency), Description: "savings", Key: key}
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// want ends the test on an error, and checks the status.
func want(t *testing.T, got wallet.Transaction, err error, status wallet.Status) wallet.Transaction {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v; want %s", err, status)
	}
	if got.Status != status || got.ID == "" {
		t.Fatalf("got %+v; want %s", got, status)
	}
	return got
}

// wantCode checks a refusal's code, whichever module's it is.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := codeOf(err); got != code {
		t.Fatalf("got %v; want %s", err, code)
	}
}

func codeOf(err error) string {
	var own *wallet.Failure
	var books *ledger.Failure
	var judged *risk.Failure
	var input *ledger.InvalidInput
	switch {
	case errors.As(err, &own):
		return string(own.Code)
	case errors.As(err, &books):
		return string(books.Code)
	case errors.As(err, &judged):
		return string(judged.Code)
	case errors.As(err, &input):
		return "invalid " + input.Fields[0].Field
	}
	return ""
}
