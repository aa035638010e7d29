package export

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/database"
)

// postgresFeed reads a logical replication slot through SQL. A slot keeps the
// WAL from its confirmed position on; reading ("peek") does not move it, so
// that what a killed exporter had read comes again. The position is the WAL
// position up to which everything was read; transactions that end at or before
// it are dropped, because a crash of the server may take the slot's own position
// back.
type postgresFeed struct {
	db          *database.DB
	slot        string
	publication string
	inUseMax    time.Duration
}

// changesPerRow: a posting comes with half a transfer. One that was accepted for
// later comes with three times its transfer, which makes a part smaller.
const changesPerRow = 1.5

// SQLSTATE codes, from appendix A of PostgreSQL's manual.
const (
	codeUndefinedObject = "42704" // no such slot or publication
	codeObjectInUse     = "55006" // the slot is being read
)

// inUseMax is how long a killed exporter's connection may keep its slot.
const inUseMax = 30 * time.Second

// slotPrefix begins the name of every export's slot.
const slotPrefix = "florin_exp_"

// slotName names the slot and publication of an export. Ids are exp_ and random
// characters that both may have.
func slotName(exportID string) string { return "florin_" + strings.ToLower(exportID) }

func newPostgresFeed(db *database.DB, exportID string) *postgresFeed {
	return &postgresFeed{db: db, slot: slotName(exportID), publication: slotName(exportID), inUseMax: inUseMax}
}

// Begin makes the publication, then the slot, whose consistent point is exported
// as a snapshot: history ends where the slot begins, to the transaction.
func (f *postgresFeed) Begin(ctx context.Context, each func(transaction) error) (start, error) {
	if err := f.checkServer(ctx); err != nil {
		return start{}, err
	}
	if err := f.release(ctx); err != nil {
		return start{}, err
	}
	// Column lists spare the WAL reader metadata and hashes. Postings are never
	// updated, and a transfer's update is how an accepted one completes.
	_, err := f.db.Exec(ctx, "CREATE PUBLICATION "+database.QuoteIdentifier(f.publication)+` FOR TABLE
		postings (account_id, seq, transfer_id, amount, balance, currency, created_at),
		transfers (transfer_id, kind, status, description, hold_id, reverses_id, effective_at)
		WITH (publish = 'insert, update')`)
	if err != nil {
		return start{}, fmt.Errorf("make the export's publication: %w", err)
	}
	replication, err := f.replicationConnection(ctx)
	if err != nil {
		return start{}, err
	}
	// Asked before there is a snapshot, so that everything committed before it is
	// in there.
	var begin start
	if err := f.db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&begin.at); err != nil {
		return start{}, fmt.Errorf("read the database's time: %w", err)
	}
	// The snapshot lives as long as this connection does nothing else.
	defer replication.Close(context.WithoutCancel(ctx))
	created, err := pglogrepl.CreateReplicationSlot(ctx, replication, f.slot, "pgoutput", pglogrepl.CreateReplicationSlotOptions{
		Mode: pglogrepl.LogicalReplication, SnapshotAction: "EXPORT_SNAPSHOT",
	})
	if err != nil {
		return start{}, fmt.Errorf("make the export's replication slot: %w", err)
	}
	begin.position = created.ConsistentPoint
	tx, err := f.db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return start{}, fmt.Errorf("read history: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep
	if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+created.SnapshotName+"'"); err != nil {
		return start{}, fmt.Errorf("read history: %w", err)
	}
	return begin, readHistory(ctx, tx, each)
}

// checkServer returns FeedUnavailable, with what to set, unless the server
// writes what logical decoding needs.
func (f *postgresFeed) checkServer(ctx context.Context) error {
	var level string
	if err := f.db.QueryRow(ctx, "SELECT current_setting('wal_level')").Scan(&level); err != nil {
		return fmt.Errorf("read wal_level: %w", err)
	}
	if level != "logical" {
		return FeedUnavailable.Failure("exports need PostgreSQL's wal_level to be logical, it is %s: ALTER SYSTEM SET wal_level = 'logical', and restart the server", level)
	}
	return nil
}

