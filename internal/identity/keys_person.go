package identity

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// PersonBehind is the id of the user who answers for what a key does, and without
// whom it does nothing: its owner, or who made it, himself or by keys that made keys;
// "" when a configured key stands at the beginning, or there is no such key.
func (k *Keys) PersonBehind(ctx context.Context, keyID string) (userID string, err error) {
	return personBehind(ctx, k.queries, keyID)
}

func personBehind(ctx context.Context, queries *identitydb.Queries, keyID string) (string, error) {
	if !isID(keyID) {
		return "", nil
	}
	userID, err := queries.PersonBehindKey(ctx, keyID)
	if err != nil && !database.NotFound(err) {
		return "", fmt.Errorf("read the person behind an API key: %w", err)
	}
	return userID, nil
}

// personFor is who will answer for a key that by makes.
func (k *Keys) personFor(ctx context.Context, tx pgx.Tx, by *Principal, n NewKey) (string, error) {
	switch {
	case n.OwnerID != "":
		return n.OwnerID, nil
	case by.Kind == UserPrincipal:
		return by.UserID, nil
	}
	return personBehind(ctx, k.queries.WithTx(tx), by.ID)
}

// mayStillGive says whether the role may do all that a key does which its holder made:
// of a key that could do more now nothing is left.
func mayStillGive(person, role Role, scopes []Permission) bool {
	if scopes == nil {
		scopes = role.Permissions()
	}
	return !slices.ContainsFunc(scopes, func(p Permission) bool { return !person.May(p) })
}

// tellOwner writes to the user for whom a key was made: what reaches his money.
func (k *Keys) tellOwner(ctx context.Context, tx pgx.Tx, key Key) error {
	if key.OwnerID == "" || k.mail == nil {
		return nil
	}
	owner, err := k.queries.WithTx(tx).FindUser(ctx, key.OwnerID)
	if err != nil {
		return fmt.Errorf("read the key's owner: %w", err)
	}
	return notify(ctx, tx, k.mail, owner.Email, issuer, "an API key was made for your account", k.clock())
}
