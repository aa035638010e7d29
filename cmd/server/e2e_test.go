package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

const (
	testKey   = "florin_key_of_the_end_to_end_tests"
	startMax  = 3 * time.Minute
	acceptMax = 60 * time.Second // a lease, a sweep, and a slow machine
)

// testSealer seals the secrets in the tests' databases.
var testSealer = seal.NewKey("e2e")

// process is a running florin.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	base string        // of the API
	out  *lockedBuffer // all that it prints
	done chan struct{} // closed when it has ended
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

var addressPattern = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/api/v1|msg"?[:=]"?serving"?.*?address"?[:=]"?(127\.0\.0\.1:\d+)`)

// start runs the program and waits until it says where its API is.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	secrets.Register(t, "API key", testKey)
	secrets.Register(t, "encryption key", testSealer)
	log := secrets.NewLog(t)
	p := &process{t: t, cmd: exec.Command(binary, args...), out: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), append([]string{"FLORIN_BOOTSTRAP_API_KEY=" + testKey, "FLORIN_ENCRYPTION_KEYS=" + testSealer}, env...)...)
	reader, writer := io.Pipe()
	// florin dev shows its API key on standard output, to who starts it.
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(writer, p.out), io.MultiWriter(writer, p.out, log)
	if args[0] != "dev" {
		p.cmd.Stdout = p.cmd.Stderr
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(syscall.SIGINT) })
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			if match := addressPattern.FindStringSubmatch(lines.Text()); match != nil {
				select {
				case address <- match[1] + match[2]:
				default:
				}
			}
		}
	}()
	go func() {
		_ = p.cmd.Wait()
		writer.Close()
		close(p.done)
	}()
	select {
	case a := <-address:
		p.base = "http://" + a
	case <-p.done:
		t.Fatalf("florin %v ended:\n%s", args, p.out)
	case <-time.After(startMax):
		t.Fatalf("florin %v did not come up:\n%s", args, p.out)
	}
	p.waitReady()
	return p
}

func dev(t *testing.T, engine, dataDir string, args ...string) *process {
	t.Helper()
	return start(t, nil, append([]string{"dev", "--engine", engine, "--data-dir", dataDir, "--addr", "127.0.0.1:0", "--ops-addr", "", "--demo=false"}, args...)...)
}

var databasePattern = regexp.MustCompile(`Database (\S+)`)

// databaseURL is what `florin dev` says its database is at.
func (p *process) databaseURL() string {
	p.t.Helper()
	for deadline := time.Now().Add(startMax); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if match := databasePattern.FindStringSubmatch(p.out.String()); match != nil {
			return match[1]
		}
	}
	p.t.Fatalf("no database URL:\n%s", p.out)
	return ""
}

func (p *process) waitReady() {
	p.t.Helper()
	for deadline := time.Now().Add(startMax); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(p.base + "/readyz"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	p.t.Fatalf("not ready:\n%s", p.out)
}

// stop ends the program and waits for it; it may have ended before.
func (p *process) stop(signal syscall.Signal) {
	p.t.Helper()
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
	case <-time.After(startMax):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("did not end after %v:\n%s", signal, p.out)
	}
}

// call sends a request and returns the status and the answer; status 0 when
// there was none.
func (p *process) call(method, path string, body any) (status int, answer map[string]any) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		content = bytes.NewReader(encoded)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, p.base+path, content)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+testKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, nil // cut off: no answer
	}
	return response.StatusCode, answer
}

func (p *process) mustCall(want int, method, path string, body any) map[string]any {
	p.t.Helper()
	status, answer := p.call(method, path, body)
	if status != want {
		p.t.Fatalf("%s %s: %d %v; want %d\n%s", method, path, status, answer, want, p.out)
	}
	return answer
}

// verify runs `florin verify` on a data folder.
func verify(t *testing.T, engine, dataDir string) {
	t.Helper()
	out, err := logged(t, exec.Command(binary, "verify", "--engine", engine, "--data-dir", dataDir))
	if err != nil {
		t.Fatalf("florin verify: %v\n%s", err, out)
	}
}

// logged runs a command to its end and returns what it prints, all of which is its log.
func logged(t *testing.T, cmd *exec.Cmd) (out string, err error) {
	t.Helper()
	log := secrets.NewLog(t)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	return log.String(), err
}

