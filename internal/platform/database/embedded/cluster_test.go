package embedded

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/process"
)

func TestClusterKeepsItsRegionsAndGrowsAtTheEnd(t *testing.T) {
	abc := []string{"a", "b", "c"}
	for _, c := range []struct {
		has, asked, want []string
		isWrong          bool
	}{
		{has: nil, asked: nil, want: nil},
		{has: nil, asked: abc, want: abc},
		{has: abc, asked: nil, want: abc},
		{has: abc, asked: abc, want: abc},
		{has: abc, asked: []string{"a", "b", "c", "d", "e"}, want: []string{"a", "b", "c", "d", "e"}},
		{has: abc, asked: []string{"a", "b"}, isWrong: true},
		{has: abc, asked: []string{"a", "c", "b"}, isWrong: true},
		{has: abc, asked: []string{"d", "a", "b", "c"}, isWrong: true},
		{has: abc, asked: []string{"a", "b", "d", "c"}, isWrong: true},
	} {
		got, err := cluster{Regions: c.has, Made: true}.grow(c.asked)
		if c.isWrong {
			oneLine(t, err, ErrRegions, "a,b,c", strings.Join(c.asked, ","))
			continue
		}
		if err != nil || !slices.Equal(got.Regions, c.want) || !got.Made {
			t.Errorf("%v asked for %v: %+v %v", c.has, c.asked, got, err)
		}
	}
}

func TestRegionNamesAreChecked(t *testing.T) {
	for _, regions := range [][]string{
		{""}, {"a", ""}, {"US-East"}, {"a,b"}, {"a=b"}, {"../x"}, {"a b"}, {"1"}, {"a", "b", "a"}, {strings.Repeat("a", 64)},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		_, err := Start(bounded(t), Options{DataDir: dir, Regions: regions})
		oneLine(t, err, ErrRegions)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: a data folder was made", regions)
		}
	}
}

func TestRegionsNeedAFolderOfTheirOwn(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	stop(t, start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true}))
	_, err := Start(bounded(t), Options{DataDir: dir, Regions: []string{"a"}})
	oneLine(t, err, ErrRegions, "choose another data folder", dir)
	_, err = Start(bounded(t), Options{DataDir: t.TempDir(), Engine: Postgres, Regions: []string{"a"}})
	oneLine(t, err, ErrRegions, "PostgreSQL")
}

func TestRegionsWithoutCockroachSayWhatIsMissing(t *testing.T) {
	t.Setenv("COCKROACH_BINARY", "")
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	_, err := Start(bounded(t), Options{DataDir: dir, Regions: []string{"a", "b", "c"}})
	oneLine(t, err, ErrNoEngine, "COCKROACH_BINARY")
	if _, err := os.Stat(filepath.Join(dir, clusterFile)); err == nil {
		t.Error("the folder became a cluster's all the same")
	}
}

