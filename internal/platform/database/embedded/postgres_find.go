package embedded

import (
	"cmp"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const postgresMajorMin = 15

// installation is one PostgreSQL on this machine.
type installation struct {
	bin   string // the folder of its programs
	major int
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// postgresPlaces are where packages put the programs.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin",
	"/usr/local/bin",
	"/usr/libexec/postgresql*", // Alpine
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findPostgres finds the installations that are new enough, best first: the one
// on PATH, that of pg_config, then the others, newest first.
//
// Returns ErrNoEngine when there is none, naming those that are too old.
func findPostgres() ([]installation, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	preferred := len(dirs)
	for _, place := range postgresPlaces {
		found, _ := filepath.Glob(place)
		dirs = append(dirs, found...)
	}

	var good, rest []installation
	var old []string
	seen := map[string]bool{}
	for i, dir := range dirs {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[dir] {
			continue
		}
		seen[dir] = true
		found := installation{bin: dir, major: programMajor(filepath.Join(dir, "postgres"))}
		_, err = exec.LookPath(found.program("initdb"))
		switch {
		case found.major == 0 || err != nil:
		case found.major < postgresMajorMin:
			old = append(old, fmt.Sprintf("%d in %s", found.major, dir))
		case i < preferred:
			good = append(good, found)
		default:
			rest = append(rest, found)
		}
	}
	slices.SortStableFunc(rest, func(a, b installation) int { return cmp.Compare(b.major, a.major) })
	if good = append(good, rest...); len(good) > 0 {
		return good, nil
	}
	if len(old) > 0 {
		return nil, fmt.Errorf("%w: PostgreSQL %s is too old: install PostgreSQL %d or newer, or set COCKROACH_BINARY",
			ErrNoEngine, strings.Join(old, " and "), postgresMajorMin)
	}
	return nil, fmt.Errorf("%w: install PostgreSQL %d or newer, or set COCKROACH_BINARY", ErrNoEngine, postgresMajorMin)
}

// programMajor asks a postgres program for its major version; 0 when it is none.
func programMajor(path string) int {
	out, err := exec.Command(path, "-V").Output()
	match := postgresVersion.FindSubmatch(out)
	if err != nil || match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1]))
	return major
}
