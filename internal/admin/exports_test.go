package admin_test

import (
	"net/http"
	"net/url"
	"testing"

	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/platform/database"
)

// folder is an export to a folder, as florin export run begins it.
func (w *world) folder(destination string) string {
	w.t.Helper()
	made, err := export.NewCatalog(w.db, w.time.Now).Open(w.t.Context(), destination, export.CSV)
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID
}

func TestExportsAreListedAndSteered(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true}, func(t *testing.T, w *world) {
		see := w.visitor(t, w.staff(identity.Finance))
		see.get("/admin/exports").tells(t, http.StatusOK, "No exports yet", "florin export run")
		one := "/admin/exports/" + w.folder("file:///books/"+scripted)
		see.get("/admin/exports").tells(t, http.StatusOK, "file:///books/", "Running", "Folder", "Nothing yet")
		see.get(one).tells(t, http.StatusOK, "Pause it", "Cancel it for good", "Postings delivered").tellsNot(t, "Resume it")

		reader := w.visitor(t, w.key(identity.Admin, identity.ExportsRead))
		reader.get("/admin/exports").tells(t, http.StatusOK, "file:///books/").tellsNot(t, "New export")
		reader.get(one).tells(t, http.StatusOK).tellsNot(t, "Pause it", "Cancel it for good")
		for _, do := range []string{"/pause", "/resume", "/cancel"} {
			reader.post(one+do, url.Values{}).tells(t, http.StatusForbidden, `role="alert"`)
		}
		w.visitor(t, w.staff(identity.Support)).get("/admin/exports").tells(t, http.StatusForbidden, "forbidden")

		for range 2 {
			see.post(one+"/pause", url.Values{}).tells(t, http.StatusSeeOther)
		}
		see.get(one).tells(t, http.StatusOK, "Paused. It delivers nothing", "Resume it").tellsNot(t, "Pause it")
		see.post(one+"/resume", url.Values{}).tells(t, http.StatusSeeOther)
		see.post(one+"/cancel", url.Values{}).tells(t, http.StatusSeeOther)
		see.get(one).tells(t, http.StatusOK, "Cancelled for good", "Ended").tellsNot(t, "Resume it", "Pause it", "Cancel it for good")
		see.post(one+"/resume", url.Values{}).tells(t, http.StatusConflict, "Cancelled")
		see.get("/admin/exports/exp_none").tells(t, http.StatusNotFound, "export_not_found")

		// What the operator does not allow, or the engine can't, is said on the form;
		// credentials are not shown again.
		status := http.StatusForbidden
		if w.db.Engine == database.Postgres {
			status = http.StatusUnprocessableEntity
		}
		see.post("/admin/new-export", url.Values{"destination": {"s3://books/ledger?AWS_SECRET_ACCESS_KEY=s3cr3t"}, "format": {"parquet"}}).
			tells(t, status, "s3://books/ledger", "type them once more").tellsNot(t, "s3cr3t")
		see.post("/admin/new-export", url.Values{"destination": {scripted}}).tells(t, http.StatusBadRequest, "&lt;script&gt;")
		reader.post("/admin/new-export", url.Values{"destination": {"s3://books"}}).tells(t, http.StatusForbidden, `role="alert"`)
	})
}

func TestAnExportIsPausedInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.staff(identity.Finance))
		b.visit("/admin/exports")
		b.screenshot("exports-none")
		one := w.folder("file:///exports/ledger")
		w.folder("file:///a-folder-with-a-long-name/for-the-auditors-of-the-bank/2026")
		b.visit("/admin/exports")
		b.screenshot("exports")
		b.click(`a[href="/admin/exports/` + one + `"]`)
		b.wants("Postings delivered")
		b.screenshot("exports-one")
		b.click(`details.ask:nth-of-type(1) > summary`)
		b.screenshot("exports-confirm")
		b.click(`form[action$="/pause"] button[type="submit"]`)
		b.wants("Paused. It delivers nothing until it is resumed.")
		if now := w.root.get("/api/v1/exports/" + one)["status"]; now != "PAUSED" {
			t.Errorf("the export is %s", now)
		}
		b.visit("/admin/new-export")
		b.screenshot("exports-new")
	})
}
