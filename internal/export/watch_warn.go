package export

import (
	"fmt"
	"strings"
	"time"
)

// warnAt is the share of what the database keeps from which an export is warned
// of: half of it is left to do something.
const warnAt = 0.5

// trouble is something about an export that a person should look at.
type trouble struct {
	name   string // stable, one a kind
	detail string
}

// troubles are those of an export at a time.
func (s sighting) troubles(walRetainedMax int64) []trouble {
	var all []trouble
	add := func(name, format string, args ...any) {
		all = append(all, trouble{name, fmt.Sprintf(format, args...)})
	}
	if s.Status == Failed {
		add("failed", "it failed: %s", s.Error)
	}
	if s.used() >= warnAt {
		add("gc_window", "it is %s behind and the database keeps what comes next for %s: see that it goes on, or it ends with a gap",
			s.lag.Round(time.Second), s.keeps)
	}
	if s.needsSlot && s.slot == nil {
		add("slot_missing", "its replication slot is not there: it can't go on; cancel it and export to an empty folder")
	}
	if s.slot == nil {
		return all
	}
	switch s.slot.walStatus {
	case "unreserved":
		add("wal_unreserved", "the server drops the WAL that its replication slot needs with the next checkpoint (max_slot_wal_keep_size): see that it goes on now")
	case "lost":
		add("wal_lost", "the server dropped the WAL that its replication slot needed: it can't go on; cancel it and export to an empty folder")
	}
	if s.slot.retained > walRetainedMax {
		add("wal_retained", "its replication slot holds up %d MiB of WAL on the server's disk: see that it goes on, or cancel it", s.slot.retained>>20)
	}
	return all
}

// warnOfStrays tells each slot that no live export has, once: an exporter that was
// killed just after its export was cancelled leaves one. At one look it may be of
// an export that begins or ends meanwhile.
func (w *Watch) warnOfStrays(slots map[string]*slot) {
	seen := map[string]int{}
	for name, found := range slots {
		if !strings.HasPrefix(name, slotPrefix) {
			continue
		}
		if seen[name] = w.strays[name] + 1; seen[name] == 2 {
			w.options.Log.Warn("a replication slot is of no live export and holds up WAL: see that no exporter runs, then SELECT pg_drop_replication_slot('"+name+"')",
				"slot", name, "retained_bytes", found.retained)
		}
	}
	w.strays = seen
}

// warn tells each trouble once, and once more when it comes back.
func (w *Watch) warn(seen []sighting) {
	held := make(map[string]map[string]bool, len(seen))
	for _, s := range seen {
		now := map[string]bool{}
		for _, t := range s.troubles(w.options.WALRetainedMax) {
			now[t.name] = true
			if !w.told[s.ID][t.name] {
				w.options.Log.Warn("an export needs attention", "export", s.ID, "destination", s.Destination, "trouble", t.name, "detail", t.detail)
			}
		}
		if len(w.told[s.ID]) > 0 && len(now) == 0 {
			w.options.Log.Info("the export is well again", "export", s.ID, "destination", s.Destination)
		}
		held[s.ID] = now
	}
	w.told = held
}
