package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/platform/database"
)

// Snapshot runs fn with a View of the books at one moment, and tells which. The
// zero time begins a new snapshot, of some seconds ago, which locks taken since
// then cannot hold up; the time of an earlier one shows the same again.
//
// Returns database.ErrSnapshotGone, database.ErrSnapshotInFuture, and on
// PostgreSQL database.ErrNoPast.
func (l *Ledger) Snapshot(ctx context.Context, at database.Timestamp, fn func(books View, at database.Timestamp) error) error {
	moment := database.Follower
	if !at.IsZero() {
		moment = database.At(at)
	}
	return l.snapshot(ctx, moment, fn)
}

func (l *Ledger) snapshot(ctx context.Context, moment database.Moment, fn func(books View, at database.Timestamp) error) error {
	return l.reads.SnapshotAt(ctx, moment, func(tx pgx.Tx, at database.Timestamp) error {
		return fn(View{queries: ledgerdb.New(tx), reach: l.reach}, at)
	})
}

// PostingsSnapshot is Postings in a Snapshot, on every engine: PostgreSQL begins
// with the newest, and shows an earlier time again by what a posting is. It never
// changes and its account's numbers have no gap, so those below a number that was
// seen once are the same whenever they are read. There an earlier time wants
// beforeSeq, and lasts for ever.
//
// Returns the snapshot's time too, database.ErrSnapshotInFuture, and
// database.ErrSnapshotGone, on PostgreSQL for a time that is not the one at which
// beforeSeq was seen.
func (l *Ledger) PostingsSnapshot(ctx context.Context, at database.Timestamp, accountID string, from, to time.Time, beforeSeq int64, limit int) (postings []Posting, shown database.Timestamp, err error) {
	read := func(books View, at database.Timestamp) error {
		postings, err = books.Postings(ctx, accountID, from, to, beforeSeq, limit)
		shown = at
		return err
	}
	switch {
	case l.reads.Engine == database.Cockroach:
		err = l.Snapshot(ctx, at, read)
	case at.IsZero():
		err = l.snapshot(ctx, database.Newest, read)
	case at.Time().After(l.clock().Add(settleTime)):
		err = fmt.Errorf("%w: %s", database.ErrSnapshotInFuture, at.Time())
	default:
		if err = read(l.View, at); err == nil && len(postings) > 0 && postings[0].CreatedAt.After(at.Time().Add(settleTime)) {
			err = fmt.Errorf("%w: posting %d is younger than it", database.ErrSnapshotGone, postings[0].Seq)
		}
	}
	return postings, shown, err
}
