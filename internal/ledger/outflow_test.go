package ledger_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/dbtest"
)

func TestOutflowIsWhatWasPaid(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		begin := e.toBob.CreatedAt
		if _, err := l.Transfer(t.Context(), pay(e.annOne, e.bobOne, "5000")); err == nil {
			t.Fatal("paid what is not there")
		}
		if _, err := l.CaptureHold(t.Context(), ledger.Capture{HoldID: e.hold.ID, Amount: decimal.NewNullDecimal(usd("2"))}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reverse(t.Context(), ledger.Reversal{TargetID: e.within.ID}); err != nil { // annTwo gives back
			t.Fatal(err)
		}
		for _, c := range []struct {
			account ledger.Account
			since   time.Time
			count   int64
			sum     string
		}{
			{e.annOne, begin, 3, "32"},
			{e.annOne, begin.Add(time.Microsecond), 2, "22"},
			{e.annOne, time.Now().Add(time.Hour), 0, "0"},
			{e.annTwo, begin, 0, "0"},
		} {
			count, sum, err := e.ann.Outflow(t.Context(), c.account.ID, c.since)
			if err != nil || count != c.count || !sum.Equal(usd(c.sum)) {
				t.Errorf("%s since %s: %d, %s, %v; want %d, %s", c.account.ID, c.since, count, sum, err, c.count, c.sum)
			}
		}
		for _, c := range []struct {
			from, to string
			want     bool
		}{
			{e.annOne.ID, e.bobOne.ID, true},
			{e.bobOne.ID, e.annOne.ID, false},
			{e.annOne.ID, e.annTwo.ID, true}, // reversed or not
			{e.annTwo.ID, e.annOne.ID, false},
			{e.annOne.ID, "absent", false},
			{e.annOne.ID, "no id!", false},
		} {
			if got, err := l.HasPaid(t.Context(), c.from, c.to); err != nil || got != c.want {
				t.Errorf("%s has paid %s: %t, %v; want %t", c.from, c.to, got, err, c.want)
			}
		}
	})
}

func TestOutflowLooksAtTheNewestAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		many := make([]ledger.TransferRequest, ledger.OutflowMax+1)
		for i := range many {
			many[i] = pay(from, to, "0.01")
		}
		if _, err := l.TransferBatch(t.Context(), many, true); err != nil {
			t.Fatal(err)
		}
		count, sum, err := l.Outflow(t.Context(), from.ID, time.Now().Add(-time.Hour))
		if err != nil || count != ledger.OutflowMax || !sum.Equal(usd("0.01").Mul(decimal.NewFromInt(ledger.OutflowMax))) {
			t.Errorf("%d, %s, %v; want %d", count, sum, err, ledger.OutflowMax)
		}
	})
}
