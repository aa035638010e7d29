package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
	"florin/internal/platform/seal"
)

// Second factors are TOTP (RFC 6238) as all authenticator apps know it: SHA-1, six
// digits, 30 seconds.
const (
	stepSeconds  = 30
	stepSkew     = 1 // steps before and after the present one that are taken
	secretBytes  = 20
	codeDigits   = otp.DigitsSix
	codeHash     = otp.AlgorithmSHA1
	recoverySets = 5 // of five characters: 125 random bits
	recoverySet  = 5
	// RecoveryCodes is how many are made at once.
	RecoveryCodes = 10
)

func secretPlace(userID string) seal.Place {
	return seal.Place{Table: "second_factors", Row: userID, Column: "secret"}
}

// EnrolTOTP makes a secret for the principal's authenticator app, as base32 and as
// the otpauth URL of a QR code. It counts once ConfirmTOTP has seen a code; until then
// another call replaces it. Returns ErrSecondFactorOn when there is a confirmed one,
// ErrProofRequired, or ErrUnauthenticated.
func (u *Users) EnrolTOTP(ctx context.Context, p Principal) (secret, otpauthURL string, err error) {
	err = u.proven(ctx, "identity.enrol_totp", p, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.SecondFactorAt != nil {
			return ErrSecondFactorOn
		}
		key, err := totp.Generate(totp.GenerateOpts{
			Issuer: u.options.Issuer, AccountName: text(row.Email), Period: stepSeconds, SecretSize: secretBytes,
			Digits: codeDigits, Algorithm: codeHash,
		})
		if err != nil {
			return fmt.Errorf("make a TOTP secret: %w", err)
		}
		secret, otpauthURL = key.Secret(), key.URL()
		err = identitydb.New(tx).PutSecondFactor(ctx, identitydb.PutSecondFactorParams{
			UserID: row.UserID, Secret: u.sealer.Seal(secretPlace(row.UserID), []byte(secret)), Now: u.clock(),
		})
		if err != nil {
			return fmt.Errorf("store a TOTP secret: %w", err)
		}
		return u.log.AppendTx(ctx, tx, userEvent("second_factor.enrolled", row.UserID, nil, nil))
	})
	return secret, otpauthURL, err
}

// ConfirmTOTP turns the second factor on that EnrolTOTP made, by a code of the app, and
// ends the principal's other sessions. It returns recovery codes, each good once in the
// place of a code; they can't be read again. Returns ErrInvalidCredentials,
// ErrSecondFactorOn, ErrSecondFactorOff when none was enrolled, TooManyAttempts,
// ErrProofRequired, or ErrUnauthenticated.
func (u *Users) ConfirmTOTP(ctx context.Context, p Principal, code string) (recoveryCodes []string, err error) {
	attempt, err := u.throttle.begin(ctx, proofSubject(p.UserID))
	if err != nil {
		return nil, err
	}
	defer u.sessions.forget(p.UserID)
	err = u.proven(ctx, "identity.confirm_totp", p, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.SecondFactorAt != nil {
			return ErrSecondFactorOn
		}
		if err := u.takeCode(ctx, tx, row.UserID, code); err != nil {
			return err
		}
		now := u.clock()
		err := identitydb.New(tx).SetSecondFactor(ctx, identitydb.SetSecondFactorParams{UserID: row.UserID, SecondFactorAt: &now, Now: now})
		if err != nil {
			return err
		}
		if recoveryCodes, err = u.putRecoveryCodes(ctx, tx, row.UserID); err != nil {
			return err
		}
		if err := u.endSessions(ctx, tx, row.UserID, p.SessionID, himself(ctx, row)); err != nil {
			return err
		}
		return u.factorChanged(ctx, tx, row, "second_factor.enabled", "a second factor was switched on")
	})
	if err == nil || !isCode(err, InvalidCredentials) {
		attempt.forgive(ctx)
	}
	if err = u.recordProof(ctx, p, err); err != nil {
		return nil, err
	}
	return recoveryCodes, nil
}

// DisableTOTP turns the second factor off; its secret and recovery codes are deleted.
// Returns ErrSecondFactorOff, ErrProofRequired, or ErrUnauthenticated.
func (u *Users) DisableTOTP(ctx context.Context, p Principal) error {
	return u.proven(ctx, "identity.disable_totp", p, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		return u.removeFactor(ctx, tx, row, "second_factor.disabled")
	})
}

