package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// keyQueryMax bounds a look-up, which several callers may wait for.
const keyQueryMax = 5 * time.Second

// Authenticate returns who an API key belongs to, used from an address. Returns
// ErrUnknownKey when there is no such key, it is over, the person behind it is not
// active or may himself no longer do what it does, or it may not be used from there;
// which of them is not said.
//
// What it found is remembered for five seconds, so that a revocation elsewhere is
// seen that late. A text that can't be a key costs no query. Keys are looked up by
// their hash, so that the time that it takes tells nothing about a key.
func (k *Keys) Authenticate(ctx context.Context, text string, from netip.Addr) (Principal, error) {
	hash := keyHash(sha256.Sum256([]byte(text)))
	now := k.clock()
	key, isUnknown := k.cache.find(hash, now)
	if key == nil && !isUnknown {
		var err error
		if key, err = k.look(ctx, text, hash, now); err != nil {
			return Principal{}, err
		}
		if key != nil && key.allows(now, from) {
			k.uses.note(key, from, now)
		}
	}
	if key == nil || !key.allows(now, from) {
		return Principal{}, ErrUnknownKey
	}
	return key.principal, nil
}

// look asks the database, unless the text can't be a key. It returns nil for a key
// that is not good.
func (k *Keys) look(ctx context.Context, text string, hash keyHash, now time.Time) (*goodKey, error) {
	if _, isWellFormed := parseKeyText(text); isWellFormed {
		found, err := k.shared(ctx, string(hash[:]), func(ctx context.Context) (any, error) { return k.readKey(ctx, hash, now) })
		if err != nil {
			return nil, err
		}
		return found.(*goodKey), nil
	}
	if hasKeyForm(text) {
		return nil, nil
	}
	key, isFresh := k.cache.findOdd(hash, now)
	if isFresh {
		return key, nil
	}
	found, err := k.shared(ctx, "odd", func(ctx context.Context) (any, error) { return k.readOddKeys(ctx, now) })
	if err != nil {
		return nil, err
	}
	return found.(map[keyHash]*goodKey)[hash], nil
}

// shared runs a look-up once for all who ask for the same meanwhile. It doesn't end
// with the caller who happened to be first.
func (k *Keys) shared(ctx context.Context, what string, read func(context.Context) (any, error)) (any, error) {
	result := k.lookups.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyQueryMax)
		defer cancel()
		return read(ctx)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, fmt.Errorf("look up API key: %w", r.Err)
		}
		return r.Val, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *Keys) readKey(ctx context.Context, hash keyHash, now time.Time) (*goodKey, error) {
	generation := k.cache.current()
	row, err := k.queries.FindAPIKey(ctx, hash[:])
	if err != nil && !database.NotFound(err) {
		return nil, err
	}
	var key *goodKey
	if err == nil {
		if key, err = goodKeyOf(row); err != nil {
			return nil, err
		}
	}
	k.cache.keep(generation, hash, key, now)
	return key, nil
}

// readOddKeys reads the keys that have no form to be told by.
func (k *Keys) readOddKeys(ctx context.Context, now time.Time) (map[keyHash]*goodKey, error) {
	generation := k.cache.current()
	rows, err := k.queries.OddAPIKeys(ctx)
	if err != nil {
		return nil, err
	}
	odd := map[keyHash]*goodKey{}
	for _, row := range rows {
		odd[keyHash(row.SecretHash)] = &goodKey{
			principal: Principal{Kind: KeyPrincipal, ID: row.KeyID, Name: row.Name, Role: Role(row.Role)},
			expiresAt: row.ExpiresAt, lastUsedAt: row.LastUsedAt,
		}
	}
	k.cache.keepOdd(generation, odd, now)
	return odd, nil
}

// goodKeyOf returns nil when the person behind the key is not active. A key never does
// more than its owner may now, and nothing when who made it may do less than it.
func goodKeyOf(row identitydb.FindAPIKeyRow) (*goodKey, error) {
	role := Role(row.Role)
	if row.PersonID != "" && row.PersonStatus != string(UserActive) {
		return nil, nil
	}
	switch {
	case row.OwnerID != "":
		role = lesser(role, Role(row.PersonRole))
	case row.PersonID != "" && !mayStillGive(Role(row.PersonRole), role, permissionsOf(row.Scopes)):
		return nil, nil
	}
	key := &goodKey{
		principal: Principal{
			Kind: KeyPrincipal, ID: row.KeyID, Name: row.Name, Role: role, OwnerID: row.OwnerID, UserID: row.OwnerID,
			Scopes: permissionsOf(row.Scopes),
		},
		expiresAt: row.ExpiresAt, lastUsedAt: row.LastUsedAt,
	}
	for _, text := range row.AllowedNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("networks of key %s: %w", row.KeyID, err)
		}
		key.networks = append(key.networks, network)
	}
	return key, nil
}