func TestDevComesUpAgainWithItsData(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := t.TempDir()
		p := dev(t, engine, dataDir)
		p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "kept", "balance": "12.34"})
		p.stop(syscall.SIGINT)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("Ctrl-C ended it with code %d:\n%s", code, p.out)
		}
		again := dev(t, engine, dataDir)
		if account := again.mustCall(200, "GET", "/api/v1/accounts/kept", nil); account["balance"] != "12.34" {
			t.Fatal(account)
		}
	})
}

// load sends transfers of 1.00 from one account, single and accepted for later,
// until it is stopped, and remembers what was acknowledged.
type load struct {
	p       *process
	prefix  string
	stop    chan struct{}
	workers sync.WaitGroup

	mu    sync.Mutex
	sent  map[string]bool // id -> sent by /process
	acked map[string]bool // answered 201 or 202
}

const loadWorkers = 16

func startLoad(p *process, prefix string) *load {
	l := &load{p: p, prefix: prefix, stop: make(chan struct{}), sent: map[string]bool{}, acked: map[string]bool{}}
	for w := range loadWorkers {
		l.workers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				l.send(fmt.Sprintf("%s-%d-%d", prefix, w, n), (w+n)%2 == 0)
			}
		})
	}
	return l
}

func (l *load) send(id string, later bool) {
	l.mu.Lock()
	l.sent[id] = later
	l.mu.Unlock()
	path, want := "/api/v1/transfers", 201
	if later {
		path, want = "/api/v1/transactions/process", 202
	}
	status, _ := l.p.call("POST", path, map[string]any{
		"transactionId": id, "sourceAccountId": "payer", "destinationAccountId": "payee", "amount": "1.00",
	})
	if status != want {
		time.Sleep(50 * time.Millisecond) // it may be down
		return
	}
	l.mu.Lock()
	l.acked[id] = true
	l.mu.Unlock()
}

func (l *load) end() {
	close(l.stop)
	l.workers.Wait()
}

func (l *load) ackedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *load) waitFor(t *testing.T, acked int) {
	t.Helper()
	for deadline := time.Now().Add(startMax); l.ackedCount() < acked; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d transfers were acknowledged:\n%s", l.ackedCount(), l.p.out)
		}
	}
}

// settle proves, after the trouble, that every acknowledged transfer is there
// and ends, that sending all again does each exactly once, and that the books
// add up.
func (l *load) settle(t *testing.T, p *process) {
	t.Helper()
	deadline := time.Now().Add(acceptMax)
	severally(t, maps.Keys(l.acked), func(id string) error {
		for {
			status, answer := p.call("GET", "/api/v1/transactions/"+id+"/status", nil)
			switch {
			case status == 200 && answer["status"] == "COMPLETED":
				return nil
			case status != 200, answer["status"] == "FAILED", time.Now().After(deadline):
				return fmt.Errorf("acknowledged transfer %s: %d %v", id, status, answer)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	severally(t, maps.Keys(l.sent), func(id string) error {
		status, answer := p.call("POST", "/api/v1/transfers", map[string]any{
			"transactionId": id, "sourceAccountId": "payer", "destinationAccountId": "payee", "amount": "1.00",
		})
		if status != 201 {
			return fmt.Errorf("transfer %s sent again: %d %v", id, status, answer)
		}
		return nil
	})
	want := fmt.Sprintf("%d.00", len(l.sent))
	if payee := p.mustCall(200, "GET", "/api/v1/accounts/payee", nil); payee["balance"] != want {
		t.Fatalf("the payee has %v after %s transfers of 1.00", payee["balance"], want)
	}
	t.Logf("%d transfers sent, %d acknowledged through the trouble, each there once", len(l.sent), len(l.acked))
}

// severally calls f for each id, some at once, and ends the test at an error.
func severally(t *testing.T, ids iter.Seq[string], f func(id string) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for id := range ids {
		group.Go(func() error { return f(id) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func openPayerAndPayee(p *process) {
	p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "payer", "balance": "10000000"})
	p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "payee"})
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		openPayerAndPayee(p)
		l := startLoad(p, "k")
		l.waitFor(t, 300)
		p.stop(syscall.SIGKILL)
		l.end()
		again := dev(t, engine, dataDir)
		l.settle(t, again)
		verify(t, engine, dataDir) // while it runs
		again.stop(syscall.SIGTERM)
		verify(t, engine, dataDir) // and while it does not
	})
}

func TestKilledDatabaseLosesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		openPayerAndPayee(p)
		l := startLoad(p, "d")
		l.waitFor(t, 300)
		before := l.ackedCount()
		if err := syscall.Kill(enginePID(t, dataDir), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		l.waitFor(t, before+300) // it came back by itself
		l.end()
		l.settle(t, p)
		verify(t, engine, dataDir)
	})
}

