// Command withengines runs another command with a real database of every engine
// that this machine has:
//
//	go run ./internal/platform/dbtest/withengines -- go test ./...
//
// The command finds the databases in FLORIN_TEST_POSTGRES_URL and
// FLORIN_TEST_COCKROACH_URL. One that is set already is left as it is, and no
// engine is started for it. The engines trade durability for speed, live in a
// temporary folder and end with the command, whose exit code becomes ours (go
// run turns every failure into 1). The last line on stderr says which engines
// the command ran on.
//
// Of CockroachDB each test package starts a server of its own (the variable says
// "own"): one that has the tables of all of them is slow, since for much that
// it does it looks at every table and every range that it has.
//
// FLORIN_TEST_PASSING_SERVERS tells the command which servers end with it.
//
// FLORIN_TEST_LOGS names a folder where tests keep the logs of what they start, and
// the secrets that they use. In the end these logs and the engines' are searched for
// all those secrets: each one shown is named, and makes the exit code at least 1.
// The folder is a temporary one, unless the caller names an empty one of his own.
//
// FLORIN_TEST_ENGINES (postgres, cockroach, or both with a comma) narrows the
// engines; those it names must be there. FLORIN_DEV_CLUSTER_SETTINGS holds
// cluster settings for CockroachDB, NAME=VALUE, separated by commas or spaces.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"florin/internal/platform/database/embedded"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/dbtest/throwaway"
)

const (
	enginesEnv  = "FLORIN_TEST_ENGINES"
	settingsEnv = "FLORIN_DEV_CLUSTER_SETTINGS"
	passingEnv  = "FLORIN_TEST_PASSING_SERVERS" // read by dbtest
	stopLimit   = time.Minute
	askLimit    = 15 * time.Second
)

// urlEnv is where a test finds each engine.
var urlEnv = map[string]string{
	embedded.Postgres:  "FLORIN_TEST_POSTGRES_URL",
	embedded.Cockroach: "FLORIN_TEST_COCKROACH_URL",
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withengines:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// database is one engine the command runs on.
type database struct {
	kind   string
	url    string
	server *embedded.Server // nil when the caller brought the database
}

// run does all of it and returns the command's exit code.
func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("no command given: withengines -- COMMAND [ARGUMENT...]")
	}
	wanted, err := wantedEngines(os.Getenv(enginesEnv))
	if err != nil {
		return 2, err
	}
	settings := strings.FieldsFunc(os.Getenv(settingsEnv), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if _, err := embedded.ParseSettings(settings); err != nil {
		return 2, fmt.Errorf("%s: %w", settingsEnv, err)
	}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)

	dir, err := os.MkdirTemp("", "florin-engines-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// Root runs PostgreSQL as another user, who has to get in.
	if err := os.Chmod(dir, 0o711); err != nil {
		return 1, err
	}

	logs, err := logFolder(dir)
	if err != nil {
		return 2, err
	}

	own := filepath.Join(dir, "packages")
	if err := os.Mkdir(own, 0o711); err != nil {
		return 1, err
	}

	databases, missing, err := startAll(signals, dir, wanted, settings)
	defer func() { err = errors.Join(err, stopAll(databases)) }()
	if err != nil {
		return 1, err
	}
	titles, err := introduce(databases)
	if err != nil {
		return 1, err
	}
	if err := leaveToPackages(databases); err != nil {
		return 1, err
	}
	fmt.Fprintln(os.Stderr, "withengines: running on", strings.Join(titles, " and "))
	code, err = runCommand(signals, args, append(environment(databases), secrets.FolderEnv+"="+logs, throwaway.FolderEnv+"="+own))
	if err != nil {
		return code, err
	}
	leaks, err := searchLogs(logs, own, dir, databases)
	if err != nil {
		return max(code, 1), err
	}
	if leaks > 0 {
		code = max(code, 1)
	}
	report(titles, missing, wanted)
	return code, nil
}

// wantedEngines reads the engines that were asked for; none means any.
func wantedEngines(list string) ([]string, error) {
	wanted := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	for _, kind := range wanted {
		if urlEnv[kind] == "" {
			return nil, fmt.Errorf("%s names an unknown engine %q: use %s, %s or both with a comma",
				enginesEnv, kind, embedded.Postgres, embedded.Cockroach)
		}
	}
	return wanted, nil
}

