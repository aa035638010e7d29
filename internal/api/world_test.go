package api_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/api"
	"florin/internal/approval"
	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/ratelimit"
	"florin/internal/platform/seal"
	"florin/internal/reporting"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// goodPassword is everybody's, unless a test changes it.
const goodPassword = "wobbly lantern 47 orchid"

// month is how long it takes a user to be trusted with more.
const month = 31 * 24 * time.Hour

// world is a replica with people: the API over all the real modules, as cmd/server
// puts them together, with a time and a bank of its own and the mails that it
// sent. Worlds of one database share what is stored.
//
// It believes X-Forwarded-For, so that each caller comes from an address of his
// own: see caller.
type world struct {
	*server
	databaseURL string
	time        *testTime
	mails       *mailbox
	audit       *audit.Log
	users       *identity.Users
	keys        *identity.Keys
	linked      *identity.LinkedAccounts
	risk        *risk.Rules
	approvals   *approval.Approvals
	wallets     *wallet.Wallets
	cashback    *cashback.Cashback
}

// testTime runs like the machine's, and tests move it forward.
type testTime struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *testTime) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return clock.System().Add(c.ahead)
}

func (c *testTime) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// passToNoon moves on to the first noon (UTC) after at least d, so that a test's
// payments are of one day.
func (c *testTime) passToNoon(d time.Duration) {
	at := c.Now().Add(d).UTC()
	noon := time.Date(at.Year(), at.Month(), at.Day(), 12, 0, 0, 0, time.UTC)
	if noon.Before(at) {
		noon = noon.Add(24 * time.Hour)
	}
	c.pass(noon.Sub(c.Now()))
}

// mailbox keeps what the outbox delivered.
type mailbox struct {
	mu  sync.Mutex
	all []mail.Message
}

// Send implements mail.Sender.
func (b *mailbox) Send(_ context.Context, d mail.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, d.Message)
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

// worldOptions are what a test wants otherwise.
type worldOptions struct {
	// isLong is for dbtest.LongOnCockroach.
	isLong       bool
	secondPerson []approval.Operation
	bank         wallet.Bank // wallet.SimulatedBank when nil
	rateLimits   api.RateLimits
	hashes       int // passwords hashed at once; 4 when 0
	answerTime   time.Duration
	sweeps       time.Duration // how often cashback looks what is due; 5 s when 0
	hasConsole   bool          // with a role of its own; see consoleURL
	// api changes the options of the API at last.
	api func(*api.Options)
}

// eachWorld runs a test in a world on every engine, on the package's database. The
// test keeps to people of its own, and leaves rules, limits of roles and the
// running of the time by days alone: see eachFreshWorld. Nor does it open accounts with
// a balance once time has passed, as it does for each code of a second factor: the
// house's account for that is everybody's, and its time never goes back.
func eachWorld(t *testing.T, o worldOptions, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, newWorld(t, url, o)) })
}

// eachFreshWorld is eachWorld on a database of the test's own.
func eachFreshWorld(t *testing.T, o worldOptions, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		if o.isLong {
			dbtest.LongOnCockroach(t)
		}
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		test(t, newWorld(t, fresh, o))
	})
}

func newWorld(t *testing.T, databaseURL string, o worldOptions) *world {
	t.Helper()
	w := &world{
		server:      &server{t: t, db: dbtest.Open(t, databaseURL, database.Options{MaxConns: 10}), metrics: prometheus.NewRegistry(), log: newLog(t)},
		databaseURL: databaseURL, time: &testTime{}, mails: &mailbox{},
	}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	sealingKey := seal.NewKey("test")
	secrets.Register(t, "encryption key", sealingKey)
	sealer, err := seal.Parse(sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = ledger.New(w.db, dbtest.Open(t, databaseURL, database.Options{Plans: database.PlansPinned, MaxConns: 2}), ledger.Options{Clock: w.time.Now, Log: log})
	w.audit = audit.New(w.db, w.time.Now)
	outbox := mail.New(w.db, mail.Options{Sealer: sealer, Sender: w.mails, Clock: w.time.Now, Log: log})
	w.users = identity.NewUsers(w.db, identity.UsersOptions{
		Clock: w.time.Now, Log: w.audit, Mail: outbox, Sealer: sealer, PublicURL: "https://pay.example.com",
		HashConcurrency: max(o.hashes, 4), AnswerTime: max(o.answerTime, time.Millisecond),
	})
	w.keys = identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time.Now, Log: w.audit, Environment: identity.Test})
	w.linked = identity.NewLinkedAccounts(w.db, identity.LinkedAccountsOptions{Clock: w.time.Now, Log: w.audit, Sealer: sealer})
	w.risk = risk.New(w.db, risk.Options{Clock: w.time.Now, Log: w.audit, PersonBehind: w.keys.PersonBehind})
	w.approvals = approval.New(w.db, approval.Options{Clock: w.time.Now, Log: w.audit, Required: o.secondPerson})
	if o.bank == nil {
		o.bank = wallet.SimulatedBank{}
	}
	w.wallets = wallet.New(w.db, w.ledger, w.users, w.risk, w.linked, o.bank, wallet.Options{Clock: w.time.Now, Log: log, Audit: w.audit})
	w.cashback = cashback.New(w.db, w.ledger, cashback.Options{Clock: w.time.Now, Log: log, Audit: w.audit, SweepInterval: o.sweeps})
	w.serve(o, log, outbox.Run, w.ledger.Run, w.cashback.Run)
	return w
}

