// Package identity knows who calls: people, who sign in, and programs, which have
// API keys. It says what each may do (Principal), and keeps what they prove
// themselves with as hashes, or sealed where it must be readable again. What they
// then do is left to others.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Bounds of API keys.
const (
	KeyNameMax     = 100 // characters
	KeyNetworksMax = 100
	// OverlapMax is how long a replaced key may live on.
	OverlapMax = 30 * 24 * time.Hour
	// KeysPageMax bounds a page of List.
	KeysPageMax = 1000
)

// KeysOptions configure Keys.
type KeysOptions struct {
	Clock clock.Clock
	Log   *audit.Log
	// Environment stands in new keys; Dev when empty.
	Environment Environment
	// Mail tells users of keys that were made for them; nil tells nobody.
	Mail Mailer
}

// Keys are the API keys of a database: random texts for programs, shown once and
// kept as hashes. Safe for concurrent use. Changes are audit events of the same
// transaction.
type Keys struct {
	db          *database.DB
	queries     *identitydb.Queries
	clock       clock.Clock
	log         *audit.Log
	environment Environment
	mail        Mailer
	cache       keyCache
	lookups     singleflight.Group
	uses        keyUses
}

// NewKeys makes Keys.
func NewKeys(db *database.DB, o KeysOptions) *Keys {
	if o.Environment == "" {
		o.Environment = Dev
	}
	k := &Keys{db: db, queries: identitydb.New(db), clock: o.Clock, log: o.Log, environment: o.Environment, mail: o.Mail}
	k.cache.reset()
	return k
}

// Key is what is known of an API key: all but its secret.
type Key struct {
	ID   string
	Name string
	// Prefix is the beginning of the key, which is no secret; "" for bootstrap
	// keys of another form.
	Prefix  string
	Role    Role
	Scopes  []Permission // nil: all that the role may do
	OwnerID string       // "": reaches all accounts
	// Networks that it may be used from, as CIDR; empty: from anywhere.
	Networks        []string
	CreatedAt       time.Time
	CreatedBy       string     // id of the user or the key; "" for bootstrap keys
	ExpiresAt       *time.Time // nil: never
	RevokedAt       *time.Time
	LastUsedAt      *time.Time // to the minute
	LastUsedAddress string
	ReplacedBy      string // id of the key that took its place; "" while none has
}

// IsActive says whether the key is good at a time, as far as it itself goes.
func (k *Key) IsActive(at time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || at.Before(*k.ExpiresAt))
}

// NewKey says what a key shall be good for.
type NewKey struct {
	Name string
	Role Role
	// Scopes narrow what the role may do; nil for all of it.
	Scopes []Permission
	// OwnerID is the user whose accounts alone it reaches. Roles that reach only
	// what is theirs need one, others can't have one.
	OwnerID string
	// ExpiresAt is when it ends; zero for never.
	ExpiresAt time.Time
	// Networks are CIDR or single addresses; none for anywhere.
	Networks []string
	// IdempotencyKey, when not empty, is a text that the one request for this key
	// has: a second call with it makes no second key.
	IdempotencyKey string
}

// Create makes a key and returns it with its text, which is never shown again. A
// second call makes another one, unless it has the IdempotencyKey of the first. It
// opens its own transaction.
//
// Returns InvalidInput, or Failures: ExceedsOwnPermissions when the key could do
// what by may not; UserNotFound or UserNotActive about the owner; KeyExists when the
// IdempotencyKey made a key before, whatever has become of that.
func (k *Keys) Create(ctx context.Context, by *Principal, n NewKey) (Key, string, error) {
	n, err := n.validated(k.clock())
	if err != nil {
		return Key{}, "", err
	}
	if err := mayGive(by, n); err != nil {
		return Key{}, "", err
	}
	text := RandomKey(k.environment)
	if n.IdempotencyKey != "" {
		text = secretKey(k.environment, publicPart(n.IdempotencyKey))
	}
	made := k.made(n, text, by.ID)
	err = k.db.InTx(ctx, "keys.create", func(ctx context.Context, tx pgx.Tx) error {
		switch _, err := k.lock(ctx, tx, &Principal{}, made.ID); {
		case err == nil:
			return &Failure{Code: KeyExists, Message: fmt.Sprintf("the same request made %s before, and its text was shown then", made.ID)}
		case !errors.Is(err, ErrKeyNotFound):
			return err
		}
		if err := k.checkOwner(ctx, tx, n); err != nil {
			return err
		}
		person, err := k.personFor(ctx, tx, by, n)
		if err != nil {
			return err
		}
		return k.insertTx(ctx, tx, made, text, person)
	})
	if err != nil {
		return Key{}, "", err
	}
	return made, text, nil
}

// made is the key as it will be stored.
func (k *Keys) made(n NewKey, text, createdBy string) Key {
	form, _ := parseKeyText(text)
	key := Key{
		ID: form.keyID(), Name: n.Name, Prefix: form.prefix(), Role: n.Role, Scopes: n.Scopes, OwnerID: n.OwnerID,
		Networks: n.Networks, CreatedAt: k.clock(), CreatedBy: createdBy,
	}
	if key.ID == "" { // a bootstrap key of any form
		key.ID = id.New("key")
	}
	if !n.ExpiresAt.IsZero() {
		key.ExpiresAt = &n.ExpiresAt
	}
	return key
}

