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

// checkDatabase proves the folder against the catalog and the books.
func (c *checker) checkDatabase(ctx context.Context, db *database.DB) error {
	if c.report.Parts == 0 {
		return nil
	}
	catalog := NewCatalog(db, clock.System)
	e, err := catalog.ByID(ctx, c.report.ExportID)
	if errors.Is(err, NotFound.Failure("")) {
		c.problem(c.dir, "this database knows no export %s: the folder was made from another", c.report.ExportID)
		return nil
	}
	if err != nil {
		return err
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
// they were at the newest part's position, while that is kept; then not one may
// be missing.
func (c *checker) compare(ctx context.Context, db *database.DB) error {
	c.report.Database = Settled
	if at, isKept := c.keptTime(ctx, db); isKept {
		c.report.Database = Exact
		tx, err := db.BeginTx(ctx, pgx.TxOptions{BeginQuery: "BEGIN AS OF SYSTEM TIME '" + at.String() + "'"})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep
		return c.readDatabase(ctx, tx)
	}
	return db.Snapshot(ctx, func(tx pgx.Tx, _ time.Time) error { return c.readDatabase(ctx, tx) })
}

func (c *checker) keptTime(ctx context.Context, db *database.DB) (hlc, bool) {
	if db.Engine != database.Cockroach {
		return hlc{}, false
	}
	at, err := parseHLC(c.head.Position)
	if err != nil {
		return hlc{}, false
	}
	return at, (&cockroachFeed{db: db}).checkKept(ctx, at) == nil
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
			a.databaseRows++
			a.databaseContent.add(c.content(row))
		case c.report.Database == Exact || row.CreatedAt.Before(c.report.ResolvedAt.Add(-settleTime)):
			if a.missing == 0 || row.Seq < a.firstMissing {
				a.firstMissing = row.Seq
			}
			a.missing++
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
		if a.missing > 0 {
			c.problem("account "+id, "%d postings from %d on are in the database but not in the export", a.missing, a.firstMissing)
		}
		if a.rows == a.databaseRows && a.content == a.databaseContent {
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

// nameDifferencesOf compares an account's rows one by one. Postings never
// change, so any time will do to read them.
func (c *checker) nameDifferencesOf(ctx context.Context, tx pgx.Tx, id string, rows []Row) error {
	exported := make(map[int64]Row, len(rows))
	for _, row := range rows {
		exported[row.Seq] = row
	}
	newest := c.accounts[id].newest
	err := eachDatabaseRow(ctx, tx, databaseQuery+" WHERE p.account_id = $1 AND p.seq <= $2 ORDER BY p.seq", []any{id, newest}, func(row Row) error {
		subject := fmt.Sprintf("account %s posting %d", id, row.Seq)
		found, is := exported[row.Seq]
		switch {
		case !is:
			c.problem(subject, "the database has it, the export does not")
		case c.content(found) != c.content(row):
			c.problem(subject, "it is not as in the database: the export has %v, the database %v", csvFields(found), csvFields(row))
		}
		delete(exported, row.Seq)
		return nil
	})
	for _, seq := range slices.Sorted(maps.Keys(exported)) {
		c.problem(fmt.Sprintf("account %s posting %d", id, seq), "the export has it, the database does not")
	}
	return err
}