// serve listens, and runs what else a replica runs, until the test ends.
func (w *world) serve(o worldOptions, log *slog.Logger, background ...func(context.Context)) {
	w.t.Helper()
	options := api.Options{
		Ledger: w.ledger, Exports: exportsOf(w.t, w.db), Authenticate: w.authenticate, Ready: w.db.Ping,
		Users: w.users, Keys: w.keys, Linked: w.linked, Wallets: w.wallets, Cashback: w.cashback, Risk: w.risk, Approvals: w.approvals, Audit: w.audit,
		Reports: reporting.NewReports(w.db), Console: reporting.NewConsole(w.db, reporting.ConsoleOptions{URL: w.consoleURL(o), Clock: clock.System, Log: w.audit}),
		Log: log, Registry: w.metrics, Version: "test", Clock: w.time.Now, AmountLimits: api.AmountLimitsOf(w.risk),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		RateLimits:     manyRequests(o.rateLimits),
	}
	if o.api != nil {
		o.api(&options)
	}
	listener := httptest.NewServer(api.New(options))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range background {
		running.Go(func() { run(ctx) })
	}
	w.t.Cleanup(func() {
		listener.Close()
		stop()
		running.Wait()
	})
	w.url = listener.URL
}

// manyRequests are rate limits that no test meets, but for those given.
func manyRequests(given api.RateLimits) api.RateLimits {
	limits := api.RateLimits{}
	for _, name := range []string{"public", "refused", "signin", "account"} {
		limits[name] = ratelimit.Limit{}
	}
	for _, role := range identity.Roles {
		for _, class := range []string{"read", "write", "batch"} {
			limits[string(role)+"."+class] = ratelimit.Limit{}
		}
	}
	maps.Copy(limits, given)
	return limits
}

// authenticate is as cmd/server has it.
func (w *world) authenticate(ctx context.Context, token string, from netip.Addr) (principal identity.Principal, err error) {
	if strings.HasPrefix(token, identity.SessionPrefix) {
		principal, err = w.users.Authenticate(ctx, token)
	} else {
		principal, err = w.keys.Authenticate(ctx, token, from)
	}
	if errors.Is(err, identity.ErrUnauthenticated) {
		return identity.Principal{}, api.ErrUnauthenticated
	}
	return principal, err
}

// caller is somebody who calls the API from an address of his own: a person who is
// signed in, a program, or with an empty token a stranger.
type caller struct {
	w       *world
	address string
	token   string

	// Of people.
	email, password, name, userID, sessionID string
	totpSecret                               string // "": no second factor
	recoveryCodes                            []string
	// Of payers.
	account, linked string
	// Of programs.
	keyID string
}

// call sends a request as the caller; see server.call.
func (c *caller) call(method, path string, body any, headers ...string) answer {
	c.w.t.Helper()
	own := []string{"Authorization", "", "X-Forwarded-For", c.address}
	if c.token != "" {
		own[1] = "Bearer " + c.token
	}
	return c.w.call(method, path, body, append(own, headers...)...)
}

func (c *caller) get(path string, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodGet, path, nil, headers...)
}

func (c *caller) post(path string, body any, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodPost, path, body, headers...)
}

func (c *caller) put(path string, body any, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodPut, path, body, headers...)
}

