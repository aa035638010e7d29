package identity_test

import (
	"errors"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func freshKeys(t *testing.T, url string, now clock.Clock) *identity.Keys {
	t.Helper()
	fresh := dbtest.Fresh(t, url)
	dbtest.Migrate(t, fresh)
	return identity.NewKeys(dbtest.Open(t, fresh, database.Options{}), now)
}

func TestBootstrapMakesAKeyOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		keys := freshKeys(t, url, clock.System)
		generated, err := keys.Bootstrap(t.Context(), "")
		if err != nil || generated == "" {
			t.Fatal(generated, err)
		}
		if again, err := keys.Bootstrap(t.Context(), ""); err != nil || again != "" {
			t.Fatalf("a second start made another key: %q, %v", again, err)
		}
		if _, err := keys.Authenticate(t.Context(), generated); err != nil {
			t.Error(err)
		}
		for _, wrong := range []string{"", "x", generated + "x"} {
			if _, err := keys.Authenticate(t.Context(), wrong); !errors.Is(err, identity.ErrUnknownKey) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
	})
}

func TestAnotherBootstrapKeyRevokesTheFirst(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		now := clock.System()
		keys := freshKeys(t, url, func() time.Time { return now })
		use := func(key string) error {
			_, err := keys.Authenticate(t.Context(), key)
			return err
		}
		for _, key := range []string{"first-bootstrap-key", "second-bootstrap-key"} {
			if _, err := keys.Bootstrap(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if err := use(key); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Minute) // past what a replica remembers
		if err := use("first-bootstrap-key"); !errors.Is(err, identity.ErrUnknownKey) {
			t.Errorf("the earlier key: %v", err)
		}
		if _, err := keys.Bootstrap(t.Context(), "first-bootstrap-key"); err != nil {
			t.Fatal(err)
		}
		if err := use("first-bootstrap-key"); err != nil {
			t.Errorf("configured again: %v", err)
		}
		if _, err := keys.Bootstrap(t.Context(), " padded "); err == nil {
			t.Error("a key with blanks around it was taken")
		}
	})
}
