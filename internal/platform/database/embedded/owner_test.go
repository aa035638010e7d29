package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"florin/internal/platform/process"
)

// regionsEnv names the regions that an owner of its own runs.
const regionsEnv = "FLORIN_EMBEDDED_TEST_REGIONS"

// runOwner starts an engine, says so and waits to be killed.
func runOwner(dir string) {
	s, err := Start(context.Background(), Options{
		DataDir: dir, Engine: os.Getenv("FLORIN_EMBEDDED_TEST_ENGINE"),
		keepOrphan: os.Getenv("FLORIN_EMBEDDED_TEST_ORPHAN") != "",
		Regions:    strings.FieldsFunc(os.Getenv(regionsEnv), func(r rune) bool { return r == ',' }),
	})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("ready", s.PID())
	time.Sleep(3 * time.Minute)
	os.Exit(1)
}

// startOwner runs an owner in a process of its own and returns it with the pid
// of its engine.
func startOwner(t *testing.T, kind, dir string, orphan bool) (owner *os.Process, engine int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir, "FLORIN_EMBEDDED_TEST_ENGINE="+kind)
	if orphan {
		cmd.Env = append(cmd.Env, "FLORIN_EMBEDDED_TEST_ORPHAN=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if orphan {
			return
		}
		// It ends with its owner, and its folder goes next.
		for deadline := time.Now().Add(time.Minute); engine != 0 && process.Identify(engine) != "" && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	if _, err := fmt.Fscanf(out, "ready %d\n", &engine); err != nil {
		t.Fatalf("owner did not start: %v", err)
	}
	return cmd.Process, engine
}

func TestSecondOwnerIsRefusedAndMayAttach(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		owner, engine := startOwner(t, kind, dir, false)
		_, err := Start(bounded(t), Options{DataDir: dir, Engine: kind})
		oneLine(t, err, ErrInUse, fmt.Sprint("process ", owner.Pid))

		other := map[string]string{Postgres: Cockroach, Cockroach: Postgres}[kind]
		_, err = Start(bounded(t), Options{DataDir: dir, Engine: other, Attach: true})
		oneLine(t, err, ErrInUse, kind)

		s := start(t, Options{DataDir: dir, Attach: true})
		if !s.Attached() || s.PID() != engine || s.Engine() != kind {
			t.Fatalf("attached %v to pid %d of %s", s.Attached(), s.PID(), s.Engine())
		}
		run(t, s, "CREATE TABLE seen AS SELECT 1 AS n")
		stop(t, s)
		if process.Identify(engine) == "" {
			t.Fatal("Stop of an attached server ended the engine")
		}
	})
}

func TestAttachStartsTheEngineWhenNobodyElseDoes(t *testing.T) {
	if _, err := Lookup(Postgres); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	servers := make([]*Server, 3)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			var err error
			if servers[i], err = Start(bounded(t), Options{DataDir: dir, Engine: Postgres, Attach: true, Unsafe: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	owners := 0
	for _, s := range servers {
		if s != nil && !s.Attached() {
			owners++
			defer stop(t, s)
		}
	}
	if owners != 1 {
		t.Fatalf("%d owners", owners)
	}
}

func TestOrphanIsAdopted(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		owner, engine := startOwner(t, kind, dir, true)
		_ = owner.Kill()
		_, _ = owner.Wait()
		s := start(t, Options{DataDir: dir})
		if s.Engine() != kind || s.PID() != engine || s.Attached() {
			t.Fatalf("engine %s, pid %d not %d, attached %v", s.Engine(), s.PID(), engine, s.Attached())
		}
		run(t, s, "CREATE TABLE kept AS SELECT 42 AS n")

		// An adopted engine is supervised like one of our own.
		_ = syscall.Kill(engine, syscall.SIGKILL)
		eventually(t, "the engine answers again", func() bool { return s.PID() != engine && try(t, s, "SELECT 1") == nil })
		if got := ask(t, s, "SELECT n::text FROM kept"); got != "42" {
			t.Fatalf("kept %s", got)
		}
		stop(t, s)
		if process.Identify(s.PID()) != "" {
			t.Fatal("the engine runs on after Stop")
		}
	})
}

func TestAdoptedEngineIsStopped(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		owner, engine := startOwner(t, kind, dir, true)
		_ = owner.Kill()
		_, _ = owner.Wait()
		s := start(t, Options{DataDir: dir})
		stop(t, s)
		if process.Identify(engine) != "" {
			t.Fatal("the orphan runs on after Stop")
		}
		// Its other mode is not what this run asks for, so it is not adopted.
		owner, engine = startOwner(t, kind, dir, true)
		_ = owner.Kill()
		_, _ = owner.Wait()
		s = start(t, Options{DataDir: dir, Unsafe: true})
		if s.PID() == engine || process.Identify(engine) != "" {
			t.Fatal("a safe orphan serves an unsafe run")
		}
	})
}

func TestKilledOwnerLeavesNoOrphanOnLinux(t *testing.T) {
	if !hasDeathSignal {
		t.Skip("no death signal here")
	}
	eachEngine(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		owner, engine := startOwner(t, kind, dir, false)
		_ = owner.Kill()
		_, _ = owner.Wait()
		// A start at once meets the engine while it shuts down but may still answer,
		// and doesn't trust it.
		s := start(t, Options{DataDir: dir})
		if s.PID() == engine {
			t.Error("an engine that is about to end was adopted")
		}
		eventually(t, "the old engine ended", func() bool { return process.Identify(engine) == "" })
		eventually(t, "the engine answers", func() bool { return try(t, s, "SELECT 1") == nil })
	})
}