func (c *caller) patch(path string, body any, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodPatch, path, body, headers...)
}

func (c *caller) delete(path string, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodDelete, path, nil, headers...)
}

// stranger has no credential.
func (w *world) stranger() *caller { return &caller{w: w, address: someAddress()} }

// someEmail is nobody's yet.
func someEmail() string { return strings.ToLower(rand.Text()) + "@example.com" }

// someAddress is in a network of its own.
func someAddress() string {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:])
	bytes[0] = 0x20
	return netip.AddrFrom16(bytes).String()
}

var mailToken = regexp.MustCompile(`florin_(verify|reset)_[a-z2-7]+`)

// signUp asks for a user and verifies his address, by HTTP.
func (w *world) signUp(name string) *caller {
	w.t.Helper()
	c := w.stranger()
	c.email, c.password, c.name = someEmail(), goodPassword, name
	c.post("/api/v1/auth/signup", object{"email": c.email, "password": c.password, "name": name}).want(http.StatusAccepted)
	c.post("/api/v1/auth/verification", object{"token": w.tokenTo(c.email, 1)}).want(http.StatusOK)
	return c
}

// tokenTo is the nth token that was mailed to an address, which it waits for.
func (w *world) tokenTo(address string, nth int) string {
	w.t.Helper()
	token := mailToken.FindString(w.mailTo(address, nth, mailToken).Text)
	secrets.Register(w.t, "mail token", token)
	return token
}

