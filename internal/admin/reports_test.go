package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"florin/internal/identity"
)

func TestReportsAreShownForAPeriod(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true}, func(t *testing.T, w *world) {
		// Keys, and not people, whose second factors make time pass here and not in the
		// database.
		finance := w.visitor(t, w.key(identity.Finance))
		finance.get("/admin/reports/daily-volumes").shows(t, http.StatusOK, "Nothing in this period")
		owner := w.user(identity.Customer)
		alice, fees := w.account("alice", "1234567.50", object{"ownerId": owner.id}), w.account("fees", "0", object{"accountType": "REVENUE"})
		w.root.post("/api/v1/transfers", object{"transactionId": some("order"), "sourceAccountId": alice, "destinationAccountId": fees, "amount": "1000.25", "currency": "USD", "description": scriptText})

		finance.get("/admin/reports").shows(t, http.StatusOK, "Trial balance", "Profit and loss", "Daily volumes", "Customer liabilities", "Statement")
		finance.get("/admin/reports/trial-balance").shows(t, http.StatusOK, "Balanced: every currency sums up to zero", "1,233,567.25", alice, "Read at")
		finance.get("/admin/reports/profit-and-loss").shows(t, http.StatusOK, fees, "1,000.25", "Profit by currency")
		finance.get("/admin/reports/customer-liabilities").shows(t, http.StatusOK, "Owed to customers", "1,233,567.25", "Wallet")
		finance.get("/admin/reports/daily-volumes").shows(t, http.StatusOK, w.time.Now().UTC().Format(time.DateOnly), "1,000.25", "USD by day")
		finance.get("/admin/reports/statement").shows(t, http.StatusOK, "Whose statement?").hides(t, "format=csv")
		for _, of := range []string{"accountId=" + alice, "ownerId=" + owner.id} {
			finance.get("/admin/reports/statement?"+of).shows(t, http.StatusOK, alice, fees, "-1,000.25", "format=pdf", "&lt;script&gt;").hides(t)
		}

		// Another time has other figures, and what makes no sense is said in place.
		finance.get("/admin/reports/profit-and-loss?from=2020-01-01&to=2020-01-31").shows(t, http.StatusOK, "2020-01-01 00:00 to 2020-02-01 00:00 UTC").hides(t, "1,000.25")
		finance.get("/admin/reports/trial-balance?from=2026-02-01&to=2026-01-01").shows(t, http.StatusBadRequest, "must be before to")
		finance.get("/admin/reports/trial-balance?from="+url.QueryEscape(scriptText)).shows(t, http.StatusBadRequest).hides(t)
		finance.get("/admin/reports/statement?accountId="+some("nobody")).shows(t, http.StatusNotFound, "There is no such account", "Show")
		finance.get("/admin/reports/nonsense").shows(t, http.StatusNotFound, "There is no such page")

		// Who may, and what he is shown of it.
		w.visitor(t, w.key(identity.Operator)).get("/admin/reports/trial-balance").shows(t, http.StatusOK, `href="/admin/reports"`).hides(t, `href="/admin/console"`)
		support := w.visitor(t, w.key(identity.Support))
		support.get("/admin/reports/trial-balance").shows(t, http.StatusForbidden, "reports:read")
		support.get("/admin/accounts").shows(t, http.StatusOK).hides(t, `href="/admin/reports"`, `href="/admin/console"`)
	})
}

func TestALongReportIsCutAndItsFileIsNot(t *testing.T) {
	t.Parallel()
	eachLongWorld(t, worldOptions{isFresh: true}, func(t *testing.T, w *world) {
		for range 6 {
			accounts := make([]object, 100)
			for i := range accounts {
				accounts[i] = object{"accountId": some("acc"), "currency": "USD", "accountType": "WALLET", "balance": "1.00"}
			}
			for _, account := range accounts {
				w.root.post("/api/v1/accounts", account)
			}
		}
		finance := w.visitor(t, w.key(identity.Finance))
		page := finance.get("/admin/reports/trial-balance")
		page.shows(t, http.StatusOK, "The first 500 lines", "Balanced", "The CSV has all of them")
		if rows := strings.Count(page.body, `<th scope="row">`); rows != 501 { // and the sum
			t.Errorf("%d rows are shown", rows)
		}
		lines, err := csv.NewReader(strings.NewReader(finance.get(linkIn(t, page.body, "format=csv")).body)).ReadAll()
		if err != nil || len(lines) < 603 {
			t.Errorf("the file has %d lines: %v", len(lines), err)
		}
	})
}

// linkIn is the first link of a page that has some text in it.
func linkIn(t *testing.T, body, with string) string {
	t.Helper()
	for _, part := range strings.Split(body, `href="`)[1:] {
		if href, _, _ := strings.Cut(part, `"`); strings.Contains(href, with) {
			return strings.ReplaceAll(href, "&amp;", "&")
		}
	}
	t.Fatalf("no link with %q", with)
	return ""
}

func TestReportsAreReadInTheBrowser(t *testing.T) {
	t.Parallel()
	eachLongWorld(t, worldOptions{isFresh: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Finance))
		b.visit("/admin/reports/trial-balance")
		b.picture("reports-trial-balance-none")
		owner := w.user(identity.Customer)
		bank := w.account("bank", "0", object{"accountType": "ASSET", "overdraftLimit": nil})
		shop, fees := w.account("shop", "0", object{"accountType": "MERCHANT"}), w.account("fees", "0", object{"accountType": "REVENUE"})
		costs := w.account("costs", "0", object{"accountType": "EXPENSE", "overdraftLimit": "500.00"})
		alice := w.account("alice", "98765.50", object{"ownerId": owner.id})
		w.account("yuki", "1250000", object{"currency": "JPY"})
		for i := range 12 {
			w.pay(alice, shop, fmt.Sprintf("%d.25", 100+i*37))
			w.pay(shop, fees, "2.90")
		}
		w.pay(costs, bank, "120.00")

		b.visit("/admin/reports")
		b.picture("reports")
		b.click(`a[href="/admin/reports/trial-balance"]`)
		b.wants("Balanced")
		b.screenshot("reports-trial-balance")
		b.click(`.periods a:nth-child(2)`)
		b.wants("Nothing in this period")
		for _, name := range []string{"profit-and-loss", "customer-liabilities", "daily-volumes"} {
			b.visit("/admin/reports/" + name)
			b.picture("reports-" + name)
		}
		b.visit("/admin/reports/statement")
		b.wants("Whose statement?")
		b.picture("reports-statement-none")
		b.fill("#f-accountId", alice)
		b.click(`main form.filters button`)
		b.wants("95,120.50")
		b.screenshot("reports-statement")

		// On paper: no navigation, black on white.
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}); err != nil {
			t.Fatal(err)
		}
		var onPaper string
		b.evaluate(`[".side", ".bar", ".asked", ".head .actions"].map((part) => getComputedStyle(document.querySelector(part)).display).join(" ") + " " + getComputedStyle(document.body).backgroundColor + " " + getComputedStyle(document.querySelector("td a")).color`, &onPaper)
		if onPaper != "none none none none rgb(255, 255, 255) rgb(0, 0, 0)" {
			t.Errorf("on paper: %s", onPaper)
		}
		b.picture("reports-statement-print")
	})
}
