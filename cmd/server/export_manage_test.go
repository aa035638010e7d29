package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var opsPattern = regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`)

// The API and the commands show and do the same, and the server watches.
func TestExportsAreManagedByAPIAndCommands(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		const place = "webhook-https://127.0.0.1:9/in"
		p := dev(t, engine, migrated(t, engine), "--export-destinations", "s3://books "+place+"?insecure_tls_skip_verify=true", "--ops-addr", "127.0.0.1:0",
			// Jobs obey at once instead of within half a minute.
			"--cluster-setting", "jobs.registry.interval.cancel=500ms", "--cluster-setting", "jobs.registry.interval.adopt=500ms")
		openPayerAndPayee(p)
		databaseURL := p.databaseURL()
		command := func(args ...string) string {
			t.Helper()
			stdout, stderr, err := florin(append([]string{"export"}, append(args, "--database-url", databaseURL)...)...)
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, stderr)
			}
			return stdout
		}
		refused := func(want string, args ...string) {
			t.Helper()
			_, stderr, err := florin(append([]string{"export"}, append(args, "--database-url", databaseURL)...)...)
			if err == nil || !strings.Contains(stderr, want) || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
				t.Fatalf("%v: want one line with %q: %v\n%s", args, want, err, stderr)
			}
		}
		one := func(text string) (e map[string]any) {
			t.Helper()
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			return e
		}

		refused("florin export run", "create", "--to", "file:///books")
		if engine == "postgres" {
			refused("CockroachDB", "create", "--to", place)
		}
		command("run", "--to", "file://"+filepath.Join(t.TempDir(), "books"), "--once")
		exports := []map[string]any{}
		if err := json.Unmarshal([]byte(command("list", "--json")), &exports); err != nil || len(exports) != 1 {
			t.Fatalf("%v, %v", exports, err)
		}
		if engine == "cockroach" {
			exports = append(exports, p.mustCall(http.StatusCreated, http.MethodPost, "/api/v1/exports", map[string]any{"destination": place}))
			again := one(command("create", "--to", place+"?insecure_tls_skip_verify=true", "--json"))
			if again["exportId"] != exports[1]["exportId"] {
				t.Fatalf("%v after %v", again, exports[1])
			}
		}
		for _, e := range exports {
			id := e["exportId"].(string)
			path := "/api/v1/exports/" + id
			if paused := one(command("pause", id, "--json")); paused["status"] != "PAUSED" {
				t.Fatalf("%v", paused)
			}
			p.mustCall(http.StatusOK, http.MethodPost, path+"/resume", nil)
			shown, told := one(command("show", id, "--json")), p.mustCall(http.StatusOK, http.MethodGet, path, nil)
			for name := range told {
				if name != "lagSeconds" && name != "error" && shown[name] != told[name] {
					t.Errorf("%s: %v at the command line, %v by the API", name, shown[name], told[name])
				}
			}
			if text := command("show", id) + command("list"); !strings.Contains(text, id) || !strings.Contains(text, "RUNNING") {
				t.Errorf("for people:\n%s", text)
			}
			p.waitMetric(`florin_export_lag_seconds{export="` + id + `"}`)
			if cancelled := one(command("cancel", id, "--json")); cancelled["status"] != "CANCELLED" {
				t.Fatalf("%v", cancelled)
			}
			refused("cancelled", "resume", id)
		}
		refused("exp_none", "show", "exp_none")
	})
}

// waitMetric waits until /metrics shows a series.
func (p *process) waitMetric(series string) {
	p.t.Helper()
	url := opsPattern.FindString(p.out.String())
	text := ""
	for deadline := time.Now().Add(startMax); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			p.t.Fatalf("%q: %v\n%s", url, err, p.out)
		}
		content, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		if text = string(content); strings.Contains(text, series) {
			return
		}
	}
	p.t.Fatalf("no %s in\n%s", series, text)
}
