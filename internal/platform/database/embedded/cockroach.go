package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/process"
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
// what exports read, as logical decoding is on PostgreSQL. The settings that
// CockroachDB's manual advises for tests (range merges, job intervals) are not
// among them: measured, they made schema changes no faster.
var cockroachDefaults = []Setting{{"kv.rangefeed.enabled", "true"}}

// cockroachUnsafe are applied too where Unsafe is set: a change feed's time then
// stands still for tenths of a second instead of three, and jobs obey as quickly
// instead of in ten, which is most of what the tests of exports would wait for.
var cockroachUnsafe = []Setting{
	{"jobs.registry.interval.cancel", "500ms"},
	{"kv.closed_timestamp.target_duration", "300ms"},
	{"kv.closed_timestamp.side_transport_interval", "100ms"},
	{"kv.rangefeed.closed_timestamp_refresh_interval", "100ms"},
}

// unfinishedStore is a file that stands in the folder while a store is being
// made.
const unfinishedStore = "florin-unfinished"

// leaseDuration is CockroachDB's own variable for how long a node's claim on its
// data lasts. A node that was stopped has to wait its old claim out, 5.5 seconds
// in all with the default, 2.6 with 2 seconds. A short one risks that other
// nodes take over from a busy one, and a single node has none.
const leaseDuration = "COCKROACH_RANGE_LEASE_DURATION"

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
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func newCockroach(f *folder, o Options, settings []Setting) (*cockroach, error) {
	c := &cockroach{dir: f.join(Cockroach), options: o, settings: settings, isFresh: o.Unsafe || !holdsStore(f.join(Cockroach))}
	var err error
	if c.program, err = findCockroach(); err != nil {
		return nil, err
	}
	if strings.Contains(c.dir, ",") {
		return nil, fmt.Errorf("%w: CockroachDB takes no comma in the path %s: choose another data folder", ErrBrokenDataDir, f.path)
	}
	return c, nil
}

func (c *cockroach) name() string  { return Cockroach }
func (c *cockroach) title() string { return "CockroachDB" }
func (c *cockroach) fresh() bool   { return c.isFresh }

func (c *cockroach) held(string) bool { return false }

func (c *cockroach) url(port int, database string) string {
	return "postgres://root@" + address(port) + "/" + database + "?sslmode=disable"
}

// announcement is where the node writes its address once it listens there.
func (c *cockroach) announcement() string { return filepath.Join(c.dir, "listening-url") }

// prepare makes the folder ready for a start. A node that was killed while it
// made its store would wait for its dead self for minutes, so such a store,
// which nobody has ever been let into, is made anew.
func (c *cockroach) prepare() error {
	unfinished := filepath.Join(c.dir, unfinishedStore)
	_, err := os.Stat(unfinished)
	if err == nil && !c.options.Unsafe {
		if err := os.RemoveAll(c.dir); err != nil {
			return err
		}
	}
	if err := c.announce(); err != nil {
		return err
	}
	if c.options.Unsafe || holdsStore(c.dir) {
		return nil
	}
	if err := os.WriteFile(unfinished, []byte("This store was never finished.\n"), 0o600); err != nil {
		return err
	}
	return syncFolder(c.dir)
}

// announce makes place for the announcement of the node to be started.
func (c *cockroach) announce() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(c.announcement()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// finish says that the store is whole from now on.
func (c *cockroach) finish() error {
	if c.options.Unsafe {
		return nil
	}
	if err := os.Remove(filepath.Join(c.dir, unfinishedStore)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFolder(c.dir)
}

func (c *cockroach) command(port int) (*exec.Cmd, error) {
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	args := []string{
		"start-single-node",
		"--sql-addr=" + address(port),
		"--listen-addr=" + address(0), // for other nodes, of which there are none
		"--http-addr=" + address(0),
		"--cache=256MiB",
		"--max-sql-memory=256MiB",
	}
	if c.options.Unsafe {
		// With a region, so that tests can spread a database, if only over one.
		return c.run(syscall.SIGKILL, "2s", append(args, "--store=type=mem,size=2GiB", "--locality=region=here")...), nil
	}
	return c.run(syscall.SIGTERM, "2s", append(args, "--store="+c.dir)...), nil
}

// run is the program with what every node has. It gets the signal when we are
// killed.
func (c *cockroach) run(death syscall.Signal, lease string, args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, append(args, "--insecure",
		"--listening-url-file="+c.announcement(),
		// JSON is YAML, and quotes any path.
		fmt.Sprintf(`--log={"file-defaults": {"dir": %q, "max-group-size": "64MiB"}, "sinks": {"stderr": {"filter": "FATAL"}}}`,
			filepath.Join(c.dir, "logs")))...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING=true")
	if _, set := os.LookupEnv(leaseDuration); !set {
		cmd.Env = append(cmd.Env, leaseDuration+"="+lease)
	}
	if c.options.keepOrphan {
		death = 0
	}
	cmd.SysProcAttr = process.Attributes(death)
	return cmd
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
	defaults := cockroachDefaults
	if c.options.Unsafe {
		defaults = append(slices.Clip(defaults), cockroachUnsafe...)
	}
	for _, s := range defaults {
		if _, err := conn.Exec(ctx, s.statement()); err != nil {
			return fmt.Errorf("%w %s: %w", ErrNotStarted, s, err)
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
	if err := c.finish(); err != nil {
		return fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	return nil
}
