package ledger

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/money"
)

// Work is what another module does in the transaction of a batch: it reads rows of
// its own, decides, moves money and writes its rows. All of it is committed
// together or none; other callers' transfers share the transaction, and hot
// accounts so cost it no more than them.
//
// The executor may run a work more than once, each time from Accounts on: after a
// conflict, and when it is not known whether a commit was applied. Load then finds
// what the run before left in the database, if it left anything; Decide forgets
// what an earlier run thought of. No method is called by two goroutines at once, and
// no two works share a transaction: what Load read is still so in Decide.
type Work interface {
	// Size is how much of a batch it takes: about how many transfers it may make,
	// at least 1.
	Size() int
	// Accounts are the ids of all accounts that Decide may move money between.
	Accounts() []string
	// Load queues the statements that read, and lock where others may write, the
	// module's rows. They run after the accounts are locked, so that the order of
	// locks is the same in every transaction.
	Load(batch *pgx.Batch)
	// Decide moves money in memory. It does no I/O.
	Decide(m *Mover)
	// Save queues the statements that write the module's rows. A violation of a
	// unique constraint runs the transaction again, for Load to see who was first.
	Save(batch *pgx.Batch) error
}

// Do runs a work and returns when it is committed. An error is one of the
// infrastructure, such as ErrOverloaded, or of the work's own statements: nothing
// was applied then, unless it is ErrCommitUnknown. A second call does the work again:
// what must happen once is guarded by the work's own rows.
//
// When ctx ends first the work is done all the same, and goes on using what it was
// made of.
func (l *Ledger) Do(ctx context.Context, w Work) error {
	u := l.unit(ctx, []command{joined{w}}, make([]Result, 1))
	u.reach = "" // what the caller may is the module's to say
	if err := l.executor.do(ctx, u); err != nil {
		return err
	}
	return u.err
}

// joined is a work as a command.
type joined struct{ work Work }

func (j joined) size() int { return max(1, j.work.Size()) }

func (j joined) keys(k *keys) {
	for _, id := range j.work.Accounts() {
		k.account(id)
	}
	k.loads = append(k.loads, j.work.Load)
}

func (j joined) apply(b *book) Result {
	b.saves = append(b.saves, j.work.Save)
	b.isWork = true
	j.work.Decide(&Mover{b})
	b.isWork = false
	return Result{}
}

// Mover moves money for a Work. It is valid during Decide.
type Mover struct{ book *book }

// Movement is a transfer that a Work makes.
type Movement struct {
	// ID is new, and never a caller's: it begins with "house:". The work's own rows
	// see to it that it is made once.
	ID                   string
	SourceAccountID      string
	DestinationAccountID string
	Amount               decimal.Decimal // above zero, with the currency's decimals
	Currency             money.Currency
	Description          string
	Metadata             json.RawMessage // nil or a JSON object
}

// Move books transfers, all of them or none. A *Failure says why a rule refused one,
// as for Transfer; nothing is recorded of them then. The failed transfer of a caller
// leaves a row; of what a work did not do, its own rows tell.
func (m *Mover) Move(movements ...Movement) error {
	b := m.book
	if len(movements) > 1 {
		b.undo = make([]func(), 0, 4*len(movements))
		defer func() { b.undo = nil }()
	}
	transfers := make([]Transfer, len(movements))
	for i, v := range movements {
		transfers[i] = Transfer{
			ID: v.ID, Kind: KindTransfer, SourceAccountID: v.SourceAccountID, DestinationAccountID: v.DestinationAccountID,
			Amount: v.Amount, Currency: v.Currency, Description: v.Description, Metadata: v.Metadata, CreatedAt: b.now,
		}
		if failure := b.post(&transfers[i], guardFunds, nil); failure != nil {
			b.takeBack()
			return failure
		}
	}
	for i, v := range movements {
		b.keep(transfers[i], requestHash("work", v.SourceAccountID, v.DestinationAccountID, plain(v.Amount), string(v.Currency)))
	}
	return nil
}

// Available is what an account can pay now, after what was moved before; none for
// one without limit. A *Failure says that it can't pay: it is not there, frozen or
// closed.
func (m *Mover) Available(accountID string) (decimal.NullDecimal, error) {
	account, failure := m.book.account(accountID)
	if failure == nil {
		failure = account.usable()
	}
	if failure != nil {
		return decimal.NullDecimal{}, failure
	}
	return account.Available(), nil
}

// Now is the time of what is done: the same as of its postings, or earlier.
func (m *Mover) Now() time.Time { return m.book.now }

// Note adds an event to the audit trail, from whoever asked for the work; none for
// what the program does of its own accord.
func (m *Mover) Note(e audit.Event) {
	if m.book.origin != nil {
		m.book.note(e.Action, e.TargetKind, e.TargetID, e.Before, e.After, audit.OK)
	}
}

// NoteAs is Note from somebody else: of a work that is made of many requests, each
// has its own origin.
func (m *Mover) NoteAs(origin audit.Origin, e audit.Event) {
	b := m.book
	asked := b.origin
	b.origin = &origin
	b.note(e.Action, e.TargetKind, e.TargetID, e.Before, e.After, audit.OK)
	b.origin = asked
}

// ProgramPrefix begins the ids of house accounts that a Work alone moves money
// of: whatever a caller asks, they are not his to use, so that what the work's
// module says of them stays true.
const ProgramPrefix = housePrefix + "program:"

func isProgramID(accountID string) bool { return strings.HasPrefix(accountID, ProgramPrefix) }
