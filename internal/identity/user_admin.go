package identity

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
)

// noOrigin leaves an event's origin to the context.
var noOrigin audit.Origin

// SetRole changes a user's role and ends his sessions: what he may do is asked anew at
// his next sign-in. The same role again changes nothing. Returns InvalidInput,
// ErrUserNotFound, ErrUserNotActive for a user whose address is not verified, who may be
// anybody, or ErrOwnRole when the user himself, or a key of his, acts under the context.
func (u *Users) SetRole(ctx context.Context, userID string, role Role) error {
	if !role.IsKnown() {
		return invalid("role", "must be one of "+roleNames())
	}
	return u.changeOther(ctx, "identity.set_role", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if Role(row.Role) == role {
			return nil
		}
		if row.EmailVerifiedAt == nil {
			return &Failure{Code: UserNotActive, Message: "the user's email address is not verified"}
		}
		err := identitydb.New(tx).SetRole(ctx, identitydb.SetRoleParams{UserID: userID, Role: string(role), Now: u.clock()})
		if err != nil {
			return err
		}
		if err := u.endSessions(ctx, tx, userID, "", noOrigin); err != nil {
			return err
		}
		return u.log.AppendTx(ctx, tx, userEvent("user.role_changed", userID, roleObject(Role(row.Role)), roleObject(role)))
	})
}

// Lock keeps a user out: his sessions end, mailed tokens are good no more, and he can't
// sign in until Unlock. His accounts are not frozen. A second call changes nothing.
// Returns ErrUserNotFound, or ErrOwnRole.
func (u *Users) Lock(ctx context.Context, userID string) error {
	return u.changeOther(ctx, "identity.lock_user", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if UserStatus(row.Status) == UserIsLocked {
			return nil
		}
		if err := identitydb.New(tx).DeleteUserTokens(ctx, userID); err != nil {
			return err
		}
		if err := u.endSessions(ctx, tx, userID, "", noOrigin); err != nil {
			return err
		}
		return u.setStatus(ctx, tx, row, UserIsLocked, "user.locked")
	})
}

// Unlock lets a user in again, also one who only has to wait because too many
// sign-ins failed. Returns ErrUserNotFound, or ErrOwnRole.
func (u *Users) Unlock(ctx context.Context, userID string) error {
	return u.changeOther(ctx, "identity.unlock_user", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		queries := identitydb.New(tx)
		for _, s := range []subject{emailSubject(text(row.Email)), factorSubject(userID), proofSubject(userID)} {
			if err := queries.ForgetAttempts(ctx, s.what); err != nil {
				return err
			}
		}
		return u.setStatus(ctx, tx, row, UserActive, "user.unlocked")
	})
}

func (u *Users) setStatus(ctx context.Context, tx pgx.Tx, row identitydb.User, status UserStatus, action string) error {
	err := identitydb.New(tx).SetStatus(ctx, identitydb.SetStatusParams{UserID: row.UserID, Status: string(status), Now: u.clock()})
	if err != nil {
		return err
	}
	return u.log.AppendTx(ctx, tx, userEvent(action, row.UserID, object("status", row.Status), object("status", status)))
}

// changeOther is changeAny for anybody's user but one's own.
func (u *Users) changeOther(ctx context.Context, name, userID string, fn func(context.Context, pgx.Tx, identitydb.User) error) error {
	actor, err := u.personActing(ctx)
	if err != nil {
		return err
	}
	if actor != "" && actor == userID {
		return ErrOwnRole
	}
	defer u.sessions.forget(userID)
	return u.changeAny(ctx, name, userID, fn)
}

// personActing is the user who acts under the context, himself or by a key; "" when
// no person is known.
func (u *Users) personActing(ctx context.Context) (string, error) {
	switch origin, _ := audit.From(ctx); PrincipalKind(origin.ActorKind) {
	case UserPrincipal:
		return origin.ActorID, nil
	case KeyPrincipal:
		return personBehind(ctx, u.queries, origin.ActorID)
	}
	return "", nil
}

// Delete takes the person out of a user: his address, name, credentials, sessions and
// linked accounts are gone, his API keys revoked. The id stays, for the books. The caller
// has closed his accounts. A second call changes nothing. Returns ErrUserNotFound for an
// id that never was.
func (u *Users) Delete(ctx context.Context, userID string) error {
	defer u.sessions.forget(userID)
	err := u.changeAny(ctx, "identity.delete_user", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		// The event first: its actor is a user still.
		if err := u.log.AppendTx(ctx, tx, userEvent("user.deleted", userID, object("status", row.Status), object("status", UserDeleted))); err != nil {
			return err
		}
		if err := deleteFactor(ctx, tx, userID); err != nil {
			return err
		}
		if err := forgetEmail(ctx, tx, text(row.Email)); err != nil {
			return err
		}
		queries, now := identitydb.New(tx), u.clock()
		counted := []subject{factorSubject(userID), proofSubject(userID)}
		for _, kind := range mailKinds {
			counted = append(counted, mailsSubject(kind, text(row.Email)))
		}
		for _, s := range counted {
			if err := queries.ForgetAttempts(ctx, s.what); err != nil {
				return err
			}
		}
		if err := queries.DeleteUserTokens(ctx, userID); err != nil {
			return err
		}
		if _, err := queries.DeleteSessions(ctx, identitydb.DeleteSessionsParams{UserID: userID}); err != nil {
			return err
		}
		if err := queries.DeleteLinkedAccountsOfUser(ctx, userID); err != nil {
			return err
		}
		if _, err := queries.RevokeKeysOfUser(ctx, identitydb.RevokeKeysOfUserParams{UserID: userID, Now: now}); err != nil {
			return err
		}
		return queries.PseudonymiseUser(ctx, identitydb.PseudonymiseUserParams{UserID: userID, Now: now})
	})
	if !isCode(err, UserNotFound) {
		return err
	}
	if user, profileErr := u.Profile(ctx, userID); profileErr == nil && user.Status == UserDeleted {
		return nil
	}
	return err
}

func roleNames() string {
	names := make([]string, len(Roles))
	for i, role := range Roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}
