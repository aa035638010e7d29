// Package process runs programs beside this one. It starts them so that they
// end with us, ends them in order, and starts them again when they die.
//
// Ctrl-C in a terminal does not reach them: each has a process group of its own,
// and is told by us. On Linux the system signals them when we end without a
// word (kill -9); elsewhere they outlive that.
package process

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

// Process is a running program: a child of ours, or one that Watch follows. Its
// methods may be called from any goroutine.
type Process struct {
	// PID is the process id.
	PID int

	os      *os.Process
	exited  chan struct{}
	how     string
	isBound bool
}

// Rung is one step of stopping: a signal, and how long to wait for its effect.
type Rung struct {
	Signal  syscall.Signal
	Timeout time.Duration
}

// Start starts cmd, whose attributes are those of Attributes, and returns at
// once. It waits for the program in the background.
//
// The system signals a child when the thread that started it ends. The goroutine
// that starts it therefore keeps its thread to itself and stays until the child
// is gone: that thread ends only with us.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{exited: make(chan struct{}), isBound: hasDeathSignal(cmd.SysProcAttr)}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.PID, p.os = cmd.Process.Pid, cmd.Process
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

// Run starts cmd like Start and waits for its end. It returns an error when the
// program could not be started or did not succeed.
func Run(cmd *exec.Cmd) error {
	p, err := Start(cmd)
	if err != nil {
		return err
	}
	<-p.exited
	if !cmd.ProcessState.Success() {
		return errors.New(p.how)
	}
	return nil
}

// Watch follows a process that is not our child; identity is what Identify said
// of it.
func Watch(pid int, identity string) *Process {
	p := &Process{PID: pid, exited: make(chan struct{}), how: "gone"}
	p.os, _ = os.FindProcess(pid)
	go func() {
		for Identify(pid) == identity {
			time.Sleep(500 * time.Millisecond)
		}
		close(p.exited)
	}()
	return p
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// How says how the process ended, as in "signal: killed". It must not be called
// before Exited is closed.
func (p *Process) How() string { return p.how }

// Bound says that the system ends the process when we end.
func (p *Process) Bound() bool { return p.isBound }

// Running says that the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Stop climbs the ladder until the process has ended; it does nothing to one that
// has. ctx cuts short the first rung, the kind one; those after it have short
// bounds of their own. It returns an error when the process outlives all rungs.
func (p *Process) Stop(ctx context.Context, ladder []Rung) error {
	for i, r := range ladder {
		var cut <-chan struct{}
		if i == 0 && len(ladder) > 1 {
			if ctx.Err() != nil {
				continue
			}
			cut = ctx.Done()
		}
		if !p.Running() {
			return nil
		}
		_ = p.os.Signal(r.Signal)
		limit := time.NewTimer(r.Timeout)
		select {
		case <-p.exited:
		case <-limit.C:
		case <-cut:
		}
		limit.Stop()
	}
	if p.Running() {
		return fmt.Errorf("process %d does not end even when killed: look at its state with ps", p.PID)
	}
	return nil
}
