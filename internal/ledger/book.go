package ledger

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/money"
)

// command is one thing to do to the books: it names what it needs to know, and
// decides. Both are pure; the executor does the I/O around them.
type command interface {
	keys(*keys)
	apply(*book) Result
}

// Result is a command's own outcome; which field is set depends on the command.
// Err is a *Failure when a rule refused it; the Transfer that records the
// refusal, if there is one, is set beside it.
type Result struct {
	Transfer *Transfer
	Account  *Account
	Hold     *Hold
	Err      error
}

func failed(f *Failure) Result { return Result{Err: f} }

// book is the working set of one batch: what the database said about the
// accounts, transfers and holds concerned, changed in memory by one command
// after the other, and the rows to write in the end.
type book struct {
	now       time.Time
	accounts  map[string]*accountEntry
	transfers map[string]*transferEntry
	holds     map[string]*holdEntry
	reversals map[string]string // id of the reversed transfer -> of its reversal
	// knowsIDs says that an id which is not in transfers is new. Otherwise it
	// probably is, and inserting it finds out.
	knowsIDs bool
	// isUnsure says that a decision hangs on an id being new, and is not inserted.
	isUnsure bool

	// reach is the owner whose accounts alone the unit at hand may move and change;
	// "" for all. origin is who it is from; nil when nobody has to be noted.
	reach  string
	origin *audit.Origin

	changedAccounts  []*accountEntry
	changedTransfers []*transferEntry
	changedHolds     []*holdEntry
	postings         []Posting
	events           []audit.Event

	// isWork says that the command at hand is a Work; saves are theirs.
	isWork bool
	saves  []func(*pgx.Batch) error

	// undo takes back the changes of an atomic group, newest last; nil outside one.
	undo []func()
}

type accountEntry struct {
	Account
	openingHash []byte
	isNew       bool
	isChanged   bool
	hasNewTerms bool
}

func (e *accountEntry) result() Result {
	account := e.Account // later commands of the batch change the entry
	account.Metadata = fromJSONB(account.Metadata)
	return Result{Account: &account}
}

type transferEntry struct {
	Transfer
	hash []byte
	// homeRegion is where its row lives, if not where the source account does as
	// far as the batch knows.
	homeRegion string
	// roleLimits are those that an accepted transfer is executed under.
	roleLimits *Limits
	isNew      bool
	isChanged  bool
}

// replay answers a request whose id is known. done is false for a transfer that
// is accepted and not executed yet.
func (e *transferEntry) replay(hash []byte) (result Result, done bool) {
	if string(e.hash) != string(hash) {
		return failed(duplicateTransaction(e.ID)), true
	}
	return e.result(), e.Status.IsFinal()
}

func (e *transferEntry) result() Result {
	transfer := e.Transfer
	if transfer.Failure != nil {
		return Result{Transfer: &transfer, Err: transfer.Failure}
	}
	return Result{Transfer: &transfer}
}

type holdEntry struct {
	Hold
	hash      []byte
	isNew     bool
	isChanged bool
}

func (e *holdEntry) result() Result {
	hold := e.Hold
	return Result{Hold: &hold}
}

// apply runs one unit of work: a command, or several that stand or fall together.
func (b *book) apply(u *unit) {
	b.reach, b.origin = u.reach, u.origin
	if len(u.commands) == 1 {
		u.results[0] = u.commands[0].apply(b)
		return
	}
	b.undo = make([]func(), 0, 8*len(u.commands))
	events := len(b.events)
	broken := -1
	for i, c := range u.commands {
		if u.results[i] = c.apply(b); u.results[i].Err != nil {
			broken = i
			break
		}
	}
	if broken < 0 {
		b.undo = nil
		return
	}
	b.takeBack()
	b.events = b.events[:events]
	aborted := BatchAborted.Failure("not executed, because item %d of its atomic batch failed", broken)
	var why *Failure
	if !errors.As(u.results[broken].Err, &why) {
		why = aborted // cannot be: a command of a group fails by a rule only
	}
	for i, c := range u.commands {
		reason := aborted
		if i == broken {
			reason = why
		}
		u.results[i] = c.(groupable).abort(b, reason)
	}
}

