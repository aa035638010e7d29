package api

import (
	"net/http"
	"time"

	"florin/internal/identity"
)

// How the system is doing.

const tagOverview = "Overview"

var exampleOverview = func() Overview {
	balanced, replica := true, "replica_q7w3m5x2k4z6n2p7r5t3v6y4a2"
	readAt := exampleTime.Add(-3 * time.Minute)
	return Overview{
		ReadAt: exampleTime, Version: "v1.4.0", Engine: "CockroachDB CCL v25.2.0",
		Activity: Activity{
			From: exampleTime.Add(-time.Hour).Truncate(10 * time.Second), To: exampleTime, BucketSeconds: 10, TransfersPerSecond: 41.5, Completed: 415, Failed: 2,
			Currencies: []CurrencyActivity{{
				Currency: "USD", Completed: 415, Failed: 2, Volume: "12553.75",
				Points: []ActivityPoint{{At: exampleTime.Add(-20 * time.Second).Truncate(10 * time.Second), Completed: 415, Failed: 2, Volume: "12553.75"}},
			}},
			Outcomes: []Outcome{{Code: "ok", Transfers: 415}, {Code: "insufficient_funds", Transfers: 2}},
			Replicas: []ReplicaActivity{{Replica: replica, Region: "us-east1", Completed: 415, Failed: 2, LastActiveAt: exampleTime.Add(-20 * time.Second).Truncate(10 * time.Second)}},
		},
		Executor: Executor{Replica: replica, Region: "us-east1", Since: exampleTime.Add(-time.Hour), Queue: 3, QueueMax: 20000, Retried: 1},
		Waiting: Waiting{
			Transfers: Queue{Count: 1, Since: &exampleEvent}, Reviews: &Queue{Count: 1, Since: &exampleEvent}, Approvals: &Queue{},
		},
		Exports: []Export{exampleExport},
		Proofs: []Proof{{
			Kind: "BALANCES", ReadAt: readAt, RecordedAt: readAt.Add(time.Second), RecordedBy: replica, IsBalanced: true,
			Sums: []CurrencySum{{Currency: "USD", Accounts: 3, Sum: "0.00"}},
		}},
		IsBalanced: &balanced, LastBalanceAt: &readAt,
	}
}()

var overviewEndpoint = endpoint{
	id: "getOverview", method: http.MethodGet, path: "/api/v1/overview", tag: tagOverview,
	needs: allow(identity.TransactionRead), reachesAll: true,
	summary:     "See how the system is doing",
	description: "What all replicas executed, what waits, whether the books balance, and how this replica is. Cheap enough to be asked for every few seconds: nothing in it reads more of a large ledger than of a small one. Each caller sees of it what he may read elsewhere. The activity is counted in memory and written every five seconds: a replica that crashes loses up to that much of these figures, and nothing of the books.",
	answer:      exampleOverview,
}
