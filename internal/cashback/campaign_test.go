package cashback_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// wantFailure checks a refusal's code.
func wantFailure(t *testing.T, err error, code cashback.Code) {
	t.Helper()
	if !errors.Is(err, code.Failure("")) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// wantInvalid checks which field is refused.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	invalid, isInvalid := errors.AsType[*cashback.InvalidInput](err)
	if !isInvalid || len(invalid.Fields) == 0 || invalid.Fields[0].Field != field || invalid.Fields[0].Problem == "" {
		t.Errorf("got %v, want %s refused", err, field)
	}
}

func wantSameCampaign(t *testing.T, got, want cashback.Campaign) {
	t.Helper()
	gotText, err := json.Marshal(got)
	wantText, err2 := json.Marshal(want)
	if err != nil || err2 != nil || string(gotText) != string(wantText) {
		t.Errorf("got %s,\nwant %s", gotText, wantText)
	}
}

func TestACampaignBeginsWithItsAccounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		created, err := w.CreateCampaign(as(t, "usr_ann"), campaignID, someTerms())
		if err != nil || created.ID != campaignID || created.Version != 1 || created.CreatedBy != "usr_ann" || !created.CreatedAt.Equal(noon) {
			t.Fatalf("%+v, %v", created, err)
		}
		for suffix, want := range map[string]ledger.AccountType{"cost": ledger.Expense, "accrued": ledger.Liability, "confirmed": ledger.Liability} {
			account, err := w.books.Account(t.Context(), "house:program:"+campaignID+":"+suffix)
			if err != nil || account.Type != want || account.Currency != "USD" || !account.Posted.IsZero() {
				t.Errorf("%s: %+v, %v", suffix, account, err)
			}
		}
		figures, err := w.Figures(t.Context(), campaignID)
		if err != nil || figures.CampaignID != campaignID || figures.Currency != "USD" || figures.Rewards != 0 || !figures.At.Equal(noon) {
			t.Fatalf("%+v, %v", figures, err)
		}
		equal(t, "budget", figures.Budget, "1000")
		equal(t, "remaining", figures.Remaining, "1000")
		equal(t, "all that is given", figures.Accrued.Add(figures.Confirmed).Add(figures.Paid).Add(figures.Reversed).Add(figures.Owed).Add(figures.Merchants), "0")
		read, err := w.Campaign(t.Context(), campaignID)
		if err != nil {
			t.Fatal(err)
		}
		wantSameCampaign(t, read, created)
		events := w.events(campaignID)
		if len(events) != 1 || events[0].Action != "campaign.created" || events[0].Origin.ActorID != "usr_ann" ||
			len(events[0].Before) > 0 || !strings.Contains(string(events[0].After), `"budget":"1000"`) {
			t.Errorf("%+v", events)
		}
	})
}

func TestACampaignThatIsCreatedTwiceIsOne(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		first, err := w.CreateCampaign(as(t, "usr_ann"), campaignID, someTerms())
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		same := someTerms() // in other words
		same.Reward.Percent, same.Budget = dec("5.00"), dec("1000.0")
		same.From, same.To = same.From.In(time.FixedZone("", 3600)), same.To.In(time.FixedZone("", -3600))
		again, err := w.CreateCampaign(as(t, "usr_bob"), campaignID, same)
		if err != nil {
			t.Fatal(err)
		}
		wantSameCampaign(t, again, first)
		for name, change := range map[string]func(*rules.Terms){
			"name":     func(r *rules.Terms) { r.Name = "Other" },
			"budget":   func(r *rules.Terms) { r.Budget = dec("999.99") },
			"currency": func(r *rules.Terms) { r.Currency = "EUR" },
		} {
			terms := someTerms()
			change(&terms)
			if _, err := w.CreateCampaign(as(t, "usr_bob"), campaignID, terms); !errors.Is(err, cashback.CampaignExists.Failure("")) {
				t.Errorf("another %s: %v", name, err)
			}
		}
		if events := w.events(campaignID); len(events) != 1 {
			t.Errorf("%+v", events)
		}
		// Somebody began it, in another currency, and died before the campaign was written.
		begun := newCampaignID()
		if _, err := w.books.OpenHouse(t.Context(), "house:program:"+begun+":cost", ledger.Expense, "EUR"); err != nil {
			t.Fatal(err)
		}
		_, err = w.CreateCampaign(as(t, "usr_bob"), begun, someTerms())
		wantFailure(t, err, cashback.CampaignExists)
		euros := someTerms()
		euros.Currency = "EUR"
		if _, err := w.CreateCampaign(as(t, "usr_bob"), begun, euros); err != nil {
			t.Error(err)
		}
	})
}

