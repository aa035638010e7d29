package export

import (
	"strings"
	"testing"
	"time"
)

func TestTroubles(t *testing.T) {
	running := Export{Status: Running}
	cases := []struct {
		name string
		seen sighting
		want string
	}{
		{"well on CockroachDB", sighting{Export: running, lag: time.Minute, keeps: 4 * time.Hour}, ""},
		{"half the window", sighting{Export: running, lag: 2 * time.Hour, keeps: 4 * time.Hour}, "gc_window"},
		{"failed", sighting{Export: Export{Status: Failed}, lag: 3 * time.Hour, keeps: 4 * time.Hour}, "failed gc_window"},
		{"well on PostgreSQL", sighting{Export: running, lag: 9 * time.Hour, slot: &slot{"extended", 10}, needsSlot: true}, ""},
		{"much WAL", sighting{Export: running, slot: &slot{"extended", 11}, needsSlot: true}, "wal_retained"},
		{"soon lost", sighting{Export: running, slot: &slot{"unreserved", 11}, needsSlot: true}, "wal_unreserved wal_retained"},
		{"lost", sighting{Export: running, slot: &slot{"lost", 0}, needsSlot: true}, "wal_lost"},
		{"no slot", sighting{Export: running, needsSlot: true}, "slot_missing"},
		{"no slot yet", sighting{Export: running}, ""},
	}
	for _, test := range cases {
		var names []string
		for _, trouble := range test.seen.troubles(10) {
			names = append(names, trouble.name)
			if trouble.detail == "" {
				t.Errorf("%s: %s has no detail", test.name, trouble.name)
			}
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: %q; want %q", test.name, got, test.want)
		}
	}
}
