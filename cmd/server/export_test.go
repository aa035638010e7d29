package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"florin/internal/platform/dbtest/secrets"
)

// exporter runs florin export run on a database, as a process of its own.
func exporter(t *testing.T, databaseURL, folder string, args ...string) (*exec.Cmd, *lockedBuffer) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{
		"export", "run", "--database-url", databaseURL, "--to", "file://" + folder, "--interval", "100ms", "--part-rows", "500",
	}, args...)...)
	out := &lockedBuffer{}
	both := io.MultiWriter(out, secrets.NewLog(t))
	cmd.Stdout, cmd.Stderr = both, both
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

// startSlowLoad is startLoad with so few transfers that they can be looked at one
// by one afterwards.
func startSlowLoad(p *process, prefix string) *load {
	l := &load{p: p, prefix: prefix, stop: make(chan struct{}), sent: map[string]bool{}, acked: map[string]bool{}}
	for w := range 4 {
		l.workers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(20 * time.Millisecond):
					l.send(fmt.Sprintf("%s-%d-%d", prefix, w, n), (w+n)%2 == 0)
				}
			}
		})
	}
	return l
}

// florin runs a command to its end.
func florin(args ...string) (stdout, stderr string, err error) {
	var out, complaints bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// An exporter that is killed over and over while money moves, whatever it was
// doing, leaves a folder that the next one finishes: no posting is missing, none
// is there twice.
func TestKilledExporterLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		p := dev(t, engine, migrated(t, engine))
		databaseURL := p.databaseURL()
		openPayerAndPayee(p)
		folder := filepath.Join(t.TempDir(), "export")
		l := startSlowLoad(p, "x")
		l.waitFor(t, 100)
		kills, atMost := 8, 1500*time.Millisecond
		if engine == "cockroach" {
			kills, atMost = 3, 8*time.Second
		}
		if isLong {
			kills *= 3
		}
		for range kills {
			cmd, out := exporter(t, databaseURL, folder)
			time.Sleep(rand.N(atMost))
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatalf("it ended by itself: %v\n%s", err, out)
			}
			_ = cmd.Wait()
		}
		l.end()
		l.settle(t, p)
		stdout, stderr, err := florin("export", "run", "--database-url", databaseURL, "--to", "file://"+folder, "--once", "--json")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		var summary struct{ TotalRows int64 }
		if err := json.Unmarshal([]byte(stdout), &summary); err != nil {
			t.Fatalf("%s: %v", stdout, err)
		}
		// Each transfer has two postings; so has the payer's opening balance.
		if want := int64(2*len(l.sent) + 2); summary.TotalRows != want {
			t.Errorf("%d postings were exported, want %d", summary.TotalRows, want)
		}
		stdout, stderr, err = florin("export", "check", folder, "--with-database", "--database-url", databaseURL)
		if err != nil || !strings.Contains(stdout, "It equals the ledger") {
			t.Errorf("%v\n%s%s", err, stdout, stderr)
		}
		t.Logf("%d kills, then %s", kills, stdout)
	})
}

func TestExportCommand(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		openPayerAndPayee(p)
		folder := filepath.Join(t.TempDir(), "export")
		ops := freeAddress(t)
		cmd, out := exporter(t, p.databaseURL(), folder, "--format", "csv", "--ops-addr", ops)
		for deadline := time.Now().Add(startMax); !strings.Contains(metricsAt(ops), "florin_export_rows_total 2"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no metrics of a part:\n%s\n%s", metricsAt(ops), out)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "2 postings in 1 parts written") {
			t.Fatalf("%v\n%s", err, out)
		}
		if stdout, stderr, err := florin("export", "check", folder, "--json"); err != nil || !strings.Contains(stdout, `"problems":[]`) {
			t.Fatalf("%v\n%s%s", err, stdout, stderr)
		}
		p.mustCall(201, "POST", "/api/v1/transfers", map[string]any{
			"transactionId": "later", "sourceAccountId": "payer", "destinationAccountId": "payee", "amount": "1.00",
		})
		p.stop(syscall.SIGTERM)
		// On a data folder, with the server down; and by a path.
		stdout, stderr, err := florin("export", "run", "--data-dir", dataDir, "--engine", engine, "--to", folder, "--format", "csv", "--once")
		if err != nil || !strings.Contains(stdout, "2 postings in 1 parts written, 4 in all") {
			t.Fatalf("%v\n%s%s", err, stdout, stderr)
		}
		data := filepath.Join(folder, "part-00000002.csv")
		content, err := os.ReadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(data, bytes.Replace(content, []byte("1.00"), []byte("7.00"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if stdout, _, err := florin("export", "check", folder); err == nil || !strings.Contains(stdout, "WRONG part-00000002.csv: its checksum") {
			t.Fatalf("%v\n%s", err, stdout)
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func metricsAt(address string) string {
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// What is wrong with a destination is one line that says what to do.
func TestExportProblemsAreOneLine(t *testing.T) {
	t.Parallel()
	p := dev(t, "postgres", migrated(t, "postgres"))
	databaseURL := p.databaseURL()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	if _, stderr, err := florin("export", "run", "--database-url", databaseURL, "--once", "--to", foreign); err != nil {
		t.Fatal(err, stderr)
	}
	for name, c := range map[string]struct{ to, format, want string }{
		"a file":            {file, "ndjson", file},
		"a relative URL":    {"file://folder", "ndjson", "three slashes"},
		"a bucket":          {"s3://user:secret@bucket/x", "ndjson", "not florin export run"},
		"another's parts":   {copyOf(t, foreign), "ndjson", "choose an empty folder"},
		"another format":    {foreign, "csv", "has the format ndjson"},
		"no place for it":   {"/proc/florin", "ndjson", "/proc/florin"},
		"no such format":    {foreign, "xlsx", "--format"},
		"a silly part size": {foreign, "ndjson --part-rows 1", "--part-rows"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"export", "run", "--database-url", databaseURL, "--once", "--to", c.to, "--format"}
			_, stderr, err := florin(append(args, strings.Fields(c.format)...)...)
			text := strings.TrimSpace(stderr)
			if err == nil || strings.Count(text, "\n") > 0 || !strings.Contains(text, c.want) || strings.Contains(text, "secret") {
				t.Errorf("want one line with %q, got %v:\n%s", c.want, err, text)
			}
		})
	}
}

func copyOf(t *testing.T, folder string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return to
}
