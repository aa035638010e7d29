package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

const (
	// sessionCacheTime is how long a session that was ended, or a role that was
	// changed, at another replica may still count at this one.
	sessionCacheTime = 5 * time.Second
	sessionCacheSize = 10_000
	// touchTime is how exact a session's last use is.
	touchTime = time.Minute
)

type unattendedKey struct{}

// Unattended returns a context for what a program does by itself with a person's
// session, a page that looks again and again: it is no use of the session, which
// ends when the person has done nothing for so long.
func Unattended(ctx context.Context) context.Context {
	return context.WithValue(ctx, unattendedKey{}, true)
}

func isUnattended(ctx context.Context) bool { return ctx.Value(unattendedKey{}) != nil }

// Authenticate returns who a session's token belongs to. Each use keeps the session
// alive, to the minute, until its end; see Unattended. What was found is remembered for five
// seconds: that long a revoked session may still be taken by another replica.
// Returns ErrUnauthenticated.
func (u *Users) Authenticate(ctx context.Context, token string) (Principal, error) {
	hash, isToken := hashToken(SessionPrefix, token)
	if !isToken {
		return Principal{}, ErrUnauthenticated
	}
	now := u.clock()
	key := [sha256.Size]byte(hash)
	principal, generation, isFound := u.sessions.find(key, now)
	if isFound {
		return principal, nil
	}
	row, err := u.queries.FindSession(ctx, identitydb.FindSessionParams{TokenHash: hash, Now: now})
	if database.NotFound(err) {
		return Principal{}, ErrUnauthenticated
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up session: %w", err)
	}
	isUse := !isUnattended(ctx)
	if touchedBefore := now.Add(-touchTime); isUse && !row.LastUsedAt.After(touchedBefore) {
		err := u.queries.TouchSession(ctx, identitydb.TouchSessionParams{
			TokenHash: hash, Now: now, IdleUntil: now.Add(u.options.SessionIdle), TouchedBefore: touchedBefore,
		})
		if err != nil {
			return Principal{}, fmt.Errorf("write a session's use: %w", err)
		}
	}
	principal = Principal{
		Kind: UserPrincipal, ID: row.UserID, Name: row.Name, Role: Role(row.Role), UserID: row.UserID,
		SessionID: row.SessionID, ProvenAt: row.ProvenAt, HasSecondFactor: row.SecondFactorAt != nil,
	}
	if principal.Role.ReachesOwnOnly() {
		principal.OwnerID = row.UserID
	}
	if isUse { // else the person's own use would be found here, and not be written
		u.sessions.put(generation, key, principal, earlier(now.Add(sessionCacheTime), row.ExpiresAt), now)
	}
	return principal, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// sessionCache remembers principals by the hashes of their tokens.
type sessionCache struct {
	mu         sync.RWMutex
	generation int // changes when sessions are forgotten: what was read before is not kept
	known      map[[sha256.Size]byte]knownSession
}

type knownSession struct {
	principal Principal
	until     time.Time
}

func newSessionCache() *sessionCache {
	return &sessionCache{known: map[[sha256.Size]byte]knownSession{}}
}

// find also returns the generation, for put.
func (c *sessionCache) find(key [sha256.Size]byte, now time.Time) (p Principal, generation int, isFound bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	entry, found := c.known[key]
	return entry.principal, c.generation, found && now.Before(entry.until)
}

// put remembers what was read in a generation.
func (c *sessionCache) put(generation int, key [sha256.Size]byte, p Principal, until, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if len(c.known) >= sessionCacheSize {
		for other, entry := range c.known {
			if !now.Before(entry.until) {
				delete(c.known, other)
			}
		}
	}
	if len(c.known) >= sessionCacheSize {
		clear(c.known)
	}
	c.known[key] = knownSession{principal: p, until: until}
}

// forget drops a user's sessions, so that this replica sees a change at once.
func (c *sessionCache) forget(userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for key, entry := range c.known {
		if entry.principal.UserID == userID {
			delete(c.known, key)
		}
	}
}

// SignOut ends the principal's own session. A second call does nothing. Returns
// ErrSessionNotFound for principals without one.
func (u *Users) SignOut(ctx context.Context, p Principal) error {
	if p.SessionID == "" {
		return ErrSessionNotFound
	}
	err := u.RevokeSession(ctx, p.UserID, p.SessionID)
	if isCode(err, SessionNotFound) {
		return nil
	}
	return err
}

// Sessions lists a user's sessions that are not over, the newest first.
func (u *Users) Sessions(ctx context.Context, userID string) ([]Session, error) {
	rows, err := u.queries.ListSessions(ctx, identitydb.ListSessionsParams{UserID: userID, Now: u.clock()})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	sessions := make([]Session, len(rows))
	for i, row := range rows {
		sessions[i] = Session{
			ID: row.SessionID, UserID: userID, Address: row.Address, Agent: row.Agent,
			CreatedAt: row.CreatedAt, LastUsedAt: row.LastUsedAt, ExpiresAt: row.ExpiresAt,
		}
	}
	return sessions, nil
}

// RevokeSession ends one session of a user. Returns ErrSessionNotFound when it is
// another user's, or over.
func (u *Users) RevokeSession(ctx context.Context, userID, sessionID string) error {
	if !isID(userID) || !isID(sessionID) {
		return ErrSessionNotFound
	}
	defer u.sessions.forget(userID)
	return u.db.InTx(ctx, "identity.revoke_session", func(ctx context.Context, tx pgx.Tx) error {
		n, err := identitydb.New(tx).DeleteSession(ctx, identitydb.DeleteSessionParams{UserID: userID, SessionID: sessionID})
		if err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
		if n == 0 {
			return ErrSessionNotFound
		}
		return u.log.AppendTx(ctx, tx, sessionEvent("session.revoked", sessionID, audit.OK))
	})
}

// RevokeSessions ends all sessions of a user. A second call finds none to end.
func (u *Users) RevokeSessions(ctx context.Context, userID string) error {
	defer u.sessions.forget(userID)
	return u.db.InTx(ctx, "identity.revoke_sessions", func(ctx context.Context, tx pgx.Tx) error {
		return u.endSessions(ctx, tx, userID, "", audit.Origin{})
	})
}

// RevokeOtherSessions ends all sessions of the principal's user but his own. A second
// call finds none to end.
func (u *Users) RevokeOtherSessions(ctx context.Context, p Principal) error {
	defer u.sessions.forget(p.UserID)
	return u.db.InTx(ctx, "identity.revoke_other_sessions", func(ctx context.Context, tx pgx.Tx) error {
		return u.endSessions(ctx, tx, p.UserID, p.SessionID, audit.Origin{})
	})
}

// endSessions ends a user's sessions in the caller's transaction, but for one if it is
// named. The caller has u.sessions forget the user afterwards.
func (u *Users) endSessions(ctx context.Context, tx pgx.Tx, userID, keptID string, origin audit.Origin) error {
	n, err := identitydb.New(tx).DeleteSessions(ctx, identitydb.DeleteSessionsParams{UserID: userID, KeptID: keptID})
	if err != nil || n == 0 {
		return err
	}
	event := userEvent("sessions.revoked", userID, nil, object("sessions", n))
	event.Origin = origin
	return u.log.AppendTx(ctx, tx, event)
}
