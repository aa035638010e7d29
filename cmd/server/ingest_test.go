package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"florin/internal/platform/dbtest/secrets"
)

var updateIngest = flag.Bool("update", false, "write testdata anew")

// ingest is `florin ingest` of a file, not yet started.
func ingest(t *testing.T, p *process, file string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"ingest", file, "--url", p.base, "--json"}, args...)...)
	cmd.Env = append(os.Environ(), "FLORIN_API_KEY="+testKey)
	cmd.Stderr = secrets.NewLog(t)
	return cmd
}

// ingested runs it to its end and returns what it says.
func ingested(t *testing.T, wantCode int, cmd *exec.Cmd) (summary map[string]any) {
	t.Helper()
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != wantCode || json.Unmarshal(out, &summary) != nil {
		t.Fatalf("it ended with code %d:\n%s\n%s", code, out, cmd.Stderr)
	}
	return summary
}

// enterCustomers opens a wallet for each and has them take part.
func enterCustomers(p *process, currency string, customers ...string) {
	p.t.Helper()
	for _, customer := range customers {
		p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "wallet-" + customer, "currency": currency})
		p.mustCall(200, "PUT", "/api/v1/customers/"+customer, map[string]any{"accountId": "wallet-" + customer, "country": "GB"})
	}
}

// giveOnePercent makes a campaign for all purchases in a currency.
func giveOnePercent(p *process, currency string) {
	p.t.Helper()
	p.mustCall(201, "POST", "/api/v1/campaigns", map[string]any{
		"campaignId": "one", "name": "1% of everything", "currency": currency, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "enabled": true,
		"reward": map[string]any{"kind": "PERCENT", "percent": "1"}, "budget": "100000.00", "budgetEnd": "REST", "funding": map[string]any{"kind": "PLATFORM"}, "returnDays": 14,
	})
}

func fields(object map[string]any, names ...string) string {
	picked := map[string]any{}
	for _, name := range names {
		picked[name] = object[name]
	}
	text, _ := json.Marshal(picked)
	return string(text)
}