func (f *postgresFeed) replicationConnection(ctx context.Context) (*pgconn.PgConn, error) {
	config := f.db.Config().ConnConfig.Config.Copy()
	config.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect for replication (the database's user needs the attribute REPLICATION): %w", err)
	}
	return conn, nil
}

// Next reads the WAL up to where it was flushed at a known time.
func (f *postgresFeed) Next(ctx context.Context, position string, rowsMax int) (batch, error) {
	after, err := pglogrepl.ParseLSN(position)
	if err != nil {
		return batch{}, FolderMismatch.Failure("%q is no WAL position of PostgreSQL: the export was made from another engine", position)
	}
	if err := f.checkSlot(ctx, after); err != nil {
		return batch{}, err
	}
	at, upTo, err := f.flushed(ctx)
	if err != nil {
		return batch{}, err
	}
	var d *decoder
	changes, changesMax := 0, int(changesPerRow*float64(rowsMax))
	err = f.whenFree(ctx, func() (err error) {
		d = newDecoder(after)
		changes, err = f.peek(ctx, d, upTo, changesMax)
		return err
	})
	if err != nil {
		return batch{}, fmt.Errorf("read the replication slot: %w", err)
	}
	if err := f.fillDescriptions(ctx, d.incomplete); err != nil {
		return batch{}, err
	}
	b := batch{resolvedAt: at, position: max(upTo, d.end).String()}
	if changes >= changesMax {
		b = batch{position: max(after, d.end).String(), more: true}
	}
	b.transactions, err = d.transactions()
	return b, err
}

// checkSlot returns HistoryLost unless the slot still has everything after a
// position.
func (f *postgresFeed) checkSlot(ctx context.Context, after pglogrepl.LSN) error {
	var confirmed, status string
	err := f.db.QueryRow(ctx, `
		SELECT coalesce(confirmed_flush_lsn::text, '0/0'), coalesce(wal_status, 'lost')
		FROM pg_replication_slots
		WHERE slot_name = $1 AND database = current_database()`, f.slot).Scan(&confirmed, &status)
	if database.NotFound(err) {
		return f.lost("its replication slot %s is not on this server", f.slot)
	}
	if err != nil {
		return fmt.Errorf("look at the replication slot: %w", err)
	}
	if status == "lost" {
		return f.lost("the server dropped the WAL that its replication slot %s still needed (max_slot_wal_keep_size)", f.slot)
	}
	if from, err := pglogrepl.ParseLSN(confirmed); err != nil || from > after {
		return f.lost("its replication slot %s is at %s already, past the export's %s", f.slot, confirmed, after)
	}
	return nil
}

func (f *postgresFeed) lost(format string, args ...any) error {
	return HistoryLost.Failure("the export can't go on without a gap: %s; cancel it and export to an empty folder", fmt.Sprintf(format, args...))
}

