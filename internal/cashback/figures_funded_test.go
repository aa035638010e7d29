package cashback_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/id"
)

// accountOf opens a merchant's account with 100 USD that an owner has.
func (w *world) accountOf(ownerID string) string {
	w.t.Helper()
	return must(w.books.OpenAccount(w.t.Context(), ledger.OpenAccount{Type: ledger.Merchant, Currency: "USD", Balance: dec("100"), OwnerID: ownerID}))(w.t).ID
}

// part is an owner's of a campaign: "budget remaining accrued confirmed paid reversed
// owed", and how many rewards.
type part struct {
	budget, remaining, accrued, confirmed, paid, reversed, owed string
	rewards                                                     int64
}

// wantPart fails the test unless the owner's part is this, now.
func (w *world) wantPart(ownerID, campaignID string, want part) cashback.Figures {
	w.t.Helper()
	w.pass(cashback.CacheTime)
	got := must(w.FundedBy(ownerID).Figures(w.t.Context(), campaignID))(w.t)
	for what, c := range map[string]struct {
		got  decimal.Decimal
		want string
	}{
		"budget": {got.Budget, want.budget}, "remaining": {got.Remaining, want.remaining}, "accrued": {got.Accrued, want.accrued}, "confirmed": {got.Confirmed, want.confirmed},
		"paid": {got.Paid, want.paid}, "reversed": {got.Reversed, want.reversed}, "owed": {got.Owed, want.owed},
	} {
		equal(w.t, ownerID+"'s part of "+campaignID+", "+what, c.got, c.want)
	}
	if got.Rewards != want.rewards || got.CampaignID != campaignID || got.Currency != "USD" || !got.At.Equal(w.time()) {
		w.t.Errorf("%+v", got)
	}
	return got
}

// wantSpent fails the test unless the owner's accounts have spent what his figures say.
func (w *world) wantSpent(accounts []string, figures ...cashback.Figures) {
	w.t.Helper()
	var spent, said decimal.Decimal
	for _, account := range accounts {
		spent = spent.Add(dec("100")).Sub(must(w.books.Account(w.t.Context(), account))(w.t).Posted)
	}
	for _, f := range figures {
		said = said.Add(f.Merchants)
	}
	equal(w.t, "what the figures say", said, spent.String())
}

