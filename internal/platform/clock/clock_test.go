package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"florin/internal/platform/clock"
)

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		pause, life, waits time.Duration
		want               bool
	}{
		{"all of it", time.Second, time.Minute, time.Second, true},
		{"cut short", time.Minute, time.Second, time.Second, false},
		{"ended before", time.Minute, 0, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.life)
			defer cancel()
			passed := clock.Stopwatch()
			if got := clock.Sleep(ctx, c.pause); got != c.want || passed() != c.waits {
				t.Errorf("%s: %v after %s; want %v after %s", c.name, got, passed(), c.want, c.waits)
			}
		})
	}
}
