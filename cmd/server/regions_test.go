package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var testRegions = []string{"us-east-1", "us-west-2", "eu-west-1"}

// devRegions starts a cluster, which is expensive: tests of one share it.
func devRegions(t *testing.T, dataDir string, args ...string) *process {
	t.Helper()
	if os.Getenv("COCKROACH_BINARY") == "" {
		if _, err := exec.LookPath("cockroach"); err != nil {
			t.Skip("NO REGIONS TESTED: no CockroachDB found")
		}
	}
	return start(t, nil, append([]string{"dev", "--data-dir", dataDir, "--addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--demo=false"}, args...)...)
}

// waitRunning waits for the table of all that runs.
func (p *process) waitRunning() {
	p.t.Helper()
	for deadline := time.Now().Add(startMax); !strings.Contains(p.out.String(), "Ctrl-C stops everything"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no addresses:\n%s", p.out)
		}
	}
}

// row is a row of the table that `florin dev` prints for a cluster.
func (p *process) row(title string) []string {
	p.t.Helper()
	match := regexp.MustCompile(`(?m)^  ` + title + `  +(.*)$`).FindStringSubmatch(p.out.String())
	if match == nil {
		p.t.Fatalf("no row %s:\n%s", title, p.out)
	}
	return strings.Fields(match[1])
}

// replicas are the servers of all regions, to be called.
func (p *process) replicas() []*process {
	p.t.Helper()
	var all []*process
	for _, address := range p.row("API") {
		all = append(all, &process{t: p.t, base: strings.TrimSuffix(address, "/api/v1"), out: p.out})
	}
	return all
}

func (p *process) pids(title string) []int {
	p.t.Helper()
	var pids []int
	for _, text := range p.row(title) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			p.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

const (
	clientsPerRegion = 4
	retryMax         = 30 * time.Second // how long a client asks again
	retryPause       = 20 * time.Millisecond
)

// clients send transfers of 1.00 to the replica of their region, and on to the
// others when that does not answer, always by the same id.
type clients struct {
	replicas []*process
	stop     chan struct{}
	working  sync.WaitGroup

	mu      sync.Mutex
	acked   map[string]bool
	times   [][]time.Time // of acknowledgements, by region
	retries int
	failed  []string
}

func startClients(replicas []*process) *clients {
	c := &clients{replicas: replicas, stop: make(chan struct{}), acked: map[string]bool{}, times: make([][]time.Time, len(replicas))}
	for region := range replicas {
		for worker := range clientsPerRegion {
			c.working.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-c.stop:
						return
					default:
						c.send(region, fmt.Sprintf("%s-%d-%d", testRegions[region], worker, n))
					}
				}
			})
		}
	}
	return c
}

func (c *clients) send(region int, id string) {
	body := map[string]any{
		"transactionId": id, "sourceAccountId": "payer-" + testRegions[region], "destinationAccountId": "payee-" + testRegions[region], "amount": "1.00",
	}
	started := time.Now()
	for try := 0; ; try++ {
		status, answer := c.replicas[(region+try)%len(c.replicas)].call("POST", "/api/v1/transfers", body)
		c.mu.Lock()
		switch {
		case status == 201:
			c.acked[id] = true
			c.times[region] = append(c.times[region], time.Now())
		case status != 0 && status != 503, time.Since(started) > retryMax:
			c.failed = append(c.failed, fmt.Sprintf("%s: %d %v after %d tries in %v", id, status, answer, try+1, time.Since(started)))
		default:
			c.retries++
		}
		isDone := c.acked[id] || len(c.failed) > 0
		c.mu.Unlock()
		if isDone {
			return
		}
		time.Sleep(retryPause)
	}
}

func (c *clients) end() {
	close(c.stop)
	c.working.Wait()
}

// ackedSince counts the acknowledgements of the region with fewest since then.
func (c *clients) ackedSince(since time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	fewest := -1
	for _, times := range c.times {
		n := 0
		for i := len(times) - 1; i >= 0 && times[i].After(since); i-- {
			n++
		}
		if fewest < 0 || n < fewest {
			fewest = n
		}
	}
	return fewest
}

