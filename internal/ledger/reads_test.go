package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	if invalid := (*ledger.InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != field {
		t.Fatalf("got %v; want InvalidInput about %s", err, field)
	}
}

func TestBalanceAtIsExactToThePosting(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "10"), openWith(t, l, "0")
		for range 12 {
			if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("0.5")}); err != nil {
				t.Fatal(err)
			}
		}
		postings, err := l.Postings(t.Context(), a.ID, time.Time{}, time.Time{}, 0, 100)
		if err != nil || len(postings) != 13 {
			t.Fatalf("%d postings, %v", len(postings), err)
		}
		want := func(at time.Time, posted decimal.Decimal, n int64) {
			t.Helper()
			got, err := l.BalanceAt(t.Context(), a.ID, at)
			if err != nil || !got.Posted.Equal(posted) || got.Postings != n {
				t.Fatalf("at %s: %s posted by %d postings, %v; want %s by %d", at, got.Posted, got.Postings, err, posted, n)
			}
		}
		for i, p := range postings {
			want(p.CreatedAt, p.Balance, p.Seq)
			if i+1 < len(postings) {
				want(p.CreatedAt.Add(-time.Microsecond), postings[i+1].Balance, p.Seq-1)
			}
		}
		want(clock.System(), usd("4"), 13)
		if _, err := l.BalanceAt(t.Context(), a.ID, a.CreatedAt.Add(-time.Microsecond)); codeOf(err) != ledger.AccountNotFound {
			t.Fatalf("before it was opened: %v", err)
		}
		if got, err := l.BalanceAt(t.Context(), b.ID, b.CreatedAt); err != nil || !got.Posted.IsZero() || got.Postings != 0 {
			t.Fatalf("before its first posting: %+v, %v", got, err)
		}
		_, err = l.BalanceAt(t.Context(), a.ID, clock.System().Add(time.Minute))
		wantInvalid(t, err, "at")
		if _, err := l.BalanceAt(t.Context(), "absent", a.CreatedAt); codeOf(err) != ledger.AccountNotFound {
			t.Fatal(err)
		}
	})
}

// Once told, a balance at a time never changes, though transactions are under
// way that took their time before and commit after.
func TestBalanceAtHoldsWhateverIsUnderWay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 2, ledger.Options{BatchMax: 5})
		a, b := openWith(t, ledgers[0], "1000"), openWith(t, ledgers[0], "1000")
		type answer struct {
			at     time.Time
			posted decimal.Decimal
		}
		var answers []answer
		var writing sync.WaitGroup
		var done atomic.Bool
		for i := range 8 {
			writing.Go(func() {
				for !done.Load() {
					from, to := a.ID, b.ID
					if i%2 == 0 {
						from, to = to, from
					}
					_, err := persistently(func() (ledger.Transfer, error) {
						return ledgers[i%2].Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: usd("0.01")})
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 60 {
			at := clock.System()
			got, err := ledgers[0].BalanceAt(t.Context(), a.ID, at)
			if err != nil {
				t.Error(err)
			}
			answers = append(answers, answer{at, got.Posted})
		}
		done.Store(true)
		writing.Wait()
		for _, before := range answers {
			got, err := ledgers[1].BalanceAt(t.Context(), a.ID, before.at)
			if err != nil || !got.Posted.Equal(before.posted) {
				t.Fatalf("at %s the balance was first %s, later %s, %v", before.at, before.posted, got.Posted, err)
			}
		}
	})
}

// A batch takes its time when it has its accounts locked: whoever asks for the
// balance of a later moment must wait for it.
func TestBalanceOfNowWaitsForTheBatchUnderWay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a := openWith(t, l, "10")
		unlock := lockAccount(t, url, a.ID)
		answered := make(chan error, 1)
		go func() {
			_, err := l.BalanceAt(t.Context(), a.ID, clock.System())
			answered <- err
		}()
		select {
		case err := <-answered:
			t.Fatalf("answered while the account is locked: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		unlock()
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	})
}

func TestPostingsOfAPeriodAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "10"), openWith(t, l, "0")
		for range 9 {
			if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("1")}); err != nil {
				t.Fatal(err)
			}
		}
		list := func(from, to time.Time, before int64, limit int) (seqs []int64) {
			t.Helper()
			postings, err := l.Postings(t.Context(), a.ID, from, to, before, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range postings {
				seqs = append(seqs, p.Seq)
			}
			return seqs
		}
		all, err := l.Postings(t.Context(), a.ID, time.Time{}, time.Time{}, 0, 100)
		if err != nil || len(all) != 10 {
			t.Fatalf("%d, %v", len(all), err)
		}
		timeOf := func(seq int) time.Time { return all[10-seq].CreatedAt }
		for _, c := range []struct {
			name   string
			got    []int64
			expect []int64
		}{
			{"all", list(time.Time{}, time.Time{}, 0, 100), []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
			{"a page", list(time.Time{}, time.Time{}, 0, 3), []int64{10, 9, 8}},
			{"the next", list(time.Time{}, time.Time{}, 8, 3), []int64{7, 6, 5}},
			{"from is in it, to is not", list(timeOf(4), timeOf(7), 0, 100), []int64{6, 5, 4}},
			{"a page of a period", list(timeOf(4), timeOf(7), 6, 1), []int64{5}},
			{"a cursor beyond the period", list(timeOf(4), timeOf(7), 100, 100), []int64{6, 5, 4}},
			{"between two", list(timeOf(4).Add(time.Microsecond), timeOf(5), 0, 100), nil},
			{"before all", list(time.Time{}, timeOf(1), 0, 100), nil},
			{"after all", list(timeOf(10).Add(time.Microsecond), time.Time{}, 0, 100), nil},
			{"an empty period", list(timeOf(7), timeOf(4), 0, 100), nil},
		} {
			if fmt.Sprint(c.got) != fmt.Sprint(c.expect) {
				t.Errorf("%s: %v; want %v", c.name, c.got, c.expect)
			}
		}
		if _, err := l.Postings(t.Context(), "absent", time.Time{}, time.Time{}, 0, 1); codeOf(err) != ledger.AccountNotFound {
			t.Fatal(err)
		}
		transfer, err := l.TransferByID(t.Context(), all[0].TransferID)
		if err != nil {
			t.Fatal(err)
		}
		legs, err := l.PostingsOf(t.Context(), transfer)
		if err != nil || len(legs) != 2 || legs[0].AccountID != a.ID || legs[1].AccountID != b.ID || !legs[0].Amount.Equal(usd("-1")) {
			t.Fatalf("%+v, %v", legs, err)
		}
	})
}