// startAll starts the engines that are wanted and here, all at once, and names
// those that nobody asked for and that are not here. What it returns must be
// stopped even when it fails.
func startAll(signals <-chan os.Signal, dir string, wanted, settings []string) (databases []database, missing []string, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case s := <-signals:
			cancel(fmt.Errorf("stopped by a signal (%s) while the engines were starting", s))
		case <-ctx.Done():
		}
	}()

	for _, kind := range []string{embedded.Postgres, embedded.Cockroach} {
		if len(wanted) > 0 && !slices.Contains(wanted, kind) {
			continue
		}
		if url := os.Getenv(urlEnv[kind]); url != "" {
			databases = append(databases, database{kind: kind, url: url})
			continue
		}
		// CockroachDB may be missing, unless it was asked for; PostgreSQL may not.
		switch _, err := embedded.Lookup(kind); {
		case err == nil:
			databases = append(databases, database{kind: kind})
		case errors.Is(err, embedded.ErrNoEngine) && kind == embedded.Cockroach && len(wanted) == 0:
			missing = append(missing, kind)
		case kind == embedded.Postgres && errors.Is(err, embedded.ErrNoEngine):
			return nil, nil, fmt.Errorf("no PostgreSQL to test on: install PostgreSQL 15 or newer (Debian: apt install postgresql; "+
				"macOS: brew install postgresql), or set %s", urlEnv[kind])
		default:
			return nil, nil, err
		}
	}

	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var starting errgroup.Group
	for i := range databases {
		d := &databases[i]
		if d.url != "" {
			continue
		}
		starting.Go(func() error {
			server, err := throwaway.Start(ctx, d.kind, filepath.Join(dir, d.kind), settings, log)
			if err != nil {
				return err
			}
			d.server, d.url = server, server.URL()
			return nil
		})
	}
	err = starting.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return databases, missing, err
}

func stopAll(databases []database) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var stopping errgroup.Group
	for _, d := range databases {
		if d.server != nil {
			stopping.Go(func() error { return d.server.Stop(ctx) })
		}
	}
	return stopping.Wait()
}

// introduce asks each database what it is, which also proves that those the
// caller brought can be reached.
func introduce(databases []database) (titles []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	for _, d := range databases {
		conn, err := pgx.Connect(ctx, d.url)
		if err != nil {
			return nil, fmt.Errorf("%s names a database that does not answer: %w", urlEnv[d.kind], err)
		}
		var version string
		err = conn.QueryRow(ctx, "SELECT version()").Scan(&version)
		_ = conn.Close(ctx)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(version, "CockroachDB") != (d.kind == embedded.Cockroach) {
			return nil, fmt.Errorf("%s names another kind of database: %s", urlEnv[d.kind], version)
		}
		title, _, _ := strings.Cut(version, " (")
		if d.server == nil {
			title += " (from " + urlEnv[d.kind] + ")"
		}
		titles = append(titles, title)
	}
	return titles, nil
}

// leaveToPackages stops the servers that test packages start for themselves.
func leaveToPackages(databases []database) error {
	for i := range databases {
		d := &databases[i]
		if d.kind != embedded.Cockroach || d.server == nil {
			continue
		}
		d.url = throwaway.Own
		if err := stopAll(databases[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// environment is ours with the addresses of exactly these databases, and with those
// that end when the command does.
func environment(databases []database) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == urlEnv[embedded.Postgres] || name == urlEnv[embedded.Cockroach] || name == passingEnv || name == throwaway.FolderEnv || name == secrets.FolderEnv
	})
	var passing []string
	for _, d := range databases {
		env = append(env, urlEnv[d.kind]+"="+d.url)
		if d.server != nil && d.url != throwaway.Own {
			passing = append(passing, d.kind)
		}
	}
	return append(env, passingEnv+"="+strings.Join(passing, ","))
}

// runCommand runs the command and passes signals on to it. Those that a
// terminal's keys send reach the command without us.
func runCommand(signals <-chan os.Signal, args, env []string) (code int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan struct{})
	defer close(ended)
	typed := hasTerminal()
	go func() {
		for {
			select {
			case s := <-signals:
				if !typed || (s != syscall.SIGINT && s != syscall.SIGQUIT) {
					_ = cmd.Process.Signal(s)
				}
			case <-ended:
				return
			}
		}
	}()
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	return terminal.Close() == nil
}

// report says loudly what the command ran on.
func report(titles, missing, wanted []string) {
	line := "FLORIN TESTS RAN ON " + strings.Join(titles, " AND ")
	switch {
	case len(missing) > 0:
		line = "FLORIN TESTS RAN ON POSTGRESQL ONLY: no CockroachDB found (set COCKROACH_BINARY or put cockroach on PATH)"
	case len(titles) < len(urlEnv):
		line += " ONLY: " + enginesEnv + " is " + strings.Join(wanted, ",")
	}
	bar := strings.Repeat("=", len(line))
	fmt.Fprintf(os.Stderr, "\n%s\n%s\n%s\n", bar, line, bar)
}
