package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/money"
)

const (
	demoDays = 90
	// demoSeed makes the demo the same everywhere.
	demoSeed = 20
	// demoLast is the demo's last transfer: when it is there, all of it is.
	demoLast = "demo-frozen"
)

// demoAccount is one line of the demo's cast. Balance is in minor units.
type demoAccount struct {
	id       string
	kind     ledger.AccountType
	currency money.Currency
	balance  int64
	name     string
}

var demoAccounts = []demoAccount{
	{"alice", ledger.Checking, "USD", 4_250_00, "Alice Moreau"},
	{"alice-savings", ledger.Savings, "USD", 12_000_00, "Alice Moreau"},
	{"bob", ledger.Checking, "USD", 1_830_50, "Bob Lindqvist"},
	{"bob-wallet", ledger.Wallet, "USD", 120_00, "Bob Lindqvist"},
	{"carol", ledger.Checking, "USD", 2_975_25, "Carol Okafor"},
	{"carol-savings", ledger.Savings, "USD", 30_500_00, "Carol Okafor"},
	{"dave", ledger.Checking, "USD", 940_00, "Dave Petrov"},
	{"erin", ledger.Wallet, "USD", 410_75, "Erin Walsh"},
	{"frank", ledger.Wallet, "USD", 385_00, "Frank Adeyemi"},
	{"grace", ledger.Checking, "USD", 6_120_00, "Grace Hsu"},
	{"heidi", ledger.Wallet, "USD", 250_00, "Heidi Braun"},
	{"ivan", ledger.Wallet, "USD", 530_00, "Ivan Kovac"},
	{"mallory", ledger.Checking, "USD", 777_00, "Mallory Finch"},
	{"olivia", ledger.Checking, "USD", 3_300_00, "Olivia Santos"},
	{"acme-payroll", ledger.Checking, "USD", 250_000_00, "Acme Inc."},
	{"coffee-shop", ledger.Merchant, "USD", 0, "Corner Coffee"},
	{"bookstore", ledger.Merchant, "USD", 0, "Paper & Ink Books"},
	{"grocery", ledger.Merchant, "USD", 0, "Green Grocery"},
	{"bike-shop", ledger.Merchant, "USD", 0, "Spoke Bikes"},
	{"cinema", ledger.Merchant, "USD", 0, "Rialto Cinema"},
	{"hotel", ledger.Merchant, "USD", 0, "Harbour Hotel"},
	{"landlord", ledger.Merchant, "USD", 0, "Elm Street Homes"},

	{"claire", ledger.Checking, "EUR", 3_480_00, "Claire Dubois"},
	{"hans", ledger.Checking, "EUR", 2_110_00, "Hans Keller"},
	{"lucia", ledger.Wallet, "EUR", 640_00, "Lucía Romero"},
	{"marco", ledger.Wallet, "EUR", 520_00, "Marco Ricci"},
	{"boulangerie", ledger.Merchant, "EUR", 0, "Boulangerie du Port"},
	{"trattoria", ledger.Merchant, "EUR", 0, "Trattoria Ricci"},
	{"railways", ledger.Merchant, "EUR", 0, "Transeuropa Rail"},

	{"kenji", ledger.Checking, "JPY", 482_000, "Kenji Sato"},
	{"yuki", ledger.Checking, "JPY", 355_000, "Yuki Tanaka"},
	{"hana", ledger.Wallet, "JPY", 98_000, "Hana Mori"},
	{"ramen-bar", ledger.Merchant, "JPY", 0, "Ramen Bar Ichi"},
	{"konbini", ledger.Merchant, "JPY", 0, "Konbini 24"},

	{"nigel", ledger.Checking, "GBP", 1_960_00, "Nigel Carter"},
	{"fiona", ledger.Wallet, "GBP", 430_00, "Fiona Reid"},
	{"pub", ledger.Merchant, "GBP", 0, "The Crown"},

	{"fees-usd", ledger.Revenue, "USD", 0, "Card fees"},
	{"fees-eur", ledger.Revenue, "EUR", 0, "Card fees"},
	{"cashback-fund", ledger.Expense, "USD", 0, "Cashback paid to customers"},
}

// demoPayment is what happens again and again: somebody pays somebody, now and
// then, between least and most minor units.
type demoPayment struct {
	from, to    []string
	least, most int64
	everyDays   float64
	description string
}