func TestAnOwnersPartOfACampaignIsWhatHisAccountsPaid(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		accounts, theirs := []string{w.accountOf("shop"), w.accountOf("shop")}, w.accountOf("mall")
		shared := someTerms()
		for name, change := range map[string]func(*rules.Terms){
			"alone": func(r *rules.Terms) {
				r.Reward, r.Funding = rules.Reward{Kind: rules.Fixed, Amount: dec("2")}, rules.Funding{Kind: rules.Merchant, AccountID: accounts[0]}
			},
			"shared": func(r *rules.Terms) {
				r.Reward.Percent, r.Funding = dec("10"), rules.Funding{Kind: rules.Shared, AccountID: accounts[1], MerchantPercent: dec("25")}
				shared = *r
			},
			"theirs": func(r *rules.Terms) {
				r.Reward, r.Funding = rules.Reward{Kind: rules.Fixed, Amount: dec("1")}, rules.Funding{Kind: rules.Merchant, AccountID: theirs}
			},
			"houses": func(*rules.Terms) {},
		} {
			terms := someTerms()
			terms.Group = name
			change(&terms)
			must(w.CreateCampaign(ctx, name, terms))(t)
		}
		customer := w.customer()
		buy := func(price string, quantity int64) cashback.Purchase {
			t.Helper()
			request := purchase(customer.ID, "mer", "USD", price)
			request.At, request.Lines[0].Quantity = w.time(), quantity
			return must(w.Record(ctx, request))(t)
		}
		giveBack := func(p cashback.Purchase, quantity int64) {
			t.Helper()
			returned := must(w.Return(ctx, cashback.ReturnRequest{
				ID: id.New("r"), PurchaseID: p.ID, At: w.time(), Source: "api", Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: quantity}},
			}))(t)
			if returned.Status != cashback.ReturnApplied {
				t.Fatalf("%+v", returned)
			}
		}

		w.wantPart("shop", "shared", part{"250", "250", "0", "0", "0", "0", "0", 0})
		first, second := buy("10.10", 1), buy("10", 2) // shared: 1.01, of it 0.25, half-even; 2.00, of it 0.50
		giveBack(second, 1)                            // and 1.00, of it 0.25
		alone := w.wantPart("shop", "alone", part{"1000", "996", "4", "0", "0", "0", "0", 2})
		half := w.wantPart("shop", "shared", part{"250", "249.5", "0.5", "0", "0", "0.25", "0", 2})
		w.wantSpent(accounts, alone, half)
		w.wantPart("mall", "theirs", part{"1000", "998", "2", "0", "0", "0", "0", 2})

		w.pass(15 * 24 * time.Hour)
		if err := w.SettleDue(ctx); err != nil {
			t.Fatal(err)
		}
		w.wantPart("shop", "shared", part{"250", "249.5", "0", "0", "0.5", "0.25", "0", 2})
		elsewhere := w.account(ledger.Wallet, "USD", "0")
		all := must(w.books.Account(ctx, customer.AccountID))(t).Posted.String()
		w.transfer(customer.AccountID, elsewhere, all)
		giveBack(first, 1)
		alone = w.wantPart("shop", "alone", part{"1000", "996", "0", "0", "4", "2", "2", 2})
		half = w.wantPart("shop", "shared", part{"250", "249.5", "0", "0", "0.5", "0.5", "0.25", 2})
		w.wantSpent(accounts, alone, half)
		w.transfer(elsewhere, customer.AccountID, all)
		w.pass(24 * time.Hour)
		if err := w.SettleDue(ctx); err != nil {
			t.Fatal(err)
		}
		alone = w.wantPart("shop", "alone", part{"1000", "998", "0", "0", "2", "2", "0", 2})
		half = w.wantPart("shop", "shared", part{"250", "249.75", "0", "0", "0.25", "0.5", "0", 2})
		w.wantSpent(accounts, alone, half)

		// Another one pays from now on: each has his own part, under his own version.
		shared.Funding.AccountID, shared.To = theirs, shared.To.AddDate(1, 0, 0)
		must(w.ChangeCampaign(ctx, "shared", 1, shared))(t)
		buy("20", 1) // 2.00, of it 0.50
		w.wantPart("shop", "shared", part{"0.25", "0", "0", "0", "0.25", "0.5", "0", 2})
		w.wantPart("mall", "shared", part{"249.75", "249.25", "0.5", "0", "0", "0", "0", 1})
		for owner, version := range map[string]int64{"shop": 1, "mall": 2} {
			if seen := must(w.FundedBy(owner).Campaign(ctx, "shared"))(t); seen.Version != version {
				t.Errorf("%s sees version %d, want %d", owner, seen.Version, version)
			}
		}
		w.wantSound()
	})
}

func TestAnOwnerSeesNoCampaignThatOthersPayFor(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for campaignID, ownerID := range map[string]string{"a": "shop", "b": "mall", "c": "", "d": "shop"} {
			terms := someTerms()
			if ownerID != "" {
				terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: w.accountOf(ownerID)}
			}
			must(w.CreateCampaign(ctx, campaignID, terms))(t)
		}
		for ownerID, want := range map[string][]string{"shop": {"a", "d"}, "mall": {"b"}, "nobody": nil, "": nil} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page := must(w.FundedBy(ownerID).Campaigns(ctx, after, 1))(t)
				if len(page) == 0 {
					break
				}
				got = append(got, page[0].ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s sees %q, want %q", ownerID, got, want)
			}
			for _, campaignID := range []string{"a", "b", "c", "d", "e", "A' OR 1", ""} {
				_, err := w.FundedBy(ownerID).Campaign(ctx, campaignID)
				_, figuresErr := w.FundedBy(ownerID).Figures(ctx, campaignID)
				if slices.Contains(want, campaignID) {
					if err != nil || figuresErr != nil {
						t.Error(err, figuresErr)
					}
					continue
				}
				wantFailure(t, err, cashback.CampaignNotFound)
				wantFailure(t, figuresErr, cashback.CampaignNotFound)
				_, missing := w.Campaign(ctx, "nowhere")
				for _, refused := range []error{err, figuresErr} {
					if got, want := refused.Error(), strings.Replace(missing.Error(), "nowhere", campaignID, 1); got != want {
						t.Errorf("%q tells from %q", got, want)
					}
				}
			}
		}
	})
}
