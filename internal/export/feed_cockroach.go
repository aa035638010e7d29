package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"florin/internal/platform/database"
)

// cockroachFeed reads one changefeed a window of time: from the position to now,
// both in MVCC time, which orders all commits of the cluster. A window that
// holds more than fits is halved, so that a long absence is caught up with in
// bounded memory. The position is the window's end.
type cockroachFeed struct {
	db *database.DB
	// span is how long a window may be to hold a part's rows, as learnt from the
	// windows before; 0 means unknown.
	span time.Duration
}

// spanMin is a window that is read whole, however much it holds.
const spanMin = time.Millisecond

var errWindowFull = errors.New("the window holds too much")

// Begin reads history at the time of the call.
func (f *cockroachFeed) Begin(ctx context.Context, each func(transaction) error) (start, error) {
	if err := f.checkServer(ctx); err != nil {
		return start{}, err
	}
	now, err := f.now(ctx)
	if err != nil {
		return start{}, err
	}
	tx, err := f.db.BeginTx(ctx, pgx.TxOptions{BeginQuery: "BEGIN AS OF SYSTEM TIME '" + now.String() + "'"})
	if err != nil {
		return start{}, fmt.Errorf("read history: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep
	return start{at: now.Time(), position: now.String()}, readHistory(ctx, tx, each)
}

// checkServer returns FeedUnavailable, with what to set, unless rangefeeds are on.
func (f *cockroachFeed) checkServer(ctx context.Context) error {
	var isOn bool
	if err := f.db.QueryRow(ctx, "SHOW CLUSTER SETTING kv.rangefeed.enabled").Scan(&isOn); err != nil {
		return fmt.Errorf("read kv.rangefeed.enabled: %w", err)
	}
	if !isOn {
		return FeedUnavailable.Failure("exports need CockroachDB's rangefeeds: SET CLUSTER SETTING kv.rangefeed.enabled = true")
	}
	return nil
}

// now is the cluster's time: every commit acknowledged by now is at or before it,
// but for the clocks of the nodes.
func (f *cockroachFeed) now(ctx context.Context) (database.Timestamp, error) {
	var text string
	if err := f.db.QueryRow(ctx, "SELECT cluster_logical_timestamp()::text").Scan(&text); err != nil {
		return database.Timestamp{}, fmt.Errorf("read the cluster's time: %w", err)
	}
	return database.ParseTimestamp(text)
}

// Next reads the longest window that fits. By a node whose clock is behind the
// position there is nothing to read yet.
func (f *cockroachFeed) Next(ctx context.Context, position string, rowsMax int) (batch, error) {
	from, err := database.ParseTimestamp(position)
	if err != nil {
		return batch{}, FolderMismatch.Failure("%q is no HLC timestamp of CockroachDB: the export was made from another engine", position)
	}
	if err := f.checkServer(ctx); err != nil {
		return batch{}, err
	}
	now, err := f.now(ctx)
	if err != nil {
		return batch{}, err
	}
	if !from.Before(now) {
		return batch{position: position}, nil
	}
	if err := f.checkKept(ctx, from); err != nil {
		return batch{}, err
	}
	for {
		to := now
		if f.span > 0 && now.Time().Sub(from.Time()) > f.span {
			to = database.TimestampOf(from.Time().Add(f.span))
		}
		length := to.Time().Sub(from.Time())
		w := newWindow(from, to)
		if length > spanMin {
			w.rowsMax = rowsMax
		}
		err := f.read(ctx, w)
		if errors.Is(err, errWindowFull) {
			f.span = max(length/2, spanMin)
			continue
		}
		if err != nil {
			return batch{}, err
		}
		if to != now && len(w.postings) < rowsMax/2 {
			f.span *= 2
		}
		b := batch{position: w.to.String(), resolvedAt: w.to.Time(), more: w.to != now}
		b.transactions, err = w.join()
		return b, err
	}
}

// checkKept returns HistoryLost when the versions after a time have been
// collected as garbage.
func (f *cockroachFeed) checkKept(ctx context.Context, from database.Timestamp) error {
	err := f.db.SnapshotAt(ctx, database.At(from), func(tx pgx.Tx, _ database.Timestamp) error {
		_, err := tx.Exec(ctx, "SELECT (SELECT account_id FROM postings LIMIT 1), (SELECT transfer_id FROM transfers LIMIT 1)")
		return err
	})
	if errors.Is(err, database.ErrSnapshotGone) {
		return HistoryLost.Failure("the export can't go on without a gap: CockroachDB does not keep what was committed since %s any more "+
			"(gc.ttlseconds) (%v); cancel it and export to an empty folder", from.Time().Format(time.RFC3339), err)
	}
	if err != nil {
		return fmt.Errorf("see what the database keeps: %w", err)
	}
	return nil
}

// Confirm does nothing: the cluster forgets by its own clock.
func (f *cockroachFeed) Confirm(context.Context, string) error { return nil }

// read runs the window's changefeed to its end. It has a connection of its own,
// which ends with it: a changefeed that is given up could not share one.
//
// CockroachDB ends a changefeed without an error also where a table got another
// primary index, however long the window is: what it says is resolved is the
// window that was read. Returns ErrUnavailable when it resolved nothing.
func (f *cockroachFeed) read(ctx context.Context, w *window) error {
	conn, err := pgx.ConnectConfig(ctx, f.db.Config().ConnConfig.Copy())
	if err != nil {
		return fmt.Errorf("connect for the changefeed: %w", err)
	}
	defer closeNow(conn)
	// The end is exclusive. A changefeed takes no placeholders; both times were
	// parsed. diff tells an update from an insert.
	rows, err := conn.Query(ctx, fmt.Sprintf(`
		CREATE CHANGEFEED FOR TABLE postings, transfers
		WITH cursor = '%s', end_time = '%s', mvcc_timestamp, diff, envelope = 'wrapped', resolved,
		     schema_change_policy = 'nobackfill', min_checkpoint_frequency = '1s'`,
		w.from, w.to.Next()), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("read the changefeed: %w", err)
	}
	var table pgtype.Text // NULL with a resolved time
	var value []byte
	_, err = pgx.ForEachRow(rows, []any{&table, nil, &value}, func() error {
		err := w.add(table.String, value)
		if err != nil {
			closeNow(conn) // or all that is left would be read first
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the changefeed: %w", err)
	}
	if !w.end() {
		return fmt.Errorf("%w: the changefeed after %s ended where it began", database.ErrUnavailable, w.from)
	}
	return nil
}

// closeNow does not wait for the server to notice.
func closeNow(conn *pgx.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = conn.Close(ctx) // nothing to keep
}

// window is what was committed in a span of MVCC time, after from up to to.
// A changefeed may send a row twice; the keys see to that.
type window struct {
	from, to  database.Timestamp
	resolved  database.Timestamp // all up to here has come
	rowsMax   int                // 0 means no limit
	postings  map[postingKey]stampedPosting
	transfers map[string]stampedTransfer // those that were completed
}

func newWindow(from, to database.Timestamp) *window {
	return &window{from: from, to: to, resolved: from, postings: map[postingKey]stampedPosting{}, transfers: map[string]stampedTransfer{}}
}

type postingKey struct {
	accountID string
	seq       int64
}

type stampedPosting struct {
	posting
	at database.Timestamp
}

type stampedTransfer struct {
	transfer
	at database.Timestamp
}

// changed is a changefeed's message.
type changed struct {
	After  json.RawMessage `json:"after"`
	Before json.RawMessage `json:"before"`
	At     string          `json:"mvcc_timestamp"`
	// Resolved stands alone: all up to this time has come.
	Resolved string `json:"resolved"`
}

// add takes one message. Returns errWindowFull.
func (w *window) add(table string, value []byte) error {
	var c changed
	if err := json.Unmarshal(value, &c); err != nil {
		return fmt.Errorf("decode the changefeed: %w", err)
	}
	if c.Resolved != "" {
		return w.resolve(c.Resolved)
	}
	at, err := database.ParseTimestamp(c.At)
	if err != nil {
		return fmt.Errorf("decode the changefeed: %w", err)
	}
	if !w.from.Before(at) || w.to.Before(at) || isNull(c.After) {
		return nil
	}
	if table == "postings" {
		if !isNull(c.Before) {
			return nil // nothing that is exported of a posting ever changes
		}
		p := stampedPosting{at: at}
		if err := json.Unmarshal(c.After, &p.posting); err != nil {
			return fmt.Errorf("decode the changefeed: posting: %w", err)
		}
		w.postings[postingKey{p.AccountID, p.Seq}] = p
		if w.rowsMax > 0 && len(w.postings) > w.rowsMax {
			return errWindowFull
		}
		return nil
	}
	var before transfer
	t := stampedTransfer{at: at}
	err = json.Unmarshal(c.After, &t.transfer)
	if err == nil && !isNull(c.Before) {
		err = json.Unmarshal(c.Before, &before)
	}
	if err != nil {
		return fmt.Errorf("decode the changefeed: transfer: %w", err)
	}
	// One that is completed and touched again was exported when it was completed.
	if t.Status == statusCompleted && before.Status != statusCompleted {
		w.transfers[t.ID] = t
	}
	return nil
}

func (w *window) resolve(text string) error {
	at, err := database.ParseTimestamp(text)
	if err != nil {
		return fmt.Errorf("decode the changefeed: %w", err)
	}
	if w.resolved.Before(at) {
		w.resolved = at
	}
	return nil
}

// end closes the window where the changefeed ended, and drops what is after. It
// is false when that is where the window begins.
func (w *window) end() bool {
	if w.resolved.Before(w.to) {
		w.to = w.resolved
		maps.DeleteFunc(w.postings, func(_ postingKey, p stampedPosting) bool { return w.to.Before(p.at) })
		maps.DeleteFunc(w.transfers, func(_ string, t stampedTransfer) bool { return w.to.Before(t.at) })
	}
	return w.from.Before(w.to)
}

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

// join orders transactions by their commits and ids. A posting and its
// transfer's completion have one time, because they are one transaction.
func (w *window) join() ([]transaction, error) {
	legs := map[string][]stampedPosting{}
	for _, p := range w.postings {
		legs[p.TransferID] = append(legs[p.TransferID], p)
	}
	type stamped struct {
		transaction
		at database.Timestamp
	}
	joined := make([]stamped, 0, len(legs))
	for _, id := range slices.Sorted(maps.Keys(legs)) {
		t, found := w.transfers[id]
		if !found {
			return nil, LedgerInconsistent.Failure("postings of transaction %s were committed without their transfer: run florin verify", id)
		}
		var plain []posting
		for _, leg := range legs[id] {
			if leg.at != t.at {
				return nil, LedgerInconsistent.Failure("transaction %s and its postings were committed at different times: run florin verify", id)
			}
			plain = append(plain, leg.posting)
		}
		tx, err := join(t.transfer, plain, t.at.Time())
		if err != nil {
			return nil, err
		}
		joined = append(joined, stamped{tx, t.at})
	}
	slices.SortStableFunc(joined, func(a, b stamped) int { return a.at.Compare(b.at) })
	all := make([]transaction, len(joined))
	for i, j := range joined {
		all[i] = j.transaction
	}
	return all, nil
}
