package audit

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/id"
)

// payments are events as the ledger makes them.
func payments(n int) []Event {
	events := make([]Event, n)
	origin := Origin{ActorKind: "key", ActorID: id.New("key"), Role: "operator", Address: "192.0.2.1", RequestID: id.New("req")}
	for i := range events {
		after := fmt.Sprintf(`{"amount":"%d.00","currency":"USD","source":%q,"destination":%q}`, i, id.New("acc"), id.New("acc"))
		events[i] = Event{Action: "transaction.completed", TargetKind: "transaction", TargetID: id.New("tx"), After: json.RawMessage(after), Result: OK, Origin: origin}
	}
	return events
}

// BenchmarkQueue is what chaining a thousand events costs this program.
func BenchmarkQueue(b *testing.B) {
	events, j := payments(1000), NewJournal()
	b.ReportAllocs()
	for b.Loop() {
		var batch pgx.Batch
		j.Queue(&batch, clock.System(), events).Committed()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
}
