package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

const (
	campaigns = "/api/v1/campaigns"
	customers = "/api/v1/customers"
	purchases = "/api/v1/purchases"
	returns   = "/api/v1/returns"
	clicks    = "/api/v1/clicks"
	rewards   = "/api/v1/rewards"
	program   = "/api/v1/cashback-program"
)

// merged is o with other members.
func merged(o, more object) object {
	all := maps.Clone(o)
	maps.Copy(all, more)
	return all
}

// at is a time of the world's as requests have it, whole seconds.
func (w *world) at(ago time.Duration) string {
	return w.time.Now().Add(-ago).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// terms are those of a campaign that gives 5% of everything, paid by the platform,
// and runs now.
func (w *world) terms(more object) object {
	return merged(object{
		"name": "5% of everything", "currency": "USD", "from": w.at(30 * 24 * time.Hour), "to": w.at(-90 * 24 * time.Hour), "enabled": true,
		"reward": object{"kind": "PERCENT", "percent": "5"}, "budget": "1000.00", "funding": object{"kind": "PLATFORM"}, "returnDays": 14,
	}, more)
}

// bought is a purchase of ada's at the bookshop.
func (w *world) bought(purchaseID, at string, more object) object {
	return merged(object{
		"purchaseId": purchaseID, "merchantId": "bookshop", "customerId": "ada", "currency": "USD", "country": "GB", "timestamp": at,
		"lines": []object{
			{"product": "22720", "description": "Cake tins", "category": "kitchen", "mcc": "5719", "quantity": 6, "unitPrice": "4.95"},
			{"product": "84077", "category": "books", "quantity": 1, "unitPrice": 8.99},
		},
	}, more)
}

// enter enters a customer with a wallet in USD, and returns the wallet's id.
func (c *caller) enter(customerID string) string {
	c.w.t.Helper()
	wallet := id.New("w")
	c.post("/api/v1/accounts", object{"accountId": wallet}).want(http.StatusCreated)
	c.put(customers+"/"+customerID, object{"accountId": wallet, "country": "GB", "segments": []string{"vip"}}).want(http.StatusOK).
		wantFields(object{"customerId": customerID, "accountId": wallet, "country": "GB", "segments": []any{"vip"}})
	return wallet
}

func TestCashbackFromTheCampaignToTheWallet(t *testing.T) {
	eachFreshWorld(t, worldOptions{sweeps: 100 * time.Millisecond}, func(t *testing.T, w *world) {
		finance, shop := w.staff(identity.Finance), w.program(identity.Operator, "")
		terms := w.terms(object{
			"campaignId": "kitchen-5", "lineCondition": `category == "kitchen"`, "clickHours": 48,
			"reward": object{"kind": "PERCENT", "percent": "5", "multipliers": object{"silver": "2"}}, "caps": object{"perCustomer": "50", "customerPeriod": "MONTH"},
		})
		made := finance.post(campaigns, terms).want(http.StatusCreated).wantFields(object{
			"campaignId": "kitchen-5", "version": 1.0, "budget": "1000.00", "budgetEnd": "REST", "group": "default", "createdBy": finance.userID, "minimumSpend": nil,
		})
		if again := finance.post(campaigns, terms).want(http.StatusCreated); again.text != made.text {
			t.Errorf("again %s; first %s", again.text, made.text)
		}
		finance.post(campaigns, merged(terms, object{"budget": 5})).wantProblem(http.StatusConflict, "campaign_exists", "")
		finance.put(program, object{
			"version": 0, "groups": object{"default": "BEST"}, "tierDays": 365, "tierCurrency": "USD", "tiers": []object{{"name": "silver", "minSpend": "30"}},
		}).want(http.StatusOK).wantFields(object{"version": 1.0, "tierDays": 365.0, "createdBy": finance.userID})
		finance.put(program, object{"version": 0}).wantProblem(http.StatusConflict, "program_changed", "")

		wallet := shop.enter("ada")
		click := object{"clickId": "click-1", "customerId": "ada", "merchantId": "bookshop", "campaignId": "kitchen-5", "timestamp": w.at(26 * time.Hour)}
		shop.post(clicks, click).want(http.StatusCreated).wantFields(object{"clickId": "click-1", "purchaseId": nil})
		shop.post(clicks, click).want(http.StatusCreated)
		shop.post(clicks, merged(click, object{"customerId": "bob"})).wantProblem(http.StatusConflict, "duplicate_click", "")

		first := w.bought("inv-1", w.at(25*time.Hour), object{"clickId": "click-1", "paymentReference": "pay/1 ä"})
		recorded := shop.post(purchases, first).want(http.StatusCreated).wantFields(object{
			"status": "ACCEPTED", "amount": "38.69", "returned": "0.00", "clickId": "click-1", "source": "api", "recordedBy": shop.keyID,
		})
		if path := recorded.header.Get("Location"); path != purchases+"/inv-1" {
			t.Errorf("Location %s", path)
		}
		purchase := recorded.object()
		line := purchase.list("lines")[0]
		if line["unitPrice"] != "4.95" || line["amount"] != "29.70" || line["quantity"] != 6.0 || text(purchase, "evaluation", "clickId") != "click-1" {
			t.Errorf("purchase %s", recorded.text)
		}
		finding := object(purchase["evaluation"].(map[string]any)).list("findings")[0]
		if finding["campaignId"] != "kitchen-5" || finding["reason"] != "applied" || finding["base"] != "29.70" || finding["rate"] != "5" || finding["amount"] != "1.48" {
			t.Errorf("finding %v", finding) // 1.485, half-even
		}
		reward := purchase.list("rewards")[0]
		rewardID := reward["rewardId"].(string)
		if reward["status"] != "ACCRUED" || reward["amount"] != "1.48" || reward["campaignVersion"] != 1.0 || len(reward["transactionIds"].([]any)) != 1 {
			t.Errorf("reward %v", reward)
		}
		transaction := "/api/v1/transactions/" + reward["transactionIds"].([]any)[0].(string)
		shop.get(transaction).want(http.StatusOK).wantFields(object{
			"sourceAccountId": "house:program:kitchen-5:cost", "destinationAccountId": "house:program:kitchen-5:accrued", "amount": "1.48", "status": "COMPLETED",
		})
		if again := shop.post(purchases, first).want(http.StatusCreated); again.object()["status"] != "ACCEPTED" || len(again.object().list("rewards")) != 1 {
			t.Errorf("again %s", again.text)
		}
		shop.post(purchases, merged(first, object{"country": "FR"})).wantProblem(http.StatusConflict, "duplicate_purchase", "")

		explained := shop.get(rewards + "/" + rewardID + "/explanation").want(http.StatusOK).object()
		if text(explained, "campaign", "campaignId") != "kitchen-5" || text(explained, "finding", "computed") != "1.485" || text(explained, "purchase", "purchaseId") != "inv-1" || text(explained, "reward", "rewardId") != rewardID {
			t.Errorf("explanation %v", explained)
		}
		if lines := explained.list("lines"); len(lines) != 2 || lines[0]["reward"] != "1.48" || lines[0]["product"] != "22720" || lines[1]["reward"] != "0.00" {
			t.Errorf("lines %v", lines)
		}
		if sentences := fmt.Sprint(explained["sentences"]); !strings.Contains(sentences, "29.70 USD") || !strings.Contains(sentences, "1.48 USD") {
			t.Errorf("sentences %s", sentences)
		}
		if others := explained["others"].([]any); len(others) != 0 {
			t.Errorf("others %v", others)
		}

		// The second one has no click of its own; the third is of a customer in the tier.
		unclicked := shop.post(purchases, w.bought("inv-2", w.at(20*time.Hour), nil)).want(http.StatusCreated).object()
		if findings := object(unclicked["evaluation"].(map[string]any)).list("findings"); findings[0]["reason"] != "no_click" || unclicked["rewards"] != nil {
			t.Errorf("without a click: %v", unclicked)
		}
		shop.get(customers + "/ada").want(http.StatusOK).wantFields(object{"tier": "silver", "purchases": 2.0, "segments": []any{"vip"}})
		tiers := shop.get(customers + "/ada/tiers").want(http.StatusOK).wantFields(object{"tier": "silver"}).object().list("data")
		if len(tiers) != 1 || tiers[0]["tier"] != "silver" || tiers[0]["timestamp"] == nil {
			t.Errorf("tiers %v", tiers)
		}
		shop.post(clicks, merged(click, object{"clickId": "click-3", "timestamp": w.at(3 * time.Hour)})).want(http.StatusCreated)
		third := shop.post(purchases, w.bought("inv-3", w.at(2*time.Hour), nil)).want(http.StatusCreated).object()
		if doubled := third.list("rewards"); len(doubled) != 1 || doubled[0]["amount"] != "2.97" {
			t.Errorf("in the tier: %v", third)
		}
		figures := func(want object) {
			t.Helper()
			shop.get(campaigns + "/kitchen-5/figures").want(http.StatusOK).wantFields(want)
		}
		figures(object{"currency": "USD", "budget": "1000.00", "remaining": "995.55", "accrued": "4.45", "confirmed": "0.00", "paid": "0.00", "reversed": "0.00", "rewards": 2.0})

		// Two of six tins come back before it is paid: what is kept gives 0.99, half-even.
		back := object{"returnId": "back-1", "lines": []object{{"line": 0, "quantity": 2}}, "timestamp": w.at(time.Hour)}
		shop.post(purchases+"/inv-1/returns", back).want(http.StatusCreated).wantFields(object{"status": "APPLIED", "purchaseId": "inv-1", "reversed": "0.49"})
		shop.post(purchases+"/inv-1/returns", back).want(http.StatusCreated).wantFields(object{"status": "APPLIED", "reversed": "0.49"})
		shop.post(purchases+"/inv-1/returns", merged(back, object{"lines": []object{{"line": 0, "quantity": 3}}})).wantProblem(http.StatusConflict, "duplicate_return", "")
		shop.post(purchases+"/inv-1/returns", object{"returnId": "back-2", "lines": []object{{"line": 0, "quantity": 5}}, "timestamp": w.at(time.Hour)}).
			wantProblem(http.StatusUnprocessableEntity, "return_exceeds_purchase", "")
		shop.get(returns + "/back-2").want(http.StatusOK).wantFields(object{"status": "REFUSED", "failureCode": "return_exceeds_purchase", "parts": []any{}})
		parts := shop.get(returns + "/back-1").want(http.StatusOK).object().list("parts")
		if len(parts) != 1 || parts[0]["purchaseId"] != "inv-1" || parts[0]["line"] != 0.0 || parts[0]["quantity"] != 2.0 || parts[0]["amount"] != "9.90" {
			t.Errorf("parts %v", parts)
		}
		kept := shop.get(purchases + "/inv-1").want(http.StatusOK).wantFields(object{"returned": "9.90", "status": "ACCEPTED"}).object()
		if kept.list("lines")[0]["returned"] != 2.0 || kept.list("rewards")[0]["reversed"] != "0.49" {
			t.Errorf("after the return: %v", kept)
		}
		figures(object{"accrued": "3.96", "reversed": "0.49", "remaining": "996.04"})

		// After the return window it is in her wallet, and comes back from there.
		w.time.pass(15 * 24 * time.Hour)
		w.waitPaid(shop, rewardID)
		shop.get(rewards + "/" + rewardID).want(http.StatusOK).wantFields(object{"status": "PAID", "paidToAccountId": wallet, "failureCode": nil})
		w.waitPaid(shop, third.list("rewards")[0]["rewardId"].(string))
		if posted, _ := w.balanceOf(wallet); posted != "3.96" {
			t.Errorf("the wallet has %s", posted)
		}
		figures(object{"accrued": "0.00", "confirmed": "0.00", "paid": "3.96"})
		shop.post(returns, object{
			"returnId": "back-3", "customerId": "ada", "merchantId": "bookshop", "lines": []object{{"product": "22720", "quantity": 6}}, "timestamp": w.at(0),
		}).want(http.StatusCreated).wantFields(object{"status": "APPLIED", "purchaseId": nil, "reversed": "2.97"})
		if posted, _ := w.balanceOf(wallet); posted != "0.99" {
			t.Errorf("the wallet has %s after the return", posted)
		}
		figures(object{"paid": "0.99", "reversed": "3.46"})

		// The next version counts for what comes next; a dry run tells what it would have given.
		changed := w.terms(object{"version": 1, "reward": object{"kind": "FIXED", "amount": "2"}, "merchants": []string{"bookshop"}})
		finance.signIn()
		finance.put(campaigns+"/kitchen-5", changed).want(http.StatusOK).wantFields(object{"version": 2.0, "clickHours": nil, "merchants": []any{"bookshop"}})
		finance.put(campaigns+"/kitchen-5", merged(changed, object{"name": "Another"})).wantProblem(http.StatusConflict, "campaign_changed", "")
		finance.put(campaigns+"/kitchen-5", merged(changed, object{"version": 2, "budget": "0.98"})).wantProblem(http.StatusUnprocessableEntity, "budget_below_spent", "")
		forecast := finance.post(campaigns+"/kitchen-5/simulate", object{"from": w.at(20 * 24 * time.Hour), "to": w.at(0)}).want(http.StatusOK).
			wantFields(object{"campaignId": "kitchen-5", "currency": "USD", "purchases": 3.0, "rewarded": 3.0, "customers": 1.0, "cost": "6.00", "merchantPart": "0.00", "budgetExhaustedAt": nil})
		if top := forecast.object().list("topCustomers"); len(top) != 1 || top[0]["customerId"] != "ada" || top[0]["amount"] != "6.00" {
			t.Errorf("forecast %s", forecast.text)
		}
		finance.post(campaigns+"/kitchen-5/simulate", object{"from": w.at(20 * 24 * time.Hour), "to": w.at(0), "terms": w.terms(object{"budget": "3.00"})}).want(http.StatusOK).
			wantFields(object{"cost": "3.00", "rewarded": 2.0})
		figures(object{"paid": "0.99", "rewards": 2.0}) // nothing was booked
		versions := shop.get(campaigns + "/kitchen-5/versions?limit=1").want(http.StatusOK).object()
		older := shop.get(campaigns + "/kitchen-5/versions?limit=1&cursor=" + url.QueryEscape(text(versions, "nextCursor"))).want(http.StatusOK).object()
		if versions.list("data")[0]["version"] != 2.0 || older.list("data")[0]["lineCondition"] != `category == "kitchen"` || older["nextCursor"] != nil {
			t.Errorf("versions %v, %v", versions, older)
		}
		for target, action := range map[string]string{"kitchen-5": "campaign.changed", "program": "cashback_program.changed"} {
			if event := w.wantEvent(target, action); event.Origin.ActorID != finance.userID {
				t.Errorf("event %+v", event)
			}
		}
	})
}

// waitPaid waits until a reward is in its customer's wallet.
func (w *world) waitPaid(by *caller, rewardID string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		reward := by.get(rewards + "/" + rewardID).want(http.StatusOK).object()
		if reward["status"] == "PAID" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not paid: %v", reward)
		}
	}
}

