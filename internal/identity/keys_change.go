package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// Rotate makes a key that takes another's place, with the same name, role,
// scopes, owner and networks, and as long a life if that had an end. The old one
// goes on for overlap (0 to OverlapMax), but never longer than it would have. It
// opens its own transaction; the text is never shown again.
//
// Returns InvalidInput, or Failures: KeyNotFound; KeyNotActive when the old key is
// over or was rotated before, so that a second call makes no second key;
// KeyIsConfigured for a bootstrap key; ExceedsOwnPermissions as Create does.
func (k *Keys) Rotate(ctx context.Context, by *Principal, keyID string, overlap time.Duration) (Key, string, error) {
	if overlap < 0 || overlap > OverlapMax {
		return Key{}, "", invalid("overlap", fmt.Sprintf("must be 0 to %d hours", int(OverlapMax.Hours())))
	}
	text := RandomKey(k.environment)
	var made Key
	err := k.db.InTx(ctx, "keys.rotate", func(ctx context.Context, tx pgx.Tx) error {
		old, err := k.lockActive(ctx, tx, by, keyID)
		if err != nil {
			return err
		}
		n := old.again(k.clock())
		if err := mayGive(by, n); err != nil {
			return err
		}
		if err := k.checkOwner(ctx, tx, n); err != nil {
			return err
		}
		person, err := k.personFor(ctx, tx, by, n)
		if err != nil {
			return err
		}
		made = k.made(n, text, by.ID)
		if err := k.insertTx(ctx, tx, made, text, person); err != nil {
			return err
		}
		return k.replaceTx(ctx, tx, old, made, overlap)
	})
	if err != nil {
		return Key{}, "", err
	}
	k.cache.reset()
	return made, text, nil
}

// lockActive returns a key that may be rotated.
func (k *Keys) lockActive(ctx context.Context, tx pgx.Tx, by *Principal, keyID string) (Key, error) {
	old, err := k.lock(ctx, tx, by, keyID)
	switch {
	case err != nil:
		return Key{}, err
	case old.Name == bootstrapName:
		return Key{}, ErrKeyIsConfigured
	case !old.IsActive(k.clock()) || old.ReplacedBy != "":
		return Key{}, ErrKeyNotActive
	}
	return old, nil
}

func (k *Keys) lock(ctx context.Context, tx pgx.Tx, by *Principal, keyID string) (Key, error) {
	if !isID(keyID) {
		return Key{}, ErrKeyNotFound
	}
	row, err := k.queries.WithTx(tx).LockAPIKey(ctx, identitydb.LockAPIKeyParams{KeyID: keyID, OwnerID: by.OwnerID})
	if database.NotFound(err) {
		return Key{}, ErrKeyNotFound
	}
	if err != nil {
		return Key{}, fmt.Errorf("read API key: %w", err)
	}
	return keyOf(identitydb.GetAPIKeyRow(row)), nil
}

// again is the request for a key like this one.
func (k *Key) again(now time.Time) NewKey {
	n := NewKey{Name: k.Name, Role: k.Role, Scopes: k.Scopes, OwnerID: k.OwnerID, Networks: k.Networks}
	if k.ExpiresAt != nil {
		n.ExpiresAt = now.Add(k.ExpiresAt.Sub(k.CreatedAt))
	}
	return n
}

func (k *Keys) replaceTx(ctx context.Context, tx pgx.Tx, old, made Key, overlap time.Duration) error {
	ends := k.clock().Add(overlap)
	if old.ExpiresAt != nil && old.ExpiresAt.Before(ends) {
		ends = *old.ExpiresAt
	}
	err := k.queries.WithTx(tx).ReplaceAPIKey(ctx, identitydb.ReplaceAPIKeyParams{
		KeyID: old.ID, ReplacedBy: made.ID, ExpiresAt: ends,
	})
	if err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	return k.log.AppendTx(ctx, tx, k.event("key.rotated", old.ID, expiry(old.ExpiresAt, ""), expiry(&ends, made.ID)))
}

func expiry(at *time.Time, replacedBy string) json.RawMessage {
	text, err := json.Marshal(struct {
		ExpiresAt  *time.Time `json:"expiresAt"`
		ReplacedBy string     `json:"replacedBy,omitempty"`
	}{at, replacedBy})
	if err != nil {
		panic(err) // a time and a text
	}
	return text
}

// Revoke ends a key for good: at once where it was revoked, within five seconds on
// other replicas. A second call changes nothing. It opens its own transaction.
// Returns the Failure KeyNotFound.
func (k *Keys) Revoke(ctx context.Context, by *Principal, keyID string) (Key, error) {
	var revoked Key
	err := k.db.InTx(ctx, "keys.revoke", func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if revoked, err = k.lock(ctx, tx, by, keyID); err != nil || revoked.RevokedAt != nil {
			return err
		}
		now := k.clock()
		revoked.RevokedAt = &now
		if revoked.Name == bootstrapName {
			revoked.ExpiresAt = &now // so that no configuration revives it
		}
		err = k.queries.WithTx(tx).RevokeAPIKey(ctx, identitydb.RevokeAPIKeyParams{
			KeyID: keyID, Now: now, ExpiresAt: revoked.ExpiresAt,
		})
		if err != nil {
			return fmt.Errorf("revoke API key: %w", err)
		}
		return k.log.AppendTx(ctx, tx, k.event("key.revoked", keyID, nil, nil))
	})
	if err != nil {
		return Key{}, err
	}
	k.cache.reset()
	return revoked, nil
}
