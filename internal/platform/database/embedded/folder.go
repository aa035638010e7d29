package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"florin/internal/platform/process"
)

const (
	lockFile  = "florin.lock"
	stateFile = "engine.json"
	// scratchPrefix starts the name of the folder a cluster is made in before
	// it gets its real name, so that a half-made one is never taken for whole.
	scratchPrefix = ".florin-new-"
)

// folder is a data folder: its lock and what it remembers between runs.
type folder struct {
	path string
	held *os.File // the lock file, while we hold the lock
}

// state is what engine.json remembers.
type state struct {
	Engine   string `json:"engine"`
	Region   string `json:"region,omitempty"` // of a cluster's node
	Port     int    `json:"port"`
	HTTPPort int    `json:"httpPort,omitempty"` // of a cluster's node
	PID      int    `json:"pid,omitempty"`      // 0 once stopped
	Process  string `json:"process,omitempty"`  // tells PID from a later process of that number
	Bound    bool   `json:"bound,omitempty"`    // the system ends it when its owner ends
	Ready    bool   `json:"ready,omitempty"`
	Unsafe   bool   `json:"unsafe,omitempty"`
}

func (st state) alive() bool {
	return st.PID > 0 && process.Identify(st.PID) == st.Process && st.Process != ""
}

func openFolder(path string) (*folder, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: no data folder given: name one", ErrBrokenDataDir)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a folder: move it away or choose another data folder", ErrBrokenDataDir, path)
	}
	// Others may pass through, so that PostgreSQL can run as another user than
	// root; what is secret inside has permissions of its own.
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("%w: cannot make it: %w: choose another data folder", ErrBrokenDataDir, err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	return &folder{path: path}, nil
}

func (f *folder) join(name string) string { return filepath.Join(f.path, name) }

// lock takes the folder for this process, or returns ErrInUse with the pid of
// the process that has it. The system drops the lock when its holder ends,
// however it ends.
func (f *folder) lock() error {
	file, err := os.OpenFile(f.join(lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("%w: cannot write in %s: %w: make it writable or choose another data folder", ErrBrokenDataDir, f.path, errors.Unwrap(err))
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s runs the database in %s: stop it first, or choose another data folder", ErrInUse, f.owner(), f.path)
		}
		return fmt.Errorf("%w: cannot lock %s: %w: choose a folder on a local disk", ErrBrokenDataDir, f.path, err)
	}
	if err := errors.Join(file.Truncate(0), writeAt(file, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = file.Close()
		return fmt.Errorf("%w: cannot write in %s: %w: free some space or choose another data folder", ErrBrokenDataDir, f.path, err)
	}
	f.held = file
	return nil
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func (f *folder) unlock() {
	if f.held != nil {
		_ = f.held.Truncate(0)
		_ = f.held.Close()
		f.held = nil
	}
}

// owner names the process that holds the lock.
func (f *folder) owner() string {
	text, _ := os.ReadFile(f.join(lockFile))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return "process " + strconv.Itoa(pid)
	}
	return "another process"
}

// readState returns the zero state when nothing readable is there: all it holds
// can be found out or chosen anew.
func (f *folder) readState() state {
	var st state
	text, err := os.ReadFile(f.join(stateFile))
	if err != nil || json.Unmarshal(text, &st) != nil {
		return state{}
	}
	return st
}

func (f *folder) writeState(st state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return f.replace(stateFile, append(text, '\n'))
}

// replace puts a file into the folder in one step: whoever reads it sees the old
// or the new.
func (f *folder) replace(name string, text []byte) error {
	next := f.join(name + ".next")
	if err := writeDurably(next, text); err != nil {
		return fmt.Errorf("%w: %w: free some space or choose another data folder", ErrBrokenDataDir, err)
	}
	if err := os.Rename(next, f.join(name)); err != nil {
		return err
	}
	return syncFolder(f.path)
}

// writeDurably makes a file whose content outlives a power cut.
func writeDurably(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// removeLeftovers clears what a first start that was cut short left behind.
func (f *folder) removeLeftovers() error {
	left, err := filepath.Glob(f.join(scratchPrefix + "*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// openLog opens the file an engine prints to and says where its news begin.
func (f *folder) openLog(name string) (file *os.File, from int64, err error) {
	file, err = process.OpenLog(f.logPath(name))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	from, err = file.Seek(0, io.SeekEnd)
	return file, from, err
}

func (f *folder) logPath(name string) string { return f.join(name + ".log") }

// lastWords is what an engine printed since from that best says why it ended:
// its last complaint, else its last line.
func (f *folder) lastWords(name string, from int64) string {
	file, err := os.Open(f.logPath(name))
	if err != nil {
		return "no log"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size()-from > 64<<10 {
		from = info.Size() - 64<<10
	}
	text, _ := io.ReadAll(io.NewSectionReader(file, from, 64<<10))
	return complaint(text)
}

// complaint picks what says most from an engine's output: its last complaint
// with the explanation that follows it, else its last line.
func complaint(text []byte) string {
	last, before, found := "it printed nothing", "", false
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(line))
		if i := strings.Index(s, "] "); i >= 0 { // after the time and the process
			s = strings.TrimSpace(s[i+2:])
		}
		isBad := func(word string) bool { return strings.HasPrefix(s, word) }
		bad := slices.ContainsFunc([]string{"FATAL:", "PANIC:", "ERROR:"}, isBad) || strings.Contains(s, "error:")
		explains := found && strings.HasPrefix(s, "DETAIL:")
		switch {
		case s == "":
			continue
		case explains:
			last += "; " + s
		case bad && strings.HasSuffix(s, "contains errors"): // the line before says which
			last, found = before+"; "+s, true
		case bad || !found:
			last, found = s, bad
		}
		before = s
	}
	return strings.TrimSuffix(last, ".")
}
