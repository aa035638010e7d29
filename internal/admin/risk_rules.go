package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

const (
	rulesPath   = reviewsPath + "/rules"
	newRulePath = reviewsPath + "/new-rule"
	tryRulePath = reviewsPath + "/try"
)

func (p *Pages) riskRuleRoutes() []route {
	return []route{
		{pattern: "GET " + rulesPath, handler: p.showRules},
		{pattern: "GET " + rulesPath + "/{id}", handler: p.showRule},
		{pattern: "POST " + rulesPath + "/{id}", handler: p.changeRule},
		{pattern: "GET " + newRulePath, handler: p.showNewRule, needs: []identity.Permission{identity.RiskWrite}},
		{pattern: "POST " + newRulePath, handler: p.createRule},
		{pattern: "GET " + tryRulePath, handler: p.tryRule},
	}
}

func (p *Pages) showRules(w http.ResponseWriter, r *http.Request) error {
	var list api.RiskRuleList
	if err := p.get(r, "/api/v1/risk/rules", &list); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Rules"}, rulesView(list.Data, callerOf(r)))
}

// ruleShown is a rule with its versions, and the form that makes the next.
type ruleShown struct {
	at       *url.URL
	caller   *caller
	versions api.RiskRuleList // newest first
	form     ruleForm
	isEdited bool // the form was sent, and comes back
	problem  *problem
}

// ruleForm is what is typed into the form of a rule.
type ruleForm struct{ ruleID, version, name, expression, outcome, priority, enabled string }

func ruleFormOf(rule *api.RiskRule) ruleForm {
	return ruleForm{
		ruleID: rule.RuleID, version: strconv.FormatInt(rule.Version, 10), name: rule.Name, expression: rule.Expression, outcome: rule.Outcome,
		priority: strconv.Itoa(rule.Priority), enabled: strconv.FormatBool(rule.Enabled),
	}
}

func postedRule(r *http.Request) ruleForm {
	return ruleForm{
		ruleID: strings.TrimSpace(r.PostFormValue("ruleId")), version: r.PostFormValue("version"), name: r.PostFormValue("name"), expression: r.PostFormValue("expression"),
		outcome: r.PostFormValue("outcome"), priority: r.PostFormValue("priority"), enabled: r.PostFormValue("enabled"),
	}
}

// terms is the form as the API takes it: with the version that it was shown with,
// unless the rule is new.
func (f *ruleForm) terms() map[string]any {
	terms := map[string]any{"name": f.name, "expression": f.expression, "outcome": f.outcome, "priority": numberTyped(cmp.Or(strings.TrimSpace(f.priority), "0")), "enabled": f.enabled == "true"}
	if f.version != "" {
		terms["version"] = numberTyped(f.version)
	} else {
		terms["ruleId"] = f.ruleID
	}
	return terms
}

func (p *Pages) showRule(w http.ResponseWriter, r *http.Request) error {
	return p.renderRule(w, r, nil, nil)
}

// renderRule shows a rule, with the form as it was sent when that was refused.
func (p *Pages) renderRule(w http.ResponseWriter, r *http.Request, sent *ruleForm, bad *problem) error {
	shown := ruleShown{at: r.URL, caller: callerOf(r), isEdited: sent != nil, problem: bad}
	id := r.PathValue("id")
	if err := p.get(r, apiPath("risk", "rules", id, "versions")+apiQuery(r.URL.Query(), "cursor", "limit"), &shown.versions); err != nil {
		return err
	}
	if len(shown.versions.Data) == 0 {
		return fmt.Errorf("rule %s has no versions", id)
	}
	shown.form = ruleFormOf(&shown.versions.Data[0])
	if sent != nil {
		shown.form = *sent
	}
	return p.render(w, r, page{title: shown.versions.Data[0].Name, status: bad.status()}, ruleView(shown))
}

func (p *Pages) changeRule(w http.ResponseWriter, r *http.Request) error {
	form := postedRule(r)
	form.ruleID = r.PathValue("id")
	var changed api.RiskRule
	err := p.call(r, http.MethodPut, apiPath("risk", "rules", form.ruleID), form.terms(), &changed)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderRule(w, r, &form, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, fmt.Sprintf("Version %d judges payments from now on.", changed.Version), pagePath("risk", "rules", changed.RuleID))
}

func (p *Pages) showNewRule(w http.ResponseWriter, r *http.Request) error {
	form := ruleForm{outcome: "REVIEW", priority: "0", enabled: "true", expression: r.URL.Query().Get("expression")}
	return p.render(w, r, page{title: "New rule"}, newRuleView(form, nil))
}

func (p *Pages) createRule(w http.ResponseWriter, r *http.Request) error {
	form := postedRule(r)
	form.version = ""
	var made api.RiskRule
	err := p.call(r, http.MethodPost, "/api/v1/risk/rules", form.terms(), &made)
	if bad := inPlace(err); bad != nil {
		return p.render(w, r, page{title: "New rule", status: bad.Status}, newRuleView(form, bad))
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The rule judges payments from now on.", pagePath("risk", "rules", made.RuleID))
}

// tryForm is an expression, the facts that it is asked about, and what it said. It
// is a GET: nothing is recorded, and the address of an attempt can be shared.
type tryForm struct {
	asked   url.Values
	caller  *caller
	result  *api.TestRuleResult
	problem *problem
}

func (p *Pages) tryRule(w http.ResponseWriter, r *http.Request) error {
	shown := tryForm{asked: r.URL.Query(), caller: callerOf(r)}
	if shown.asked.Get("expression") != "" && shown.asked.Has("facts.amount") {
		if err := shown.ask(p, r); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Try a rule", status: shown.problem.status()}, tryRuleView(shown))
}

// factsAsked are the facts by their names in the API, as the form has them.
var factsAsked = struct{ texts, numbers, flags []string }{
	texts:   []string{"operation", "amount", "currency", "role", "sumHour", "sumDay"},
	numbers: []string{"accountAgeHours", "countHour", "countDay", "attemptsHour", "attemptsDay"},
	flags:   []string{"isNewPayee", "hasSecondFactor"},
}

// of is a fact as it was typed, or what it is when nobody said.
func (f *tryForm) of(fact, otherwise string) string {
	if f.asked.Has("facts." + fact) {
		return strings.TrimSpace(f.asked.Get("facts." + fact))
	}
	return otherwise
}

// ask asks the API what the expression says of the facts.
func (f *tryForm) ask(p *Pages, r *http.Request) error {
	facts := map[string]any{}
	for _, name := range factsAsked.texts {
		if value := f.of(name, ""); value != "" {
			facts[name] = value
		}
	}
	for _, name := range factsAsked.flags {
		facts[name] = f.of(name, "") == "true"
	}
	for _, name := range factsAsked.numbers {
		facts[name] = numberTyped(f.of(name, "0"))
	}
	var result api.TestRuleResult
	err := p.call(r, http.MethodPost, "/api/v1/risk/rules/test", map[string]any{"expression": f.asked.Get("expression"), "facts": facts}, &result)
	if f.problem = inPlace(err); f.problem != nil {
		return nil //nolint:nilerr // it is shown beside the form
	}
	f.result = &result
	return err
}

// tryOf is the address of the form with a rule's expression.
func tryOf(expression string) string {
	return tryRulePath + "?" + url.Values{"expression": {expression}}.Encode()
}