// ResetSecondFactor turns a user's second factor off and ends his sessions: for staff,
// when he has lost it and his recovery codes. Returns ErrSecondFactorOff or ErrUserNotFound.
func (u *Users) ResetSecondFactor(ctx context.Context, userID string) error {
	defer u.sessions.forget(userID)
	return u.changeAny(ctx, "identity.reset_second_factor", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if err := u.endSessions(ctx, tx, userID, "", noOrigin); err != nil {
			return err
		}
		return u.removeFactor(ctx, tx, row, "second_factor.reset")
	})
}

func (u *Users) removeFactor(ctx context.Context, tx pgx.Tx, row identitydb.User, action string) error {
	if row.SecondFactorAt == nil {
		return ErrSecondFactorOff
	}
	if err := deleteFactor(ctx, tx, row.UserID); err != nil {
		return err
	}
	err := identitydb.New(tx).SetSecondFactor(ctx, identitydb.SetSecondFactorParams{UserID: row.UserID, Now: u.clock()})
	if err != nil {
		return err
	}
	return u.factorChanged(ctx, tx, row, action, "the second factor was switched off")
}

func deleteFactor(ctx context.Context, tx pgx.Tx, userID string) error {
	queries := identitydb.New(tx)
	if err := queries.DeleteSecondFactor(ctx, userID); err != nil {
		return err
	}
	return queries.DeleteRecoveryCodes(ctx, userID)
}

// NewRecoveryCodes makes new recovery codes; those of before are good no more. Returns
// ErrSecondFactorOff, ErrProofRequired, or ErrUnauthenticated.
func (u *Users) NewRecoveryCodes(ctx context.Context, p Principal) (codes []string, err error) {
	err = u.proven(ctx, "identity.new_recovery_codes", p, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if row.SecondFactorAt == nil {
			return ErrSecondFactorOff
		}
		var err error
		if codes, err = u.putRecoveryCodes(ctx, tx, row.UserID); err != nil {
			return err
		}
		return u.factorChanged(ctx, tx, row, "recovery_codes.created", "new recovery codes were made")
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// RecoveryCodesLeft is how many recovery codes a user has not used.
func (u *Users) RecoveryCodesLeft(ctx context.Context, userID string) (int, error) {
	n, err := u.queries.CountRecoveryCodes(ctx, userID)
	if err != nil {
		return 0, fmt.Errorf("count recovery codes: %w", err)
	}
	return int(n), nil
}

// proven is change for a principal who proved himself lately.
func (u *Users) proven(ctx context.Context, name string, p Principal, fn func(context.Context, pgx.Tx, identitydb.User) error) error {
	err := u.change(ctx, name, p.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if err := u.requireProof(ctx, identitydb.New(tx), p); err != nil {
			return err
		}
		return fn(ctx, tx, row)
	})
	if isCode(err, UserNotFound) || isCode(err, UserNotActive) {
		return ErrUnauthenticated
	}
	return err
}

func (u *Users) factorChanged(ctx context.Context, tx pgx.Tx, row identitydb.User, action, notice string) error {
	if err := u.notify(ctx, tx, row, notice); err != nil {
		return err
	}
	return u.log.AppendTx(ctx, tx, userEvent(action, row.UserID, nil, nil))
}

func (u *Users) putRecoveryCodes(ctx context.Context, tx pgx.Tx, userID string) ([]string, error) {
	queries := identitydb.New(tx)
	if err := queries.DeleteRecoveryCodes(ctx, userID); err != nil {
		return nil, err
	}
	codes, hashes := make([]string, RecoveryCodes), make([][]byte, RecoveryCodes)
	for i := range codes {
		random := strings.ToLower(rand.Text())
		var sets []string
		for n := range recoverySets {
			sets = append(sets, random[n*recoverySet:(n+1)*recoverySet])
		}
		codes[i] = strings.Join(sets, "-")
		hashes[i], _ = hashRecoveryCode(userID, codes[i])
	}
	err := queries.InsertRecoveryCodes(ctx, identitydb.InsertRecoveryCodesParams{UserID: userID, CodeHashes: hashes, Now: u.clock()})
	if err != nil {
		return nil, fmt.Errorf("store recovery codes: %w", err)
	}
	return codes, nil
}

// hashRecoveryCode takes a code as people type it; false when none reads like this.
func hashRecoveryCode(userID, code string) ([]byte, bool) {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code)))
	if len(code) != recoverySets*recoverySet || strings.ContainsFunc(code, isNotBase32) {
		return nil, false
	}
	hash := sha256.Sum256([]byte(userID + "\x00" + code))
	return hash[:], true
}

