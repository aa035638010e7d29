package identity_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// admin may give everything.
var admin = &identity.Principal{Kind: identity.UserPrincipal, ID: "user_admin", UserID: "user_admin", Role: identity.Admin}

var here = netip.MustParseAddr("203.0.113.7")

// keysWorld is Keys with a clock of the test's own.
type keysWorld struct {
	*identity.Keys
	db  *database.DB
	log *audit.Log

	mu  sync.Mutex
	now time.Time
}

func newKeys(t *testing.T, url string) *keysWorld {
	t.Helper()
	w := &keysWorld{db: dbtest.Open(t, url, database.Options{}), now: clock.System()}
	w.log = audit.New(w.db, w.time)
	w.Keys = w.replica()
	// Keys are worth what the person behind them is.
	_, err := w.db.Exec(t.Context(), `
		INSERT INTO users (user_id, email, password_hash, role, status, name, phone, address, locale, created_at, updated_at)
		VALUES ($1, 'admin@example.com', 'x', 'admin', 'ACTIVE', '', '', '', '', now(), now()) ON CONFLICT DO NOTHING`, admin.ID)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// replica is another process on the same database.
func (w *keysWorld) replica() *identity.Keys {
	return identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time, Log: w.log, Environment: identity.Test})
}

func (w *keysWorld) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *keysWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// emptyKeys are for tests that look at all keys or linked accounts. They take turns
// at one database.
func emptyKeys(t *testing.T, url string) *keysWorld {
	t.Helper()
	turn, _ := turns.LoadOrStore(url, &sync.Mutex{})
	turn.(*sync.Mutex).Lock()
	t.Cleanup(turn.(*sync.Mutex).Unlock)
	w := newKeys(t, dbtest.Second(t, url))
	for _, table := range []string{"api_keys", "linked_accounts"} {
		if _, err := w.db.Exec(t.Context(), "DELETE FROM "+table); err != nil { //nolint:gosec // of this list
			t.Fatal(err)
		}
	}
	return w
}

var turns sync.Map // of *sync.Mutex, by the engine's URL

// owner is a user as the database knows one.
func (w *keysWorld) owner(t *testing.T, role identity.Role) string {
	t.Helper()
	userID := id.New("user")
	_, err := w.db.Exec(t.Context(), `
		INSERT INTO users (user_id, email, password_hash, role, status, name, phone, address, locale, created_at, updated_at)
		VALUES ($1, $2, 'x', $3, 'ACTIVE', '', '', '', '', now(), now())`, userID, userID+"@example.com", string(role))
	if err != nil {
		t.Fatal(err)
	}
	return userID
}

func (w *keysWorld) setUser(t *testing.T, userID, column, value string) {
	t.Helper()
	if _, err := w.db.Exec(t.Context(), "UPDATE users SET "+column+" = $2 WHERE user_id = $1", userID, value); err != nil {
		t.Fatal(err)
	}
}

// The same request makes one key, however many of it arrive at once.
func TestTheSameRequestMakesOneKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		n := identity.NewKey{Name: "once", Role: identity.Support, IdempotencyKey: id.New("once")}
		var made []identity.Key
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				key, text, err := w.Create(t.Context(), admin, n)
				secrets.Register(t, "API key", text)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made = append(made, key)
				case !errors.Is(err, &identity.Failure{Code: identity.KeyExists}):
					t.Errorf("the request again: %v", err)
				}
			})
		}
		calls.Wait()
		if len(made) != 1 {
			t.Fatalf("%d keys were made", len(made))
		}
		if _, err := w.Revoke(t.Context(), admin, made[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Create(t.Context(), admin, n); !errors.Is(err, &identity.Failure{Code: identity.KeyExists}) {
			t.Errorf("after the key was revoked: %v", err)
		}
		n.IdempotencyKey += "2"
		if other, _ := w.create(t, n); other.ID == made[0].ID {
			t.Error("another request has the same key")
		}
	})
}

func (w *keysWorld) create(t *testing.T, n identity.NewKey) (identity.Key, string) {
	t.Helper()
	key, text, err := w.Create(t.Context(), admin, n)
	if err != nil {
		t.Fatal(err)
	}
	secrets.Register(t, "API key", text)
	return key, text
}

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, identity.ErrUnknownKey) || !errors.Is(err, identity.ErrUnauthenticated) {
		t.Helper()
		t.Errorf("not refused as unknown: %v", err)
	}
}

