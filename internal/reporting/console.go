package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/platform/id"
	"florin/internal/reporting/internal/reportingdb"
)

// Limits of the console.
const (
	// QueryBytesMax is how long a query may be.
	QueryBytesMax = 20_000
	// QueryMax is how long a query may take, unless Limits say otherwise.
	QueryMax = 30 * time.Second
	// rowBytesMax is how long one row may be: it has to be in memory as a whole.
	rowBytesMax = 4 << 20
	// queriesAtOnce is how many queries a replica runs at once.
	queriesAtOnce = 2
	// tidyMax bounds what is done after a query: to cancel it, to record its end.
	tidyMax = 5 * time.Second
)

// ConsoleOptions configure NewConsole.
type ConsoleOptions struct {
	// URL is the database by the console's own role (EnsureRole); "" switches the
	// console off. It may lead to a copy of the database that only follows.
	URL   string
	Clock clock.Clock
	// Log takes every query.
	Log *audit.Log
}

// Console runs queries that people wrote, by a role that may read the schema
// `reporting` and nothing else. Safe for concurrent use.
//
// Each query has a connection to itself, which is closed afterwards: nothing that it
// may have set or taken outlives it.
type Console struct {
	db      *database.DB
	queries *reportingdb.Queries
	url     string
	clock   clock.Clock
	log     *audit.Log
	places  chan struct{}

	mu      sync.Mutex
	callers map[string]bool // who has a query running
	proven  time.Time       // when the role was last seen to be harmless
}

// NewConsole returns the console of a database. Its saved queries and its record are
// kept in db; queries run on o.URL.
func NewConsole(db *database.DB, o ConsoleOptions) *Console {
	return &Console{
		db: db, queries: reportingdb.New(db), url: o.URL, clock: o.Clock, log: o.Log,
		places: make(chan struct{}, queriesAtOnce), callers: map[string]bool{},
	}
}

// WhyOff says why no query can be run, for people; "" when one can.
func (c *Console) WhyOff() string {
	if c.url == "" {
		return "the SQL console is off: make a role for it with florin reporting role, and give its URL with --reporting-url"
	}
	return ""
}

// Limits bound a query.
type Limits struct {
	Rows  int           // 0: any number
	Bytes int           // of the answer, as the database sends it
	Time  time.Duration // QueryMax when 0
}

// Use is what is done with a query, as the audit trail says it.
type Use string

// The uses.
const (
	Run      Use = "run"
	Download Use = "download"
	Explain  Use = "explain"
)

// ask is one query of a caller.
type ask struct {
	id   string
	use  Use
	text string
	Limits
	by string
}

// Open runs one query and returns its result, to be read and closed. by is who asks,
// of whom one query runs at a time. It is on the audit trail before it is run, and its
// end when the result is closed.
//
// It sees one moment: on CockroachDB some seconds ago, which the nearest replicas know
// by themselves. It changes nothing: what is no query to the database's own parser is
// not run, the role may not write, the transaction is read-only, and it is never
// committed. The end of ctx cancels it in the database.
//
// Returns failure.Invalid, ConsoleOff, ConsoleBusy, QueryFailed with what the database
// says, QueryTimeout, and ResultTooLarge when a row is too long.
func (c *Console) Open(ctx context.Context, by string, use Use, text string, limits Limits) (*Result, error) {
	a := &ask{id: id.New("qry"), use: use, text: text, Limits: limits, by: by}
	if a.Time == 0 {
		a.Time = QueryMax
	}
	if err := checkText(text); err != nil {
		return nil, err
	}
	if err := c.begin(a); err != nil {
		return nil, errors.Join(err, c.record(ctx, a, "query.refused", codeOf(err), nil))
	}
	if err := c.record(ctx, a, "query.started", audit.OK, nil); err != nil {
		c.end(a)
		return nil, err
	}
	result, err := c.open(ctx, a)
	if err != nil {
		c.end(a)
		return nil, errors.Join(err, c.record(ctx, a, "query.ended", codeOf(err), map[string]any{"rows": 0}))
	}
	return result, nil
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return failure.Invalidf("query", "is required")
	case len(text) > QueryBytesMax:
		return failure.Invalidf("query", "must have at most %d bytes", QueryBytesMax)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return failure.Invalidf("query", "must be text in UTF-8 without NUL")
	}
	return nil
}

