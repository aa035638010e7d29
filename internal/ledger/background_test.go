package ledger_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// leave stores accepted transfers of 1.00 as a replica that died left them: not
// claimed (no owner), or claimed under a lease.
func leave(t *testing.T, url string, from, to string, n int, owner string, leaseUntil time.Time) []string {
	t.Helper()
	db := dbtest.Open(t, url, database.Options{MaxConns: 1})
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id.New("t")
		status, lease := "PENDING", (*time.Time)(nil)
		var holder *string
		if owner != "" {
			status, lease, holder = "IN_PROGRESS", &leaseUntil, &owner
		}
		_, err := db.Exec(t.Context(), `
			INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status,
			                       description, request_hash, created_at, lease_owner, lease_until)
			VALUES ($1, 'TRANSFER', $2, $3, 1, '', $4, '', '\x01', now(), $5, $6)`,
			ids[i], from, to, status, holder, lease)
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func wantStatus(t *testing.T, l *ledger.Ledger, transferID string, want ledger.TransferStatus) {
	t.Helper()
	if got, err := l.TransferByID(t.Context(), transferID); err != nil || got.Status != want {
		t.Fatalf("transfer %+v, %v; want it %s", got, err, want)
	}
}

func wantAllCompleted(t *testing.T, l *ledger.Ledger, ids []string) {
	t.Helper()
	for _, transferID := range ids {
		eventually(t, transferID+" is completed", func() bool {
			got, err := l.TransferByID(t.Context(), transferID)
			return err == nil && got.Status == ledger.Completed
		})
	}
}

func TestAcceptedTransferIsExecutedInMilliseconds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{SweepInterval: time.Hour})
		from, to := openWith(t, l, "10"), openWith(t, l, "0")
		best := time.Hour
		for range 5 {
			request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
			begun := time.Now()
			accepted, err := l.Accept(t.Context(), request)
			if err != nil || accepted.Status != ledger.Pending {
				t.Fatalf("%+v, %v", accepted, err)
			}
			for accepted.Status != ledger.Completed {
				if accepted, err = l.TransferByID(t.Context(), request.ID); err != nil || time.Since(begun) > 20*time.Second {
					t.Fatalf("%+v, %v", accepted, err)
				}
				time.Sleep(time.Millisecond)
			}
			best = min(best, time.Since(begun))
		}
		if best > time.Second {
			t.Fatalf("took %s at best", best)
		}
	})
}

func TestAcceptedTransfersAreExecutedByWhicheverReplica(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{})
		from, to := openWith(t, ledgers[0], "60"), openWith(t, ledgers[0], "0")
		ids := make([]string, 90)
		var outcomes tally
		together(len(ids), func(i int) {
			ids[i] = id.New("t")
			_, err := persistently(func() (ledger.Transfer, error) {
				return ledgers[i%3].Accept(t.Context(), ledger.TransferRequest{ID: ids[i], SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")})
			})
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 90})
		counts := map[ledger.TransferStatus]int{}
		eventually(t, "all have ended", func() bool {
			clear(counts)
			for _, transferID := range ids {
				got, err := ledgers[0].TransferByID(t.Context(), transferID)
				if err != nil {
					t.Fatal(err)
				}
				counts[got.Status]++
			}
			return counts[ledger.Completed]+counts[ledger.Failed] == len(ids)
		})
		if counts[ledger.Completed] != 60 {
			t.Fatalf("%v; want 60 completed", counts)
		}
		wantBalance(t, ledgers[0], to.ID, "60", "0")
	})
}

