// Package ledger is the double-entry books: accounts, transfers, postings and
// holds. It is the only writer of balances.
//
// Every change goes through one executor a process (executor.go), which runs
// many commands in one SERIALIZABLE transaction: it locks the batch's accounts
// in the order of their ids (a hot one first on CockroachDB), decides in memory (book.go, pure), and writes what
// changed. What it guarantees, whatever the number of replicas: the postings of
// a transfer sum to zero; an account's balance is the sum of its postings and
// its last running balance; seq has no gap; available funds do not go below
// zero unless an operator forces it; a transfer id has one outcome for ever.
//
// It keeps owners apart (As), bounds what is paid (Limits) and has what people and
// programs change recorded on the audit trail, in the same transaction. Who may do
// what, which limits a role has, and fees are left to others.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/audit"
	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Options configure a Ledger. Zero values mean the defaults named.
type Options struct {
	// Workers is how many batches run at once. One is best on one machine,
	// where a second mostly makes conflicts (docs/adr/0003). Default 1.
	Workers int
	// BatchMax is how many commands one transaction takes. Default 1000.
	BatchMax int
	// QueueMax is how many commands may wait before callers get ErrOverloaded.
	// Default 20,000, which holds two of the largest batches.
	QueueMax int
	// SweepInterval is how often accepted transfers are looked for that nobody
	// here was told of, such as those of a replica that died. Default 60 s.
	SweepInterval time.Duration
	// ExpiryInterval is how often holds are looked for whose time has come.
	// Default 1 s.
	ExpiryInterval time.Duration
	// ActivityInterval is how often what was executed here is added to what all
	// replicas have (Activity). Default 5 s.
	ActivityInterval time.Duration
	// ProofInterval is how often one replica of all proves that the accounts balance
	// (ProveBalances). Default 10 min.
	ProofInterval time.Duration

	// HomeRegion is where accounts live that are opened without a region of
	// their own, in a database that has regions. Default: the region that the
	// connections lead to.
	HomeRegion string

	Clock    clock.Clock           // default clock.System
	Log      *slog.Logger          // default slog.Default()
	Registry prometheus.Registerer // default: metrics are kept to itself
}

// Ledger is the books in one database. Its methods are safe for concurrent use;
// those that write need Run to be running.
type Ledger struct {
	View // of the newest

	reads    *database.DB
	clock    clock.Clock
	log      *slog.Logger
	executor *executor
	metrics  *metrics

	homeRegion       string
	replica          string // owner of this process's leases
	since            time.Time
	sweepInterval    time.Duration
	expiryInterval   time.Duration
	activityInterval time.Duration
	proofInterval    time.Duration
	accepted         chan struct{} // told when a transfer was accepted here
}

// New makes a Ledger that reads through one pool and writes through another:
// writes wants plans pinned (database.PlansPinned). They may be the same pool.
// It starts nothing: call Run.
func New(reads, writes *database.DB, o Options) *Ledger {
	o.Workers = cmp.Or(o.Workers, 1)
	o.BatchMax = cmp.Or(o.BatchMax, 1000)
	o.QueueMax = cmp.Or(o.QueueMax, 2*MaxBatch)
	o.SweepInterval = cmp.Or(o.SweepInterval, time.Minute)
	o.ExpiryInterval = cmp.Or(o.ExpiryInterval, time.Second)
	o.ActivityInterval = cmp.Or(o.ActivityInterval, 5*time.Second)
	o.ProofInterval = cmp.Or(o.ProofInterval, 10*time.Minute)
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	m := newMetrics(o.Registry)
	replica := id.New("replica")
	l := &Ledger{
		View: View{queries: ledgerdb.New(reads)}, reads: reads, clock: o.Clock, log: o.Log, metrics: m,
		executor:   newExecutor(writes, o.Clock, o, m, newActivity(o.Clock, replica)),
		homeRegion: o.HomeRegion,
		replica:    replica, since: o.Clock(),
		sweepInterval: o.SweepInterval, expiryInterval: o.ExpiryInterval,
		activityInterval: o.ActivityInterval, proofInterval: o.ProofInterval,
		accepted: make(chan struct{}, 1),
	}
	m.watchQueue(o.Registry, func() float64 { return float64(l.executor.waiting.Load()) })
	return l
}