func (w *keysWorld) actions(t *testing.T, keyID string) []string {
	t.Helper()
	rows, err := w.db.Query(t.Context(), "SELECT action FROM audit_events WHERE target_id = $1 ORDER BY recorded_at, action", keyID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var actions []string
	for rows.Next() {
		var action string
		if err := rows.Scan(&action); err != nil {
			t.Fatal(err)
		}
		actions = append(actions, action)
	}
	return actions
}

func TestAKeyIsWhatItWasMadeFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		owner := w.owner(t, identity.Merchant)
		expires := w.time().Add(time.Hour)
		made, text := w.create(t, identity.NewKey{
			Name: "  Shop  ", Role: identity.Merchant, OwnerID: owner, ExpiresAt: expires,
			Scopes:   []identity.Permission{identity.TransfersWrite, identity.AccountsRead, identity.AccountsRead},
			Networks: []string{"203.0.113.9/24", "2001:db8::1", "::ffff:198.51.100.0/120"},
		})
		if !strings.HasPrefix(text, made.Prefix+"_") || !strings.HasPrefix(made.Prefix, "florin_test_") || made.Name != "Shop" {
			t.Fatalf("%+v", made)
		}
		if want := []string{"198.51.100.0/24", "2001:db8::1/128", "203.0.113.0/24"}; !slices.Equal(made.Networks, want) {
			t.Errorf("networks %v", made.Networks)
		}
		p, err := w.Authenticate(t.Context(), text, here)
		if err != nil || p.Kind != identity.KeyPrincipal || p.ID != made.ID || p.OwnerID != owner || p.UserID != owner || p.Role != identity.Merchant {
			t.Fatalf("%+v, %v", p, err)
		}
		if !p.May(identity.TransfersWrite) || p.May(identity.HoldsWrite) || p.May(identity.MePay) {
			t.Errorf("scopes %v", p.Scopes)
		}
		stored, err := w.Get(t.Context(), admin, made.ID)
		if err != nil || stored.OwnerID != owner || !stored.ExpiresAt.Equal(expires) || stored.CreatedBy != admin.ID || !stored.CreatedAt.Equal(made.CreatedAt) {
			t.Errorf("%+v, %v", stored, err)
		}
		found, err := w.List(t.Context(), admin, identity.KeyFilter{Prefix: made.Prefix[:20]}, "", 10)
		if err != nil || len(found) != 1 || found[0].ID != made.ID {
			t.Errorf("by prefix: %+v, %v", found, err)
		}
		if actions := w.actions(t, made.ID); !slices.Equal(actions, []string{"key.created"}) {
			t.Error(actions)
		}
		// Neither table holds what opens anything.
		secret := text[len(text)-38:]
		for _, query := range []string{
			"SELECT count(*) FROM api_keys AS r WHERE r::text LIKE '%' || $1 || '%'", "SELECT count(*) FROM audit_events AS r WHERE r::text LIKE '%' || $1 || '%'",
		} {
			var n int
			if err := w.db.QueryRow(t.Context(), query, secret).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d, %v", query, n, err)
			}
		}
		w.pass(time.Hour)
		_, err = w.Authenticate(t.Context(), text, here)
		wantUnknown(t, err)
	})
}

func TestAKeyWorksFromItsNetworksOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		_, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator, Networks: []string{"203.0.113.0/24", "2001:db8::/32"}})
		for range 2 { // asked, then remembered
			for address, isAllowed := range map[string]bool{
				"203.0.113.255": true, "::ffff:203.0.113.1": true, "2001:db8:ffff::1": true, "2001:db8::1%eth0": true,
				"203.0.114.1": false, "::1": false, "2001:db9::": false, "::203.0.113.1": false,
			} {
				_, err := w.Authenticate(t.Context(), text, netip.MustParseAddr(address))
				if isAllowed && err != nil {
					t.Errorf("%s: %v", address, err)
				} else if !isAllowed {
					wantUnknown(t, err)
				}
			}
			_, err := w.Authenticate(t.Context(), text, netip.Addr{})
			wantUnknown(t, err)
		}
	})
}

func TestRevocationIsSeenAtOnceHereAndSoonElsewhere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		elsewhere := w.replica()
		made, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator})
		for _, keys := range []*identity.Keys{w.Keys, elsewhere} {
			if _, err := keys.Authenticate(t.Context(), text, here); err != nil {
				t.Fatal(err)
			}
		}
		revoked, err := w.Revoke(t.Context(), admin, made.ID)
		if err != nil || revoked.RevokedAt == nil || revoked.IsActive(w.time()) {
			t.Fatalf("%+v, %v", revoked, err)
		}
		_, err = w.Authenticate(t.Context(), text, here)
		wantUnknown(t, err)
		w.pass(5 * time.Second)
		_, err = elsewhere.Authenticate(t.Context(), text, here)
		wantUnknown(t, err)
		again, err := w.Revoke(t.Context(), admin, made.ID)
		if err != nil || !again.RevokedAt.Equal(*revoked.RevokedAt) {
			t.Errorf("again: %+v, %v", again, err)
		}
		if actions := w.actions(t, made.ID); !slices.Equal(actions, []string{"key.created", "key.revoked"}) {
			t.Error(actions)
		}
		if _, err := w.Revoke(t.Context(), admin, "key_none"); !errors.Is(err, identity.ErrKeyNotFound) {
			t.Error(err)
		}
	})
}