func TestCashbackTakesBatchesAndListsThem(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		finance, shop := w.staff(identity.Finance), w.program(identity.Operator, "")
		for _, name := range []string{"a", "b", "c"} {
			finance.post(campaigns, w.terms(object{"campaignId": name, "group": name, "budget": "2.5", "reward": object{"kind": "FIXED", "amount": "1"}})).want(http.StatusCreated)
		}
		shop.enter("ada")
		batch := object{"purchases": []object{
			w.bought("p-0", w.at(5*time.Hour), nil), w.bought("p-1", w.at(4*time.Hour), object{"customerId": "bob"}), w.bought("p-0", w.at(3*time.Hour), nil),
			w.bought("p-3", w.at(2*time.Hour), object{"currency": "EUR"}), w.bought("p-4", w.at(time.Hour), nil), w.bought("p-5", w.at(0), object{"merchantId": "other"}),
		}}
		first := shop.post(purchases+"/batch", batch).want(http.StatusOK).wantFields(object{"succeeded": 5.0, "failed": 1.0})
		for i, want := range []struct {
			id, status, code string
			reward           any
		}{
			{"p-0", "ACCEPTED", "", "3.00"}, {"p-1", "HELD", "", nil}, {"p-0", "FAILED", "duplicate_purchase", nil},
			{"p-3", "ACCEPTED", "", "0.00"}, {"p-4", "ACCEPTED", "", "3.00"}, {"p-5", "ACCEPTED", "", "1.50"}, // the budgets' rest
		} {
			got := first.object().list("results")[i]
			if got["index"] != float64(i) || got["purchaseId"] != want.id || got["status"] != want.status || got["reward"] != want.reward || text(got, "failureCode") != want.code {
				t.Errorf("result %d is %v; want %v", i, got, want)
			}
		}
		if again := shop.post(purchases+"/batch", batch).want(http.StatusOK); again.text != first.text {
			t.Errorf("again %s; first %s", again.text, first.text)
		}
		// A return of what is held waits with it, until the customer is entered.
		undone := object{"returns": []object{
			{"returnId": "r-0", "purchaseId": "p-1", "timestamp": w.at(0)}, {"returnId": "r-1", "purchaseId": "p-0", "amount": "38.70", "timestamp": w.at(0)},
			{"returnId": "r-2", "purchaseId": "p-4", "timestamp": w.at(0)}, {"returnId": "r-2", "purchaseId": "p-5", "timestamp": w.at(0)},
			{"returnId": "r-4", "customerId": "ada", "merchantId": "bookshop", "lines": []object{{"product": "none", "quantity": 1}}, "timestamp": w.at(0)},
		}}
		returned := shop.post(returns+"/batch", undone).want(http.StatusOK).wantFields(object{"succeeded": 2.0, "failed": 3.0})
		for i, want := range [][3]string{
			{"r-0", "WAITING", ""}, {"r-1", "REFUSED", "return_exceeds_purchase"}, {"r-2", "APPLIED", ""}, {"r-2", "FAILED", "duplicate_return"}, {"r-4", "REFUSED", "nothing_to_return"},
		} {
			got := returned.object().list("results")[i]
			if got["returnId"] != want[0] || got["status"] != want[1] || text(got, "failureCode") != want[2] || (want[2] == "") != (got["reversed"] != nil) {
				t.Errorf("result %d is %v; want %v", i, got, want)
			}
		}
		if got := returned.object().list("results")[2]["reversed"]; got != "3.00" {
			t.Errorf("%v was taken back", got)
		}
		shop.get(purchases + "/p-4").want(http.StatusOK).wantFields(object{"status": "RETURNED"})
		shop.enter("bob")
		shop.get(purchases + "/p-1").want(http.StatusOK).wantFields(object{"status": "RETURNED"})
		shop.get(returns + "/r-0").want(http.StatusOK).wantFields(object{"status": "APPLIED"})

		followed := func(clickID string, more object) object {
			return merged(object{"clickId": clickID, "customerId": "ada", "merchantId": "bookshop", "campaignId": "a", "timestamp": w.at(0)}, more)
		}
		clicked := shop.post(clicks+"/batch", object{"clicks": []object{followed("k-0", nil), followed("k-1", object{"campaignId": "none"}), followed("k-0", object{"customerId": "eve"})}}).
			want(http.StatusOK).wantFields(object{"succeeded": 2.0, "failed": 1.0}).object().list("results")
		if clicked[0]["status"] != "RECORDED" || clicked[1]["status"] != "RECORDED" || clicked[2]["status"] != "FAILED" || clicked[2]["failureCode"] != "duplicate_click" {
			t.Errorf("clicks %v", clicked)
		}

		for path, want := range map[string][]string{
			campaigns + "?limit=2":                                    {"a", "b", "c"},
			purchases + "?limit=2&customerId=ada":                     {"p-5", "p-4", "p-3", "p-0"},
			purchases + "?limit=1&merchantId=bookshop&customerId=bob": {"p-1"},
			purchases + "?merchantId=other":                           {"p-5"},
			purchases + "?customerId=ada&to=" + w.at(90*time.Minute):  {"p-3", "p-0"},
			purchases + "?customerId=nobody":                          {},
			rewards + "?limit=2&customerId=ada&status=REVERSED":       {"p-4", "p-4", "p-4"},
			rewards + "?limit=1&purchaseId=p-0":                       {"p-0", "p-0", "p-0"},
			rewards + "?limit=2&campaignId=a&customerId=ada":          {"p-5", "p-4", "p-0"},
		} {
			column := "purchaseId"
			if strings.HasPrefix(path, campaigns) {
				column = "campaignId"
			}
			if got := shop.column(path, column); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) || strings.HasPrefix(path, purchases) && !slices.Equal(got, want) {
				t.Errorf("%s: %v; want %v", path, got, want)
			}
		}
		if row := shop.get(purchases + "?customerId=ada").object().list("data")[0]; row["lines"] != nil || row["evaluation"] != nil || row["amount"] != "38.69" {
			t.Errorf("a row of the list: %v", row)
		}

		// Who may: shops' programs report, finance decides, support looks, owners see no purchases.
		support, admin, merchant := w.staff(identity.Support), w.program(identity.Admin, ""), w.merchant()
		support.get(purchases + "/p-0").want(http.StatusOK)
		support.get(campaigns + "/a/figures").want(http.StatusOK)
		for _, by := range []*caller{support, finance} {
			by.post(purchases, w.bought("p-9", w.at(0), nil)).wantProblem(http.StatusForbidden, "forbidden", "")
			by.put(customers+"/eve", object{"accountId": "x"}).wantProblem(http.StatusForbidden, "forbidden", "")
		}
		for _, by := range []*caller{support, shop} {
			by.post(campaigns, w.terms(object{"campaignId": "mine"})).wantProblem(http.StatusForbidden, "forbidden", "")
			by.put(program, object{"version": 0}).wantProblem(http.StatusForbidden, "forbidden", "")
		}
		for _, by := range []*caller{merchant, w.program(identity.Merchant, merchant.userID), w.customer("Ada Adams")} {
			by.get(purchases+"/p-0").wantProblem(http.StatusForbidden, "forbidden", "")
			by.get(rewards+"?purchaseId=p-0").wantProblem(http.StatusForbidden, "forbidden", "")
			by.post(purchases, w.bought("p-9", w.at(0), nil)).wantProblem(http.StatusForbidden, "forbidden", "")
		}
		w.program(identity.Operator, "", identity.PurchasesRead).post(purchases, w.bought("p-9", w.at(0), nil)).wantProblem(http.StatusForbidden, "forbidden", "")
		admin.post(campaigns, w.terms(object{"campaignId": "of-admin", "enabled": false})).want(http.StatusCreated)
		w.time.pass(proofMax)
		finance.post(campaigns, w.terms(object{"campaignId": "late"})).wantProblem(http.StatusForbidden, "proof_required", "")
		finance.put(program, object{"version": 0}).wantProblem(http.StatusForbidden, "proof_required", "")
	})
}

