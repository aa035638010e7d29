package mail_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var message = mail.Message{To: "ada@example.com", Subject: "Confirm your address", Text: "https://florin.example/verify?token=s3cret\n"}

// taken is a Sender that keeps what it is given, after answering as it is told.
type taken struct {
	mu      sync.Mutex
	answers []error // the first ones; then nil
	got     []mail.Delivery
	came    chan struct{}
	hold    chan struct{} // if not nil, Send waits for it
}

func newTaken(answers ...error) *taken {
	return &taken{answers: answers, came: make(chan struct{}, 1000)}
}

func (s *taken) Send(ctx context.Context, d mail.Delivery) error {
	defer func() { s.came <- struct{}{} }()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, d)
	if len(s.answers) == 0 {
		return nil
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer
}

func (s *taken) deliveries() []mail.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mail.Delivery(nil), s.got...)
}

type world struct {
	db  *database.DB
	log *secrets.Log

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	// An outbox delivers whatever there is: the tests take turns.
	turn, _ := turns.LoadOrStore(url, &sync.Mutex{})
	turn.(*sync.Mutex).Lock()
	t.Cleanup(turn.(*sync.Mutex).Unlock)
	w := &world{db: dbtest.Open(t, url, database.Options{}), now: clock.System(), log: secrets.NewLog(t)}
	if _, err := w.db.Exec(t.Context(), "DELETE FROM mails"); err != nil {
		t.Fatal(err)
	}
	return w
}

var turns sync.Map // of *sync.Mutex, by URL

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

func ring(t *testing.T, configured ...string) *seal.Keyring {
	t.Helper()
	secrets.Register(t, "encryption key", configured...)
	secrets.Register(t, "mail token", "?token=s3cret")
	keys, err := seal.Parse(strings.Join(configured, ","))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (w *world) outbox(keys *seal.Keyring, sender mail.Sender) *mail.Outbox {
	return mail.New(w.db, mail.Options{Sealer: keys, Sender: sender, Clock: w.time, Log: slog.New(slog.NewTextHandler(w.log, nil))})
}

func (w *world) enqueue(t *testing.T, o *mail.Outbox, m mail.Message) {
	t.Helper()
	err := w.db.InTx(t.Context(), "test", func(ctx context.Context, tx pgx.Tx) error { return o.EnqueueTx(ctx, tx, m) })
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) waiting(t *testing.T) (n int) {
	t.Helper()
	if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM mails").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// run runs the outbox until the test ends or stop is called.
func run(t *testing.T, o *mail.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !isSo(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAMailGoesOutOnceCommittedAndIsForgotten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		o := w.outbox(ring(t, seal.NewKey("a")), sender)
		undone := errors.New("undone")
		err := w.db.InTx(t.Context(), "test", func(ctx context.Context, tx pgx.Tx) error {
			if err := o.EnqueueTx(ctx, tx, mail.Message{To: "nobody@example.com", Subject: "x", Text: "x"}); err != nil {
				return err
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		w.enqueue(t, o, message)
		for _, secret := range []string{message.To, message.Subject, "s3cret"} {
			var n int
			if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM mails AS m WHERE m::text LIKE '%' || $1 || '%'", secret).Scan(&n); err != nil || n != 0 {
				t.Errorf("%q stands in the database: %d, %v", secret, n, err)
			}
		}
		run(t, o)
		eventually(t, "it is gone", func() bool { return w.waiting(t) == 0 })
		got := sender.deliveries()
		if len(got) != 1 || got[0].Message != message || !strings.HasPrefix(got[0].ID, "mail_") || !got[0].Written.Equal(w.time()) {
			t.Fatalf("%+v", got)
		}
		// And soon, when it comes while the outbox runs.
		start := time.Now()
		w.enqueue(t, o, message)
		<-sender.came
		<-sender.came
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		for _, secret := range []string{message.To, message.Subject, "s3cret"} {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("the log shows %q:\n%s", secret, w.log.String())
			}
		}
	})
}

func TestEnqueueRefusesWhatWouldChangeTheHeaders(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		o := w.outbox(ring(t, seal.NewKey("a")), newTaken())
		for _, bad := range []mail.Message{
			{}, {To: message.To, Subject: "x"}, {To: message.To, Text: "x"}, {Subject: "x", Text: "x"},
			{To: "a@b.c\r\nBcc: evil@example.com", Subject: "x", Text: "x"}, {To: message.To, Subject: "x\r\nBcc: evil@example.com", Text: "x"},
		} {
			err := w.db.InTx(t.Context(), "test", func(ctx context.Context, tx pgx.Tx) error { return o.EnqueueTx(ctx, tx, bad) })
			if err == nil || strings.Contains(err.Error(), "evil") {
				t.Errorf("%q: %v", bad.To, err)
			}
		}
		if n := w.waiting(t); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestDeliveryIsTriedAgainWithLongerPauses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		trouble := errors.New("the mail server is away")
		w, sender := newWorld(t, url), newTaken(trouble, trouble, trouble)
		o := w.outbox(ring(t, seal.NewKey("a")), sender)
		w.enqueue(t, o, message)
		run(t, o)
		for i, pause := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
			<-sender.came
			var next time.Time
			eventually(t, "it is postponed", func() bool {
				var owner string
				if err := w.db.QueryRow(t.Context(), "SELECT next_at, lease_owner FROM mails").Scan(&next, &owner); err != nil {
					t.Fatal(err)
				}
				return owner == ""
			})
			if wait := next.Sub(w.time()); wait < pause || wait > pause*11/10 {
				t.Errorf("after %d tries: %s", i+1, wait)
			}
			if got := len(sender.deliveries()); got != i+1 {
				t.Fatalf("%d tries", got)
			}
			w.pass(pause * 11 / 10)
		}
		<-sender.came
		eventually(t, "it is gone", func() bool { return w.waiting(t) == 0 })
		got := sender.deliveries()
		for _, d := range got {
			if d.ID != got[0].ID {
				t.Errorf("another id: %s, %s", d.ID, got[0].ID)
			}
		}
	})
}