// begin takes a place.
func (c *Console) begin(a *ask) error {
	if why := c.WhyOff(); why != "" {
		return ConsoleOff.Failure("%s", why)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.callers[a.by] {
		return busy(ConsoleBusy, "another query of yours is running: one at a time")
	}
	select {
	case c.places <- struct{}{}:
		c.callers[a.by] = true
		return nil
	default:
		return busy(ConsoleBusy, "%d queries are running", queriesAtOnce)
	}
}

func (c *Console) end(a *ask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.callers, a.by)
	<-c.places
}

// record writes on the audit trail what became of a query, also when nobody waits for
// it any more.
func (c *Console) record(ctx context.Context, a *ask, action, result string, more map[string]any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyMax)
	defer cancel()
	after := map[string]any{"use": a.use}
	if action != "query.ended" {
		after["query"] = a.text
	}
	for name, value := range more {
		after[name] = value
	}
	text, err := json.Marshal(after)
	if err != nil {
		return err
	}
	if err := c.log.Append(ctx, audit.Event{Action: action, TargetKind: "query", TargetID: a.id, After: text, Result: result}); err != nil {
		return fmt.Errorf("record the query: %w", err)
	}
	return nil
}

func codeOf(err error) string {
	if refused, is := failure.In(err); is {
		return refused.Code
	}
	return "failed"
}

// open connects, and runs the statement until its first row is there.
func (c *Console) open(ctx context.Context, a *ask) (_ *Result, err error) {
	elapsed := clock.Stopwatch()
	// The server ends the statement itself; this is for when it can't be trusted to,
	// as after a statement that set another limit.
	ctx, cancel := context.WithTimeout(ctx, a.Time+time.Second)
	r := &Result{ID: a.id, console: c, ask: a, ctx: ctx, cancel: cancel, elapsed: elapsed, left: &budget{bytes: a.Bytes}}
	defer func() {
		if err != nil {
			r.disconnect()
		}
	}()
	if r.conn, err = connect(ctx, c.url, a.Time, r.left); err != nil {
		return nil, fmt.Errorf("%w: the console can't connect: %w", database.ErrUnavailable, err)
	}
	if err := c.prove(ctx, r.conn); err != nil {
		return nil, err
	}
	if r.ReadAt, err = beginReading(ctx, r.conn); err != nil {
		return nil, err
	}
	if err := checkQuery(ctx, r.conn, a.text); err != nil {
		return nil, r.failureOf(err)
	}
	text := a.text
	if a.use == Explain {
		text = "EXPLAIN " + text
	}
	r.left.isCounting = true
	r.reader = r.conn.ExecParams(ctx, text, nil, nil, nil, nil)
	r.hasNext = r.reader.NextRow()
	for _, field := range r.reader.FieldDescriptions() {
		r.Columns = append(r.Columns, ResultColumn{Name: field.Name, Type: typeName(field.DataTypeOID)})
	}
	if !r.hasNext {
		if _, err := r.reader.Close(); err != nil {
			return nil, r.failureOf(err)
		}
	}
	return r, nil
}

// ResultColumn is a column of a result.
type ResultColumn struct {
	Name string
	Type string // as PostgreSQL calls it
}

