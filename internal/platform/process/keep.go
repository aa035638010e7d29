package process

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"florin/internal/platform/clock"
)

// stableAfter is how old a program must be to have its restarts forgiven.
const stableAfter = 10 * time.Second

// restartDelays are the pauses before each try to start a dead program again.
var restartDelays = []time.Duration{
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
	5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second,
}

// Keeper keeps a program running.
type Keeper struct {
	// Name is what the log calls the program.
	Name string
	// Launch starts it again. When it fails, nothing is left running.
	Launch func(ctx context.Context) (*Process, error)
	// Delays are the pauses before each try in a row; nil means eight tries in
	// about a minute.
	Delays []time.Duration
	// Log receives a line for each death and each try that failed.
	Log *slog.Logger
}

// Keep starts the program again whenever it dies, p being the first to watch. It
// returns nil when ctx ends, without stopping the program, and an error when
// every try in a row has failed.
func (k Keeper) Keep(ctx context.Context, p *Process) error {
	if k.Delays == nil {
		k.Delays = restartDelays
	}
	for tries := 0; ; {
		hasDied, wasStable := watch(ctx, p)
		if !hasDied {
			return nil
		}
		if wasStable {
			tries = 0
		}
		for died := p; p == died; {
			if tries == len(k.Delays) {
				return fmt.Errorf("process %d died (%s) and %d tries to start it again failed", died.PID, died.How(), tries)
			}
			if !clock.Sleep(ctx, k.Delays[tries]) {
				return nil
			}
			tries++
			next, err := k.Launch(ctx)
			switch {
			case err == nil:
				k.Log.Warn(k.Name+" died and was started again",
					"died_pid", died.PID, "died_how", died.How(), "pid", next.PID, "try", tries)
				p = next
			case ctx.Err() != nil:
				return nil //nolint:nilerr // told to end, not failed
			default:
				k.Log.Error("a try to start the dead "+k.Name+" again failed", "try", tries, "tries", len(k.Delays), "error", err)
			}
		}
	}
}

// watch waits until p has died, and says whether it had become stable before, or
// until ctx ends.
func watch(ctx context.Context, p *Process) (hasDied, wasStable bool) {
	old := time.NewTimer(stableAfter)
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, wasStable
		case <-p.exited:
			return true, wasStable
		case <-old.C:
			wasStable = true
		}
	}
}
