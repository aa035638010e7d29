package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/mail/internal/maildb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
	"florin/internal/platform/seal"
)

const (
	// keptFor is how long delivery is tried.
	keptFor = 24 * time.Hour
	// sendMax bounds one delivery. The lease is longer, so that nobody else
	// begins while one is under way.
	sendMax  = 45 * time.Second
	leaseFor = 2 * time.Minute
	// claimMax is also how many deliveries run at once, so that no claimed mail
	// waits with its lease running.
	claimMax = 8
	// Pauses between tries: doubled from the first to the last.
	firstRetry = 15 * time.Second
	lastRetry  = 30 * time.Minute
	// Pauses between looks: doubled from the first, after a mail was enqueued
	// here, to the last, which also finds those of replicas that died.
	firstLook = 20 * time.Millisecond
	lastLook  = 2 * time.Second
	// sweepRows is how many mails one statement of Sweep deletes at most.
	sweepRows = 1000
	// queryMax bounds what is asked of the database, each.
	queryMax = 10 * time.Second
)

// Sender hands one mail to whoever delivers it.
type Sender interface {
	// Send returns ErrRefused, perhaps wrapped, when trying again is no use. Its
	// errors name no address and repeat nothing of the message.
	Send(ctx context.Context, d Delivery) error
}

// Delivery is a message on its way. Its ID stays the same however often it is
// tried.
type Delivery struct {
	ID      string
	Written time.Time // UTC
	Message Message
}

// LogValue is the id, and of the message what it prints.
func (d Delivery) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", d.ID), slog.Any("message", d.Message))
}

// ErrRefused says that the message will never be delivered, as when there is no
// such mailbox.
var ErrRefused = errors.New("the mail was refused for good")

// Options configure an Outbox. All must be given.
type Options struct {
	Sealer *seal.Keyring
	Sender Sender
	Clock  clock.Clock
	Log    *slog.Logger // nothing of a mail but its id is logged
}

// Outbox is the mails of a database that are to be delivered. Safe for
// concurrent use, by any number of replicas.
type Outbox struct {
	db      *database.DB
	queries *maildb.Queries
	options Options
	owner   string        // of leases
	written chan struct{} // holds one word that a mail was enqueued here
}

// New makes an Outbox. Nothing is delivered before Run.
func New(db *database.DB, o Options) *Outbox {
	return &Outbox{db: db, queries: maildb.New(db), options: o, owner: id.New("outbox"), written: make(chan struct{}, 1)}
}

// table names what is sealed where.
const table = "mails"

func place(mailID string) seal.Place { return seal.Place{Table: table, Row: mailID, Column: "sealed"} }

// EnqueueTx adds a mail that is delivered once tx is committed. Each call adds
// one, with an id of its own. The error is Message.Validate's, or the database's
// as it is, so that InTx can run the transaction again.
func (o *Outbox) EnqueueTx(ctx context.Context, tx pgx.Tx, m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	plain, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode mail: %w", err)
	}
	mailID, now := id.New("mail"), o.options.Clock()
	err = o.queries.WithTx(tx).InsertMail(ctx, maildb.InsertMailParams{
		MailID: mailID, Sealed: o.options.Sealer.Seal(place(mailID), plain), CreatedAt: now, ExpiresAt: now.Add(keptFor),
	})
	if err != nil {
		return fmt.Errorf("enqueue mail: %w", err)
	}
	// Only a hint to look soon: the transaction may take a while, or fail.
	select {
	case o.written <- struct{}{}:
	default:
	}
	return nil
}

// Run delivers until ctx ends, also what replicas that died had begun. A delivery
// under way is then finished.
func (o *Outbox) Run(ctx context.Context) {
	pause := lastLook
	for ctx.Err() == nil {
		if o.deliverDue(ctx) {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-o.written:
			pause = firstLook
		case <-timer.C:
			pause = min(2*pause, lastLook)
		}
		timer.Stop()
	}
}

