package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// byHand is an interval longer than any test: what happens, the test does.
const byHand = 10 * time.Hour

func transferring(t *testing.T, l *ledger.Ledger, from, to, amount string) ledger.TransferRequest {
	t.Helper()
	request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: usd(amount)}
	_, _ = l.Transfer(t.Context(), request) // refusals are counted too
	return request
}

func flush(t *testing.T, ledgers ...*ledger.Ledger) {
	t.Helper()
	for _, l := range ledgers {
		if err := l.FlushActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func activityOf(t *testing.T, l *ledger.Ledger, period time.Duration) ledger.Activity {
	t.Helper()
	a, err := l.Activity(t.Context(), period)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sums are transfers and volume by currency and code.
func sums(a ledger.Activity) map[string]string {
	type sum struct {
		transfers int64
		volume    decimal.Decimal
	}
	all := map[string]sum{}
	for _, total := range a.Totals {
		key := fmt.Sprintf("%s %s", total.Currency, total.Code)
		all[key] = sum{all[key].transfers + total.Transfers, all[key].volume.Add(total.Volume)}
	}
	written := map[string]string{}
	for key, s := range all {
		written[key] = fmt.Sprintf("%d %s", s.transfers, s.volume.StringFixed(4))
	}
	return written
}

// booked is what the books say of transfers that came to their end.
func booked(t *testing.T, db *database.DB) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT currency, coalesce(failure_code, 'ok'), count(*), sum(amount)
		FROM transfers
		WHERE status IN ('COMPLETED', 'FAILED')
		GROUP BY currency, coalesce(failure_code, 'ok')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	written := map[string]string{}
	for rows.Next() {
		var currency, code string
		var n int64
		var volume decimal.Decimal
		if err := rows.Scan(&currency, &code, &n, &volume); err != nil {
			t.Fatal(err)
		}
		written[currency+" "+code] = fmt.Sprintf("%d %s", n, volume.StringFixed(4))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return written
}

func TestActivityOfTwoReplicasAddsUpToTheBooks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		o := ledger.Options{ActivityInterval: byHand, ProofInterval: byHand}
		one, two := start(t, url, o), start(t, url, o)
		replicas := []*ledger.Ledger{one, two}

		from, to := openWith(t, one, "500"), openWith(t, two, "0")
		yen, err := two.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a"), Currency: "JPY", Balance: usd("1000")})
		if err != nil {
			t.Fatal(err)
		}
		var repeated ledger.TransferRequest
		for i := range 20 {
			repeated = transferring(t, replicas[i%2], from.ID, to.ID, "1.25")
		}
		for _, l := range replicas { // known already: nothing happens any more
			if _, err := l.Transfer(t.Context(), repeated); err != nil {
				t.Fatal(err)
			}
		}
		transferring(t, one, from.ID, to.ID, "1000000")      // insufficient_funds
		transferring(t, two, from.ID, id.New("nobody"), "7") // account_not_found, in no currency
		transferring(t, two, from.ID, yen.ID, "3")           // currency_mismatch

		// What becomes of an accepted one is counted once, not that it was accepted.
		accepted := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("2")}
		if _, err := one.Accept(t.Context(), accepted); err != nil {
			t.Fatal(err)
		}
		wantAllCompleted(t, one, []string{accepted.ID})
		hold, err := one.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("9")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.CaptureHold(t.Context(), ledger.Capture{HoldID: hold.ID, Amount: decimal.NewNullDecimal(usd("4"))}); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Reverse(t.Context(), ledger.Reversal{TargetID: repeated.ID}); err != nil {
			t.Fatal(err)
		}
		// Of an atomic batch that fails each transfer failed.
		group := []ledger.TransferRequest{
			{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")},
			{ID: id.New("t"), SourceAccountID: to.ID, DestinationAccountID: from.ID, Amount: usd("99999")},
		}
		if _, err := one.TransferBatch(t.Context(), group, true); err != nil {
			t.Fatal(err)
		}

		flush(t, one, two)
		want := booked(t, db)
		for _, key := range []string{"USD ok", "JPY ok", "USD insufficient_funds"} {
			if want[key] == "" {
				t.Fatalf("the books have no %s: %v", key, want)
			}
		}
		for _, period := range []time.Duration{time.Hour, 24 * time.Hour, ledger.ActivityMax} {
			a := activityOf(t, one, period)
			if got := sums(a); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: activity %v; the books %v", period, got, want)
			}
			wantPointsLikeTotals(t, a)
			replicas := map[string]bool{}
			for _, total := range a.Totals {
				replicas[total.Replica] = true
			}
			if len(replicas) != 2 {
				t.Errorf("%s: replicas %v", period, replicas)
			}
		}
		// A flush that is repeated, and one with nothing to say, change nothing.
		flush(t, one, two, one)
		transferring(t, one, from.ID, to.ID, "0.05")
		flush(t, one)
		if got, want := sums(activityOf(t, two, time.Hour)), booked(t, db); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after one more: activity %v; the books %v", got, want)
		}
	})
}

