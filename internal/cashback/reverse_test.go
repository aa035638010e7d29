package cashback_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
)

func TestWhatComesBackBeforeARewardIsPaidIsTakenBackFromIt(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("10.10", 10) // 5.05, of which the merchant pays 1.68
		l.wantBalance("the merchant's account", l.merchant, "98.32")

		// 3 come back: 7 are 3.535, half-even 3.54, of which the merchant pays 1.18.
		if r := l.givesBack(p, 3); !r.Reversed.Equal(dec("1.51")) {
			t.Errorf("%s was taken back, want 1.51", r.Reversed)
		}
		l.wantReward(p, cashback.Accrued, "")
		l.wantBalance("the merchant's account", l.merchant, "98.82")
		l.wantFigures(figures{"3.54", "0", "0", "1.51", "0", "1.18"})

		// 3 more while it is confirmed and can't be paid: 4 are 2.02, of which he pays 0.67.
		l.setStatus(l.customer.AccountID, ledger.Frozen)
		l.pass(returnWindow)
		l.settles()
		l.wantFigures(figures{"0", "3.54", "0", "1.51", "0", "1.18"})
		l.givesBack(p, 3)
		l.wantReward(p, cashback.Confirmed, "account_frozen")
		l.wantFigures(figures{"0", "2.02", "0", "3.03", "0", "0.67"})

		l.setStatus(l.customer.AccountID, ledger.Active)
		l.pass(time.Minute)
		l.settles()
		l.wantBalance("the wallet", l.customer.AccountID, "2.02")
		l.wantFigures(figures{"0", "0", "2.02", "3.03", "0", "0.67"})
	})
}

func TestWhatWasPaidIsTakenBackFromTheWallet(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("10.10", 10)
		l.pass(returnWindow)
		l.settles()
		l.wantBalance("the wallet", l.customer.AccountID, "5.05")

		l.givesBack(p, 3)
		reward := l.wantReward(p, cashback.Paid, "")
		if !reward.Reversed.Equal(dec("1.51")) || !reward.Owed.IsZero() {
			t.Errorf("%+v", reward)
		}
		l.wantBalance("the wallet", l.customer.AccountID, "3.54")
		l.wantFigures(figures{"0", "0", "3.54", "1.51", "0", "1.18"})

		l.givesBack(p, 7)
		reward = l.wantReward(p, cashback.Reversed, "")
		if !reward.Reversed.Equal(reward.Amount) || !reward.Owed.IsZero() {
			t.Errorf("%+v", reward)
		}
		l.wantBalance("the wallet", l.customer.AccountID, "0")
		l.wantBalance("the merchant's account", l.merchant, "100")
		l.wantFigures(figures{"0", "0", "0", "5.05", "0", "0"})
		l.pass(returnWindow)
		l.settles()
		l.wantUntouched(reward)
	})
}

func TestWhatTheCustomerHasSpentHeOwes(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("10.10", 10)
		l.pass(returnWindow)
		l.settles()
		l.spends("4.05") // leaves 1.00

		// 7 come back: 5 percent of what is left, 30.30, are 1.515, half-even 1.52.
		equal(t, "what was taken back", l.givesBack(p, 7).Reversed, "3.53")
		equal(t, "what is owed", l.wantReward(p, cashback.Paid, "insufficient_funds").Owed, "2.53")
		l.wantBalance("the wallet", l.customer.AccountID, "0")
		// Of 4.05 that are out the merchant has paid 1.35.
		l.wantFigures(figures{"0", "0", "4.05", "3.53", "2.53", "1.35"})

		l.earns("0.50")
		l.pass(time.Minute - time.Microsecond)
		l.settles()
		l.wantBalance("the wallet before it is time", l.customer.AccountID, "0.50")
		l.pass(time.Microsecond)
		l.settles()
		l.wantBalance("the wallet", l.customer.AccountID, "0")
		l.wantReward(p, cashback.Paid, "insufficient_funds")
		l.wantFigures(figures{"0", "0", "3.55", "3.53", "2.03", "1.18"})

		// All comes back, and his account is frozen; then there is money.
		l.setStatus(l.customer.AccountID, ledger.Frozen)
		l.givesBack(p, 3)
		l.wantReward(p, cashback.Paid, "account_frozen")
		l.wantFigures(figures{"0", "0", "3.55", "5.05", "3.55", "1.18"})
		l.setStatus(l.customer.AccountID, ledger.Active)
		l.earns("10")
		l.pass(6 * time.Hour)
		l.settles()
		l.wantReward(p, cashback.Reversed, "")
		l.wantBalance("the wallet", l.customer.AccountID, "6.45")
		l.wantBalance("the merchant's account", l.merchant, "100")
		l.wantFigures(figures{"0", "0", "0", "5.05", "0", "0"})
	})
}

