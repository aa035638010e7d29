package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
)

// shop is a world with a campaign, its customer, and what he bought and gave back.
type shop struct {
	*world
	from, to time.Time // of the campaign
}

// kitchenTerms are those of the campaign: 5% on kitchenware, twice that for gold.
func (s *shop) kitchenTerms(more object) object {
	terms := object{
		"name": "5% on kitchenware " + scripted, "currency": "USD", "from": s.from.Format(time.RFC3339), "to": s.to.Format(time.RFC3339), "enabled": true,
		"condition": `merchant != "` + scripted + `"`, "lineCondition": `category == "kitchen"`,
		"reward": object{"kind": "PERCENT", "percent": "5", "multipliers": object{"gold": "2"}},
		"caps":   object{"perCustomer": "50.00", "customerPeriod": "MONTH"}, "budget": "100.00", "funding": object{"kind": "PLATFORM"}, "returnDays": 14,
	}
	for name, value := range more {
		terms[name] = value
	}
	return terms
}

func (w *world) shop() *shop {
	w.t.Helper()
	today := w.time.Now().UTC().Truncate(24 * time.Hour)
	s := &shop{world: w, from: today.AddDate(0, 0, -60), to: today.AddDate(1, 0, 0)}
	w.root.post("/api/v1/campaigns", s.kitchenTerms(object{"campaignId": "kitchen-5"}))
	w.root.post("/api/v1/campaigns", s.kitchenTerms(object{"campaignId": "big-spender", "name": "For big spenders", "minimumSpend": "500.00", "group": "big"}))
	w.root.call(http.MethodPut, "/api/v1/customers/ada", object{"accountId": w.account("ada", "0", nil), "country": "GB", "segments": []string{"vip"}})
	s.buys("inv-1001", "29.70")
	return s
}

// buys has ada buy cake tins and a book.
func (s *shop) buys(purchaseID, tins string) {
	s.t.Helper()
	s.buysFor("ada", purchaseID, tins)
}

func (s *shop) buysFor(customerID, purchaseID, tins string) {
	s.t.Helper()
	s.root.post("/api/v1/purchases", object{
		"purchaseId": purchaseID, "merchantId": "bookshop", "customerId": customerID, "currency": "USD", "country": scripted, "timestamp": s.time.Now().Add(-time.Hour).Format(time.RFC3339), "paymentReference": scripted,
		"lines": []object{
			{"product": "22720", "description": "Cake tins " + scripted, "category": "kitchen", "mcc": "5719", "quantity": 1, "unitPrice": tins},
			{"product": scripted, "category": scripted, "quantity": 2, "unitPrice": "8.99"},
		},
	})
}

func (s *shop) campaign() object { return s.root.get("/api/v1/campaigns/kitchen-5") }