func TestRotationOverlaps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		old, oldText := w.create(t, identity.NewKey{
			Name: "x", Role: identity.Finance, Scopes: []identity.Permission{identity.AuditRead}, Networks: []string{"203.0.113.7"},
			ExpiresAt: w.time().Add(90 * 24 * time.Hour),
		})
		w.pass(time.Hour)
		made, text, err := w.Rotate(t.Context(), admin, old.ID, 10*time.Minute)
		if err != nil || made.ID == old.ID || made.Role != old.Role || !slices.Equal(made.Scopes, old.Scopes) || !slices.Equal(made.Networks, old.Networks) {
			t.Fatalf("%+v, %v", made, err)
		}
		if want := old.ExpiresAt.Add(time.Hour); !made.ExpiresAt.Equal(want) {
			t.Errorf("expires at %s, want %s", made.ExpiresAt, want)
		}
		both := func() (oldErr, newErr error) {
			_, oldErr = w.Authenticate(t.Context(), oldText, here)
			_, newErr = w.Authenticate(t.Context(), text, here)
			return oldErr, newErr
		}
		w.pass(10*time.Minute - time.Microsecond)
		if oldErr, newErr := both(); oldErr != nil || newErr != nil {
			t.Error(oldErr, newErr)
		}
		w.pass(time.Microsecond) // the old one is remembered, and over all the same
		oldErr, newErr := both()
		wantUnknown(t, oldErr)
		if newErr != nil {
			t.Error(newErr)
		}
		for _, keyID := range []string{old.ID} {
			if _, _, err := w.Rotate(t.Context(), admin, keyID, 0); !errors.Is(err, identity.ErrKeyNotActive) {
				t.Errorf("a second time: %v", err)
			}
		}
		// At once, and never longer than the key would have lived.
		brief, briefText := w.create(t, identity.NewKey{Name: "y", Role: identity.Finance, ExpiresAt: w.time().Add(time.Minute)})
		if _, _, err := w.Rotate(t.Context(), admin, brief.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		_, err = w.Authenticate(t.Context(), briefText, here)
		wantUnknown(t, err)
		for _, overlap := range []time.Duration{-1, identity.OverlapMax + 1} {
			if _, _, err := w.Rotate(t.Context(), admin, made.ID, overlap); !isInvalid(err, "overlap") {
				t.Errorf("%s: %v", overlap, err)
			}
		}
		if actions := w.actions(t, old.ID); !slices.Equal(actions, []string{"key.created", "key.rotated"}) {
			t.Error(actions)
		}
	})
}

func TestOfTwoRotationsAtOnceOneIsDone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		made, _ := w.create(t, identity.NewKey{Name: id.New("race"), Role: identity.Finance})
		results := make(chan error, 4)
		for range 4 {
			go func() {
				_, _, err := w.Rotate(context.WithoutCancel(t.Context()), admin, made.ID, time.Hour)
				results <- err
			}()
		}
		done := 0
		for range 4 {
			if err := <-results; err == nil {
				done++
			} else if !errors.Is(err, identity.ErrKeyNotActive) {
				t.Error(err)
			}
		}
		var rows int
		if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM api_keys WHERE name = $1", made.Name).Scan(&rows); err != nil || rows != 2 || done != 1 {
			t.Errorf("%d rotations, %d keys, %v", done, rows, err)
		}
	})
}

func TestAnOwnersKeysGoWithHim(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		owner := w.owner(t, identity.Merchant)
		_, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Merchant, OwnerID: owner})
		use := func() (identity.Principal, error) {
			w.pass(5 * time.Second)
			return w.Authenticate(t.Context(), text, here)
		}
		if p, err := use(); err != nil || p.Role != identity.Merchant || !p.May(identity.TransfersWrite) {
			t.Fatal(p, err)
		}
		w.setUser(t, owner, "role", "customer")
		if p, err := use(); err != nil || p.Role != identity.Customer || p.May(identity.TransfersWrite) {
			t.Errorf("the owner lost his role, the key did not: %+v, %v", p, err)
		}
		w.setUser(t, owner, "role", "admin")
		if p, err := use(); err != nil || p.Role != identity.Merchant || p.OwnerID != owner {
			t.Errorf("the key rose with its owner: %+v, %v", p, err)
		}
		w.setUser(t, owner, "status", "LOCKED")
		_, err := use()
		wantUnknown(t, err)
		w.setUser(t, owner, "status", "ACTIVE")
		if _, err := use(); err != nil {
			t.Error("unlocked:", err)
		}
		if _, err := w.db.Exec(t.Context(), "DELETE FROM users WHERE user_id = $1", owner); err != nil {
			t.Fatal(err)
		}
		_, err = use()
		wantUnknown(t, err)
	})
}

func isInvalid(err error, field string) bool {
	var input *identity.InvalidInput
	return errors.As(err, &input) && slices.ContainsFunc(input.Fields, func(f identity.FieldError) bool { return f.Field == field })
}