func enginePID(t *testing.T, dataDir string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dataDir, "engine.json"))
	if err != nil {
		t.Fatal(err)
	}
	var engine struct{ PID int }
	if err := json.Unmarshal(content, &engine); err != nil || engine.PID == 0 {
		t.Fatalf("%s: %v", content, err)
	}
	return engine.PID
}

// A replica that dies leaves accepted transfers to the other.
func TestReplicasTakeOverFromEachOther(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir, "--sweep-interval", "1s")
		openPayerAndPayee(p)
		databaseURL := p.databaseURL()
		other := start(t, []string{"FLORIN_DATABASE_URL=" + databaseURL}, "serve", "--addr", "127.0.0.1:0", "--ops-addr", "")
		l := startLoad(other, "r")
		l.waitFor(t, 300)
		other.stop(syscall.SIGKILL)
		l.end()
		l.settle(t, p)
		verify(t, engine, dataDir)
	})
}

func TestGracefulShutdownFinishesWhatWasTaken(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		openPayerAndPayee(p)
		l := startLoad(p, "g")
		l.waitFor(t, 200)
		p.stop(syscall.SIGTERM)
		l.end()
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, p.out)
		}
		again := dev(t, engine, dataDir)
		l.settle(t, again)
	})
}

// What goes wrong at the start is one line that says what to do.
func TestStartProblemsAreOneLine(t *testing.T) {
	t.Parallel()
	taken := dev(t, "postgres", migrated(t, "postgres"))
	busy := migrated(t, "postgres")
	owner := dev(t, "postgres", busy)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"taken port":               {[]string{"dev", "--data-dir", t.TempDir(), "--addr", strings.TrimPrefix(taken.base, "http://")}, nil, "--addr"},
		"folder in use":            {[]string{"dev", "--data-dir", busy, "--addr", "127.0.0.1:0", "--engine", "postgres"}, nil, fmt.Sprint(owner.cmd.Process.Pid)},
		"data folder is a file":    {[]string{"dev", "--data-dir", file, "--addr", "127.0.0.1:0"}, nil, file},
		"no such engine":           {[]string{"dev", "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0", "--engine", "cockroach"}, []string{"COCKROACH_BINARY=/nowhere/cockroach"}, "COCKROACH_BINARY"},
		"bad cluster setting":      {[]string{"dev", "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0", "--cluster-setting", "x; DROP"}, nil, "x; DROP"},
		"no encryption keys":       {[]string{"serve"}, []string{"FLORIN_DATABASE_URL=postgres://127.0.0.1:1/x", "FLORIN_ENCRYPTION_KEYS="}, "FLORIN_ENCRYPTION_KEYS"},
		"bad encryption keys":      {[]string{"serve"}, []string{"FLORIN_DATABASE_URL=postgres://127.0.0.1:1/x", "FLORIN_ENCRYPTION_KEYS=hunter2"}, "FLORIN_ENCRYPTION_KEYS"},
		"no such proxy":            {[]string{"dev", "--data-dir", t.TempDir(), "--trusted-proxies", "proxy"}, nil, "--trusted-proxies"},
		"no such certificate":      {[]string{"dev", "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0", "--engine", "postgres", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"}, nil, "--tls-cert"},
		"no database to serve":     {[]string{"serve"}, []string{"FLORIN_DATABASE_URL="}, "FLORIN_DATABASE_URL"},
		"database does not answer": {[]string{"serve", "--addr", "127.0.0.1:0", "--ops-addr", ""}, []string{"FLORIN_DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x"}, "127.0.0.1"},
		"silly flag":               {[]string{"dev", "--executor-queue", "5"}, nil, "--executor-queue"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), startMax)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, c.args...)
			cmd.Env = append(append(os.Environ(), "FLORIN_ENCRYPTION_KEYS="+testSealer), c.env...)
			out, err := logged(t, cmd)
			if err == nil {
				t.Fatalf("it started:\n%s", out)
			}
			text := strings.TrimSpace(out)
			if strings.Count(text, "\n") > 0 || !strings.Contains(text, c.want) || strings.Contains(text, "hunter2") {
				t.Errorf("want one line with %q, got:\n%s", c.want, text)
			}
		})
	}
}
