package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"florin/internal/platform/database/embedded"
	"florin/internal/platform/process"
)

// replica is the server of one region, `florin serve` in a process of its own.
type replica struct {
	region  string
	at      addresses
	dataDir string
	program string
	env     []string
	log     *slog.Logger

	mu      sync.Mutex
	process *process.Process
}

// newReplica makes the replica that stands beside node, with the flags of this
// command.
func (c *devCommand) newReplica(node embedded.Node, at addresses, log *slog.Logger) (*replica, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	flags := c.serverFlags
	flags.Addr, flags.OpsAddr, flags.Region = at.api, at.ops, node.Region
	if c.hasOwnRole {
		// Queries of the console go to the nearest node, too.
		if flags.ReportingURL, err = asRole(node.URL, devRole, c.rolePassword); err != nil {
			return nil, err
		}
	}
	return &replica{
		region: node.Region, at: at, dataDir: c.DataDir, program: program,
		env: append(environment(flags), "FLORIN_DATABASE_URL="+node.URL),
		log: log.With("region", node.Region, "address", at.api),
	}, nil
}

// environment is how flags are handed to another process: unlike arguments, it
// does not show the API key to who lists processes.
func environment(flags serverFlags) []string {
	var env []string
	values := reflect.ValueOf(flags)
	for i := range values.NumField() {
		if name := values.Type().Field(i).Tag.Get("env"); name != "" {
			env = append(env, fmt.Sprintf("%s=%v", name, values.Field(i).Interface()))
		}
	}
	return env
}

// replicaLadder lets a replica finish the requests that it took.
var replicaLadder = []process.Rung{
	{Signal: syscall.SIGTERM, Timeout: shutdownMax + 5*time.Second},
	{Signal: syscall.SIGKILL, Timeout: 5 * time.Second},
}

// run keeps the replica running until ctx ends, and then stops it. It returns an
// error when the replica can't be kept running.
func (r *replica) run(ctx context.Context) error {
	p, err := r.launch(ctx)
	if err != nil {
		return err
	}
	keeper := process.Keeper{Name: "server", Launch: r.launch, Log: r.log}
	if err := keeper.Keep(ctx, p); err != nil {
		return fmt.Errorf("the server of %s can't be kept running: %w: see %s", r.region, err, r.logPath())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process.Stop(context.WithoutCancel(ctx), replicaLadder)
}

func (r *replica) launch(context.Context) (*process.Process, error) {
	output, err := process.OpenLog(r.logPath())
	if err != nil {
		return nil, fmt.Errorf("log of the server of %s: %w", r.region, err)
	}
	defer output.Close()
	cmd := exec.Command(r.program, "serve")
	cmd.Env = append(os.Environ(), r.env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = process.Attributes(syscall.SIGKILL)
	p, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start the server of %s: %w", r.region, err)
	}
	r.mu.Lock()
	r.process = p
	r.mu.Unlock()
	return p, nil
}

// waitReady waits until the replica serves.
func (r *replica) waitReady(ctx context.Context) error {
	const pause = 50 * time.Millisecond
	client := http.Client{Timeout: 5 * time.Second}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base()+"/readyz", nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (r *replica) pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process.PID
}

func (r *replica) base() string { return "http://" + r.at.api }

func (r *replica) logName() string { return "server-" + r.region + ".log" }

func (r *replica) logPath() string { return filepath.Join(r.dataDir, r.logName()) }
