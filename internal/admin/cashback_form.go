package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"florin/internal/api"
)

// day is one of UTC.
const day = 24 * time.Hour

// campaignForm is the form of a campaign's main terms, as it is shown or was sent.
// Its fields have the API's names for them. Steps and multipliers are not in it:
// they are made by the API, and stay as they are.
type campaignForm struct {
	id       string // "" of a new campaign
	version  string
	hasSteps bool
	values   url.Values
	problem  *problem
}

func (f *campaignForm) isNew() bool { return f.id == "" }

// back is the page that the form was opened from.
func (f *campaignForm) back() string {
	if f.isNew() {
		return campaignsPath
	}
	return pagePath("campaigns", f.id)
}

func (f *campaignForm) action() string {
	if f.isNew() {
		return campaignsPath
	}
	return pagePath("campaigns", f.id, "change")
}

// kinds are the kinds of reward that may be chosen.
func (f *campaignForm) kinds() []choice {
	choices := []choice{{"PERCENT", "A percentage"}, {"FIXED", "A fixed amount"}}
	if f.hasSteps {
		choices = append(choices, choice{"TIERED", "Steps by amount, as they are"})
	}
	return choices
}

// campaignField is one of the form's: its place in the request, and how what is
// typed is written there; as a text when that is nil.
type campaignField struct {
	name    string
	written func(typed string) any
}

func instantTyped(typed string) any { return instantOf(typed) }

var campaignFields = []campaignField{
	{"name", nil}, {"currency", nil}, {"from", instantTyped}, {"to", instantTyped},
	{"merchants", func(typed string) any { return namesTyped(typed) }},
	{"condition", nil}, {"lineCondition", nil}, {"minimumSpend", nil},
	{"reward.kind", nil}, {"reward.percent", nil}, {"reward.amount", nil},
	{"caps.perPurchase", nil}, {"caps.perCustomer", nil}, {"caps.customerPeriod", nil},
	{"budget", nil}, {"budgetEnd", nil},
	{"funding.kind", nil}, {"funding.accountId", nil}, {"funding.merchantPercent", nil},
	{"group", nil}, {"priority", numberTyped}, {"clickHours", numberTyped}, {"returnDays", numberTyped},
}

// writeTerms writes what a form says over a campaign's terms. An empty field takes
// its term out.
func writeTerms(terms map[string]any, form url.Values) {
	for _, field := range campaignFields {
		holder, name := terms, field.name
		if outer, inner, isNested := strings.Cut(field.name, "."); isNested {
			holder, name = memberOf(terms, outer), inner
		}
		typed := strings.TrimSpace(form.Get(field.name))
		switch {
		case typed == "":
			delete(holder, name)
		case field.written != nil:
			holder[name] = field.written(typed)
		default:
			holder[name] = typed
		}
	}
	if memberOf(terms, "reward")["kind"] != "TIERED" {
		delete(memberOf(terms, "reward"), "steps")
	}
}

// memberOf is an object in an object, made when it is not there.
func memberOf(object map[string]any, name string) map[string]any {
	member, isThere := object[name].(map[string]any)
	if !isThere {
		member = map[string]any{}
		object[name] = member
	}
	return member
}

// campaignValues are a campaign's terms as the form shows them.
func campaignValues(c *api.Campaign) url.Values {
	caps := api.CampaignCaps{}
	if c.Caps != nil {
		caps = *c.Caps
	}
	values := url.Values{}
	for name, value := range map[string]string{
		"name": c.Name, "currency": c.Currency, "from": dayInWords(c.From), "to": dayInWords(c.To),
		"merchants": strings.Join(c.Merchants, "\n"), "condition": c.Condition, "lineCondition": c.LineCondition, "minimumSpend": textOf(c.MinimumSpend),
		"reward.kind": c.Reward.Kind, "reward.percent": textOf(c.Reward.Percent), "reward.amount": textOf(c.Reward.Amount),
		"caps.perPurchase": textOf(caps.PerPurchase), "caps.perCustomer": textOf(caps.PerCustomer), "caps.customerPeriod": caps.CustomerPeriod,
		"budget": string(c.Budget), "budgetEnd": c.BudgetEnd,
		"funding.kind": c.Funding.Kind, "funding.accountId": c.Funding.AccountID, "funding.merchantPercent": textOf(c.Funding.MerchantPercent),
		"group": c.Group, "priority": strconv.Itoa(c.Priority), "clickHours": strconv.Itoa(c.ClickHours), "returnDays": strconv.Itoa(c.ReturnDays),
	} {
		values.Set(name, value)
	}
	return values
}

func textOf[T ~string](value *T) string {
	if value == nil {
		return ""
	}
	return string(*value)
}

func (p *Pages) showNewCampaign(w http.ResponseWriter, r *http.Request) error {
	today := p.now().UTC().Truncate(day)
	return p.renderCampaignForm(w, r, campaignForm{values: url.Values{
		"from": {dayInWords(today)}, "to": {dayInWords(today.AddDate(0, 3, 0))}, "returnDays": {"14"},
	}})
}

func (p *Pages) renderCampaignForm(w http.ResponseWriter, r *http.Request, form campaignForm) error {
	title := "New campaign"
	if !form.isNew() {
		title = "Change " + cmp.Or(form.values.Get("name"), form.id)
	}
	return p.render(w, r, page{title: title, status: form.problem.status()}, campaignFormView(form))
}

func (p *Pages) createCampaign(w http.ResponseWriter, r *http.Request) error {
	id := strings.TrimSpace(r.PostFormValue("campaignId"))
	terms := map[string]any{"campaignId": id, "enabled": r.PostFormValue("enabled") == "true"}
	writeTerms(terms, r.PostForm)
	err := p.call(r, http.MethodPost, "/api/v1/campaigns", terms, nil)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderCampaignForm(w, r, campaignForm{values: r.PostForm, problem: bad})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The campaign is made.", pagePath("campaigns", id))
}

func (p *Pages) showCampaignChange(w http.ResponseWriter, r *http.Request) error {
	var campaign api.Campaign
	if err := p.get(r, apiPath("campaigns", r.PathValue("id")), &campaign); err != nil {
		return err
	}
	return p.renderCampaignForm(w, r, campaignForm{
		id: campaign.CampaignID, version: strconv.FormatInt(campaign.Version, 10), hasSteps: len(campaign.Reward.Steps) > 0, values: campaignValues(&campaign),
	})
}

// changeCampaign writes the form over the terms of now, of which it does not show
// all. It is of the version that the form was shown with, or refused.
func (p *Pages) changeCampaign(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	terms := map[string]any{}
	if err := p.get(r, apiPath("campaigns", id), &terms); err != nil {
		return err
	}
	_, hasSteps := memberOf(terms, "reward")["steps"]
	writeTerms(terms, r.PostForm)
	err := p.putTerms(r, id, terms)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderCampaignForm(w, r, campaignForm{id: id, version: r.PostFormValue("version"), hasSteps: hasSteps, values: r.PostForm, problem: bad})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The campaign is changed. Earlier versions stay: rewards name the one that they came from.", pagePath("campaigns", id))
}

// filled is a field with what the form has for it. Browsers don't suggest terms.
func (f *campaignForm) filled(in input) input {
	in.value, in.complete = f.values.Get(in.name), "off"
	return in
}
