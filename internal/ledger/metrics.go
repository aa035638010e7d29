package ledger

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The counters that Replica tells too.
const (
	rejectedMetric = "florin_executor_rejected_total"
	halvedMetric   = "florin_executor_batches_halved_total"
	repeatedMetric = "florin_executor_batches_repeated_total"
	unknownMetric  = "florin_executor_unknown_commits_total"
)

type metrics struct {
	batchSize prometheus.Histogram
	outcomes  *prometheus.CounterVec
	rejected  prometheus.Counter
	halved    prometheus.Counter
	repeated  prometheus.Counter
	unknown   prometheus.Counter
	backlog   prometheus.Gauge
	oldest    prometheus.Gauge
	// told has the counters that Replica tells: prometheus gives their values to a
	// registry alone.
	told *prometheus.Registry
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "florin_executor_batch_size",
			Help:    "Commands in one transaction of the executor.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "florin_executor_commands_total",
			Help: "Commands executed, by outcome: ok, or the code of the refusal.",
		}, []string{"outcome"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: rejectedMetric,
			Help: "Commands refused because the queue was full.",
		}),
		halved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: halvedMetric,
			Help: "Batches that were halved after conflicts, a refusal by the database, or because they took too long.",
		}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: repeatedMetric,
			Help: "Batches run again because they held a transfer that was known already.",
		}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: unknownMetric,
			Help: "Commits whose outcome was lost and had to be read again.",
		}),
		backlog: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "florin_accepted_transfers",
			Help: "Transfers accepted and not executed yet, in the whole database, as of the last sweep.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "florin_accepted_transfers_oldest_seconds",
			Help: "Age of the oldest transfer accepted and not executed yet, as of the last sweep.",
		}),
	}
	registry.MustRegister(m.batchSize, m.outcomes, m.rejected, m.halved, m.repeated, m.unknown, m.backlog, m.oldest)
	m.told = prometheus.NewRegistry()
	m.told.MustRegister(m.rejected, m.halved, m.repeated, m.unknown)
	return m
}

// counts are the counters that Replica tells, by name.
func (m *metrics) counts() map[string]int64 {
	families, err := m.told.Gather()
	if err != nil {
		return nil // cannot be: the registry holds four plain counters
	}
	counts := map[string]int64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			counts[family.GetName()] = int64(metric.GetCounter().GetValue())
		}
	}
	return counts
}

func (m *metrics) watchQueue(registry prometheus.Registerer, depth func() float64) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "florin_executor_queue_depth",
		Help: "Commands waiting to be executed.",
	}, depth))
}

func (m *metrics) count(results []Result) {
	for i := range results {
		outcome := "ok"
		if failure := (*Failure)(nil); errors.As(results[i].Err, &failure) {
			outcome = string(failure.Code)
		} else if results[i].Err != nil {
			outcome = "invalid_input"
		}
		m.outcomes.WithLabelValues(outcome).Inc()
	}
}
