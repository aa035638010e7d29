package cashback_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"florin/internal/cashback"
)

func TestRewardsAreListedNewestFirstByWhatTheyAreOf(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		other := newLife(w, someTerms()) // of which none gives, as the other's id may come first
		var all []string
		for i := range 5 {
			l.pass(time.Second)
			p := l.buys("100", int64(i+1))
			rewards, err := l.Rewards(t.Context(), cashback.RewardFilter{PurchaseID: p.ID}, nil, 10)
			if err != nil || len(rewards) != 1 {
				t.Fatalf("%+v, %v", rewards, err)
			}
			all = append([]string{rewards[0].ID}, all...)
		}
		stranger := other.buys("100", 1)

		list := func(f cashback.RewardFilter) (ids []string) {
			t.Helper()
			var after *cashback.Position
			for {
				page, err := l.Rewards(t.Context(), f, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, reward := range page {
					ids = append(ids, reward.ID)
				}
				if len(page) < 2 {
					return ids
				}
				at := page[1].Position()
				after = &at
			}
		}
		if got := list(cashback.RewardFilter{CustomerID: l.customer.ID}); !slices.Equal(got, all) {
			t.Errorf("of the customer %v, want %v", got, all)
		}
		if got := list(cashback.RewardFilter{CustomerID: l.customer.ID, Status: cashback.Paid}); got != nil {
			t.Errorf("paid are %v", got)
		}
		byCampaign := append(list(cashback.RewardFilter{CampaignID: l.campaign}), list(cashback.RewardFilter{CampaignID: other.campaign})...)
		if len(byCampaign) != 6 {
			t.Errorf("of the campaigns %v", byCampaign)
		}
		if got := list(cashback.RewardFilter{PurchaseID: stranger.ID, CustomerID: l.customer.ID}); got != nil {
			t.Errorf("of another's purchase %v", got)
		}
		for _, bad := range []cashback.RewardFilter{{}, {Status: cashback.Paid}, {CampaignID: l.campaign, Status: "LOST"}} {
			if _, err := l.Rewards(t.Context(), bad, nil, 2); !isInvalid(err) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		for _, unknown := range []string{"rwd_nobody", "", "no\x00id"} {
			if _, err := l.Reward(t.Context(), unknown); !errors.Is(err, cashback.RewardNotFound.Failure("")) {
				t.Errorf("%q: %v", unknown, err)
			}
			if _, err := l.Explanation(t.Context(), unknown); !errors.Is(err, cashback.RewardNotFound.Failure("")) {
				t.Errorf("%q: %v", unknown, err)
			}
		}
	})
}

func isInvalid(err error) bool {
	_, is := errors.AsType[*cashback.InvalidInput](err)
	return is
}
