package database

import (
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/clock"
)

// Metrics are the retry loop's figures. Make one a process and pass it to every
// pool.
type Metrics struct {
	retries   *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

// NewMetrics registers the retry loop's figures. It panics when called twice for
// one registry.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "florin_transaction_retries_total",
			Help: "Transactions run again, by name and reason (conflict, unavailable).",
		}, []string{"name", "reason"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "florin_transaction_seconds",
			Help:    "Duration of transactions with all their retries, by name and outcome.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"name", "outcome"}),
	}
	registry.MustRegister(m.retries, m.durations)
	return m
}

func (m *Metrics) transaction(name string) func(outcome string) {
	elapsed := clock.Stopwatch()
	return func(outcome string) {
		m.durations.WithLabelValues(name, outcome).Observe(elapsed().Seconds())
	}
}

// WatchPool registers a pool's use of connections under a name such as "api".
func WatchPool(registry prometheus.Registerer, name string, db *DB) {
	gauge := func(metric, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "florin_pool_" + metric, Help: help,
			ConstLabels: prometheus.Labels{"pool": name},
		}, value))
	}
	gauge("connections_max", "Connections that the pool may open.", func() float64 { return float64(db.Stat().MaxConns()) })
	gauge("connections_open", "Connections that are open.", func() float64 { return float64(db.Stat().TotalConns()) })
	gauge("connections_busy", "Connections in use.", func() float64 { return float64(db.Stat().AcquiredConns()) })
	gauge("waits", "Times that a caller had to wait for a connection, since the start.", func() float64 { return float64(db.Stat().EmptyAcquireCount()) })
}
