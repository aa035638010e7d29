package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// executioner ends other connections as an operator would.
type executioner struct {
	t    *testing.T
	db   *database.DB
	work sync.WaitGroup
}

func newExecutioner(t *testing.T, db *database.DB) *executioner {
	e := &executioner{t: t, db: db}
	t.Cleanup(e.work.Wait)
	return e
}

// victim is how the server knows a transaction's connection.
func (e *executioner) victim(ctx context.Context, tx pgx.Tx) (kill func(), err error) {
	if e.db.Engine == database.Cockroach {
		var session string
		err := tx.QueryRow(ctx, "SHOW session_id").Scan(&session)
		return func() { e.execute("CANCEL SESSION IF EXISTS '" + session + "'") }, err
	}
	pid := tx.Conn().PgConn().PID()
	return func() { e.execute("SELECT pg_terminate_backend($1, 5000)", pid) }, nil // waits until it is gone
}

func (e *executioner) execute(sql string, args ...any) {
	// Not the test's context: the victim's end may end the test.
	ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
	defer cancel()
	if _, err := e.db.Exec(ctx, sql, args...); err != nil {
		e.t.Error(err)
	}
}

// soon kills while the caller goes on to something that takes longer.
func (e *executioner) soon(kill func()) {
	e.work.Go(func() {
		time.Sleep(100 * time.Millisecond)
		kill()
	})
}

func TestInTxRunsAgainWhenTheServerEndsItsConnection(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 2})
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		operator := newExecutioner(t, direct)
		insert := func(ctx context.Context, tx pgx.Tx, name string) error {
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			return err
		}
		for phase, first := range map[string]func(ctx context.Context, tx pgx.Tx, kill func(), name string) error{
			"before its first statement": func(ctx context.Context, tx pgx.Tx, kill func(), name string) error {
				kill()
				return insert(ctx, tx, name)
			},
			"between two statements": func(ctx context.Context, tx pgx.Tx, kill func(), name string) error {
				if err := insert(ctx, tx, name); err != nil {
					return err
				}
				kill()
				_, err := tx.Exec(ctx, "SELECT 1")
				return err
			},
			"during a statement": func(ctx context.Context, tx pgx.Tx, kill func(), name string) error {
				if err := insert(ctx, tx, name); err != nil {
					return err
				}
				operator.soon(kill)
				_, err := tx.Exec(ctx, "SELECT pg_sleep(15)")
				return err
			},
			"before errors that the closure swallows": func(ctx context.Context, tx pgx.Tx, kill func(), name string) error {
				kill()
				_ = insert(ctx, tx, name)
				_ = insert(ctx, tx, name)
				return nil
			},
		} {
			name := table(t, direct)
			runs := 0
			err := db.InTx(t.Context(), "killed", func(ctx context.Context, tx pgx.Tx) error {
				if runs++; runs > 1 {
					return insert(ctx, tx, name)
				}
				kill, err := operator.victim(ctx, tx)
				if err != nil {
					return err
				}
				return first(ctx, tx, kill, name)
			})
			if err != nil || runs != 2 || count(t, direct, name) != 1 {
				t.Errorf("%s: %v after %d runs, %d rows; want success at the second", phase, err, runs, count(t, direct, name))
			}
		}
	})
}

// When the connection ends just before COMMIT is sent the client can't tell that
// from an end just after: it must not claim either.
func TestInTxClaimsNothingWhenTheServerEndsItsConnectionAtTheCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 2})
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		operator := newExecutioner(t, direct)
		name := table(t, direct)
		runs := 0
		err := db.InTx(t.Context(), "killed", func(ctx context.Context, tx pgx.Tx) error {
			runs++
			kill, err := operator.victim(ctx, tx)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			kill()
			return err
		})
		isUnknown, rows := errors.Is(err, database.ErrCommitUnknown), count(t, direct, name)
		if direct.Engine == database.Cockroach { // a session may outlive its cancellation by a COMMIT
			if runs != 1 || !isUnknown && (err != nil || rows != 1) {
				t.Errorf("before COMMIT: %v after %d runs, %d rows", err, runs, rows)
			}
			return // and no COMMIT can be made to last there
		}
		if runs != 1 || !isUnknown || rows != 0 {
			t.Errorf("before COMMIT: %v after %d runs, %d rows; want ErrCommitUnknown and none", err, runs, rows)
		}
		name = table(t, direct)
		slowCommit(t, direct, name)
		err = db.InTx(t.Context(), "killed", func(ctx context.Context, tx pgx.Tx) error {
			kill, err := operator.victim(ctx, tx)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			operator.soon(kill)
			return err
		})
		if !errors.Is(err, database.ErrCommitUnknown) || count(t, direct, name) != 0 {
			t.Errorf("during COMMIT: %v, %d rows; want ErrCommitUnknown", err, count(t, direct, name))
		}
	})
}

// slowCommit makes a COMMIT that wrote to the table last for seconds.
func slowCommit(t *testing.T, db *database.DB, name string) {
	t.Helper()
	execute(t, db, "CREATE FUNCTION "+name+"_slow() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN NULL; END'")
	execute(t, db, "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON "+name+" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "+name+"_slow()")
}

// A process that was paused finds its transaction ended by the server.
func TestInTxRunsAgainAfterItWasIdleTooLong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 1})
		db := dbtest.Open(t, url, database.Options{MaxConns: 1, StatementTimeout: 2 * time.Second})
		name := table(t, direct)
		runs := 0
		err := db.InTx(t.Context(), "idle", func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)"); err != nil {
				return err
			}
			if runs++; runs == 1 {
				time.Sleep(3 * time.Second)
			}
			_, err := tx.Exec(ctx, "SELECT 1")
			return err
		})
		if err != nil || runs != 2 || count(t, direct, name) != 1 {
			t.Fatalf("%v after %d runs, %d rows", err, runs, count(t, direct, name))
		}
	})
}
