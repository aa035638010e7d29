package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// Prefixes of tokens: secret scanners find by them what was committed or logged
// somewhere, and no token is taken for another kind.
const (
	SessionPrefix = "florin_session_"
	verifyPrefix  = "florin_verify_"
	resetPrefix   = "florin_reset_"
)

// tokenLength is how many characters of a-z and 2-7 follow a prefix: 200 random
// bits.
const tokenLength = 40

// Purposes of tokens sent by mail, as stored.
const (
	purposeVerify = "VERIFY_EMAIL"
	purposeReset  = "RESET_PASSWORD"
)

const (
	verifyTime = 24 * time.Hour
	resetTime  = 30 * time.Minute
)

func newToken(prefix string) string {
	return prefix + strings.ToLower((rand.Text() + rand.Text())[:tokenLength])
}

// hashToken is what is stored of a token; false when no token reads like this,
// which needs no look into the database.
func hashToken(prefix, token string) ([]byte, bool) {
	random, found := strings.CutPrefix(token, prefix)
	if !found || len(random) != tokenLength || strings.ContainsFunc(random, isNotBase32) {
		return nil, false
	}
	hash := sha256.Sum256([]byte(token))
	return hash[:], true
}

func isNotBase32(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }

// putResetToken makes the user's one token to reset his password by; the older one
// ends. The caller has the user's row locked.
func (u *Users) putResetToken(ctx context.Context, tx pgx.Tx, userID, token string) error {
	if err := identitydb.New(tx).DeleteUserTokensFor(ctx, identitydb.DeleteUserTokensForParams{UserID: userID, Purpose: purposeReset}); err != nil {
		return err
	}
	return u.putToken(ctx, tx, identitydb.InsertUserTokenParams{UserID: userID, Purpose: purposeReset}, token, resetTime)
}

// putVerifyToken makes one more token to verify an address by, and with it what its
// holder signed up with.
func (u *Users) putVerifyToken(ctx context.Context, tx pgx.Tx, userID, token, passwordHash, name string) error {
	return u.putToken(ctx, tx, identitydb.InsertUserTokenParams{
		UserID: userID, Purpose: purposeVerify, PasswordHash: passwordHash, Name: name,
	}, token, verifyTime)
}

func (u *Users) putToken(ctx context.Context, tx pgx.Tx, row identitydb.InsertUserTokenParams, token string, lasts time.Duration) error {
	hash := sha256.Sum256([]byte(token))
	row.TokenHash, row.Now = hash[:], u.clock()
	row.ExpiresAt = row.Now.Add(lasts)
	return identitydb.New(tx).InsertUserToken(ctx, row)
}

// takeToken uses a token up. Returns whose it was, and what was kept with it, or
// ErrInvalidToken.
func (u *Users) takeToken(ctx context.Context, tx pgx.Tx, purpose string, hash []byte) (identitydb.TakeUserTokenRow, error) {
	row, err := identitydb.New(tx).TakeUserToken(ctx, identitydb.TakeUserTokenParams{
		TokenHash: hash, Purpose: purpose, Now: u.clock(),
	})
	if database.NotFound(err) {
		return row, ErrInvalidToken
	}
	return row, err
}

// userOfToken returns the user whose token this is, without using it up. Returns
// ErrInvalidToken.
func (u *Users) userOfToken(ctx context.Context, purpose string, tokenHash []byte) (identitydb.User, error) {
	userID, err := u.queries.FindUserToken(ctx, identitydb.FindUserTokenParams{
		TokenHash: tokenHash, Purpose: purpose, Now: u.clock(),
	})
	if database.NotFound(err) {
		return identitydb.User{}, ErrInvalidToken
	}
	if err != nil {
		return identitydb.User{}, fmt.Errorf("read a token: %w", err)
	}
	row, err := u.queries.FindUser(ctx, userID)
	if database.NotFound(err) {
		return identitydb.User{}, ErrInvalidToken
	}
	if err != nil {
		return identitydb.User{}, fmt.Errorf("read user: %w", err)
	}
	return row, nil
}