var demoPayments = []demoPayment{
	{demoStaff, []string{"coffee-shop"}, 3_20, 9_80, 1.1, "Coffee"},
	{demoStaff, []string{"grocery"}, 12_00, 86_00, 1.4, "Groceries"},
	{demoStaff, []string{"bookstore"}, 9_00, 45_00, 6, "Books"},
	{demoStaff, []string{"cinema"}, 11_00, 38_00, 7, "Cinema tickets"},
	{[]string{"alice", "grace"}, []string{"bike-shop"}, 40_00, 320_00, 20, "Bike repair"},
	{[]string{"bob", "carol", "dave"}, []string{"erin", "frank", "heidi", "ivan"}, 5_00, 60_00, 4, "Dinner, my share"},
	{[]string{"claire", "hans"}, []string{"boulangerie"}, 2_10, 14_50, 2, "Bread"},
	{[]string{"claire", "hans", "lucia", "marco"}, []string{"trattoria"}, 18_00, 64_00, 6, "Lunch"},
	{[]string{"claire", "hans"}, []string{"railways"}, 29_00, 119_00, 12, "Train ticket"},
	{[]string{"kenji", "yuki", "hana"}, []string{"ramen-bar"}, 850, 2_400, 3, "Ramen"},
	{[]string{"kenji", "yuki", "hana"}, []string{"konbini"}, 180, 3_100, 2.5, "Konbini"},
	{[]string{"nigel", "fiona"}, []string{"pub"}, 4_60, 27_00, 4, "A round"},
	{[]string{"cashback-fund"}, []string{"alice", "carol", "grace", "erin"}, 20, 4_50, 5, "Cashback"},
	{[]string{"coffee-shop", "grocery"}, []string{"fees-usd"}, 30, 1_20, 5, "Card fee"},
	{[]string{"boulangerie"}, []string{"fees-eur"}, 10, 60, 15, "Card fee"},
}

var demoStaff = []string{"alice", "bob", "carol", "dave", "grace", "olivia"}

// Demo fills in a small world to look at: some forty accounts in four
// currencies, some hundred transfers over the three months before the first
// run, a hold that is pending, a frozen account, transfers that failed, and one
// that was reversed.
//
// Calling it again changes nothing once it is complete, whatever was done to
// the accounts since, and finishes it after an interruption. An account id that
// is taken by an account of another making is used as it is.
func Demo(ctx context.Context, l *ledger.Ledger) error {
	switch _, err := l.TransferByID(ctx, demoLast); {
	case err == nil:
		return nil
	case !errors.Is(err, ledger.TransactionNotFound.Failure("")):
		return err
	}
	if err := openDemoAccounts(ctx, l); err != nil {
		return err
	}
	// The day that the first run began, so that a second one asks for the same.
	first, err := l.Account(ctx, demoAccounts[0].id)
	if err != nil {
		return err
	}
	today := first.CreatedAt.Truncate(24 * time.Hour)
	if _, err := l.TransferBatch(ctx, demoTransfers(today), false); err != nil {
		return fmt.Errorf("transfers: %w", err)
	}
	return demoEvents(ctx, l, today)
}

func openDemoAccounts(ctx context.Context, l *ledger.Ledger) error {
	errs := make([]error, len(demoAccounts))
	var opening sync.WaitGroup
	for i, a := range demoAccounts {
		opening.Go(func() {
			_, err := l.OpenAccount(ctx, ledger.OpenAccount{
				ID: a.id, Type: a.kind, Currency: a.currency, Balance: minorUnits(a.balance, a.currency),
				Metadata: object("name", a.name), IdempotencyKey: "demo",
			})
			if err != nil && !errors.Is(err, ledger.AccountExists.Failure("")) {
				errs[i] = fmt.Errorf("account %s: %w", a.id, err)
			}
		})
	}
	opening.Wait()
	return errors.Join(errs...)
}

// demoTransfers are the transfers of the days before today, in the order of
// time; nobody pays what they don't have.
func demoTransfers(today time.Time) []ledger.TransferRequest {
	currencies, balances := map[string]money.Currency{}, map[string]int64{}
	for _, a := range demoAccounts {
		currencies[a.id], balances[a.id] = a.currency, a.balance
		if a.kind.IsHouse() {
			balances[a.id] = math.MaxInt64 / 2
		}
	}
	var transfers []ledger.TransferRequest
	for _, p := range demoMovements(today) {
		if balances[p.from] < p.amount {
			continue
		}
		balances[p.from] -= p.amount
		balances[p.to] += p.amount
		currency := currencies[p.from]
		transfers = append(transfers, ledger.TransferRequest{
			ID:              fmt.Sprintf("demo-%04d", len(transfers)+1),
			SourceAccountID: p.from, DestinationAccountID: p.to,
			Amount: minorUnits(p.amount, currency), Currency: currency,
			EffectiveAt: &p.at, Description: p.description,
		})
	}
	return transfers
}