// flushed returns a time and a WAL position such that every commit acknowledged
// before the time is flushed at or before the position. The message that it
// commits makes the server flush (without it, one with synchronous_commit off
// would leave the newest commits out), and asks for no other right.
func (f *postgresFeed) flushed(ctx context.Context) (at time.Time, upTo pglogrepl.LSN, err error) {
	var position string
	err = pgx.BeginFunc(ctx, f.db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT clock_timestamp(), set_config('synchronous_commit', 'local', true),
			       pg_logical_emit_message(true, 'florin', '')::text`).Scan(&at, nil, nil)
	})
	if err == nil {
		err = f.db.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&position)
	}
	if err == nil {
		upTo, err = pglogrepl.ParseLSN(position)
	}
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("find the end of the WAL: %w", err)
	}
	return at, upTo, nil
}

// peek decodes whole transactions, in the order of their commits, and returns
// the number of changes read. It ends after the transaction that reaches upTo or
// changesMax.
func (f *postgresFeed) peek(ctx context.Context, d *decoder, upTo pglogrepl.LSN, changesMax int) (changes int, err error) {
	conn, err := f.db.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	d.types = conn.Conn().TypeMap()
	rows, err := conn.Query(ctx, `
		SELECT data
		FROM pg_logical_slot_peek_binary_changes($1, $2::text::pg_lsn, $3,
		     'proto_version', '1', 'publication_names', $4, 'binary', 'true')`,
		f.slot, upTo.String(), changesMax, f.publication)
	if err != nil {
		return 0, err
	}
	var data []byte
	tag, err := pgx.ForEachRow(rows, []any{&data}, func() error { return d.read(data) })
	return int(tag.RowsAffected()), err
}

// fillDescriptions reads what the WAL left out of an update because it was
// stored apart (TOAST) and had not changed. A completed transfer never does.
func (f *postgresFeed) fillDescriptions(ctx context.Context, incomplete map[string]*transfer) error {
	if len(incomplete) == 0 {
		return nil
	}
	ids := make([]string, 0, len(incomplete))
	for id := range incomplete {
		ids = append(ids, id)
	}
	rows, err := f.db.Query(ctx, `
		SELECT transfer_id, kind, description, hold_id, reverses_id, effective_at
		FROM transfers
		WHERE transfer_id = ANY($1)`, ids)
	if err != nil {
		return fmt.Errorf("read descriptions: %w", err)
	}
	var t transfer
	_, err = pgx.ForEachRow(rows, []any{&t.ID, &t.Kind, &t.Description, &t.HoldID, &t.ReversesID, &t.EffectiveAt}, func() error {
		t.Status = statusCompleted
		*incomplete[t.ID] = t
		delete(incomplete, t.ID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read descriptions: %w", err)
	}
	if len(incomplete) > 0 {
		return LedgerInconsistent.Failure("%d transfers are in the WAL but not in the table: run florin verify", len(incomplete))
	}
	return nil
}

// Confirm moves the slot on; a slot that is further already stays there.
func (f *postgresFeed) Confirm(ctx context.Context, position string) error {
	err := f.whenFree(ctx, func() error {
		_, err := f.db.Exec(ctx, `
			SELECT pg_replication_slot_advance(slot_name, $2::text::pg_lsn)
			FROM pg_replication_slots
			WHERE slot_name = $1 AND database = current_database() AND confirmed_flush_lsn < $2::text::pg_lsn`, f.slot, position)
		return err
	})
	if err != nil {
		return fmt.Errorf("advance the replication slot: %w", err)
	}
	return nil
}

// release drops the slot and the publication, but no slot of another database: a
// copy of this one on the same server has the same exports in its catalog.
// Dropping again does nothing. Returns FolderInUse when an exporter keeps the slot.
func (f *postgresFeed) release(ctx context.Context) error {
	err := f.whenFree(ctx, func() error {
		_, err := f.db.Exec(ctx, `
			SELECT pg_drop_replication_slot(slot_name)
			FROM pg_replication_slots
			WHERE slot_name = $1 AND database = current_database()`, f.slot)
		return err
	})
	if sqlState(err) == codeObjectInUse {
		return FolderInUse.Failure("an exporter is still reading the replication slot %s: stop it and cancel the export again, or the slot holds up WAL for ever", f.slot)
	}
	if err != nil && sqlState(err) != codeUndefinedObject { // somebody else was first
		return fmt.Errorf("drop the export's replication slot: %w", err)
	}
	if _, err := f.db.Exec(ctx, "DROP PUBLICATION IF EXISTS "+database.QuoteIdentifier(f.publication)); err != nil {
		return fmt.Errorf("drop the export's publication: %w", err)
	}
	return nil
}

// whenFree runs fn again while a connection has the slot whose exporter was
// killed, or interrupted, a moment ago. Its last error is fn's.
func (f *postgresFeed) whenFree(ctx context.Context, fn func() error) error {
	deadline := time.After(f.inUseMax)
	for {
		err := fn()
		if sqlState(err) != codeObjectInUse {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return err
		}
	}
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