func TestCashbackPagesShowWhatTheAPIKnows(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.key(identity.Finance))
		v.get("/admin/campaigns").tells(t, 200, "No campaigns yet", "Make the first campaign")
		v.get("/admin/purchases").tells(t, 200, "No purchases yet")
		s := w.shop()
		w.root.post("/api/v1/returns", object{"returnId": "back-1001", "purchaseId": "inv-1001", "lines": []object{{"line": 1, "quantity": 1}}, "timestamp": s.time.Now().Format(time.RFC3339)})
		reward := w.root.get("/api/v1/rewards?purchaseId=inv-1001")["data"].([]any)[0].(object)["rewardId"].(string)

		v.get("/admin/campaigns").tells(t, 200, "kitchen-5", "For big spenders", "5% of the lines that count.", "Enabled")
		v.get("/admin/campaigns/kitchen-5").tells(t, 200, "5% on kitchenware &lt;script&gt;", "2 times as much for the tier gold", "At most 50.00 USD a customer a month.",
			"The platform.", "After 14 days", `category == &#34;kitchen&#34;`, "<strong>1.5%</strong>", "98.5", "The campaign was made.", "house:program:kitchen-5:accrued")
		v.get("/admin/rewards").tells(t, 200, "Whose rewards?")
		v.get("/admin/rewards?status=PAID&campaignId=kitchen-5").tells(t, 200, "No reward fits")
		v.get("/admin/rewards?campaignId=kitchen-5").tells(t, 200, reward, "1.48")
		v.get("/admin/rewards/"+reward).tells(t, 200, "5% of 29.70 USD is 1.485 USD, rounded to", "The lines that count come to 29.70 USD; a reward needs at least 500.00 USD.", "/admin/transactions/house:rwd_")
		v.get("/admin/purchases?customerId=nobody").tells(t, 200, "No purchase fits")
		v.get("/admin/purchases?from="+s.from.Format("2006-01-02")+"&to="+s.to.Format("2006-01-02")).tells(t, 200, "inv-1001", "47.68")
		v.get("/admin/purchases?from=yesterday").tells(t, 400, "from")
		v.get("/admin/purchases/inv-1001").tells(t, 200, "Cake tins &lt;script&gt;", "Got the reward", "Below the minimum", "8.99", reward)
		v.get("/admin/returns/back-1001").tells(t, 200, "Applied", "inv-1001")
		v.get("/admin/customers").tells(t, 200, "Open a customer", "Open a return")
		v.get("/admin/customers?customerId=ada").leads(t, "/admin/customers/ada")
		v.get("/admin/customers?returnId=back-1001").leads(t, "/admin/returns/back-1001")
		v.get("/admin/customers/ada").tells(t, 200, "GB", "inv-1001", reward)
		v.get("/admin/customers/nobody").tells(t, 404, "customer_not_found")
		v.get("/admin/campaigns/kitchen-5/simulation").tells(t, 200, "Not simulated yet")
		v.get("/admin/campaigns/kitchen-5/simulation?from="+s.from.Format("2006-01-02")+"&to="+s.to.Format("2006-01-02")).tells(t, 200, "1.48", "Got the reward", "100%", "/admin/customers/ada", "The budget would have lasted.")
		v.get("/admin/campaigns/kitchen-5/simulation?from=2026-02-01&to=2026-01-01").tells(t, 400, "must be after from")
	})
}

func TestACampaignIsSwitchedOnceByItsVersion(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		s := w.shop()
		v := w.visitor(t, w.key(identity.Finance))
		pause := fields("version", "1", "enabled", "false")
		for range 2 {
			v.post("/admin/campaigns/kitchen-5/switch", pause).leads(t, "/admin/campaigns/kitchen-5")
			if c := s.campaign(); c["enabled"] != false || c["version"] != float64(2) || c["budget"] != "100.00" {
				t.Fatalf("the campaign is %v; want version 2, paused, and else as it was", c)
			}
		}
		v.get("/admin/campaigns/kitchen-5").tells(t, 200, "Paused.", "Enable the campaign")
		v.post("/admin/campaigns/kitchen-5/switch", fields("version", "1", "enabled", "true")).tells(t, 409, "version 2")
		if c := s.campaign(); c["enabled"] != false {
			t.Fatal("a form of an old version enabled the campaign")
		}
	})
}

func TestEnablingACampaignWaitsForASecondPerson(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true, secondPerson: []approval.Operation{approval.CampaignChange}}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.staff(identity.Finance))
		today := w.time.Now().UTC().Format("2006-01-02")
		made := fields("campaignId", "welcome", "name", "Welcome", "currency", "USD", "enabled", "false", "from", today, "to", "2999-01-01", "reward.kind", "FIXED", "reward.amount", "3.00",
			"budget", "50", "budgetEnd", "REST", "funding.kind", "PLATFORM", "returnDays", "0")
		page := v.post("/admin/campaigns", made).tells(t, 202, "Waits for a second person", "/admin/approvals/")
		approvalID := page.body[strings.Index(page.body, "/admin/approvals/")+len("/admin/approvals/"):]
		approvalID = approvalID[:strings.Index(approvalID, `"`)]
		if status, _ := w.root.try(http.MethodGet, "/api/v1/campaigns/welcome", nil); status != http.StatusNotFound {
			t.Fatalf("the campaign is there before anybody agreed: %d", status)
		}
		w.staff(identity.Admin).post("/api/v1/approvals/"+approvalID+"/approve", nil)
		v.post("/admin/campaigns/welcome/switch", fields("version", "1", "enabled", "true")).tells(t, 202, "Waits for a second person")
		if c := w.root.get("/api/v1/campaigns/welcome"); c["enabled"] != false {
			t.Fatalf("the campaign is enabled before anybody agreed: %v", c)
		}
	})
}