// movement is one wish to pay; amount is in minor units.
type movement struct {
	at          time.Time
	from, to    string
	amount      int64
	description string
}

// demoMovements are in the order of time.
func demoMovements(today time.Time) []movement {
	random := rand.New(rand.NewPCG(demoSeed, 0))
	var all []movement
	for day := today.AddDate(0, 0, -demoDays); day.Before(today); day = day.AddDate(0, 0, 1) {
		month := day.Format("January")
		switch day.Day() {
		case 1:
			for _, tenant := range []string{"alice", "carol", "grace"} {
				all = append(all, movement{day.Add(6 * time.Hour), tenant, "landlord", 1_150_00, "Rent " + month})
			}
		case 25:
			for i, employee := range demoStaff {
				all = append(all, movement{day.Add(7 * time.Hour), "acme-payroll", employee, 2_400_00 + int64(i)*185_50, "Salary " + month})
			}
		case 26:
			all = append(all,
				movement{day.Add(8 * time.Hour), "alice", "alice-savings", 300_00, "Standing order"},
				movement{day.Add(8 * time.Hour), "carol", "carol-savings", 450_00, "Standing order"})
		}
		for _, p := range demoPayments {
			if random.Float64()*p.everyDays > 1 {
				continue
			}
			at := day.Add(8*time.Hour + time.Duration(random.IntN(14*60*60))*time.Second)
			all = append(all, movement{at, pick(random, p.from), pick(random, p.to), p.least + random.Int64N(p.most-p.least+1), p.description})
		}
	}
	slices.SortStableFunc(all, func(a, b movement) int { return a.at.Compare(b.at) })
	return all
}

// demoEvents are what happens once: each step can be repeated.
func demoEvents(ctx context.Context, l *ledger.Ledger, today time.Time) error {
	yesterday := today.Add(-8 * time.Hour)
	transfer := func(id, from, to, amount, description string) error {
		_, err := l.Transfer(ctx, ledger.TransferRequest{
			ID: id, SourceAccountID: from, DestinationAccountID: to, Amount: decimal.RequireFromString(amount),
			EffectiveAt: &yesterday, Description: description,
		})
		if refused := (*ledger.Failure)(nil); errors.As(err, &refused) {
			return nil // some are meant to be
		}
		return err
	}
	steps := []func() error{
		func() error { // more than he has
			return transfer("demo-too-much", "bob-wallet", "bike-shop", "2499.00", "Cargo bike")
		},
		func() error {
			return transfer("demo-double-order", "olivia", "bookstore", "64.90", "Atlas, ordered twice")
		},
		func() error {
			_, err := l.Reverse(ctx, ledger.Reversal{
				ID: "demo-double-order-back", TargetID: "demo-double-order", Description: "Ordered twice by mistake",
			})
			return unlessRefused(err)
		},
		func() error {
			_, err := l.PlaceHold(ctx, ledger.HoldRequest{
				ID: "demo-hotel-deposit", SourceAccountID: "alice", DestinationAccountID: "hotel",
				Amount: decimal.NewFromInt(180), Description: "Hotel deposit",
			})
			return unlessRefused(err)
		},
		func() error {
			frozen := ledger.Frozen
			_, err := l.UpdateAccount(ctx, ledger.UpdateAccount{
				ID: "mallory", Status: &frozen, Metadata: object("note", "frozen while a dispute is looked into"),
			})
			return unlessRefused(err)
		},
		func() error { // refused: mallory is frozen
			return transfer(demoLast, "mallory", "ivan", "700.00", "Loan")
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// unlessRefused lets a rule's refusal pass: somebody has changed the accounts.
func unlessRefused(err error) error {
	if refused := (*ledger.Failure)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// minorUnits is an amount given in the currency's smallest unit.
func minorUnits(amount int64, currency money.Currency) decimal.Decimal {
	return decimal.New(amount, -currency.Decimals())
}

// object is metadata with one field.
func object(key, value string) json.RawMessage {
	return json.RawMessage("{" + strconv.Quote(key) + ":" + quoteJSON(value) + "}")
}

func quoteJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("seed: " + err.Error()) // a string always has a JSON form
	}
	return string(quoted)
}