func TestUnreadableClusterIsNamed(t *testing.T) {
	for _, text := range []string{"", "{}", `{"regions": ["../../etc"], "made": true}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, clusterFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(bounded(t), Options{DataDir: dir})
		oneLine(t, err, ErrBrokenDataDir, clusterFile)
	}
}

func TestPortsAreNotGivenTwice(t *testing.T) {
	taken := ports{}
	first := taken.pick(0)
	if again := taken.pick(first); first == 0 || again == first || taken.pick(again) == again {
		t.Errorf("%d and %d", first, again)
	}
	if same := (ports{}).pick(first); same != first {
		t.Errorf("%d became %d although nobody had it", first, same)
	}
}

// A first start that was cut short leaves nodes that may not agree on being one
// cluster, and nobody's data.
func TestUnmadeClusterIsDiscarded(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	f := &folder{path: dir}
	if err := f.writeCluster(cluster{Regions: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	orphan := exec.Command("sleep", "600")
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = orphan.Wait()
	}()
	if err := os.MkdirAll(filepath.Join(f.node("a").path, Cockroach), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.node("a").writeState(state{
		Engine: Cockroach, Region: "a", PID: orphan.Process.Pid, Process: process.Identify(orphan.Process.Pid),
	}); err != nil {
		t.Fatal(err)
	}
	if s := start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true}); s.Engine() != Postgres {
		t.Errorf("it runs %s", s.Engine())
	}
	<-ended
	if left, _ := filepath.Glob(filepath.Join(dir, "c*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// One cluster lives through all that a data folder promises, because a start
// takes its time.
func TestClusterLivesAndGrows(t *testing.T) {
	if _, err := Lookup(Cockroach); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	regions := []string{"us-east-1", "us-west-2", "eu-west-1"}
	s := start(t, Options{DataDir: dir, Regions: regions, ClusterSettings: []string{"kv.closed_timestamp.target_duration=1s"}})
	checkRegions(t, s, regions)
	run(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
	if got := ask(t, s, `SELECT "kv.closed_timestamp.target_duration"::text FROM [SHOW CLUSTER SETTING kv.closed_timestamp.target_duration]`); got != "00:00:01" {
		t.Errorf("the cluster setting is %s", got)
	}

	// Tools join it, and go on to the next node when the first is gone.
	joined := start(t, Options{DataDir: dir, Attach: true})
	if !joined.Attached() || !slices.Equal(joined.Nodes(), s.Nodes()) || joined.URL() != s.URL() {
		t.Errorf("joined %+v, not %+v", joined.Nodes(), s.Nodes())
	}
	before := s.Nodes()
	for i := range before {
		if err := syscall.Kill(before[i].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if got := ask(t, joined, "SELECT n::text FROM kept"); got != "42" {
				t.Errorf("kept %s", got)
			}
		}
		eventually(t, "the node answers again, where it was", func() bool {
			now := s.Nodes()[i]
			return now.PID != before[i].PID && now.Address == before[i].Address && only(t, now) == nil
		})
	}
	stop(t, joined)
	stop(t, s)
	for _, n := range s.Nodes() {
		if process.Identify(n.PID) != "" {
			t.Errorf("the node in %s runs on after Stop", n.Region)
		}
	}

	// Other regions are refused, and none given are those it has.
	_, err := Start(bounded(t), Options{DataDir: dir, Regions: []string{"us-east-1", "eu-west-1"}})
	oneLine(t, err, ErrRegions, "us-east-1,us-west-2,eu-west-1")
	_, err = Start(bounded(t), Options{DataDir: dir, Unsafe: true})
	oneLine(t, err, ErrRegions, "memory")
	grown := start(t, Options{DataDir: dir, Regions: append(regions, "ap-south-1")})
	checkRegions(t, grown, append(regions, "ap-south-1"))
	if got := ask(t, grown, "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("kept %s", got)
	}
	for i, n := range grown.Nodes()[:3] {
		if n.Address != before[i].Address || n.HTTPAddress != before[i].HTTPAddress {
			t.Errorf("the node in %s moved from %s to %s", n.Region, before[i].Address, n.Address)
		}
	}
}

// checkRegions asks each node where it stands.
func checkRegions(t *testing.T, s *Server, regions []string) {
	t.Helper()
	nodes := s.Nodes()
	if len(nodes) != len(regions) {
		t.Fatalf("%d nodes for %v", len(nodes), regions)
	}
	for i, n := range nodes {
		conn, err := connect(bounded(t), n.URL)
		if err != nil {
			t.Fatal(err)
		}
		var region string
		err = conn.QueryRow(bounded(t), "SELECT gateway_region()").Scan(&region)
		_ = conn.Close(context.Background())
		if err != nil || region != regions[i] || n.Region != region {
			t.Errorf("node %d says that it is in %q, and is listed in %q, not %q (%v)", i, region, n.Region, regions[i], err)
		}
	}
}

// only connects to a node and to no other.
func only(t *testing.T, n Node) error {
	t.Helper()
	target, err := url.Parse(n.URL)
	if err != nil {
		return err
	}
	target.Host = n.Address
	conn, err := pgx.Connect(bounded(t), target.String())
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(bounded(t), "SELECT 1")
	return err
}

func TestOrphanedClusterIsAdopted(t *testing.T) {
	if _, err := Lookup(Cockroach); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv(regionsEnv, "a,b,c")
	owner, _ := startOwner(t, Cockroach, dir, true)
	_ = owner.Kill()
	_, _ = owner.Wait()
	pids := map[int]bool{}
	for _, region := range []string{"a", "b", "c"} {
		pids[(&folder{path: dir}).node(region).readState().PID] = true
	}
	s := start(t, Options{DataDir: dir})
	for _, n := range s.Nodes() {
		if !pids[n.PID] || s.Attached() {
			t.Errorf("the node in %s is process %d, not one of %v", n.Region, n.PID, pids)
		}
	}
	stop(t, s)
	for pid := range pids {
		if process.Identify(pid) != "" {
			t.Error(fmt.Sprint("process ", pid, " runs on after Stop"))
		}
	}
}
