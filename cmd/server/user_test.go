package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

// tool runs a command of the program that ends by itself, on a running one's
// database.
type tool struct {
	t    *testing.T
	keys string
	args []string
}

// run returns what it prints; it fails the test unless the command ends as wanted.
func (c tool) run(isFine bool, input string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(binary, append(args, c.args...)...)
	cmd.Env = append(os.Environ(), "FLORIN_ENCRYPTION_KEYS="+c.keys)
	cmd.Stdin = strings.NewReader(input)
	secrets.Register(c.t, "password", strings.TrimSpace(input))
	secrets.Register(c.t, "encryption key", strings.Split(c.keys, ",")...)
	out, err := logged(c.t, cmd)
	if (err == nil) != isFine {
		c.t.Fatalf("florin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if !isFine && strings.Count(strings.TrimSpace(out), "\n") > 0 {
		c.t.Errorf("florin %s says more than a line:\n%s", strings.Join(args, " "), out)
	}
	return out
}

func TestUsersAndSecretsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		p := dev(t, engine, migrated(t, engine))
		url := p.databaseURL()
		florin := tool{t: t, keys: testSealer, args: []string{"--database-url", url}}
		const password = "plainly a long enough one"
		secrets.Register(t, "password", password)
		secrets.Register(t, "account number", "987654321")

		made := florin.run(true, password+"\nnot this\n", "user", "create", "Ada@Example.com", "--name", "Ada Lovelace", "--role", "support", "--password-stdin")
		if !strings.Contains(made, "ada@example.com") || !strings.Contains(made, "support") || strings.Contains(made, password) {
			t.Error(made)
		}
		florin.run(false, password, "user", "create", "ada@example.com", "--name", "Ada", "--role", "support", "--password-stdin")
		florin.run(false, "short", "user", "create", "bob@example.com", "--name", "Bob", "--role", "support", "--password-stdin")
		florin.run(false, "", "user", "create", "bob@example.com", "--name", "Bob", "--role", "support", "--password-stdin")
		florin.run(false, password, "user", "create", "bob@example.com", "--name", "Bob", "--role", "support") // no terminal
		florin.run(false, password, "user", "create", "bob@example.com", "--name", "Bob", "--role", "root", "--password-stdin")

		florin.run(true, "", "user", "role", "ada@example.com", "admin")
		florin.run(false, "", "user", "role", "ada@example.com", "root")
		florin.run(false, "", "user", "role", "nobody@example.com", "admin")
		florin.run(false, "", "user", "role", "user_nobody", "admin")
		if out := florin.run(true, "", "user", "lock", "ada@example.com"); !strings.Contains(out, "LOCKED") {
			t.Error(out)
		}
		var listed struct {
			ID, Email, Role, Status string
			IsVerified              bool
		}
		if err := json.Unmarshal([]byte(florin.run(true, "", "user", "list", "--json", "--status", "locked")), &listed); err != nil ||
			listed.Email != "ada@example.com" || listed.Role != "admin" || listed.Status != "LOCKED" || !listed.IsVerified {
			t.Errorf("%+v, %v", listed, err)
		}
		if out := florin.run(true, "", "user", "unlock", listed.ID); !strings.Contains(out, "ACTIVE") {
			t.Error(out)
		}
		florin.run(false, "", "user", "reset-second-factor", listed.ID) // there is none

		rotate(t, florin, url)
		florin.run(false, "", "user", "list", "--status", "sleeping")
		bad := florin
		bad.keys = "e2e:no-key"
		if out := bad.run(false, "", "user", "list"); strings.Contains(out, "no-key") {
			t.Errorf("the error shows a key: %s", out)
		}
	})
}

// rotate changes the key that seals, as docs/security.md says.
func rotate(t *testing.T, florin tool, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ring, err := seal.Parse(testSealer)
	if err != nil {
		t.Fatal(err)
	}
	place := seal.Place{Table: "linked_accounts", Row: "linked_e2e", Column: "sealed"}
	_, err = conn.Exec(t.Context(), `
		INSERT INTO linked_accounts (linked_account_id, user_id, kind, bank_name, last_four, sealed, fingerprint, created_at)
		VALUES ('linked_e2e', 'user_e2e', 'US', 'Bank', '4321', $1, 'x', now())`,
		ring.Seal(place, []byte(`{"kind":"US","routingNumber":"021000021","accountNumber":"987654321"}`)))
	if err != nil {
		t.Fatal(err)
	}
	made, err := exec.Command(binary, "secrets", "new", "newer").Output() // to print it is what it is for
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.TrimSpace(string(made))
	tool{t: t}.run(false, "", "secrets", "new", "No.Id")
	florin.keys = newer
	if out := florin.run(false, "", "secrets", "rotate"); !strings.Contains(out, "put it back") {
		t.Error(out)
	}
	florin.keys = newer + "," + testSealer
	for _, want := range []string{"1 linked accounts", "0 linked accounts"} {
		if out := florin.run(true, "", "secrets", "rotate"); !strings.Contains(out, want) || !strings.Contains(out, "e2e") {
			t.Error(out)
		}
	}
	var sealed string
	if err := conn.QueryRow(t.Context(), "SELECT sealed FROM linked_accounts").Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	after, err := seal.Parse(newer)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := after.Open(place, sealed); err != nil || !strings.Contains(string(plain), "987654321") {
		t.Error(err)
	}
	var events int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM audit_events WHERE action = 'secrets.rotated' AND target_id = 'newer' AND actor_kind = 'system'").Scan(&events); err != nil || events != 1 {
		t.Errorf("%d events, %v", events, err)
	}
}
