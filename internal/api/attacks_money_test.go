package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// toMorning moves the time to after one o'clock, so that no day of UTC ends while
// a test runs.
func (w *world) toMorning() {
	now := w.time.Now().UTC()
	if now.Hour() >= 22 {
		w.time.pass(now.Truncate(24*time.Hour).AddDate(0, 0, 1).Add(time.Hour).Sub(now))
	}
}

// settled is somebody whose account is old enough not to be looked at closely, with
// money, and somebody whom he has paid before.
func (w *world) settled(role identity.Role, balance string) (payer *caller, account, payee string) {
	w.t.Helper()
	payer = w.staff(role)
	account, payee = payer.open("USD"), w.customer("Pia Payee").open("USD")
	w.time.pass(2 * 24 * time.Hour)
	w.toMorning()
	payer.signIn()
	w.fund(account, balance)
	payer.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": payee}, "amount": "1"}).want(http.StatusCreated)
	w.time.pass(25 * time.Hour)
	w.toMorning()
	payer.signIn()
	return payer, account, payee
}

// attackIdempotencyKeys repeats keys with other bodies, as other users, and takes
// ids of others.
func attackIdempotencyKeys(t *testing.T, w *world) {
	payer, account, payee := w.settled(identity.Customer, "100")
	other, otherAccount, _ := w.settled(identity.Customer, "100")
	payer.signIn()
	body := object{"accountId": account, "to": object{"accountId": payee}, "amount": "2"}
	const key = "key-1"
	first := payer.post(me+"/transfers", body, "Idempotency-Key", key).want(http.StatusCreated).object()
	again := payer.post(me+"/transfers", body, "Idempotency-Key", key).want(http.StatusCreated).object()
	if text(first, "transactionId") != text(again, "transactionId") {
		t.Errorf("%v, then %v", first, again)
	}
	for name, changed := range map[string]object{
		"more":        {"accountId": account, "to": object{"accountId": payee}, "amount": "3"},
		"to another":  {"accountId": account, "to": object{"accountId": otherAccount}, "amount": "2"},
		"description": {"accountId": account, "to": object{"accountId": payee}, "amount": "2", "description": "x"},
	} {
		got := payer.post(me+"/transfers", changed, "Idempotency-Key", key)
		if got.status != http.StatusConflict {
			t.Errorf("%s: %d %.300s", name, got.status, got.text)
		}
	}
	// Many at once under one key are one payment.
	raw := fmt.Sprintf(`{"accountId":%q,"to":{"accountId":%q},"amount":"5"}`, account, payee)
	statuses, texts := atOnce(16, func(int) (int, string) {
		return payer.raw(http.MethodPost, me+"/transfers", raw, "Idempotency-Key", "key-2")
	})
	ids := map[string]bool{}
	for _, answer := range texts {
		if _, rest, found := strings.Cut(answer, `"transactionId":"`); found {
			transactionID, _, _ := strings.Cut(rest, `"`)
			ids[transactionID] = true
		}
	}
	if posted, held := w.balanceOf(account); posted != "92.00" || held != "0.00" || len(ids) != 1 {
		t.Errorf("%s is left, %s held, %v as %v", posted, held, statuses, ids)
	}
	// Another user's same key is another payment, of which he learns nothing.
	his := other.post(me+"/transfers", object{"accountId": otherAccount, "to": object{"accountId": payee}, "amount": "2"}, "Idempotency-Key", key).want(http.StatusCreated).object()
	if text(his, "transactionId") == text(first, "transactionId") {
		t.Error("two users share a transaction")
	}
	// Ids of others in raw requests: nothing of theirs is told.
	merchant, shop, _ := w.settled(identity.Merchant, "100")
	rival, stall, _ := w.settled(identity.Merchant, "100")
	theirs := id.New("t")
	rival.post("/api/v1/transfers", transfer(theirs, stall, payee, 2)).want(http.StatusCreated)
	merchant.signIn() // time has passed
	taken := merchant.post("/api/v1/transfers", transfer(theirs, shop, payee, 2)).wantProblem(http.StatusConflict, "duplicate_transaction", "")
	merchant.post("/api/v1/transactions/process", transfer(theirs, shop, payee, 2)).wantProblem(http.StatusConflict, "duplicate_transaction", "")
	// Nor does he take the ids that payments of wallets have.
	for _, taken := range []string{text(first, "transactionId"), "wdr_0", "dep_0", "house:0"} {
		merchant.post("/api/v1/transfers", transfer(taken, shop, payee, 2)).wantProblem(http.StatusBadRequest, "invalid_request", "transactionId")
		merchant.post("/api/v1/transactions/process", transfer(taken, shop, payee, 2)).wantProblem(http.StatusBadRequest, "invalid_request", "transactionId")
	}
	if strings.Contains(taken.text, stall) || strings.Contains(taken.text, `"2`) {
		t.Errorf("it tells of another's: %s", taken.text)
	}
	payer.signIn()
	for _, bad := range []string{strings.Repeat("a", 256), "a b", "ä"} {
		if status, text := payer.raw(http.MethodPost, me+"/transfers", raw, "Idempotency-Key", bad); status != http.StatusBadRequest {
			t.Errorf("%.20q: %d %.300s", bad, status, text)
		}
	}
}