func TestAMailIsGivenUpWhenRefusedOrAfterADay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		refusing := newTaken(fmt.Errorf("%w: no such mailbox", mail.ErrRefused))
		keys := ring(t, seal.NewKey("a"))
		o := w.outbox(keys, refusing)
		w.enqueue(t, o, message)
		stop := run(t, o)
		eventually(t, "it is given up", func() bool { return w.waiting(t) == 0 })
		stop()

		failing := newTaken()
		failing.answers = make([]error, 100)
		for i := range failing.answers {
			failing.answers[i] = errors.New("away")
		}
		o = w.outbox(keys, failing)
		w.enqueue(t, o, message)
		stop = run(t, o)
		tries := 0
		eventually(t, "it is given up", func() bool {
			if len(failing.deliveries()) > tries {
				tries = len(failing.deliveries())
			}
			w.pass(31 * time.Minute)
			return w.waiting(t) == 0
		})
		stop()
		// On a slow machine the time passes faster than the outbox tries.
		if tries < 2 || tries > 60 || len(refusing.deliveries()) != 1 {
			t.Errorf("%d tries; refused %d times", tries, len(refusing.deliveries()))
		}
		if n := strings.Count(w.log.String(), "mail given up"); n != 2 {
			t.Errorf("told %d times:\n%s", n, w.log.String())
		}
	})
}

func TestAMailThatComesTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		sender := newTaken()
		o := w.outbox(ring(t, seal.NewKey("a")), sender)
		w.enqueue(t, o, message)
		w.pass(24 * time.Hour) // there was no replica that could send it
		w.enqueue(t, o, message)
		stop := run(t, o)
		eventually(t, "one is sent and one given up", func() bool { return w.waiting(t) == 0 })
		stop()
		if n := len(sender.deliveries()); n != 1 {
			t.Errorf("%d mails were sent", n)
		}
	})
}

// Also where nobody delivers: they hold tokens.
func TestMailsThatExpiredAreDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		if w.db.Engine == database.Cockroach {
			var name, statement string
			err := w.db.QueryRow(t.Context(), "SHOW CREATE TABLE mails").Scan(&name, &statement)
			if err != nil || !strings.Contains(statement, "ttl_expiration_expression = 'expires_at'") {
				t.Errorf("CockroachDB keeps mails for ever: %v", err)
			}
			return
		}
		o := w.outbox(ring(t, seal.NewKey("a")), newTaken())
		w.enqueue(t, o, message)
		w.pass(23 * time.Hour)
		w.enqueue(t, o, message)
		for _, want := range []int{2, 1} {
			if err := o.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := w.waiting(t); n != want {
				t.Errorf("%d mails are left; want %d", n, want)
			}
			w.pass(time.Hour)
		}
	})
}