// takeFactor uses a code or, when there is none, a recovery code, in the transaction
// that has the user's row locked. Returns ErrInvalidCredentials, or
// ErrSecondFactorRequired when both are empty.
func (u *Users) takeFactor(ctx context.Context, tx pgx.Tx, row identitydb.User, code, recoveryCode string) error {
	switch {
	case code != "":
		return u.takeCode(ctx, tx, row.UserID, code)
	case recoveryCode != "":
		return u.takeRecoveryCode(ctx, tx, row, recoveryCode)
	}
	return ErrSecondFactorRequired
}

func (u *Users) takeRecoveryCode(ctx context.Context, tx pgx.Tx, row identitydb.User, code string) error {
	hash, isRecoveryCode := hashRecoveryCode(row.UserID, code)
	if !isRecoveryCode {
		return ErrInvalidCredentials
	}
	n, err := identitydb.New(tx).TakeRecoveryCode(ctx, identitydb.TakeRecoveryCodeParams{UserID: row.UserID, CodeHash: hash})
	if err != nil {
		return fmt.Errorf("take a recovery code: %w", err)
	}
	if n == 0 {
		return ErrInvalidCredentials
	}
	if err := u.notify(ctx, tx, row, "a recovery code was used"); err != nil {
		return err
	}
	event := userEvent("recovery_code.used", row.UserID, nil, nil)
	event.Origin = himself(ctx, row)
	return u.log.AppendTx(ctx, tx, event)
}

// takeCode takes a code whose step is newer than any that was taken before.
func (u *Users) takeCode(ctx context.Context, tx pgx.Tx, userID, code string) error {
	queries := identitydb.New(tx)
	row, err := queries.LockSecondFactor(ctx, userID)
	if database.NotFound(err) {
		return ErrSecondFactorOff
	}
	if err != nil {
		return err
	}
	secret, err := u.sealer.Open(secretPlace(userID), row.Secret)
	if err != nil {
		return fmt.Errorf("open a TOTP secret: %w", err)
	}
	step, isRight, err := stepOf(string(secret), code, u.clock())
	if err != nil {
		return err
	}
	switch {
	case !isRight:
		return ErrInvalidCredentials
	case step <= row.LastStep:
		return errCodeReused
	}
	return queries.SetLastStep(ctx, identitydb.SetLastStepParams{UserID: userID, LastStep: step})
}

// stepOf finds the time step whose code this is, the newest of several.
func stepOf(secret, code string, now time.Time) (step int64, isRight bool, err error) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	present := now.Unix() / stepSeconds
	for s := present - stepSkew; s <= present+stepSkew; s++ {
		expected, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: codeDigits, Algorithm: codeHash})
		if err != nil {
			return 0, false, fmt.Errorf("a TOTP code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(expected), []byte(code)) == 1 {
			step, isRight = s, true
		}
	}
	return step, isRight, nil
}

// resealMax is how many secrets ResealSecondFactors reads at once.
const resealMax = 100

// ResealSecondFactors seals secrets with the first key that were sealed with another,
// and returns how many. It can be called again, and while users sign in.
func (u *Users) ResealSecondFactors(ctx context.Context) (int, error) {
	count, after := 0, ""
	for {
		rows, err := u.queries.ListSecondFactorsToReseal(ctx, identitydb.ListSecondFactorsToResealParams{
			After: after, CurrentPrefix: u.sealer.CurrentPrefix(), RowLimit: resealMax,
		})
		if err != nil {
			return count, fmt.Errorf("list second factors: %w", err)
		}
		if len(rows) == 0 {
			return count, nil
		}
		for _, row := range rows {
			sealed, _, err := u.sealer.Reseal(secretPlace(row.UserID), row.Secret)
			if err != nil {
				return count, fmt.Errorf("second factor of %s: %w", row.UserID, err)
			}
			n, err := u.queries.ResealSecondFactor(ctx, identitydb.ResealSecondFactorParams{UserID: row.UserID, Was: row.Secret, Sealed: sealed})
			if err != nil {
				return count, fmt.Errorf("store a second factor: %w", err)
			}
			count, after = count+int(n), row.UserID
		}
	}
}
