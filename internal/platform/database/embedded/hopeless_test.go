package embedded

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"florin/internal/platform/process"
)

func TestBrokenDataFolderIsNamed(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "/proc/nowhere"} {
		_, err := Start(bounded(t), Options{DataDir: dir})
		oneLine(t, err, ErrBrokenDataDir)
	}

	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true})
	stop(t, s)
	data := filepath.Join(dir, Postgres)

	// Each case spoils one thing and puts it back.
	spoil := func(name, path string, text []byte, words ...string) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(data, path)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, path, text)
			defer rewrite(t, path, whole)
			_, err = Start(bounded(t), Options{DataDir: dir, Engine: Postgres, Unsafe: true})
			oneLine(t, err, ErrBrokenDataDir, words...)
		})
	}
	spoil("version", "PG_VERSION", []byte("9\n"), "PostgreSQL 9", "move the folder away")
	spoil("no version", "PG_VERSION", []byte("new\n"), "PG_VERSION")
	spoil("control file", "global/pg_control", make([]byte, 8192), "FATAL:", filepath.Join(dir, "postgres.log"))
	spoil("short control file", "global/pg_control", nil, "PANIC:", filepath.Join(dir, "postgres.log"))
	spoil("password", postgresPassword, []byte("wrong\n"), "password")
	spoil("configuration", "postgresql.conf", []byte("no_such_setting = 1\n"), "no_such_setting", "postgres.log")

	t.Run("nothing is wrong any more", func(t *testing.T) {
		start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true})
	})
	t.Run("not a cluster", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, Postgres, "base"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Start(bounded(t), Options{DataDir: dir, Engine: Postgres})
		oneLine(t, err, ErrBrokenDataDir, "PG_VERSION")
	})
	t.Run("unwritable", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root writes anywhere")
		}
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // a folder needs x
			t.Fatal(err)
		}
		_, err := Start(bounded(t), Options{DataDir: dir, Engine: Postgres})
		oneLine(t, err, ErrBrokenDataDir, "permission denied")
	})
}

func TestBrokenCockroachStoreIsNamed(t *testing.T) {
	if _, err := Lookup(Cockroach); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	stop(t, start(t, Options{DataDir: dir, Engine: Cockroach}))
	for _, path := range mustGlob(t, filepath.Join(dir, Cockroach, "MANIFEST-*")) {
		damage(t, path)
	}
	_, err := Start(bounded(t), Options{DataDir: dir})
	oneLine(t, err, ErrBrokenDataDir, "MANIFEST", filepath.Join(dir, "cockroach.log"))
}

// rewrite changes a file's content and keeps its owner.
func rewrite(t *testing.T, path string, text []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		t.Fatal(err)
	}
}

func TestHalfMadeClusterIsMadeAnew(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, path := range []string{scratchPrefix + "123/data", Postgres} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true})
	if left, _ := filepath.Glob(filepath.Join(dir, scratchPrefix+"*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestStalePostmasterPID(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	s := start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true})
	lock := filepath.Join(dir, Postgres, "postmaster.pid")
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	as := s.nodes[0].engine.(*postgres).as

	// Process 1 lives, and is no PostgreSQL of ours.
	_, rest, _ := strings.Cut(string(text), "\n")
	for name, stale := range map[string]string{"another program's": "1\n" + rest, "empty": ""} {
		if err := as.writeFile(lock, []byte(stale)); err != nil {
			t.Fatal(err)
		}
		s, err := Start(bounded(t), Options{DataDir: dir, Unsafe: true})
		if err != nil {
			t.Fatalf("%s pid: %v", name, err)
		}
		stop(t, s)
	}

	// A PostgreSQL whose state was lost is left alone, and named.
	owner, engine := startOwner(t, Postgres, dir, true)
	_ = owner.Kill()
	_, _ = owner.Wait()
	if err := os.Remove(filepath.Join(dir, stateFile)); err != nil {
		t.Fatal(err)
	}
	_, err = Start(bounded(t), Options{DataDir: dir})
	oneLine(t, err, ErrInUse, "kill -INT "+strconv.Itoa(engine))
	_ = syscall.Kill(engine, syscall.SIGINT)
	eventually(t, "it has ended", func() bool { return process.Identify(engine) == "" })
	start(t, Options{DataDir: dir})
}

func TestTakenPortIsChosenAnew(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		s := start(t, Options{DataDir: dir, Engine: kind, Unsafe: true})
		port := s.nodes[0].port
		stop(t, s)
		other := start(t, Options{DataDir: t.TempDir(), Engine: kind, Unsafe: true})
		// Pretend that the first folder had the port which the second now has.
		f := &folder{path: dir}
		if err := f.writeState(state{Engine: kind, Port: other.nodes[0].port}); err != nil {
			t.Fatal(err)
		}
		again := start(t, Options{DataDir: dir, Engine: kind, Unsafe: true})
		if again.nodes[0].port == other.nodes[0].port || port == 0 {
			t.Fatalf("both listen on %d", other.nodes[0].port)
		}
	})
}