func TestOfManyWhoCreateACampaignOneDoes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		other := w.replica()
		var made atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				terms := someTerms()
				terms.Name = fmt.Sprint("By ", i)
				c := w.Cashback
				if i%2 == 0 {
					c = other
				}
				if _, err := c.CreateCampaign(as(t, fmt.Sprint("usr_", i)), campaignID, terms); err == nil {
					made.Add(1)
				} else {
					wantFailure(t, err, cashback.CampaignExists)
				}
			})
		}
		all.Wait()
		if made.Load() != 1 || len(w.events(campaignID)) != 1 {
			t.Errorf("%d created it: %+v", made.Load(), w.events(campaignID))
		}
	})
}

func TestAChangeOfACampaignIsItsNextVersion(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		first, err := w.CreateCampaign(as(t, "usr_ann"), campaignID, someTerms())
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		terms := someTerms()
		terms.Budget, terms.Enabled = dec("250.50"), false
		second, err := w.ChangeCampaign(as(t, "usr_bob"), campaignID, 1, terms)
		if err != nil || second.Version != 2 || second.CreatedBy != "usr_bob" || !second.CreatedAt.Equal(noon.Add(time.Minute)) {
			t.Fatalf("%+v, %v", second, err)
		}
		figures, err := w.Figures(t.Context(), campaignID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "budget", figures.Budget, "250.50")

		for _, version := range []int64{1, 2} { // once more, and what is there already
			again, err := w.ChangeCampaign(as(t, "usr_cat"), campaignID, version, terms)
			if err != nil {
				t.Fatal(err)
			}
			wantSameCampaign(t, again, second)
		}
		terms.Name = "Other"
		for _, version := range []int64{0, 1, 3} {
			_, err := w.ChangeCampaign(as(t, "usr_cat"), campaignID, version, terms)
			wantFailure(t, err, cashback.CampaignChanged)
		}
		_, err = w.CreateCampaign(as(t, "usr_cat"), campaignID, someTerms())
		wantFailure(t, err, cashback.CampaignExists) // it is another by now
		terms.Currency = "EUR"
		_, err = w.ChangeCampaign(as(t, "usr_cat"), campaignID, 2, terms)
		wantInvalid(t, err, "currency")
		_, err = w.ChangeCampaign(as(t, "usr_cat"), newCampaignID(), 1, someTerms())
		wantFailure(t, err, cashback.CampaignNotFound)

		versions, err := w.CampaignVersions(t.Context(), campaignID, 0, 10)
		if err != nil || len(versions) != 2 {
			t.Fatalf("%+v, %v", versions, err)
		}
		wantSameCampaign(t, versions[0], second)
		wantSameCampaign(t, versions[1], first)
		if versions, err = w.CampaignVersions(t.Context(), campaignID, 2, 10); err != nil || len(versions) != 1 || versions[0].Version != 1 {
			t.Errorf("before version 2: %+v, %v", versions, err)
		}
		events := w.events(campaignID)
		if len(events) != 2 || events[1].Action != "campaign.changed" || events[1].Origin.ActorID != "usr_bob" ||
			!strings.Contains(string(events[1].Before), `"budget":"1000"`) || !strings.Contains(string(events[1].After), `"budget":"250.5"`) {
			t.Errorf("%+v", events)
		}
	})
}

