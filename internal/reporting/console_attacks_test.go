package reporting_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/reporting"
)

// attack is a statement that somebody with the console may try, and what becomes of it
// on each engine: the SQLSTATE that it is refused with, or one of the outcomes; " or "
// between two that depend on how fast the machine is. CONSOLE stands for the
// console's role, OWNER for the database's.
type attack struct{ query, postgres, cockroach string }

// outcomes are those beside refusals by the database.
var outcomes = map[string]string{
	"runs":  "runs, without effect",
	"ended": "ended by the time limit",
	"large": "refused: more than 4 MiB in a row",
	"cut":   "cut off at the limit of rows",
	"show":  "refused: no statement in place of a table",
	"param": "refused: placeholders",
}

var attacks = []attack{
	{`INSERT INTO reporting.accounts (account_id) VALUES ('x')`, "42601", "42601"},
	{`UPDATE reporting.balances SET posted = 1`, "42601", "42601"},
	{`DELETE FROM reporting.accounts`, "42601", "42601"},
	{`INSERT INTO public.accounts (account_id) VALUES ('x')`, "42601", "42601"},
	{`WITH x AS (DELETE FROM public.accounts RETURNING 1) SELECT * FROM x`, "0A000", "42501"},
	{`TRUNCATE public.accounts`, "42601", "42601"},
	{`CREATE TABLE public.x (a int)`, "42601", "42601"},
	{`CREATE TEMP TABLE x (a int)`, "42601", "42601"},
	{`CREATE FUNCTION reporting.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, "42601", "42601"},
	{`DROP VIEW reporting.accounts`, "42601", "42601"},
	{`SELECT * FROM reporting.accounts FOR UPDATE`, "42501", "42501"},
	{`LOCK TABLE reporting.accounts IN ACCESS EXCLUSIVE MODE`, "42601", "42601"},
	{`SELECT nextval('public.goose_db_version_id_seq')`, "42501", "25006"},
	{`GRANT SELECT ON public.accounts TO CONSOLE`, "42601", "42601"},
	{`ALTER ROLE CONSOLE SET statement_timeout = 0`, "42601", "42601"},
	{`ALTER ROLE CONSOLE PASSWORD 'x'`, "42601", "42601"},
	{`SET TRANSACTION READ WRITE`, "42601", "42601"},
	{`SELECT set_config('transaction_read_only', 'off', false)`, "25001", "42601"},
	{`SELECT set_config('default_transaction_read_only', 'off', false)`, "runs", "runs"},
	{`SELECT set_config('statement_timeout', '0', false)`, "runs", "runs"},
	{`SELECT set_config('role', 'OWNER', false)`, "42501", "42501"},
	{`SET ROLE OWNER`, "42601", "42601"},
	{`SET SESSION AUTHORIZATION OWNER`, "42601", "42601"},
	{`COMMIT`, "42601", "42601"},
	{`PREPARE TRANSACTION 'x'`, "42601", "42601"},
	{`SELECT * FROM public.accounts`, "42501", "42501"},
	{`SELECT * FROM public.users`, "42501", "42501"},
	{`SELECT * FROM public.audit_events`, "42501", "42501"},
	{`SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword NOT LIKE '****%'`, "42501", "runs"},
	{`SELECT query FROM pg_catalog.pg_stat_activity WHERE usename <> current_user AND query NOT IN ('', '<insufficient privilege>')`, "runs", "runs"},
	{`SELECT * FROM crdb_internal.cluster_transactions`, "42P01", "42501"},
	{`SELECT * FROM crdb_internal.cluster_sessions WHERE user_name <> current_user`, "42P01", "42501 or runs"},
	{`SELECT * FROM system.users`, "42P01", "42501"},
	{`SELECT * FROM crdb_internal.create_statements`, "42P01", "42501 or runs"},
	{`SELECT 1; SELECT 2`, "42601", "42P14"},
	{`SELECT 1; DROP VIEW reporting.accounts`, "42601", "42P14"},
	{`SELECT pg_sleep(60)`, "ended", "ended"},
	{`SELECT count(*) FROM generate_series(1, 1000000000000)`, "ended", "ended"},
	{`SELECT * FROM generate_series(1, 1000000000000)`, "ended", "cut"},
	{`SELECT repeat('x', 1000000000)`, "large or ended", "54000"},
	{`SELECT repeat('x', 30000000)`, "large or ended", "large or ended"},
	{`SELECT repeat('x', 30000000)::int`, "large", "large or ended"},
	{`SELECT count(*) FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b, generate_series(1, 100000) AS c`, "ended", "ended"},
	{`WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r`, "ended", "ended"},
	{`SELECT array_agg(repeat('x', 1000)) FROM generate_series(1, 1000000)`, "large or ended", "53200 or ended"},
	{`SELECT pg_advisory_lock(1)`, "runs", "42883"},
	{`COPY (SELECT 1) TO STDOUT`, "42601", "42601"},
	{`COPY reporting.accounts FROM STDIN`, "42601", "42601"},
	{`COPY (SELECT 1) TO '/tmp/x'`, "42601", "42601"},
	{`COPY (SELECT 1) TO PROGRAM 'id'`, "42601", "42601"},
	{`DO $$ BEGIN EXECUTE 'CREATE TABLE public.x (a int)'; END $$`, "42601", "42601"},
	{`DO $$ BEGIN COMMIT; END $$`, "42601", "42601"},
	{`DO $$ BEGIN LOOP NULL; END LOOP; END $$`, "42601", "42601"},
	{`LISTEN x`, "42601", "42601"},
	{`SELECT pg_notify('x', 'y')`, "runs", "42883"},
	{`SELECT lo_create(0)`, "42501", "42883"},
	{`SELECT lo_import('/etc/passwd')`, "42501", "42883"},
	{`SELECT pg_logical_emit_message(false, 'x', 'y')`, "42501", "42883"},
	{`SELECT pg_read_file('/etc/passwd')`, "42501", "42883"},
	{`SELECT query_to_xml('DELETE FROM public.accounts', true, true, '')`, "0A000", "42883"},
	{`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user`, "42501", "42883"},
	{`SELECT crdb_internal.force_panic('x')`, "3F000", "42501"},
	{`EXPLAIN ANALYZE DELETE FROM public.accounts`, "42601", "42601"},
	{`EXPLAIN ANALYZE (DEBUG) SELECT 1`, "42601", "42601"},
	{`SELECT * FROM [EXPLAIN ANALYZE (DEBUG) SELECT 1]`, "42601", "42601"},
	{`SELECT * FROM [DELETE FROM public.accounts RETURNING 1]`, "42601", "42501"},
	{`SELECT * FROM [SHOW HISTOGRAM 1]`, "42601", "show"},
	{`WITH x AS (SHOW HISTOGRAM 1) SELECT * FROM x`, "42601", "show"},
	{`SELECT * FROM [/* x */ show histogram 1] AS "SELECT"`, "42601", "show"},
	{`VALUES ('1'), ((SELECT upper_bound FROM [SHOW HISTOGRAM 1]))`, "42601", "show"},
	{`SELECT 1 AS ‹, (SELECT 1 FROM [SHOW HISTOGRAM 1]) AS ›`, "42601", "show"},
	{`SELECT * FROM [EXPLAIN (OPT, VERBOSE) SELECT * FROM reporting.accounts]`, "42601", "show"},
	{`SELECT $1::int`, "param", "param"},
	{`EXPORT INTO CSV 'userfile:///x' FROM SELECT 1`, "42601", "42601"},
	{`BACKUP INTO 'userfile:///x'`, "42601", "42601"},
}

func TestWhatTheConsoleIsAskedChangesNothingAndShowsNothingElse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		before := w.traces()
		for _, a := range attacks {
			want := a.postgres
			if w.db.Engine == database.Cockroach {
				want = a.cockroach
			}
			if got := w.outcome(a.query); !slices.Contains(strings.Split(want, " or "), got) {
				t.Errorf("%s: %s; want %s", a.query, got, want)
			}
			if rows, _, err := w.run("SELECT current_setting('default_transaction_read_only')"); err != nil || rows[0] != "on" {
				t.Fatalf("after %s: %q, %v", a.query, rows, err)
			}
		}
		if after := w.traces(); after != before {
			t.Errorf("the database was %s, is %s", before, after)
		}
	})
}

var sqlState = regexp.MustCompile(`\(SQLSTATE ([0-9A-Z]{5})`)

// outcome is what becomes of a query, in the words of attack. Of those that look for
// others' secrets there must be no rows.
func (w *world) outcome(query string) string {
	w.t.Helper()
	owner := w.db.Config().ConnConfig.User
	rows, result, err := w.run(strings.NewReplacer("CONSOLE", w.role, "OWNER", owner).Replace(query))
	if strings.Contains(query, "<> current_user") || strings.Contains(query, "rolpassword") {
		if len(rows) > 0 {
			w.t.Errorf("%s shows %q", query, rows)
		}
	}
	refused, isRefused := failure.In(err)
	switch {
	case err == nil && result.IsTruncated:
		return "cut"
	case err == nil:
		return "runs"
	case !isRefused:
		return err.Error()
	case refused.Code == string(reporting.QueryTimeout):
		return "ended"
	case refused.Code == string(reporting.ResultTooLarge):
		return "large"
	case strings.Contains(refused.Message, "in place of a table"):
		return "show"
	case strings.Contains(refused.Message, "placeholders"):
		return "param"
	}
	if state := sqlState.FindStringSubmatch(refused.Message); state != nil {
		return state[1]
	}
	return refused.Message
}

// traces is what queries could leave behind in the database.
func (w *world) traces() string {
	w.t.Helper()
	looks := []string{
		"SELECT count(*) FROM information_schema.tables WHERE table_schema NOT LIKE 'pg_%'",
		"SELECT count(*) FROM information_schema.schemata",
		"SELECT count(*) FROM information_schema.routines WHERE routine_schema = 'reporting'",
		"SELECT count(*) FROM accounts",
		"SELECT count(*) FROM pg_prepared_xacts",
	}
	if w.db.Engine == database.Postgres {
		looks = append(looks, "SELECT count(*) FROM pg_largeobject_metadata")
	} else {
		looks = append(looks, "SELECT count(*) FROM system.statement_diagnostics", "SELECT count(*) FROM [SHOW JOBS] WHERE user_name = '"+w.role+"'")
	}
	var text strings.Builder
	for _, look := range looks {
		var n int
		if err := w.db.QueryRow(w.t.Context(), look).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&text, "%d ", n)
	}
	return text.String()
}

// The same by psql, where nobody begins a read-only transaction and settings can be
// switched off: the grants hold.
func TestTheRoleCanNotWriteWhateverItSets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		conn, err := pgx.Connect(t.Context(), w.roleURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		settings := []string{"SET default_transaction_read_only = off", "SET statement_timeout = 0"}
		if w.db.Engine == database.Cockroach {
			settings = append(settings, "SET default_transaction_use_follower_reads = off", "SET experimental_enable_temp_tables = on")
		}
		before := w.traces()
		for _, setting := range settings {
			if _, err := conn.Exec(t.Context(), setting); err != nil {
				t.Fatal(err)
			}
		}
		for _, statement := range []string{
			"INSERT INTO reporting.accounts (account_id) VALUES ('x')", "DELETE FROM public.accounts", "SELECT * FROM public.accounts", "SELECT * FROM public.users",
			"CREATE TABLE public.x (a int)", "CREATE TABLE reporting.x (a int)", "CREATE TEMP TABLE x (a int)", "CREATE SCHEMA x", "CREATE DATABASE x",
			"SELECT lo_create(0)", "SELECT lo_from_bytea(0, 'x')", "CREATE ROLE x", "GRANT SELECT ON public.accounts TO PUBLIC",
			"TRUNCATE public.accounts", "DROP VIEW reporting.accounts", "CREATE FUNCTION reporting.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"LOCK TABLE reporting.accounts IN ACCESS EXCLUSIVE MODE", "SET ROLE " + w.db.Config().ConnConfig.User, "SET SESSION AUTHORIZATION " + w.db.Config().ConnConfig.User,
			"COPY (SELECT 1) TO '/tmp/x'", "COPY (SELECT 1) TO PROGRAM 'id'", "COPY reporting.accounts FROM STDIN", "DO $$ BEGIN EXECUTE 'CREATE TABLE public.x (a int)'; END $$",
		} {
			if _, err := conn.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s was done", statement)
			}
		}
		if after := w.traces(); after != before {
			t.Errorf("the database was %s, is %s", before, after)
		}
	})
}

var update = flag.Bool("update", false, "write the tables of docs/reporting.md anew")

const document = "../../docs/reporting.md"

func TestTheTableOfAttacksIsTheTests(t *testing.T) {
	var table strings.Builder
	table.WriteString("| statement | PostgreSQL | CockroachDB |\n|---|---|---|\n")
	for _, a := range attacks {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", strings.ReplaceAll(a.query, "|", "\\|"), told(a.postgres), told(a.cockroach))
	}
	compare(t, "attacks", table.String())
}

// told is an outcome in words.
func told(outcome string) string {
	var words []string
	for _, one := range strings.Split(outcome, " or ") {
		if text, known := outcomes[one]; known {
			words = append(words, text)
		} else {
			words = append(words, "refused ("+one+")")
		}
	}
	return strings.Join(words, ", or ")
}

// compare holds what stands between two marks of the document to what is true. With
// -update it writes it.
func compare(t *testing.T, mark, want string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+mark+" -->\n", "<!-- end of "+mark+" -->"
	before, rest, _ := strings.Cut(string(text), begin)
	got, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no part %s", document, mark)
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: %s is\n%s\nrun with -update", document, mark, want)
}
