package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

// The program: what campaigns share.

const programPath = Root + "/cashback-program"

// programShown is the program, and the form that makes its next version.
type programShown struct {
	program   api.CashbackProgram
	mayChange bool
	form      url.Values
	problem   *problem // with the form that was sent
}

func (p *Pages) showProgram(w http.ResponseWriter, r *http.Request) error {
	return p.renderProgram(w, r, nil, nil)
}

func (p *Pages) renderProgram(w http.ResponseWriter, r *http.Request, sent url.Values, bad *problem) error {
	shown := programShown{mayChange: callerOf(r).May(identity.CampaignsWrite), form: sent, problem: bad}
	if err := p.get(r, "/api/v1/cashback-program", &shown.program); err != nil {
		return err
	}
	if sent == nil {
		shown.form = programValues(&shown.program)
	}
	return p.render(w, r, page{title: "Cashback program", status: bad.status()}, programView(shown))
}

func (p *Pages) changeProgram(w http.ResponseWriter, r *http.Request) error {
	err := p.call(r, http.MethodPut, "/api/v1/cashback-program", programTyped(r.PostForm), nil)
	if bad := inPlace(err); bad != nil {
		return p.renderProgram(w, r, r.PostForm, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The program is changed, within five seconds everywhere. Purchases that were evaluated keep what they got.", programPath)
}

// programValues are a program as its form shows it: a group, a tier or a segment a
// line.
func programValues(program *api.CashbackProgram) url.Values {
	var groups, tiers, segments []string
	for _, name := range slices.Sorted(maps.Keys(program.Groups)) {
		groups = append(groups, name+": "+program.Groups[name])
	}
	for _, tier := range program.Tiers {
		tiers = append(tiers, tier.Name+": "+string(tier.MinSpend))
	}
	for _, name := range slices.Sorted(maps.Keys(program.Segments)) {
		segments = append(segments, name+": "+program.Segments[name])
	}
	values := url.Values{
		"version": {strconv.FormatInt(program.Version, 10)}, "groups": {strings.Join(groups, "\n")}, "tiers": {strings.Join(tiers, "\n")},
		"tierCurrency": {program.TierCurrency}, "segments": {strings.Join(segments, "\n")},
	}
	if program.TierDays > 0 {
		values.Set("tierDays", strconv.Itoa(program.TierDays))
	}
	return values
}

// programTyped is the form as the API takes it.
func programTyped(form url.Values) map[string]any {
	groups, segments, tiers := map[string]string{}, map[string]string{}, []map[string]string{}
	for _, line := range pairsTyped(form.Get("groups")) {
		groups[line[0]] = strings.ToUpper(line[1])
	}
	for _, line := range pairsTyped(form.Get("tiers")) {
		tiers = append(tiers, map[string]string{"name": line[0], "minSpend": line[1]})
	}
	for _, line := range pairsTyped(form.Get("segments")) {
		segments[line[0]] = line[1]
	}
	program := map[string]any{"version": numberTyped(form.Get("version")), "groups": groups, "tiers": tiers, "segments": segments}
	if days := strings.TrimSpace(form.Get("tierDays")); days != "" {
		program["tierDays"] = numberTyped(days)
	}
	if currency := strings.TrimSpace(form.Get("tierCurrency")); currency != "" {
		program["tierCurrency"] = currency
	}
	return program
}

// policiesInWords are what becomes of a purchase for which several campaigns of a
// group would give something.
var policiesInWords = map[string]string{
	"BEST": "The one that gives most", "SUM": "All of them", "PRIORITY": "The highest priority that gives anything",
}