// Run executes until ctx ends, then finishes what was taken: it returns when
// every caller has its answer. Accepted transfers that are not begun by then
// stay in the database for the next replica.
func (l *Ledger) Run(ctx context.Context) {
	executorCtx, stopExecutor := context.WithCancel(context.WithoutCancel(ctx))
	activityCtx, stopActivity := context.WithCancel(context.WithoutCancel(ctx))
	var executor, background, activity sync.WaitGroup
	executor.Go(func() { l.executor.run(executorCtx) })
	activity.Go(func() { l.keepActivity(activityCtx) })
	background.Go(func() { l.executeAccepted(ctx) })
	background.Go(func() { l.expireHolds(ctx) })
	background.Go(func() { l.takeTurns(ctx) })
	// The background parts hand their last work to the executor, so it ends last.
	background.Wait()
	stopExecutor()
	executor.Wait()
	stopActivity()
	activity.Wait()
}

// do runs one command through the executor.
func (l *Ledger) do(ctx context.Context, c command) (Result, error) {
	u := l.unit(ctx, []command{c}, make([]Result, 1))
	if err := l.executor.do(ctx, u); err != nil {
		return Result{}, err
	}
	if u.err != nil {
		return Result{}, u.err
	}
	return u.results[0], u.results[0].Err
}

// unit is what the caller behind ctx asks for.
func (l *Ledger) unit(ctx context.Context, commands []command, results []Result) *unit {
	u := &unit{commands: commands, results: results, reach: l.reach}
	if origin, found := audit.From(ctx); found {
		u.origin = &origin
	}
	return u
}

// newUnit is what the ledger does of its own accord.
func newUnit(commands ...command) *unit {
	return &unit{commands: commands, results: make([]Result, len(commands))}
}

// OpenAccount opens an account, and books its balance as a transfer from the
// house's opening account. Returns AccountExists when the id is taken, also by a
// closed account, and InvalidInput. A second call is a second request for the
// same id, unless both carry the same IdempotencyKey and content: then the
// account that the first opened is returned as it is now.
func (l *Ledger) OpenAccount(ctx context.Context, o OpenAccount) (Account, error) {
	o.ID = cmp.Or(o.ID, id.New("acc"))
	if l.reach != "" {
		o.OwnerID = l.reach
		if err := o.byOwner(); err != nil {
			return Account{}, err
		}
	}
	if err := o.validate(); err != nil {
		return Account{}, err
	}
	o.openingTransferID = id.New("opn")
	// Random, so that only a re-run of this very call finds "its" account.
	o.openingHash = requestHash(id.New("open"))
	if o.IdempotencyKey != "" {
		limit := "none"
		if o.OverdraftLimit.Valid {
			limit = plain(o.OverdraftLimit.Decimal)
		}
		o.openingHash = requestHash("open", o.IdempotencyKey, o.ID, string(o.Type), string(o.Currency), plain(o.Balance),
			limit, string(o.Metadata))
		if o.OwnerID != "" {
			o.openingHash = requestHash(string(o.openingHash), "owner", o.OwnerID)
		}
		if o.HomeRegion != "" { // as asked for: the default may be another at the next call
			o.openingHash = requestHash(string(o.openingHash), o.HomeRegion)
		}
	}
	if err := l.home(ctx, &o); err != nil {
		return Account{}, err
	}
	return l.account(ctx, &o)
}

// home sees to an account's region: one that the database has, if it has any. An
// account stays where it is opened, so none is chosen in place of this replica's.
func (l *Ledger) home(ctx context.Context, o *OpenAccount) error {
	regions, here, err := l.reads.Regions(ctx)
	switch {
	case err != nil:
		return err
	case len(regions) == 0 && o.HomeRegion != "":
		return invalid("homeRegion", "must be absent: this database has no regions")
	case len(regions) == 0:
		return nil
	}
	wanted := cmp.Or(o.HomeRegion, l.homeRegion, here)
	if !slices.Contains(regions, wanted) {
		if o.HomeRegion == "" {
			return invalid("homeRegion", "must be given, one of %s: this server's region %q is none of the database's", strings.Join(regions, ", "), wanted)
		}
		return invalid("homeRegion", "must be one of %s", strings.Join(regions, ", "))
	}
	o.HomeRegion = wanted
	return nil
}

