package cashback_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// wantSound checks that what the cashback says agrees, also with the books.
func (w *world) wantSound() cashback.Proof {
	w.t.Helper()
	proof, err := cashback.Verify(w.t.Context(), w.db, nil)
	if err != nil || len(proof.Offences) > 0 {
		w.t.Fatalf("the cashback: %+v, %v", proof, err)
	}
	return proof
}

// must ends the test on an error.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// stages brings rewards of every kind of funding to every stage that lasts: campaigns
// p (the platform's), m (a merchant's, with a cap) and s (shared, needs a click).
func (w *world) stages() {
	t := w.t
	t.Helper()
	ctx := t.Context()
	shop := w.account(ledger.Merchant, "USD", "100")
	campaign := func(campaignID string, change func(*rules.Terms)) {
		t.Helper()
		terms := someTerms()
		terms.Group, terms.Merchants = campaignID, []string{"mer_p"}
		change(&terms)
		must(w.CreateCampaign(ctx, campaignID, terms))(t)
	}
	campaign("p", func(*rules.Terms) {})
	campaign("m", func(r *rules.Terms) {
		r.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("2")}
		r.Caps = rules.Caps{PerCustomer: dec("3"), CustomerPeriod: rules.Day}
		r.Funding = rules.Funding{Kind: rules.Merchant, AccountID: shop}
	})
	campaign("s", func(r *rules.Terms) {
		r.Merchants, r.ClickHours, r.Reward.Percent = []string{"mer_s"}, 24, dec("10")
		r.Caps = rules.Caps{PerCustomer: dec("50"), CustomerPeriod: rules.Week}
		r.Funding = rules.Funding{Kind: rules.Shared, AccountID: shop, MerchantPercent: dec("50")}
	})
	wallets := map[string]string{}
	for _, customerID := range []string{"ann", "bob", "cat"} {
		wallets[customerID] = w.account(ledger.Wallet, "USD", "0")
		must(w.PutCustomer(ctx, cashback.CustomerRequest{ID: customerID, AccountID: wallets[customerID]}))(t)
	}
	buy := func(purchaseID, customerID, merchantID, price string, status cashback.PurchaseStatus) {
		t.Helper()
		request := purchase(customerID, merchantID, "USD", price)
		request.ID, request.At, request.Lines[0].Quantity = purchaseID, w.time(), 2
		if bought := must(w.Record(ctx, request))(t); bought.Status != status {
			t.Fatalf("%+v", bought)
		}
	}
	giveBack := func(returnID, purchaseID string, quantity int64, status cashback.ReturnStatus) {
		t.Helper()
		request := cashback.ReturnRequest{ID: returnID, PurchaseID: purchaseID, At: w.time(), Source: "api"}
		if quantity > 0 {
			request.Lines = []cashback.ReturnedLine{{Product: "apple", Quantity: quantity}}
		}
		if returned := must(w.Return(ctx, request))(t); returned.Status != status {
			t.Fatalf("%+v", returned)
		}
	}
	settle := func() {
		t.Helper()
		if err := w.SettleDue(ctx); err != nil {
			t.Fatal(err)
		}
	}
	buy("kept", "bob", "mer_p", "50", cashback.Accepted)  // p 5, m 2
	buy("owed", "bob", "mer_p", "20", cashback.Accepted)  // p 2, m 1 of a cap of 3
	buy("stuck", "cat", "mer_p", "30", cashback.Accepted) // p 3, m 2
	buy("held", "nobody", "mer_p", "10", cashback.Held)   // nothing yet
	giveBack("waiting", "unheard", 0, cashback.ReturnWaiting)
	w.setStatus(wallets["cat"], ledger.Frozen)
	w.pass(15 * 24 * time.Hour)
	settle()
	w.transfer(wallets["bob"], shop, "10") // all that he got
	giveBack("all-owed", "owed", 0, cashback.ReturnApplied)
	w.transfer(shop, wallets["bob"], "2.5")
	giveBack("half", "kept", 1, cashback.ReturnApplied)  // p 2.50 of 5; m's stays
	buy("open", "ann", "mer_p", "40", cashback.Accepted) // p 4, m 2
	buy("gone", "ann", "mer_p", "10", cashback.Accepted) // p 1, m 1
	giveBack("all-gone", "gone", 0, cashback.ReturnApplied)
	clicks, err := w.RecordClicks(ctx, []cashback.ClickRequest{{ID: "clk", CustomerID: "ann", MerchantID: "mer_s", CampaignID: "s", At: w.time()}})
	if err != nil || clicks[0].Err != nil {
		t.Fatal(clicks, err)
	}
	buy("clicked", "ann", "mer_s", "10", cashback.Accepted) // s 2, 1 of it the merchant's

	for rewardID, want := range map[string]string{
		"kept/p": "PAID 2.5 0", "kept/m": "PAID 2 0", "owed/p": "PAID 0 2", "owed/m": "PAID 0 1", "stuck/p": "CONFIRMED 3 0", "stuck/m": "CONFIRMED 2 0",
		"open/p": "ACCRUED 4 0", "open/m": "ACCRUED 2 0", "gone/p": "REVERSED 0 0", "gone/m": "REVERSED 0 0", "clicked/s": "ACCRUED 2 0",
	} {
		r := must(w.Reward(ctx, rewardOf(rewardID)))(t)
		if got := fmt.Sprint(r.Status, " ", r.Amount.Sub(r.Reversed), " ", r.Owed); got != want {
			t.Fatalf("%s is %s, want %s", rewardID, got, want)
		}
	}
}

