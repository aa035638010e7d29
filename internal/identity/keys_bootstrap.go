package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// bootstrapName tells bootstrap keys from others, whose name it can't be.
const bootstrapName = "bootstrap"

// Bootstrap sees to the first key, which has the role Admin. With a configured
// key, of any form, that one is valid afterwards and the bootstrap keys of earlier
// configurations are revoked. Without, and when there is no key that is good, a
// random one is made and returned: it can't be read again. A second call with the
// same configuration changes nothing.
//
// Returns an error when the configured key was revoked by a person, or is one that
// was made for something else.
func (k *Keys) Bootstrap(ctx context.Context, configured string) (generated string, err error) {
	if configured != "" {
		if strings.TrimSpace(configured) != configured {
			return "", errors.New("the bootstrap API key must not begin or end with blanks")
		}
		if _, isWellFormed := parseKeyText(configured); hasKeyForm(configured) && !isWellFormed {
			return "", errors.New("the bootstrap API key looks like one of ours and is mistyped")
		}
		defer k.cache.reset()
		return "", k.db.InTx(ctx, "keys.bootstrap", func(ctx context.Context, tx pgx.Tx) error {
			if err := k.putBootstrap(ctx, tx, configured); err != nil {
				return err
			}
			return k.revokeOtherBootstraps(ctx, tx, configured)
		})
	}
	if has, err := k.HasAny(ctx); err != nil || has {
		return "", err
	}
	// Two replicas may come here at once: then there are two keys, both valid.
	generated = RandomKey(k.environment)
	defer k.cache.reset()
	err = k.db.InTx(ctx, "keys.bootstrap", func(ctx context.Context, tx pgx.Tx) error {
		return k.putBootstrap(ctx, tx, generated)
	})
	if err != nil {
		return "", err
	}
	return generated, nil
}

// HasAny says whether there is a key that is good now.
func (k *Keys) HasAny(ctx context.Context) (bool, error) {
	n, err := k.queries.CountAPIKeys(ctx, k.clock())
	if err != nil {
		return false, fmt.Errorf("count API keys: %w", err)
	}
	return n > 0, nil
}

// putBootstrap makes the key valid; nothing is written when it is.
func (k *Keys) putBootstrap(ctx context.Context, tx pgx.Tx, text string) error {
	hash := sha256.Sum256([]byte(text))
	queries := k.queries.WithTx(tx)
	row, err := queries.LockAPIKeyByHash(ctx, hash[:])
	switch {
	case database.NotFound(err):
		err := k.insertTx(ctx, tx, k.made(NewKey{Name: bootstrapName, Role: Admin}, text, ""), text, "")
		if database.UniqueViolation(err) == "api_keys_secret_hash_key" || database.UniqueViolation(err) == "api_keys_pkey" {
			return database.Retry(err) // another replica was first
		}
		return err
	case err != nil:
		return fmt.Errorf("look up the bootstrap API key: %w", err)
	case row.Name != bootstrapName:
		return errors.New("the configured bootstrap API key was made for something else: configure another")
	case row.ExpiresAt != nil:
		return errors.New("the configured bootstrap API key was revoked: configure another")
	case row.RevokedAt == nil:
		return nil
	}
	if err := queries.ReviveAPIKey(ctx, row.KeyID); err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	return k.log.AppendTx(ctx, tx, k.event("key.revived", row.KeyID, nil, nil))
}

func (k *Keys) revokeOtherBootstraps(ctx context.Context, tx pgx.Tx, text string) error {
	hash := sha256.Sum256([]byte(text))
	revoked, err := k.queries.WithTx(tx).RevokeOtherAPIKeys(ctx, identitydb.RevokeOtherAPIKeysParams{
		Name: bootstrapName, SecretHash: hash[:], Now: k.clock(),
	})
	if err != nil {
		return fmt.Errorf("revoke earlier API keys: %w", err)
	}
	return k.log.AppendTx(ctx, tx, k.revokedEvents(revoked)...)
}
