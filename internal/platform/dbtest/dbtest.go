// Package dbtest gives tests a real database on every engine found: a fresh,
// migrated one for each test package and engine, shared by its tests, which keep
// apart by using accounts of their own.
//
// `make test` names the engines in FLORIN_TEST_POSTGRES_URL and
// FLORIN_TEST_COCKROACH_URL (see withengines). Without these a test package
// starts engines of its own, so that a plain `go test` works too. On a CockroachDB
// of several regions FLORIN_TEST_REGIONS=a,b,c spreads each package's database over them.
package dbtest

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/database/embedded"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/dbtest/throwaway"
	"florin/internal/platform/id"
)

// Timeout bounds whatever a test asks of a database.
const Timeout = 2 * time.Minute

// engine is one engine's server and this package's database on it.
type engine struct {
	name     database.Engine
	variable string

	once   sync.Once
	server *embedded.Server
	folder string
	url    string // of this package's database; "" when the engine is not there
	err    error

	// passingHost is the server's address when it ends with the tests, and its
	// databases with it.
	passingHost string

	onceSecond sync.Once
	secondURL  string
	secondErr  error
}

var engines = []*engine{
	{name: database.Postgres, variable: "FLORIN_TEST_POSTGRES_URL"},
	{name: database.Cockroach, variable: "FLORIN_TEST_COCKROACH_URL"},
}

// Main runs a package's tests and then takes away what they started. A package
// that uses this one calls it from TestMain. What the tests share beyond their
// databases, such as roles, it takes away itself in after.
func Main(m *testing.M, after ...func()) {
	keepProcessLog()
	code := m.Run()
	for _, do := range after {
		do()
	}
	for _, e := range engines {
		e.close()
	}
	os.Exit(code)
}

// keepProcessLog keeps what libraries write by the standard loggers with the tests'
// other logs, which are searched for secrets.
func keepProcessLog() {
	file, err := secrets.ProcessLog()
	if err != nil {
		panic(err)
	}
	if file != nil {
		log.SetOutput(io.MultiWriter(os.Stderr, file)) // slog.Default writes there too
	}
}

// Each runs a test on every engine found, as subtests that run in parallel with
// others. The URL names a migrated database of this package.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	found := false
	for _, e := range engines {
		if e.open(t); e.url == "" {
			continue
		}
		found = true
		t.Run(string(e.name), func(t *testing.T) {
			t.Parallel()
			test(t, e.url)
		})
	}
	if !found {
		t.Fatal("no database engine found: install PostgreSQL 15 or newer, or set COCKROACH_BINARY")
	}
}

// LongOnCockroach is called by a test of Each that takes long there and asks little of
// the engine: on CockroachDB it is skipped unless FLORIN_TEST_LONG is set.
func LongOnCockroach(t *testing.T) {
	t.Helper()
	if path.Base(t.Name()) == string(database.Cockroach) && os.Getenv("FLORIN_TEST_LONG") == "" {
		t.Skip("takes long on CockroachDB: set FLORIN_TEST_LONG=1")
	}
}

// Bench runs a benchmark on every engine found, one after the other. The URL is as
// for Each.
func Bench(b *testing.B, bench func(b *testing.B, url string)) {
	b.Helper()
	for _, e := range engines {
		if e.open(b); e.url != "" {
			b.Run(string(e.name), func(b *testing.B) { bench(b, e.url) })
		}
	}
}

// passingServers names the engines, with a comma between them, whose servers end
// with the tests: nobody drops databases there, which takes CockroachDB seconds for
// each.
const passingServers = "FLORIN_TEST_PASSING_SERVERS"

// Fresh is the URL of one more empty database on the server of url, for tests that
// look at all of a database. It is dropped when the test ends, unless its server
// goes with the tests.
func Fresh(t testing.TB, serverURL string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	fresh, drop, err := create(ctx, serverURL)
	if err != nil {
		t.Fatal(err)
	}
	if !isOnPassingServer(serverURL) {
		t.Cleanup(drop)
	}
	return fresh
}

func isOnPassingServer(serverURL string) bool {
	host := hostOf(serverURL)
	return host != "" && slices.ContainsFunc(engines, func(e *engine) bool { return e.passingHost == host })
}

