// Package clock is the one place that asks the machine what time it is, so that
// everything else can be given another time in a test. It also has the pause that a
// context can end.
package clock

import (
	"context"
	"time"
)

// Clock tells the time, in UTC and in whole microseconds: what the database
// keeps, so that a time read back equals the time written.
type Clock func() time.Time

// System is the machine's clock.
func System() time.Time {
	return time.Now().UTC().Truncate(time.Microsecond)
}

// Stopwatch starts now; each call of what it returns tells the time since, by
// the monotonic clock.
func Stopwatch() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// Sleep waits for d, or until ctx ends. It reports whether d has passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
