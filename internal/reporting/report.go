package reporting

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/reporting/internal/reportingdb"
)

// Name names a report.
type Name string

// The reports.
const (
	TrialBalance        Name = "trial-balance"
	ProfitAndLoss       Name = "profit-and-loss"
	DailyVolumes        Name = "daily-volumes"
	CustomerLiabilities Name = "customer-liabilities"
	Statement           Name = "statement"
)

const (
	// reportsAtOnce is how many reports a replica reads at once: each holds a
	// connection, and may read all postings.
	reportsAtOnce = 4
	// reportMax bounds a report: a snapshot that is read keeps the database from
	// clearing away what is out of date.
	reportMax = 10 * time.Minute
)

// Kind is what a column holds.
type Kind int

// The kinds. Amounts and times are written as text: exact decimals with the
// currency's places, and RFC 3339 in UTC.
const (
	Text Kind = iota
	Amount
	Count
	Time
)

// Column is one column of a report.
type Column struct {
	Name string
	Kind Kind
}

// Head is what a report says before its rows.
type Head struct {
	Report   Name
	From, To time.Time // To is exclusive, and not after ReadAt
	// ReadAt is the one moment, by the database's clock, that all of it shows.
	ReadAt  time.Time
	Columns []Column // of the rows
	Totals  []Column // of the sums at the end
}

// Writer takes a report in the order of its methods. An error ends the report and is
// returned as it is. Rows may be kept by nobody after the call.
type Writer interface {
	Begin(Head) error
	Row(cells []string) error   // any number
	Total(cells []string) error // any number
	End() error
}

// Query asks for a report.
type Query struct {
	Report Name
	// From is the beginning of To's month (UTC) when zero; To is now when zero, or in
	// the future.
	From, To time.Time
	// Of a Statement: one account, or all those of a user.
	AccountID, OwnerID string
}

// Reports reads reports from a database. Safe for concurrent use.
type Reports struct {
	db     *database.DB
	places chan struct{}
}

// NewReports returns the reports of a database.
func NewReports(db *database.DB) *Reports {
	return &Reports{db: db, places: make(chan struct{}, reportsAtOnce)}
}

// Write reads a report and passes it on as it comes, in one transaction that sees
// one moment. It keeps no rows, however many there are. Returns failure.Invalid when
// the query makes no sense, UnknownAccount, and Busy when too many are being read;
// out.Begin was not called then.
func (r *Reports) Write(ctx context.Context, q Query, out Writer) error {
	definition, known := definitions[q.Report]
	if !known {
		return failure.Invalidf("report", "must be one of those listed")
	}
	if err := q.validate(); err != nil {
		return err
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	default:
		return busy(Busy, "%d reports are being read", reportsAtOnce)
	}
	ctx, cancel := context.WithTimeout(ctx, reportMax)
	defer cancel()
	return r.db.Snapshot(ctx, func(tx pgx.Tx, at time.Time) error {
		// The pool's own limits are for what a request waits for.
		limit := fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %[1]d", reportMax.Milliseconds())
		if _, err := tx.Exec(ctx, limit, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("begin report: %w", err)
		}
		head := Head{Report: q.Report, ReadAt: at, Columns: definition.columns, Totals: definition.totals}
		head.From, head.To = q.period(at)
		if !head.From.Before(head.To) {
			return failure.Invalidf("from", "must be before to and before now")
		}
		one := &reading{Query: q, Head: head, tx: tx, queries: reportingdb.New(tx), out: out}
		if err := definition.write(ctx, one); err != nil {
			return err
		}
		return out.End()
	})
}

func (q *Query) validate() error {
	isStatement := q.Report == Statement
	switch {
	case isStatement && (q.AccountID == "") == (q.OwnerID == ""):
		return failure.Invalidf("accountId", "give either accountId or ownerId")
	case !isStatement && q.AccountID+q.OwnerID != "":
		return failure.Invalidf("accountId", "is for the statement alone")
	case !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To):
		return failure.Invalidf("from", "must be before to")
	}
	return nil
}

func (q *Query) period(now time.Time) (from, to time.Time) {
	to = q.To.UTC()
	if q.To.IsZero() || to.After(now) {
		to = now
	}
	from = q.From.UTC()
	if q.From.IsZero() {
		last := to.Add(-time.Microsecond)
		from = time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return from.Truncate(time.Microsecond), to.Truncate(time.Microsecond)
}

// reading is one report while it is read.
type reading struct {
	Query
	Head
	tx      pgx.Tx
	queries *reportingdb.Queries
	out     Writer
}

// definition is how a report is made.
type definition struct {
	columns, totals []Column
	write           func(context.Context, *reading) error
}

// each runs a query and hands its rows over one by one.
func each[Row any](ctx context.Context, r *reading, sql string, take func(*Row) error, args ...any) error {
	rows, err := r.tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.Query.Report, err)
	}
	defer rows.Close()
	for rows.Next() {
		row, err := pgx.RowToAddrOfStructByPos[Row](rows)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.Query.Report, err)
		}
		if err := take(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", r.Query.Report, err)
	}
	return nil
}

func timeText(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