func TestWhatAMerchantsAccountDoesNotTakeThePlatformKeeps(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("10.10", 10)
		l.setStatus(l.merchant, ledger.Frozen)
		l.givesBack(p, 10)
		reward := l.wantReward(p, cashback.Reversed, "account_frozen")
		l.wantFigures(figures{"0", "0", "0", "5.05", "0", "1.68"}) // that much is his still
		back, err := l.books.TransferByID(t.Context(), cashback.TransferID(reward.ID, reward.Transfers))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "what went back to the platform", back.Amount, "5.05")
		if want := "cashback taken back for purchase " + p.ID + "; 1.68 of it kept for " + l.merchant + ": account_frozen"; back.Description != want {
			t.Errorf("it says %q, want %q", back.Description, want)
		}
	})
}

func TestAMerchantMayBeHisOwnCustomer(t *testing.T) {
	eachLong(t, func(_ *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		l.takesAccount(l.merchant)
		p := l.buys("10.10", 10)
		l.pass(returnWindow)
		l.settles()
		l.wantBalance("his account", l.merchant, "103.37")
		l.givesBack(p, 10)
		l.wantReward(p, cashback.Reversed, "")
		l.wantBalance("his account", l.merchant, "100")
		l.wantFigures(figures{"0", "0", "0", "5.05", "0", "0"})
	})
}

func TestAFixedRewardStaysWhileAnythingThatEarnsItIsKept(t *testing.T) {
	eachLong(t, func(_ *testing.T, w *world) {
		terms := someTerms()
		terms.Reward, terms.MinimumSpend = rules.Reward{Kind: rules.Fixed, Amount: dec("2")}, dec("30")
		l := newLife(w, terms)
		p := l.buys("10", 5)
		l.givesBack(p, 2)
		l.wantFigures(figures{"2", "0", "0", "0", "0", "0"})
		l.givesBack(p, 1) // below the minimum
		l.wantReward(p, cashback.Reversed, "")
		l.wantFigures(figures{"0", "0", "0", "2", "0", "0"})
		l.pass(returnWindow)
		l.settles()
		l.wantBalance("the wallet", l.customer.AccountID, "0")
	})
}

// TestWhateverBecomesOfRewardsTheFiguresEqualTheBooks lets customers buy, return,
// spend and earn, and accounts be frozen, at random, with sweeps in between.
func TestWhateverBecomesOfRewardsTheFiguresEqualTheBooks(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // test data
		terms := sharedTerms(w)
		terms.To, terms.ReturnDays = noon.AddDate(1, 0, 0), 3
		l := newLife(w, terms)
		var bought []cashback.Purchase
		left := map[string]int64{}
		done := map[cashback.RewardStatus]bool{}
		for _, after := range []func(cashback.Purchase){ // what becomes of a reward at least
			func(p cashback.Purchase) { l.givesBack(p, 1); left[p.ID] = 0 },
			func(cashback.Purchase) { l.pass(4 * 24 * time.Hour); l.settles() },
		} {
			p := l.buys("10", 1)
			bought, left[p.ID] = append(bought, p), 1
			after(p)
		}
		for range 150 {
			switch random.IntN(7) {
			case 0, 1:
				quantity := int64(1 + random.IntN(9))
				p := l.buys(decimal.New(int64(1+random.IntN(9999)), -2).String(), quantity)
				bought, left[p.ID] = append(bought, p), quantity
			case 2:
				if len(bought) == 0 {
					continue
				}
				if p := bought[random.IntN(len(bought))]; left[p.ID] > 0 {
					quantity := 1 + random.Int64N(left[p.ID])
					l.givesBack(p, quantity)
					left[p.ID] -= quantity
				}
			case 3:
				account, err := l.books.Account(t.Context(), l.customer.AccountID)
				if err != nil {
					t.Fatal(err)
				}
				if account.Status == ledger.Active && account.Posted.IsPositive() {
					l.spends(account.Posted.String())
				}
			case 4:
				l.setStatus(l.customer.AccountID, []ledger.AccountStatus{ledger.Active, ledger.Active, ledger.Frozen}[random.IntN(3)])
				l.setStatus(l.merchant, []ledger.AccountStatus{ledger.Active, ledger.Active, ledger.Frozen}[random.IntN(3)])
			default:
				l.pass(time.Duration(random.IntN(40)) * time.Hour)
				l.settles()
			}
		}
		l.wantProven()
		for _, p := range bought {
			rewards, err := l.Rewards(t.Context(), cashback.RewardFilter{PurchaseID: p.ID}, nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, reward := range rewards {
				done[reward.Status] = true
			}
		}
		if !done[cashback.Paid] || !done[cashback.Reversed] {
			t.Errorf("rewards came to %v only", done)
		}

		// In the end everything comes back, and the customer gives all of it back.
		l.setStatus(l.customer.AccountID, ledger.Active)
		for _, p := range bought {
			if left[p.ID] > 0 {
				l.givesBack(p, left[p.ID])
			}
		}
		l.earns("1000")
		l.pass(24 * time.Hour)
		l.settles()
		got, err := l.Figures(t.Context(), l.campaign)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Remaining.Equal(got.Budget) || !got.Owed.IsZero() {
			t.Errorf("%+v", got)
		}
		l.wantProven()
	})
}
