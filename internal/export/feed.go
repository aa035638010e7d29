package export

import (
	"context"
	"time"

	"florin/internal/platform/database"
)

// feed is where completed transactions come from, in the order of their commits.
// Each engine has its own. It keeps nothing in memory between calls: the position
// is all there is to go on from, in the next call or after a restart.
type feed interface {
	// Begin has the engine keep whatever is committed from now on, calls each for
	// every transaction before that, in the order of their ids, and returns the
	// position and the time that the history ends at. Called again it forgets the
	// earlier beginning. Returns FeedUnavailable when the engine is not set up for
	// exports.
	Begin(ctx context.Context, each func(transaction) error) (start, error)
	// Next returns what was committed after a position that Begin or Next
	// returned. The same call again returns the same transactions, and perhaps
	// more. Returns HistoryLost when the engine does not have all of them any more.
	Next(ctx context.Context, position string, rowsMax int) (batch, error)
	// Confirm lets the engine forget what was committed up to a position.
	Confirm(ctx context.Context, position string) error
}

// start is where history ends and the feed begins.
type start struct {
	at       time.Time
	position string
}

// batch is what Next returns.
type batch struct {
	transactions []transaction
	// resolvedAt is a time such that everything committed before it is in this
	// batch or an earlier one. Zero when that is no later than for the batch before.
	resolvedAt time.Time
	position   string
	// more says that the batch was full: the next call need not wait.
	more bool
}

func newFeed(db *database.DB, exportID string) feed {
	if db.Engine == database.Cockroach {
		return &cockroachFeed{db: db}
	}
	return newPostgresFeed(db, exportID)
}

// releaseFeed drops what an export keeps on the database's server. Releasing
// again does nothing.
func releaseFeed(ctx context.Context, db *database.DB, exportID string) error {
	if db.Engine == database.Cockroach {
		return nil // it keeps nothing there
	}
	return newPostgresFeed(db, exportID).release(ctx)
}