// rewardOf is the id of the reward of "purchase/campaign".
func rewardOf(name string) string {
	purchaseID, campaignID, _ := strings.Cut(name, "/")
	return cashback.RewardID(purchaseID, campaignID)
}

func (w *world) setStatus(accountID string, status ledger.AccountStatus) {
	w.t.Helper()
	must(w.books.UpdateAccount(w.t.Context(), ledger.UpdateAccount{ID: accountID, Status: &status}))(w.t)
}

func (w *world) transfer(from, to, amount string) {
	w.t.Helper()
	must(w.books.Transfer(w.t.Context(), ledger.TransferRequest{ID: id.New("trf"), SourceAccountID: from, DestinationAccountID: to, Amount: dec(amount), Currency: "USD"}))(w.t)
}

// corruptions break one rule each, and sometimes others with it. What stands in braces
// is the id of a reward, by its purchase and campaign.
var corruptions = []struct{ rule, subject, sql string }{
	{"campaign_has_totals", "p", "DELETE FROM campaigns WHERE campaign_id = 'p'"},
	{"campaign_has_totals", "p", "DELETE FROM campaign_totals WHERE campaign_id = 'p'"},
	{"campaign_has_totals", "p", "UPDATE campaign_totals SET budget = budget - 0.01 WHERE campaign_id = 'p'"},
	{"campaign_has_totals", "p", "UPDATE campaign_totals SET currency = 'EUR' WHERE campaign_id = 'p'"},
	{"totals_are_of_newest_version", "p", "UPDATE campaign_totals SET version = version - 1 WHERE campaign_id = 'p'"},
	{"totals_are_of_newest_version", "p", "UPDATE campaigns SET version = version + 1 WHERE campaign_id = 'p'"},
	{"campaign_is_within_budget", "s", "UPDATE campaign_totals SET accrued = 1000.01 WHERE campaign_id = 's'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET accrued = accrued + 0.01 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET confirmed = confirmed - 0.01 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET paid = paid - 0.01 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET reversed = reversed - 0.01 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET owed = owed - 0.01 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "p", "UPDATE campaign_totals SET rewards = rewards - 1 WHERE campaign_id = 'p'"},
	{"totals_equal_rewards", "s", "DELETE FROM rewards WHERE campaign_id = 's'"},
	{"totals_equal_rewards", "q", "UPDATE rewards SET campaign_id = 'q' WHERE reward_id = '{open/p}'"},
	{"totals_equal_accounts", "p", "UPDATE accounts SET posted = posted + 0.01 WHERE account_id = 'house:program:p:cost'"},
	{"totals_equal_accounts", "p", "UPDATE accounts SET posted = posted + 0.01 WHERE account_id = 'house:program:p:accrued'"},
	{"totals_equal_accounts", "p", "UPDATE accounts SET posted = posted + 0.01 WHERE account_id = 'house:program:p:confirmed'"},
	{"totals_equal_accounts", "p", "UPDATE accounts SET currency = 'EUR' WHERE account_id = 'house:program:p:cost'"},
	{"totals_equal_accounts", "p", "DELETE FROM accounts WHERE account_id = 'house:program:p:confirmed'"},
	{"totals_equal_accounts", "m", "UPDATE campaign_totals SET merchants = merchants - 0.01 WHERE campaign_id = 'm'"},
	{"program_transfer_has_reward", "stray", "UPDATE transfers SET transfer_id = 'stray' WHERE transfer_id = 'house:{open/p}:1'"},
	{"program_transfer_has_reward", "house:{open/p}:1", "DELETE FROM rewards WHERE reward_id = '{open/p}'"},
	{"program_transfer_has_reward", "house:{open/p}:1", "UPDATE transfers SET destination_account_id = 'ghost' WHERE transfer_id = 'house:{open/p}:1'"},
	{"program_transfer_has_reward", "house:{open/p}:1", "UPDATE transfers SET source_account_id = 'house:program:s:cost' WHERE transfer_id = 'house:{open/p}:1'"},
	{"program_transfer_has_reward", "house:{open/p}:1", "UPDATE transfers SET currency = 'EUR' WHERE transfer_id = 'house:{open/p}:1'"},
	{"reward_equals_transfers", "{open/p}", "DELETE FROM transfers WHERE transfer_id = 'house:{open/p}:1'"},
	{"reward_equals_transfers", "{open/p}", "UPDATE rewards SET transfers = transfers + 1 WHERE reward_id = '{open/p}'"},
	{"reward_equals_transfers", "{open/p}", "UPDATE rewards SET amount = amount + 0.01 WHERE reward_id = '{open/p}'"},
	{"reward_equals_transfers", "{clicked/s}", "UPDATE rewards SET merchant_amount = merchant_amount + 0.01 WHERE reward_id = '{clicked/s}'"},
	{"reward_equals_transfers", "{open/p}", "UPDATE rewards SET status = 'CONFIRMED' WHERE reward_id = '{open/p}'"},
	{"reward_equals_transfers", "{stuck/p}", "UPDATE rewards SET status = 'ACCRUED' WHERE reward_id = '{stuck/p}'"},
	{"reward_equals_transfers", "{kept/p}", "UPDATE rewards SET reversed = reversed + 0.01 WHERE reward_id = '{kept/p}'"},
	{"reward_equals_transfers", "{kept/p}", "UPDATE transfers SET amount = amount + 0.01 WHERE destination_account_id = 'house:program:p:cost' AND transfer_id LIKE 'house:{kept/p}:%'"},
	{"reward_equals_transfers", "{kept/m}", "UPDATE transfers SET amount = amount + 0.01 WHERE source_account_id = 'house:program:m:confirmed' AND transfer_id LIKE 'house:{kept/m}:%'"},
	{"reward_equals_transfers", "{owed/p}", "UPDATE rewards SET owed = 0 WHERE reward_id = '{owed/p}'"},
	{"reward_stands_somewhere", "{kept/p}", "UPDATE rewards SET paid_to = NULL WHERE reward_id = '{kept/p}'"},
	{"reward_stands_somewhere", "{owed/p}", "UPDATE rewards SET owed = 0 WHERE reward_id = '{owed/p}'"},
	{"reward_stands_somewhere", "{owed/p}", "UPDATE rewards SET status = 'REVERSED' WHERE reward_id = '{owed/p}'"},
	{"reward_stands_somewhere", "{gone/p}", "UPDATE rewards SET reversed = reversed - 0.01 WHERE reward_id = '{gone/p}'"},
	{"reward_stands_somewhere", "{gone/p}", "UPDATE rewards SET status = 'ACCRUED' WHERE reward_id = '{gone/p}'"},
	{"reward_stands_somewhere", "{open/p}", "UPDATE rewards SET reversed = 1, owed = 1 WHERE reward_id = '{open/p}'"},
	{"reward_stands_somewhere", "{open/p}", "UPDATE rewards SET paid_to = 'ghost' WHERE reward_id = '{open/p}'"},
	{"finding_equals_reward", "open by p", "DELETE FROM rewards WHERE reward_id = '{open/p}'"},
	{"finding_equals_reward", "open by p", "UPDATE purchases SET evaluation = jsonb_set(evaluation, '{findings}', '[]') WHERE purchase_id = 'open'"},
	{"finding_equals_reward", "open by p", "UPDATE purchases SET currency = 'EUR' WHERE purchase_id = 'open'"},
	{"finding_equals_reward", "open by p", "UPDATE purchases SET customer_id = 'bob' WHERE purchase_id = 'open'"},
	{"finding_equals_reward", "open by p", "UPDATE rewards SET amount = 4.01 WHERE reward_id = '{open/p}'"},
	{"finding_equals_reward", "open by p", "UPDATE rewards SET campaign_version = 2 WHERE reward_id = '{open/p}'"},
	{"finding_equals_reward", "clicked by s", "UPDATE rewards SET merchant_amount = 0.99 WHERE reward_id = '{clicked/s}'"},
	{"finding_equals_reward", "clicked by s", "UPDATE purchases SET evaluation = jsonb_set(evaluation, '{findings,-1,reason}', '\"no_click\"') WHERE purchase_id = 'clicked'"},
	{"purchase_is_evaluated", "open", "UPDATE purchases SET evaluation = NULL WHERE purchase_id = 'open'"},
	{"purchase_is_evaluated", "held", "UPDATE purchases SET status = 'ACCEPTED' WHERE purchase_id = 'held'"},
	{"purchase_is_evaluated", "open", "UPDATE purchases SET status = 'HELD' WHERE purchase_id = 'open'"},
	{"purchase_equals_lines", "open", "UPDATE purchases SET amount = amount + 0.0001 WHERE purchase_id = 'open'"},
	{"purchase_equals_lines", "open", "UPDATE purchases SET lines = jsonb_set(lines, '{0,unitPrice}', '\"39.99\"') WHERE purchase_id = 'open'"},
	{"returned_equals_returns", "kept", "UPDATE purchases SET returned = returned - 1 WHERE purchase_id = 'kept'"},
	{"returned_equals_returns", "kept", "DELETE FROM purchase_returns WHERE return_id = 'half'"},
	{"returned_equals_returns", "kept", "UPDATE purchases SET status = 'RETURNED' WHERE purchase_id = 'kept'"},
	{"returned_equals_returns", "elsewhere", "UPDATE purchase_returns SET parts = jsonb_set(parts, '{0,purchaseId}', '\"elsewhere\"') WHERE return_id = 'half'"},
	{"cap_equals_rewards", "bob of m in 2026-11-20", "UPDATE reward_caps SET amount = amount + 0.01 WHERE customer_id = 'bob'"},
	{"cap_equals_rewards", "bob of m in 2026-11-20", "DELETE FROM reward_caps WHERE customer_id = 'bob'"},
	{"cap_equals_rewards", "bob of m in 2026-11-21", "UPDATE reward_caps SET period = '2026-11-21' WHERE customer_id = 'bob'"},
	{"cap_equals_rewards", "ann of s in 2026-W49", "UPDATE reward_caps SET amount = amount - 1 WHERE campaign_id = 's'"},
	{"cap_is_kept", "bob of m in 2026-11-20", "UPDATE reward_caps SET amount = 3.01 WHERE customer_id = 'bob'"},
	{"click_has_one_purchase", "clk", "UPDATE clicks SET purchase_id = NULL WHERE click_id = 'clk'"},
	{"click_has_one_purchase", "clk", "UPDATE clicks SET purchase_id = 'open' WHERE click_id = 'clk'"},
	{"click_has_one_purchase", "clk", "UPDATE clicks SET customer_id = 'bob' WHERE click_id = 'clk'"},
	{"click_has_one_purchase", "clk", "UPDATE clicks SET merchant_id = 'mer_p' WHERE click_id = 'clk'"},
	{"click_has_one_purchase", "clk", "DELETE FROM clicks WHERE click_id = 'clk'"},
	{"click_has_one_purchase", "clk", "UPDATE purchases SET evaluation = jsonb_set(evaluation, '{click}', '\"clk\"') WHERE purchase_id = 'open'"},
	{"click_has_one_purchase", "clk", "UPDATE purchases SET evaluation = evaluation - 'click' WHERE purchase_id = 'clicked'"},
	{"spend_equals_purchases", "bob on 2026-11-20 in USD", "UPDATE customer_spend SET amount = amount - 1 WHERE customer_id = 'bob'"},
	{"spend_equals_purchases", "bob on 2026-11-20 in USD", "DELETE FROM customer_spend WHERE customer_id = 'bob'"},
	{"spend_equals_purchases", "bob on 2026-11-21 in USD", "UPDATE customer_spend SET day = '2026-11-21' WHERE customer_id = 'bob'"},
	{"spend_equals_purchases", "bob on 2026-11-20 in USD", "UPDATE customer_spend SET currency = 'EUR' WHERE customer_id = 'bob'"},
	{"customer_has_his_purchases", "bob", "UPDATE cashback_customers SET purchases = purchases + 1 WHERE customer_id = 'bob'"},
	{"customer_has_his_purchases", "bob", "DELETE FROM cashback_customers WHERE customer_id = 'bob'"},
	{"held_purchase_is_late", "held", "INSERT INTO cashback_customers VALUES ('nobody', 'ghost', '', '', 0, now() - INTERVAL '25 hours', now())"},
	{"reward_is_late", "{stuck/p}", "UPDATE rewards SET next_at = now() - INTERVAL '25 hours' WHERE reward_id = '{stuck/p}'"},
	{"reward_is_late", "{open/p}", "UPDATE rewards SET next_at = NULL WHERE reward_id = '{open/p}'"},
	{"reward_is_late", "{owed/p}", "UPDATE rewards SET next_at = NULL WHERE reward_id = '{owed/p}'"},
}

// long is that nothing has happened to purchases, customers and rewards for years, or
// will for years: the tests' time is none of the database's.
const long = `
	UPDATE purchases SET updated_at = '2020-01-01';
	UPDATE rewards SET updated_at = '2020-01-01', next_at = CASE WHEN next_at IS NULL THEN NULL ELSE '2999-01-01'::timestamptz END`

// harmless are changes that break no rule: what waits for people, or is not over yet.
var harmless = []string{
	"INSERT INTO cashback_customers VALUES ('nobody', 'ghost', '', '', 0, now() - INTERVAL '23 hours', now())",
	"UPDATE rewards SET next_at = now() - INTERVAL '23 hours' WHERE next_at IS NOT NULL",
	"UPDATE rewards SET next_at = '2020-01-01', updated_at = now() - INTERVAL '23 hours' WHERE next_at IS NOT NULL",
	"DELETE FROM purchase_returns WHERE return_id = 'waiting'",
	"UPDATE accounts SET posted = posted + 1 WHERE account_id = 'house:opening:USD'",
}

func TestVerifyNamesEveryCorruption(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		if proof := w.wantSound(); proof.Purchases != 0 || proof.Offences == nil {
			t.Fatalf("without purchases: %+v", proof)
		}
		w.stages()
		named := func(text string) string {
			return regexp.MustCompile(`\{\w+/\w\}`).ReplaceAllStringFunc(text, func(name string) string { return rewardOf(strings.Trim(name, "{}")) })
		}
		run := func(sql string) {
			t.Helper()
			for statement := range strings.SplitSeq(named(sql), ";") {
				if _, err := w.db.Exec(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
		}
		run("ALTER TABLE campaign_totals DROP CONSTRAINT campaign_totals_within_budget")
		run(long)
		proof := w.wantSound()
		proof.At = time.Time{}
		if got := fmt.Sprintf("%+v", proof); got != fmt.Sprintf("%+v", cashback.Proof{Campaigns: 3, Purchases: 7, Held: 1, Rewards: 11, Unpaid: 5, Offences: []ledger.Offence{}}) {
			t.Fatal(got)
		}
		table := regexp.MustCompile(`(?:UPDATE|FROM|INTO) (\w+)`)
		breaking := func(sql string, check func()) {
			t.Helper()
			name := table.FindStringSubmatch(sql)[1]
			run("DROP TABLE IF EXISTS good; CREATE TABLE good AS SELECT * FROM " + name)
			run(sql)
			check()
			run("DELETE FROM " + name + "; INSERT INTO " + name + " SELECT * FROM good")
		}
		var rules []string
		for _, c := range corruptions {
			breaking(c.sql, func() {
				rules = nil
				proof, err := cashback.Verify(t.Context(), w.db, func(_, _ int, rule string) { rules = append(rules, rule) })
				if err != nil {
					t.Fatalf("%s: %v", c.sql, err)
				}
				if !slices.ContainsFunc(proof.Offences, func(o ledger.Offence) bool {
					return o.Rule == c.rule && o.Subject == named(c.subject) && o.Detail != ""
				}) {
					t.Errorf("%s\nis not named as %s of %s, but as %+v", named(c.sql), c.rule, named(c.subject), proof.Offences)
				}
			})
		}
		for _, rule := range rules {
			if !slices.ContainsFunc(corruptions, func(c struct{ rule, subject, sql string }) bool { return c.rule == rule }) {
				t.Errorf("no corruption breaks %s", rule)
			}
		}
		for _, sql := range harmless {
			breaking(sql, func() { w.wantSound() })
		}
		w.wantSound()
	})
}

// Each kind of cap names its periods as the rules do.
func TestVerifyKnowsTheCapsPeriods(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		for _, period := range []rules.Period{rules.Day, rules.Week, rules.Month, rules.Campaign} {
			terms := someTerms()
			terms.From, terms.Group = noon.AddDate(-10, 0, 0), string(period)
			terms.Caps = rules.Caps{PerCustomer: dec("5"), CustomerPeriod: period}
			must(w.CreateCampaign(t.Context(), strings.ToLower(string(period)), terms))(t)
		}
		customer := w.customer()
		for _, day := range []string{"2018-12-30", "2018-12-31", "2019-01-01", "2020-12-31", "2021-01-01", "2021-01-03", "2021-01-04", "2024-02-29"} {
			request := purchase(customer.ID, "mer_any", "USD", "60")
			request.At = must(time.Parse(time.DateOnly, day))(t).Add(24*time.Hour - time.Second)
			must(w.Record(t.Context(), request))(t)
		}
		if err := w.SettleDue(t.Context()); err != nil { // all of it is long due
			t.Fatal(err)
		}
		w.wantSound()
		var caps int
		if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM reward_caps WHERE amount > 0").Scan(&caps); err != nil || caps != 8+5+5+1 {
			t.Errorf("%d caps, %v", caps, err)
		}
	})
}

