package bench

import (
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/database"
)

// conflictMetric counts what the retry loop of package database ran again.
const conflictMetric = "florin_transaction_retries_total"

// retries are a pool's own figures of the retry loop.
type retries struct {
	registry *prometheus.Registry
	metrics  *database.Metrics
}

func newRetries() *retries {
	registry := prometheus.NewRegistry()
	return &retries{registry: registry, metrics: database.NewMetrics(registry)}
}

func (r *retries) conflicts() int64 {
	families, err := r.registry.Gather()
	if err != nil {
		return 0 // cannot be: the registry holds two plain collectors
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != conflictMetric {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "reason" && label.GetValue() == "conflict" {
					sum += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return int64(sum)
}