func TestOfManyWhoChangeACampaignOneMakesTheNextVersion(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		if _, err := w.CreateCampaign(t.Context(), campaignID, someTerms()); err != nil {
			t.Fatal(err)
		}
		for version := int64(1); version <= 3; version++ {
			var made atomic.Int64
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					terms := someTerms()
					terms.Budget = terms.Budget.Add(dec(fmt.Sprint(version*10 + int64(i))))
					if _, err := w.ChangeCampaign(as(t, fmt.Sprint("usr_", i)), campaignID, version, terms); err == nil {
						made.Add(1)
					} else {
						wantFailure(t, err, cashback.CampaignChanged)
					}
				})
			}
			all.Wait()
			current, err := w.Campaign(t.Context(), campaignID)
			if err != nil || made.Load() != 1 || current.Version != version+1 {
				t.Fatalf("%d made version %d: %v", made.Load(), current.Version, err)
			}
			figures, err := w.Figures(t.Context(), campaignID)
			if err != nil || !figures.Budget.Equal(current.Budget) {
				t.Fatalf("budget %s, terms %s: %v", figures.Budget, current.Budget, err)
			}
		}
	})
}

func TestAMerchantFundsACampaignFromAnAccountOfItsCurrency(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		closed := w.account(ledger.Merchant, "USD", "0")
		if _, err := w.books.CloseAccount(t.Context(), closed); err != nil {
			t.Fatal(err)
		}
		good := w.account(ledger.Merchant, "USD", "100")
		merchant := func(accountID string) rules.Terms {
			terms := someTerms()
			terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: accountID}
			return terms
		}
		campaignID := newCampaignID()
		if _, err := w.CreateCampaign(t.Context(), campaignID, merchant(good)); err != nil {
			t.Fatal(err)
		}
		shared := merchant(good)
		shared.Funding.Kind, shared.Funding.MerchantPercent = rules.Shared, dec("50")
		if _, err := w.CreateCampaign(t.Context(), newCampaignID(), shared); err != nil {
			t.Error(err)
		}
		for name, accountID := range map[string]string{
			"none":             id.New("acc"),
			"the house's":      "house:opening:USD",
			"a campaign's":     "house:program:" + campaignID + ":cost",
			"a customer's":     w.account(ledger.Wallet, "USD", "100"),
			"a saver's":        w.account(ledger.Savings, "USD", "100"),
			"closed":           closed,
			"another currency": w.account(ledger.Merchant, "EUR", "0"),
		} {
			_, err := w.CreateCampaign(t.Context(), newCampaignID(), merchant(accountID))
			_, err2 := w.ChangeCampaign(t.Context(), campaignID, 1, merchant(accountID))
			for _, err := range []error{err, err2} {
				if invalid, isInvalid := errors.AsType[*cashback.InvalidInput](err); !isInvalid || invalid.Fields[0].Field != "funding.accountId" {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		// One whose account is closed meanwhile can be paused, and created again.
		again := merchant(w.account(ledger.Merchant, "USD", "0"))
		paused := newCampaignID()
		if _, err := w.CreateCampaign(t.Context(), paused, again); err != nil {
			t.Fatal(err)
		}
		if _, err := w.books.CloseAccount(t.Context(), again.Funding.AccountID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.CreateCampaign(t.Context(), paused, again); err != nil {
			t.Error(err)
		}
		again.Enabled = false
		if _, err := w.ChangeCampaign(t.Context(), paused, 1, again); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsNoCampaignIsRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, campaignID := range []string{"", "-a", "Summer", "a_b", "a:b", strings.Repeat("a", 25), "ä"} {
			_, err := w.CreateCampaign(t.Context(), campaignID, someTerms())
			wantInvalid(t, err, "id")
			_, err = w.Campaign(t.Context(), campaignID)
			wantFailure(t, err, cashback.CampaignNotFound)
			_, err = w.Figures(t.Context(), campaignID)
			wantFailure(t, err, cashback.CampaignNotFound)
		}
		longest := newCampaignID() + "-9"
		if _, err := w.CreateCampaign(t.Context(), longest, someTerms()); err != nil || len(longest) != 24 {
			t.Error(longest, err)
		}
		wrong := someTerms()
		wrong.Condition = "amount >"
		_, err := w.CreateCampaign(t.Context(), newCampaignID(), wrong)
		wantInvalid(t, err, "condition")
		_, err = w.ChangeCampaign(t.Context(), longest, 1, wrong)
		wantInvalid(t, err, "condition")
		_, err = w.Figures(t.Context(), newCampaignID())
		wantFailure(t, err, cashback.CampaignNotFound)
	})
}

func TestCampaignsAreListedByTheirIDs(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		var want []string
		for i := range 5 {
			campaignID := fmt.Sprintf("c%d", 4-i)
			if _, err := w.CreateCampaign(t.Context(), campaignID, someTerms()); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("c%d 1", i))
		}
		changed := someTerms()
		changed.Name = "Changed"
		if _, err := w.ChangeCampaign(t.Context(), "c3", 1, changed); err != nil {
			t.Fatal(err)
		}
		want[3] = "c3 2"
		var got []string
		for after := ""; ; {
			page, err := w.Campaigns(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, campaign := range page {
				got = append(got, fmt.Sprint(campaign.ID, " ", campaign.Version))
				after = campaign.ID
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestSoManyCampaignsAreEnabledAndNoMore(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		var made, refused atomic.Int64
		for i := range cashback.MaxCampaigns + 5 {
			all.Go(func() {
				switch _, err := w.CreateCampaign(t.Context(), fmt.Sprintf("c%03d", i), someTerms()); {
				case err == nil:
					made.Add(1)
				case errors.Is(err, cashback.TooManyCampaigns.Failure("")):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if made.Load() != cashback.MaxCampaigns || refused.Load() != 5 {
			t.Fatalf("%d made, %d refused", made.Load(), refused.Load())
		}
		off := someTerms()
		off.Enabled = false
		if _, err := w.CreateCampaign(t.Context(), "off", off); err != nil {
			t.Fatal(err)
		}
		_, err := w.ChangeCampaign(t.Context(), "off", 1, someTerms())
		wantFailure(t, err, cashback.TooManyCampaigns)
		campaigns, err := w.Campaigns(t.Context(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		renamed := someTerms()
		renamed.Name = "One that is enabled can be changed"
		if _, err := w.ChangeCampaign(t.Context(), campaigns[0].ID, 1, renamed); err != nil {
			t.Error(err)
		}
		if _, err := w.ChangeCampaign(t.Context(), campaigns[0].ID, 2, off); err != nil {
			t.Error(err)
		}
		if _, err := w.ChangeCampaign(t.Context(), "off", 1, someTerms()); err != nil {
			t.Error(err)
		}
	})
}

// spend sets what a campaign has given, as if purchases had.
func (w *world) spend(campaignID, accrued, confirmed, paid string) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), "UPDATE campaign_totals SET accrued = $2, confirmed = $3, paid = $4 WHERE campaign_id = $1",
		campaignID, dec(accrued), dec(confirmed), dec(paid))
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestABudgetIsNotLoweredBelowWhatIsGiven(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		campaignID := newCampaignID()
		if _, err := w.CreateCampaign(t.Context(), campaignID, someTerms()); err != nil {
			t.Fatal(err)
		}
		w.spend(campaignID, "100.10", "200.20", "300.30")
		terms := someTerms()
		terms.Budget = dec("600.59")
		_, err := w.ChangeCampaign(t.Context(), campaignID, 1, terms)
		wantFailure(t, err, cashback.BudgetBelowSpent)
		if current, err := w.Campaign(t.Context(), campaignID); err != nil || current.Version != 1 {
			t.Errorf("%+v, %v", current, err)
		}
		terms.Budget = dec("600.60")
		if _, err := w.ChangeCampaign(t.Context(), campaignID, 1, terms); err != nil {
			t.Fatal(err)
		}
		figures, err := w.Figures(t.Context(), campaignID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "budget", figures.Budget, "600.60")
		equal(t, "remaining", figures.Remaining, "0")
		w.spend(campaignID, "0", "0", "0")
	})
}

// A campaign that money runs out of must be stopped at once, however busy it is.
func TestABusyCampaignsBudgetIsLoweredAtOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		campaignID, customer := newCampaignID(), w.customer()
		terms := someTerms()
		terms.Merchants = []string{"mer_" + campaignID}
		if _, err := w.CreateCampaign(t.Context(), campaignID, terms); err != nil {
			t.Fatal(err)
		}
		// Another server, with an executor of its own, is as busy.
		busy, busyToo := w.buyUntil(customer.ID, terms.Merchants[0]), newWorld(t, w.url).buyUntil(w.customer().ID, terms.Merchants[0])
		for version := int64(1); version <= 10; version++ {
			figures, err := w.Figures(t.Context(), campaignID)
			if err != nil {
				t.Fatal(err)
			}
			terms.Budget = figures.Budget.Sub(dec("10"))
			if _, err := w.ChangeCampaign(t.Context(), campaignID, version, terms); err != nil {
				t.Fatalf("version %d: %v", version, err)
			}
		}
		if here, there := busy(), busyToo(); here == 0 || there == 0 {
			t.Errorf("%d were bought here meanwhile, and %d there", here, there)
		}
		figures, err := w.Figures(t.Context(), campaignID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "budget", figures.Budget, "900")
		if figures.Remaining.IsNegative() || figures.Accrued.IsZero() {
			t.Errorf("%+v", figures)
		}
	})
}

// buyUntil has eight clients buy one thing after the other, until it is called; it
// returns how many were bought.
func (w *world) buyUntil(customerID, merchantID string) func() int64 {
	var stopped atomic.Bool
	var bought atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !stopped.Load() {
				_, err := w.Record(w.t.Context(), purchase(customerID, merchantID, "USD", "1.00"))
				if errors.Is(err, database.ErrConflict) {
					continue // another server came first each time
				}
				if err != nil {
					w.t.Error(err)
					return
				}
				bought.Add(1)
			}
		})
	}
	return func() int64 {
		stopped.Store(true)
		all.Wait()
		return bought.Load()
	}
}

