// Package identity knows who calls. For now that is API keys: made at random,
// shown once, kept as hashes.
package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// ErrUnknownKey says that no valid key reads like this.
var ErrUnknownKey = errors.New("unknown API key")

const (
	// keyPrefix lets secret scanners find keys that were committed somewhere.
	keyPrefix     = "florin_key"
	bootstrapName = "bootstrap"
	// cacheTime is how long a revoked key may still be taken by a replica.
	cacheTime = 10 * time.Second
	cacheSize = 10_000
)

// Actor is who a key belongs to.
type Actor struct {
	KeyID string
	Name  string
}

// Keys are the API keys in a database. Safe for concurrent use.
type Keys struct {
	queries *identitydb.Queries
	clock   clock.Clock

	mu    sync.RWMutex
	known map[[sha256.Size]byte]cached
}

type cached struct {
	actor Actor
	until time.Time
}

// NewKeys makes Keys.
func NewKeys(db *database.DB, now clock.Clock) *Keys {
	return &Keys{queries: identitydb.New(db), clock: now, known: map[[sha256.Size]byte]cached{}}
}

// Authenticate returns who a key belongs to, or ErrUnknownKey. Good keys are
// remembered for ten seconds. Keys are looked up by their hash, so the time that
// it takes tells nothing about a key.
func (k *Keys) Authenticate(ctx context.Context, key string) (Actor, error) {
	hash := sha256.Sum256([]byte(key))
	now := k.clock()
	k.mu.RLock()
	entry, found := k.known[hash]
	k.mu.RUnlock()
	if found && now.Before(entry.until) {
		return entry.actor, nil
	}
	row, err := k.queries.FindAPIKey(ctx, hash[:])
	if database.NotFound(err) {
		return Actor{}, ErrUnknownKey
	}
	if err != nil {
		return Actor{}, fmt.Errorf("look up API key: %w", err)
	}
	actor := Actor{KeyID: row.KeyID, Name: row.Name}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= cacheSize {
		clear(k.known)
	}
	k.known[hash] = cached{actor: actor, until: now.Add(cacheTime)}
	return actor, nil
}

// Bootstrap sees to the first key. With a configured key, that one is valid
// afterwards and the bootstrap keys of earlier configurations are revoked.
// Without, and when there is no key at all, a random one is made and returned:
// it can't be read again.
func (k *Keys) Bootstrap(ctx context.Context, configured string) (generated string, err error) {
	if configured != "" {
		if err := k.store(ctx, configured); err != nil {
			return "", err
		}
		return "", k.revokeOthers(ctx, configured)
	}
	n, err := k.queries.CountAPIKeys(ctx)
	if err != nil {
		return "", fmt.Errorf("count API keys: %w", err)
	}
	if n > 0 {
		return "", nil
	}
	// Two replicas may come here at once: then there are two keys, both valid.
	generated = NewKey()
	return generated, k.store(ctx, generated)
}

func (k *Keys) store(ctx context.Context, key string) error {
	if strings.TrimSpace(key) != key {
		return errors.New("the bootstrap API key must not begin or end with blanks")
	}
	hash := sha256.Sum256([]byte(key))
	err := k.queries.InsertAPIKey(ctx, identitydb.InsertAPIKeyParams{
		KeyID: id.New("key"), Name: bootstrapName, SecretHash: hash[:], CreatedAt: k.clock(),
	})
	if err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	return nil
}

func (k *Keys) revokeOthers(ctx context.Context, key string) error {
	hash := sha256.Sum256([]byte(key))
	_, err := k.queries.RevokeOtherAPIKeys(ctx, identitydb.RevokeOtherAPIKeysParams{
		Name: bootstrapName, SecretHash: hash[:], Now: k.clock(),
	})
	if err != nil {
		return fmt.Errorf("revoke earlier API keys: %w", err)
	}
	return nil
}

// NewKey makes a random key.
func NewKey() string { return id.New(keyPrefix) }
