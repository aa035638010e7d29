package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/process"
)

const (
	postgresUser     = "florin"
	postgresPassword = "florin.password" // beside the data it opens, so that they move together
	postgresConfig   = "florin.conf"
)

// postgresSettings are for one machine that runs much else.
const postgresSettings = `# Written by florin at each start. Put your own settings at the end of
# postgresql.conf, where they win over these.
unix_socket_directories = ''
max_connections = 200
password_encryption = 'scram-sha-256'
shared_buffers = 256MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
jit = off
wal_level = logical
wal_compression = on
min_wal_size = 256MB
max_wal_size = 2GB
# An export that nobody runs any more loses its place before the disk is full.
max_slot_wal_keep_size = 8GB
max_pred_locks_per_transaction = 256
timezone = 'UTC'
log_timezone = 'UTC'
# Failed statements are reported to the caller: retried conflicts would fill
# this log. What PostgreSQL itself has to say ranks above them.
log_min_messages = log
`

const postgresSafe = `fsync = on
synchronous_commit = on
full_page_writes = on
max_replication_slots = 8
max_wal_senders = 8
`

const postgresUnsafe = `fsync = off
synchronous_commit = off
full_page_writes = off
max_replication_slots = 64
max_wal_senders = 64
`

// postgres is a PostgreSQL cluster.
type postgres struct {
	dir      string
	password string
	install  installation
	as       runAs
	options  Options
	isFresh  bool
}

// newPostgres makes the cluster when there is none, and otherwise finds the
// programs of the version that wrote it.
func newPostgres(ctx context.Context, f *folder, o Options) (*postgres, error) {
	found, err := findPostgres()
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: f.join(Postgres), options: o, install: found[0]}
	if err := p.matchVersion(found); err != nil {
		return nil, err
	}
	if p.as, err = notRoot(p.install.program("postgres"), f.path, p.dir); err != nil {
		return nil, err
	}
	if p.isFresh {
		o.Log.Info("making a new PostgreSQL database", "version", p.title(), "folder", p.dir)
		if err := p.create(ctx, f); err != nil {
			return nil, err
		}
	}
	if err := p.as.takeOver(p.dir); err != nil {
		return nil, err
	}
	p.password, err = readPassword(p.dir)
	return p, err
}

func runningPostgres(f *folder) (*postgres, error) {
	p := &postgres{dir: f.join(Postgres)}
	var err error
	p.password, err = readPassword(p.dir)
	return p, err
}

