package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
)

const auditPath = Root + "/audit"

func (p *Pages) auditRoutes() []route {
	return []route{
		{pattern: "GET " + auditPath, handler: p.showAudit, nav: "Audit trail", group: groupSystem, needs: []identity.Permission{identity.AuditRead}},
		{pattern: "GET " + auditPath + "/{journal}/{seq}", handler: p.showAuditEvent},
	}
}

var (
	auditFilters = []string{"action", "targetId", "actorId", "requestId", "result", "actorKind", "targetKind", "from", "to"}
	actorKinds   = []string{"user", "key", "gateway", "system", "anonymous"}
)

// auditShown is a page of the audit trail.
type auditShown struct {
	at      *url.URL
	filter  url.Values
	list    api.AuditEventList
	problem *problem // with the filter
}

func (s *auditShown) isFiltered() bool { return apiQuery(s.filter, auditFilters...) != "" }

func (p *Pages) showAudit(w http.ResponseWriter, r *http.Request) error {
	shown := auditShown{at: r.URL, filter: r.URL.Query()}
	asked := r.URL.Query()
	for _, name := range auditFilters {
		asked.Set(name, strings.TrimSpace(asked.Get(name)))
	}
	for _, name := range []string{"from", "to"} {
		asked.Set(name, instantOf(asked.Get(name)))
	}
	err := p.get(r, "/api/v1/audit-events"+apiQuery(asked, append(auditFilters, "cursor", "limit")...), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Audit trail", status: shown.problem.status()}, auditView(shown))
}

// eventPath is the page of an event. The trail is searched by time, and quickest by
// what the event is about: so the address says both.
func eventPath(e *api.AuditEvent) string {
	query := url.Values{"at": {e.At.UTC().Format(time.RFC3339Nano)}}
	if e.TargetID != "" {
		query.Set("targetId", e.TargetID)
	}
	return pagePath("audit", e.Journal, strconv.FormatInt(e.Seq, 10)) + "?" + query.Encode()
}

// eventPagesMax bounds how far an event is looked for among those of its moment.
const eventPagesMax = 20

var errNoEvent = &problem{
	Status: http.StatusNotFound, Code: "event_not_found", Title: "There is no such event",
	Detail: "An event is found by its journal, its number there and its time. Open it from the list.",
}

func (p *Pages) showAuditEvent(w http.ResponseWriter, r *http.Request) error {
	at, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("at"))
	if err != nil {
		return errNoEvent
	}
	query := url.Values{"from": {at.Format(time.RFC3339Nano)}, "to": {at.Add(time.Microsecond).Format(time.RFC3339Nano)}, "limit": {"500"}}
	if targetID := r.URL.Query().Get("targetId"); targetID != "" {
		query.Set("targetId", targetID)
	}
	for range eventPagesMax {
		var list api.AuditEventList
		if err := p.get(r, "/api/v1/audit-events?"+query.Encode(), &list); err != nil {
			return err
		}
		for i := range list.Data {
			if e := &list.Data[i]; e.Journal == r.PathValue("journal") && strconv.FormatInt(e.Seq, 10) == r.PathValue("seq") {
				return p.render(w, r, page{title: e.Action}, auditEventView(e))
			}
		}
		if list.NextCursor == "" {
			break
		}
		query.Set("cursor", list.NextCursor)
	}
	return errNoEvent
}
