package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
)

const (
	exportsPath   = Root + "/exports"
	newExportPath = Root + "/new-export"
)

func (p *Pages) exportRoutes() []route {
	return []route{
		{pattern: "GET " + exportsPath, handler: p.showExports, nav: "Exports", group: groupSystem, needs: []identity.Permission{identity.ExportsRead}},
		{pattern: "GET " + exportsPath + "/{id}", handler: p.showExport},
		{pattern: "POST " + exportsPath + "/{id}/pause", handler: p.pauseExport},
		{pattern: "POST " + exportsPath + "/{id}/resume", handler: p.resumeExport},
		{pattern: "POST " + exportsPath + "/{id}/cancel", handler: p.cancelExport},
		{pattern: "GET " + newExportPath, handler: p.showNewExport, needs: []identity.Permission{identity.ExportsWrite}},
		{pattern: "POST " + newExportPath, handler: p.createExport},
	}
}

// exportsShown is a page of the list of exports.
type exportsShown struct {
	at     *url.URL
	now    time.Time
	caller *caller
	list   api.ExportList
}

func (p *Pages) showExports(w http.ResponseWriter, r *http.Request) error {
	shown := exportsShown{at: r.URL, now: p.now(), caller: callerOf(r)}
	if err := p.get(r, "/api/v1/exports"+apiQuery(r.URL.Query(), "cursor", "limit"), &shown.list); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Exports"}, exportsView(shown))
}

// exportShown is one export.
type exportShown struct {
	api.Export
	caller  *caller
	problem *problem
}

func (e *exportShown) mayPause() bool { return e.mayChange() && e.Status == "RUNNING" }

func (e *exportShown) mayResume() bool {
	return e.mayChange() && (e.Status == "PAUSED" || e.Status == "FAILED")
}

func (e *exportShown) mayChange() bool {
	return e.caller.May(identity.ExportsWrite) && e.Status != "CANCELLED"
}

func (p *Pages) showExport(w http.ResponseWriter, r *http.Request) error {
	return p.renderExport(w, r, nil)
}

func (p *Pages) renderExport(w http.ResponseWriter, r *http.Request, bad *problem) error {
	shown := exportShown{caller: callerOf(r), problem: bad}
	if err := p.get(r, apiPath("exports", r.PathValue("id")), &shown.Export); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Export", status: bad.status()}, exportView(shown))
}

func (p *Pages) pauseExport(w http.ResponseWriter, r *http.Request) error {
	return p.changeExport(w, r, http.MethodPost, "Paused. It delivers nothing until it is resumed.", "pause")
}

func (p *Pages) resumeExport(w http.ResponseWriter, r *http.Request) error {
	return p.changeExport(w, r, http.MethodPost, "Resumed. It goes on where it was.", "resume")
}

func (p *Pages) cancelExport(w http.ResponseWriter, r *http.Request) error {
	return p.changeExport(w, r, http.MethodDelete, "Cancelled for good. What was delivered stays.")
}

// changeExport does something with an export, by the API's path below it, and says
// so.
func (p *Pages) changeExport(w http.ResponseWriter, r *http.Request, method, notice string, below ...string) error {
	id := r.PathValue("id")
	err := p.call(r, method, apiPath(append([]string{"exports", id}, below...)...), nil, nil)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderExport(w, r, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, notice, pagePath("exports", id))
}

// exportForm is what is typed to ask for an export.
type exportForm struct {
	destination, format string
	hadParameters       bool // which may be credentials, and are not shown again
	problem             *problem
}

func (p *Pages) showNewExport(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, page{title: "New export"}, newExportView(exportForm{}))
}

func (p *Pages) createExport(w http.ResponseWriter, r *http.Request) error {
	asked := api.CreateExportRequest{Destination: strings.TrimSpace(r.PostFormValue("destination")), Format: r.PostFormValue("format")}
	var made api.Export
	err := p.call(r, http.MethodPost, "/api/v1/exports", asked, &made)
	if bad := inPlace(err); bad != nil {
		shown := exportForm{format: asked.Format, problem: bad}
		shown.destination, _, shown.hadParameters = strings.Cut(asked.Destination, "?")
		return p.render(w, r, page{title: "New export", status: bad.Status}, newExportView(shown))
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The export runs.", pagePath("exports", made.ExportID))
}

// lagText is how far an export is behind; "" when it is cancelled.
func lagText(e *api.Export) string {
	if e.LagSeconds == nil {
		return ""
	}
	return lasted(time.Duration(*e.LagSeconds * float64(time.Second)))
}
