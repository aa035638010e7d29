package secrets

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a test that records how it fails.
type fake struct {
	name    string
	cleanup []func()
	errors  []string
}

func (f *fake) Helper()           {}
func (f *fake) Name() string      { return f.name }
func (f *fake) Cleanup(fn func()) { f.cleanup = append(f.cleanup, fn) }
func (f *fake) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fake) end() {
	for _, fn := range f.cleanup {
		fn()
	}
}

// fresh is a process of its own as far as secrets go, whose logs are kept in the
// folder that is returned.
func fresh(t *testing.T) (folder string) {
	t.Helper()
	before := process
	process = &registry{known: map[string]bool{}}
	t.Cleanup(func() { process = before })
	folder = t.TempDir()
	t.Setenv(FolderEnv, folder)
	return folder
}

const planted = "Wobbly lantern <47> \"orchid\""

func TestAPlantedSecretFailsItsTestAndTheSearchOfAllLogs(t *testing.T) {
	folder := fresh(t)
	test := &fake{name: "TestSignIn/postgres"}
	log := NewLog(test)
	Register(test, "password", planted)
	Register(test, "password", planted)
	logger := slog.New(slog.NewJSONHandler(log, nil))
	logger.Info("harmless")
	logger.Info("request", "body", planted, "status", 400)
	test.end()
	if len(test.errors) != 1 || !strings.Contains(test.errors[0], "line 2 (password of secrets TestSignIn/postgres)") ||
		!strings.Contains(test.errors[0], `"body":"*****","status":400`) || strings.Contains(strings.ToLower(test.errors[0]), "lantern") {
		t.Errorf("%q", test.errors)
	}
	found, err := Search(folder)
	if err != nil || len(found.Leaks) != 1 || found.Secrets != 1 || found.Logs != 1 || found.Bytes != int64(len(log.String())) {
		t.Fatalf("%+v, %v", found, err)
	}
	leak := found.Leaks[0]
	for _, part := range []string{filepath.Join(folder, "secrets.TestSignIn-postgres."), ".log: line 2 (password of secrets TestSignIn/postgres): ", "*****"} {
		if !strings.Contains(leak, part) {
			t.Errorf("no %q in %q", part, leak)
		}
	}
	if strings.Contains(strings.ToLower(leak), "lantern") {
		t.Errorf("the search shows the secret: %s", leak)
	}
}