// matchVersion picks the installation whose major version wrote the data, and
// notes when there is no data yet.
func (p *postgres) matchVersion(found []installation) error {
	version, err := os.ReadFile(filepath.Join(p.dir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		// An empty folder is as good as none.
		if err := os.Remove(p.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: %s holds no PostgreSQL data (PG_VERSION is missing): move it away or restore it from a copy", ErrBrokenDataDir, p.dir)
		}
		p.isFresh = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w: run florin as the user whom it belongs to, or as root", ErrBrokenDataDir, err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(version)))
	if err != nil {
		return fmt.Errorf("%w: %s names no version: restore the folder from a copy, or move it away", ErrBrokenDataDir, filepath.Join(p.dir, "PG_VERSION"))
	}
	i := slices.IndexFunc(found, func(i installation) bool { return i.major == major })
	if i < 0 {
		return fmt.Errorf("%w: PostgreSQL %d wrote %s, but only PostgreSQL %d is installed: install PostgreSQL %d, or move the folder away",
			ErrBrokenDataDir, major, p.dir, p.install.major, major)
	}
	p.install = found[i]
	return nil
}

// create makes the cluster beside its place and moves it there when it is
// whole.
func (p *postgres) create(ctx context.Context, f *folder) error {
	scratch, err := os.MkdirTemp(f.path, scratchPrefix)
	if err != nil {
		return fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	defer os.RemoveAll(scratch)
	if os.Geteuid() == 0 {
		if err := os.Lchown(scratch, p.as.uid, p.as.gid); err != nil {
			return fmt.Errorf("%w: cannot give it to %s: %w: choose a data folder on a local disk", ErrBrokenDataDir, p.as.name, err)
		}
	}
	data, password := filepath.Join(scratch, "data"), filepath.Join(scratch, "password")
	if err := p.as.writeFile(password, []byte(rand.Text()+"\n")); err != nil {
		return fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	cmd := exec.CommandContext(ctx, p.install.program("initdb"), "--pgdata="+data,
		"--username="+postgresUser, "--pwfile="+password,
		"--auth-host=scram-sha-256", "--auth-local=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums")
	if p.options.Unsafe {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	p.prepare(cmd, syscall.SIGTERM)
	cmd.Dir = scratch
	if err := process.Run(cmd); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%w: %s failed (%w): %s", ErrNotStarted, cmd.Path, err, complaint(output.Bytes()))
	}
	config, err := os.ReadFile(filepath.Join(data, "postgresql.conf"))
	if err != nil {
		return err
	}
	config = append(config, "\ninclude_if_exists = '"+postgresConfig+"'\n"...)
	if err := p.as.writeFile(filepath.Join(data, "postgresql.conf"), config); err != nil {
		return err
	}
	if err := os.Rename(password, filepath.Join(data, postgresPassword)); err != nil {
		return err
	}
	if err := os.Rename(data, p.dir); err != nil {
		return fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	return syncFolder(f.path)
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func readPassword(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, postgresPassword))
	if err != nil {
		return "", fmt.Errorf("%w: the database's password cannot be read: %w: restore that file from a copy, or run florin as its owner", ErrBrokenDataDir, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (p *postgres) name() string  { return Postgres }
func (p *postgres) title() string { return strings.TrimSpace("PostgreSQL " + p.majorText()) }
func (p *postgres) fresh() bool   { return p.isFresh }

func (p *postgres) majorText() string {
	if p.install.major == 0 {
		return ""
	}
	return strconv.Itoa(p.install.major)
}

// held recognises what PostgreSQL says while backends of a killed postmaster
// still hold its shared memory. Its messages are English here (locale C).
func (p *postgres) held(lastWords string) bool {
	return strings.Contains(lastWords, "pre-existing shared memory block")
}

func (p *postgres) url(port int, database string) string {
	return "postgres://" + postgresUser + ":" + p.password + "@" + address(port) + "/" + database + "?sslmode=disable"
}

func (p *postgres) command(port int) (*exec.Cmd, error) {
	if err := p.clearStalePID(); err != nil {
		return nil, err
	}
	settings := postgresSettings + postgresSafe
	if p.options.Unsafe {
		settings = postgresSettings + postgresUnsafe
	}
	if err := p.as.writeFile(filepath.Join(p.dir, postgresConfig), []byte(settings)); err != nil {
		return nil, fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	cmd := exec.Command(p.install.program("postgres"), "-D", p.dir,
		"-c", "listen_addresses="+loopback, "-c", "port="+strconv.Itoa(port))
	p.prepare(cmd, syscall.SIGINT)
	cmd.Dir = p.dir
	return cmd, nil
}

// prepare has cmd run as the right user, with nothing of our environment that
// PostgreSQL would take for orders.
func (p *postgres) prepare(cmd *exec.Cmd, deathSignal syscall.Signal) {
	if p.options.keepOrphan {
		deathSignal = 0
	}
	cmd.SysProcAttr = process.Attributes(deathSignal)
	p.as.apply(cmd.SysProcAttr)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
}

// clearStalePID deals with the postmaster.pid of a server that was killed.
// PostgreSQL itself ignores it when its pid is free, but not when the pid now
// belongs to another program (as it soon does in a container), or when a power
// cut left the file empty. We hold the folder's lock, so we may.
//
// The file is not removed but given our own pid, which PostgreSQL takes for
// stale because we are its parent: it still looks at the shared memory the file
// names, and refuses to start beside processes of the dead server.
func (p *postgres) clearStalePID() error {
	path := filepath.Join(p.dir, "postmaster.pid")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
	switch {
	case err != nil:
		return os.Remove(path)
	case runsIn(pid, p.dir):
		return fmt.Errorf("%w: PostgreSQL (process %d) runs in %s but this program did not start it: stop it with kill -INT %d and try again",
			ErrInUse, pid, p.dir, pid)
	}
	return p.as.writeFile(path, append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...))
}

func (p *postgres) open(ctx context.Context, port int) (*pgx.Conn, error) {
	return connect(ctx, p.url(port, "postgres"))
}

func (p *postgres) setUp(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	err := conn.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_database WHERE datname = $1", databaseName).Scan(&there)
	if err == nil && !there {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+databaseName)
	}
	if err != nil {
		return fmt.Errorf("%w: cannot make the database %s: %w", ErrNotStarted, databaseName, err)
	}
	return nil
}
