package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"florin/internal/audit"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// trailOf reads what is recorded of a target, in order, as "action result actor".
func trailOf(t *testing.T, db *database.DB, targetID string) (events []string) {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT action, result, actor_id, role, address, request_id
		FROM audit_events WHERE target_id = $1 ORDER BY recorded_at, seq`, targetID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var action, result, actor, role, address, request string
		if err := rows.Scan(&action, &result, &actor, &role, &address, &request); err != nil {
			t.Fatal(err)
		}
		if role != "merchant" || address != "192.0.2.1" || request == "" {
			t.Errorf("%s of %s: role %q, address %q, request %q", action, targetID, role, address, request)
		}
		events = append(events, fmt.Sprintf("%s %s %s", action, result, actor))
	}
	return events
}

func by(ctx context.Context, actor string) context.Context {
	return audit.With(ctx, audit.Origin{ActorKind: "user", ActorID: actor, Role: "merchant", Address: "192.0.2.1", RequestID: id.New("req")})
}

func wantChains(t *testing.T, db *database.DB) {
	t.Helper()
	report, err := audit.Verify(t.Context(), db, audit.VerifyOptions{})
	if err != nil || len(report.Offences) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
}

// Who does what is recorded in the transaction that does it, by all workers of
// all replicas, and only once.
func TestChangesAreOnTheAuditTrail(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		all := replicas(t, url, 2, ledger.Options{Workers: 2})
		from, to := openWith(t, all[0], "1000"), openWith(t, all[0], "0")
		if got := trailOf(t, db, from.ID); len(got) != 0 {
			t.Fatalf("of what nobody asked for: %q", got)
		}
		requests := make([]ledger.TransferRequest, 60)
		together(len(requests), func(i int) {
			requests[i] = pay(from, to, "1")
			ctx := by(t.Context(), fmt.Sprint("actor", i))
			for range 2 { // the second is a repeat
				if _, err := persistently(func() (ledger.Transfer, error) { return all[i%2].Transfer(ctx, requests[i]) }); err != nil {
					t.Errorf("%v", err)
				}
			}
		})
		for i, r := range requests {
			if got, want := trailOf(t, db, r.ID), []string{fmt.Sprint("transaction.completed ok actor", i)}; !slices.Equal(got, want) {
				t.Errorf("%s: %q; want %q", r.ID, got, want)
			}
		}
		l, ctx := all[0], by(t.Context(), "ann")
		opened, err := l.OpenAccount(ctx, ledger.OpenAccount{})
		if err != nil {
			t.Fatal(err)
		}
		frozen := ledger.Frozen
		if _, err = l.UpdateAccount(ctx, ledger.UpdateAccount{ID: opened.ID, Status: &frozen}); err != nil {
			t.Fatal(err)
		}
		refused := pay(opened, to, "1")
		if _, err = l.Transfer(ctx, refused); codeOf(err) != ledger.AccountFrozen {
			t.Fatal(err)
		}
		if _, err = l.CloseAccount(ctx, opened.ID); err != nil {
			t.Fatal(err)
		}
		accepted := pay(from, to, "1")
		if _, err = l.Accept(ctx, accepted); err != nil {
			t.Fatal(err)
		}
		wantAllCompleted(t, l, []string{accepted.ID})
		results, err := l.TransferBatch(ctx, []ledger.TransferRequest{pay(from, to, "1"), pay(to, from, "9999")}, true)
		if err != nil {
			t.Fatal(err)
		}
		for target, want := range map[string][]string{
			opened.ID:              {"account.opened ok ann", "account.updated ok ann", "account.closed ok ann"},
			refused.ID:             {"transaction.failed account_frozen ann"},
			accepted.ID:            {"transaction.accepted ok ann"}, // executed by nobody
			results[0].Transfer.ID: {"transaction.failed batch_aborted ann"},
			results[1].Transfer.ID: {"transaction.failed insufficient_funds ann"},
		} {
			if got := trailOf(t, db, target); !slices.Equal(got, want) {
				t.Errorf("%s: %q; want %q", target, got, want)
			}
		}
		// What is refused under another's account is not recorded under his name.
		foreign := pay(from, to, "1")
		_, err = l.As("ann").Transfer(ctx, foreign)
		wantFailure(t, err, ledger.AccountNotFound)
		if got := trailOf(t, db, foreign.ID); len(got) != 0 {
			t.Errorf("%q", got)
		}
		wantChains(t, db)
	})
}

// A commit whose answer is lost may have recorded its events or not: in the end
// they are there once, and the chains are whole.
func TestTheTrailIsWholeWhateverBecomesOfACommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		want := map[string][]string{}
		for name, mode := range map[string]dbtest.Break{"the answer was lost": dbtest.CommitApplied, "the commit was lost": dbtest.CommitLost} {
			proxy := dbtest.NewProxy(t, url)
			l := startBehind(t, url, proxy, ledger.Options{BatchMax: 8})
			from, to := openWith(t, l, "100"), openWith(t, l, "0")
			proxy.BreakCommits(2, mode)
			request := pay(from, to, "1")
			if _, err := l.Transfer(by(t.Context(), "ann"), request); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want[request.ID] = []string{"transaction.completed ok ann"}
			proxy.BreakCommits(2, mode)
			hold, err := l.PlaceHold(by(t.Context(), "ann"), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want[hold.ID] = []string{"hold.placed ok ann"}

			requests := make([]ledger.TransferRequest, 40)
			for i := range requests {
				requests[i] = pay(from, to, "1")
				want[requests[i].ID] = []string{fmt.Sprintf("transaction.completed ok actor%d", i)}
			}
			proxy.BreakCommits(3, mode)
			together(len(requests), func(i int) {
				if _, err := l.Transfer(by(t.Context(), fmt.Sprintf("actor%d", i)), requests[i]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			// One that stays unknown, and is asked for again.
			last := pay(from, to, "1")
			proxy.BreakCommits(5, mode)
			if _, err := l.Transfer(by(t.Context(), "ann"), last); !errors.Is(err, database.ErrCommitUnknown) {
				t.Fatalf("%s five times: %v", name, err)
			}
			if _, err := l.Transfer(by(t.Context(), "ann"), last); err != nil {
				t.Fatal(err)
			}
			want[last.ID] = []string{"transaction.completed ok ann"}
		}
		for target, events := range want {
			if got := trailOf(t, db, target); !slices.Equal(got, events) {
				t.Errorf("%s: %q; want %q", target, got, events)
			}
		}
		wantChains(t, db)
		wantSoundBooks(t, url)
	})
}