func wantPointsLikeTotals(t *testing.T, a ledger.Activity) {
	t.Helper()
	var points, totals int64
	var pointVolume, totalVolume decimal.Decimal
	for _, p := range a.Points {
		points += p.Completed + p.Failed
		pointVolume = pointVolume.Add(p.Volume)
		if p.At.Before(a.From) || p.At.After(a.To) || !p.At.Equal(p.At.Truncate(a.Span)) {
			t.Errorf("a point at %s, of %s to %s by %s", p.At, a.From, a.To, a.Span)
		}
	}
	for _, total := range a.Totals {
		totals += total.Transfers
		if total.Code == ledger.Done {
			totalVolume = totalVolume.Add(total.Volume)
		}
	}
	if points != totals || !pointVolume.Equal(totalVolume) {
		t.Errorf("points of %d and %s, totals of %d and %s", points, pointVolume, totals, totalVolume)
	}
}

// What a replica counted is flushed by itself, and the rest when it ends.
func TestAReplicaFlushesWhatItCountedBeforeItEnds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		often := startStoppable(t, url, ledger.Options{ActivityInterval: 20 * time.Millisecond, ProofInterval: byHand})
		openWith(t, often.Ledger, "5")
		eventually(t, "the activity is flushed", func() bool {
			return fmt.Sprint(sums(activityOf(t, often.Ledger, time.Hour))) == fmt.Sprint(booked(t, db))
		})
		last := startStoppable(t, url, ledger.Options{ActivityInterval: byHand, ProofInterval: byHand})
		openWith(t, last.Ledger, "6")
		last.stop()
		<-last.done
		if got, want := sums(activityOf(t, often.Ledger, time.Hour)), booked(t, db); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("activity %v; the books %v", got, want)
		}
	})
}

// A commit whose outcome was lost is counted once, whichever it was.
func TestActivityCountsALostCommitOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		for name, mode := range map[string]dbtest.Break{"applied": dbtest.CommitApplied, "lost": dbtest.CommitLost} {
			proxy := dbtest.NewProxy(t, url)
			l := startBehind(t, url, proxy, ledger.Options{ActivityInterval: byHand, ProofInterval: byHand})
			from, to := openWith(t, l, "30"), openWith(t, l, "0")
			for breaks := range 3 {
				proxy.BreakCommits(breaks, mode)
				transferring(t, l, from.ID, to.ID, "2")
			}
			flush(t, l)
			if got, want := sums(activityOf(t, l, time.Hour)), booked(t, db); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: activity %v; the books %v", name, got, want)
			}
			replica, err := l.Replica(t.Context())
			if err != nil || replica.Unknown != 3 {
				t.Errorf("%s: %d commits whose outcome was unknown, %v", name, replica.Unknown, err)
			}
		}
	})
}

// What could not be flushed is not lost.
func TestActivityWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		l := start(t, url, ledger.Options{ActivityInterval: byHand, ProofInterval: byHand})
		from, to := openWith(t, l, "30"), openWith(t, l, "0")
		transferring(t, l, from.ID, to.ID, "2")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.FlushActivity(gone); err == nil {
			t.Fatal("flushed without a database")
		}
		transferring(t, l, from.ID, to.ID, "3")
		flush(t, l)
		if got, want := sums(activityOf(t, l, time.Hour)), booked(t, dbtest.Open(t, url, database.Options{})); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("activity %v; the books %v", got, want)
		}
	})
}

// shifted is the machine's clock, moved by a test.
type shifted struct{ by atomic.Int64 }

func (c *shifted) now() time.Time        { return clock.System().Add(time.Duration(c.by.Load())) }
func (c *shifted) shift(d time.Duration) { c.by.Add(int64(d)) }

