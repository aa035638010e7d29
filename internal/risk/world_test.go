package risk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
	"florin/internal/risk"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is a database, with a time of its own.
type world struct {
	*risk.Rules
	db  *database.DB
	log *audit.Log

	mu  sync.Mutex
	now time.Time
}

// newEmptyWorld has a database to itself: for tests that change what all payments
// are judged by, or look at all of it.
func newEmptyWorld(t *testing.T, url string) *world {
	t.Helper()
	fresh := dbtest.Fresh(t, url)
	dbtest.Migrate(t, fresh)
	return newWorld(t, fresh)
}

// newWorld shares a database, in which the program's rules hold.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{db: dbtest.Open(t, url, database.Options{MaxConns: 12}), now: clock.System()}
	w.log = audit.New(w.db, w.time)
	w.Rules = w.replica()
	return w
}

// replica is another process with the same database.
func (w *world) replica() *risk.Rules {
	return risk.New(w.db, risk.Options{Clock: w.time, Log: w.log, PersonBehind: func(_ context.Context, keyID string) (string, error) {
		return map[string]string{"key_of_ann": "usr_ann", "key_of_eve": "usr_eve"}[keyID], nil
	}})
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func as(t *testing.T, kind, anID string) context.Context {
	t.Helper()
	return audit.With(t.Context(), audit.Origin{ActorKind: kind, ActorID: anID, Role: "operator", Address: "127.0.0.1", RequestID: "req_" + anID})
}

// events are the actions recorded about a target, the oldest first.
func (w *world) events(t *testing.T, target string) []string {
	t.Helper()
	found, err := w.log.Search(t.Context(), audit.Filter{TargetID: target}, audit.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	actions := make([]string, len(found.Records))
	for i, event := range found.Records {
		actions[len(found.Records)-1-i] = event.Action + " by " + event.Origin.ActorID
	}
	return actions
}

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func someFacts() risk.Facts {
	return risk.Facts{Operation: risk.Transfer, Amount: amount("10.50"), Currency: "USD", Role: "customer", AccountAgeHours: 1000, HasSecondFactor: true}
}

func someSubject() risk.Subject {
	return risk.Subject{TransferID: id.New("trf"), AccountID: id.New("acc"), UserID: "usr_ann", PayeeID: "usr_bob"}
}

// decide judges an ordinary payment with a change.
func (w *world) decide(t *testing.T, s risk.Subject, change func(*risk.Facts)) risk.Decision {
	t.Helper()
	facts := someFacts()
	change(&facts)
	d, err := w.Decide(t.Context(), facts, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func unchanged(*risk.Facts) {}

func toReview(f *risk.Facts) { f.Amount, f.IsNewPayee = amount("1000.01"), true }
