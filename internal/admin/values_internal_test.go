package admin

import (
	"testing"
	"time"
)

func TestSpansAreSaidInTwoUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min",
		3*time.Hour + 12*time.Minute: "3 h 12 min", 49 * time.Hour: "2 d 1 h",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%v is %q; want %q", d, got, want)
		}
	}
}
