// Package database is the only door to the database: pools, the one
// transaction retry loop (InTx), migrations, and the meaning of database
// errors. It knows two engines, CockroachDB and PostgreSQL, and nothing of
// money.
package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Engine is the kind of database.
type Engine string

// The engines that Florin runs on.
const (
	Cockroach Engine = "cockroach"
	Postgres  Engine = "postgres"
)

// Plans says how PostgreSQL plans prepared statements on a pool's connections.
type Plans int

const (
	// PlansPerCall plans each call for its own arguments: right for reads with
	// optional filters.
	PlansPerCall Plans = iota
	// PlansPinned plans a statement once, through indexes and nested loops,
	// whatever the tables' size was at that moment: right for statements that
	// only ever look up keys. A plan made on an empty table is otherwise a
	// sequential scan, kept while the table grows (docs/adr/0004).
	PlansPinned
)

// Options configure Open. The zero value is usable.
type Options struct {
	// MaxConns bounds the pool; 0 means pgxpool's default.
	MaxConns int32
	Plans    Plans
	// Database is opened in place of the one that the URL names; "" is that one.
	Database string
	// StatementTimeout ends a statement on the server, and a transaction that
	// waits that long for its next one; 0 means never.
	StatementTimeout time.Duration
	// ApplicationName is what the server shows for these connections.
	ApplicationName string
	// Metrics receives the retry loop's figures; nil keeps them to itself.
	Metrics *Metrics
}

// DB is a pool of connections to one database. Its methods are safe for
// concurrent use.
type DB struct {
	*pgxpool.Pool
	Engine Engine
	// Version is what the server calls itself.
	Version string

	metrics        *Metrics
	transactionMax time.Duration
	regions        regions
}

// reasonOf is what pgx says of a URL that it can't read, without the URL: it takes
// the password out only of one whose parts it can tell. Of syntax it tells details
// that may be a piece of the password.
func reasonOf(err error) string {
	var broken *pgconn.ParseConfigError
	if !errors.As(err, &broken) {
		return "it can't be read"
	}
	const afterURL = "`: "
	text := err.Error()
	end := strings.LastIndex(text, afterURL)
	if end < 0 {
		return "it can't be read"
	}
	reason := text[end+len(afterURL):]
	if what, _, isSyntax := strings.Cut(reason, " ("); isSyntax && strings.HasPrefix(what, "failed to parse") {
		reason = what
	}
	return reason + "; write one like postgres://USER:PASSWORD@HOST:PORT/NAME"
}

// Open connects to the database at url and finds out which engine it is. It
// returns an error when the server does not answer before ctx ends or is
// PostgreSQL older than 15. Close the DB after use.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %s", reasonOf(err))
	}
	if o.MaxConns > 0 {
		config.MaxConns = o.MaxConns
	}
	parameters := config.ConnConfig.RuntimeParams
	if o.ApplicationName != "" {
		parameters["application_name"] = o.ApplicationName
	}
	if o.Database != "" {
		config.ConnConfig.Database = o.Database
	}
	parameters["timezone"] = "UTC"
	if o.StatementTimeout > 0 {
		milliseconds := fmt.Sprint(o.StatementTimeout.Milliseconds())
		parameters["statement_timeout"] = milliseconds
		// A client that vanished between two statements must not keep its locks.
		parameters["idle_in_transaction_session_timeout"] = milliseconds
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		registerTypes(conn.TypeMap())
		return o.Plans.apply(ctx, conn)
	}

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{Pool: pool, metrics: o.Metrics, transactionMax: transactionMax}
	if db.metrics == nil {
		db.metrics = NewMetrics(prometheus.NewRegistry())
	}
	if err := db.identify(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

func (p Plans) apply(ctx context.Context, conn *pgx.Conn) error {
	settings := "SET plan_cache_mode = force_custom_plan"
	if p == PlansPinned {
		if isCockroach(conn) {
			return nil // plans with statistics, again when they change
		}
		settings = `
			SET plan_cache_mode = force_generic_plan;
			SET enable_seqscan = off;
			SET enable_hashjoin = off;
			SET enable_mergejoin = off`
	}
	_, err := conn.Exec(ctx, settings, pgx.QueryExecModeSimpleProtocol)
	return err
}

func isCockroach(conn *pgx.Conn) bool {
	return conn.PgConn().ParameterStatus("crdb_version") != ""
}

func (db *DB) identify(ctx context.Context) error {
	conn, err := db.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	defer conn.Release()
	if isCockroach(conn.Conn()) {
		db.Engine, db.Version = Cockroach, conn.Conn().PgConn().ParameterStatus("crdb_version")
		return nil
	}
	var number int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&number); err != nil {
		return fmt.Errorf("read the server's version: %w", err)
	}
	db.Engine, db.Version = Postgres, "PostgreSQL "+conn.Conn().PgConn().ParameterStatus("server_version")
	if number < 150000 {
		return fmt.Errorf("%s is too old: Florin needs PostgreSQL 15 or newer, or CockroachDB", db.Version)
	}
	return nil
}

// NotFound says whether err means that a query for one row found none.
func NotFound(err error) bool {
	return errors.Is(err, pgx.ErrNoRows)
}

// QuoteIdentifier makes name safe to stand in SQL as an identifier.
func QuoteIdentifier(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