// waitForAll waits until the clients of every region have had acknowledgements.
func (c *clients) waitForAll(t *testing.T, since time.Time) {
	t.Helper()
	const enough = 50
	for c.ackedSince(since) < enough {
		if time.Since(since) > startMax {
			t.Fatal("the clients of a region get no more acknowledgements")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// longestSilence is the longest time without an acknowledgement to anybody, and
// to the clients of each region.
func (c *clients) longestSilence(from, to time.Time) (all time.Duration, regions []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	silence := func(times []time.Time) (longest time.Duration) {
		last := from
		for _, at := range append(slices.Clone(times), to) {
			if at.After(from) && !at.After(to) {
				longest, last = max(longest, at.Sub(last)), at
			}
		}
		return longest
	}
	var together []time.Time
	for _, times := range c.times {
		together = append(together, times...)
		regions = append(regions, silence(times).Round(time.Millisecond))
	}
	slices.SortFunc(together, time.Time.Compare)
	return silence(together).Round(time.Millisecond), regions
}

// fault kills a process while the clients go on, waits until it is back, and
// says what they noticed.
func (c *clients) fault(t *testing.T, what string, pid int, isBack func() bool) {
	t.Helper()
	killed := time.Now()
	c.mu.Lock()
	retries := c.retries
	c.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for !isBack() {
		if time.Since(killed) > startMax {
			t.Fatalf("%s did not come back", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	back := time.Now()
	c.waitForAll(t, back)
	all, regions := c.longestSilence(killed, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("kill -9 of %s: back after %v; longest time without an acknowledged commit %v, by region %v; %d retries",
		what, back.Sub(killed).Round(time.Millisecond), all, regions, c.retries-retries)
	if len(c.failed) > 0 {
		t.Errorf("clients gave up: %v", c.failed)
	}
}

// nodeState is what the data folder remembers of a region's node.
func nodeState(t *testing.T, dataDir, region string) (state struct {
	PID   int
	Ready bool
}) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dataDir, "cockroach-"+region, "engine.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	return state
}

func TestRegionsOutliveTheirProcesses(t *testing.T) {
	dataDir := t.TempDir()
	began := time.Now()
	p := devRegions(t, dataDir, "--regions", strings.Join(testRegions, ","))
	p.waitRunning()
	t.Logf("first start of %d regions: %v", len(testRegions), time.Since(began).Round(time.Millisecond))

	replicas, nodes, servers := p.replicas(), p.pids("Node pid"), p.pids("Server pid")
	for i, region := range testRegions {
		replicas[i].mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "payer-" + region, "balance": "10000000"})
		replicas[i].mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "payee-" + region})
	}
	c := startClients(replicas)
	c.waitForAll(t, time.Now())
	for _, i := range []int{0, 2} {
		region := testRegions[i]
		c.fault(t, "the node in "+region, nodes[i], func() bool {
			now := nodeState(t, dataDir, region)
			return now.PID != nodes[i] && now.Ready
		})
	}
	c.fault(t, "the server of "+testRegions[1], servers[1], func() bool {
		response, err := http.Get(replicas[1].base + "/readyz")
		if err == nil {
			response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	c.end()

	// Nobody gave up, so every transfer was acknowledged, and is there once.
	if len(c.failed) > 0 {
		t.Fatalf("clients gave up: %v", c.failed)
	}
	want := make([]string, len(testRegions))
	for i, region := range testRegions {
		want[i] = fmt.Sprintf("%d.00", len(c.times[i]))
		for _, replica := range replicas { // whichever is asked
			if payee := replica.mustCall(200, "GET", "/api/v1/accounts/payee-"+region, nil); payee["balance"] != want[i] {
				t.Errorf("in %s the payee has %v after %s transfers of 1.00", region, payee["balance"], want[i])
			}
		}
	}
	for id := range c.acked {
		if answer := replicas[0].mustCall(200, "GET", "/api/v1/transactions/"+id+"/status", nil); answer["status"] != "COMPLETED" {
			t.Errorf("acknowledged transfer %s: %v", id, answer)
		}
	}
	t.Logf("%d transfers acknowledged, each there once; %d retries", len(c.acked), c.retries)
	verify(t, "auto", dataDir) // while it runs

	nodes = nil
	for _, region := range testRegions {
		nodes = append(nodes, nodeState(t, dataDir, region).PID)
	}
	stopped := time.Now()
	p.stop(syscall.SIGINT)
	t.Logf("stopped in %v", time.Since(stopped).Round(time.Millisecond))
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("Ctrl-C ended it with code %d:\n%s", code, p.out)
	}
	for _, pid := range append(nodes, servers[0], servers[2]) {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left", pid)
		}
	}
	verify(t, "auto", dataDir) // and while it does not

	// The folder keeps its regions, and killing its owner leaves nothing behind.
	again := devRegions(t, dataDir)
	again.waitRunning()
	if payee := again.replicas()[2].mustCall(200, "GET", "/api/v1/accounts/payee-"+testRegions[0], nil); payee["balance"] != want[0] {
		t.Errorf("after a new start the payee has %v, not %s", payee["balance"], want[0])
	}
	servers, nodes = again.pids("Server pid"), again.pids("Node pid")
	again.stop(syscall.SIGKILL)
	for _, pid := range append(servers, nodes...) {
		for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d outlives its owner", pid)
			}
		}
	}
}

func TestRegionProblemsAreOneLine(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"no CockroachDB":    {[]string{"--regions", "a,b,c"}, []string{"COCKROACH_BINARY=", "PATH=/nowhere"}, "COCKROACH_BINARY"},
		"a region twice":    {[]string{"--regions", "a,a"}, nil, "twice"},
		"a bad name":        {[]string{"--regions", "a,B"}, nil, `"B"`},
		"too few":           {[]string{"--regions", "a,b", "--survive", "region"}, nil, "--survive region takes 3"},
		"on PostgreSQL":     {[]string{"--regions", "a,b,c", "--engine", "postgres"}, nil, "PostgreSQL has no regions"},
		"survival of one":   {[]string{"--engine", "postgres", "--survive", "zone"}, nil, "--regions"},
		"no ports for them": {[]string{"--regions", "a,b,c", "--addr", "127.0.0.1:1x"}, nil, "--addr"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"dev", "--data-dir", t.TempDir(), "--addr", "127.0.0.1:0", "--ops-addr", ""}, c.args...)
			cmd := exec.CommandContext(t.Context(), binary, args...)
			cmd.Env = append(os.Environ(), append(c.env, "FLORIN_LOG_LEVEL=error")...)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it started:\n%s", out)
			}
			if text := strings.TrimSpace(string(out)); strings.Count(text, "\n") > 0 || !strings.Contains(text, c.want) {
				t.Errorf("want one line with %q, got:\n%s", c.want, text)
			}
		})
	}
}
