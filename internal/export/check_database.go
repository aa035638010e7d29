package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// settleTime is longer than a transaction of the ledger's executor can take (its
// own settleTime): a posting made so long before the resolved time was committed
// before it.
const settleTime = 30 * time.Second

// databaseQuery is every posting as an export has it.
const databaseQuery = `
SELECT p.account_id, p.seq, p.transfer_id, coalesce(t.kind, ''),
       CASE WHEN p.account_id = t.source_account_id THEN t.destination_account_id ELSE coalesce(t.source_account_id, '') END,
       p.amount, p.balance, p.currency, p.created_at, t.effective_at, coalesce(t.description, ''),
       coalesce(t.reverses_id, ''), coalesce(t.hold_id, '')
FROM postings AS p
LEFT JOIN transfers AS t ON t.transfer_id = p.transfer_id`

// knownExport is what the catalog has of the export that the first manifest of a
// folder that can be read names; the zero value when it has none.
func knownExport(ctx context.Context, dir string, db *database.DB) (Export, error) {
	numbers, err := parts(dir)
	if err != nil {
		return Export{}, err
	}
	for _, part := range numbers {
		m, _, err := readManifest(dir, part)
		if err != nil {
			continue // the check names it
		}
		e, err := NewCatalog(db, clock.System).ByID(ctx, m.ExportID)
		if errors.Is(err, NotFound.Failure("")) {
			return Export{}, nil
		}
		return e, err
	}
	return Export{}, nil
}

// checkDatabase proves the folder against the books, and against what the catalog
// had of it before it was read.
func (c *checker) checkDatabase(ctx context.Context, db *database.DB, e Export) error {
	if c.report.Parts == 0 {
		return nil
	}
	if e.ID != c.report.ExportID {
		c.problem(c.dir, "this database knows no export %s: the folder was made from another", c.report.ExportID)
		return nil
	}
	if c.head.Part < e.Part {
		c.problem(c.dir, "it ends with part %d, but the database knows part %d: the newest parts are missing", c.head.Part, e.Part)
	}
	if hash, found := c.hashes[e.Part]; found && hash != e.ManifestHash {
		c.problem(manifestName(e.Part), "it is not the one that the database knows")
	}
	if err := c.compare(ctx, db); err != nil {
		return fmt.Errorf("compare with the database: %w", err)
	}
	return c.nameDifferences(ctx, db)
}

// compare reads every posting of the database. On CockroachDB it reads them as
// they were at the newest part's position, while that is kept, to the end of the
// reading; then not one may be missing.
func (c *checker) compare(ctx context.Context, db *database.DB) error {
	if at, err := database.ParseTimestamp(c.head.Position); err == nil && db.Engine == database.Cockroach {
		c.report.Database = Exact
		err := db.SnapshotAt(ctx, database.At(at), func(tx pgx.Tx, _ database.Timestamp) error { return c.readDatabase(ctx, tx) })
		if !errors.Is(err, database.ErrSnapshotGone) {
			return err
		}
		c.forgetDatabase()
	}
	c.report.Database = Settled
	return db.Snapshot(ctx, func(tx pgx.Tx, _ time.Time) error { return c.readDatabase(ctx, tx) })
}

// forgetDatabase undoes a reading that did not come to its end.
func (c *checker) forgetDatabase() {
	for id, a := range c.accounts {
		if a.rows == 0 {
			delete(c.accounts, id)
		}
		a.inDatabase = inDatabase{}
	}
}

func (c *checker) readDatabase(ctx context.Context, tx pgx.Tx) error {
	return eachDatabaseRow(ctx, tx, databaseQuery, nil, func(row Row) error {
		a, known := c.accounts[row.AccountID]
		if !known {
			a = &account{currency: row.Currency}
			c.accounts[row.AccountID] = a
		}
		switch {
		case row.Seq <= a.newest:
			a.inDatabase.rows++
			a.inDatabase.content.add(c.content(row))
		case c.report.Database == Exact || row.CreatedAt.Before(c.report.ResolvedAt.Add(-settleTime)):
			if a.inDatabase.missing == 0 || row.Seq < a.inDatabase.firstMissing {
				a.inDatabase.firstMissing = row.Seq
			}
			a.inDatabase.missing++
		}
		return nil
	})
}

// eachDatabaseRow runs databaseQuery, or one made of it, and streams its rows.
func eachDatabaseRow(ctx context.Context, tx pgx.Tx, sql string, args []any, each func(Row) error) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var r Row
	var currency string
	var effectiveAt *time.Time
	columns := []any{
		&r.AccountID, &r.Seq, &r.TransactionID, &r.Kind, &r.CounterpartyAccountID, &r.Amount, &r.Balance, &currency,
		&r.CreatedAt, &effectiveAt, &r.Description, &r.ReversesTransactionID, &r.HoldID,
	}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		row := r
		row.Currency, row.CreatedAt, row.EffectiveAt = money.Currency(currency), microseconds(r.CreatedAt), microseconds(orZero(effectiveAt))
		return each(row)
	})
	return err
}

// nameDifferences names the accounts that differ, and in the first of them the
// postings.
func (c *checker) nameDifferences(ctx context.Context, db *database.DB) error {
	differing := map[string][]Row{}
	for _, id := range slices.Sorted(maps.Keys(c.accounts)) {
		a := c.accounts[id]
		if a.inDatabase.missing > 0 {
			c.problem("account "+id, "%d postings from %d on are in the database but not in the export", a.inDatabase.missing, a.inDatabase.firstMissing)
		}
		if a.rows == a.inDatabase.rows && a.content == a.inDatabase.content {
			continue
		}
		if len(differing) == suspectsMax {
			c.problem("account "+id, "it differs from the database, and so may accounts after it")
			break
		}
		differing[id] = nil
	}
	if len(differing) == 0 {
		return nil
	}
	if err := c.collect(ctx, differing); err != nil {
		return err
	}
	return db.Snapshot(ctx, func(tx pgx.Tx, _ time.Time) error {
		for _, id := range slices.Sorted(maps.Keys(differing)) {
			if err := c.nameDifferencesOf(ctx, tx, id, differing[id]); err != nil {
				return err
			}
		}
		return nil
	})
}

// nameDifferencesOf compares an account's rows one by one, with those of now: what
// differs from a past time alone is a posting that the database committed later.
func (c *checker) nameDifferencesOf(ctx context.Context, tx pgx.Tx, id string, rows []Row) error {
	exported := make(map[int64]Row, len(rows))
	for _, row := range rows {
		exported[row.Seq] = row
	}
	newest, named := c.accounts[id].newest, false
	err := eachDatabaseRow(ctx, tx, databaseQuery+" WHERE p.account_id = $1 AND p.seq <= $2 ORDER BY p.seq", []any{id, newest}, func(row Row) error {
		subject := fmt.Sprintf("account %s posting %d", id, row.Seq)
		found, is := exported[row.Seq]
		switch {
		case !is:
			named = true
			c.problem(subject, "the database has it, the export does not")
		case c.content(found) != c.content(row):
			named = true
			c.problem(subject, "it is not as in the database: the export has %v, the database %v", csvFields(found), csvFields(row))
		}
		delete(exported, row.Seq)
		return nil
	})
	if err != nil {
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(exported)) {
		named = true
		c.problem(fmt.Sprintf("account %s posting %d", id, seq), "the export has it, the database does not")
	}
	if !named {
		c.problem("account "+id, "it differs from the database at %s: the export has postings that were committed after that", timeText(c.report.ResolvedAt))
	}
	return nil
}
