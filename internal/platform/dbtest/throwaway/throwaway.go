// Package throwaway starts database engines that end with the tests: nothing of
// them has to outlive a crash, and each serves many small databases.
package throwaway

import (
	"context"
	"log/slog"
	"os"

	"florin/internal/platform/database/embedded"
)

// Own, in place of a database's URL, tells a test package to start a server of its
// own, in a folder of its own beneath the one that FolderEnv names, and to leave that
// folder, whose logs are looked at afterwards.
const (
	Own       = "own"
	FolderEnv = "FLORIN_TEST_FOLDER"
)

// memoryVariable is Go's own, for how large a program's heap may grow before it is
// collected all the time.
const memoryVariable = "GOMEMLIMIT"

// memoryMax lets CockroachDB's heap grow with the number of databases: from what
// the embedded engine gives it, it takes a limit of 576 MiB, and near that spends
// half of its time collecting.
const memoryMax = "2GiB"

// cockroachSettings leave out what costs time in a cluster of many small tables
// and shows nobody anything.
var cockroachSettings = []string{
	// Tests that need statistics make them.
	"sql.stats.automatic_collection.enabled=false",
	// A job that is resumed runs at once, not within half a minute.
	"jobs.registry.interval.adopt=500ms",
	"timeseries.storage.enabled=false",
	"keyvisualizer.enabled=false",
	// Each table in a range of its own, as large ones are anyway: one that shares its
	// range with a table that becomes GLOBAL can't be written until they are split.
	"spanconfig.storage_coalesce_adjacent.enabled=false",
}

// Start starts an engine in a folder, with further cluster settings for
// CockroachDB. The caller stops it. Returns what embedded.Start does.
func Start(ctx context.Context, kind, dir string, settings []string, log *slog.Logger) (*embedded.Server, error) {
	o := embedded.Options{DataDir: dir, Engine: kind, Unsafe: true, Log: log}
	if kind == embedded.Cockroach {
		o.ClusterSettings = append(cockroachSettings[:len(cockroachSettings):len(cockroachSettings)], settings...)
		// An engine inherits our environment. On us it has no effect any more.
		if _, isSet := os.LookupEnv(memoryVariable); !isSet {
			if err := os.Setenv(memoryVariable, memoryMax); err != nil {
				return nil, err
			}
			defer os.Unsetenv(memoryVariable)
		}
	}
	return embedded.Start(ctx, o)
}
