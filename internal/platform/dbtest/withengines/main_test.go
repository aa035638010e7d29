package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"florin/internal/platform/database/embedded"
)

// The test program is withengines itself when this is set.
const mainEnv = "WITHENGINES_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// withengines prepares a run with only these variables of ours; dir is where
// its temporary files go.
func withengines(t *testing.T, dir string, env []string, args ...string) (cmd *exec.Cmd, out, errs *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], append([]string{"--"}, args...)...)
	cmd.Env = append([]string{mainEnv + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "COCKROACH_BINARY=" + os.Getenv("COCKROACH_BINARY")}, env...)
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, errs
	return cmd, out, errs
}

func TestCommandRunsOnEveryEngine(t *testing.T) {
	if _, err := embedded.Lookup(embedded.Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	cmd, out, errs := withengines(t, dir, []string{"FLORIN_DEV_CLUSTER_SETTINGS=kv.rangefeed.enabled=true, cluster.organization=us"},
		"sh", "-c", `echo "$FLORIN_TEST_POSTGRES_URL|$FLORIN_TEST_COCKROACH_URL|$FLORIN_TEST_PASSING_SERVERS"; cat; exit 7`)
	cmd.Stdin = strings.NewReader("from stdin")
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	first, second, _ := strings.Cut(out.String(), "|")
	if !strings.Contains(second, "|postgres\n") {
		t.Errorf("the command is not told that PostgreSQL ends with it: %q", out)
	}
	if !strings.HasPrefix(first, "postgres://") || !strings.Contains(second, "from stdin") {
		t.Errorf("the command saw %q", out)
	}
	want := "FLORIN TESTS RAN ON PostgreSQL "
	if _, err := embedded.Lookup(embedded.Cockroach); err != nil {
		want = "FLORIN TESTS RAN ON POSTGRESQL ONLY: no CockroachDB found (set COCKROACH_BINARY or put cockroach on PATH)"
		t.Log("*** NO COCKROACHDB HERE ***")
	} else if !strings.HasPrefix(second, "own|") || !strings.Contains(errs.String(), " AND CockroachDB ") {
		t.Errorf("no CockroachDB: %q %q", out, errs)
	}
	if !strings.Contains(errs.String(), want) {
		t.Errorf("the report is %q", errs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMissingCockroachIsReported(t *testing.T) {
	if _, err := embedded.Lookup(embedded.Postgres); err != nil {
		t.Skip(err)
	}
	cmd, _, errs := withengines(t, t.TempDir(), []string{"PATH=/usr/bin:/bin", "COCKROACH_BINARY="}, "true")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	if !strings.Contains(errs.String(), "FLORIN TESTS RAN ON POSTGRESQL ONLY: no CockroachDB found") {
		t.Errorf("the report is %q", errs)
	}
}

func TestGivenDatabaseIsUsed(t *testing.T) {
	if _, err := embedded.Lookup(embedded.Postgres); err != nil {
		t.Skip(err)
	}
	s, err := embedded.Start(t.Context(), embedded.Options{DataDir: t.TempDir(), Engine: embedded.Postgres, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.Background()) }() // nothing depends on it
	cmd, out, errs := withengines(t, t.TempDir(), []string{"FLORIN_TEST_ENGINES=postgres", "FLORIN_TEST_POSTGRES_URL=" + s.URL(), "FLORIN_TEST_COCKROACH_URL=postgres://nowhere", "FLORIN_TEST_PASSING_SERVERS=postgres"},
		"sh", "-c", `echo "$FLORIN_TEST_POSTGRES_URL|$FLORIN_TEST_COCKROACH_URL$FLORIN_TEST_PASSING_SERVERS"`)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	if got := strings.TrimSpace(out.String()); got != s.URL()+"|" {
		t.Errorf("the command saw %q", got)
	}
	if !strings.Contains(errs.String(), "(from FLORIN_TEST_POSTGRES_URL) ONLY: FLORIN_TEST_ENGINES is postgres") {
		t.Errorf("the report is %q", errs)
	}
}

func TestWrongCallsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
		code int
	}{
		"no command":      {want: "no command given", code: 2},
		"unknown engine":  {env: []string{"FLORIN_TEST_ENGINES=mysql"}, args: []string{"true"}, want: `unknown engine "mysql"`, code: 2},
		"bad setting":     {env: []string{"FLORIN_DEV_CLUSTER_SETTINGS=a=1,B=2"}, args: []string{"true"}, want: `"B=2"`, code: 2},
		"wrong binary":    {env: []string{"COCKROACH_BINARY=/nowhere"}, args: []string{"true"}, want: "COCKROACH_BINARY=/nowhere", code: 1},
		"dead database":   {env: []string{"FLORIN_TEST_ENGINES=postgres", "FLORIN_TEST_POSTGRES_URL=postgres://127.0.0.1:1/x"}, args: []string{"true"}, want: "FLORIN_TEST_POSTGRES_URL names a database that does not answer", code: 1},
		"unknown command": {env: []string{"FLORIN_TEST_ENGINES=postgres"}, args: []string{"/nowhere/command"}, want: "/nowhere/command", code: 127},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, _, errs := withengines(t, t.TempDir(), c.env, c.args...)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d: %s", code, errs)
			}
			if strings.Contains(errs.String(), "TESTS RAN ON") {
				t.Error("nothing ran")
			}
		})
	}
}

