package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// cockroach is a CockroachDB of one node.
type cockroach struct {
	dir      string
	program  string
	settings []Setting
	options  Options
	isFresh  bool
}

// cockroachDefaults are applied before the caller's settings: rangefeeds are
// what exports read, as logical decoding is on PostgreSQL.
var cockroachDefaults = []Setting{{"kv.rangefeed.enabled", "true"}}

// cockroachUnsafe are applied for tests, as CockroachDB's manual advises for
// them, where the version knows the name.
var cockroachUnsafe = []Setting{
	{"kv.range_merge.queue.interval", "50ms"},
	{"jobs.registry.interval.gc", "30s"},
	{"jobs.registry.interval.cancel", "180s"},
	{"jobs.retention_time", "15s"},
}

// findCockroach finds the program: what COCKROACH_BINARY names, or cockroach on
// PATH.
func findCockroach() (string, error) {
	if named := os.Getenv("COCKROACH_BINARY"); named != "" {
		path, err := exec.LookPath(named)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return "", fmt.Errorf("%w: COCKROACH_BINARY=%s: %w: set it to a cockroach program, or unset it", ErrBadBinary, named, reason(err))
		}
		return path, nil
	}
	path, err := exec.LookPath("cockroach")
	if err != nil {
		return "", fmt.Errorf("%w: no cockroach on PATH: put it there or set COCKROACH_BINARY", ErrNoEngine)
	}
	return filepath.Abs(path)
}

// reason strips an error of the path it repeats.
func reason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func newCockroach(f *folder, o Options, settings []Setting) (*cockroach, error) {
	c := &cockroach{dir: f.join(Cockroach), options: o, settings: settings, isFresh: o.Unsafe || !holdsCockroach(f)}
	var err error
	if c.program, err = findCockroach(); err != nil {
		return nil, err
	}
	if strings.Contains(c.dir, ",") {
		return nil, fmt.Errorf("%w: CockroachDB takes no comma in the path %s: choose another data folder", ErrBrokenDataDir, f.path)
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w: move it away or choose another data folder", ErrBrokenDataDir, err)
	}
	return c, nil
}

func (c *cockroach) name() string  { return Cockroach }
func (c *cockroach) title() string { return "CockroachDB" }
func (c *cockroach) fresh() bool   { return c.isFresh }

func (c *cockroach) held(string) bool { return false }

func (c *cockroach) url(port int, database string) string {
	return "postgres://root@" + loopback + ":" + strconv.Itoa(port) + "/" + database + "?sslmode=disable"
}

// announcement is where the node writes its address once it listens there.
func (c *cockroach) announcement() string { return filepath.Join(c.dir, "listening-url") }

func (c *cockroach) command(port int) (*exec.Cmd, error) {
	if err := os.Remove(c.announcement()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	store := c.dir
	if c.options.Unsafe {
		store = "type=mem,size=2GiB"
	}
	cmd := exec.Command(c.program, "start-single-node", "--insecure",
		"--listen-addr="+loopback+":"+strconv.Itoa(port),
		"--http-addr="+loopback+":0",
		"--store="+store,
		"--cache=256MiB",
		"--max-sql-memory=256MiB",
		"--listening-url-file="+c.announcement(),
		// JSON is YAML, and quotes any path.
		fmt.Sprintf(`--log={"file-defaults": {"dir": %q, "max-group-size": "64MiB"}, "sinks": {"stderr": {"filter": "FATAL"}}}`,
			filepath.Join(c.dir, "logs")),
	)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING=true")
	death := syscall.SIGTERM
	if c.options.Unsafe {
		death = syscall.SIGKILL
	}
	if c.options.keepOrphan {
		death = 0
	}
	cmd.SysProcAttr = childAttributes(death)
	return cmd, nil
}

// open waits for the node's own announcement, since without passwords any other
// CockroachDB that took the port would let us in.
func (c *cockroach) open(ctx context.Context, port int) (*pgx.Conn, error) {
	if _, err := os.Stat(c.announcement()); err != nil {
		return nil, err
	}
	return connect(ctx, c.url(port, "defaultdb"))
}

func (c *cockroach) setUp(ctx context.Context, conn *pgx.Conn) error {
	for _, s := range cockroachDefaults {
		if _, err := conn.Exec(ctx, s.statement()); err != nil {
			return fmt.Errorf("%w %s: %w", ErrNotStarted, s, err)
		}
	}
	if c.options.Unsafe {
		for _, s := range cockroachUnsafe {
			if _, err := conn.Exec(ctx, s.statement()); err != nil {
				c.options.Log.Debug("this CockroachDB has no such setting", "setting", s.String(), "error", err)
			}
		}
	}
	for _, s := range c.settings {
		if _, err := conn.Exec(ctx, s.statement()); err != nil {
			return fmt.Errorf("%w %q: CockroachDB refuses it: %w: correct or remove it", ErrBadSetting, s, err)
		}
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+databaseName); err != nil {
		return fmt.Errorf("%w: cannot make the database %s: %w", ErrNotStarted, databaseName, err)
	}
	return nil
}
