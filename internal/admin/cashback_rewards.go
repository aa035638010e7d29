package admin

import (
	"net/http"
	"net/url"

	"florin/internal/api"
)

// What customers got for what they bought, and why.

const rewardsPath = Root + "/rewards"

var (
	rewardStatuses = []string{"ACCRUED", "CONFIRMED", "PAID", "REVERSED"}
	rewardSubjects = []string{"customerId", "campaignId", "purchaseId"} // the API wants one of them
)

// rewardsShown is a page of the list of rewards.
type rewardsShown struct {
	at      *url.URL
	filter  url.Values
	list    api.RewardList
	problem *problem // with the filter
}

func (s *rewardsShown) isAsked() bool { return apiQuery(s.filter, rewardSubjects...) != "" }

// subject is the one that all rewards of the list are of.
func (s *rewardsShown) subject() string {
	for _, name := range rewardSubjects {
		if s.filter.Get(name) != "" {
			return name
		}
	}
	return ""
}

func (s *rewardsShown) isFiltered() bool { return s.isAsked() || s.filter.Get("status") != "" }

func (p *Pages) showRewards(w http.ResponseWriter, r *http.Request) error {
	shown := rewardsShown{at: r.URL, filter: r.URL.Query()}
	if shown.isAsked() {
		err := p.get(r, "/api/v1/rewards"+apiQuery(shown.filter, "customerId", "campaignId", "purchaseId", "status", "cursor", "limit"), &shown.list)
		if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Rewards", status: shown.problem.status()}, rewardsView(shown))
}

func (p *Pages) showReward(w http.ResponseWriter, r *http.Request) error {
	var explained api.RewardExplanation
	if err := p.get(r, apiPath("rewards", r.PathValue("id"), "explanation"), &explained); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Reward " + explained.Reward.RewardID}, rewardView(explained))
}