func TestOfManyReplicasOneDeliversAMail(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		keys := ring(t, seal.NewKey("a"))
		first := w.outbox(keys, sender)
		const mails = 60
		for range mails {
			w.enqueue(t, first, message)
		}
		for range 4 {
			run(t, w.outbox(keys, sender))
		}
		eventually(t, "all are gone", func() bool { return w.waiting(t) == 0 })
		seen := map[string]int{}
		for _, d := range sender.deliveries() {
			seen[d.ID]++
		}
		if len(seen) != mails || len(sender.deliveries()) != mails {
			t.Errorf("%d mails, %d deliveries", len(seen), len(sender.deliveries()))
		}
	})
}

// A replica that died holds its lease; when that ends, another one delivers.
func TestAMailOfADeadReplicaIsDelivered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		o := w.outbox(ring(t, seal.NewKey("a")), sender)
		w.enqueue(t, o, message)
		if _, err := w.db.Exec(t.Context(), "UPDATE mails SET lease_owner = 'outbox_dead', attempts = 1, next_at = $1", w.time().Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		run(t, o)
		w.pass(2*time.Minute - time.Second)
		time.Sleep(100 * time.Millisecond)
		if len(sender.deliveries()) != 0 {
			t.Error("delivered while the lease was another's")
		}
		w.pass(time.Second)
		eventually(t, "it is gone", func() bool { return w.waiting(t) == 0 })
	})
}

func TestADeliveryUnderWayIsFinishedWhenTheServerStops(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		sender.hold = make(chan struct{})
		o := w.outbox(ring(t, seal.NewKey("a")), sender)
		w.enqueue(t, o, message)
		stop := run(t, o)
		eventually(t, "it is claimed", func() bool {
			var attempts int
			if err := w.db.QueryRow(t.Context(), "SELECT attempts FROM mails").Scan(&attempts); err != nil {
				t.Fatal(err)
			}
			return attempts == 1
		})
		time.AfterFunc(50*time.Millisecond, func() { close(sender.hold) })
		stop()
		if len(sender.deliveries()) != 1 || w.waiting(t) != 0 {
			t.Errorf("%d deliveries, %d waiting", len(sender.deliveries()), w.waiting(t))
		}
	})
}

func TestMailsAreSealedAgainWithANewKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		older, newer := seal.NewKey("2025"), seal.NewKey("2026")
		before := w.outbox(ring(t, older), sender)
		const mails = 205 // more than a page
		for range mails {
			w.enqueue(t, before, message)
		}
		if _, err := w.outbox(ring(t, newer), sender).Reseal(t.Context()); !errors.Is(err, seal.ErrUnknownKey) {
			t.Error(err)
		}
		during := w.outbox(ring(t, newer, older), sender)
		if n, err := during.Reseal(t.Context()); err != nil || n != mails {
			t.Fatal(n, err)
		}
		if n, err := during.Reseal(t.Context()); err != nil || n != 0 {
			t.Error("again:", n, err)
		}
		run(t, w.outbox(ring(t, newer), sender))
		eventually(t, "all are gone", func() bool { return w.waiting(t) == 0 })
		if len(sender.deliveries()) != mails {
			t.Errorf("%d of them were delivered", len(sender.deliveries()))
		}
	})
}

// What can't be opened because a key is missing waits; what was tampered with goes.
func TestMailsThatDontOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, sender := newWorld(t, url), newTaken()
		w.enqueue(t, w.outbox(ring(t, seal.NewKey("gone")), sender), message)
		keys := ring(t, seal.NewKey("here"))
		o := w.outbox(keys, sender)
		w.enqueue(t, o, message)
		if _, err := w.db.Exec(t.Context(), "UPDATE mails SET sealed = sealed || 'AAAA' WHERE sealed LIKE 'v1.here.%'"); err != nil {
			t.Fatal(err)
		}
		run(t, o)
		eventually(t, "the forged one is given up, the other waits", func() bool {
			var sealed, owner string
			err := w.db.QueryRow(t.Context(), "SELECT min(sealed), min(lease_owner) FROM mails WHERE attempts = 1 HAVING count(*) = 1").Scan(&sealed, &owner)
			return err == nil && strings.HasPrefix(sealed, "v1.gone.") && owner == "" && w.waiting(t) == 1
		})
		if len(sender.deliveries()) != 0 {
			t.Error("one was delivered")
		}
	})
}
