package reporting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"florin/internal/platform/database"
)

// connect opens a connection that takes no more than left allows, and whose
// statements the server ends after limit.
func connect(ctx context.Context, url string, limit time.Duration, left *budget) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the URL can't be read")
	}
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	for name, value := range map[string]string{
		"application_name": "florin console", "timezone": "UTC", "search_path": schemaName,
		"default_transaction_read_only": "on", "statement_timeout": milliseconds(limit),
		// Later than that, because a busy CockroachDB counts its own delays.
		"idle_in_transaction_session_timeout": milliseconds(limit + tidyMax),
	} {
		config.RuntimeParams[name] = value
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		frontend := pgproto3.NewFrontend(left.of(r), w)
		// Asked before the message is read: a longer one never is in memory.
		frontend.SetMaxBodyLen(rowBytesMax)
		return frontend
	}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
	ctx, cancel := context.WithTimeout(ctx, tidyMax)
	defer cancel()
	return pgconn.ConnectConfig(ctx, config)
}

// budget is how many bytes more may come from the server.
type budget struct {
	bytes      int
	isCounting bool // since the statement was sent
	received   int
	isSpent    bool
}

var errSpent = errors.New("the result is too large")

func (b *budget) of(r io.Reader) io.Reader { return &counted{r, b} }

type counted struct {
	io.Reader
	left *budget
}

// Read stops the connection once the budget is spent.
func (c *counted) Read(p []byte) (int, error) {
	b := c.left
	if b.isCounting && b.received > b.bytes {
		b.isSpent = true
		return 0, errSpent
	}
	n, err := c.Reader.Read(p)
	if b.isCounting {
		b.received += n
	}
	return n, err
}

// provenMax is how long a role that was seen to be harmless is not asked again.
const provenMax = time.Minute

// mayMore asks whether the role has another one's rights, which may be more than tables
// (pg_monitor's are queries of others, pg_read_server_files's are files), and whether it
// can touch any table, or a column of one, beyond the schema `reporting` and the
// catalogs. A superuser or an owner can.
const mayMore = `
	SELECT 'the rights of ' || pg_catalog.pg_get_userbyid(m.roleid)
	FROM pg_catalog.pg_auth_members AS m
	JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
	WHERE r.rolname = current_user
	UNION ALL
	SELECT n.nspname || '.' || c.relname
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
	  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension', 'pg_toast')
	  AND (n.nspname <> '` + schemaName + `' AND has_any_column_privilege(c.oid, 'SELECT')
	       OR has_any_column_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
	LIMIT 1`

// prove refuses a role that may do more than it should: the console is only as
// harmless as that.
func (c *Console) prove(ctx context.Context, conn *pgconn.PgConn) error {
	c.mu.Lock()
	isProven := c.clock().Sub(c.proven) < provenMax
	c.mu.Unlock()
	if isProven {
		return nil
	}
	results, err := conn.Exec(ctx, mayMore).ReadAll()
	if err != nil {
		return fmt.Errorf("look what the console's role may do: %w", err)
	}
	if rows := results[0].Rows; len(rows) > 0 {
		return ConsoleOff.Failure("the role of --reporting-url may use %s, and must be able to use nothing but the schema %s: make one with florin reporting role", rows[0][0], schemaName)
	}
	c.mu.Lock()
	c.proven = c.clock()
	c.mu.Unlock()
	return nil
}

// beginReading begins a read-only transaction and returns the moment that it shows.
func beginReading(ctx context.Context, conn *pgconn.PgConn) (time.Time, error) {
	const (
		postgres  = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint"
		cockroach = "BEGIN AS OF SYSTEM TIME follower_read_timestamp(); SELECT cluster_logical_timestamp()::text"
	)
	isCockroach := conn.ParameterStatus("crdb_version") != ""
	begin := postgres
	if isCockroach {
		begin = cockroach
	}
	results, err := conn.Exec(ctx, begin).ReadAll()
	if err != nil {
		return time.Time{}, fmt.Errorf("begin a query: %w", err)
	}
	text := string(results[1].Rows[0][0])
	if isCockroach {
		at, err := database.ParseTimestamp(text)
		return at.Time(), err
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(micros).UTC(), err
}

// checkQuery has the server parse the text where its grammar allows a query alone
// (SELECT, WITH, VALUES, TABLE): after DECLARE CURSOR FOR, which is not executed. What
// the server takes there is a query too where it stands alone, or after EXPLAIN.
// Other statements, of which CockroachDB has many that leave something behind although
// nothing is committed, don't get as far as being run.
func checkQuery(ctx context.Context, conn *pgconn.PgConn, text string) error {
	const before = "DECLARE console CURSOR FOR "
	declared, err := conn.Prepare(ctx, "", before+text, nil)
	if refused, is := errors.AsType[*pgconn.PgError](err); is {
		refused.Position = max(0, refused.Position-int32(len(before)))
		refused.Hint = "" // about DECLARE
		if refused.Code == codeSyntaxError {
			refused.Hint = "one query can be run, which begins with SELECT, WITH, VALUES or TABLE"
		}
	}
	if err != nil {
		return err
	}
	if len(declared.ParamOIDs) > 0 {
		return QueryFailed.Failure("the query has placeholders such as $1: write the values in their place")
	}
	if conn.ParameterStatus("crdb_version") != "" {
		return checkSources(ctx, conn, text)
	}
	return nil
}

// tellingSource is a statement that CockroachDB takes for a table, as CockroachDB
// writes it.
var tellingSource = regexp.MustCompile(`[\[(](SHOW|EXPLAIN)\b`)

// checkSources refuses the statements that CockroachDB allows in a query in place of a
// table, [SHOW ...], and that ask for no privilege: SHOW HISTOGRAM tells values of every
// column of every table. They are looked for in the server's own rendering of the
// text, in which nothing stands between the bracket and the word. (Its sister
// hide_sql_constants leaves out the later rows of VALUES.)
//
// Versions that can keep a session from internals do, but for the rendering.
func checkSources(ctx context.Context, conn *pgconn.PgConn, text string) error {
	const internals = "SELECT set_config(name, $1, false) FROM pg_catalog.pg_settings WHERE name = 'allow_unsafe_internals'"
	steps := &pgconn.Batch{}
	steps.ExecParams(internals, [][]byte{[]byte("on")}, nil, nil, nil)
	steps.ExecParams("SELECT crdb_internal.redactable_sql_constants($1::text)", [][]byte{[]byte(text)}, nil, nil, nil)
	steps.ExecParams(internals, [][]byte{[]byte("off")}, nil, nil, nil)
	results, err := conn.ExecBatch(ctx, steps).ReadAll()
	if err != nil {
		return err
	}
	rendered := string(results[1].Rows[0][0])
	if strings.HasPrefix(rendered, "\u2039") { // what it can't parse stands between these marks as it is
		return QueryFailed.Failure("the database can't tell what the query reads: write it otherwise")
	}
	if source := tellingSource.FindStringSubmatch(rendered); source != nil {
		return QueryFailed.Failure("%s can't stand in place of a table", source[1])
	}
	return nil
}

const codeSyntaxError = "42601"

var types = sync.OnceValue(pgtype.NewMap)

// typeName is what PostgreSQL calls a type; "unknown" for those of extensions.
func typeName(oid uint32) string {
	if known, isKnown := types().TypeForOID(oid); isKnown {
		return known.Name
	}
	return "unknown"
}
