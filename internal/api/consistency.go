package api

import (
	"context"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Consistency says which time the pages of a list of the books show.
type Consistency struct {
	Consistency string `query:"consistency" enum:"latest,snapshot" default:"latest" doc:"latest: each page as it is when it is asked for. snapshot: all pages as the books were at one time, the first page's readAt, read without waiting for what is under way since. It is some five seconds back; what is newer is not in it. A later page is answered as long as the database keeps that time (4 hours unless configured otherwise), then cursor_expired. On PostgreSQL only postings have snapshots, which are of now and never expire. A cursor is good for the consistency that it was given with."`
}

const snapshotConsistency = "snapshot"

func (c Consistency) isSnapshot() bool { return c.Consistency == snapshotConsistency }

// PageInfo is what a page of a list of the books tells beside its rows.
type PageInfo struct {
	NextCursor string    `json:"nextCursor,omitempty" doc:"Absent on the last page."`
	ReadAt     time.Time `json:"readAt" doc:"The time that the page shows. latest: when the read began, by the server's clock; all that was acknowledged before is in it. snapshot: the snapshot's time by the database's clock, the same on all of its pages; all that was committed by then is in it."`
}

// pageTime is the time that a page shows: as it is told, and as a cursor keeps it,
// zero unless the list is a snapshot.
type pageTime struct {
	readAt   time.Time
	snapshot database.Timestamp
}

func snapshotTime(at database.Timestamp) pageTime { return pageTime{at.Time(), at} }

// read runs fn with a View of the time that was asked for: at is the cursor's,
// zero on the first page.
func (a *api) read(ctx context.Context, c Consistency, at database.Timestamp, fn func(books ledger.View) error) (pageTime, error) {
	if !c.isSnapshot() {
		begun := clock.System()
		return pageTime{readAt: begun}, fn(a.booksFor(ctx).View)
	}
	err := a.booksFor(ctx).Snapshot(ctx, at, func(books ledger.View, t database.Timestamp) error {
		at = t
		return fn(books)
	})
	return snapshotTime(at), err
}
