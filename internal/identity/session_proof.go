package identity

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// Proof is what a user who is signed in proves himself by once more: his password,
// or, when he has a second factor, a code or a recovery code.
// It prints without them.
type Proof struct{ Password, Code, RecoveryCode string }

// String hides what proves.
func (p Proof) String() string { return "proof" }

// GoString is String.
func (p Proof) GoString() string { return p.String() }

// LogValue is String.
func (p Proof) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Prove takes a proof for the principal's session, which may then do sensitive steps
// for some minutes (UsersOptions.ProofMax). Returns ErrInvalidCredentials,
// ErrSecondFactorRequired when the user has one and no code is given, TooManyAttempts,
// ErrBusy, or ErrUnauthenticated for principals without a live session.
func (u *Users) Prove(ctx context.Context, p Principal, proof Proof) error {
	row, err := u.signedIn(ctx, p)
	if err != nil {
		return err
	}
	attempt, err := u.throttle.begin(ctx, proofSubject(row.UserID))
	if err != nil {
		return err
	}
	err = u.prove(ctx, p, row, proof)
	if err == nil || !isCode(err, InvalidCredentials) {
		attempt.forgive(ctx)
	}
	return u.recordProof(ctx, p, err)
}

func (u *Users) prove(ctx context.Context, p Principal, checked identitydb.User, proof Proof) error {
	if checked.SecondFactorAt != nil && proof.Code == "" && proof.RecoveryCode == "" {
		return ErrSecondFactorRequired
	}
	if checked.SecondFactorAt == nil {
		isRight, _, err := u.hasher.matches(ctx, proof.Password, checked.PasswordHash)
		if err != nil {
			return err
		}
		if !isRight {
			return ErrInvalidCredentials
		}
	}
	defer u.sessions.forget(p.UserID)
	return u.change(ctx, "identity.prove", p.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.PasswordHash != checked.PasswordHash {
			return ErrInvalidCredentials
		}
		if row.SecondFactorAt != nil {
			if err := u.takeFactor(ctx, tx, row, proof.Code, proof.RecoveryCode); err != nil {
				return err
			}
		}
		n, err := identitydb.New(tx).ProveSession(ctx, identitydb.ProveSessionParams{
			UserID: p.UserID, SessionID: p.SessionID, Now: u.clock(),
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrUnauthenticated
		}
		return u.log.AppendTx(ctx, tx, sessionEvent("session.proven", p.SessionID, audit.OK))
	})
}

// recordProof writes a wrong proof into the audit trail and returns its error.
func (u *Users) recordProof(ctx context.Context, p Principal, err error) error {
	result := resultOf(err, InvalidCredentials)
	if result == "" {
		return err
	}
	if failed := u.log.Append(ctx, sessionEvent("session.proof_refused", p.SessionID, result)); failed != nil {
		return failed
	}
	return ErrInvalidCredentials // whatever was wrong
}

// RequireProof returns nil when the principal's session is live and proved itself
// lately, at sign-in or by Prove: what sensitive steps ask first. It reads the
// database, so that what another replica took counts at once. Returns
// ErrProofRequired, also for API keys, or ErrUnauthenticated.
func (u *Users) RequireProof(ctx context.Context, p Principal) error {
	return u.requireProof(ctx, u.queries, p)
}

func (u *Users) requireProof(ctx context.Context, queries *identitydb.Queries, p Principal) error {
	if p.Kind != UserPrincipal || p.SessionID == "" {
		return ErrProofRequired
	}
	now := u.clock()
	provenAt, err := queries.FindSessionProof(ctx, identitydb.FindSessionProofParams{UserID: p.UserID, SessionID: p.SessionID, Now: now})
	if database.NotFound(err) {
		return ErrUnauthenticated
	}
	if err != nil {
		return fmt.Errorf("read a session's proof: %w", err)
	}
	if now.Sub(provenAt) > u.options.ProofMax {
		return ErrProofRequired
	}
	return nil
}

// signedIn returns the user of a principal that has a session.
func (u *Users) signedIn(ctx context.Context, p Principal) (identitydb.User, error) {
	if p.Kind != UserPrincipal || p.SessionID == "" {
		return identitydb.User{}, ErrUnauthenticated
	}
	row, err := u.queries.FindUser(ctx, p.UserID)
	if database.NotFound(err) || err == nil && UserStatus(row.Status) != UserActive {
		return identitydb.User{}, ErrUnauthenticated
	}
	if err != nil {
		return identitydb.User{}, fmt.Errorf("read user: %w", err)
	}
	return row, nil
}
