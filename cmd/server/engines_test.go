package main_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// binary is the program, built once for all tests: they start it, kill it, and
// talk to it as its users do.
var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "florin-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "florin")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build: %v\n%s", err, out))
	}
	// The tests mostly wait for engines to start and end, and for leases. What the
	// command line says comes later and wins.
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// isLong says that loops which a few rounds prove shall have many.
var isLong = os.Getenv("FLORIN_TEST_LONG") != ""

// eachEngine runs a test with `florin dev` on every engine found.
func eachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	t.Helper()
	for _, engine := range []string{"postgres", "cockroach"} {
		if engine == "cockroach" && os.Getenv("COCKROACH_BINARY") == "" {
			if _, err := exec.LookPath("cockroach"); err != nil {
				t.Log("ON POSTGRESQL ONLY: no CockroachDB found")
				continue
			}
		}
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// master is a data folder that a `florin dev` has made and left in order.
type master struct {
	once sync.Once
	dir  string
}

var masters = map[string]*master{"postgres": {}, "cockroach": {}}

// migrated is a data folder of the test's own with a migrated, empty database: a
// copy of one that `florin dev` made, since to migrate takes CockroachDB longer
// than most tests.
func migrated(t *testing.T, engine string) string {
	t.Helper()
	m := masters[engine]
	m.once.Do(func() {
		dir := filepath.Join(filepath.Dir(binary), engine)
		p := dev(t, engine, dir)
		p.stop(syscall.SIGINT)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("Ctrl-C ended it with code %d:\n%s", code, p.out)
		}
		m.dir = dir
	})
	if m.dir == "" {
		t.Fatal("no data folder could be made")
	}
	copied := filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("cp", "-a", m.dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("copy a data folder: %v\n%s", err, out)
	}
	// Each copy's engine has a port of its own.
	if err := os.Remove(filepath.Join(copied, "engine.json")); err != nil {
		t.Fatal(err)
	}
	return copied
}
