package identity_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
)

// queries counts what is asked of the database meanwhile.
func (w *keysWorld) queries(ask func()) int64 {
	before := w.db.Stat().AcquireCount()
	ask()
	return w.db.Stat().AcquireCount() - before
}

func TestGuessesCostFewQueries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		guess := func(text string) {
			_, err := w.Authenticate(t.Context(), text, here)
			wantUnknown(t, err)
		}
		if n := w.queries(func() {
			good := identity.RandomKey(identity.Live)
			for i := range len(good) { // each typo, and each cut
				flipped := []byte(good)
				flipped[i] ^= 1
				if i >= len("florin_live_") {
					guess(string(flipped))
					guess(good[:i])
				}
			}
		}); n != 0 {
			t.Errorf("mistyped keys cost %d queries", n)
		}
		if n := w.queries(func() {
			for i := range 500 {
				guess(fmt.Sprintf("guess-%d", i))
			}
		}); n != 1 {
			t.Errorf("500 texts of any form cost %d queries", n)
		}
		stranger := identity.RandomKey(identity.Live)
		if n := w.queries(func() {
			for range 100 {
				guess(stranger)
			}
		}); n != 1 {
			t.Errorf("100 times the same unknown key cost %d queries", n)
		}
		_, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator})
		if n := w.queries(func() {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					for range 20 {
						if _, err := w.Authenticate(t.Context(), text, here); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
		}); n < 1 || n > 3 {
			t.Errorf("a key used 1,000 times cost %d queries", n)
		}
	})
}

func TestAFloodOfGuessesForgetsNoGoodKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		_, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator})
		if _, err := w.Authenticate(t.Context(), text, here); err != nil {
			t.Fatal(err)
		}
		known, unknown := w.FloodCache()
		if known > identity.KeyCacheMax || unknown > identity.KeyCacheMax {
			t.Errorf("%d good and %d unknown keys are remembered", known, unknown)
		}
		if n := w.queries(func() {
			if _, err := w.Authenticate(t.Context(), text, here); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("the good key was looked up %d times", n)
		}
	})
}

func TestADatabaseThatIsAwayIsNoUnknownKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		_, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator})
		if _, err := w.Authenticate(t.Context(), text, here); err != nil {
			t.Fatal(err)
		}
		network := dbtest.NewNetwork(t, url)
		away := identity.NewKeys(dbtest.Open(t, network.URL, database.Options{MaxConns: 2}), identity.KeysOptions{Clock: w.time, Log: w.log})
		network.Cut()
		for _, asked := range []string{text, "any form"} {
			_, err := away.Authenticate(t.Context(), asked, here)
			if err == nil || errors.Is(err, identity.ErrUnknownKey) || !database.Unavailable(err) {
				t.Errorf("%v", err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Authenticate(ended, identity.RandomKey(identity.Dev), here); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, identity.ErrUnknownKey) {
			t.Error(err)
		}
	})
}

func TestTheLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		elsewhere := w.replica()
		made, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator, Networks: []string{"203.0.113.0/24"}})
		use := func(keys *identity.Keys, from string) {
			t.Helper()
			_, _ = keys.Authenticate(t.Context(), text, netip.MustParseAddr(from))
			if err := keys.WriteUses(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		last := func() (time.Time, string) {
			t.Helper()
			key, err := w.Get(t.Context(), admin, made.ID)
			if err != nil {
				t.Fatal(err)
			}
			if key.LastUsedAt == nil {
				return time.Time{}, key.LastUsedAddress
			}
			return *key.LastUsedAt, key.LastUsedAddress
		}
		use(w.Keys, "198.51.100.1") // refused: no use of it
		if at, address := last(); !at.IsZero() || address != "" {
			t.Errorf("refused from %s at %s", address, at)
		}
		w.pass(5 * time.Second)
		first := w.time()
		use(w.Keys, "::ffff:203.0.113.1")
		if at, address := last(); !at.Equal(first) || address != "203.0.113.1" {
			t.Errorf("from %s at %s, want %s", address, at, first)
		}
		w.pass(59 * time.Second)
		use(w.Keys, "203.0.113.2")
		use(elsewhere, "203.0.113.3")
		if at, address := last(); !at.Equal(first) || address != "203.0.113.1" {
			t.Errorf("again within a minute: %s at %s", address, at)
		}
		w.pass(6 * time.Second)
		use(elsewhere, "203.0.113.3")
		if at, address := last(); !at.Equal(w.time()) || address != "203.0.113.3" {
			t.Errorf("after a minute: %s at %s", address, at)
		}
	})
}

func TestUsesAreWrittenWhenTheServerStops(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		made, text := w.create(t, identity.NewKey{Name: "x", Role: identity.Operator})
		if _, err := w.Authenticate(t.Context(), text, here); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		w.Run(ctx, slog.New(slog.NewTextHandler(secrets.NewLog(t), nil)))
		if key, err := w.Get(t.Context(), admin, made.ID); err != nil || key.LastUsedAt == nil {
			t.Errorf("%+v, %v", key, err)
		}
	})
}
