package api

import (
	"context"
	"errors"
	"fmt"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
)

// AmountLimits says what a role may pay, in a currency.
type AmountLimits func(ctx context.Context, role identity.Role, currency money.Currency) (ledger.Limits, error)

// amountLimits are those that the caller pays under from an account; nil for one
// who reaches all accounts: staff and their programs have none. Without a
// currency it is the account's.
func (a *api) amountLimits(ctx context.Context, currency, sourceAccountID string) (*ledger.Limits, error) {
	p := principalOf(ctx)
	if p.OwnerID == "" || a.limitsOf == nil {
		return nil, nil
	}
	if currency == "" {
		source, err := a.booksFor(ctx).Account(ctx, sourceAccountID)
		if isRefusal(err) {
			return nil, nil // the payment is refused for the same reason
		}
		if err != nil {
			return nil, err
		}
		currency = string(source.Currency)
	}
	if !isCurrency(currency) {
		return nil, nil // the ledger says what is wrong with it
	}
	limits, err := a.limitsOf(ctx, p.Role, money.Currency(currency))
	if err != nil {
		return nil, fmt.Errorf("limits of %s in %s: %w", p.Role, currency, err)
	}
	return &limits, nil
}

func isCurrency(text string) bool {
	_, err := money.ParseCurrency(text)
	return err == nil
}

func isRefusal(err error) bool {
	var refused *ledger.Failure
	var input *ledger.InvalidInput
	return errors.As(err, &refused) || errors.As(err, &input)
}