// purchase is one thing bought at noon.
func purchase(customerID, merchantID string, currency money.Currency, price string) cashback.PurchaseRequest {
	return cashback.PurchaseRequest{
		ID: id.New("pur"), MerchantID: merchantID, CustomerID: customerID, Currency: currency, At: noon, Source: "api",
		Lines: []rules.Line{{Product: "apple", Category: "fruit", Quantity: 1, UnitPrice: dec(price)}},
	}
}

// A new campaign is not known elsewhere for a while; one that is paused gives nothing
// any more, anywhere.
func TestAChangeCountsHereAtOnceAndElsewhereWithinTheCacheTime(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		campaignID, customer, other := newCampaignID(), w.customer(), w.replica()
		terms := someTerms()
		terms.Merchants = []string{"mer_" + campaignID}
		rewards := func(c *cashback.Cashback) int {
			t.Helper()
			bought, err := c.Record(t.Context(), purchase(customer.ID, terms.Merchants[0], "USD", "10"))
			if err != nil {
				t.Fatal(err)
			}
			return len(bought.Rewards)
		}
		if here, there := rewards(w.Cashback), rewards(other); here != 0 || there != 0 {
			t.Fatal(here, there)
		}
		if _, err := w.CreateCampaign(t.Context(), campaignID, terms); err != nil {
			t.Fatal(err)
		}
		if here := rewards(w.Cashback); here != 1 {
			t.Errorf("a new campaign gives %d rewards here", here)
		}
		w.pass(cashback.CacheTime)
		if there := rewards(other); there != 1 {
			t.Errorf("a new campaign gives %d rewards elsewhere, %s later", there, cashback.CacheTime)
		}
		terms.Enabled = false
		if _, err := w.ChangeCampaign(t.Context(), campaignID, 1, terms); err != nil {
			t.Fatal(err)
		}
		if here := rewards(w.Cashback); here != 0 {
			t.Errorf("a paused campaign gives %d rewards here", here)
		}
		if there := rewards(other); there != 0 {
			t.Errorf("a paused campaign gives %d rewards elsewhere", there)
		}
	})
}