// deliverDue tries what is due, and says whether there was anything.
func (o *Outbox) deliverDue(ctx context.Context) bool {
	claimed, err := o.claim(ctx)
	if err != nil {
		if ctx.Err() == nil {
			o.options.Log.Warn("mails wait: the outbox can't be read", "error", err)
		}
		return false
	}
	var all sync.WaitGroup
	for _, row := range claimed {
		all.Go(func() { o.deliver(context.WithoutCancel(ctx), row) })
	}
	all.Wait()
	return len(claimed) > 0
}

func (o *Outbox) claim(ctx context.Context) ([]maildb.ClaimMailsRow, error) {
	ctx, cancel := context.WithTimeout(ctx, queryMax)
	defer cancel()
	now := o.options.Clock()
	due, err := o.queries.DueMails(ctx, maildb.DueMailsParams{Now: now, MaxMails: claimMax})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	return o.queries.ClaimMails(ctx, maildb.ClaimMailsParams{
		MailIds: due, Now: now, LeaseUntil: now.Add(leaseFor), LeaseOwner: o.owner,
	})
}

// Sweep deletes mails that were not delivered in time, in small statements: also where
// no replica delivers. To be called now and then; several replicas may do so at once. On
// CockroachDB it does nothing: the database deletes them itself.
func (o *Outbox) Sweep(ctx context.Context) error {
	if o.db.Engine == database.Cockroach {
		return nil
	}
	for n := int64(sweepRows); n == sweepRows; {
		var err error
		n, err = o.queries.DeleteExpiredMails(ctx, maildb.DeleteExpiredMailsParams{Now: o.options.Clock(), RowLimit: sweepRows})
		if err != nil {
			return fmt.Errorf("sweep expired mails: %w", err)
		}
	}
	return nil
}

// deliver tries one mail and writes down what became of it.
func (o *Outbox) deliver(ctx context.Context, row maildb.ClaimMailsRow) {
	err := o.try(ctx, row)
	log := o.options.Log.With("mail_id", row.MailID, "attempts", row.Attempts)
	ctx, cancel := context.WithTimeout(ctx, queryMax)
	defer cancel()
	next := o.options.Clock().Add(retryPause(row.Attempts))
	var stored error
	switch {
	case err == nil:
		log.Info("mail sent")
		stored = o.queries.DeleteMail(ctx, row.MailID)
	case errors.Is(err, ErrRefused), next.After(row.ExpiresAt):
		log.Error("mail given up", "error", err)
		stored = o.queries.DeleteMail(ctx, row.MailID)
	default:
		log.Warn("mail not sent yet", "error", err, "next_at", next)
		stored = o.queries.PostponeMail(ctx, maildb.PostponeMailParams{MailID: row.MailID, NextAt: next, LeaseOwner: o.owner})
	}
	if stored != nil {
		log.Warn("what became of a mail can't be stored: it is tried again when its lease ends", "error", stored)
	}
}

func (o *Outbox) try(ctx context.Context, row maildb.ClaimMailsRow) error {
	if !o.options.Clock().Before(row.ExpiresAt) {
		return fmt.Errorf("%w: it was not sent in time", ErrRefused)
	}
	plain, err := o.options.Sealer.Open(place(row.MailID), row.Sealed)
	if errors.Is(err, seal.ErrUnknownKey) {
		return err // a replica that has the key may send it
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	d := Delivery{ID: row.MailID, Written: row.CreatedAt.UTC()}
	if err := json.Unmarshal(plain, &d.Message); err != nil {
		return fmt.Errorf("%w: it can't be read", ErrRefused) // the cause would show some of it
	}
	ctx, cancel := context.WithTimeout(ctx, sendMax)
	defer cancel()
	return o.options.Sender.Send(ctx, d)
}

// retryPause is how long to wait after so many tries: doubled each time, and up
// to a tenth more, so that what failed together doesn't come back together.
func retryPause(attempts int32) time.Duration {
	pause := lastRetry
	if attempts < 8 {
		pause = min(firstRetry<<max(attempts-1, 0), lastRetry)
	}
	return pause + rand.N(pause/10) //nolint:gosec // not a secret
}