// attackDailyLimit pays by many requests at once, by every way that there is: the
// day's limit holds to the cent.
func attackDailyLimit(t *testing.T, w *world) {
	// A merchant in USD may pay 250,000 a day: 64 times 5,000 are more.
	merchant, account, payee := w.settled(identity.Merchant, "900000")
	key := w.program(identity.Merchant, merchant.userID)
	before, _ := w.balanceOf(account)
	statuses, _ := atOnce(64, func(i int) (int, string) {
		caller := merchant
		if i%2 == 0 {
			caller = key
		}
		switch i % 4 {
		case 0, 1:
			return caller.raw(http.MethodPost, "/api/v1/transfers", fmt.Sprintf(`{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":"4999.99"}`, id.New("t"), account, payee))
		case 2:
			return caller.raw(http.MethodPost, "/api/v1/holds", fmt.Sprintf(`{"sourceAccountId":%q,"destinationAccountId":%q,"amount":"4999.99"}`, account, payee))
		default:
			return caller.raw(http.MethodPost, "/api/v1/transfers", fmt.Sprintf(`{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":"4999.99","currency":"USD"}`, id.New("t"), account, payee))
		}
	})
	wantSpent(t, w, account, before, "250000", "4999.99", statuses)
	// What is accepted to be done later is under the same limit.
	statuses, texts := atOnce(16, func(int) (int, string) {
		return key.raw(http.MethodPost, "/api/v1/transactions/process", fmt.Sprintf(`{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":"4999.99"}`, id.New("t"), account, payee))
	})
	for _, accepted := range texts {
		w.wantFailed(accepted)
	}
	wantSpent(t, w, account, before, "250000", "4999.99", statuses)
	for amount, code := range map[string]string{"50000.01": "transfer_limit_exceeded", "4999.99": "daily_limit_exceeded"} {
		key.post("/api/v1/transfers", transfer(id.New("t"), account, payee, amount)).wantProblem(http.StatusUnprocessableEntity, code, "")
	}
	// He gives himself no other limits.
	for _, caller := range []*caller{merchant, key} {
		caller.patch("/api/v1/accounts/"+account, object{"dailyLimit": "none"}).wantProblem(http.StatusForbidden, "forbidden", "")
		caller.put("/api/v1/limits/merchant/USD", object{"perTransfer": "none", "daily": "none"}).wantProblem(http.StatusForbidden, "forbidden", "")
	}

	// A customer, 10,000 a day, by transfers and withdrawals: what is reserved counts.
	customer, own, payee := w.settled(identity.Customer, "90000")
	link := customer.link()
	before, _ = w.balanceOf(own)
	statuses, _ = atOnce(64, func(i int) (int, string) {
		if i%4 == 0 {
			return customer.raw(http.MethodPost, me+"/withdrawals", fmt.Sprintf(`{"accountId":%q,"linkedAccountId":%q,"amount":"499.99"}`, own, link))
		}
		return customer.raw(http.MethodPost, me+"/transfers", fmt.Sprintf(`{"accountId":%q,"to":{"accountId":%q},"amount":"499.99"}`, own, payee))
	})
	wantSpent(t, w, own, before, "10000", "499.99", statuses)
}

// wantSpent fails the test when more left an account, or is reserved, than the
// limit, or when another payment would have found room.
func wantSpent(t *testing.T, w *world, account, before, limit, each string, statuses map[int]int) {
	t.Helper()
	posted, held := w.balanceOf(account)
	spent := dec(before).Sub(dec(posted)).Add(dec(held))
	t.Logf("%s of %s was spent: %v", spent, limit, statuses)
	if spent.GreaterThan(dec(limit)) {
		t.Errorf("%s was spent; the limit is %s: %v", spent, limit, statuses)
	}
	if spent.Add(dec(each)).LessThanOrEqual(dec(limit)) {
		t.Errorf("only %s was spent; the limit is %s: %v", spent, limit, statuses)
	}
	for status := range statuses {
		if status == 0 || status >= 500 && status != http.StatusServiceUnavailable {
			t.Errorf("%v", statuses)
		}
	}
}