// A secret that a test registers must not stand in a log, whoever wrote it.
func TestASecretInALogFailsTheRun(t *testing.T) {
	if _, err := embedded.Lookup(embedded.Postgres); err != nil {
		t.Skip(err)
	}
	const register = `echo '{"kind":"token","test":"api TestPlanted","text":"florin_session_planted"}' > "$FLORIN_TEST_LOGS/api.1.secrets"; `
	kept := t.TempDir()
	for name, c := range map[string]struct {
		script string
		env    string
		want   []string
		code   int
	}{
		"shown":         {script: register + `printf 'fine\nbearer florin_session_planted\n' > "$FLORIN_TEST_LOGS/server.log"`, want: []string{"SECRET IN A LOG: ", "server.log: line 2 (token of api TestPlanted): bearer *****"}, code: 1},
		"shown, failed": {script: register + `echo florin_session_planted > "$FLORIN_TEST_LOGS/server.log"; exit 7`, want: []string{"SECRET IN A LOG: "}, code: 7},
		"kept":          {script: register + `echo florin_session_planted > "$FLORIN_TEST_LOGS/server.log"`, env: "FLORIN_TEST_LOGS=" + kept, want: []string{"SECRET IN A LOG: " + kept + "/server.log: line 1"}, code: 1},
		"not shown":     {script: register + `echo fine > "$FLORIN_TEST_LOGS/server.log"`, want: []string{"looked for 1 secrets of the tests in ", ": 0 lines show one", "TESTS RAN ON"}},
		"none there":    {script: `test -d "$FLORIN_TEST_LOGS"`, want: []string{"TESTS RAN ON"}},
		"no folder":     {script: "true", env: "FLORIN_TEST_LOGS=/nowhere/logs", want: []string{"FLORIN_TEST_LOGS: "}, code: 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd, _, errs := withengines(t, dir, []string{"FLORIN_TEST_ENGINES=postgres", c.env}, "sh", "-c", c.script)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d", code)
			}
			for _, want := range c.want {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("no %q in %s", want, errs)
				}
			}
			if strings.Contains(errs.String(), "florin_session_planted") || c.code == 0 && strings.Contains(errs.String(), "SECRET IN A LOG") {
				t.Errorf("it says %s", errs)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(kept, "server.log")); err != nil {
		t.Error("the caller's folder is not his:", err)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	if _, err := embedded.Lookup(embedded.Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	mark := filepath.Join(t.TempDir(), "running")
	cmd, out, errs := withengines(t, dir, []string{"FLORIN_TEST_ENGINES=postgres", "MARK=" + mark},
		"sh", "-c", `trap 'echo caught; exit 9' TERM; : > "$MARK"; while :; do sleep 0.1; done`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 || !strings.Contains(out.String(), "caught") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
