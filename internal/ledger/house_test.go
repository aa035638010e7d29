package ledger_test

import (
	"errors"
	"testing"

	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/dbtest"
)

func TestOpenHouseIsIdempotent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		both := replicas(t, url, 2, ledger.Options{})
		bank := ledger.BankAccountID("USD")
		together(8, func(i int) {
			account, err := persistently(func() (ledger.Account, error) {
				return both[i%2].OpenHouse(t.Context(), bank, ledger.Asset, "USD")
			})
			if err != nil || account.ID != bank || account.Type != ledger.Asset || account.OverdraftLimit.Valid || account.OwnerID != "" {
				t.Errorf("%+v, %v", account, err)
			}
		})
		l := both[0]
		openWith(t, l, "10") // opens the house's opening account
		if _, err := l.OpenHouse(t.Context(), ledger.OpeningAccountID("USD"), ledger.Equity, "USD"); err != nil {
			t.Error(err)
		}
		_, err := l.OpenHouse(t.Context(), bank, ledger.Liability, "USD")
		wantFailure(t, err, ledger.AccountExists)
		_, err = l.OpenHouse(t.Context(), bank, ledger.Asset, "EUR")
		wantFailure(t, err, ledger.AccountExists)
		_, err = l.CloseAccount(t.Context(), bank)
		wantFailure(t, err, ledger.AccountReserved)
		for _, c := range []struct {
			id       string
			t        ledger.AccountType
			currency money.Currency
		}{
			{"bank", ledger.Asset, "USD"}, {"house:x", ledger.Checking, "USD"}, {"house:x", "", "USD"},
			{"house:x", ledger.Asset, ""}, {"house:x", ledger.Asset, "ZZZ"}, {"house:\u00fc", ledger.Asset, "USD"},
		} {
			if _, err := l.OpenHouse(t.Context(), c.id, c.t, c.currency); !errors.As(err, new(*ledger.InvalidInput)) {
				t.Errorf("%+v: %v; want InvalidInput", c, err)
			}
		}
		wantSoundBooks(t, url)
	})
}