// A file is taken in, what can't be is reported, and all of it again changes nothing.
func TestIngestTakesAFileIn(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		enterCustomers(p, "GBP", "17850", "12838")
		giveOnePercent(p, "GBP")
		folder := t.TempDir()
		report := filepath.Join(folder, "report.csv")
		run := func() map[string]any {
			return ingested(t, 1, ingest(t, p, "testdata/ingest.csv", "--rejected", report, "--state", filepath.Join(folder, "state"),
				"--column", "purchaseId=invoiceNo", "--column", "product=stockCode", "--column", "unitPrice=unitPriceGBP", "--column", "timestamp=invoiceDate",
				"--set", "merchantId=shop", "--set", "currency=GBP"))
		}
		const (
			counts = `{"lines":19,"purchases":{"accepted":2,"held":2},"rejected":10,"rejectedBy":{` +
				`"customer_missing":1,"invalid_request":1,"line_invalid":2,"nothing_to_return":1,"price_invalid":1,"purchase_incomplete":1,"quantity_invalid":2,"time_invalid":1},"returns":{"applied":1}}`
			// 1% of 35.64 less 5.10, and of 12.95 on two lines that stand apart.
			figures = `{"remaining":"99999.56","reversed":"0.05","rewards":2}`
		)
		for range 2 {
			summary := run()
			if got := fields(summary, "lines", "purchases", "returns", "rejected", "rejectedBy"); got != counts {
				t.Errorf("%s\nwant %s", got, counts)
			}
			if got := fields(p.mustCall(200, "GET", "/api/v1/campaigns/one/figures", nil), "remaining", "reversed", "rewards"); got != figures {
				t.Errorf("figures %s, want %s", got, figures)
			}
			got, err := os.ReadFile(report)
			if err != nil {
				t.Fatal(err)
			}
			if *updateIngest {
				if err := os.WriteFile("testdata/ingest.rejected.csv", got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile("testdata/ingest.rejected.csv"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v: the report is\n%s", err, got)
			}
			if _, err := os.Stat(filepath.Join(folder, "state")); !os.IsNotExist(err) {
				t.Errorf("its state is left: %v", err)
			}
		}
		if returned := p.mustCall(200, "GET", "/api/v1/returns/C536379", nil); returned["source"] != "file" {
			t.Errorf("%v", returned)
		}
		enterCustomers(p, "GBP", "13047") // whose purchases were held
		for deadline := time.Now().Add(startMax); ; time.Sleep(20 * time.Millisecond) {
			held := p.mustCall(200, "GET", "/api/v1/purchases/536367", nil)
			if held["status"] == "ACCEPTED" {
				lines := held["lines"].([]any)
				if last := lines[2].(map[string]any); held["amount"] != "84.53" || len(lines) != 3 || last["description"] != `HOME BUILDING BLOCK "WORD"` || held["timestamp"] != "2010-12-01T08:34:00Z" || held["source"] != "file" {
					t.Errorf("%v", held)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v", held)
			}
		}
		verify(t, engine, dataDir)
	})
}

// However a run is ended, the same command goes on, and each purchase is there once.
func TestInterruptedIngestGoesOn(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		enterCustomers(p, "USD", "ada")
		giveOnePercent(p, "USD")
		const purchases = 900
		var text strings.Builder
		text.WriteString("purchaseId,merchantId,customerId,product,quantity,unitPrice,currency,timestamp\n")
		for i := range purchases {
			fmt.Fprintf(&text, "p%d,shop,ada,cup,1,1.00,USD,2026-01-31T09:30:00Z\n", i)
			if i%3 == 0 { // never taken: each is in the report once
				fmt.Fprintf(&text, "q%d,shop,,cup,1,1.00,USD,2026-01-31T09:30:00Z\n", i)
			}
		}
		file := filepath.Join(t.TempDir(), "file.csv")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		state, resumed := file+".florin", 0.0
		for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGKILL} {
			cmd := ingest(t, p, file, "--batch", "2")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitLine(t, state, resumed+200)
			_ = cmd.Process.Signal(signal)
			_ = cmd.Wait()
			if signal == syscall.SIGINT && (cmd.ProcessState.ExitCode() != 1 || !strings.Contains(fmt.Sprint(cmd.Stderr), "goes on where this one ended")) {
				t.Errorf("it ended with %v:\n%s", cmd.ProcessState, cmd.Stderr)
			}
			if i > 0 && !strings.Contains(fmt.Sprint(cmd.Stderr), "Going on at line") {
				t.Errorf("it began anew:\n%s", cmd.Stderr)
			}
			resumed = ingestLine(state)
		}
		summary := ingested(t, 1, ingest(t, p, file))
		if got := fields(summary, "lines", "purchases", "rejectedBy"); got != `{"lines":1200,"purchases":{"accepted":900},"rejectedBy":{"customer_missing":300}}` || summary["resumedAtLine"] != resumed {
			t.Errorf("%v after line %v", summary, resumed)
		}
		report, err := os.ReadFile(file + ".rejected.csv")
		if lines := bytes.Count(report, []byte("\n")); err != nil || lines != 301 {
			t.Errorf("the report has %d lines: %v", lines, err)
		}
		if got := fields(p.mustCall(200, "GET", "/api/v1/campaigns/one/figures", nil), "remaining", "rewards"); got != `{"remaining":"99991.00","rewards":900}` {
			t.Errorf("figures %s", got)
		}
		verify(t, engine, dataDir)
	})
}

// ingestLine is the line that a state says comes next; 0 when there is none.
func ingestLine(state string) float64 {
	content, err := os.ReadFile(state)
	if err != nil {
		return 0
	}
	var s struct{ Position struct{ Line float64 } }
	if json.Unmarshal(content, &s) != nil {
		return 0
	}
	return s.Position.Line
}

func awaitLine(t *testing.T, state string, line float64) {
	t.Helper()
	for deadline := time.Now().Add(startMax); ingestLine(state) < line; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it got to line %v", ingestLine(state))
		}
	}
}

// A server that goes away for a moment is waited for.
func TestIngestWaitsForTheServer(t *testing.T) {
	t.Parallel()
	dataDir := migrated(t, "postgres")
	p := dev(t, "postgres", dataDir)
	file := filepath.Join(t.TempDir(), "file.csv")
	text := "purchaseId,merchantId,customerId,product,quantity,unitPrice,currency,timestamp\n"
	for i := range 600 {
		text += fmt.Sprintf("p%d,shop,ada,cup,1,1.00,USD,2026-01-31T09:30:00Z\n", i)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := ingest(t, p, file, "--batch", "1")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, file+".florin", 100)
	p.stop(syscall.SIGKILL)
	start(t, nil, "dev", "--engine", "postgres", "--data-dir", dataDir, "--addr", strings.TrimPrefix(p.base, "http://"), "--ops-addr", "", "--demo=false")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	var summary map[string]any
	if json.Unmarshal(out.Bytes(), &summary) != nil || fields(summary, "lines", "purchases") != `{"lines":600,"purchases":{"held":600}}` {
		t.Errorf("%s", out.String())
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 1 {
		t.Errorf("there is %v", left)
	}
}