func TestActivityIsToldByPeriodAndExpires(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		var machine shifted
		l := start(t, url, ledger.Options{Clock: machine.now, ActivityInterval: byHand, ProofInterval: byHand})
		from, to := openWith(t, l, "30"), openWith(t, l, "0")
		seen := func(period time.Duration) (n int64) {
			t.Helper()
			for _, total := range activityOf(t, l, period).Totals {
				n += total.Transfers
			}
			return n
		}
		want := func(when string, hour, day, week int64) {
			t.Helper()
			flush(t, l)
			if got := [3]int64{seen(time.Hour), seen(24 * time.Hour), seen(ledger.ActivityMax)}; got != [3]int64{hour, day, week} {
				t.Errorf("%s: an hour, a day and a week have %v", when, got)
			}
		}
		want("at first", 1, 1, 1) // the opening
		machine.shift(2 * time.Hour)
		transferring(t, l, from.ID, to.ID, "1")
		want("two hours later", 1, 2, 2)
		// A machine's clock that goes back opens no row again that is written.
		machine.shift(-2 * time.Hour)
		transferring(t, l, from.ID, to.ID, "1")
		machine.shift(2 * time.Hour)
		want("after the clock went back", 2, 3, 3)
		machine.shift(3 * 24 * time.Hour)
		transferring(t, l, from.ID, to.ID, "1")
		want("three days later", 1, 1, 4)
		machine.shift(8 * 24 * time.Hour)
		want("eight days later", 0, 0, 0)

		var rows int
		count := func() int {
			t.Helper()
			if err := db.QueryRow(t.Context(), "SELECT count(*) FROM ledger_activity").Scan(&rows); err != nil {
				t.Fatal(err)
			}
			return rows
		}
		if db.Engine == database.Cockroach {
			for _, table := range []string{"ledger_activity", "proofs"} {
				var name, statement string
				if err := db.QueryRow(t.Context(), "SHOW CREATE TABLE "+table).Scan(&name, &statement); err != nil || !strings.Contains(statement, "ttl_expiration_expression = 'expires_at'") {
					t.Errorf("%s is not expired by the database: %s, %v", table, statement, err)
				}
			}
			return
		}
		transferring(t, l, from.ID, to.ID, "1")
		flush(t, l)
		before := count()
		if _, err := l.TakeTurn(t.Context()); err != nil || count() >= before || rows != 3 {
			t.Errorf("%d rows, %d after the sweep, %v", before, rows, err)
		}
	})
}

func TestOneReplicaOfManyProvesTheBalancesInItsTurn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		var machine shifted
		var replicas []*ledger.Ledger
		for range 4 {
			replicas = append(replicas, start(t, url, ledger.Options{Clock: machine.now, Log: slog.New(slog.DiscardHandler)}))
		}
		account := openWith(t, replicas[0], "12.34")
		waitForFollower(t, db)
		turn := func() (taken int) {
			t.Helper()
			var all sync.WaitGroup
			var n atomic.Int64
			for _, l := range replicas {
				all.Go(func() {
					is, err := l.TakeTurn(t.Context())
					if err != nil {
						t.Error(err)
					}
					if is {
						n.Add(1)
					}
				})
			}
			all.Wait()
			return int(n.Load())
		}
		if n := turn(); n != 1 {
			t.Fatalf("%d replicas took the first turn", n)
		}
		machine.shift(9 * time.Minute)
		if n := turn(); n != 0 {
			t.Errorf("%d replicas took a turn before its time", n)
		}
		proofs, err := replicas[1].NewestProofs(t.Context())
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%+v, %v", proofs, err)
		}
		proof := proofs[0]
		if proof.Kind != ledger.ProofOfBalances || !proof.IsBalanced || proof.Offences != 0 || len(proof.Sums) != 1 || proof.Sums[0].Currency != "USD" ||
			proof.Sums[0].Accounts < 2 || !proof.Sums[0].Sum.IsZero() || !strings.HasPrefix(proof.RecordedBy, "replica_") {
			t.Errorf("%+v", proof)
		}

		// Books that do not balance are told, and the newest proof counts.
		execute(t, url, "UPDATE accounts SET posted = posted + 0.0100 WHERE account_id = '"+account.ID+"'")
		waitForFollower(t, db)
		machine.shift(time.Minute)
		if n := turn(); n != 1 {
			t.Fatalf("%d replicas took the second turn", n)
		}
		if proofs, err = replicas[2].NewestProofs(t.Context()); err != nil || len(proofs) != 1 || proofs[0].IsBalanced || proofs[0].Offences != 1 ||
			!proofs[0].Sums[0].Sum.Equal(usd("0.01")) || !proofs[0].ReadAt.After(proof.ReadAt) {
			t.Errorf("%+v, %v", proofs, err)
		}

		full := ledger.ProofRecord{Kind: ledger.ProofInFull, ReadAt: proof.ReadAt, RecordedAt: machine.now(), RecordedBy: "a test", IsBalanced: true}
		for range 2 {
			if err := ledger.RecordProof(t.Context(), db, full); err != nil {
				t.Fatal(err)
			}
		}
		if proofs, err = replicas[3].NewestProofs(t.Context()); err != nil || len(proofs) != 2 || proofs[1].Kind != ledger.ProofInFull || !proofs[1].IsBalanced {
			t.Errorf("%+v, %v", proofs, err)
		}
	})
}

