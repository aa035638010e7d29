package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"florin/internal/api"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	key      = "key-of-alice"
	otherKey = "key-of-bob"
)

// server is the API over a ledger and a real database.
type server struct {
	t       *testing.T
	url     string
	db      *database.DB
	ledger  *ledger.Ledger
	metrics *prometheus.Registry
	log     *logLines
}

func serve(t *testing.T, databaseURL string) *server {
	t.Helper()
	s := &server{
		t: t, db: dbtest.Open(t, databaseURL, database.Options{MaxConns: 4}),
		metrics: prometheus.NewRegistry(), log: newLog(t),
	}
	writes := dbtest.Open(t, databaseURL, database.Options{Plans: database.PlansPinned, MaxConns: 2})
	s.ledger = ledger.New(s.db, writes, ledger.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.ledger.Run(ctx)
	})
	listener := httptest.NewServer(api.New(api.Options{
		Ledger: s.ledger, Exports: exportsOf(t, s.db), Authenticate: authenticate, AmountLimits: testLimits, Ready: s.db.Ping,
		Log: slog.New(slog.NewJSONHandler(s.log, nil)), Registry: s.metrics, Version: "test",
	}))
	t.Cleanup(func() {
		listener.Close()
		stop()
		running.Wait()
	})
	s.url = listener.URL
	return s
}

// authenticate knows two keys, and tokens like merchant:OWNER of a role and, if it
// has one, its owner.
func authenticate(_ context.Context, token string, _ netip.Addr) (identity.Principal, error) {
	switch token {
	case key, otherKey:
		name := strings.TrimPrefix(token, "key-of-")
		return identity.Principal{Kind: identity.KeyPrincipal, ID: "actor-" + name, Name: name, Role: identity.Admin}, nil
	case "database-down":
		return identity.Principal{}, database.ErrUnavailable
	case "panic":
		panic("secret of the program")
	}
	role, owner, isOfRole := strings.Cut(token, ":")
	if !isOfRole {
		return identity.Principal{}, api.ErrUnauthenticated
	}
	return identity.Principal{
		Kind: identity.KeyPrincipal, ID: "actor-" + token, Name: token, Role: identity.Role(role), OwnerID: owner, UserID: owner,
	}, nil
}

// testLimits are what owners may pay in the tests.
func testLimits(context.Context, identity.Role, money.Currency) (ledger.Limits, error) {
	return ledger.Limits{
		PerTransfer: decimal.NewNullDecimal(decimal.NewFromInt(100)), Daily: decimal.NewNullDecimal(decimal.NewFromInt(250)),
	}, nil
}

// answer is a response, read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	text   string
}

// call sends a request. body is a string as it is, or a value written as JSON;
// headers are pairs and may replace the usual ones.
func (s *server) call(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	var reader io.Reader
	var sent string
	switch b := body.(type) {
	case nil:
	case string:
		sent = b
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		sent = string(text)
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	got := answer{s.t, response.StatusCode, response.Header, string(text)}
	noteSecrets(s.t, sent, r, got)
	return got
}

func (s *server) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.call(http.MethodGet, path, nil, headers...)
}

func (s *server) post(path string, body any, headers ...string) answer {
	s.t.Helper()
	return s.call(http.MethodPost, path, body, headers...)
}

// want fails the test unless the answer has the status and, if it has a body,
// the right type.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d; want %d: %.600s", a.status, status, a.text)
	}
	want := "application/json"
	if status >= 400 {
		want = "application/problem+json"
	}
	if got := a.header.Get("Content-Type"); a.text != "" && got != want {
		a.t.Fatalf("content type %q; want %q", got, want)
	}
	return a
}

// object is the body.
func (a answer) object() object {
	a.t.Helper()
	var o object
	if err := json.Unmarshal([]byte(a.text), &o); err != nil {
		a.t.Fatalf("%v in %.300s", err, a.text)
	}
	return o
}

type object map[string]any

func (o object) list(name string) []object {
	var list []object
	items, _ := o[name].([]any)
	for _, item := range items {
		list = append(list, item.(map[string]any))
	}
	return list
}

// wantFields fails the test unless the body has these members; nil means absent
// or null.
func (a answer) wantFields(want object) answer {
	a.t.Helper()
	got := a.object()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			a.t.Errorf("%s is %#v; want %#v in %.600s", name, got[name], want[name], a.text)
		}
	}
	return a
}

// wantProblem fails the test unless the answer is this error, about this field
// when one is named.
func (a answer) wantProblem(status int, code, field string) answer {
	a.t.Helper()
	a.want(status)
	got := a.object()
	if got["code"] != code || got["status"] != float64(status) || got["type"] != "/docs/errors#"+code {
		a.t.Fatalf("got %.600s; want %s", a.text, code)
	}
	if got["requestId"] != a.header.Get("X-Request-Id") || got["instance"] != "/requests/"+a.header.Get("X-Request-Id") {
		a.t.Errorf("request %s is not named in %.600s", a.header.Get("X-Request-Id"), a.text)
	}
	for _, member := range []string{"title", "detail"} {
		if text, _ := got[member].(string); text == "" {
			a.t.Errorf("no %s in %.600s", member, a.text)
		}
	}
	if field == "" {
		return a
	}
	for _, problem := range got.list("errors") {
		if problem["field"] == field && problem["problem"] != "" {
			return a
		}
	}
	a.t.Fatalf("no problem of %q in %.600s", field, a.text)
	return a
}

// open opens an account in USD and returns its id.
func (s *server) open(balance string) string {
	s.t.Helper()
	account := id.New("a")
	s.post("/api/v1/accounts", object{"accountId": account, "balance": balance}).want(http.StatusCreated)
	return account
}

func (s *server) wantBalance(account, balance, held string) {
	s.t.Helper()
	s.get("/api/v1/accounts/" + account).want(http.StatusOK).wantFields(object{"balance": balance, "held": held})
}

func transfer(transactionID, from, to string, amount any) object {
	return object{"transactionId": transactionID, "sourceAccountId": from, "destinationAccountId": to, "amount": amount}
}
