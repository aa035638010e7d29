package identity

import (
	"context"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"
)

// hashParams are OWASP's for argon2id (Password Storage Cheat Sheet, 2023: m=19456,
// t=2, p=1). Hashes made with others are made again at the next sign-in.
var hashParams = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobodysHash is compared with where there is no user, so that this takes as long.
// No password has it: the key is not the end of any hashing.
var nobodysHash = func() string {
	zeros := func(n uint32) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", hashParams.Memory, hashParams.Iterations,
		hashParams.Parallelism, zeros(hashParams.SaltLength), zeros(hashParams.KeyLength))
}()

// hashWaitMax is how long a password waits for its turn.
const hashWaitMax = 3 * time.Second

// hasher hashes passwords, only so many at once: each takes 19 MiB.
type hasher struct {
	slots   chan struct{}
	waitMax time.Duration
}

func newHasher(concurrency int) *hasher {
	if concurrency <= 0 {
		concurrency = max(1, runtime.GOMAXPROCS(0)/2) // the rest is for payments
	}
	return &hasher{slots: make(chan struct{}, concurrency), waitMax: hashWaitMax}
}

// enter waits for a slot. Returns ErrBusy when there is none for too long.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return leave, nil // a free one, however late it is
	default:
	}
	timer := time.NewTimer(h.waitMax)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(normalPassword(password), &hashParams)
}

// matches compares in the same time whether hash is a user's or nobodysHash.
// isOld says that the hash should be made again.
func (h *hasher) matches(ctx context.Context, password, hash string) (isRight, isOld bool, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	if utf8.RuneCountInString(password) > passwordMax {
		password = "" // as good as any wrong one, and bounded
	}
	isRight, params, err := argon2id.CheckHash(normalPassword(password), hash)
	if err != nil {
		return false, false, fmt.Errorf("a stored password hash: %w", err)
	}
	return isRight && password != "", *params != hashParams, nil
}

// normalPassword makes one form of what keyboards and systems write differently
// (NIST SP 800-63B, 5.1.1.2). Nothing is cut off.
func normalPassword(password string) string {
	return norm.NFKC.String(strings.ToValidUTF8(password, "\uFFFD"))
}
