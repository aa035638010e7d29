package wallet

import (
	"context"
	"log/slog"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/money"
)

// Bank moves money between the house's account and a user's account at a bank of
// his own. It knows orders by their ids: the same order again is not done again,
// and has the same answer, also while the first is under way.
type Bank interface {
	// Collect takes the amount from the user's bank account. nil means that the
	// money is there; a *Refusal that it never will be. Any other error says nothing
	// about it: the order is asked again later.
	Collect(ctx context.Context, o Order) error
	// Pay sends the amount to the user's bank account; the answer is as of Collect.
	Pay(ctx context.Context, o Order) error
}

// Order is one movement between the house's bank account and a user's.
type Order struct {
	ID       string // one order for ever
	Amount   decimal.Decimal
	Currency money.Currency
	Account  identity.BankDetails // prints as nothing
}

// LogValue leaves out the account, which a log in JSON would show.
func (o Order) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", o.ID), slog.String("amount", o.Amount.String()), slog.String("currency", string(o.Currency)))
}

// Refusal is a bank's no: the order was not done and never will be.
type Refusal struct{ Reason string } // fit to be shown to the user

// Error is the reason.
func (r *Refusal) Error() string { return "the bank refused: " + r.Reason }

// NoBank is the bank of a server that has none: deposits and withdrawals are
// refused with BankNotConnected.
type NoBank struct{}

// Collect returns BankNotConnected.
func (NoBank) Collect(context.Context, Order) error { return errNoBank() }

// Pay returns BankNotConnected.
func (NoBank) Pay(context.Context, Order) error { return errNoBank() }

func errNoBank() *Failure {
	return BankNotConnected.Failure("deposits and withdrawals need a bank, and this server is connected to none")
}

// SimulatedBank is for trying things out: it moves nothing. It refuses amounts that
// end in .13, and says yes to all others.
type SimulatedBank struct{}

// Collect says yes, or refuses amounts that end in .13.
func (SimulatedBank) Collect(_ context.Context, o Order) error {
	return o.simulated("the account has not enough")
}

// Pay says yes, or refuses amounts that end in .13.
func (SimulatedBank) Pay(_ context.Context, o Order) error {
	return o.simulated("the account takes no payments")
}

var unlucky = decimal.RequireFromString("0.13")

func (o *Order) simulated(reason string) error {
	if o.Amount.Mod(decimal.NewFromInt(1)).Equal(unlucky) {
		return &Refusal{Reason: reason}
	}
	return nil
}