func TestTheFormOfACampaignKeepsWhatItDoesNotShow(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		s := &shop{world: w, from: time.Date(2026, 1, 1, 8, 30, 0, 0, time.UTC), to: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
		steps := object{"kind": "TIERED", "steps": []object{{"from": "20.00", "percent": "2"}, {"from": "100.00", "amount": "7.00"}}, "multipliers": object{"gold": "2"}}
		w.root.post("/api/v1/campaigns", s.kitchenTerms(object{"campaignId": "kitchen-5", "reward": steps, "merchants": []string{"bookshop", "teashop"}}))
		v := w.visitor(t, w.key(identity.Finance))
		v.get("/admin/campaigns/kitchen-5").tells(t, 200, "from 20.00 USD 2%; from 100.00 USD 7.00 USD", "bookshop, teashop.")
		v.get("/admin/campaigns/kitchen-5/change").tells(t, 200, `value="2026-01-01 08:30"`, "Steps by amount, as they are", "bookshop\nteashop")
		sent := fields("version", "1", "name", "Kitchen", "currency", "USD", "from", "2026-01-01 08:30", "to", "2027-01-01", "reward.kind", "TIERED", "merchants", "bookshop",
			"budget", "lots", "budgetEnd", "NOTHING", "funding.kind", "PLATFORM", "group", "default", "priority", "3", "clickHours", "0", "returnDays", "x")
		v.post("/admin/campaigns/kitchen-5/change", sent).tells(t, 400, `id="f-budget-error"`, `id="f-returnDays-error"`, `value="lots"`, `value="Kitchen"`)
		sent.Set("budget", "120.00")
		sent.Set("returnDays", "7")
		for range 2 {
			v.post("/admin/campaigns/kitchen-5/change", sent).leads(t, "/admin/campaigns/kitchen-5")
		}
		got, err := json.Marshal(s.campaign())
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Version                  int
			Name, Budget, BudgetEnd  string
			From                     time.Time
			Condition, LineCondition string
			Merchants                []string
			Caps                     *object
			Reward                   struct {
				Kind        string
				Steps       []object
				Multipliers object
			}
			ReturnDays, Priority int
			Enabled              bool
		}
		if err := json.Unmarshal(got, &c); err != nil {
			t.Fatal(err)
		}
		if c.Version != 2 || c.Name != "Kitchen" || c.Budget != "120.00" || c.BudgetEnd != "NOTHING" || !c.From.Equal(s.from) || c.Condition != "" || c.LineCondition != "" ||
			len(c.Merchants) != 1 || c.Caps != nil || c.Reward.Kind != "TIERED" || len(c.Reward.Steps) != 2 || c.Reward.Multipliers["gold"] != "2" || c.ReturnDays != 7 || c.Priority != 3 || !c.Enabled {
			t.Errorf("the campaign is %s", got)
		}
		v.get("/admin/campaigns/kitchen-5").tells(t, 200, "Merchants: bookshop.", "Counts when: no more.", "Budget: 120.00 USD")
	})
}

func TestCashbackPagesAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		s := w.shop()
		for _, role := range identity.Roles {
			v := w.visitor(t, w.key(role))
			if role.ReachesOwnOnly() {
				v.get("/admin/campaigns").tells(t, 403, "These pages are for staff")
				v.post("/admin/campaigns/kitchen-5/switch", fields("version", "1", "enabled", "false")).tells(t, 403)
				continue
			}
			for _, path := range []string{"/admin/campaigns", "/admin/campaigns/kitchen-5", "/admin/rewards", "/admin/purchases", "/admin/purchases/inv-1001", "/admin/customers", "/admin/customers/ada"} {
				v.get(path).tells(t, 200, `href="/admin/campaigns"`, `href="/admin/purchases"`)
			}
			page := v.get("/admin/campaigns/kitchen-5")
			if role.May(identity.CampaignsWrite) {
				page.tells(t, 200, "Pause the campaign", "/admin/campaigns/kitchen-5/change")
				continue
			}
			page.tellsNot(t, "Pause the campaign", "/admin/campaigns/kitchen-5/change")
			v.get("/admin/campaigns").tellsNot(t, "New campaign")
			v.post("/admin/campaigns/kitchen-5/switch", fields("version", "1", "enabled", "false")).tells(t, 403, "campaigns:write is missing")
			v.post("/admin/campaigns", fields("campaignId", "mine", "name", "Mine")).tells(t, 403, "campaigns:write is missing")
			v.get("/admin/campaigns/_new").tells(t, 403, "campaigns:write is missing")
		}
		if c := s.campaign(); c["version"] != float64(1) {
			t.Errorf("somebody changed the campaign who may not: %v", c)
		}
		keyWithout := w.visitor(t, w.key(identity.Finance, identity.AccountsRead))
		keyWithout.get("/admin/campaigns").tells(t, 403, "forbidden").tellsNot(t, `href="/admin/campaigns"`)
	})
}

func TestTheProgramIsChangedByItsVersion(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.key(identity.Finance))
		v.get("/admin/cashback-program").tells(t, 200, "No tiers", "nothing was ever set", "Make the next version")
		sent := fields("version", "0", "groups", "default: sum\nbig: PRIORITY", "tiers", "silver: 100.00\ngold: lots", "tierDays", "90", "tierCurrency", "USD", "segments", "regulars: purchases >= 10")
		v.post("/admin/cashback-program", sent).tells(t, 400, `role="alert"`, "gold: lots", "minSpend")
		sent.Set("tiers", "silver: 100.00\n\ngold: 1000.00\n")
		v.post("/admin/cashback-program", sent).leads(t, "/admin/cashback-program")
		v.get("/admin/cashback-program").tells(t, 200, "All of them", "The highest priority", "1,000.00", "in the last 90 days, in USD", "purchases &gt;= 10", `name="version" value="1"`)
		sent.Set("tierDays", "30")
		v.post("/admin/cashback-program", sent).tells(t, 409, `role="alert"`, `value="30"`)
		if p := w.root.get("/api/v1/cashback-program"); p["version"] != float64(1) || p["tierDays"] != float64(90) || p["groups"].(object)["default"] != "SUM" {
			t.Errorf("the program is %v", p)
		}
		reader := w.visitor(t, w.key(identity.Operator))
		reader.get("/admin/cashback-program").tells(t, 200, "1,000.00").tellsNot(t, "Make the next version")
		reader.post("/admin/cashback-program", sent).tells(t, 403, "campaigns:write is missing")
	})
}

func TestACustomerIsEnteredAndGetsWhatWasHeld(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		s := w.shop()
		s.buysFor("bob", "inv-2001", "40.00")
		v := w.visitor(t, w.key(identity.Operator))
		v.get("/admin/purchases/inv-2001").tells(t, 200, "Held", "The customer is not entered")
		v.post("/admin/customers", fields("customerId", "bob", "accountId", "not-there")).tells(t, 400, `id="f-accountId-error"`, `value="not-there"`)
		v.post("/admin/customers", fields("customerId", "bob", "accountId", w.account("bob", "0", nil), "country", "GB", "segments", "vip, new")).leads(t, "/admin/customers/bob")
		v.get("/admin/customers/bob").tells(t, 200, "new, vip", "inv-2001", "Change the customer")
		v.get("/admin/purchases/inv-2001").tells(t, 200, "2.00", "Accrued")
		reader := w.visitor(t, w.key(identity.Finance))
		reader.get("/admin/customers").tells(t, 200).tellsNot(t, "Enter a customer")
		reader.get("/admin/customers/bob").tells(t, 200).tellsNot(t, "Change the customer")
		reader.post("/admin/customers", fields("customerId", "bob", "accountId", "x")).tells(t, 403, "is missing")
	})
}

func TestACampaignIsPausedInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Admin))
		b.visit("/admin/campaigns")
		b.screenshot("campaigns-none")
		s := w.shop()
		s.buys("inv-1002", "420.00")
		w.root.post("/api/v1/returns", object{"returnId": "back-1002", "purchaseId": "inv-1002", "lines": []object{{"line": 1, "quantity": 1}}, "timestamp": s.time.Now().Format(time.RFC3339)})
		rewards := w.root.get("/api/v1/rewards?purchaseId=inv-1002")["data"].([]any)
		b.visit("/admin/campaigns")
		b.wants("For big spenders")
		b.screenshot("campaigns")
		b.visit("/admin/campaigns/kitchen-5")
		b.wants("22.5% of 100.00")
		b.screenshot("campaign")

		b.click(".ask > summary.danger")
		b.wants("Pause this campaign?")
		b.picture("campaign-pause")
		b.click(".ask[open] button[type=submit]")
		b.wants("The campaign is paused.")
		if c := s.campaign(); c["enabled"] != false {
			t.Fatalf("the campaign is %v", c)
		}
		before := w.root.get("/api/v1/accounts/house:program:kitchen-5:accrued")["balance"]
		w.cashbackForgets()
		s.buys("inv-1003", "20.00")
		if after := w.root.get("/api/v1/accounts/house:program:kitchen-5:accrued")["balance"]; after != before {
			t.Errorf("a paused campaign gave something: %v, then %v", before, after)
		}

		b.visit("/admin/campaigns/kitchen-5/simulation?from=" + s.from.Format("2006-01-02") + "&to=" + s.to.Format("2006-01-02"))
		b.wants("The budget would have lasted.")
		b.screenshot("simulation")
		b.visit("/admin/campaigns/kitchen-5/change")
		b.screenshot("campaign-change")
		b.visit("/admin/campaigns/_new")
		b.screenshot("campaign-new")
		b.visit("/admin/rewards")
		b.screenshot("rewards-none")
		b.fill("#f-customerId", "ada")
		b.click(".filters button[type=submit]")
		b.wants("21.00")
		b.screenshot("rewards")
		b.visit("/admin/rewards/" + rewards[0].(object)["rewardId"].(string))
		b.screenshot("reward")
		b.visit("/admin/purchases")
		b.screenshot("purchases")
		b.visit("/admin/purchases/inv-1002")
		b.screenshot("purchase")
		b.visit("/admin/returns/back-1002")
		b.screenshot("return")
		b.visit("/admin/customers")
		b.screenshot("customers")
		b.visit("/admin/customers/ada")
		b.screenshot("customer")
		b.visit("/admin/cashback-program")
		b.screenshot("program-none")
		w.root.call(http.MethodPut, "/api/v1/cashback-program", object{
			"version": 0, "groups": object{"big": "SUM"}, "tiers": []object{{"name": "silver", "minSpend": "100"}, {"name": "gold", "minSpend": "1000"}},
			"tierDays": 90, "tierCurrency": "USD", "segments": object{"regulars": "purchases >= 10"},
		})
		b.visit("/admin/cashback-program")
		b.click("main details.card > summary")
		b.screenshot("program")
	})
}

// cashbackForgets is just more than campaigns are remembered for.
func (w *world) cashbackForgets() { w.time.pass(6 * time.Second) }
