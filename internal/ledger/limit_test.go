package ledger_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func null(text string) decimal.NullDecimal { return decimal.NewNullDecimal(usd(text)) }

// soonAfterMidnight keeps a test about one day from being about two.
func soonAfterMidnight() func() time.Time {
	begun := time.Now()
	noon := begun.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	return func() time.Time { return noon.Add(time.Since(begun)).UTC().Truncate(time.Microsecond) }
}

// However many ask at once, and of however many replicas, no more leaves than the
// limit says.
func TestConcurrencyDoesNotSlipPastADailyLimit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		all := replicas(t, url, 2, ledger.Options{Clock: soonAfterMidnight()})
		from, to := openFor(t, all[0], id.New("ann"), "1000"), openWith(t, all[0], "0")
		limits := &ledger.Limits{Daily: null("50")}
		var paid, held, refused atomic.Int64
		together(90, func(i int) {
			l := all[i%2].As(from.OwnerID)
			var err error
			if i%3 == 0 {
				if _, err = persistently(func() (ledger.Hold, error) {
					return l.PlaceHold(t.Context(), ledger.HoldRequest{ID: id.New("h"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1"), Limits: limits})
				}); err == nil {
					held.Add(1)
				}
			} else {
				request := pay(from, to, "1")
				request.Limits = limits
				if _, err = persistently(func() (ledger.Transfer, error) { return l.Transfer(t.Context(), request) }); err == nil {
					paid.Add(1)
				}
			}
			if err != nil {
				if codeOf(err) != ledger.DailyLimitExceeded {
					t.Errorf("%v", err)
				}
				refused.Add(1)
			}
		})
		if paid.Load()+held.Load() != 50 || refused.Load() != 40 {
			t.Fatalf("%d paid, %d held, %d refused; want 50 and 40", paid.Load(), held.Load(), refused.Load())
		}
		account, err := all[0].Account(t.Context(), from.ID)
		if err != nil || !account.Spent.Equal(usd("50")) {
			t.Fatalf("%+v, %v", account, err)
		}
	})
}

func TestAccountsKeepTheirLimitsAndWhatTheySpent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		now := soonAfterMidnight()
		l := start(t, url, ledger.Options{Clock: now})
		from, to := openWith(t, l, "1000"), openWith(t, l, "0")
		single, daily, none := null("30.50"), null("70"), decimal.NullDecimal{}
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: from.ID, TransferLimit: &single, DailyLimit: &daily}); err != nil {
			t.Fatal(err)
		}
		begun := now()
		for _, c := range []struct {
			amount string
			want   ledger.Code
		}{{"30.51", ledger.TransferLimitExceeded}, {"30.50", ""}, {"30.50", ""}, {"9.01", ledger.DailyLimitExceeded}, {"9", ""}} {
			if _, err := l.Transfer(t.Context(), pay(from, to, c.amount)); codeOf(err) != c.want {
				t.Fatalf("%s: %v; want %s", c.amount, err, c.want)
			}
		}
		account, err := l.Account(t.Context(), from.ID)
		if err != nil || !account.TransferLimit.Decimal.Equal(single.Decimal) || !account.DailyLimit.Decimal.Equal(daily.Decimal) ||
			!account.Spent.Equal(daily.Decimal) || !account.SpentOn(now()).Equal(daily.Decimal) || account.SpentSince.Before(begun) {
			t.Fatalf("%+v, %v", account, err)
		}
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: from.ID, TransferLimit: &none, DailyLimit: &none}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Transfer(t.Context(), pay(from, to, "100")); err != nil {
			t.Fatal(err)
		}
		if account, err = l.Account(t.Context(), from.ID); err != nil || account.TransferLimit.Valid || account.DailyLimit.Valid {
			t.Fatalf("%+v, %v", account, err)
		}
	})
}

// The books of a day, at the time of the database, are proved with what was spent.
func TestVerifyProvesWhatWasSpent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		for _, amount := range []string{"1", "2"} {
			hold, err := l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: e.annOne.ID, DestinationAccountID: e.bobOne.ID, Amount: usd("5")})
			if err != nil {
				t.Fatal(err)
			}
			if amount == "1" {
				_, err = l.VoidHold(t.Context(), hold.ID)
			} else {
				_, err = l.CaptureHold(t.Context(), ledger.Capture{HoldID: hold.ID, Amount: null(amount)})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		wantSoundBooks(t, url)
		account, err := l.Account(t.Context(), e.annOne.ID)
		if want := usd("35"); err != nil || !account.Spent.Equal(want) { // 10 + 20, 3 held, 2 captured
			t.Fatalf("%+v, %v; want %s spent", account, err, want)
		}
	})
}

// An accepted transfer is executed under the limits of who asked for it, by
// whichever replica and whenever that is.
func TestAcceptedTransfersKeepTheirLimits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		ann := id.New("ann")
		l := start(t, url, ledger.Options{Clock: soonAfterMidnight()})
		from, to := openFor(t, l, ann, "1000"), openWith(t, l, "0")
		for _, c := range []struct {
			amount string
			limits *ledger.Limits
			want   ledger.Code
		}{
			{"10.01", &ledger.Limits{PerTransfer: null("10")}, ledger.TransferLimitExceeded},
			{"10", &ledger.Limits{PerTransfer: null("10"), Daily: null("10")}, ""},
			{"0.01", &ledger.Limits{Daily: null("10")}, ledger.DailyLimitExceeded},
			{"0.01", &ledger.Limits{PerTransfer: null("0")}, ledger.TransferLimitExceeded},
			{"500", nil, ""},
			{"400", &ledger.Limits{}, ""},
		} {
			request := pay(from, to, c.amount)
			request.Limits = c.limits
			if _, err := l.As(ann).Accept(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			var done ledger.Transfer
			eventually(t, "an end", func() bool {
				var err error
				done, err = l.As(ann).TransferByID(t.Context(), request.ID)
				return err == nil && done.Status.IsFinal()
			})
			code := ledger.Code("")
			if done.Failure != nil {
				code = done.Failure.Code
			}
			if code != c.want {
				t.Errorf("%s under %+v: %+v %v; want %q", c.amount, c.limits, done, done.Failure, c.want)
			}
		}
		wantBalance(t, l, from.ID, "90", "0")
	})
}

// Limits are no part of the request: a repeat under others has the same answer.
func TestARepeatUnderOtherLimitsIsTheSameRequest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		request := pay(from, to, "10")
		request.Limits = &ledger.Limits{PerTransfer: null("5")}
		_, err := l.Transfer(t.Context(), request)
		wantFailure(t, err, ledger.TransferLimitExceeded)
		request.Limits = nil
		_, err = l.Transfer(t.Context(), request)
		wantFailure(t, err, ledger.TransferLimitExceeded)
		wantBalance(t, l, from.ID, "100", "0")
	})
}
