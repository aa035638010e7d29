package api_test

import (
	"net/http"
	"strings"
	"testing"

	"florin/internal/export"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// deadPlace is where an export may go to though nobody listens there.
const deadPlace = "webhook-https://127.0.0.1:9/in"

func exportsOf(t *testing.T, db *database.DB) *export.Control {
	t.Helper()
	allowed, err := export.ParseAllowed([]string{deadPlace + "?insecure_tls_skip_verify=true"})
	if err != nil {
		t.Fatal(err)
	}
	return export.NewControl(db, allowed, clock.System)
}

func TestExportsAreRefusedWithReasons(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const path, secret = "/api/v1/exports", "s3cr3t"
		onCockroach := func(status int, code string) (int, string) {
			if s.db.Engine == database.Postgres {
				return http.StatusUnprocessableEntity, "export_needs_cockroachdb"
			}
			return status, code
		}
		s.post(path, object{}).wantProblem(http.StatusBadRequest, "invalid_request", "destination")
		s.post(path, object{"destination": deadPlace, "surprise": 1}).wantProblem(http.StatusBadRequest, "invalid_request", "surprise")
		s.post(path, object{"destination": 1}).wantProblem(http.StatusBadRequest, "invalid_request", "destination")
		s.post(path, object{"destination": "books"}).wantProblem(http.StatusBadRequest, "invalid_destination", "")
		s.post(path, object{"destination": deadPlace, "format": "xlsx"}).wantProblem(http.StatusBadRequest, "invalid_format", "")
		s.post(path, object{"destination": deadPlace, "format": "csv"}).wantProblem(http.StatusUnprocessableEntity, "export_format_not_possible", "")
		s.post(path, object{"destination": "ftp://books"}).wantProblem(http.StatusUnprocessableEntity, "unknown_destination_scheme", "")
		folder := s.post(path, object{"destination": "file:///books"})
		if folder.wantProblem(http.StatusUnprocessableEntity, "export_needs_runner", ""); !strings.Contains(folder.text, "florin export run --to file:///books") {
			t.Errorf("it does not say what to do: %s", folder.text)
		}
		status, code := onCockroach(http.StatusForbidden, "destination_not_allowed")
		s.post(path, object{"destination": "s3://books?AWS_SECRET_ACCESS_KEY=" + secret}).wantProblem(status, code, "")
		status, code = onCockroach(http.StatusUnprocessableEntity, "export_job_refused")
		s.post(path, object{"destination": deadPlace + "/refused?client_cert=" + secret}).wantProblem(status, code, "")
		if told := s.get(path).want(http.StatusOK).text + s.log.String(); strings.Contains(told, secret) {
			t.Errorf("the secret is told in %s", told)
		}
		for _, call := range []answer{s.get(path + "/exp_none"), s.post(path+"/exp_none/pause", nil), s.post(path+"/exp_none/resume", nil), s.call(http.MethodDelete, path+"/exp_none", nil)} {
			call.wantProblem(http.StatusNotFound, "export_not_found", "")
		}
		s.get(path+"?cursor=forged").wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
	})
}

func TestExportsAreListedPausedResumedAndCancelled(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		s := serve(t, fresh)
		const path = "/api/v1/exports"
		catalog := export.NewCatalog(s.db, clock.System)
		want := map[string]bool{}
		for _, folder := range []string{"file:///a", "file:///b"} {
			e, err := catalog.Open(t.Context(), folder, export.CSV)
			if err != nil {
				t.Fatal(err)
			}
			want[path+"/"+e.ID] = true
		}
		if s.db.Engine == database.Cockroach {
			created := s.post(path, object{"destination": deadPlace}).want(http.StatusCreated)
			created.wantFields(object{"destination": deadPlace, "kind": "CHANGEFEED", "format": "ndjson", "status": "RUNNING", "rows": nil, "resolvedAt": nil})
			if lag, _ := created.object()["lagSeconds"].(float64); lag < 0 {
				t.Errorf("lag %f", lag)
			}
			if again := s.post(path, object{"destination": deadPlace + "/"}).want(http.StatusCreated); again.header.Get("Location") != created.header.Get("Location") {
				t.Errorf("%s after %s", again.text, created.text)
			}
			s.post(path, object{"destination": deadPlace, "format": "parquet"}).wantProblem(http.StatusUnprocessableEntity, "export_format_not_possible", "")
			want[created.header.Get("Location")] = true
		}
		seen := map[string]bool{}
		for page := path + "?limit=1"; ; {
			answer := s.get(page).want(http.StatusOK).object()
			for _, e := range answer.list("data") {
				seen[path+"/"+e["exportId"].(string)] = true
			}
			next, more := answer["nextCursor"].(string)
			if !more {
				break
			}
			page = path + "?limit=1&cursor=" + next
		}
		if len(seen) != len(want) {
			t.Errorf("listed %v; want %v", seen, want)
		}
		for e := range want {
			if !seen[e] {
				t.Errorf("%s is not listed", e)
			}
			s.get(e).want(http.StatusOK).wantFields(object{"status": "RUNNING"})
			for range 2 {
				s.post(e+"/pause", nil).want(http.StatusOK).wantFields(object{"status": "PAUSED"})
			}
			for range 2 {
				s.post(e+"/resume", nil).want(http.StatusOK).wantFields(object{"status": "RUNNING"})
			}
			for range 2 {
				s.call(http.MethodDelete, e, nil).want(http.StatusOK).wantFields(object{"status": "CANCELLED", "lagSeconds": nil})
			}
			s.post(e+"/pause", nil).wantProblem(http.StatusConflict, "export_cancelled", "")
			s.post(e+"/resume", nil).wantProblem(http.StatusConflict, "export_cancelled", "")
		}
	})
}
