package admin_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
)

func TestTheOverviewIsLive(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Operator))
		b.visit("/admin")
		b.wants("Not known yet whether the books balance")
		b.wants("Nothing was executed")
		b.wants("Live")
		b.screenshot("overview-none")

		rich, poor := w.account("rich", "1000.00", nil), w.account("poor", "0", nil)
		w.pay(rich, poor, "250.50")
		if status, _ := w.root.try(http.MethodPost, "/api/v1/transfers", object{
			"transactionId": some("txn"), "sourceAccountId": poor, "destinationAccountId": rich, "amount": "999999.00", "currency": "USD",
		}); status < 400 {
			t.Fatalf("a transfer without the money: %d", status)
		}
		if _, err := w.ledger.ProveBalances(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wants("The books balance") // nobody loaded the page again
		b.wants("Volume in USD")
		b.wants("insufficient_funds")
		b.click("#part-rate details summary")
		b.check()

		b.click("[data-live-pause]")
		b.wants("Paused")
		if err := ledger.RecordProof(t.Context(), w.db, wrongProof(w)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // longer than between two looks
		b.wants("The books balance")
		b.click("[data-live-pause]")
		b.wants("The books do not balance")
		b.wants("0.01 USD in place of zero")
		var isOpen bool
		if b.evaluate(`document.querySelector("#part-rate details").open`, &isOpen); !isOpen {
			t.Error("what was open is closed by a look")
		}
		b.screenshot("overview-wrong")
	})
}

// wrongProof is one that found the books wrong, with a text for a name.
func wrongProof(w *world) ledger.ProofRecord {
	return ledger.ProofRecord{
		Kind: ledger.ProofInFull, ReadAt: w.time.Now(), RecordedAt: w.time.Now(), RecordedBy: scriptText, Offences: 1,
		Sums: []ledger.CurrencySum{{Currency: "USD", Accounts: 2, Sum: decimal.RequireFromString("0.01")}},
	}
}

func TestTheOverviewShowsWhatARoleMayKnow(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		if err := ledger.RecordProof(t.Context(), w.db, wrongProof(w)); err != nil {
			t.Fatal(err)
		}
		insertExport(t, w)
		for _, c := range []struct {
			role               identity.Role
			approvals, exports bool
		}{{identity.Support, false, false}, {identity.Finance, true, true}, {identity.Operator, true, true}, {identity.Admin, true, true}} {
			page := w.visitor(t, w.key(c.role)).get("/admin/overview?minutes=10")
			if page.status != http.StatusOK || !strings.Contains(page.body, "The books do not balance") {
				t.Fatalf("%s: %d", c.role, page.status)
			}
			if got := strings.Contains(page.body, "wait for a second person"); got != c.approvals {
				t.Errorf("%s is told of approvals: %t", c.role, got)
			}
			if got := strings.Contains(page.body, `id="part-exports"`); got != c.exports {
				t.Errorf("%s is told of exports: %t", c.role, got)
			}
			if strings.Contains(page.body, scriptText) {
				t.Errorf("%s: a text is not escaped", c.role)
			}
		}
		if page := w.visitor(t, w.key(identity.Operator, identity.AccountsRead)).get("/admin/overview"); page.status != http.StatusForbidden {
			t.Errorf("a key that may not: %d", page.status)
		}
		if page := w.visitor(t, w.key(identity.Customer)).get("/admin/overview"); page.status != http.StatusForbidden {
			t.Errorf("a customer: %d", page.status)
		}
		if page := w.visitor(t, nil).get("/admin/overview/events", "Accept", "text/event-stream"); page.status != http.StatusSeeOther {
			t.Errorf("a stranger's stream: %d", page.status)
		}
		if page := w.visitor(t, w.root).get("/admin/overview/events?minutes=10"); page.header.Get("Location") != "/admin/overview?minutes=10" {
			t.Errorf("the stream as a page: %d %s", page.status, page.header.Get("Location"))
		}
	})
}

// insertExport records an export that has failed, with texts from outside.
func insertExport(t *testing.T, w *world) {
	t.Helper()
	if _, err := w.db.Exec(t.Context(), `
		INSERT INTO exports (export_id, destination, kind, format, status, part, manifest_hash, rows, position, error, created_at, updated_at)
		VALUES ('exp_bad', $1, 'FOLDER', 'ndjson', 'FAILED', 0, '', 0, '', $1, now(), now())`, scriptText); err != nil {
		t.Fatal(err)
	}
}

func TestAnEndedSessionEndsTheStream(t *testing.T) {
	t.Parallel()
	signOut := func(t *testing.T, _ *world, who *person) {
		t.Helper()
		if status, answer := who.try(http.MethodPost, "/api/v1/auth/signout", nil); status >= 300 {
			t.Fatalf("sign-out: %d %s", status, answer)
		}
	}
	leave := func(t *testing.T, w *world, who *person) {
		t.Helper()
		w.time.pass(20 * time.Minute)
		page := w.visitor(t, who).get("/admin/overview/events") // as a browser does whose stream was cut
		if page.status != http.StatusSeeOther || page.header.Get("Location") != "/admin/overview" {
			t.Fatalf("after 20 minutes the session is over: %d %s", page.status, page.header.Get("Location"))
		}
		w.time.pass(11 * time.Minute)
	}
	for name, end := range map[string]func(*testing.T, *world, *person){"signed out": signOut, "left alone": leave} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streamsUntil(t, end)
		})
	}
}

// streamsUntil opens a stream, which has to end when the session is over.
func streamsUntil(t *testing.T, end func(*testing.T, *world, *person)) {
	t.Helper()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		who := w.staff(identity.Support)
		v := w.visitor(t, who)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/admin/overview/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/event-stream")
		stream, err := v.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		lines := bufio.NewScanner(stream.Body)
		lines.Buffer(nil, 1<<20)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `data: [`) || stream.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("the stream begins with %.80q, %v", lines.Text(), lines.Err())
		}
		end(t, w, who)
		last := ""
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "event: ") {
				last = lines.Text()
			}
		}
		if err := lines.Err(); err != nil || last != "event: ended" {
			t.Errorf("the stream ends with %q, %v", last, err)
		}
	})
}
