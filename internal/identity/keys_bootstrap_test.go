package identity_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestBootstrapMakesAKeyOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		generated, err := w.Bootstrap(t.Context(), "")
		if err != nil || !strings.HasPrefix(generated, "florin_test_") {
			t.Fatal(generated, err)
		}
		if again, err := w.Bootstrap(t.Context(), ""); err != nil || again != "" {
			t.Fatalf("a second start made another key: %q, %v", again, err)
		}
		p, err := w.Authenticate(t.Context(), generated, here)
		if err != nil || p.Role != identity.Admin || p.OwnerID != "" || p.Scopes != nil {
			t.Errorf("%+v, %v", p, err)
		}
		for _, wrong := range []string{"", "x", generated + "x", generated[:len(generated)-1], strings.ToUpper(generated)} {
			_, err := w.Authenticate(t.Context(), wrong, here)
			wantUnknown(t, err)
		}
		// The first key makes its successor and goes: the next start makes none.
		made, _ := w.create(t, identity.NewKey{Name: "successor", Role: identity.Admin})
		if _, err := w.Revoke(t.Context(), &p, p.ID); err != nil {
			t.Fatal(err)
		}
		if again, err := w.Bootstrap(t.Context(), ""); err != nil || again != "" {
			t.Fatalf("made another: %q, %v", again, err)
		}
		if _, err := w.Revoke(t.Context(), admin, made.ID); err != nil {
			t.Fatal(err)
		}
		if again, err := w.Bootstrap(t.Context(), ""); err != nil || again == "" {
			t.Fatalf("nobody can get in: %q, %v", again, err)
		}
	})
}

func TestAnotherBootstrapKeyRevokesTheFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		elsewhere := w.replica()
		use := func(keys *identity.Keys, key string) error {
			_, err := keys.Authenticate(t.Context(), key, here)
			return err
		}
		other, _ := w.create(t, identity.NewKey{Name: "other", Role: identity.Operator})
		first, second := "first-bootstrap-key", identity.RandomKey(identity.Live)
		for _, key := range []string{first, second} {
			for range 2 { // a second start changes nothing
				if generated, err := w.Bootstrap(t.Context(), key); err != nil || generated != "" {
					t.Fatal(generated, err)
				}
			}
			if err := use(w.Keys, key); err != nil {
				t.Fatal(err)
			}
			if key == first && use(elsewhere, key) != nil {
				t.Fatal("another replica doesn't take it")
			}
		}
		wantUnknown(t, use(w.Keys, first))
		w.pass(5 * time.Second) // what another replica remembers
		wantUnknown(t, use(elsewhere, first))
		if _, err := w.Bootstrap(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if err := use(w.Keys, first); err != nil {
			t.Errorf("configured again: %v", err)
		}
		wantUnknown(t, use(w.Keys, second))
		if key, err := w.Get(t.Context(), admin, other.ID); err != nil || !key.IsActive(w.time()) {
			t.Errorf("a key that is no bootstrap key was revoked: %+v, %v", key, err)
		}
		p, err := w.Authenticate(t.Context(), first, here)
		if err != nil {
			t.Fatal(err)
		}
		if actions := w.actions(t, p.ID); !slices.Equal(actions, []string{"key.created", "key.revived", "key.revoked"}) &&
			!slices.Equal(actions, []string{"key.created", "key.revoked", "key.revived"}) {
			t.Error(actions)
		}
	})
}

func TestBootstrapRefusesKeysThatSayTooMuch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		random := identity.RandomKey(identity.Dev)
		for _, bad := range []string{" padded ", "\tx", random[:len(random)-1], random + "a", "florin_live_x"} {
			if _, err := w.Bootstrap(t.Context(), bad); err == nil {
				t.Errorf("%q was taken", bad)
			} else if strings.Contains(err.Error(), bad) {
				t.Errorf("the error shows the key: %v", err)
			}
		}
		// A key that was made for little isn't raised by configuring it.
		made, text := w.create(t, identity.NewKey{Name: "little", Role: identity.Support})
		if _, err := w.Bootstrap(t.Context(), text); err == nil {
			t.Error("another key became the bootstrap key")
		}
		if key, err := w.Get(t.Context(), admin, made.ID); err != nil || key.Role != identity.Support {
			t.Errorf("%+v, %v", key, err)
		}
		// One that a person revoked stays so, whatever is configured.
		if _, err := w.Bootstrap(t.Context(), "leaked-bootstrap-key"); err != nil {
			t.Fatal(err)
		}
		p, err := w.Authenticate(t.Context(), "leaked-bootstrap-key", here)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Rotate(t.Context(), admin, p.ID, 0); err == nil {
			t.Error("a configured key was rotated")
		}
		if _, err := w.Revoke(t.Context(), admin, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bootstrap(t.Context(), "leaked-bootstrap-key"); err == nil {
			t.Error("a revoked key was configured again")
		}
		_, err = w.Authenticate(t.Context(), "leaked-bootstrap-key", here)
		wantUnknown(t, err)
	})
}

func TestReplicasThatStartTogetherShareTheBootstrapKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		results := make(chan error, 6)
		for range 6 {
			keys := w.replica()
			go func() {
				_, err := keys.Bootstrap(context.WithoutCancel(t.Context()), "the-same-configured-key")
				results <- err
			}()
		}
		for range 6 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		var rows int
		if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL").Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d keys, %v", rows, err)
		}
	})
}

// Keys of before this version, which the migration calls admin keys, are odd ones.
func TestOlderBootstrapKeysGoOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		text := id.New("florin_key")
		hash := sha256.Sum256([]byte(text))
		_, err := w.db.Exec(t.Context(), "INSERT INTO api_keys (key_id, name, secret_hash, created_at) VALUES ('key_old', 'bootstrap', $1, now())", hash[:])
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Authenticate(t.Context(), text, here)
		if err != nil || p.Role != identity.Admin || p.ID != "key_old" {
			t.Errorf("%+v, %v", p, err)
		}
		if generated, err := w.Bootstrap(t.Context(), ""); err != nil || generated != "" {
			t.Errorf("%q, %v", generated, err)
		}
	})
}