func hostOf(serverURL string) string {
	u, err := url.Parse(serverURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Second is the URL of one more migrated database on the server of url, shared by
// all tests of this package that ask for it: for those that look at all of a
// database and leave nothing wrong in it. Migrating one for each takes long.
func Second(t *testing.T, serverURL string) string {
	t.Helper()
	for _, e := range engines {
		if e.url == serverURL {
			e.onceSecond.Do(func() { e.secondURL, e.secondErr = migrated(serverURL) })
			if e.secondErr != nil {
				t.Fatal(e.secondErr)
			}
			return e.secondURL
		}
	}
	t.Fatal("not a database of Each")
	return ""
}

// Migrate brings a database's schema up to date.
func Migrate(t testing.TB, url string) {
	t.Helper()
	db := Open(t, url, database.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	if err := migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
}

func migrate(ctx context.Context, db *database.DB) error {
	if _, err := database.Migrate(ctx, db, slog.New(slog.DiscardHandler)); err != nil || db.Engine != database.Cockroach {
		return err
	}
	// The tables of the next database begin in the last one's range. It never is
	// GLOBAL: in the range of a table that is, CockroachDB refuses what follows a write
	// in a transaction, even a split ("request timestamp too far in future").
	_, err := db.Exec(ctx, "ALTER TABLE goose_db_version SPLIT AT VALUES (0)")
	return err
}

// With is a database's URL with a parameter more, such as a session variable that
// each connection sets.
func With(t testing.TB, databaseURL, name, value string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// Open connects to a database until the test ends.
func Open(t testing.TB, url string, o database.Options) *database.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	db, err := database.Open(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func (e *engine) open(t testing.TB) {
	t.Helper()
	e.once.Do(func() { e.err = e.start() })
	if e.err != nil {
		t.Fatal(e.err)
	}
}

func (e *engine) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	server := os.Getenv(e.variable)
	isOwn := server == throwaway.Own
	isPassing := server == "" || isOwn || slices.Contains(strings.Split(os.Getenv(passingServers), ","), string(e.name))
	if server == "" {
		if os.Getenv("FLORIN_TEST_POSTGRES_URL")+os.Getenv("FLORIN_TEST_COCKROACH_URL") != "" {
			return nil // the environment says which engines to use, and this is none
		}
		if e.name == database.Cockroach && !hasCockroach() {
			fmt.Fprintln(os.Stderr, "TESTS RUN ON POSTGRESQL ONLY: no CockroachDB found (set COCKROACH_BINARY or put cockroach on PATH)")
			return nil
		}
	}
	if server == "" || isOwn {
		if err := e.startServer(ctx); err != nil {
			return err
		}
		server = e.server.URL()
	}
	if isPassing {
		e.passingHost = hostOf(server)
	}
	var err error
	e.url, err = migrated(server)
	return err
}

// startServer starts a server that ends with this package's tests.
func (e *engine) startServer(ctx context.Context) (err error) {
	if e.folder, err = os.MkdirTemp(os.Getenv(throwaway.FolderEnv), "florin-test-"); err != nil {
		return err
	}
	settings := strings.FieldsFunc(os.Getenv("FLORIN_DEV_CLUSTER_SETTINGS"), func(r rune) bool { return r == ',' || r == ' ' })
	e.server, err = throwaway.Start(ctx, string(e.name), e.folder, settings, slog.New(slog.DiscardHandler))
	return err
}

// migrated makes a database that lasts as long as its server.
func migrated(serverURL string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	fresh, _, err := create(ctx, serverURL)
	if err != nil {
		return "", err
	}
	db, err := database.Open(ctx, fresh, database.Options{})
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := migrate(ctx, db); err != nil {
		return "", err
	}
	ctx, cancel = context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	regions := strings.FieldsFunc(os.Getenv("FLORIN_TEST_REGIONS"), func(r rune) bool { return r == ',' })
	if err := database.Localize(ctx, db, database.Regions{Names: regions}, slog.New(slog.DiscardHandler)); err != nil {
		return "", err
	}
	return fresh, nil
}

func (e *engine) close() {
	if e.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	_ = e.server.Stop(ctx)
	if os.Getenv(throwaway.FolderEnv) == "" {
		_ = os.RemoveAll(e.folder)
	}
}

// create makes an empty database with a name of its own.
func create(ctx context.Context, serverURL string) (freshURL string, drop func(), err error) {
	name := id.New("test")
	target, err := url.Parse(serverURL)
	if err != nil {
		return "", nil, err
	}
	target.Path = "/" + name
	if err := execute(ctx, serverURL, "CREATE DATABASE "+database.QuoteIdentifier(name)); err != nil {
		return "", nil, fmt.Errorf("create a test database: %w", err)
	}
	drop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), Timeout)
		defer cancel()
		_ = execute(ctx, serverURL, "DROP DATABASE IF EXISTS "+database.QuoteIdentifier(name))
	}
	return target.String(), drop, nil
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func hasCockroach() bool {
	if os.Getenv("COCKROACH_BINARY") != "" {
		return true
	}
	_, err := exec.LookPath("cockroach")
	return err == nil
}
