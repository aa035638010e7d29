package api

import (
	"context"
	"time"

	"florin/internal/identity"
)

// APIKey is a program's key, as it may be shown.
type APIKey struct { //nolint:revive // a schema of the documentation, too
	KeyID           string     `json:"keyId" example:"key_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Name            string     `json:"name" example:"shop backend"`
	Prefix          string     `json:"prefix,omitempty" doc:"How the key begins; no secret. Absent for keys that come from the configuration." example:"florin_live_q7w3m5x2k4z6n2p7"`
	Role            string     `json:"role" enum:"customer,merchant,support,finance,operator,admin"`
	Scopes          []string   `json:"scopes,omitempty" doc:"Absent: all that the role may do."`
	OwnerID         string     `json:"ownerId,omitempty" doc:"The user whose accounts alone it reaches."`
	Networks        []string   `json:"networks,omitempty" doc:"Where it may be used from; absent: anywhere."`
	IsActive        bool       `json:"isActive" doc:"Neither revoked nor expired."`
	CreatedAt       time.Time  `json:"createdAt"`
	CreatedBy       string     `json:"createdBy,omitempty" doc:"Id of the user or the key that made it."`
	ExpiresAt       *time.Time `json:"expiresAt,omitempty" doc:"Never when absent."`
	RevokedAt       *time.Time `json:"revokedAt,omitempty"`
	LastUsedAt      *time.Time `json:"lastUsedAt,omitempty" doc:"To the minute."`
	LastUsedAddress string     `json:"lastUsedAddress,omitempty" example:"203.0.113.7"`
	ReplacedBy      string     `json:"replacedBy,omitempty" doc:"The key that took its place."`
}

func (a *api) keyOf(k identity.Key) APIKey {
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	return APIKey{
		KeyID: k.ID, Name: k.Name, Prefix: k.Prefix, Role: string(k.Role), Scopes: scopes, OwnerID: k.OwnerID, Networks: k.Networks,
		IsActive: k.IsActive(a.now()), CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
		LastUsedAt: k.LastUsedAt, LastUsedAddress: k.LastUsedAddress, ReplacedBy: k.ReplacedBy,
	}
}

// NewAPIKey is a key with its text.
type NewAPIKey struct {
	APIKey
	Key string `json:"key" doc:"The key itself. Shown this once: keep it where secrets are kept." example:"florin_live_q7w3m5x2k4z6n2p7_r5t3v6y4a2b5c7d3f4g6h5j7k3m2n4p6"`
}

// APIKeyList is a page of keys.
type APIKeyList struct { //nolint:revive // a schema of the documentation, too
	Data       []APIKey `json:"data" nullable:"false"`
	NextCursor string   `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// CreateKeyRequest asks for a key.
type CreateKeyRequest struct {
	Name      string     `json:"name" doc:"What it is for." example:"shop backend"`
	Role      string     `json:"role" enum:"customer,merchant,support,finance,operator,admin" doc:"What it may do at most."`
	Scopes    []string   `json:"scopes,omitempty" doc:"What it may do of that; all of it when absent." example:"[\"accounts:read\"]"`
	OwnerID   string     `json:"ownerId,omitempty" doc:"The user whose accounts alone it reaches: required for customer and merchant, for no other role."`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"Never when absent (RFC 3339)."`
	Networks  []string   `json:"networks,omitempty" doc:"CIDR or addresses that it may be used from; anywhere when absent." example:"[\"203.0.113.0/24\"]"`
}

// keyListMax bounds the lists of a request for a key.
const keyListMax = 100

var createKeyMembers = []member[CreateKeyRequest]{
	{"name", true, func(d *decoder, r *CreateKeyRequest) { d.readText(&r.Name) }},
	{"role", true, func(d *decoder, r *CreateKeyRequest) { d.readText(&r.Role) }},
	{"scopes", false, func(d *decoder, r *CreateKeyRequest) { d.readTexts(&r.Scopes, keyListMax) }},
	{"ownerId", false, func(d *decoder, r *CreateKeyRequest) { d.readText(&r.OwnerID) }},
	{"expiresAt", false, func(d *decoder, r *CreateKeyRequest) { d.readTime(&r.ExpiresAt) }},
	{"networks", false, func(d *decoder, r *CreateKeyRequest) { d.readTexts(&r.Networks, keyListMax) }},
}

func (CreateKeyRequest) members() []member[CreateKeyRequest] { return createKeyMembers }

// RotateKeyRequest asks for a key in the place of another.
type RotateKeyRequest struct {
	OverlapSeconds int `json:"overlapSeconds,omitempty" minimum:"0" maximum:"2592000" default:"0" doc:"How long the old one goes on, at most 30 days."`
}

var rotateKeyMembers = []member[RotateKeyRequest]{
	{"overlapSeconds", false, func(d *decoder, r *RotateKeyRequest) { d.readInt(&r.OverlapSeconds) }},
}

func (RotateKeyRequest) members() []member[RotateKeyRequest] { return rotateKeyMembers }

// KeyPath names a key.
type KeyPath struct {
	KeyID ID `path:"keyId" doc:"The key's id." example:"key_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type createKeyInput struct {
	IdempotencyKey
	Payload jsonBody[CreateKeyRequest]
}

type listKeysInput struct {
	Limit   int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor  string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	OwnerID ID     `query:"ownerId" doc:"Of this user alone."`
	Prefix  string `query:"prefix" maxLength:"60" doc:"How the keys begin." example:"florin_live_"`
}

type rotateKeyInput struct {
	KeyPath
	Payload jsonBody[RotateKeyRequest]
}

type keyOutput struct{ Body APIKey }

type newKeyOutput struct{ Body NewAPIKey }

type keysOutput struct{ Body APIKeyList }

func (a *api) routeKeys() {
	route(a, createKeyEndpoint, a.createKey)
	route(a, listKeysEndpoint, a.listKeys)
	route(a, getKeyEndpoint, a.getKey)
	route(a, rotateKeyEndpoint, a.rotateKey)
	route(a, revokeKeyEndpoint, a.revokeKey)
}

func (a *api) createKey(ctx context.Context, in *createKeyInput) (*newKeyOutput, error) {
	r := &in.Payload.Value
	asked := identity.NewKey{Name: r.Name, Role: identity.Role(r.Role), OwnerID: r.OwnerID, Networks: r.Networks}
	// An empty list is no list: the caller meant nothing, or nowhere, and the keys
	// take it for everything.
	if r.Networks != nil && len(r.Networks) == 0 {
		return nil, invalidField("networks", "must name at least one, or be left out for anywhere")
	}
	if r.Scopes != nil {
		asked.Scopes = make([]identity.Permission, len(r.Scopes))
		for i, scope := range r.Scopes {
			asked.Scopes[i] = identity.Permission(scope)
		}
	}
	if r.ExpiresAt != nil {
		asked.ExpiresAt = *r.ExpiresAt
	}
	if in.Key != "" {
		asked.IdempotencyKey = in.digest(ctx, "api-key")
	}
	key, text, err := a.keys.Create(ctx, principalOf(ctx), asked)
	if err != nil {
		return nil, err
	}
	return &newKeyOutput{NewAPIKey{APIKey: a.keyOf(key), Key: text}}, nil
}

func (a *api) listKeys(ctx context.Context, in *listKeysInput) (*keysOutput, error) {
	after, err := idAfter(in.Cursor, "keys")
	if err != nil {
		return nil, err
	}
	rows, err := a.keys.List(ctx, principalOf(ctx), identity.KeyFilter{OwnerID: string(in.OwnerID), Prefix: in.Prefix}, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := APIKeyList{Data: make([]APIKey, len(rows))}
	for i, row := range rows {
		list.Data[i] = a.keyOf(row)
	}
	if more {
		list.NextCursor = newCursor("keys", noSnapshot, rows[len(rows)-1].ID)
	}
	return &keysOutput{list}, nil
}

func (a *api) getKey(ctx context.Context, in *KeyPath) (*keyOutput, error) {
	key, err := a.keys.Get(ctx, principalOf(ctx), string(in.KeyID))
	if err != nil {
		return nil, err
	}
	return &keyOutput{a.keyOf(key)}, nil
}

func (a *api) rotateKey(ctx context.Context, in *rotateKeyInput) (*newKeyOutput, error) {
	overlap := time.Duration(in.Payload.Value.OverlapSeconds) * time.Second
	key, text, err := a.keys.Rotate(ctx, principalOf(ctx), string(in.KeyID), overlap)
	if err != nil {
		return nil, err
	}
	return &newKeyOutput{NewAPIKey{APIKey: a.keyOf(key), Key: text}}, nil
}

func (a *api) revokeKey(ctx context.Context, in *KeyPath) (*keyOutput, error) {
	key, err := a.keys.Revoke(ctx, principalOf(ctx), string(in.KeyID))
	if err != nil {
		return nil, err
	}
	return &keyOutput{a.keyOf(key)}, nil
}
