package admin_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"florin/internal/identity"
)

var eventLink = regexp.MustCompile(`href="(/admin/audit/[^"]+)"`)

func TestTheAuditTrailIsSearched(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		finance := w.staff(identity.Finance)
		see := w.visitor(t, finance)
		account := w.account("alice", "0", object{"metadata": object{"name": scripted}})
		w.root.call(http.MethodPatch, "/api/v1/accounts/"+account, object{"status": "FROZEN"})
		w.visitor(t, w.staff(identity.Support)).get("/admin/audit").tells(t, http.StatusForbidden, "forbidden")

		list := see.get("/admin/audit?targetId="+account).tells(t, http.StatusOK, "account.updated", "account.opened", account, w.root.id)
		// Who may not see keys is led to none.
		list.tellsNot(t, "/admin/keys/")
		w.visitor(t, w.root).get("/admin/audit?targetId="+account).tells(t, http.StatusOK, "/admin/keys/"+w.root.id)
		see.get("/admin/audit?targetId="+account+"&limit=1").tells(t, http.StatusOK, "account.updated", `rel="next"`).tellsNot(t, "account.opened")
		see.get("/admin/audit?action=account.updated&result=ok&actorKind=key&actorId="+w.root.id).tells(t, http.StatusOK, account)
		see.get("/admin/audit?actorKind=user&targetId="+account).tells(t, http.StatusOK, "No event fits")
		see.get("/admin/audit?targetId="+account+"&from=2020-01-01T00:00&to=2020-01-02T00:00").tells(t, http.StatusOK, "No event fits", `value="2020-01-01T00:00"`)
		see.get("/admin/audit?from=yesterday").tells(t, http.StatusBadRequest, "from")
		see.get("/admin/audit?targetId="+url.QueryEscape(scripted)).tells(t, http.StatusOK, "No event fits", "&lt;script&gt;")
		see.get("/admin/audit?requestId=req_none&to=2020-01-02T00:00").tells(t, http.StatusOK, "No event fits")

		links := eventLink.FindAllStringSubmatch(list.body, -1)
		if len(links) < 2 {
			t.Fatalf("%d events are linked", len(links))
		}
		see.get(html.UnescapeString(links[0][1])).tells(t, http.StatusOK, "account.updated", "ACTIVE", "FROZEN", "Changed", "Before", "After", w.root.id, "admin")
		see.get(html.UnescapeString(links[1][1])).tells(t, http.StatusOK, "account.opened", "After").tellsNot(t, ">Before<")
		for _, wrong := range []string{"/admin/audit/jrn_none/1", "/admin/audit/jrn_none/1?at=2026-01-01T00:00:00Z", "/admin/audit/jrn_none/one?at=2026-01-01T00:00:00Z"} {
			see.get(wrong).tells(t, http.StatusNotFound, "There is no such event")
		}
	})
}

func TestTheAuditTrailInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.staff(identity.Finance))
		b.visit("/admin/audit?targetId=nobody")
		b.wants("No event fits")
		b.screenshot("audit-none")
		account := w.account("alice", "0", object{"metadata": object{"name": scripted, "tier": 1}})
		w.root.call(http.MethodPatch, "/api/v1/accounts/"+account, object{"status": "FROZEN"})
		for i := range 8 {
			w.account(fmt.Sprintf("shop%d", i), "0", nil)
		}
		b.visit("/admin/audit")
		b.screenshot("audit")
		b.choose("#f-actorKind", "user")
		b.wantsNot(account)
		b.visit("/admin/audit?targetId=" + account)
		b.click(`tbody tr:first-child th a`)
		b.wants("What changed")
		b.wants("FROZEN")
		b.screenshot("audit-event")
	})
}