// attackDoubleSpend spends money that a review has reserved, and has the review end
// in both ways, many times.
func attackDoubleSpend(t *testing.T, w *world) {
	payer, account, friend := w.settled(identity.Customer, "1501")
	stranger := w.customer("Sam Stranger").open("USD")
	waits := payer.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": stranger}, "amount": "1400"}).want(http.StatusAccepted).wantFields(object{"status": "IN_REVIEW"}).object()
	statuses, _ := atOnce(16, func(int) (int, string) {
		return payer.raw(http.MethodPost, me+"/transfers", fmt.Sprintf(`{"accountId":%q,"to":{"accountId":%q},"amount":"100"}`, account, friend))
	})
	if statuses[http.StatusCreated] != 1 {
		t.Errorf("what is left was spent %v", statuses)
	}
	decision, err := w.risk.DecisionOf(t.Context(), text(waits, "transactionId"))
	if err != nil {
		t.Fatal(err)
	}
	// The payer does not review his own payment, whatever he has become.
	if err := w.users.SetRole(t.Context(), payer.userID, identity.Operator); err != nil {
		t.Fatal(err)
	}
	payer.signIn().post("/api/v1/risk/reviews/"+decision.ID+"/approve", nil).wantProblem(http.StatusForbidden, "own_review", "")
	if err := w.users.SetRole(t.Context(), payer.userID, identity.Customer); err != nil {
		t.Fatal(err)
	}
	reviewers := []*caller{w.staff(identity.Operator), w.staff(identity.Operator), w.staff(identity.Admin)}
	statuses, _ = atOnce(24, func(i int) (int, string) {
		return reviewers[i%3].raw(http.MethodPost, "/api/v1/risk/reviews/"+decision.ID+"/"+[]string{"approve", "reject"}[i%2], "")
	})
	posted, held := w.balanceOf(account)
	arrived, _ := w.balanceOf(stranger)
	isDone := posted == "0.00" && arrived == "1400.00"
	isUndone := posted == "1400.00" && arrived == "0.00"
	if held != "0.00" || !isDone && !isUndone || statuses[http.StatusConflict] != 12 {
		t.Errorf("%s is left, %s held, %s arrived: %v", posted, held, arrived, statuses)
	}
	reviewer := reviewers[0]
	for _, way := range []string{"approve", "reject"} {
		reviewer.post("/api/v1/risk/reviews/"+decision.ID+"/"+way, nil)
	}
	payer.signIn()
	if got := payer.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": friend}, "amount": "1500"}); got.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", got.status, got.text)
	}
	if now, _ := w.balanceOf(account); now != posted {
		t.Errorf("%s became %s", posted, now)
	}
	// A hold of a review is nothing that its payer captures or gives back himself.
	shop, till, _ := w.settled(identity.Merchant, "5000")
	waits = shop.post(me+"/transfers", object{"accountId": till, "to": object{"accountId": stranger}, "amount": "1400"}).want(http.StatusAccepted).object()
	for _, o := range []string{"void", "capture"} {
		for _, holdID := range w.holdsOf(till) {
			for _, caller := range []*caller{shop, w.staff(identity.Admin)} {
				caller.post("/api/v1/holds/"+holdID+"/"+o, nil).wantProblem(http.StatusConflict, "hold_reserved", "")
			}
		}
	}
	_ = waits
}

// holdsOf are the ids of the holds on an account.
func (w *world) holdsOf(accountID string) (ids []string) {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), "SELECT hold_id FROM holds WHERE source_account_id = $1", accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var holdID string
		if err := rows.Scan(&holdID); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, holdID)
	}
	if rows.Err() != nil || len(ids) == 0 {
		w.t.Fatalf("no holds: %v", rows.Err())
	}
	return ids
}

// attackVelocity pays often at once, and splits over accounts: the rule about many
// payments within an hour lets 20 through.
func attackVelocity(t *testing.T, w *world) {
	payer, account, payee := w.settled(identity.Customer, "1000")
	second := payer.open("USD")
	w.fund(second, "1000")
	statuses, _ := atOnce(64, func(i int) (int, string) {
		return payer.raw(http.MethodPost, me+"/transfers", fmt.Sprintf(`{"accountId":%q,"to":{"accountId":%q},"amount":"1"}`, []string{account, second}[i%2], payee))
	})
	if done := statuses[http.StatusCreated]; done > 20 || done < 10 || statuses[http.StatusAccepted] == 0 {
		t.Errorf("%v", statuses)
	}
}