func TestTransfersOfADeadReplicaAreTakenOverWhenItsLeaseLapses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{SweepInterval: 50 * time.Millisecond})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		forgotten := leave(t, url, from.ID, to.ID, 3, "", time.Time{})
		lapsed := leave(t, url, from.ID, to.ID, 3, "dead", time.Now().Add(-time.Second))
		live := leave(t, url, from.ID, to.ID, 1, "dead", time.Now().Add(time.Hour))
		soon := time.Now().Add(2 * time.Second)
		lapsing := leave(t, url, from.ID, to.ID, 1, "dead", soon)
		wantAllCompleted(t, l, forgotten)
		wantAllCompleted(t, l, lapsed)
		if time.Now().Before(soon.Add(-500 * time.Millisecond)) {
			wantStatus(t, l, lapsing[0], ledger.InProgress)
		}
		wantAllCompleted(t, l, lapsing)
		wantStatus(t, l, live[0], ledger.InProgress)
		wantBalance(t, l, to.ID, "7", "0")

		// The lease spares work only: the same request may be executed by whoever is asked.
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		var owner *string
		if err := db.QueryRow(t.Context(), "SELECT lease_owner FROM transfers WHERE transfer_id = $1", lapsed[0]).Scan(&owner); err != nil || owner != nil {
			t.Fatalf("a completed transfer is still leased to %v, %v", owner, err)
		}
		execute(t, url, "UPDATE transfers SET lease_until = now() - INTERVAL '1 second' WHERE transfer_id = '"+live[0]+"'")
		wantAllCompleted(t, l, live)
	})
}

// What is accepted is executed even where it does not fit into the queue at once.
func TestSmallQueueStillExecutesALargeBacklog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		first := startStoppable(t, url, ledger.Options{})
		from, to := openWith(t, first.Ledger, "100"), openWith(t, first.Ledger, "0")
		expires := time.Now().Add(1500 * time.Millisecond)
		together(25, func(int) {
			_, err := first.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1"), ExpiresAt: &expires})
			if err != nil {
				t.Error(err)
			}
		})
		first.stop()
		<-first.done
		leave(t, url, from.ID, to.ID, 35, "", time.Time{})
		l := start(t, url, ledger.Options{QueueMax: 10, ExpiryInterval: 50 * time.Millisecond, SweepInterval: 50 * time.Millisecond})
		eventually(t, "all holds lapse and all transfers are done", func() bool {
			a, err := l.Account(t.Context(), from.ID)
			return err == nil && a.Held.IsZero() && a.Posted.Equal(decimal.New(65, 0))
		})
		wantSoundBooks(t, url)
	})
}

// Neither its neighbours of the same claim nor those accepted later wait for an
// accepted transfer that can't be executed.
func TestAcceptedTransferThatCannotBeExecutedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		unreadable, repair := spoil(t, url, l)
		accept := func(source string) string {
			t.Helper()
			accepted, err := l.Accept(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: source, DestinationAccountID: to.ID, Amount: usd("1")})
			if err != nil {
				t.Fatal(err)
			}
			return accepted.ID
		}
		first := accept(from.ID)
		stuck := accept(unreadable)
		begun := time.Now()
		wantAllCompleted(t, l, []string{first, accept(from.ID)})
		eventually(t, "it is tried", func() bool {
			got, err := l.TransferByID(t.Context(), stuck)
			return err == nil && got.Status == ledger.InProgress
		})
		wantAllCompleted(t, l, []string{accept(from.ID)})
		if took := time.Since(begun); took > 8*time.Second {
			t.Fatalf("took %s", took)
		}
		// Nothing accepted is lost: once it can be done, it is.
		wantStatus(t, l, stuck, ledger.InProgress)
		repair()
		execute(t, url, "UPDATE transfers SET lease_until = now() - INTERVAL '1 second' WHERE transfer_id = $1", stuck)
		accept(from.ID)
		wantAllCompleted(t, l, []string{stuck})
	})
}

func TestExpiredHoldsAreReleased(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 2, ledger.Options{ExpiryInterval: 50 * time.Millisecond})
		from, to := openWith(t, ledgers[0], "10"), openWith(t, ledgers[0], "0")
		expires := time.Now().Add(300 * time.Millisecond)
		hold, err := ledgers[0].PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("10"), ExpiresAt: &expires})
		if err != nil {
			t.Fatal(err)
		}
		lasting, err := ledgers[0].OpenAccount(t.Context(), ledger.OpenAccount{Balance: usd("5")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledgers[0].PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: lasting.ID, DestinationAccountID: to.ID, Amount: usd("5")}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the hold lapses", func() bool {
			got, err := ledgers[1].HoldByID(t.Context(), hold.ID)
			return err == nil && got.Status == ledger.HoldLapsed
		})
		wantBalance(t, ledgers[0], from.ID, "10", "0")
		wantBalance(t, ledgers[0], lasting.ID, "5", "5")
	})
}
