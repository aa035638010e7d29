package dbtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	schema "florin/sql"
)

// Migrating an empty database takes CockroachDB some twenty seconds: each index
// and each added column is a job of its own, in several steps that every node must
// have seen. The tables that come of it, made at once, take a tenth of a second.
// So the migrations run once on each server, in a database that is the template of
// all others; what the template was made of is in its name.

// templateTimeout bounds the migrations, and waiting for another package's.
const templateTimeout = 10 * time.Minute

// templates remembers each server's, by its URL without the database.
var templates sync.Map // of *template

type template struct {
	once     sync.Once
	database string
	tables   []string // CREATE statements
	rows     []string // INSERT statements, of what the migrations put into tables
	err      error
}

// migrate brings a schema up to date. What it leaves is what the migrations leave.
func migrate(ctx context.Context, db *database.DB, url string) error {
	if db.Engine == database.Cockroach {
		var isEmpty bool
		if err := db.QueryRow(ctx, "SELECT to_regclass('goose_db_version') IS NULL").Scan(&isEmpty); err != nil {
			return err
		}
		if isEmpty {
			return copyTemplate(ctx, db, url)
		}
	}
	_, err := database.Migrate(ctx, db, slog.New(slog.DiscardHandler))
	return err
}

func copyTemplate(ctx context.Context, db *database.DB, databaseURL string) error {
	server, err := url.Parse(databaseURL)
	if err != nil {
		return err
	}
	server.Path, server.RawQuery = "/defaultdb", ""
	remembered, _ := templates.LoadOrStore(server.String(), &template{})
	t := remembered.(*template)
	t.once.Do(func() {
		// The caller's time is for a copy.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), templateTimeout)
		defer cancel()
		t.err = t.make(ctx, server)
	})
	if t.err != nil {
		return fmt.Errorf("make the template of test databases: %w", t.err)
	}
	copying, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	return t.copyTo(copying, db)
}

// make migrates the template, unless another test package did. Several may try at
// once, as replicas do. It then makes sure that a copy has the same schema.
func (t *template) make(ctx context.Context, server *url.URL) error {
	made, err := migrationsHash()
	if err != nil {
		return err
	}
	t.database = "florin_template_" + made
	if err := execute(ctx, server.String(), "CREATE DATABASE IF NOT EXISTS "+t.database); err != nil {
		return err
	}
	target := *server
	target.Path = "/" + t.database
	db, err := database.Open(ctx, target.String(), database.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := database.Migrate(ctx, db, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if t.tables, err = tablesOf(ctx, db); err != nil {
		return err
	}
	if t.rows, err = t.rowsOf(ctx, db); err != nil {
		return err
	}
	return t.prove(ctx, server)
}

// rowsOf are the statements that copy the rows of tables that have some. goose goes
// by the order of its versions, and makes the row of its lock when it needs it.
func (t *template) rowsOf(ctx context.Context, db *database.DB) ([]string, error) {
	statements := []string{
		"INSERT INTO goose_db_version (version_id, is_applied) SELECT version_id, is_applied FROM " + t.database + ".public.goose_db_version ORDER BY id",
	}
	rows, err := db.Query(ctx, `
		SELECT quote_ident(table_name), string_agg(quote_ident(column_name), ', ')
		FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND is_generated = 'NEVER' AND is_hidden = 'NO'
		GROUP BY table_name`)
	if err != nil {
		return nil, err
	}
	columns := map[string]string{}
	var table, names string
	if _, err := pgx.ForEachRow(rows, []any{&table, &names}, func() error { columns[table] = names; return nil }); err != nil {
		return nil, err
	}
	for table, names := range columns {
		var hasRows bool
		if err := db.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&hasRows); err != nil {
			return nil, err
		}
		if hasRows {
			statements = append(statements, "INSERT INTO "+table+" ("+names+") SELECT "+names+" FROM "+t.database+".public."+table)
		}
	}
	return statements, nil
}

// prove makes a copy and compares.
func (t *template) prove(ctx context.Context, server *url.URL) error {
	fresh, drop, err := create(ctx, server.String())
	if err != nil {
		return err
	}
	if !isOnPassingServer(server.String()) {
		defer drop()
	}
	db, err := database.Open(ctx, fresh, database.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := t.copyTo(ctx, db); err != nil {
		return err
	}
	copied, err := tablesOf(ctx, db)
	if err != nil {
		return err
	}
	slices.Sort(copied) // they were made in another order
	if !slices.Equal(copied, slices.Sorted(slices.Values(t.tables))) {
		return fmt.Errorf("a copy has another schema: %s, not %s", copied, t.tables)
	}
	isMigrated, err := database.Migrated(ctx, db)
	if err == nil && !isMigrated {
		err = fmt.Errorf("a copy of %s seems not to be migrated", t.database)
	}
	return err
}

func (t *template) copyTo(ctx context.Context, db *database.DB) error {
	// All in one message: the schema changes of one transaction are one. The table of
	// versions comes last and gets a range of its own: the next database's tables begin
	// in it, and it never is GLOBAL. In the range of a GLOBAL table CockroachDB refuses
	// what follows a write in a transaction, even a split ("request timestamp too far
	// in future").
	versions := slices.IndexFunc(t.tables, func(table string) bool { return strings.Contains(table, ".goose_db_version (") })
	if versions < 0 {
		return fmt.Errorf("the template %s has no table of versions", t.database)
	}
	others := slices.Delete(slices.Clone(t.tables), versions, versions+1)
	steps := slices.Concat([]string{strings.Join(others, ";\n"), t.tables[versions]}, t.rows, []string{"ALTER TABLE goose_db_version SPLIT AT VALUES (0)"})
	for _, statement := range steps {
		if _, err := db.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("copy the template %s: %w", t.database, err)
		}
	}
	return nil
}

// tablesOf are the statements that make a database's tables, with all that belongs
// to them. An identity column brings its own sequence.
func tablesOf(ctx context.Context, db *database.DB) ([]string, error) {
	rows, err := db.Query(ctx, "SELECT create_statement FROM [SHOW CREATE ALL TABLES]")
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, statement := range all {
		if !strings.HasPrefix(statement, "CREATE SEQUENCE") {
			tables = append(tables, strings.TrimSuffix(statement, ";"))
		}
	}
	return tables, nil
}

// migrationsHash tells one set of migrations from another.
func migrationsHash() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(schema.Schema, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(schema.Schema, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	return fmt.Sprintf("%.8x", hash.Sum(nil)), err
}