// homeOf is where the rows of an account live; nowhere in particular when there
// is no such account.
func (l *Ledger) homeOf(ctx context.Context, accountID string) (string, error) {
	regions, _, err := l.reads.Regions(ctx)
	if err != nil || len(regions) == 0 {
		return "", err
	}
	account, err := l.Account(ctx, accountID)
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return "", nil // AccountNotFound
	}
	return account.HomeRegion, err
}

// UpdateAccount changes an account's terms. Returns AccountNotFound,
// AccountReserved for the ledger's own accounts, AccountClosed, OverdraftInUse and InvalidInput. A second call changes nothing
// but the version.
func (l *Ledger) UpdateAccount(ctx context.Context, u UpdateAccount) (Account, error) {
	if err := u.validate(); err != nil {
		return Account{}, err
	}
	if l.reach != "" {
		if err := u.byOwner(); err != nil {
			return Account{}, err
		}
	}
	if !id.IsPossible(u.ID) {
		return Account{}, AccountNotFound.Failure("there is no account %q", u.ID)
	}
	return l.account(ctx, &u)
}

// CloseAccount closes an account for good. Returns AccountNotFound,
// AccountReserved for the ledger's own accounts, and AccountNotEmpty while anything is posted or held. A second call returns the
// closed account.
func (l *Ledger) CloseAccount(ctx context.Context, accountID string) (Account, error) {
	if !id.IsPossible(accountID) {
		return Account{}, AccountNotFound.Failure("there is no account %q", accountID)
	}
	return l.account(ctx, &CloseAccount{ID: accountID})
}

func (l *Ledger) account(ctx context.Context, c command) (Account, error) {
	result, err := l.do(ctx, c)
	if err != nil {
		return Account{}, err
	}
	return *result.Account, nil
}

// Transfer moves money now, within the limits of the account and of whoever asks
// (Limits). A rule's refusal is a *Failure, and the transfer
// returned beside it records it (it has no ID when nothing could be recorded,
// which is so for DuplicateTransaction). The same request again returns the first
// outcome, success or failure.
func (l *Ledger) Transfer(ctx context.Context, r TransferRequest) (Transfer, error) {
	if err := r.validate(""); err != nil {
		return Transfer{}, err
	}
	return l.transfer(ctx, &r)
}

func (l *Ledger) transfer(ctx context.Context, c command) (Transfer, error) {
	result, err := l.do(ctx, c)
	if result.Transfer == nil {
		return Transfer{}, err
	}
	return *result.Transfer, err
}

// TransferBatch moves money now, up to MaxBatch transfers, and returns one
// result a request, in order. When atomic, all are done in one transaction or
// none: the one that broke it has its own failure, the others BatchAborted.
// Otherwise each succeeds or fails alone. Returns InvalidInput, and nothing is
// stored, when any request makes no sense.
//
// The error is one of the infrastructure, such as ErrOverloaded. Some transfers
// may then be done: the same call again finishes the rest.
func (l *Ledger) TransferBatch(ctx context.Context, requests []TransferRequest, atomic bool) ([]Result, error) {
	if len(requests) == 0 || len(requests) > MaxBatch {
		return nil, invalid("transfers", "must have 1 to %d items, has %d", MaxBatch, len(requests))
	}
	requests = slices.Clone(requests) // the executor may keep them longer than the caller waits
	if err := validateAll(requests); err != nil {
		return nil, err
	}
	commands := make([]command, len(requests))
	for i := range requests {
		requests[i].isOneOfMany = true
		commands[i] = &requests[i]
	}
	results := make([]Result, len(requests))
	var units []*unit
	if atomic {
		units = []*unit{l.unit(ctx, commands, results)}
	} else {
		units = make([]*unit, len(requests))
		for i := range requests {
			units[i] = l.unit(ctx, commands[i:i+1], results[i:i+1])
		}
	}
	if err := l.executor.do(ctx, units...); err != nil {
		return nil, err
	}
	for _, u := range units {
		if u.err != nil {
			return nil, u.err
		}
	}
	return results, nil
}

