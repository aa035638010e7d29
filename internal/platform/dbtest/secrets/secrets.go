// Package secrets proves that no program under test writes a secret to its log.
// Tests register the secrets that they use and hand out the logs that programs
// write to. Each log is searched for all secrets registered so far when its test
// ends. When withengines runs the tests it also keeps all logs in a folder, and in
// the end searches each of them for the secrets of all tests of all packages.
//
// A secret is found as it is, in capitals or small letters, with or without blanks
// and dashes, escaped as in JSON or a URL, and as hex, base64 or a list of bytes; of
// a token or key also the random part alone. What is shorter than MinLength,
// such as the six digits of a second factor, can't be told from other text and is
// not looked for; these codes work for a minute at most and once.
package secrets

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// FolderEnv names the folder that keeps the logs of all tests and what to look for
// in them. withengines sets it; without it nothing is kept.
const FolderEnv = "FLORIN_TEST_LOGS"

// T is what is needed of a *testing.T, *testing.B or *testing.F.
type T interface {
	Helper()
	Name() string
	Cleanup(func())
	Errorf(format string, args ...any)
}

// secret is one that a test uses.
type secret struct {
	Kind string `json:"kind"` // password, token, ...
	Test string `json:"test"` // that registered it first
	Text string `json:"text"`
}

// registry is the process's: all its tests' secrets.
type registry struct {
	mu     sync.Mutex
	known  map[string]bool
	finder finder
	file   *os.File // in the folder; nil when nothing is kept
}

var process = &registry{known: map[string]bool{}}

// Register says that these are secrets, of a kind such as "password": no log may
// show one from here on, or have shown it before. Registering one again changes
// nothing. Those shorter than MinLength are left out.
func Register(t T, kind string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := process.add(secret{Kind: kind, Test: testName(t), Text: text}); err != nil {
			t.Errorf("keep a secret of the test: %v", err)
		}
	}
}

func (r *registry) add(s secret) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s.Text) < MinLength || r.known[s.Text] {
		return nil
	}
	r.known[s.Text] = true
	r.finder.add(s)
	folder := os.Getenv(FolderEnv)
	if folder == "" {
		return nil
	}
	var err error
	if r.file == nil {
		if r.file, err = os.CreateTemp(folder, program()+".*"+secretsSuffix); err != nil {
			return err
		}
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = r.file.Write(append(line, '\n'))
	return err
}

func (r *registry) find(log string) (leaks []leak) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finder.findAll(log)
}

// RegisterMembers registers the text members of a JSON object that have one of
// these names, wherever they stand in it, under their names as kinds. What is no
// JSON has none.
func RegisterMembers(t T, object []byte, names ...string) {
	t.Helper()
	var value any
	if json.Unmarshal(object, &value) != nil {
		return
	}
	walk("", value, func(name, text string) {
		for _, wanted := range names {
			if name == wanted {
				Register(t, name, text)
			}
		}
	})
}

// walk calls fn for each text with the name of the member that it stands in.
func walk(name string, value any, fn func(name, text string)) {
	switch v := value.(type) {
	case string:
		fn(name, v)
	case []any:
		for _, item := range v {
			walk(name, item, fn)
		}
	case map[string]any:
		for inner, item := range v {
			walk(inner, item, fn)
		}
	}
}

// Log is what one program under test logs: a writer for its slog handler, or for
// the standard error of its process. Safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
	file *os.File // nil when nothing is kept
}

// NewLog makes a log of the test. It is searched when the test ends, after what
// the test cleans up later than this call: make it before the program that writes
// to it is started.
func NewLog(t T) *Log {
	t.Helper()
	l := &Log{}
	if folder := os.Getenv(FolderEnv); folder != "" {
		file, err := os.CreateTemp(folder, fileName(t)+".*"+logSuffix)
		if err != nil {
			t.Errorf("keep the log of the test: %v", err)
		}
		l.file = file
	}
	t.Cleanup(func() {
		t.Helper()
		for _, found := range process.find(l.String()) {
			t.Errorf("the log shows a secret in %s", found)
		}
		l.close()
	})
	return l
}

// Write implements io.Writer and never fails: a program goes on without its log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.file != nil {
		_, _ = l.file.Write(p)
	}
	return len(p), nil
}

// String is what was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// close keeps the memory: a program that outlives its test may still log.
func (l *Log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// ProcessLog is a file in the folder for what this process logs by the standard
// loggers, nil when nothing is kept. It is open as long as the process lives.
func ProcessLog() (*os.File, error) {
	folder := os.Getenv(FolderEnv)
	if folder == "" {
		return nil, nil
	}
	return os.CreateTemp(folder, program()+".*"+logSuffix)
}

const (
	logSuffix     = ".log"
	secretsSuffix = ".secrets"
)

// program is the package whose tests these are, as their binary is called.
func program() string { return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test") }

func testName(t T) string { return program() + " " + t.Name() }

func fileName(t T) string {
	const nameMax = 150 // of the 255 that a file's name may have
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s.%.*s", program(), nameMax, name)
}
