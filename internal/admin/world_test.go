package admin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/admin"
	"florin/internal/api"
	"florin/internal/approval"
	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/export"
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

func TestMain(m *testing.M) { dbtest.Main(m) }

// goodPassword is everybody's.
const goodPassword = "wobbly lantern 47 orchid"

// world is a replica with its pages: the API over all the real modules, as
// cmd/server puts them together, and the pages over that.
type world struct {
	t         *testing.T
	url       string // where it listens
	db        *database.DB
	ledger    *ledger.Ledger
	users     *identity.Users
	keys      *identity.Keys
	risk      *risk.Rules
	approvals *approval.Approvals
	cashback  *cashback.Cashback
	time      *testTime
	root      *person // an admin's key, to arrange things with
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

// worldOptions are what a test wants otherwise.
type worldOptions struct {
	isFresh      bool // on a database of the test's own
	isLong       bool // and asks little of the engine: not on CockroachDB, unless that is asked for
	secondPerson []approval.Operation
	api          func(*api.Options) // changes the options of the API at last
}

// eachWorld runs a test in a world on every engine. Without isFresh the database is
// the package's: the test keeps to accounts and people of its own.
func eachWorld(t *testing.T, o worldOptions, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		if o.isLong {
			dbtest.LongOnCockroach(t)
		}
		if o.isFresh {
			url = dbtest.Fresh(t, url)
			dbtest.Migrate(t, url)
		}
		test(t, newWorld(t, url, o))
	})
}

func newWorld(t *testing.T, databaseURL string, o worldOptions) *world {
	t.Helper()
	w := &world{t: t, db: dbtest.Open(t, databaseURL, database.Options{MaxConns: 8}), time: &testTime{}}
	log := slog.New(slog.NewJSONHandler(secrets.NewLog(t), nil))
	sealingKey := seal.NewKey("test")
	secrets.Register(t, "encryption key", sealingKey)
	sealer, err := seal.Parse(sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = ledger.New(w.db, dbtest.Open(t, databaseURL, database.Options{Plans: database.PlansPinned, MaxConns: 2}), ledger.Options{Clock: w.time.Now, Log: log})
	trail := audit.New(w.db, w.time.Now)
	outbox := mail.New(w.db, mail.Options{Sealer: sealer, Sender: noMail{}, Clock: w.time.Now, Log: log})
	w.users = identity.NewUsers(w.db, identity.UsersOptions{
		Clock: w.time.Now, Log: trail, Mail: outbox, Sealer: sealer, PublicURL: "https://pay.example.com", HashConcurrency: 4, AnswerTime: time.Millisecond,
	})
	w.keys = identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time.Now, Log: trail, Environment: identity.Test})
	linked := identity.NewLinkedAccounts(w.db, identity.LinkedAccountsOptions{Clock: w.time.Now, Log: trail, Sealer: sealer})
	w.risk = risk.New(w.db, risk.Options{Clock: w.time.Now, Log: trail, PersonBehind: w.keys.PersonBehind})
	w.approvals = approval.New(w.db, approval.Options{Clock: w.time.Now, Log: trail, Required: o.secondPerson})
	wallets := wallet.New(w.db, w.ledger, w.users, w.risk, linked, wallet.SimulatedBank{}, wallet.Options{Clock: w.time.Now, Log: log, Audit: trail})
	w.cashback = cashback.New(w.db, w.ledger, cashback.Options{Clock: w.time.Now, Log: log, Audit: trail})
	places, err := export.ParseAllowed(nil)
	if err != nil {
		t.Fatal(err)
	}
	options := api.Options{
		Ledger: w.ledger, Exports: export.NewControl(w.db, places, w.time.Now), Authenticate: w.authenticate, Ready: w.db.Ping,
		Users: w.users, Keys: w.keys, Linked: linked, Wallets: wallets, Cashback: w.cashback, Risk: w.risk, Approvals: w.approvals, Audit: trail,
		Reports: reporting.NewReports(w.db), Console: reporting.NewConsole(w.db, reporting.ConsoleOptions{Clock: clock.System, Log: trail}),
		Log: log, Registry: prometheus.NewRegistry(), Version: "test", Clock: w.time.Now, AmountLimits: api.AmountLimitsOf(w.risk), RateLimits: unlimited(),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
	if o.api != nil {
		o.api(&options)
	}
	operations := api.New(options)
	pages := admin.New(admin.Options{API: operations, Log: log, Now: w.time.Now, Version: "test"})
	mux := http.NewServeMux()
	mux.Handle("/", operations)
	mux.Handle(admin.Root, pages)
	mux.Handle(admin.Root+"/", pages)
	listener := httptest.NewServer(mux)
	w.url = listener.URL
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context){outbox.Run, w.ledger.Run, w.cashback.Run} {
		running.Go(func() { run(ctx) })
	}
	t.Cleanup(func() {
		listener.Close()
		stop()
		running.Wait()
	})
	w.root = w.key(identity.Admin)
	return w
}

