package admin

import (
	"cmp"
	"net/http"

	"florin/internal/api"
)

// simulationShown is what a campaign would have given.
type simulationShown struct {
	campaign api.Campaign
	from, to string        // as typed
	forecast *api.Forecast // nil before it was asked for
	problem  *problem
}

func (p *Pages) showSimulation(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	shown := simulationShown{from: r.URL.Query().Get("from"), to: r.URL.Query().Get("to")}
	if err := p.get(r, apiPath("campaigns", id), &shown.campaign); err != nil {
		return err
	}
	if cmp.Or(shown.from, shown.to) == "" {
		today := p.now().UTC()
		shown.from, shown.to = dayInWords(today.AddDate(0, 0, -30).Truncate(day)), dayInWords(today.AddDate(0, 0, 1).Truncate(day))
		return p.renderSimulation(w, r, shown)
	}
	body := map[string]string{"from": instantOf(shown.from), "to": instantOf(shown.to)}
	var forecast api.Forecast
	err := p.call(r, http.MethodPost, apiPath("campaigns", id, "simulate"), body, &forecast)
	if shown.problem = inPlace(err); err != nil && shown.problem == nil {
		return err
	}
	if err == nil {
		shown.forecast = &forecast
	}
	return p.renderSimulation(w, r, shown)
}

func (p *Pages) renderSimulation(w http.ResponseWriter, r *http.Request, shown simulationShown) error {
	return p.render(w, r, page{title: "Simulation of " + shown.campaign.Name, status: shown.problem.status()}, simulationView(shown))
}
