package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/clock"
	"florin/internal/platform/id"
)

// throttle slows down who guesses. Each attempt is counted as failed before
// anything is looked at, in one statement that locks the subject's row, and
// forgiven when it did not fail: so that of any number of attempts at once, at any
// replicas, only as many are looked at as may fail.
//
// Whoever signed in from a place before is counted there by himself: a stranger who
// guesses at his address all day makes himself wait, not him. Nor do others who fail at
// the same place.
type throttle struct {
	queries *identitydb.Queries
	clock   clock.Clock
}

// limit says how many failures a subject has for free. The last free one begins
// the first wait; each further one doubles it. In each half-life after a wait, half of
// the failures are forgotten.
type limit struct {
	free     float64
	wait     time.Duration
	halfLife time.Duration
}

var (
	limitOfPair    = limit{free: 5, wait: time.Second, halfLife: throttleTime}      // an address of mail from one place
	limitOfEmail   = limit{free: 10, wait: time.Second, halfLife: throttleTime}     // from everywhere
	limitOfAddress = limit{free: 50, wait: time.Second, halfLife: 15 * time.Minute} // all users from one place: many share one
	limitOfProof   = limit{free: 5, wait: time.Second, halfLife: throttleTime}      // a user's second factor, or his proof
	limitOfMails   = limit{free: 3, wait: time.Minute, halfLife: throttleTime}      // mails of a kind to one address
)

const (
	waitMax = 15 * time.Minute
	// throttleTime is how long failures are remembered, knownTime a place.
	throttleTime = 24 * time.Hour
	knownTime    = 30 * 24 * time.Hour
)

// subject is what attempts are counted for.
type subject struct {
	limit       limit
	what, place []byte
}

func subjectOf(kind, value string, l limit) subject {
	hash := sha256.Sum256([]byte(kind + "\x00" + value))
	return subject{limit: l, what: hash[:], place: []byte{}}
}

// at narrows a subject to a place.
func (s subject) at(place string, l limit) subject {
	hash := sha256.Sum256([]byte(place))
	return subject{limit: l, what: s.what, place: hash[:]}
}

func emailSubject(email string) subject     { return subjectOf("email", email, limitOfEmail) }
func factorSubject(userID string) subject   { return subjectOf("factor", userID, limitOfProof) }
func proofSubject(userID string) subject    { return subjectOf("proof", userID, limitOfProof) }
func addressSubject(address string) subject { return subjectOf("address", address, limitOfAddress) }

// mailKind is a mail that anybody may ask for. Each kind is counted by itself, so
// that nobody keeps a user from a reset by signing him up.
type mailKind string

const (
	signUpMails       mailKind = "sign-up"
	verificationMails mailKind = "verification"
	resetMails        mailKind = "reset"
)

var mailKinds = []mailKind{signUpMails, verificationMails, resetMails}

func mailsSubject(kind mailKind, email string) subject {
	return subjectOf("mails", string(kind)+"\x00"+email, limitOfMails)
}

// place is what an IP address counts as: itself, or the /64 of an IPv6 address,
// which one caller has to himself.
func place(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}

// attempts are some that were let in and are counted as failed.
type attempts struct {
	throttle *throttle
	id       string
	counted  []subject
}

// begin counts an attempt for each subject. Returns TooManyAttempts with the time to
// wait, and counts it for none, when one of them waits.
func (t *throttle) begin(ctx context.Context, subjects ...subject) (*attempts, error) {
	a := &attempts{throttle: t, id: id.New("try")}
	for _, s := range subjects {
		if err := a.add(ctx, s); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// add counts the attempt for one more subject. On an error it is counted for none.
func (a *attempts) add(ctx context.Context, s subject) error {
	wait, isFirst, err := a.count(ctx, s)
	if err == nil && wait > 0 {
		err = tooManyAttempts(wait, isFirst)
	}
	if err != nil {
		a.forgive(ctx)
	}
	return err
}

// beginSignIn is begin for an address of mail from an IP address. At a place that is
// known for it, neither failures from elsewhere count nor those of others.
func (t *throttle) beginSignIn(ctx context.Context, email string, address netip.Addr) (*attempts, error) {
	everywhere := emailSubject(email)
	pair := everywhere.at(place(address), limitOfPair)
	isKnown, err := t.queries.IsKnownPlace(ctx, identitydb.IsKnownPlaceParams{
		Subject: pair.what, Place: pair.place, Now: t.clock(),
	})
	if err != nil {
		return nil, fmt.Errorf("read sign-in attempts: %w", err)
	}
	subjects := []subject{pair}
	if !isKnown {
		subjects = append(subjects, everywhere)
		if address.IsValid() {
			subjects = append(subjects, addressSubject(place(address)))
		}
	}
	return t.begin(ctx, subjects...)
}

// count returns how long the subject has to wait, and whether this is the first attempt
// that is refused in this wait; 0 when the attempt is let in.
func (a *attempts) count(ctx context.Context, s subject) (wait time.Duration, isFirst bool, err error) {
	now := a.throttle.clock()
	firstWait := time.Duration(0)
	if s.limit.free <= 1 {
		firstWait = s.limit.wait
	}
	row, err := a.throttle.queries.CountAttempt(ctx, identitydb.CountAttemptParams{
		Subject: s.what, Place: s.place, AttemptID: a.id, Now: now,
		FirstWaitsUntil: now.Add(firstWait), ExpiresAt: now.Add(throttleTime),
		Free: s.limit.free, WaitSeconds: s.limit.wait.Seconds(), WaitMaxSeconds: waitMax.Seconds(),
		HalfLifeSeconds: s.limit.halfLife.Seconds(),
	})
	if err != nil {
		return 0, false, fmt.Errorf("count an attempt: %w", err)
	}
	if row.AttemptID != a.id {
		return max(row.WaitsUntil.Sub(now), time.Second), row.Refusals == 1, nil
	}
	a.counted = append(a.counted, s)
	return 0, false, nil
}

// forgive takes the counts back. Where that fails the subject stays counted: on the
// safe side.
func (a *attempts) forgive(ctx context.Context) {
	for _, s := range a.counted {
		_ = a.throttle.queries.ForgiveAttempt(context.WithoutCancel(ctx), identitydb.ForgiveAttemptParams{
			Subject: s.what, Place: s.place, AttemptID: a.id, Now: a.throttle.clock(),
		})
	}
	a.counted = nil
}

// succeeded forgives, and forgets earlier failures of the first subject, which is
// known from now on at its place.
func (a *attempts) succeeded(ctx context.Context) {
	if len(a.counted) == 0 {
		return
	}
	now := a.throttle.clock()
	first := a.counted[0]
	_ = a.throttle.queries.ClearAttempts(context.WithoutCancel(ctx), identitydb.ClearAttemptsParams{
		Subject: first.what, Place: first.place, Now: now, ExpiresAt: now.Add(knownTime),
	})
	a.counted = a.counted[1:]
	a.forgive(ctx)
}

// forgetEmail ends all waits of an address of mail, whatever place they are for.
func forgetEmail(ctx context.Context, db identitydb.DBTX, email string) error {
	return identitydb.New(db).ForgetAttempts(ctx, emailSubject(email).what)
}

// mayMail counts another mail that anybody may ask for, to be forgiven when none is
// sent; nil when none may go to this address now.
func (u *Users) mayMail(ctx context.Context, kind mailKind, email string) (*attempts, error) {
	attempt, err := u.throttle.begin(ctx, mailsSubject(kind, email))
	if isCode(err, TooManyAttempts) {
		return nil, nil
	}
	return attempt, err
}
