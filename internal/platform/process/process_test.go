package process

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func run(t *testing.T, script string) *Process {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = Attributes(syscall.SIGKILL)
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background(), []Rung{{syscall.SIGKILL, 10 * time.Second}}) })
	return p
}

func TestStartReportsHowItEnded(t *testing.T) {
	p := run(t, "exit 7")
	<-p.Exited()
	if p.Running() || p.How() != "exit status 7" {
		t.Errorf("running %v, ended with %q", p.Running(), p.How())
	}
	if _, err := Start(exec.Command("/nowhere/program")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := Run(exec.Command("sh", "-c", "exit 3")); err == nil || err.Error() != "exit status 3" {
		t.Errorf("Run: %v", err)
	}
}

func TestStopClimbsTheLadder(t *testing.T) {
	cmd := exec.Command("sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.05; done`)
	cmd.SysProcAttr = Attributes(syscall.SIGKILL)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd.Stdout = writer
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if _, err := reader.Read(make([]byte, 1)); err != nil { // it is deaf now
		t.Fatal(err)
	}
	err = p.Stop(context.Background(), []Rung{{syscall.SIGTERM, 200 * time.Millisecond}, {syscall.SIGKILL, 10 * time.Second}})
	if err != nil || p.Running() || p.How() != "signal: killed" {
		t.Errorf("%v, running %v", err, p.Running())
	}
	if err := p.Stop(context.Background(), nil); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

func TestStopSkipsTheKindRungWhenTimeIsUp(t *testing.T) {
	p := run(t, `trap "" TERM; while :; do sleep 0.05; done`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Stop(ctx, []Rung{{syscall.SIGTERM, time.Hour}, {syscall.SIGKILL, 10 * time.Second}}); err != nil || p.Running() {
		t.Errorf("%v, running %v", err, p.Running())
	}
}

func TestWatchFollowsAForeignProcess(t *testing.T) {
	p := run(t, "sleep 600")
	w := Watch(p.PID, Identify(p.PID))
	if !w.Running() {
		t.Fatal("it ended at once")
	}
	if err := w.Stop(context.Background(), []Rung{{syscall.SIGKILL, 10 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if Identify(p.PID) != "" {
		t.Error("a process that ended has an identity")
	}
}

func TestKeeperStartsTheProgramAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	launched := make(chan *Process, 10)
	tries := 0
	k := Keeper{
		Name: "program", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Delays: []time.Duration{0, 0},
		Launch: func(context.Context) (*Process, error) {
			if tries++; tries == 1 {
				return nil, errors.New("not yet")
			}
			p := run(t, "sleep 600")
			launched <- p
			return p, nil
		},
	}
	kept := make(chan error, 1)
	first := run(t, "exit 1")
	go func() { kept <- k.Keep(ctx, first) }()
	second := <-launched
	cancel()
	if err := <-kept; err != nil || !second.Running() {
		t.Errorf("%v, running %v", err, second.Running())
	}
}

func TestKeeperGivesUp(t *testing.T) {
	tries := 0
	k := Keeper{
		Name: "program", Log: slog.New(slog.DiscardHandler), Delays: []time.Duration{0, 0, 0},
		Launch: func(context.Context) (*Process, error) {
			tries++
			return run(t, "exit 2"), nil
		},
	}
	err := k.Keep(context.Background(), run(t, "exit 1"))
	if err == nil || !strings.Contains(err.Error(), "exit status 2") || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestLogThatIsTooLongIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		file, err := OpenLog(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("second\n")
	if got, _ := os.ReadFile(path); string(got) != "first\nsecond\n" {
		t.Errorf("%q", got)
	}
	if err := os.Truncate(path, logSizeMax+1); err != nil {
		t.Fatal(err)
	}
	write("third\n")
	got, _ := os.ReadFile(path)
	if _, err := os.Stat(path + ".1"); err != nil || string(got) != "third\n" {
		t.Errorf("%q %v", got, err)
	}
}
