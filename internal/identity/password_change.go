package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/clock"
)

// ChangePassword replaces the principal's password and ends all his other sessions.
// Returns InvalidInput (field newPassword), ErrInvalidCredentials when old is not his
// password, TooManyAttempts, ErrProofRequired when he has a second factor and did not
// prove himself lately, ErrBusy, or ErrUnauthenticated.
func (u *Users) ChangePassword(ctx context.Context, p Principal, old, new string) error {
	row, err := u.signedIn(ctx, p)
	if err != nil {
		return err
	}
	if err := checkPassword("newPassword", new, text(row.Email), row.Name); err != nil {
		return err
	}
	if normalPassword(old) == normalPassword(new) {
		return invalid("newPassword", "must not be the present one")
	}
	attempt, err := u.throttle.begin(ctx, proofSubject(row.UserID))
	if err != nil {
		return err
	}
	err = u.changePassword(ctx, p, row, old, new)
	if err == nil || !isCode(err, InvalidCredentials) {
		attempt.forgive(ctx)
	}
	return u.recordProof(ctx, p, err)
}

func (u *Users) changePassword(ctx context.Context, p Principal, checked identitydb.User, old, new string) error {
	isRight, _, err := u.hasher.matches(ctx, old, checked.PasswordHash)
	if err != nil {
		return err
	}
	if !isRight {
		return ErrInvalidCredentials
	}
	hash, err := u.hasher.hash(ctx, new)
	if err != nil {
		return err
	}
	defer u.sessions.forget(p.UserID)
	return u.change(ctx, "identity.change_password", p.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.PasswordHash != checked.PasswordHash {
			return ErrInvalidCredentials
		}
		queries := identitydb.New(tx)
		if err := u.requireProof(ctx, queries, p); isCode(err, Unauthenticated) || row.SecondFactorAt != nil && err != nil {
			return err
		}
		return u.putPassword(ctx, tx, row, hash, p.SessionID)
	})
}

// putPassword stores a new password's hash, ends what the old one opened but for the
// session kept, ends mailed tokens, and tells the user. The origin is the context's.
func (u *Users) putPassword(ctx context.Context, tx pgx.Tx, row identitydb.User, hash, keptSessionID string) error {
	queries := identitydb.New(tx)
	err := queries.SetPassword(ctx, identitydb.SetPasswordParams{UserID: row.UserID, PasswordHash: hash, Now: u.clock()})
	if err != nil {
		return fmt.Errorf("store a password: %w", err)
	}
	if err := queries.DeleteUserTokens(ctx, row.UserID); err != nil {
		return err
	}
	origin := himself(ctx, row)
	if err := u.endSessions(ctx, tx, row.UserID, keptSessionID, origin); err != nil {
		return err
	}
	if err := u.notify(ctx, tx, row, "your password was changed"); err != nil {
		return err
	}
	event := userEvent("password.changed", row.UserID, nil, nil)
	event.Origin = origin
	return u.log.AppendTx(ctx, tx, event)
}

// RequestReset sends a mail by which the user with this address can set a new password
// within 30 minutes; an earlier one ends. Where there is no such user nothing is sent,
// and the answer is the same, after the same time. Returns InvalidInput.
func (u *Users) RequestReset(ctx context.Context, email string) error {
	return u.sendToken(ctx, resetMails, email, func(ctx context.Context, tx pgx.Tx, row identitydb.User) (bool, error) {
		return true, u.sendReset(ctx, tx, row)
	})
}

// sendReset mails a user who has an address, and whose row is locked, a token to set
// a password by.
func (u *Users) sendReset(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
	token := newToken(resetPrefix)
	if err := u.putResetToken(ctx, tx, row.UserID, token); err != nil {
		return err
	}
	if err := u.mail.EnqueueTx(ctx, tx, u.resetMail(*row.Email, token)); err != nil {
		return err
	}
	event := userEvent("password.reset_requested", row.UserID, nil, nil)
	event.Origin = stranger(ctx)
	return u.log.AppendTx(ctx, tx, event)
}

// ResetPassword takes the token of a reset mail and sets a new password. All sessions
// end, sign-in waits no longer for earlier failures, and the address counts as verified:
// he reads its mail. A second factor stays. A token works once; a password that is
// refused leaves it. Returns ErrInvalidToken, InvalidInput (field newPassword), or ErrBusy.
func (u *Users) ResetPassword(ctx context.Context, token, new string) error {
	hash, isToken := hashToken(resetPrefix, token)
	if !isToken {
		return ErrInvalidToken
	}
	row, err := u.userOfToken(ctx, purposeReset, hash)
	if err != nil {
		return err
	}
	if err := checkPassword("newPassword", new, text(row.Email), row.Name); err != nil {
		return err
	}
	passwordHash, err := u.hasher.hash(ctx, new)
	if err != nil {
		return err
	}
	defer u.sessions.forget(row.UserID)
	err = u.change(ctx, "identity.reset_password", row.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		taken, err := u.takeToken(ctx, tx, purposeReset, hash)
		if err != nil {
			return err
		}
		if taken.UserID != row.UserID {
			return ErrInvalidToken
		}
		err = identitydb.New(tx).SetEmailVerified(ctx, identitydb.SetEmailVerifiedParams{UserID: row.UserID, Now: u.clock()})
		if err != nil {
			return err
		}
		if err := forgetEmail(ctx, tx, text(row.Email)); err != nil {
			return err
		}
		return u.putPassword(ctx, tx, row, passwordHash, "")
	})
	if isCode(err, UserNotFound) || isCode(err, UserNotActive) {
		return ErrInvalidToken
	}
	return err
}

// takeTime returns a function that waits until AnswerTime has gone by, so that
// having nothing to do doesn't show.
func (u *Users) takeTime(ctx context.Context) func() {
	since := clock.Stopwatch()
	return func() {
		timer := time.NewTimer(u.options.AnswerTime - since())
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