// takeBack undoes what was done since undo was begun, and ends it.
func (b *book) takeBack() {
	undo := b.undo
	b.undo = nil
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

// groupable is a command that can stand in an atomic group.
type groupable interface {
	command
	// abort records that the command was not executed and why.
	abort(b *book, why *Failure) Result
}

// onUndo notes how to take back a change that is about to be made. Outside an
// atomic group, where undo is nil, nobody calls it: the closure and what it
// keeps are not free.
func (b *book) onUndo(f func()) { b.undo = append(b.undo, f) }

func (b *book) account(id string) (*accountEntry, *Failure) {
	if entry := b.accounts[id]; entry != nil {
		return entry, nil
	}
	return nil, accountNotFound(id)
}

// pair finds two accounts that money may move between. currency may be empty.
//
// What is wrong with an account that whoever asks does not reach is not told him: it
// is not found. The source comes with that failure, for the caller to say first what
// is wrong on its side: otherwise a payment that can't be made would tell which
// accounts there are.
func (b *book) pair(sourceID, destinationID string, currency money.Currency) (source, destination *accountEntry, failure *Failure) {
	if sourceID == destinationID {
		return nil, nil, SameAccount.Failure("source and destination are both %s", sourceID)
	}
	for _, id := range []string{sourceID, destinationID} {
		if isProgramID(id) && !b.isWork {
			return nil, nil, AccountReserved.Failure("account %s is moved by the program alone", id)
		}
	}
	if source, failure = b.account(sourceID); failure != nil {
		return nil, nil, failure
	}
	if b.reaches(sourceID) && !b.reaches(destinationID) {
		return b.pairWithStranger(source, destinationID, currency)
	}
	if destination, failure = b.account(destinationID); failure != nil {
		return nil, nil, failure
	}
	if failure = source.usable(); failure != nil {
		return nil, nil, failure
	}
	if failure = destination.usable(); failure != nil {
		return nil, nil, failure
	}
	if currency == "" {
		currency = source.Currency
	}
	if source.Currency != currency || destination.Currency != currency {
		return nil, nil, CurrencyMismatch.Failure("%s is in %s, %s is in %s, the request in %s",
			sourceID, source.Currency, destinationID, destination.Currency, currency)
	}
	return source, destination, nil
}

func (b *book) pairWithStranger(source *accountEntry, destinationID string, currency money.Currency) (from, to *accountEntry, failure *Failure) {
	if failure := source.usable(); failure != nil {
		return nil, nil, failure
	}
	if currency != "" && currency != source.Currency {
		return nil, nil, CurrencyMismatch.Failure("%s is in %s, the request in %s", source.ID, source.Currency, currency)
	}
	destination := b.accounts[destinationID]
	if destination == nil || destination.usable() != nil || destination.Currency != source.Currency {
		return source, nil, accountNotFound(destinationID)
	}
	return source, destination, nil
}

// guard says what is asked of the source's funds.
type guard int

const (
	guardFunds   guard = iota // they must be available
	guardNothing              // forced: they may go below zero
)

// post moves the transfer's amount and completes it, or changes nothing and says
// why not. role are the limits of whoever asks; nil for none.
func (b *book) post(t *Transfer, g guard, role *Limits) *Failure {
	source, destination, notFound := b.pair(t.SourceAccountID, t.DestinationAccountID, t.Currency)
	if source == nil {
		return notFound
	}
	t.Currency = source.Currency
	if err := money.Check(t.Amount, t.Currency); err != nil {
		return InvalidAmount.Failure("%v", err)
	}
	if g == guardFunds && !source.canPay(t.Amount) {
		return insufficientFunds(source, t.Amount)
	}
	isSpending := t.Kind == KindTransfer && !b.isWork
	if isSpending {
		if failure := source.overLimit(t.Amount, role, b.timeFor(source)); failure != nil {
			return failure
		}
	}
	if notFound != nil {
		return notFound
	}
	at := b.timeFor(source, destination)
	if failure := b.move(t, source, destination, source.Held, g, at); failure != nil {
		return failure
	}
	if isSpending {
		source.spend(t.Amount, at)
	}
	return nil
}

// postHeld moves the transfer's amount out of what is held for it, and releases
// all of the hold.
func (b *book) postHeld(t *Transfer, hold *Hold) *Failure {
	source, destination, failure := b.pair(t.SourceAccountID, t.DestinationAccountID, t.Currency)
	if failure != nil {
		return failure
	}
	at := b.timeFor(source, destination)
	if failure := b.move(t, source, destination, source.Held.Sub(hold.Amount), guardFunds, at); failure != nil {
		return failure
	}
	source.giveBack(hold.Amount.Sub(t.Amount), hold.CreatedAt)
	return nil
}

// move books both legs. Their time is not before either account's last change,
// so that in every account the order of time is the order of seq.
func (b *book) move(t *Transfer, source, destination *accountEntry, sourceHeld decimal.Decimal, g guard, at time.Time) *Failure {
	debited, credited := source.Posted.Sub(t.Amount), destination.Posted.Add(t.Amount)
	var shortfall decimal.Decimal
	if g == guardNothing && source.OverdraftLimit.Valid {
		shortfall = decimal.Max(decimal.Zero, sourceHeld.Sub(debited).Sub(source.OverdraftLimit.Decimal))
	}
	if debited.Abs().GreaterThanOrEqual(money.Limit) || shortfall.GreaterThanOrEqual(money.Limit) {
		return balanceLimitExceeded(source)
	}
	if credited.Abs().GreaterThanOrEqual(money.Limit) {
		return balanceLimitExceeded(destination)
	}
	if b.undo != nil {
		n := len(b.postings)
		b.onUndo(func() { b.postings = b.postings[:n] })
	}
	b.leg(t, source, t.Amount.Neg(), debited, sourceHeld, at)
	if g == guardNothing {
		source.Shortfall = shortfall
	}
	b.leg(t, destination, t.Amount, credited, destination.Held, at)
	t.SourceSeq, t.DestinationSeq = source.Postings, destination.Postings
	t.Status, t.FinishedAt = Completed, &at
	return nil
}

func (b *book) leg(t *Transfer, account *accountEntry, amount, posted, held decimal.Decimal, at time.Time) {
	b.change(account, posted, held, at)
	account.Postings++
	b.postings = append(b.postings, Posting{
		AccountID: account.ID, Seq: account.Postings, TransferID: t.ID,
		Amount: amount, Balance: posted, Currency: account.Currency, CreatedAt: at,
	})
}

func (b *book) timeFor(accounts ...*accountEntry) time.Time {
	at := b.now
	for _, account := range accounts {
		if account.UpdatedAt.After(at) {
			at = account.UpdatedAt
		}
	}
	return at
}

// change sets an account's balances.
func (b *book) change(account *accountEntry, posted, held decimal.Decimal, at time.Time) {
	if b.undo != nil {
		before := account.Account
		b.onUndo(func() { account.Account = before })
	}
	account.Posted, account.Held = posted, held
	b.touch(account, at)
}

// changeTerms sets what is not a balance.
func (b *book) changeTerms(account *accountEntry, to Account) {
	account.Account = to
	account.hasNewTerms = true
	b.touch(account, b.timeFor(account))
}

// touch counts a change of an account. A shortfall shrinks with every
// improvement, and grows by force alone: that is what makes the database's CHECK
// on available funds a guard against this program's own errors.
func (b *book) touch(account *accountEntry, at time.Time) {
	if account.Shortfall.IsPositive() {
		short := decimal.Zero
		if available := account.Available(); available.Valid {
			short = decimal.Max(decimal.Zero, available.Decimal.Neg())
		}
		account.Shortfall = decimal.Min(account.Shortfall, short)
	}
	account.Version++
	account.UpdatedAt = at
	if !account.isChanged {
		account.isChanged = true
		b.changedAccounts = append(b.changedAccounts, account)
	}
}

// open adds a new account.
func (b *book) open(account Account, openingHash []byte) *accountEntry {
	account.Status, account.CreatedAt, account.UpdatedAt = Active, b.now, b.now
	entry := &accountEntry{Account: account, openingHash: openingHash, isNew: true}
	b.accounts[account.ID] = entry
	b.touch(entry, b.now)
	return entry
}

// forget takes back an account opened by this batch.
func (b *book) forget(id string) {
	entry := b.accounts[id]
	delete(b.accounts, id)
	for i, changed := range b.changedAccounts {
		if changed == entry {
			b.changedAccounts = append(b.changedAccounts[:i], b.changedAccounts[i+1:]...)
			return
		}
	}
}

// record keeps a transfer as it now is: a new one, or the end of an accepted one.
func (b *book) record(t Transfer, hash []byte) Result {
	entry := b.transfers[t.ID]
	if entry == nil {
		entry = &transferEntry{hash: hash, isNew: true}
		b.transfers[t.ID] = entry
		if b.undo != nil {
			b.onUndo(func() { delete(b.transfers, t.ID) })
		}
	}
	if b.undo != nil {
		before, n := *entry, len(b.changedTransfers)
		b.onUndo(func() { *entry, b.changedTransfers = before, b.changedTransfers[:n] })
	}
	entry.Transfer = t
	b.mark(entry)
	if t.Kind == KindReversal && t.Status == Completed {
		b.reversals[t.ReversesID] = t.ID
	}
	b.noteTransfer(&entry.Transfer)
	return entry.result()
}

// keep records a work's transfer, whose id is new. What is said of it on the trail
// is the work's to say.
func (b *book) keep(t Transfer, hash []byte) {
	entry := &transferEntry{Transfer: t, hash: hash, isNew: true}
	b.transfers[t.ID] = entry
	b.mark(entry)
}

func (b *book) mark(entry *transferEntry) {
	if !entry.isChanged { // once, also when accepted and executed in one batch
		entry.isChanged = true
		b.changedTransfers = append(b.changedTransfers, entry)
	}
}

// fail records a transfer that a rule refused.
func (b *book) fail(t Transfer, hash []byte, failure *Failure) Result {
	now := b.now
	t.Status, t.Failure, t.FinishedAt = Failed, failure, &now
	return b.record(t, hash)
}

// place adds a new hold.
func (b *book) place(hold Hold, hash []byte) *holdEntry {
	entry := &holdEntry{Hold: hold, hash: hash, isNew: true}
	b.holds[hold.ID] = entry
	b.markHold(entry)
	b.noteHold(&entry.Hold)
	return entry
}

func (b *book) changeHold(entry *holdEntry, to Hold, at time.Time) {
	to.UpdatedAt = at
	entry.Hold = to
	b.markHold(entry)
	b.noteHold(&entry.Hold)
}

func (b *book) markHold(entry *holdEntry) {
	if !entry.isChanged {
		entry.isChanged = true
		b.changedHolds = append(b.changedHolds, entry)
	}
}

func balanceLimitExceeded(account *accountEntry) *Failure {
	return BalanceLimitExceeded.Failure("the balance of %s would have more than %d digits before the point", account.ID, money.MaxIntegerDigits)
}

func insufficientFunds(account *accountEntry, amount decimal.Decimal) *Failure {
	return InsufficientFunds.Failure("account %s has %s available, less than %s", account.ID,
		money.Format(account.Available().Decimal, account.Currency), money.Format(amount, account.Currency))
}
