package identity_test

import (
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// Whoever reads the database can't sign in with what he finds, and the audit trail
// says nothing of persons.
func TestNoSecretIsStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		w := newWorld(t, fresh)
		p := w.newPerson()
		verify := w.tokenOf(p.email)
		secret, codes := w.enrol(p)
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		phone := "+4930123456"
		if _, err := w.UpdateProfile(t.Context(), p.UserID, identity.ProfilePatch{Phone: &phone}); err != nil {
			t.Fatal(err)
		}
		reset := w.tokenOf(p.email)
		_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)

		everything := dump(t, w.db, "users", "sessions", "user_tokens", "second_factors", "recovery_codes", "sign_in_throttle", "audit_events")
		for name, secret := range map[string]string{
			"password": goodPassword, "wrong password": otherPassword, "session token": p.token, "verification token": verify,
			"reset token": reset, "TOTP secret": secret, "recovery code": codes[0], "recovery code without signs": strings.ReplaceAll(codes[0], "-", ""),
		} {
			if strings.Contains(strings.ToLower(everything), strings.ToLower(secret)) {
				t.Errorf("the %s is in the database", name)
			}
		}
		trail := dump(t, w.db, "audit_events", "sign_in_throttle")
		for _, personal := range []string{p.email, "Lovelace", phone} {
			if strings.Contains(trail, personal) {
				t.Errorf("%q is in the audit trail or the throttle", personal)
			}
		}
		if !strings.Contains(dump(t, w.db, "users"), p.email) {
			t.Error("the dump shows nothing")
		}
	})
}

// dump is all rows of tables as text.
func dump(t *testing.T, db *database.DB, tables ...string) string {
	t.Helper()
	var all strings.Builder
	for _, table := range tables {
		rows, err := db.Query(t.Context(), "SELECT row_to_json(x)::text FROM "+table+" x")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			all.WriteString(row + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func TestWhatHasExpiredIsDeleted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		w := newWorld(t, fresh)
		if w.db.Engine == database.Cockroach {
			for _, table := range []string{"sessions", "user_tokens", "sign_in_throttle"} {
				var name, statement string
				if err := w.db.QueryRow(t.Context(), "SHOW CREATE TABLE "+table).Scan(&name, &statement); err != nil || !strings.Contains(statement, "ttl_expiration_expression = 'expires_at'") {
					t.Errorf("CockroachDB keeps %s for ever: %v", table, err)
				}
			}
			return
		}
		p := w.newPerson()
		_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.authenticate(p.token)
		w.time.pass(31 * 24 * time.Hour)
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := dump(t, w.db, "sessions", "user_tokens", "sign_in_throttle"); left != "" {
			t.Errorf("left:\n%s", left)
		}
	})
}
