package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"florin/internal/platform/process"
)

// The test program runs as an owner of its own when this names a data folder.
const ownerEnv = "FLORIN_EMBEDDED_TEST_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		runOwner(dir)
	}
	for _, kind := range []string{Postgres, Cockroach} {
		if _, err := Lookup(kind); err != nil {
			fmt.Fprintf(os.Stderr, "\n*** EMBEDDED ENGINE NOT TESTED: %s: %v ***\n\n", strings.ToUpper(kind), err)
		}
	}
	os.Exit(m.Run())
}

// eachEngine runs a test against every engine on this machine.
func eachEngine(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range []string{Postgres, Cockroach} {
		t.Run(kind, func(t *testing.T) {
			if _, err := Lookup(kind); err != nil {
				t.Skip(err)
			}
			test(t, kind)
		})
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Start(bounded(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func run(t *testing.T, s *Server, sql string) {
	t.Helper()
	if err := try(t, s, sql); err != nil {
		t.Fatal(err)
	}
}

func try(t *testing.T, s *Server, sql string) error {
	t.Helper()
	conn, err := connect(bounded(t), s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(bounded(t), sql)
	return err
}

func ask(t *testing.T, s *Server, sql string) string {
	t.Helper()
	conn, err := connect(bounded(t), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(bounded(t), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for range 600 {
		if check() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("never came true: %s", what)
}

// oneLine checks what every error promises: its kind, and one line.
func oneLine(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	t.Log(err)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestSecondStartKeepsDataAndPort(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := filepath.Join(t.TempDir(), "not", "yet there")
		s := start(t, Options{DataDir: dir, Engine: kind})
		if s.Engine() != kind || s.PID() == 0 || s.Attached() {
			t.Fatalf("engine %s, pid %d, attached %v", s.Engine(), s.PID(), s.Attached())
		}
		if group, err := syscall.Getpgid(s.PID()); err != nil || group != s.PID() {
			t.Errorf("Ctrl-C would reach the engine: its process group is %d (%v)", group, err)
		}
		run(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
		url := s.URL()
		stop(t, s)
		stop(t, s)
		<-s.Done()
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
		if process.Identify(s.PID()) != "" {
			t.Fatal("the engine runs on after Stop")
		}

		// Auto keeps the engine whose data is there.
		again := start(t, Options{DataDir: dir})
		if again.Engine() != kind {
			t.Fatalf("auto took %s", again.Engine())
		}
		if got := ask(t, again, "SELECT n::text FROM kept"); got != "42" {
			t.Fatalf("kept %s", got)
		}
		if again.URL() != url {
			t.Errorf("the address changed from %s to %s", url, again.URL())
		}
	})
}

func TestPostgresIsSetUpForOneMachine(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, Engine: Postgres})
	for setting, want := range map[string]string{
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on", "synchronous_commit": "on",
		"full_page_writes": "on", "wal_level": "logical", "wal_compression": "pglz", "max_wal_size": "2GB",
		"shared_buffers": "256MB", "max_connections": "200", "timezone": "UTC", "data_checksums": "on",
		"server_encoding": "UTF8", "max_replication_slots": "8",
	} {
		if got := ask(t, s, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := ask(t, s, "SELECT datcollate FROM pg_database WHERE datname = 'florin'"); got != "C" {
		t.Errorf("collation %s", got)
	}
	if conn, err := connect(bounded(t), strings.Replace(s.URL(), "florin:", "florin:x", 1)); err == nil {
		_ = conn.Close(context.Background())
		t.Error("a wrong password is let in")
	}
	info, err := os.Stat(filepath.Join(dir, Postgres, postgresPassword))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info.Mode(), err)
	}
	run(t, s, "ALTER SYSTEM SET work_mem = '7MB'")
	stop(t, s)
	again := start(t, Options{DataDir: dir, Unsafe: true})
	if got := ask(t, again, "SELECT current_setting('work_mem') || current_setting('fsync')"); got != "7MBoff" {
		t.Errorf("work_mem and fsync: %s", got)
	}
}

func TestKilledEngineIsRestartedWithItsData(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		s := start(t, Options{DataDir: t.TempDir(), Engine: kind})
		run(t, s, "CREATE TABLE kept (n INT)")
		for i := range 2 {
			run(t, s, fmt.Sprintf("INSERT INTO kept VALUES (%d)", i))
			pid := s.PID()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the engine answers again", func() bool { return s.PID() != pid && try(t, s, "SELECT 1") == nil })
		}
		if got := ask(t, s, "SELECT count(*)::text FROM kept"); got != "2" {
			t.Fatalf("%s rows kept", got)
		}
		select {
		case <-s.Done():
			t.Fatal("given up")
		default:
		}
	})
}

func TestBusyBackendOfKilledPostgresIsWaitedFor(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		// This backend looks at nothing but its loop, and so outlives the postmaster.
		_ = try(t, s, "DO $$ DECLARE x numeric := 0; BEGIN FOR i IN 1..40000000 LOOP x := x + 1; IF i % 1000000 = 0 AND clock_timestamp() > now() + '3 s' THEN RETURN; END IF; END LOOP; END $$")
	}()
	time.Sleep(500 * time.Millisecond)
	pid := s.PID()
	_ = syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "the engine answers again", func() bool { return s.PID() != pid && try(t, s, "SELECT 1") == nil })
	<-done
}

func TestHopelessEngineIsGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		s := start(t, Options{DataDir: dir, Engine: kind, restartDelays: []time.Duration{0, time.Millisecond}})
		if kind == Postgres {
			damage(t, filepath.Join(dir, Postgres, "global", "pg_control"))
		} else {
			for _, path := range mustGlob(t, filepath.Join(dir, Cockroach, "MANIFEST-*")) {
				damage(t, path)
			}
		}
		_ = syscall.Kill(s.PID(), syscall.SIGKILL)
		select {
		case <-s.Done():
		case <-time.After(time.Minute):
			t.Fatal("not given up")
		}
		oneLine(t, s.Err(), ErrNotStarted)
	})
}

func damage(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, 256), 0); err != nil {
		t.Fatal(err)
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	return found
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		for _, wait := range []time.Duration{1, 150, 300, 400, 500, 600, 700, 800, 1000} {
			wait *= time.Millisecond
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			if s, err := Start(ctx, Options{DataDir: dir, Engine: kind}); err == nil {
				stop(t, s)
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v", wait, err)
			}
			cancel()
		}
		start(t, Options{DataDir: dir, Engine: kind})
		if left := len(mustGlob(t, filepath.Join(dir, "*"))); left > 5 {
			t.Errorf("%d files are left in the folder", left)
		}
	})
}