func TestEngineChoice(t *testing.T) {
	program := func(name, script string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(script), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("a wrong COCKROACH_BINARY", func(t *testing.T) {
		for _, path := range []string{"/nowhere/cockroach", program("cockroach", "", 0o600), t.TempDir()} {
			t.Setenv("COCKROACH_BINARY", path)
			for _, kind := range []string{Auto, Cockroach} {
				_, err := Start(bounded(t), Options{DataDir: t.TempDir(), Engine: kind})
				oneLine(t, err, ErrBadBinary, "COCKROACH_BINARY", path)
			}
		}
	})
	t.Run("a COCKROACH_BINARY that is something else", func(t *testing.T) {
		t.Setenv("COCKROACH_BINARY", program("cockroach", "#!/bin/sh\necho 'ERROR: not a database' >&2\nexit 7\n", 0o700))
		_, err := Start(bounded(t), Options{DataDir: t.TempDir()})
		oneLine(t, err, ErrNotStarted, "exit status 7", "not a database")
		t.Setenv("COCKROACH_BINARY", program("cockroach", "\x7fELF no", 0o700))
		_, err = Start(bounded(t), Options{DataDir: t.TempDir()})
		oneLine(t, err, ErrBadBinary)
	})
	t.Run("PostgreSQL data outlives a new cockroach program", func(t *testing.T) {
		if _, err := Lookup(Postgres); err != nil {
			t.Skip(err)
		}
		dir := t.TempDir()
		stop(t, start(t, Options{DataDir: dir, Engine: Postgres, Unsafe: true}))
		t.Setenv("COCKROACH_BINARY", program("cockroach", "#!/bin/sh\nexit 7\n", 0o700))
		if s := start(t, Options{DataDir: dir, Unsafe: true}); s.Engine() != Postgres {
			t.Fatalf("auto took %s", s.Engine())
		}
	})
	t.Run("nothing is installed", func(t *testing.T) {
		t.Setenv("COCKROACH_BINARY", "")
		t.Setenv("PATH", t.TempDir())
		defer func(places []string) { postgresPlaces = places }(postgresPlaces)
		postgresPlaces = nil
		_, err := Start(bounded(t), Options{DataDir: t.TempDir()})
		oneLine(t, err, ErrNoEngine, "install PostgreSQL 15 or newer, or set COCKROACH_BINARY")

		old := program("postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n", 0o700)
		if err := os.WriteFile(filepath.Join(filepath.Dir(old), "initdb"), nil, 0o700); err != nil {
			t.Fatal(err)
		}
		postgresPlaces = []string{filepath.Dir(old)}
		_, err = Start(bounded(t), Options{DataDir: t.TempDir()})
		oneLine(t, err, ErrNoEngine, "PostgreSQL 13 in", "too old")
	})
	t.Run("an unknown name", func(t *testing.T) {
		if _, err := Start(bounded(t), Options{DataDir: t.TempDir(), Engine: "mysql"}); err == nil || !strings.Contains(err.Error(), "mysql") {
			t.Fatal(err)
		}
	})
}