// checkOwner sees to it that a key is bound to somebody who may act himself.
func (k *Keys) checkOwner(ctx context.Context, tx pgx.Tx, n NewKey) error {
	if n.OwnerID == "" {
		return nil
	}
	if !isID(n.OwnerID) {
		return ErrUserNotFound
	}
	owner, err := k.queries.WithTx(tx).FindUser(ctx, n.OwnerID)
	switch {
	case database.NotFound(err):
		return ErrUserNotFound
	case err != nil:
		return fmt.Errorf("read the key's owner: %w", err)
	case owner.Status != string(UserActive):
		return ErrUserNotActive
	case lesser(n.Role, Role(owner.Role)) != n.Role:
		return invalid("role", "is more than the owner has")
	}
	return nil
}

// insertTx stores a key, for which a person answers, and its event.
func (k *Keys) insertTx(ctx context.Context, tx pgx.Tx, key Key, text, personID string) error {
	hash := sha256.Sum256([]byte(text))
	err := k.queries.WithTx(tx).InsertAPIKey(ctx, identitydb.InsertAPIKeyParams{
		KeyID: key.ID, Name: key.Name, SecretHash: hash[:], CreatedAt: key.CreatedAt, Role: string(key.Role),
		Scopes: permissionTexts(key.Scopes), OwnerID: key.OwnerID, AllowedNetworks: notNull(key.Networks),
		ExpiresAt: key.ExpiresAt, Prefix: key.Prefix, CreatedBy: key.CreatedBy, PersonID: personID,
	})
	if err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	if err := k.tellOwner(ctx, tx, key); err != nil {
		return err
	}
	return k.log.AppendTx(ctx, tx, k.event("key.created", key.ID, nil, describeKey(key)))
}

// Get returns a key. Returns the Failure KeyNotFound, also for another's key when
// by reaches its own only.
func (k *Keys) Get(ctx context.Context, by *Principal, keyID string) (Key, error) {
	if !isID(keyID) {
		return Key{}, ErrKeyNotFound
	}
	row, err := k.queries.GetAPIKey(ctx, identitydb.GetAPIKeyParams{KeyID: keyID, OwnerID: by.OwnerID})
	if database.NotFound(err) {
		return Key{}, ErrKeyNotFound
	}
	if err != nil {
		return Key{}, fmt.Errorf("read API key: %w", err)
	}
	return keyOf(row), nil
}

// KeyFilter chooses keys; what is empty is not asked for.
type KeyFilter struct {
	OwnerID string
	// Prefix is how the keys begin, such as "florin_live_": what is found of a key
	// in some log names it.
	Prefix string
}

// List returns keys by id, those after a given one, limit at most (1 to
// KeysPageMax); revoked and expired ones too. One who reaches his own only gets
// those of his owner. Returns InvalidInput.
func (k *Keys) List(ctx context.Context, by *Principal, f KeyFilter, after string, limit int) ([]Key, error) {
	if by.OwnerID != "" {
		if f.OwnerID != "" && f.OwnerID != by.OwnerID {
			return nil, nil
		}
		f.OwnerID = by.OwnerID
	}
	if after != "" && !isID(after) {
		return nil, invalid("after", "must be a key's id")
	}
	if f.OwnerID != "" && !isID(f.OwnerID) {
		return nil, invalid("ownerId", "must be a user's id")
	}
	if f.Prefix != "" && !isID(f.Prefix) {
		return nil, invalid("prefix", "must be the beginning of a key, such as florin_live_")
	}
	rows, err := k.queries.ListAPIKeys(ctx, identitydb.ListAPIKeysParams{
		After: after, OwnerID: f.OwnerID, Prefix: f.Prefix, MaxKeys: int32(min(max(limit, 1), KeysPageMax)),
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(identitydb.GetAPIKeyRow(row))
	}
	return keys, nil
}

func keyOf(row identitydb.GetAPIKeyRow) Key {
	return Key{
		ID: row.KeyID, Name: row.Name, Prefix: row.Prefix, Role: Role(row.Role), Scopes: permissionsOf(row.Scopes),
		OwnerID: row.OwnerID, Networks: row.AllowedNetworks, CreatedAt: row.CreatedAt.UTC(), CreatedBy: row.CreatedBy,
		ExpiresAt: inUTC(row.ExpiresAt), RevokedAt: inUTC(row.RevokedAt), LastUsedAt: inUTC(row.LastUsedAt),
		LastUsedAddress: row.LastUsedAddress, ReplacedBy: row.ReplacedBy,
	}
}

func inUTC(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	utc := at.UTC()
	return &utc
}

func (k *Keys) event(action, keyID string, before, after json.RawMessage) audit.Event {
	return audit.Event{
		Action: action, TargetKind: "key", TargetID: keyID, Before: before, After: after, Result: audit.OK, At: k.clock(),
	}
}

// revokedEvents are those of several keys.
func (k *Keys) revokedEvents(keyIDs []string) []audit.Event {
	events := make([]audit.Event, len(keyIDs))
	for i, keyID := range keyIDs {
		events[i] = k.event("key.revoked", keyID, nil, nil)
	}
	return events
}

// describeKey is a key as the audit trail shows it.
func describeKey(key Key) json.RawMessage {
	text, err := json.Marshal(struct {
		Name      string       `json:"name"`
		Prefix    string       `json:"prefix,omitempty"`
		Role      Role         `json:"role"`
		Scopes    []Permission `json:"scopes,omitempty"`
		OwnerID   string       `json:"ownerId,omitempty"`
		Networks  []string     `json:"networks,omitempty"`
		ExpiresAt *time.Time   `json:"expiresAt,omitempty"`
	}{key.Name, key.Prefix, key.Role, key.Scopes, key.OwnerID, key.Networks, key.ExpiresAt})
	if err != nil {
		panic(err) // texts and times only
	}
	return text
}