// column is a member of all rows of a list, page by page.
func (c *caller) column(path, name string) []string {
	c.w.t.Helper()
	values := []string{}
	for next := path; ; {
		page := c.get(next).want(http.StatusOK).object()
		for _, row := range page.list("data") {
			values = append(values, text(row, name))
		}
		cursor := text(page, "nextCursor")
		if cursor == "" {
			return values
		}
		next = path + "&cursor=" + url.QueryEscape(cursor)
	}
}

// What the documentation shows as examples works as it shows it.
func TestExamplesOfCashbackAreTaken(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		admin := w.program(identity.Admin, "")
		document := admin.get("/openapi.json").object()
		example := func(method, path string) object {
			op := document["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
			return op["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["example"].(map[string]any)
		}
		admin.post("/api/v1/accounts", object{"accountId": "alice"}).want(http.StatusCreated)
		for _, c := range []struct {
			method, path string
			status       int
		}{
			{http.MethodPut, "/api/v1/cashback-program", http.StatusOK},
			{http.MethodPost, campaigns, http.StatusCreated},
			{http.MethodPut, campaigns + "/{campaignId}", http.StatusOK},
			{http.MethodPut, customers + "/{customerId}", http.StatusOK},
			{http.MethodPost, clicks, http.StatusCreated},
			{http.MethodPost, clicks + "/batch", http.StatusOK},
			{http.MethodPost, purchases, http.StatusCreated},
			{http.MethodPost, purchases + "/batch", http.StatusOK},
			{http.MethodPost, purchases + "/{purchaseId}/returns", http.StatusCreated},
			{http.MethodPost, returns, http.StatusCreated},
			{http.MethodPost, returns + "/batch", http.StatusOK},
			{http.MethodPost, campaigns + "/{campaignId}/simulate", http.StatusOK},
		} {
			path := strings.NewReplacer("{campaignId}", "kitchen-5", "{customerId}", "ada", "{purchaseId}", "inv-1001").Replace(c.path)
			admin.call(c.method, path, example(c.method, c.path)).want(c.status)
		}
		bought := admin.get(purchases + "/inv-1001").want(http.StatusOK).object()
		if got := bought.list("rewards"); len(got) != 1 || got[0]["campaignId"] != "kitchen-5" || bought.list("lines")[0]["returned"] != 4.0 {
			t.Errorf("of the examples came %v", bought)
		}
	})
}
