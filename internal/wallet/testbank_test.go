package wallet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/wallet"
)

func moneyOf(currency string) money.Currency { return money.Currency(currency) }

var errNoAnswer = errors.New("the bank does not answer")

// testBank keeps orders as a bank would: each is done once, whatever was answered.
type testBank struct {
	mu sync.Mutex
	// answer decides about each asking: what the bank makes of an order that it does
	// not know yet, and what it answers.
	answer func(o wallet.Order, asked int) verdict
	done   map[string]wallet.Order // by id; "collect" orders and "pay" orders
	no     map[string]bool
	asked  map[string]int
	paid   decimal.Decimal // to users
	got    decimal.Decimal // from users
}

type verdict int

const (
	yes          verdict = iota
	no                   // refuses
	lost                 // never sees the order
	yesButSilent         // does it, and the answer is lost
	noButSilent
)

func newTestBank() *testBank {
	return &testBank{
		answer: func(wallet.Order, int) verdict { return yes },
		done:   map[string]wallet.Order{}, no: map[string]bool{}, asked: map[string]int{},
	}
}

func (b *testBank) answers(f func(o wallet.Order, asked int) verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

func (b *testBank) Collect(_ context.Context, o wallet.Order) error { return b.order(o, &b.got) }

func (b *testBank) Pay(_ context.Context, o wallet.Order) error { return b.order(o, &b.paid) }

func (b *testBank) order(o wallet.Order, sum *decimal.Decimal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[o.ID]++
	if o.Account.AccountNumber == "" {
		panic("an order without an account")
	}
	verdict := b.answer(o, b.asked[o.ID])
	if verdict == lost {
		return errNoAnswer
	}
	before, isDone := b.done[o.ID]
	if isDone && (!before.Amount.Equal(o.Amount) || before.Currency != o.Currency) {
		panic(fmt.Sprintf("order %s was changed", o.ID))
	}
	if !isDone && !b.no[o.ID] {
		if verdict == no || verdict == noButSilent {
			b.no[o.ID] = true
		} else {
			b.done[o.ID] = o
			*sum = sum.Add(o.Amount)
		}
	}
	switch {
	case verdict == yesButSilent || verdict == noButSilent:
		return errNoAnswer
	case b.no[o.ID]:
		return &wallet.Refusal{Reason: "no such account"}
	}
	return nil
}

func (b *testBank) timesAsked(orderID string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[orderID]
}

func (b *testBank) sums() (got, paid decimal.Decimal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got, b.paid
}