// waitForFollower waits until what was committed before is in what CockroachDB reads
// some seconds back.
func waitForFollower(t *testing.T, db *database.DB) {
	t.Helper()
	if db.Engine != database.Cockroach {
		return
	}
	committed := clock.System()
	eventually(t, "a snapshot of the past has what was committed", func() bool {
		var shown time.Time
		err := db.QueryRow(t.Context(), "SELECT follower_read_timestamp()").Scan(&shown)
		return err == nil && shown.After(committed)
	})
}

func TestWaitingIsCountedNoFurtherThanItsBound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		reads := dbtest.Open(t, url, database.Options{MaxConns: 2})
		l := ledger.New(reads, reads, ledger.Options{}) // does not run: nothing is executed
		want := func(transfers, holds int64) ledger.Waiting {
			t.Helper()
			w, err := l.Waiting(t.Context(), 50*time.Minute)
			if err != nil || w.Transfers != transfers || w.HoldsExpiring != holds || (transfers == 0) != w.OldestAt.IsZero() || (holds == 0) != w.NextExpiry.IsZero() {
				t.Errorf("%+v, %v; want %d and %d", w, err, transfers, holds)
			}
			return w
		}
		want(0, 0)
		execute(t, url, `
			INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status, description, request_hash, created_at)
			SELECT 'x' || i::text, 'TRANSFER', 'x', 'y', 1, 'USD', 'PENDING', '', '', '2026-01-31 09:30:00+00'::timestamptz + i * INTERVAL '1 second' FROM generate_series(1, 1500) AS i`)
		execute(t, url, `
			INSERT INTO holds (hold_id, source_account_id, destination_account_id, amount, currency, status, captured_amount, description, request_hash, expires_at, created_at, updated_at)
			SELECT 'x' || i::text, 'x', 'y', 1, 'USD', CASE WHEN i = 3 THEN 'VOIDED' ELSE 'PENDING' END, 0, '', '', now() + i * INTERVAL '15 minutes', now(), now() FROM generate_series(1, 9) AS i`)
		w := want(ledger.WaitingMax, 2) // in 15 and 30 minutes; that of 45 is void
		if !w.OldestAt.Equal(time.Date(2026, 1, 31, 9, 30, 1, 0, time.UTC)) {
			t.Errorf("the oldest is of %s", w.OldestAt)
		}
	})
}

// What waits is found by the partial indexes of what waits, in books that are large.
func TestWaitingIsFoundByIndexesOfWhatWaitsAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		execute(t, url, `
			INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status, description, source_seq, destination_seq, request_hash, created_at, finished_at)
			SELECT 'x' || i::text, 'TRANSFER', 'x', 'y', 1, 'USD', 'COMPLETED', '', i, i, '', now(), now() FROM generate_series(1, 20000) AS i`)
		execute(t, url, `
			INSERT INTO holds (hold_id, source_account_id, destination_account_id, amount, currency, status, captured_amount, description, request_hash, expires_at, created_at, updated_at)
			SELECT 'x' || i::text, 'x', 'y', 1, 'USD', 'VOIDED', 0, '', '', now(), now(), now() FROM generate_series(1, 20000) AS i`)
		execute(t, url, "ANALYZE transfers")
		execute(t, url, "ANALYZE holds")
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		now := clock.System()
		for index, s := range map[string]statement{
			"transfers_unfinished": {ledgerdb.WaitingTransfers, []any{now, ledger.WaitingMax}},
			"holds_expiring":       {ledgerdb.ExpiringHolds, []any{now.Add(time.Hour), ledger.WaitingMax}},
		} {
			if plan := explain(t, db, s); !strings.Contains(plan, index) || wholeTable.MatchString(plan) || strings.Contains(plan, "Seq Scan") {
				t.Errorf("not by %s:\n%s", index, plan)
			}
		}
	})
}