// mailTo is the nth mail to an address whose text matches, which it waits for.
func (w *world) mailTo(address string, nth int, text *regexp.Regexp) mail.Message {
	w.t.Helper()
	for range 1500 {
		seen := 0
		for _, m := range w.mails.to(address) {
			if !text.MatchString(m.Text) {
				continue
			}
			if seen++; seen == nth {
				return m
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("mail %d of %s to %s did not come", nth, text, address)
	return mail.Message{}
}

// signIn opens a session for the caller, with a code when he has a second factor.
func (c *caller) signIn() *caller {
	c.w.t.Helper()
	body := object{"email": c.email, "password": c.password}
	if c.totpSecret != "" {
		body["code"] = c.code()
	}
	c.token = ""
	got := c.post("/api/v1/auth/signin", body).want(http.StatusOK).object()
	c.token = text(got, "token")
	c.sessionID = text(got, "session", "sessionId")
	c.userID = text(got, "user", "userId")
	return c
}

// again is the same person with one more session, from another address.
func (c *caller) again() *caller {
	c.w.t.Helper()
	other := *c
	other.address = someAddress()
	return other.signIn()
}

// code is a code of the second factor that was not used yet: time passes for it.
func (c *caller) code() string {
	c.w.t.Helper()
	c.w.time.pass(31 * time.Second)
	code, err := totp.GenerateCode(c.totpSecret, c.w.time.Now())
	if err != nil {
		c.w.t.Fatal(err)
	}
	return code
}

// prove proves the caller once more, for sensitive steps.
func (c *caller) prove() *caller {
	c.w.t.Helper()
	body := object{"password": c.password}
	if c.totpSecret != "" {
		body = object{"code": c.code()}
	}
	c.post("/api/v1/auth/prove", body).want(http.StatusOK)
	return c
}

// enrol gives the caller a second factor.
func (c *caller) enrol() *caller {
	c.w.t.Helper()
	enrolled := c.post("/api/v1/users/me/second-factor", nil).want(http.StatusOK).object()
	c.totpSecret = text(enrolled, "secret")
	confirmed := c.post("/api/v1/users/me/second-factor/confirm", object{"code": c.code()}).want(http.StatusOK).object()
	for _, code := range confirmed["recoveryCodes"].([]any) {
		c.recoveryCodes = append(c.recoveryCodes, code.(string))
	}
	return c
}

// customer signs up and in.
func (w *world) customer(name string) *caller {
	w.t.Helper()
	return w.signUp(name).signIn()
}

// staff is a user whom the command line made, signed in, with a second factor:
// without one his role is for nothing but his own profile.
func (w *world) staff(role identity.Role) *caller {
	w.t.Helper()
	c := w.stranger()
	c.email, c.password, c.name = someEmail(), goodPassword, "Some "+string(role)
	if _, err := w.users.Create(w.t.Context(), identity.NewUser{Email: c.email, Name: c.name, Password: c.password, Role: role}); err != nil {
		w.t.Fatal(err)
	}
	return c.signIn().enrol()
}

// program has a key of a role: for customers' and merchants' keys name the owner,
// "" for all others. No scopes mean all of the role's.
func (w *world) program(role identity.Role, ownerID string, scopes ...identity.Permission) *caller {
	w.t.Helper()
	c := w.stranger()
	by := identity.Principal{Kind: identity.KeyPrincipal, Role: identity.Admin}
	made, text, err := w.keys.Create(w.t.Context(), &by, identity.NewKey{Name: "some " + string(role), Role: role, Scopes: scopes, OwnerID: ownerID})
	if err != nil {
		w.t.Fatal(err)
	}
	secrets.Register(w.t, "API key", text)
	c.keyID, c.token = made.ID, text
	return c
}

// open opens a wallet for the caller and returns its id.
func (c *caller) open(currency string) string {
	c.w.t.Helper()
	return text(c.post("/api/v1/users/me/accounts", object{"accountType": "WALLET", "currency": currency}).want(http.StatusCreated).object(), "accountId")
}

// link links a bank account to the caller and returns its id.
func (c *caller) link() string {
	c.w.t.Helper()
	number := fmt.Sprintf("%012d", clock.System().UnixNano()%1_000_000_000_000)
	return text(c.post("/api/v1/users/me/linked-accounts", object{
		"bankName": "Bank of Test", "routingNumber": "021000021", "accountNumber": number,
	}).want(http.StatusCreated).object(), "linkedAccountId")
}

// payers are customers whose wallets in USD and linked accounts are a month old,
// with a balance that came from the bank. Time passes.
func (w *world) payers(balance string, names ...string) []*caller {
	w.t.Helper()
	people := make([]*caller, len(names))
	for i, name := range names {
		people[i] = w.customer(name)
		people[i].account, people[i].linked = people[i].open("USD"), people[i].link()
	}
	w.time.passToNoon(month)
	for _, c := range people {
		if c.signIn(); balance != "0" {
			c.post("/api/v1/users/me/deposits", c.bankPayment(balance)).want(http.StatusCreated)
		}
	}
	return people
}

// bankPayment is the body of a deposit or withdrawal of a payer's.
func (c *caller) bankPayment(amount string) object {
	return object{"accountId": c.account, "linkedAccountId": c.linked, "amount": amount}
}

// payment is the body of a payer's transfer to an account.
func (c *caller) payment(toAccountID, amount string) object {
	return object{"accountId": c.account, "to": object{"accountId": toAccountID}, "amount": amount}
}

// wantAccount fails the test unless the payer's account has this much.
func (c *caller) wantAccount(balance, held string) {
	c.w.t.Helper()
	for _, account := range c.get("/api/v1/users/me/accounts").want(http.StatusOK).object().list("data") {
		if account["accountId"] == c.account {
			if account["balance"] != balance || account["held"] != held {
				c.w.t.Fatalf("%s has %s, %s held; want %s, %s held", c.name, account["balance"], account["held"], balance, held)
			}
			return
		}
	}
	c.w.t.Fatalf("%s has no account %s", c.name, c.account)
}

// text is a member's text, or that of an object in it; "" when there is none.
func text(o object, names ...string) string {
	for _, name := range names[:len(names)-1] {
		inner, _ := o[name].(map[string]any)
		o = inner
	}
	found, _ := o[names[len(names)-1]].(string)
	return found
}

// events are the audit trail of a target, the newest first.
func (w *world) events(targetID string) []audit.Record {
	w.t.Helper()
	found, err := w.audit.Search(w.t.Context(), audit.Filter{TargetID: targetID}, audit.Position{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return found.Records
}

// wantEvent is the newest event of an action about a target; there must be one.
func (w *world) wantEvent(targetID, action string) audit.Record {
	w.t.Helper()
	var seen []string
	for _, record := range w.events(targetID) {
		if record.Action == action {
			return record
		}
		seen = append(seen, record.Action)
	}
	w.t.Fatalf("the audit trail of %s has %q; want %s", targetID, seen, action)
	return audit.Record{}
}

// member reads a member of a JSON object in the audit trail.
func member(t *testing.T, raw json.RawMessage, name string) any {
	t.Helper()
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return o[name]
}

const (
	// proofMax is just more than a proof is good for.
	proofMax = 10*time.Minute + time.Second
	// cacheMax is just more than what is known of a credential may be old.
	cacheMax = 6 * time.Second
)
