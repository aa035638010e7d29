package export

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/clock"
)

// watchMetrics shows what was seen last. The lag is computed when it is asked
// for, so that it grows while the database does not answer.
type watchMetrics struct {
	clock  clock.Clock
	latest atomic.Pointer[[]sighting]

	lag, status, used, retained, walStatus *prometheus.Desc
}

func newWatchMetrics(registry prometheus.Registerer, now clock.Clock) *watchMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"export"}, labels...), nil)
	}
	m := &watchMetrics{
		clock:  now,
		lag:    desc("florin_export_lag_seconds", "Age of the time up to which everything is exported; of the export itself before there is one."),
		status: desc("florin_export_status", "1 for the status that the export is in.", "status"),
		used: desc("florin_export_gc_window_used_ratio",
			"How much of the time that CockroachDB keeps what comes next the lag is; 1 means that it is lost. protected: kept for the export, beyond the GC window.", "protected"),
		retained:  desc("florin_export_wal_retained_bytes", "WAL that the export's replication slot holds up on PostgreSQL's disk."),
		walStatus: desc("florin_export_wal_status", "1 for the state of the WAL that the replication slot needs: reserved, extended, unreserved (soon lost) or lost.", "wal_status"),
	}
	registry.MustRegister(m)
	return m
}

func (m *watchMetrics) show(seen []sighting) { m.latest.Store(&seen) }

// Describe is for prometheus.
func (m *watchMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lag, m.status, m.used, m.retained, m.walStatus} {
		descs <- d
	}
}

// Collect is for prometheus.
func (m *watchMetrics) Collect(metrics chan<- prometheus.Metric) {
	seen := m.latest.Load()
	if seen == nil {
		return
	}
	now := m.clock()
	for _, s := range *seen {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{s.ID}, labels...)...)
		}
		s.lag = s.Lag(now)
		gauge(m.lag, s.lag.Seconds())
		gauge(m.status, 1, string(s.Status))
		if s.keeps > 0 {
			gauge(m.used, s.used(), strconv.FormatBool(s.Kind == Changefeed))
		}
		if s.slot != nil {
			gauge(m.retained, float64(s.slot.retained))
			gauge(m.walStatus, 1, s.slot.walStatus)
		}
	}
}
