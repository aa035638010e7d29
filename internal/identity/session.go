package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// SignIn is what a person signs in with. Code or RecoveryCode is for users with a
// second factor. It prints without them.
type SignIn struct {
	Email, Password string
	Code            string
	RecoveryCode    string
	// Address is where the request comes from, Agent what sent it, as its
	// User-Agent says: shown to the user with his session.
	Address netip.Addr
	Agent   string
}

// String hides who signs in, and with what.
func (s SignIn) String() string { return "sign-in from " + s.Address.String() }

// GoString is String.
func (s SignIn) GoString() string { return s.String() }

// LogValue is String.
func (s SignIn) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Session is one sign-in. Its token is nowhere kept.
type Session struct {
	ID         string // opens nothing
	UserID     string
	Address    string
	Agent      string
	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute
	ExpiresAt  time.Time // unless it is used
}

// SignIn opens a new session and returns its token, which can't be read again.
//
// Returns ErrInvalidCredentials whatever of address, password, code and recovery code
// is wrong, after the same time; TooManyAttempts, with the time to wait, when too many
// failed before: then nothing was looked at. Only who has the password learns more:
// ErrEmailNotVerified, ErrUserLocked, and ErrSecondFactorRequired when the user has a
// second factor and neither code nor recovery code is given. A code, and a recovery
// code, works once. Returns ErrBusy when too many sign in at once.
func (u *Users) SignIn(ctx context.Context, s SignIn) (Session, string, error) {
	email, err := normalEmail(s.Email)
	if err != nil {
		// Nobody has it; it is counted as any other. It may be no text that the
		// database takes.
		email = fmt.Sprintf("no address: %x", sha256.Sum256([]byte(strings.ToLower(s.Email))))
	}
	attempt, err := u.throttle.beginSignIn(ctx, email, s.Address)
	if err != nil {
		return Session{}, "", u.recordRefusal(ctx, email, s, err)
	}
	session, token, err := u.signIn(ctx, email, s, attempt)
	switch {
	case err == nil:
		attempt.succeeded(ctx)
		return session, token, nil
	case !isCode(err, InvalidCredentials):
		attempt.forgive(ctx)
	}
	return Session{}, "", u.recordRefusal(ctx, email, s, err)
}

func (u *Users) signIn(ctx context.Context, email string, s SignIn, attempt *attempts) (Session, string, error) {
	row, isOldHash, err := u.checkPasswordOf(ctx, email, s.Password)
	if err != nil {
		return Session{}, "", err
	}
	if row.SecondFactorAt != nil {
		if s.Code == "" && s.RecoveryCode == "" {
			return Session{}, "", ErrSecondFactorRequired
		}
		if err := attempt.add(ctx, factorSubject(row.UserID)); err != nil {
			return Session{}, "", err
		}
	}
	newHash := ""
	if isOldHash {
		if newHash, err = u.hasher.hash(ctx, s.Password); err != nil {
			return Session{}, "", err
		}
	}
	return u.openSession(ctx, row, s, newHash)
}

// checkPasswordOf returns the user whose address and password these are, if he may
// sign in. It takes as long when there is no such user.
func (u *Users) checkPasswordOf(ctx context.Context, email, password string) (row identitydb.User, isOldHash bool, err error) {
	row, err = u.queries.FindUserByEmail(ctx, email)
	if err != nil && !database.NotFound(err) {
		return row, false, fmt.Errorf("read user: %w", err)
	}
	hash := nobodysHash
	if err == nil {
		hash = row.PasswordHash
	}
	isRight, isOldHash, err := u.hasher.matches(ctx, password, hash)
	switch {
	case err != nil:
		return row, false, err
	case !isRight:
		return row, false, ErrInvalidCredentials
	case UserStatus(row.Status) != UserActive:
		return row, false, ErrUserLocked
	case row.EmailVerifiedAt == nil:
		return row, false, ErrEmailNotVerified
	}
	return row, isOldHash, nil
}

// openSession takes the second factor, if there is one, and opens the session, unless
// the user has changed since he was checked. newHash, if not empty, replaces the hash
// of his password.
func (u *Users) openSession(ctx context.Context, checked identitydb.User, s SignIn, newHash string) (Session, string, error) {
	token, now := newToken(SessionPrefix), u.clock()
	hash := sha256.Sum256([]byte(token))
	session := Session{
		ID: id.New("session"), UserID: checked.UserID, Address: addressText(s.Address), Agent: normalAgent(s.Agent),
		CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(min(u.options.SessionIdle, u.options.SessionMax)),
	}
	err := u.change(ctx, "identity.sign_in", checked.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.PasswordHash != checked.PasswordHash {
			return ErrInvalidCredentials
		}
		if err := u.takeFactorAtSignIn(ctx, tx, checked, row, s); err != nil {
			return err
		}
		queries := identitydb.New(tx)
		if newHash != "" {
			err := queries.SetPassword(ctx, identitydb.SetPasswordParams{UserID: row.UserID, PasswordHash: newHash, Now: now})
			if err != nil {
				return err
			}
		}
		err := queries.InsertSession(ctx, identitydb.InsertSessionParams{
			TokenHash: hash[:], SessionID: session.ID, UserID: row.UserID, Address: session.Address, Agent: session.Agent,
			Now: now, EndsAt: now.Add(u.options.SessionMax), ExpiresAt: session.ExpiresAt,
		})
		if err != nil {
			return fmt.Errorf("store a session: %w", err)
		}
		event := sessionEvent("session.created", session.ID, audit.OK)
		event.Origin = himself(ctx, row)
		event.Origin.Address = session.Address
		return u.log.AppendTx(ctx, tx, event)
	})
	if isCode(err, UserNotActive) || isCode(err, UserNotFound) {
		err = ErrInvalidCredentials // locked or deleted a moment ago
	}
	if err != nil {
		return Session{}, "", err
	}
	return session, token, nil
}

func (u *Users) takeFactorAtSignIn(ctx context.Context, tx pgx.Tx, checked, row identitydb.User, s SignIn) error {
	if row.SecondFactorAt == nil {
		return nil
	}
	if checked.SecondFactorAt == nil {
		return ErrSecondFactorRequired // enrolled a moment ago: the attempt was not counted for it
	}
	return u.takeFactor(ctx, tx, row, s.Code, s.RecoveryCode)
}

// recordRefusal writes a refused sign-in into the audit trail and returns its error. The
// address typed stands there as a keyed hash: whoever reads the trail can't try
// addresses. Of attempts that were not looked at the first of each wait is recorded, so
// that the throttle bounds how many there are.
func (u *Users) recordRefusal(ctx context.Context, email string, s SignIn, refusal error) error {
	result := resultOf(refusal, InvalidCredentials, EmailNotVerified, UserLocked, SecondFactorRequired, TooManyAttempts)
	if result == "" {
		return refusal
	}
	hash := u.sealer.Fingerprint("sign-in address", email)
	event := audit.Event{
		Action: "session.refused", TargetKind: "email", TargetID: "hmac:" + hex.EncodeToString(hash[:16]),
		Result: result, Origin: stranger(ctx),
	}
	event.Origin.Address = addressText(s.Address)
	if err := u.log.Append(ctx, event); err != nil {
		return err
	}
	if isCode(refusal, InvalidCredentials) {
		return ErrInvalidCredentials // whatever was wrong
	}
	return refusal
}

func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.Unmap().WithZone("").String()
}

func sessionEvent(action, sessionID, result string) audit.Event {
	return audit.Event{Action: action, TargetKind: "session", TargetID: sessionID, Result: result}
}