// validateAll gathers the problems of all requests, up to a readable number.
func validateAll(requests []TransferRequest) error {
	const problemsMax = 20
	var all fields
	for i := range requests {
		if err := requests[i].validate(batchPrefix(i)); err != nil {
			all.join(err)
		}
		if len(all.problems) >= problemsMax {
			break
		}
	}
	return all.err()
}

// Accept stores a transfer to be executed in the background: when it returns,
// the transfer will be executed even if this process dies. The same request
// again returns the transfer as it is now; another one under the same id is
// DuplicateTransaction.
func (l *Ledger) Accept(ctx context.Context, r TransferRequest) (Transfer, error) {
	if err := r.validate(""); err != nil {
		return Transfer{}, err
	}
	var err error
	if r.sourceHome, err = l.homeOf(ctx, r.SourceAccountID); err != nil {
		return Transfer{}, err
	}
	result, err := l.do(ctx, acceptance{&r})
	if err != nil {
		return Transfer{}, err
	}
	l.announceAccepted()
	return *result.Transfer, nil
}

// Reverse moves a completed transfer's amount back, once. Returns
// TransactionNotFound, TransactionNotCompleted, AlreadyReversed, and
// InsufficientFunds when the money is gone and it is not forced.
func (l *Ledger) Reverse(ctx context.Context, r Reversal) (Transfer, error) {
	r.ID = cmp.Or(r.ID, id.New("rev"))
	if err := r.validate(); err != nil {
		return Transfer{}, err
	}
	if l.reach != "" && r.Force {
		return Transfer{}, invalid("force", "can't be used by the accounts' owner")
	}
	target, err := l.TransferByID(ctx, r.TargetID)
	if err != nil {
		return Transfer{}, err
	}
	r.target = target
	return l.transfer(ctx, &r)
}

// PlaceHold reserves money. The same request again returns the hold as it is now.
// Returns what Transfer returns; a refusal leaves nothing behind.
func (l *Ledger) PlaceHold(ctx context.Context, r HoldRequest) (Hold, error) {
	r.ID = cmp.Or(r.ID, id.New("hold"))
	if err := r.validate(); err != nil {
		return Hold{}, err
	}
	return l.hold(ctx, &r)
}

func (l *Ledger) hold(ctx context.Context, c command) (Hold, error) {
	result, err := l.do(ctx, c)
	if err != nil {
		return Hold{}, err
	}
	return *result.Hold, nil
}

// CaptureHold moves up to the held amount to the hold's destination and releases
// the rest. The same request again returns the first outcome. Returns
// HoldNotFound, HoldNotPending when it was captured or voided, HoldExpired, and
// AmountExceedsHold.
func (l *Ledger) CaptureHold(ctx context.Context, c Capture) (Transfer, error) {
	c.ID = cmp.Or(c.ID, id.New("cap"))
	if err := c.validate(); err != nil {
		return Transfer{}, err
	}
	hold, err := l.HoldByID(ctx, c.HoldID)
	if err != nil {
		return Transfer{}, err
	}
	c.hold = hold
	return l.transfer(ctx, &c)
}

// VoidHold releases all that is held. Voiding again returns the voided hold.
// Returns HoldNotFound, HoldNotPending when it was captured, and HoldExpired.
func (l *Ledger) VoidHold(ctx context.Context, holdID string) (Hold, error) {
	hold, err := l.HoldByID(ctx, holdID)
	if err != nil {
		return Hold{}, err
	}
	return l.hold(ctx, &release{
		holdID: holdID, sourceAccountID: hold.SourceAccountID, destinationAccountID: hold.DestinationAccountID, to: HoldVoided,
	})
}
