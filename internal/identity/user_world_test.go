package identity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

const (
	goodPassword  = "wobbly lantern 47 orchid"
	otherPassword = "marble engine sings at dusk"
)

// world is a replica with a time of its own, and the mails that it sends.
type world struct {
	*identity.Users
	t     *testing.T
	url   string
	db    *database.DB
	log   *audit.Log
	keys  *seal.Keyring
	time  *testTime
	mails *mailbox
	said  *secrets.Log // what a server would log of the answers: they show no secret
}

// testTime is the present, which tests move.
type testTime struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testTime) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testTime) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mailbox keeps what was enqueued, as the outbox would if nothing were rolled back.
type mailbox struct {
	mu  sync.Mutex
	all []mail.Message
}

func (b *mailbox) EnqueueTx(_ context.Context, _ pgx.Tx, m mail.Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, m)
	return nil
}

func (b *mailbox) to(address string) (messages []mail.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.all {
		if m.To == address {
			messages = append(messages, m)
		}
	}
	return messages
}

// newWorld is a replica on a database. Worlds of one database share what is stored.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{
		t: t, url: url, db: dbtest.Open(t, url, database.Options{}), time: &testTime{now: clock.System()}, mails: &mailbox{}, said: secrets.NewLog(t),
	}
	sealingKey := seal.NewKey("test")
	secrets.Register(t, "encryption key", sealingKey)
	secrets.Register(t, "password", goodPassword, otherPassword)
	var err error
	if w.keys, err = seal.Parse(sealingKey); err != nil {
		t.Fatal(err)
	}
	w.log = audit.New(w.db, w.time.Now)
	w.Users = w.replica()
	return w
}

// replica is one more server on the same database.
func (w *world) replica() *identity.Users {
	return identity.NewUsers(w.db, identity.UsersOptions{
		Clock: w.time.Now, Log: w.log, Mail: w.mails, Sealer: w.keys, PublicURL: "https://pay.example.com/",
		AnswerTime: time.Millisecond, HashConcurrency: 8,
	})
}

func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, newWorld(t, url)) })
}

func someEmail() string { return strings.ToLower(rand.Text()) + "@example.com" }

// someAddress is a network of its own.
func someAddress() netip.Addr {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:])
	bytes[0] = 0x20
	return netip.AddrFrom16(bytes)
}

var tokenForm = regexp.MustCompile(`florin_(verify|reset)_[a-z2-7]+`)

// tokenOf is the token in the newest mail to an address.
func (w *world) tokenOf(address string) string {
	w.t.Helper()
	messages := w.mails.to(address)
	if len(messages) == 0 {
		w.t.Fatalf("no mail to %s", address)
	}
	token := tokenForm.FindString(messages[len(messages)-1].Text)
	if token == "" {
		w.t.Fatalf("no token in %q", messages[len(messages)-1].Text)
	}
	secrets.Register(w.t, "mail token", token)
	return token
}

// person is a user who is signed in.
type person struct {
	email, token string
	address      netip.Addr
	identity.Principal
}

// newPerson signs up, verifies and signs in.
func (w *world) newPerson() *person {
	w.t.Helper()
	p := &person{email: someEmail(), address: someAddress()}
	if err := w.SignUp(w.t.Context(), identity.SignUp{Email: p.email, Password: goodPassword, Name: "Ada Lovelace"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.VerifyEmail(w.t.Context(), w.tokenOf(p.email)); err != nil {
		w.t.Fatal(err)
	}
	p.token, p.Principal = w.signIn(p, identity.SignIn{})
	return p
}

// signIn signs in with the person's own address and goodPassword, unless others are given.
func (w *world) signIn(p *person, s identity.SignIn) (token string, principal identity.Principal) {
	w.t.Helper()
	token, err := w.trySignIn(p, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return token, w.authenticate(token)
}

func (w *world) trySignIn(p *person, s identity.SignIn) (token string, err error) {
	if s.Email == "" {
		s.Email = p.email
	}
	if s.Password == "" {
		s.Password = goodPassword
	}
	if !s.Address.IsValid() {
		s.Address = p.address
	}
	session, token, err := w.SignIn(w.t.Context(), s)
	secrets.Register(w.t, "session token", token)
	secrets.Register(w.t, "password", s.Password)
	secrets.Register(w.t, "recovery code", s.RecoveryCode)
	fmt.Fprintf(w.said, "%+v is answered %+v, %v\n", s, session, err)
	return token, err
}

func (w *world) authenticate(token string) identity.Principal {
	w.t.Helper()
	principal, err := w.Authenticate(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	return principal
}

// enrol switches a second factor on and returns its secret and recovery codes. The
// present code is used by it.
func (w *world) enrol(p *person) (secret string, recoveryCodes []string) {
	w.t.Helper()
	secret, _, err := w.EnrolTOTP(w.t.Context(), p.Principal)
	if err != nil {
		w.t.Fatal(err)
	}
	recoveryCodes, err = w.ConfirmTOTP(w.t.Context(), p.Principal, w.code(secret))
	if err != nil {
		w.t.Fatal(err)
	}
	secrets.Register(w.t, "TOTP secret", secret)
	secrets.Register(w.t, "recovery code", recoveryCodes...)
	return secret, recoveryCodes
}

// code is the present code of a secret.
func (w *world) code(secret string) string { return w.codeAt(secret, w.time.Now()) }

func (w *world) codeAt(secret string, at time.Time) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, at)
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

// events are the audit trail's about a target, the newest first.
func (w *world) events(targetID string) []audit.Event {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `
		SELECT action, result, actor_kind, actor_id, address, coalesce(before, ''), coalesce(after, '')
		FROM audit_events WHERE target_id = $1 ORDER BY recorded_at DESC, seq DESC`, targetID)
	if err != nil {
		w.t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Event, err error) {
		var before, after string
		err = row.Scan(&e.Action, &e.Result, &e.Origin.ActorKind, &e.Origin.ActorID, &e.Origin.Address, &before, &after)
		e.Before, e.After = []byte(before), []byte(after)
		return e, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func (w *world) hasEvent(targetID, action string) bool {
	w.t.Helper()
	for _, e := range w.events(targetID) {
		if e.Action == action {
			return true
		}
	}
	return false
}

func mustBe(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func mustBeInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var input *identity.InvalidInput
	if !errors.As(err, &input) || input.Fields[0].Field != field {
		t.Errorf("got %v; want field %s to be invalid", err, field)
	}
}

func waitOf(t *testing.T, err error) time.Duration {
	t.Helper()
	var failure *identity.Failure
	if !errors.As(err, &failure) || failure.Code != identity.TooManyAttempts || failure.RetryAfter <= 0 {
		t.Fatalf("got %v; want too many attempts and a time to wait", err)
	}
	return failure.RetryAfter
}

func netipFrom(bytes [16]byte) netip.Addr { return netip.AddrFrom16(bytes) }