func TestASecretOfAnotherTestIsFound(t *testing.T) {
	folder := fresh(t)
	first, second := &fake{name: "TestFirst"}, &fake{name: "TestSecond"}
	log := NewLog(first)
	fmt.Fprintln(log, "token florin_session_abcdefghijklmnopqrstuvwxyz")
	first.end()
	Register(second, "token", "florin_session_abcdefghijklmnopqrstuvwxyz")
	second.end()
	if len(first.errors)+len(second.errors) > 0 {
		t.Errorf("%q %q", first.errors, second.errors)
	}
	found, err := Search(folder)
	if err != nil || len(found.Leaks) != 1 || !strings.Contains(found.Leaks[0], "secrets.TestFirst.") || !strings.Contains(found.Leaks[0], "token of secrets TestSecond") {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestNothingIsKeptWithoutAFolder(t *testing.T) {
	folder := fresh(t)
	t.Setenv(FolderEnv, "")
	test := &fake{name: "TestAlone"}
	log := NewLog(test)
	RegisterMembers(test, []byte(`{"user":{"recoveryCodes":["abcd-efgh-ijkl"]},"name":"Ada Lovelace"}`), "recoveryCodes")
	fmt.Fprintln(log, "Ada Lovelace used ABCDEFGHIJKL")
	test.end()
	if len(test.errors) != 1 || !strings.Contains(test.errors[0], "recoveryCodes of") || !strings.Contains(test.errors[0], "Ada Lovelace used *****") {
		t.Errorf("%q", test.errors)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Error(entries, err)
	}
	if file, err := ProcessLog(); file != nil || err != nil {
		t.Error(file, err)
	}
}

func TestASecretIsFoundHoweverItIsWritten(t *testing.T) {
	for _, c := range []struct{ secret, line string }{
		{planted, planted},
		{planted, strings.ToUpper(planted)},
		{planted, fmt.Sprintf("%q", planted)},
		{planted, `Wobbly lantern \u003c47\u003e \"orchid\"`},
		{planted, "?password=Wobbly+lantern+%3C47%3E+%22orchid%22&x"},
		{planted, "/Wobbly%20lantern%20%3C47%3E%20%22orchid%22/x"},
		{planted, fmt.Sprintf("%x", planted)},
		{planted, fmt.Sprintf("%X", planted)},
		{planted, fmt.Sprintf("%d", []byte(planted))},
		{planted, fmt.Sprintf("%#v", struct{ Password string }{planted})},
		{planted, base64.StdEncoding.EncodeToString([]byte(planted))},
		{"müller läuft", `m\u00fcller l\u00e4uft`},
		{"DE89370400440532013000", "iban=DE89 3704 0044 0532 0130 00"},
		{"DE89 3704 0044 0532 0130 00", "iban=de89370400440532013000"},
		{"000123456789", "account:000123456789,"},
		{"florin_live_abc_defghijklmnopqrstuvwxyz", "key defghijklmnopqrstuvwxyz"},
		{"k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	} {
		var f finder
		f.add(secret{Text: c.secret})
		if leaks := f.findAll("first\nbefore " + c.line + " after\r\n"); len(leaks) != 1 || leaks[0].line != 2 {
			t.Errorf("%s in %s: %v", c.secret, c.line, leaks)
		}
	}
}

func TestWhatIsNoSecretIsNotFound(t *testing.T) {
	for _, c := range []struct{ secret, line string }{
		{"000123456789", "nanoseconds=10001234567890"},
		{"000123456789", "00012345678"},
		{planted, planted[:len(planted)-1]},
		{planted, ""},
		{"florin_live_abc_defghijklmnopqrstuvwxyz", "key florin_live_abc"},
	} {
		var f finder
		f.add(secret{Text: c.secret})
		if leaks := f.findAll(c.line); len(leaks) != 0 {
			t.Errorf("%s in %s: %v", c.secret, c.line, leaks)
		}
	}
}

func TestALineHidesAllItsSecretsAndIsCut(t *testing.T) {
	var f finder
	for _, text := range []string{"secret-number-one", "number-one-and-more", "another secret"} {
		f.add(secret{Text: text})
	}
	long := strings.Repeat("x", 1000)
	leaks := f.findAll(long + "<secret-number-one-and-more, another secret>" + long)
	if len(leaks) != 1 || !strings.Contains(leaks[0].text, "xx<*****, *****>xx") || len(leaks[0].text) > 500 || strings.Contains(leaks[0].text, "secret") {
		t.Errorf("%v", leaks)
	}
}

// What is too short is found by chance in the times and ids of a log.
func TestShortSecretsAreLeftOut(t *testing.T) {
	folder := fresh(t)
	test := &fake{name: "TestCode"}
	Register(test, "code", "123456", "")
	log := NewLog(test)
	fmt.Fprintln(log, "123456")
	test.end()
	if found, err := Search(folder); err != nil || found.Secrets != 0 || len(found.Leaks)+len(test.errors) > 0 {
		t.Errorf("%+v, %v, %q", found, err, test.errors)
	}
}

func TestWriteAheadLogsAreNoLogs(t *testing.T) {
	folder := fresh(t)
	test := &fake{name: "TestEngine"}
	Register(test, "password", planted)
	engine := t.TempDir()
	for _, name := range []string{"000012.log", "cockroach.log", "data"} {
		if err := os.WriteFile(filepath.Join(engine, name), []byte("x\n"+planted), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Search(folder, engine, filepath.Join(engine, "nothing"))
	if err != nil || len(found.Leaks) != 1 || !strings.Contains(found.Leaks[0], "cockroach.log: line 2 (") {
		t.Errorf("%+v, %v", found, err)
	}
}
