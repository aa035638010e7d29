package identity

import (
	"slices"
	"time"
)

// PrincipalKind says what a caller is.
type PrincipalKind string

// The kinds.
const (
	UserPrincipal PrincipalKind = "user" // a person with a session
	KeyPrincipal  PrincipalKind = "key"  // a program with an API key
)

// Principal is who a request is made by, proven.
type Principal struct {
	Kind PrincipalKind
	ID   string // of the user or of the key: stable, stands in logs and in the audit trail
	Name string
	Role Role
	// OwnerID is the user whose accounts alone the principal sees and moves; ""
	// for those that reach all.
	OwnerID string
	// UserID is the user who "me" is; "" for keys without an owner.
	UserID string
	// Scopes narrow what the role may do; nil for all of it.
	Scopes []Permission
	// SessionID and ProvenAt are a user's: the session, and when he last proved
	// himself by password or second factor, which sensitive steps ask for.
	SessionID string
	ProvenAt  time.Time
	// HasSecondFactor says that the user of a session signs in with a second
	// factor; never so for keys.
	HasSecondFactor bool
}

// May says whether the principal may do p: its role may, and its scopes don't
// leave it out.
func (p *Principal) May(permission Permission) bool {
	if permission.IsOwn() && p.UserID == "" {
		return false
	}
	return p.Role.May(permission) && (p.Scopes == nil || slices.Contains(p.Scopes, permission))
}