func TestVerifyListsSoManyOffendersAndSaysThatThereAreMore(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO campaign_totals (campaign_id, version, currency, budget, accrued, confirmed, paid, reversed, owed, merchants, rewards)
			SELECT 'c' || i, 1, 'USD', 1, 0, 0, 0, 0, 0, 0, 0 FROM generate_series(1, 1200) AS i`)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := cashback.Verify(t.Context(), w.db, nil)
		counts := map[string]int{}
		for _, offence := range proof.Offences {
			counts[offence.Rule]++
		}
		if err != nil || !proof.Truncated || proof.Campaigns != 1200 || len(counts) != 2 || counts["campaign_has_totals"] != 1000 || counts["totals_equal_accounts"] != 1000 {
			t.Fatalf("%v, truncated: %t, %v", counts, proof.Truncated, err)
		}
	})
}

func TestVerifyReadsTheTimeThatIsAskedFor(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		before := w.wantSound()
		must(w.CreateCampaign(t.Context(), "later", someTerms()))(t)
		proof, err := cashback.VerifyAt(t.Context(), w.db, database.At(database.TimestampOf(before.At)), nil)
		if w.db.Engine != database.Cockroach {
			if !errors.Is(err, database.ErrNoPast) {
				t.Fatalf("PostgreSQL answers %+v, %v", proof, err)
			}
			return
		}
		if err != nil || proof.Campaigns != 0 || !proof.At.Equal(before.At) {
			t.Fatalf("%+v, %v", proof, err)
		}
	})
}
