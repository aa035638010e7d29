package seed

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"florin/internal/ledger"
	"florin/internal/money"
)

// world is who pays whom: its accounts, and what the planner knows of them.
type world struct {
	prefix    string
	accounts  []account // the house's first, then merchants', then customers'
	customers int
	places    map[money.Currency]*place
}

// place is a currency's part of the world, as indexes of accounts.
type place struct {
	bank, fees, cashback int
	merchants            []int
	// people are the accounts that pay and are paid, the busiest first.
	people []int
}

// account is one account. Amounts are in minor units.
type account struct {
	kind     ledger.AccountType
	currency money.Currency
	customer int // -1: not a customer's
	number   int // among its kind; for customers among the customer's own
	opening  int64
	// spendable is what it surely has, whatever the order in which the last
	// inFlightMax transfers are done.
	spendable int64
	savings   int // a customer's savings account; 0: none
}

var (
	firstNames = []string{"Ana", "Ben", "Chloé", "Dmitri", "Elif", "Farah", "Gus", "Hiro", "Ines", "Jonas", "Keiko", "Luis", "Maya", "Nils", "Oona", "Pavel", "Quinn", "Rosa", "Sami", "Tara", "Uma", "Viktor", "Wen", "Ximena", "Yara", "Zoe"}
	lastNames  = []string{"Abe", "Bauer", "Costa", "Diaz", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen", "Kumar", "López", "Mbeki", "Novak", "Okoye", "Park", "Rossi", "Silva", "Tanaka", "Weber"}
	shopNames  = []string{"Blue Door", "Corner", "Daily", "Evergreen", "Four Winds", "Golden", "Harbour", "Little", "Old Mill", "Sunrise"}
	trades     = []trade{
		{"groceries", "Grocer", 5_00, 95_00}, {"coffee", "Coffee", 2_40, 11_00}, {"books", "Books", 8_00, 60_00},
		{"fuel", "Fuel", 20_00, 90_00}, {"clothes", "Outfitters", 15_00, 220_00}, {"restaurant", "Kitchen", 9_00, 85_00},
		{"electronics", "Electronics", 25_00, 900_00}, {"pharmacy", "Pharmacy", 4_00, 45_00},
	}
)

// trade is what a merchant sells, and for how much, in minor units.
type trade struct {
	category, name string
	least, most    int64
}

// The currencies, by what of the customers and merchants uses them.
var currencyPattern = []money.Currency{"USD", "USD", "EUR", "USD", "USD", "JPY", "USD", "EUR"}

func merchantsOf(accounts int) int { return max(8, accounts/50) }

func newWorld(o Options) *world {
	w := &world{prefix: prefixOf(o), customers: o.Customers, places: map[money.Currency]*place{}}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	add := func(a account) int {
		a.spendable = a.opening
		w.accounts = append(w.accounts, a)
		return len(w.accounts) - 1
	}
	for _, currency := range []money.Currency{"USD", "EUR", "JPY"} {
		w.places[currency] = &place{
			bank:     add(account{kind: ledger.Asset, currency: currency, customer: -1}),
			fees:     add(account{kind: ledger.Revenue, currency: currency, customer: -1}),
			cashback: add(account{kind: ledger.Expense, currency: currency, customer: -1}),
		}
	}
	merchants := merchantsOf(o.Accounts)
	for m := range merchants {
		currency := currencyPattern[m%len(currencyPattern)]
		p := w.places[currency]
		p.merchants = append(p.merchants, add(account{kind: ledger.Merchant, currency: currency, customer: -1, number: m}))
	}
	first := len(w.accounts)
	kinds := []ledger.AccountType{ledger.Checking, ledger.Savings, ledger.Wallet}
	for i := range o.Accounts - merchants {
		customer, number := i%o.Customers, i/o.Customers
		a := account{
			kind: kinds[number%len(kinds)], currency: currencyPattern[customer%len(currencyPattern)],
			customer: customer, number: number, opening: 200_00 + random.Int64N(9_800_00),
		}
		at := add(a)
		if a.kind != ledger.Savings {
			w.places[a.currency].people = append(w.places[a.currency].people, at)
		} else if checking := first + customer; w.accounts[checking].savings == 0 {
			w.accounts[checking].savings = at
		}
	}
	return w
}

// prefixOf begins the ids of a run: options that give other data give other ids.
func prefixOf(o Options) string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Seed, o.Accounts, o.Customers, o.Transfers, o.Months, o.Failures)
	return fmt.Sprintf("seed%d-%s", o.Seed, idText(h.Sum64(), 4))
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

func idText(bits uint64, length int) string {
	text := make([]byte, length)
	for i := range text {
		text[i] = idAlphabet[bits&31]
		bits >>= 5
	}
	return string(text)
}

// id is the account's id, at most 50 characters.
func (w *world) id(i int) string {
	a := &w.accounts[i]
	switch a.kind {
	case ledger.Asset:
		return w.prefix + ":bank-" + string(a.currency)
	case ledger.Revenue:
		return w.prefix + ":fees-" + string(a.currency)
	case ledger.Expense:
		return w.prefix + ":cashback-" + string(a.currency)
	case ledger.Merchant:
		return fmt.Sprintf("%s:m%d", w.prefix, a.number)
	case ledger.Savings:
		return fmt.Sprintf("%s:c%d:s%d", w.prefix, a.customer, a.number)
	case ledger.Wallet:
		return fmt.Sprintf("%s:c%d:w%d", w.prefix, a.customer, a.number)
	default:
		return fmt.Sprintf("%s:c%d:%d", w.prefix, a.customer, a.number)
	}
}

func (w *world) trade(merchant int) trade { return trades[w.accounts[merchant].number%len(trades)] }

func (w *world) shopName(merchant int) string {
	number := w.accounts[merchant].number
	return shopNames[number/len(trades)%len(shopNames)] + " " + w.trade(merchant).name
}

// request opens account i, or finds it open.
func (w *world) request(i int) ledger.OpenAccount {
	a := &w.accounts[i]
	metadata := map[string]string{"seed": w.prefix}
	switch {
	case a.customer >= 0:
		metadata["customer"] = fmt.Sprintf("c%d", a.customer)
		metadata["name"] = firstNames[a.customer%len(firstNames)] + " " + lastNames[a.customer/len(firstNames)%len(lastNames)]
	case a.kind == ledger.Merchant:
		metadata["name"], metadata["category"] = w.shopName(i), w.trade(i).category
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		panic("seed: " + err.Error()) // strings always have a JSON form
	}
	return ledger.OpenAccount{
		ID: w.id(i), Type: a.kind, Currency: a.currency, Balance: minorUnits(a.opening, a.currency),
		Metadata: text, IdempotencyKey: w.prefix,
	}
}
