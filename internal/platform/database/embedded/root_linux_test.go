package embedded

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const hasDeathSignal = true

func TestRootRunsPostgresAsSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	ownerOf := func(path string) uint32 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	parent := t.TempDir()
	open := func(mode os.FileMode) {
		for _, dir := range []string{filepath.Dir(parent), parent} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := filepath.Join(parent, "data")
	o := Options{DataDir: dir, Engine: Postgres, Unsafe: true}

	// Closed, open, closed again, and once more: the data goes along each time.
	open(0o700)
	s := start(t, o)
	run(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
	for _, mode := range []os.FileMode{0o755, 0o700, 0o755, 0o755} {
		stop(t, s)
		open(mode)
		s = start(t, o)
		if got := ask(t, s, "SELECT n::text FROM kept"); got != "42" {
			t.Fatalf("kept %s", got)
		}
		as := s.nodes[0].engine.(*postgres).as
		if as.namespace != (mode == 0o700) {
			t.Errorf("mode %o: runs as %s", mode, as.name)
		}
		if got := ownerOf(filepath.Join(dir, Postgres)); got != uint32(as.uid) {
			t.Errorf("mode %o: the data belongs to %d, the process to %d", mode, got, as.uid)
		}
	}
	stop(t, s)

	// A folder behind a user's closed door is that user's to run.
	const alice = 4242
	open(0o700)
	for _, path := range []string{filepath.Dir(parent), parent} {
		if err := os.Chown(path, alice, alice); err != nil {
			t.Fatal(err)
		}
	}
	s = start(t, o)
	if got := ownerOf(filepath.Join(dir, Postgres)); got != alice {
		t.Errorf("the data belongs to %d", got)
	}
	stop(t, s)
	for _, path := range []string{filepath.Dir(parent), parent} {
		if err := os.Chown(path, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
