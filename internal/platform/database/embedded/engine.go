package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// engine is what differs between PostgreSQL and CockroachDB.
type engine interface {
	name() string  // Postgres or Cockroach
	title() string // as people call it
	url(port int, database string) string
	// command is the engine's program, ready to be started on port.
	command(port int) (*exec.Cmd, error)
	// open connects to a database that exists from the beginning, once this
	// engine, not some other server, listens on port.
	open(ctx context.Context, port int) (*pgx.Conn, error)
	// setUp makes what must be there before anybody else connects. It runs
	// after every start, and does nothing twice.
	setUp(ctx context.Context, conn *pgx.Conn) error
	// fresh says that there was no data before this start.
	fresh() bool
	// held says that a start failed because processes of a dead engine still
	// run, as its last words tell.
	held(lastWords string) bool
}

// newEngine finds the programs of an engine and makes its data folder when
// there is none.
func newEngine(ctx context.Context, kind string, f *folder, o Options, settings []Setting) (engine, error) {
	if kind == Postgres {
		return newPostgres(ctx, f, o)
	}
	return newCockroach(f, o, settings)
}

// Lookup finds the program of an engine, Postgres or Cockroach: where it is, or
// ErrNoEngine when there is none, or ErrBadBinary when COCKROACH_BINARY is set
// to something that does not run.
func Lookup(kind string) (string, error) {
	switch kind {
	case Postgres:
		found, err := findPostgres()
		if err != nil {
			return "", err
		}
		return found[0].program("postgres"), nil
	case Cockroach:
		return findCockroach()
	}
	return "", fmt.Errorf("unknown database engine %q: use %s or %s", kind, Postgres, Cockroach)
}

// choose decides which engine runs in the folder.
func choose(f *folder, o Options, last state) (string, error) {
	hasPostgres, hasCockroach := holdsPostgres(f), holdsCockroach(f)
	switch o.Engine {
	case Postgres, Cockroach:
		if (o.Engine == Postgres && hasCockroach && !hasPostgres) || (o.Engine == Cockroach && hasPostgres && !hasCockroach) {
			o.Log.Warn("the data folder holds another engine's data, which this run does not show", "engine", o.Engine, "folder", f.path)
		}
		return o.Engine, nil
	case Auto, "":
	default:
		return "", fmt.Errorf("unknown database engine %q: use %s, %s or %s", o.Engine, Auto, Postgres, Cockroach)
	}
	switch {
	case last.alive():
		return last.Engine, nil
	case hasPostgres && !hasCockroach:
		if _, err := findCockroach(); err == nil {
			o.Log.Info("the data folder holds PostgreSQL data, so PostgreSQL runs although a cockroach program is here", "folder", f.path)
		}
		return Postgres, nil
	case hasCockroach && !hasPostgres:
		return Cockroach, nil
	}
	kind := Cockroach
	_, err := findCockroach()
	if errors.Is(err, ErrNoEngine) {
		kind = Postgres
		_, err = findPostgres()
	}
	if err == nil && hasPostgres && hasCockroach {
		o.Log.Info("the data folder holds data of both engines", "engine", kind, "folder", f.path)
	}
	return kind, err
}

func holdsPostgres(f *folder) bool {
	_, err := os.Stat(filepath.Join(f.join(Postgres), "PG_VERSION"))
	return err == nil
}

func holdsCockroach(f *folder) bool {
	_, err := os.Stat(f.join(clusterFile))
	return err == nil || holdsStore(f.join(Cockroach))
}

// holdsStore looks for a CockroachDB store that was finished: a run in memory
// leaves only logs.
func holdsStore(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	_, err := os.Stat(filepath.Join(dir, unfinishedStore))
	return len(found) > 0 && err != nil
}