func TestAccountsAreFilteredAndPagedWhileOthersAreOpened(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		mark := id.New("mark")
		metadata := func(i int) json.RawMessage { return fmt.Appendf(nil, `{"mark":%q,"i":%d}`, mark, i) }
		ours := json.RawMessage(fmt.Sprintf(`{"mark": %q}`, mark))
		want := map[string]bool{}
		for i := range 20 {
			o := ledger.OpenAccount{Type: ledger.Wallet, Currency: "EUR", Metadata: metadata(i)}
			if i%2 == 0 {
				o.Type, o.Currency = ledger.Merchant, "GBP"
			}
			account, err := l.OpenAccount(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			want[account.ID] = true
			if i == 5 {
				if _, err := l.CloseAccount(t.Context(), account.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range []struct {
			filter ledger.AccountFilter
			want   int
		}{
			{ledger.AccountFilter{Metadata: ours}, 20},
			{ledger.AccountFilter{Metadata: ours, Type: ledger.Merchant}, 10},
			{ledger.AccountFilter{Metadata: ours, Currency: "EUR"}, 10},
			{ledger.AccountFilter{Metadata: ours, Currency: "EUR", Type: ledger.Merchant}, 0},
			{ledger.AccountFilter{Metadata: ours, Status: ledger.Closed}, 1},
			{ledger.AccountFilter{Metadata: ours, Status: ledger.Active}, 19},
			{ledger.AccountFilter{Metadata: metadata(7)}, 1},
		} {
			if got, err := l.Accounts(t.Context(), c.filter, "", 100); err != nil || len(got) != c.want {
				t.Fatalf("%+v: %d, %v; want %d", c.filter, len(got), err, c.want)
			}
		}
		seen := map[string]int{}
		after := ""
		for {
			page, err := l.Accounts(t.Context(), ledger.AccountFilter{Metadata: ours}, after, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, account := range page {
				seen[account.ID]++
				after = account.ID
			}
			if _, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Metadata: metadata(-1)}); err != nil {
				t.Fatal(err)
			}
		}
		for accountID, times := range seen {
			if times != 1 {
				t.Fatalf("%s is listed %d times", accountID, times)
			}
		}
		for accountID := range want {
			if seen[accountID] != 1 {
				t.Fatalf("%s is skipped", accountID)
			}
		}
	})
}

func TestTransfersAreFilteredAndPagedWhileOthersAreMade(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "14"), openWith(t, l, "0")
		requests := make([]ledger.TransferRequest, 20) // one batch: many share their time
		want := map[string]bool{}
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("1")}
			if i%4 == 3 {
				requests[i].SourceAccountID, requests[i].DestinationAccountID = b.ID, a.ID
			}
			if i == 19 {
				requests[i].SourceAccountID, requests[i].DestinationAccountID = a.ID, a.ID // refused, and listed once
			}
			want[requests[i].ID] = true
		}
		begun := clock.System()
		if _, err := l.TransferBatch(t.Context(), requests, false); err != nil {
			t.Fatal(err)
		}
		ended := clock.System().Add(time.Microsecond)
		for _, c := range []struct {
			name   string
			filter ledger.TransferFilter
			want   int
		}{
			{"an account's", ledger.TransferFilter{AccountID: a.ID}, 21}, // with its opening
			{"failed", ledger.TransferFilter{AccountID: a.ID, Status: ledger.Failed}, 1},
			{"completed", ledger.TransferFilter{AccountID: b.ID, Status: ledger.Completed}, 19},
			{"of the period", ledger.TransferFilter{AccountID: a.ID, From: begun, To: ended}, 20},
			{"before it", ledger.TransferFilter{AccountID: a.ID, To: begun}, 1},
			{"after it", ledger.TransferFilter{AccountID: a.ID, From: ended}, 0},
		} {
			if got, err := l.Transfers(t.Context(), c.filter, ledger.TransferPosition{}, 500); err != nil || len(got) != c.want {
				t.Fatalf("%s: %d, %v; want %d", c.name, len(got), err, c.want)
			}
		}
		for name, filter := range map[string]ledger.TransferFilter{"of an account": {AccountID: a.ID}, "of all": {From: begun}} {
			seen := map[string]int{}
			var before ledger.TransferPosition
			for {
				page, err := l.Transfers(t.Context(), filter, before, 7)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, transfer := range page {
					if !before.CreatedAt.IsZero() && transfer.CreatedAt.After(before.CreatedAt) {
						t.Fatalf("%s: %+v comes after %+v", name, transfer, before)
					}
					seen[transfer.ID]++
					before = ledger.TransferPosition{CreatedAt: transfer.CreatedAt, ID: transfer.ID}
				}
				if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("0.01")}); err != nil {
					t.Fatal(err)
				}
			}
			for transferID, times := range seen {
				if times != 1 {
					t.Fatalf("%s: %s is listed %d times", name, transferID, times)
				}
			}
			for transferID := range want {
				if seen[transferID] != 1 {
					t.Fatalf("%s: %s is skipped", name, transferID)
				}
			}
		}
	})
}

func TestWhatIsReadBackEqualsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "10"), openWith(t, l, "0")
		at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", -3600))
		for _, metadata := range []string{
			``, `{}`, `{"b":1,"a":"<&> é \" \\ \u2028"}`, `{"n":[1.50, 0.1, 1e2, 1E+5, -0, -0.0, 1e-7, 1e-30, 1.5e30, 12345678901234567890.123456789, 0, 1.0]}`,
			`{"deep":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, `{"deep":{"z":[[],{},null,true,false,""],"a":{"":1}}}`,
		} {
			request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("0.10"),
				Description: "é <b> \n", Metadata: json.RawMessage(metadata), EffectiveAt: &at}
			first, err := l.Transfer(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			again, err := l.Transfer(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			read, err := l.TransferByID(t.Context(), request.ID)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(first)
			for _, other := range []ledger.Transfer{again, read} {
				other.Amount = first.Amount // 0.1 and 0.10 are one amount
				if got, _ := json.Marshal(other); string(got) != string(want) {
					t.Fatalf("read back\n%s; the first answer was\n%s", got, want)
				}
			}
			account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Metadata: json.RawMessage(metadata)})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := l.Account(t.Context(), account.ID); err != nil || string(got.Metadata) != string(account.Metadata) {
				t.Fatalf("read back %s, %v; the first answer was %s", got.Metadata, err, account.Metadata)
			}
		}
	})
}

func TestUpdateMergesAndCounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Metadata: []byte(`{"keep":{"x":1,"y":2},"drop":1}`), Balance: usd("3")})
		if err != nil {
			t.Fatal(err)
		}
		limit, frozen := usd("12.5"), ledger.Frozen
		updated, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: account.ID, OverdraftLimit: &limit, Status: &frozen, Metadata: []byte(`{"drop":null,"keep":{"y":null,"z":3}}`)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Account(t.Context(), account.ID)
		if err != nil || got.Version != account.Version+1 || got.Status != ledger.Frozen || !got.OverdraftLimit.Decimal.Equal(limit) ||
			string(got.Metadata) != `{"keep":{"x":1,"z":3}}` || string(updated.Metadata) != string(got.Metadata) || !got.Posted.Equal(usd("3")) {
			t.Fatalf("%+v, %s, %v", got, got.Metadata, err)
		}
		var outcomes tally
		together(10, func(i int) { // each has its say
			_, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: account.ID, Metadata: fmt.Appendf(nil, `{"k%d":%d}`, i, i)})
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 10})
		got, err = l.Account(t.Context(), account.ID)
		if err != nil || got.Version != updated.Version+10 || string(got.Metadata) != `{"k0":0,"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"keep":{"x":1,"z":3}}` {
			t.Fatalf("%+v, %s, %v", got, got.Metadata, err)
		}
	})
}

// What can't be an id is the id of nothing; it must not reach the database as
// something that it refuses.
func TestImpossibleIDsAreNotFound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		for _, impossible := range []string{"", "a b", "nul\x00", "bad\xff", "ü"} {
			_, err := l.Account(t.Context(), impossible)
			wantFailure(t, err, ledger.AccountNotFound)
			_, err = l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: impossible})
			wantFailure(t, err, ledger.AccountNotFound)
			_, err = l.CloseAccount(t.Context(), impossible)
			wantFailure(t, err, ledger.AccountNotFound)
			_, err = l.BalanceAt(t.Context(), impossible, clock.System())
			wantFailure(t, err, ledger.AccountNotFound)
			_, err = l.Postings(t.Context(), impossible, time.Time{}, time.Time{}, 0, 1)
			wantFailure(t, err, ledger.AccountNotFound)
			_, err = l.TransferByID(t.Context(), impossible)
			wantFailure(t, err, ledger.TransactionNotFound)
			_, err = l.Reverse(t.Context(), ledger.Reversal{TargetID: impossible})
			wantFailure(t, err, ledger.TransactionNotFound)
			_, err = l.HoldByID(t.Context(), impossible)
			wantFailure(t, err, ledger.HoldNotFound)
			_, err = l.CaptureHold(t.Context(), ledger.Capture{HoldID: impossible})
			wantFailure(t, err, ledger.HoldNotFound)
			_, err = l.VoidHold(t.Context(), impossible)
			wantFailure(t, err, ledger.HoldNotFound)
		}
		for _, filter := range []ledger.TransferFilter{{AccountID: "nul\x00"}, {AccountID: "bad\xff"}} {
			if got, err := l.Transfers(t.Context(), filter, ledger.TransferPosition{}, 1); err != nil || len(got) > 0 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
	})
}