// noMail delivers nothing to nobody.
type noMail struct{}

// Send implements mail.Sender.
func (noMail) Send(context.Context, mail.Delivery) error { return nil }

// unlimited are rate limits that no test meets.
func unlimited() api.RateLimits {
	limits := api.RateLimits{}
	for _, name := range []string{"public", "refused", "signin", "account"} {
		limits[name] = ratelimit.Limit{}
	}
	for _, role := range identity.Roles {
		for _, class := range []string{"read", "write", "batch"} {
			limits[string(role)+"."+class] = ratelimit.Limit{}
		}
	}
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

// person is somebody who calls the API, or looks at the pages: a user, or an API
// key.
type person struct {
	w               *world
	token           string
	id, email, name string
	totpSecret      string // "" without a second factor
}

// object is a JSON object.
type object = map[string]any

// key is an API key of a role.
func (w *world) key(role identity.Role, scopes ...identity.Permission) *person {
	w.t.Helper()
	by := identity.Principal{Kind: identity.KeyPrincipal, Role: identity.Admin}
	owner := ""
	if role.ReachesOwnOnly() {
		owner = w.user(role).id
	}
	made, text, err := w.keys.Create(w.t.Context(), &by, identity.NewKey{Name: "some " + string(role), Role: role, Scopes: scopes, OwnerID: owner})
	if err != nil {
		w.t.Fatal(err)
	}
	secrets.Register(w.t, "API key", text)
	return &person{w: w, token: text, id: made.ID, name: made.Name}
}

// user is a user of a role as the command line makes him: not signed in, and
// without a second factor.
func (w *world) user(role identity.Role) *person {
	w.t.Helper()
	who := &person{w: w, email: strings.ToLower(rand.Text()) + "@example.com", name: "Some " + string(role)}
	made, err := w.users.Create(w.t.Context(), identity.NewUser{Email: who.email, Name: who.name, Password: goodPassword, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	who.id = made.ID
	return who
}

// staff is a user of a role, signed in, with a second factor.
func (w *world) staff(role identity.Role) *person {
	w.t.Helper()
	who := w.user(role).signIn()
	who.totpSecret = who.post("/api/v1/users/me/second-factor", nil)["secret"].(string)
	secrets.Register(w.t, "second factor", who.totpSecret)
	who.post("/api/v1/users/me/second-factor/confirm", object{"code": who.code()})
	return who
}

// signIn opens a session.
func (c *person) signIn() *person {
	c.w.t.Helper()
	body := object{"email": c.email, "password": goodPassword}
	if c.totpSecret != "" {
		body["code"] = c.code()
	}
	c.token = ""
	c.token = c.post("/api/v1/auth/signin", body)["token"].(string)
	secrets.Register(c.w.t, "session", c.token)
	return c
}

// code is a code of the second factor that was not used yet: time passes for it.
func (c *person) code() string {
	c.w.t.Helper()
	c.w.time.pass(31 * time.Second)
	code, err := totp.GenerateCode(c.totpSecret, c.w.time.Now())
	if err != nil {
		c.w.t.Fatal(err)
	}
	return code
}

func (c *person) get(path string) object {
	c.w.t.Helper()
	return c.call(http.MethodGet, path, nil)
}

func (c *person) post(path string, body any) object {
	c.w.t.Helper()
	return c.call(http.MethodPost, path, body)
}

// call calls the API, which must do as it is asked.
func (c *person) call(method, path string, body any) object {
	c.w.t.Helper()
	status, text := c.try(method, path, body)
	if status >= 300 {
		c.w.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	var out object
	if err := json.Unmarshal(text, &out); err != nil {
		c.w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return out
}

// try calls the API, whatever it answers.
func (c *person) try(method, path string, body any) (status int, answer []byte) {
	c.w.t.Helper()
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			c.w.t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.url+path, sent)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return response.StatusCode, answer
}

// some is an id of a test's own that begins with name.
func some(name string) string { return name + "-" + strings.ToLower(rand.Text()[:8]) }

// account opens an account of an id of its own, that begins with name, with a
// balance in USD, and returns its id. members are more of the request, or other.
func (w *world) account(name, balance string, members object) string {
	w.t.Helper()
	body := object{"accountId": some(name), "currency": "USD", "accountType": "WALLET", "balance": balance}
	for member, value := range members {
		body[member] = value
	}
	return w.root.post("/api/v1/accounts", body)["accountId"].(string)
}

// pay moves USD now and returns the transaction's id.
func (w *world) pay(from, to, amount string) string {
	w.t.Helper()
	id := some("order")
	w.root.post("/api/v1/transfers", object{"transactionId": id, "sourceAccountId": from, "destinationAccountId": to, "amount": amount, "currency": "USD"})
	return id
}

// visitor is a browser without scripts and without a picture: what the pages
// answer, for tests of rights and headers.
type visitor struct {
	t      *testing.T
	w      *world
	client *http.Client
}

// visitor looks at the pages as somebody; nil is a stranger. Redirects are not
// followed.
func (w *world) visitor(t *testing.T, who *person) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if who != nil {
		at, err := url.Parse(w.url)
		if err != nil {
			t.Fatal(err)
		}
		cookie := api.CredentialCookie(who.token, time.Hour, false)
		jar.SetCookies(at, []*http.Cookie{&cookie})
	}
	return &visitor{t: t, w: w, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// shown is what a page answered.
type shown struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) get(path string, headers ...string) shown {
	v.t.Helper()
	return v.send(http.MethodGet, path, nil, headers...)
}

// post sends a form as a browser does for a page of our own.
func (v *visitor) post(path string, form url.Values, headers ...string) shown {
	v.t.Helper()
	return v.send(http.MethodPost, path, form, append([]string{"Sec-Fetch-Site", "same-origin", "Origin", v.w.url}, headers...)...)
}

func (v *visitor) send(method, path string, form url.Values, headers ...string) shown {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return shown{response.StatusCode, response.Header, string(body)}
}

// scripted is what no browser may run, whoever wrote it into a field.
const scripted = "<script>alert(1)</script>"

// hiddenIn is the value of a field of a form that a page shows.
func hiddenIn(t *testing.T, page shown, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page.body)
	if found == nil {
		t.Fatalf("there is no field %s in a form of:\n%s", name, page.body)
	}
	return found[1]
}

// content is the page without what stands around it, for messages.
func (s shown) content() string {
	_, content, _ := strings.Cut(s.body, "<main")
	content, _, _ = strings.Cut(content, "</main>")
	return content
}

// tells fails the test unless the page was answered with a status and says all of
// the words.
func (s shown) tells(t *testing.T, status int, words ...string) shown {
	t.Helper()
	if s.status != status {
		t.Errorf("answered %d, want %d:\n%s", s.status, status, s.content())
	}
	for _, word := range words {
		if !strings.Contains(s.body, word) {
			t.Errorf("the page does not say %q:\n%s", word, s.content())
		}
	}
	if strings.Contains(s.body, scripted) {
		t.Errorf("the page runs what somebody wrote into a field:\n%s", s.content())
	}
	return s
}

// tellsNot fails the test when the page says any of the words.
func (s shown) tellsNot(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(s.body, word) {
			t.Errorf("the page says %q:\n%s", word, s.content())
		}
	}
}

func balanceOf(w *world, accountID string) string {
	w.t.Helper()
	return w.root.get("/api/v1/accounts/" + accountID)["balance"].(string)
}

// awaitStatus waits for what becomes of a transaction.
func awaitStatus(t *testing.T, w *world, transactionID, status string) {
	t.Helper()
	for range 600 {
		if w.root.get("/api/v1/transactions/" + transactionID + "/status")["status"] == status {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("transaction %s is not %s after 30 s", transactionID, status)
}

// leads fails the test unless the answer leads the browser to a path.
func (s shown) leads(t *testing.T, path string) {
	t.Helper()
	if s.status != http.StatusSeeOther || s.header.Get("Location") != path {
		t.Fatalf("answered %d to %q, want a redirect to %s: %s", s.status, s.header.Get("Location"), path, s.body)
	}
}

// fields are a posted form: names and values.
func fields(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}
