package risk_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/dbtest"
	"florin/internal/risk"
)

func limit(text string) decimal.NullDecimal {
	if text == "" {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(amount(text))
}

func (w *world) holds(t *testing.T, rules *risk.Rules, role string, currency money.Currency, perTransfer, daily string) {
	t.Helper()
	for _, want := range []struct{ per, day string }{{perTransfer, daily}} {
		per, day, err := rules.Limits(t.Context(), role, currency)
		if err != nil || !same(per, limit(want.per)) || !same(day, limit(want.day)) {
			t.Errorf("%s in %s: %v a transfer, %v a day, %v; want %s and %s", role, currency, per, day, err, perTransfer, daily)
		}
	}
}

func same(a, b decimal.NullDecimal) bool { return a.Valid == b.Valid && a.Decimal.Equal(b.Decimal) }

func TestLimitsOfRoles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		w.holds(t, w.Rules, "customer", "USD", "5000", "10000")
		w.holds(t, w.Rules, "merchant", "GBP", "40000", "200000")
		w.holds(t, w.Rules, "customer", "CHF", "1000", "2000")
		w.holds(t, w.Rules, "customer", "BHD", "1000", "2000")
		w.holds(t, w.Rules, "customer", "JPY", "100000", "200000")
		for _, role := range []string{"support", "finance", "operator", "admin"} {
			w.holds(t, w.Rules, role, "USD", "", "")
		}
		for _, bad := range [][2]string{{"", "USD"}, {"root", "USD"}, {"Customer", "USD"}, {"customer", ""}, {"customer", "usd"}, {"admin", "XXX"}} {
			var invalid *risk.InvalidInput
			if per, day, err := w.Limits(t.Context(), bad[0], money.Currency(bad[1])); !errors.As(err, &invalid) {
				t.Errorf("%s: %v, %v, %v", bad, per, day, err)
			}
		}

		other := w.replica()
		w.holds(t, other, "customer", "USD", "5000", "10000")
		set := func(role string, currency money.Currency, per, day string) risk.RoleLimits {
			t.Helper()
			l, err := w.SetLimits(as(t, "user", "usr_eve"), risk.RoleLimits{Role: role, Currency: currency, PerTransfer: limit(per), Daily: limit(day)})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		first := set("customer", "USD", "123.45", "")
		if first.UpdatedBy != "usr_eve" || !first.UpdatedAt.Equal(w.time()) {
			t.Errorf("%+v", first)
		}
		w.holds(t, w.Rules, "customer", "USD", "123.45", "")
		w.pass(risk.CacheTime)
		if again := set("customer", "USD", "123.4500", ""); !again.UpdatedAt.Equal(first.UpdatedAt) {
			t.Errorf("the same again: %+v", again)
		}
		w.holds(t, other, "customer", "USD", "123.45", "")
		w.holds(t, other, "merchant", "USD", "50000", "250000")

		set("customer", "", "77", "0")
		w.holds(t, w.Rules, "customer", "CHF", "77", "0")
		w.holds(t, w.Rules, "customer", "JPY", "77", "0")
		w.holds(t, w.Rules, "customer", "EUR", "5000", "10000") // has its own
		set("customer", "JPY", "", "")
		w.holds(t, w.Rules, "customer", "JPY", "", "")

		want := []string{"role_limits.changed by usr_eve"}
		for _, target := range []string{"customer/USD", "customer", "customer/JPY"} {
			if events := w.events(t, target); !slices.Equal(events, want) {
				t.Errorf("%s: %s", target, events)
			}
		}
		all, err := w.AllLimits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, l := range all {
			listed = append(listed, l.Role+"/"+string(l.Currency)+" "+l.UpdatedBy)
		}
		if !slices.Equal(listed, []string{
			"customer/ usr_eve", "customer/EUR system", "customer/GBP system", "customer/JPY usr_eve", "customer/USD usr_eve",
			"merchant/ system", "merchant/EUR system", "merchant/GBP system", "merchant/USD system",
		}) {
			t.Errorf("%q", listed)
		}
	})
}

func TestWhoMayOnlyLowerLimitsRaisesNone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for _, c := range []struct {
			currency money.Currency
			per, day string
			isRaise  bool
		}{
			{"USD", "5000.01", "1", true},
			{"USD", "1", "10000.01", true},
			{"USD", "1", "", true},
			{"USD", "", "1", true},
			{"USD", "5000", "10000", false},
			{"USD", "4000", "8000", false},
			{"USD", "4000.01", "8000", true},
			{"USD", "0", "0", false},
			{"CHF", "1001", "2000", true},
			{"CHF", "1000", "2000", false},
			{"", "1001", "2000", true},
			{"", "1000", "2001", true},
			{"JPY", "100000", "200000", false},
			{"JPY", "100001", "200000", true},
			{"", "1000", "2000", false},
		} {
			_, err := w.LowerLimits(t.Context(), risk.RoleLimits{Role: "customer", Currency: c.currency, PerTransfer: limit(c.per), Daily: limit(c.day)})
			if c.isRaise != errors.Is(err, risk.LimitsRaised.Failure("")) || !c.isRaise && err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

func TestARaiseDoesNotSlipInBesideALowering(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for range 5 {
			if _, err := w.SetLimits(t.Context(), risk.RoleLimits{Role: "merchant", Currency: "EUR", PerTransfer: limit("1000"), Daily: limit("1000")}); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, per := range []string{"100", "500"} {
				all.Go(func() {
					_, err := w.replica().LowerLimits(t.Context(), risk.RoleLimits{Role: "merchant", Currency: "EUR", PerTransfer: limit(per), Daily: limit("1000")})
					if err != nil && (per == "100" || !errors.Is(err, risk.LimitsRaised.Failure(""))) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			w.holds(t, w.replica(), "merchant", "EUR", "100", "1000")
		}
	})
}

func TestLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for _, c := range []struct {
			field string
			risk.RoleLimits
		}{
			{"role", risk.RoleLimits{Role: "admin", Currency: "USD"}},
			{"role", risk.RoleLimits{Role: "", Currency: "USD"}},
			{"role", risk.RoleLimits{Role: "a\x00", Currency: "USD"}},
			{"currency", risk.RoleLimits{Role: "customer", Currency: "usd"}},
			{"currency", risk.RoleLimits{Role: "customer", Currency: "\x00"}},
			{"perTransfer", risk.RoleLimits{Role: "customer", Currency: "USD", PerTransfer: limit("-1")}},
			{"daily", risk.RoleLimits{Role: "customer", Currency: "USD", Daily: limit("1000000000000000")}},
			{"daily", risk.RoleLimits{Role: "customer", Currency: "JPY", Daily: limit("1.5")}},
			{"daily", risk.RoleLimits{Role: "customer", Daily: limit("1.5")}},
			{"perTransfer", risk.RoleLimits{Role: "customer", Currency: "USD", PerTransfer: limit("0.001")}},
		} {
			_, err := w.SetLimits(t.Context(), c.RoleLimits)
			if invalid := (*risk.InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != c.field {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}
