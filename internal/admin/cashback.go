package admin

import (
	"net/http"
	"net/url"

	"florin/internal/api"
	"florin/internal/identity"
)

// Campaigns: what they promise, and what became of their budgets.

const (
	campaignsPath = Root + "/campaigns"
	// newCampaignPath is no campaign's: their ids begin with a letter or a digit.
	newCampaignPath = campaignsPath + "/_new"
)

func (p *Pages) cashbackRoutes() []route {
	reads, buys := []identity.Permission{identity.CashbackRead}, []identity.Permission{identity.PurchasesRead}
	return []route{
		{pattern: "GET " + campaignsPath, handler: p.showCampaigns, nav: "Campaigns", group: groupCashback, needs: reads},
		{pattern: "GET " + newCampaignPath, handler: p.showNewCampaign, needs: []identity.Permission{identity.CampaignsWrite}},
		{pattern: "POST " + campaignsPath, handler: p.createCampaign},
		{pattern: "GET " + campaignsPath + "/{id}", handler: p.showCampaign},
		{pattern: "GET " + campaignsPath + "/{id}/simulation", handler: p.showSimulation},
		{pattern: "GET " + campaignsPath + "/{id}/change", handler: p.showCampaignChange, needs: []identity.Permission{identity.CampaignsWrite}},
		{pattern: "POST " + campaignsPath + "/{id}/change", handler: p.changeCampaign},
		{pattern: "POST " + campaignsPath + "/{id}/switch", handler: p.switchCampaign},

		{pattern: "GET " + rewardsPath, handler: p.showRewards, nav: "Rewards", group: groupCashback, needs: reads},
		{pattern: "GET " + rewardsPath + "/{id}", handler: p.showReward},
		{pattern: "GET " + purchasesPath, handler: p.showPurchases, nav: "Purchases", group: groupCashback, needs: buys},
		{pattern: "GET " + purchasesPath + "/{id}", handler: p.showPurchase},
		{pattern: "GET " + Root + "/returns/{id}", handler: p.showReturn},
		{pattern: "GET " + cashbackCustomersPath, handler: p.showCashbackCustomers, nav: "Customers", group: groupCashback, needs: buys},
		{pattern: "POST " + cashbackCustomersPath, handler: p.enterCashbackCustomer, needs: []identity.Permission{identity.PurchasesWrite}},
		{pattern: "GET " + cashbackCustomersPath + "/{id}", handler: p.showCashbackCustomer},
		{pattern: "GET " + programPath, handler: p.showProgram, nav: "Program", group: groupCashback, needs: reads},
		{pattern: "POST " + programPath, handler: p.changeProgram},
	}
}

// campaignsShown is a page of the list of campaigns.
type campaignsShown struct {
	at     *url.URL
	list   api.CampaignList
	mayAdd bool
}

func (p *Pages) showCampaigns(w http.ResponseWriter, r *http.Request) error {
	shown := campaignsShown{at: r.URL, mayAdd: callerOf(r).May(identity.CampaignsWrite)}
	if err := p.get(r, "/api/v1/campaigns"+apiQuery(r.URL.Query(), "cursor", "limit"), &shown.list); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Campaigns"}, campaignsView(shown))
}

// campaignShown is one campaign.
type campaignShown struct {
	campaign  api.Campaign
	figures   api.CampaignFigures
	versions  []versionShown
	older     string // cursor of the versions before these
	at        *url.URL
	mayChange bool
	problem   *problem // with what was asked for
}

// versionShown is a version of a campaign, and what it changed.
type versionShown struct {
	api.Campaign
	changes []string
}

// versionsOfPage is how many versions a campaign's page has.
const versionsOfPage = "10"

func (p *Pages) showCampaign(w http.ResponseWriter, r *http.Request) error {
	return p.renderCampaign(w, r, nil)
}

// renderCampaign shows a campaign, with what was wrong with what was asked for it.
func (p *Pages) renderCampaign(w http.ResponseWriter, r *http.Request, bad *problem) error {
	id := r.PathValue("id")
	shown := campaignShown{at: &url.URL{Path: campaignsPath + "/" + id, RawQuery: r.URL.RawQuery}, mayChange: callerOf(r).May(identity.CampaignsWrite), problem: bad}
	if err := p.get(r, apiPath("campaigns", id), &shown.campaign); err != nil {
		return err
	}
	if err := p.get(r, apiPath("campaigns", id, "figures"), &shown.figures); err != nil {
		return err
	}
	query := url.Values{"limit": {versionsOfPage}, "cursor": {r.URL.Query().Get("cursor")}}
	var versions api.CampaignList
	if err := p.get(r, apiPath("campaigns", id, "versions")+apiQuery(query, "limit", "cursor"), &versions); err != nil {
		return err
	}
	shown.versions, shown.older = versionsOf(versions.Data), versions.NextCursor
	return p.render(w, r, page{title: shown.campaign.Name, status: bad.status()}, campaignView(shown))
}

// versionsOf tells of each version, the newest first, what it changed. Of the last
// one that is known only when it is the campaign's first.
func versionsOf(list []api.Campaign) []versionShown {
	shown := make([]versionShown, len(list))
	for i := range list {
		shown[i].Campaign = list[i]
		switch {
		case list[i].Version == 1:
			shown[i].changes = []string{"The campaign was made."}
		case i+1 < len(list):
			shown[i].changes = changedTerms(&list[i], &list[i+1])
		}
	}
	return shown
}

// switchCampaign enables or pauses a campaign. The form names the version that it
// was shown with: sent twice, or after somebody else's change, it does nothing more.
func (p *Pages) switchCampaign(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	terms := map[string]any{}
	if err := p.get(r, apiPath("campaigns", id), &terms); err != nil {
		return err
	}
	isOn := r.PostFormValue("enabled") == "true"
	terms["enabled"] = isOn
	err := p.putTerms(r, id, terms)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderCampaign(w, r, bad)
	}
	if err != nil {
		return err
	}
	done := "The campaign is paused. Purchases from now on get nothing by it, everywhere within five seconds."
	if isOn {
		done = "The campaign is enabled. Purchases from now on are evaluated under it, everywhere within five seconds."
	}
	return p.done(w, r, done, pagePath("campaigns", id))
}

// putTerms asks for a campaign's next version, made of the one that the form names.
func (p *Pages) putTerms(r *http.Request, id string, terms map[string]any) error {
	for _, name := range []string{"campaignId", "createdBy", "createdAt"} {
		delete(terms, name) // they say who made a version, and are no terms
	}
	terms["version"] = numberTyped(r.PostFormValue("version"))
	return p.call(r, http.MethodPut, apiPath("campaigns", id), terms, nil)
}
