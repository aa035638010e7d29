package export

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/clock"
)

// metrics are one exporter's.
type metrics struct {
	resolvedMicros atomic.Int64 // since 1970; 0 before the first
	rows           prometheus.Counter
	parts          prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, now clock.Clock) *metrics {
	m := &metrics{
		rows:  prometheus.NewCounter(prometheus.CounterOpts{Name: "florin_export_rows_total", Help: "Postings written into parts by this process."}),
		parts: prometheus.NewCounter(prometheus.CounterOpts{Name: "florin_export_parts_total", Help: "Parts written by this process."}),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "florin_export_lag_seconds",
		Help: "Age of the time up to which everything is exported; 0 while history is written for the first time.",
	}, func() float64 {
		micros := m.resolvedMicros.Load()
		if micros == 0 {
			return 0
		}
		return now().Sub(time.UnixMicro(micros)).Seconds()
	})
	registry.MustRegister(m.rows, m.parts, lag)
	return m
}

func (m *metrics) resolved(at time.Time) {
	if !at.IsZero() {
		m.resolvedMicros.Store(at.UnixMicro())
	}
}
