package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a running engine: a child of ours, or an orphan we adopted.
type process struct {
	pid    int
	os     *os.Process
	exited chan struct{}
	how    string // how it ended, once exited is closed
}

// rung is one step of stopping: a signal, and how long to wait for its effect.
type rung struct {
	signal  syscall.Signal
	timeout time.Duration
}

// spawn starts cmd in a process group of its own, so that Ctrl-C in a terminal
// reaches us alone and we stop the engine in order.
//
// The system signals the engine when the thread that started it ends (see
// childAttributes). The goroutine that starts it therefore keeps its thread to
// itself and stays until the engine is gone: that thread ends only with us.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid, p.os = cmd.Process.Pid, cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		p.how = cmd.ProcessState.String()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// watch follows a process that is not our child.
func watch(pid int, identity string) *process {
	p := &process{pid: pid, exited: make(chan struct{}), how: "gone"}
	p.os, _ = os.FindProcess(pid)
	go func() {
		for identify(pid) == identity {
			time.Sleep(500 * time.Millisecond)
		}
		close(p.exited)
	}()
	return p
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// stop climbs the ladder until the process has ended. ctx cuts short the first
// rung, the kind one; those after it have short bounds of their own.
func (p *process) stop(ctx context.Context, ladder []rung) error {
	for i, r := range ladder {
		var cut <-chan struct{}
		if i == 0 && len(ladder) > 1 {
			if ctx.Err() != nil {
				continue
			}
			cut = ctx.Done()
		}
		if !p.running() {
			return nil
		}
		_ = p.os.Signal(r.signal)
		limit := time.NewTimer(r.timeout)
		select {
		case <-p.exited:
		case <-limit.C:
		case <-cut:
		}
		limit.Stop()
	}
	if p.running() {
		return fmt.Errorf("database engine (process %d) does not end even when killed: look at its state with ps", p.pid)
	}
	return nil
}

// stopLadder is how an engine is asked to end, ever less kindly.
func stopLadder(kind string, unsafe bool) []rung {
	switch {
	case kind == Postgres:
		// Fast shutdown, then immediate shutdown, which ends the backends too.
		return []rung{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}}
	case unsafe:
		// The data is in memory: nothing to save.
		return []rung{{syscall.SIGKILL, 10 * time.Second}}
	default:
		return []rung{{syscall.SIGTERM, 30 * time.Second}, {syscall.SIGKILL, 10 * time.Second}}
	}
}

// runBound runs cmd to its end from a thread of its own, for the reason that
// spawn gives.
func runBound(cmd *exec.Cmd) error {
	p, err := spawn(cmd)
	if err != nil {
		return err
	}
	<-p.exited
	if !cmd.ProcessState.Success() {
		return errors.New(p.how)
	}
	return nil
}