// Result is what a query found. It is read by one goroutine, and closed.
type Result struct {
	ID      string // on the audit trail
	Columns []ResultColumn
	ReadAt  time.Time // the moment that it shows
	// IsTruncated says, once Next returned false, that there was more than the limits
	// allow.
	IsTruncated bool

	console *Console
	ask     *ask
	ctx     context.Context
	cancel  context.CancelFunc
	elapsed func() time.Duration
	left    *budget
	conn    *pgconn.PgConn
	reader  *pgconn.ResultReader
	hasNext bool // a row is there that was not handed out
	rows    int
	err     error
}

// Next is the next row: texts as the database writes them, nil for NULL, good until
// the next call. It returns nil at the end, or at an error, which Err tells.
func (r *Result) Next() [][]byte {
	if r.rows > 0 && r.hasNext && r.err == nil {
		r.hasNext = r.reader.NextRow()
		if !r.hasNext {
			_, err := r.reader.Close()
			if r.left.isSpent && !isTooLong(err) {
				r.IsTruncated = true
				return nil
			}
			if err != nil {
				r.err = r.failureOf(err)
			}
		}
	}
	if !r.hasNext || r.err != nil {
		return nil
	}
	if r.ask.Rows > 0 && r.rows == r.ask.Rows {
		r.IsTruncated, r.hasNext = true, false
		return nil
	}
	r.rows++
	return r.reader.Values()
}

// Err is why the result ended before its end.
func (r *Result) Err() error { return r.err }

// Rows is how many rows were handed out.
func (r *Result) Rows() int { return r.rows }

// Duration is how long it has taken.
func (r *Result) Duration() time.Duration { return r.elapsed() }

// Close ends the query, wherever it is, and records it. Call it once. Returns an
// error when the end could not be recorded.
func (r *Result) Close() error {
	duration := r.elapsed()
	r.disconnect()
	r.console.end(r.ask)
	result := audit.OK
	if r.err != nil {
		result = codeOf(r.err)
	}
	return r.console.record(r.ctx, r.ask, "query.ended", result, map[string]any{
		"rows": r.rows, "bytes": r.left.received, "isTruncated": r.IsTruncated, "milliseconds": duration.Milliseconds(),
	})
}

// disconnect has the server stop, and throws the connection away.
func (r *Result) disconnect() {
	defer r.cancel()
	if r.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), tidyMax)
	defer cancel()
	if r.conn.IsBusy() || r.conn.IsClosed() {
		// What is not being sent any more would be computed all the same.
		_ = r.conn.CancelRequest(ctx)
	}
	_ = r.conn.Close(ctx)
}

// failureOf is what went wrong with the statement, in the database's words.
func (r *Result) failureOf(err error) error {
	told := (*pgconn.PgError)(nil)
	switch {
	case r.left.isSpent || isTooLong(err):
		return ResultTooLarge.Failure("a row has more than %d MiB, or the result more than %d: select less", rowBytesMax>>20, r.ask.Bytes>>20)
	case errors.Is(r.ctx.Err(), context.Canceled):
		return fmt.Errorf("the query was cancelled: %w", context.Canceled)
	case r.ctx.Err() != nil, database.TimedOut(err):
		return QueryTimeout.Failure("the query took more than %s and was ended: narrow it, by created_at for instance", r.ask.Time)
	case database.Unavailable(err):
		return fmt.Errorf("run the query: %w", err)
	case errors.As(err, &told):
		return QueryFailed.Failure("%s", describe(told))
	}
	return fmt.Errorf("run the query: %w", err)
}

// messageMax is how much of an error is told: it may repeat what was read.
const messageMax = 1000

func describe(e *pgconn.PgError) string {
	text := fmt.Sprintf("%s (SQLSTATE %s", e.Message, e.Code)
	if e.Position > 0 {
		text += fmt.Sprintf(", at character %d", e.Position)
	}
	text += ")"
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	if len(text) > messageMax {
		text = strings.ToValidUTF8(text[:messageMax], "") + "..."
	}
	return text
}

func isTooLong(err error) bool {
	_, is := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err)
	return is
}
