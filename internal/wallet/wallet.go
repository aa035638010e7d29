// Package wallet is what a user does with his own money: he opens accounts, pays
// in and out by a bank account of his, pays others, and sees what happened.
//
// It guarantees that a user reads and moves his own accounts alone (by the
// ledger's reach, where the data is read); that risk rules judge what leaves them;
// that nothing is booked without the bank's yes, and no yes is lost: payments that
// the bank or a reviewer has a say in are on record before either is asked, and
// any replica finishes them (settle.go). The same request under the same key is
// done once.
//
// Who the caller is, and whether he may, is decided before.
package wallet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
	"florin/internal/platform/ratelimit"
	"florin/internal/risk"
	"florin/internal/wallet/internal/walletdb"
)

// Options configure Wallets. Zero values mean the defaults named.
type Options struct {
	// OpenAccountsMax is how many accounts a user may have that are not closed.
	// Default 20.
	OpenAccountsMax int
	// PendingMax is how many payments a user may have under way. Default 50.
	PendingMax int
	// BankTimeout is how long the bank is waited for. What has no answer by then is
	// asked again later. Default 20 s.
	BankTimeout time.Duration
	// SettleInterval is how often payments are looked for that are due to be
	// finished. Default 5 s.
	SettleInterval time.Duration

	Clock clock.Clock  // default clock.System
	Log   *slog.Logger // default slog.Default()
	Audit *audit.Log   // default one of its own, on the same database
}

// Wallets are the wallets of all users. Safe for concurrent use. The ledger must
// be running (ledger.Run).
type Wallets struct {
	db      *database.DB
	queries *walletdb.Queries
	books   *ledger.Ledger // of everybody; a user's own are booksOf
	users   *identity.Users
	rules   *risk.Rules
	linked  *identity.LinkedAccounts
	bank    Bank
	audit   *audit.Log
	clock   clock.Clock
	log     *slog.Logger
	lanes   *lanes
	misses  *ratelimit.Limiter // by user: look-ups of payees that found nobody
	houses  sync.Map           // ids of the house's accounts that are known to be open

	openAccountsMax int
	pendingMax      int
	bankTimeout     time.Duration
	settleInterval  time.Duration
}

// New makes Wallets. It starts nothing: call Run.
func New(db *database.DB, l *ledger.Ledger, users *identity.Users, rules *risk.Rules, linked *identity.LinkedAccounts, bank Bank, o Options) *Wallets {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Audit == nil {
		o.Audit = audit.New(db, o.Clock)
	}
	return &Wallets{
		db: db, queries: walletdb.New(db), books: l, users: users, rules: rules, linked: linked, bank: bank,
		audit: o.Audit, clock: o.Clock, log: o.Log, lanes: newLanes(),
		misses:          ratelimit.New(o.Clock, missesTracked),
		openAccountsMax: cmp.Or(o.OpenAccountsMax, 20), pendingMax: cmp.Or(o.PendingMax, 50),
		bankTimeout:    cmp.Or(o.BankTimeout, 20*time.Second),
		settleInterval: cmp.Or(o.SettleInterval, 5*time.Second),
	}
}

// errNoUser says that the caller is no user, nor acts for one. It is a fault of
// the caller's caller: permissions of "me" are for users alone.
var errNoUser = errors.New("wallet: the principal is no user")

// booksOf are the books as the user who calls sees them. This is the only way to
// them: without a user the ledger's reach would be everything.
func (w *Wallets) booksOf(p identity.Principal) (*ledger.Ledger, error) {
	if p.UserID == "" {
		return nil, errNoUser
	}
	return w.books.As(p.UserID), nil
}

// idOf is what a request's key stands for: nobody else's and of no other kind of
// request. Without a key it is random.
func idOf(prefix, userID, key string) string {
	if key == "" {
		return id.New(prefix)
	}
	const length = 26 // 130 bits, as of random ids
	sum := sha256.Sum256(joined(prefix, userID, key))
	return prefix + "_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))[:length]
}

// joined writes parts so that no two lists of them read alike.
func joined(parts ...string) []byte {
	var text []byte
	for _, part := range parts {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}

const keyLengthMax = 255

func checkKey(key string) error {
	if len(key) > keyLengthMax {
		return invalid("key", "must have at most %d bytes", keyLengthMax)
	}
	return nil
}

// stepMax bounds what is done in one go after a request was understood.
const stepMax = 30 * time.Second

// detached goes on when the caller hangs up. A payment that risk has judged is
// done or refused, never left: otherwise one could gather judgements made before
// any of the payments counted.
func (w *Wallets) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), stepMax+w.bankTimeout)
}

// house sees to it that one of the house's own accounts is open.
func (w *Wallets) house(ctx context.Context, account houseAccount) error {
	if _, known := w.houses.Load(account.id); known {
		return nil
	}
	if _, err := w.books.OpenHouse(ctx, account.id, account.kind, account.currency); err != nil {
		return err
	}
	w.houses.Store(account.id, true)
	return nil
}
