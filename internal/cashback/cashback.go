// Package cashback rewards purchases: it takes in what customers bought, decides by
// campaigns what they get for it, and books that.
//
// It guarantees that a purchase is on record whatever the rules make of it; that
// it, the counters it changes, its rewards and their transfers are written in one
// transaction of the ledger's executor; that no campaign gives more than its budget
// and no customer gets more than a cap, whatever comes at once; and that what it
// says of a campaign equals that campaign's accounts in the ledger, to the cent
// (Verify).
package cashback

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/cache"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Limits. They are part of the API.
const (
	MaxBatch     = 10_000 // purchases or returns of a request
	MaxLines     = 2_000  // of a purchase
	MaxCampaigns = 100    // enabled at a time; others cost nothing
	// LookbackMax is how many of a customer's newest purchases, of all merchants, a
	// return is looked for in that names none.
	LookbackMax = 1_000
	MaxPage     = 501 // rows of a list: a page of the API's, and the one that says that there is another
)

// CacheTime is how long a replica may go on with campaigns and a program that
// another one has changed. A change of a campaign that gives already counts at once,
// everywhere: nothing is given by an older version.
const CacheTime = 5 * time.Second

// Options configure New. Zero values mean the defaults named.
type Options struct {
	Clock clock.Clock  // default clock.System
	Log   *slog.Logger // default slog.Default()
	Audit *audit.Log   // takes the changes of campaigns and the rest; default one of its own, on the same database
	// SweepInterval is how often rewards are looked for that are due. Default 5 s.
	SweepInterval time.Duration
}

// Cashback is the cashback of one database. Safe for concurrent use. The ledger
// must be running (ledger.Run), and so must Run.
type Cashback struct {
	db            *database.DB
	queries       *cashbackdb.Queries
	books         *ledger.Ledger
	clock         clock.Clock
	log           *slog.Logger
	audit         *audit.Log
	sweepInterval time.Duration

	set    cache.Value[*rules.Set]
	funded fundedFigures
	intake *intake
}

// New makes a Cashback on the books. It starts nothing: call Run.
func New(db *database.DB, books *ledger.Ledger, o Options) *Cashback {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Audit == nil {
		o.Audit = audit.New(db, o.Clock)
	}
	c := &Cashback{
		db: db, queries: cashbackdb.New(db), books: books, clock: o.Clock, log: o.Log, audit: o.Audit,
		sweepInterval: cmp.Or(o.SweepInterval, 5*time.Second),
	}
	c.intake = newIntake(c)
	return c
}

// Run takes purchases in and brings rewards on their way until ctx ends; then it
// finishes what was taken.
func (c *Cashback) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { c.intake.run(ctx) })
	running.Go(func() { c.sweep(ctx) })
	running.Go(func() { c.refuseOverdue(ctx) })
	running.Wait()
}

// The house's accounts of a campaign, in its currency. They are the program's own
// (ledger.ProgramPrefix): nobody but this package moves them.

// costAccountID is what the platform spent: an EXPENSE, below zero.
func costAccountID(campaignID string) string { return ledger.ProgramPrefix + campaignID + ":cost" }

// accruedAccountID is what customers will get once it is confirmed: a LIABILITY.
func accruedAccountID(campaignID string) string {
	return ledger.ProgramPrefix + campaignID + ":accrued"
}

// confirmedAccountID is what customers are owed and not paid yet: a LIABILITY.
func confirmedAccountID(campaignID string) string {
	return ledger.ProgramPrefix + campaignID + ":confirmed"
}

// PurchaseStatus is where a purchase stands.
type PurchaseStatus string

// The statuses of purchases.
const (
	Held     PurchaseStatus = "HELD"     // the customer is not known yet
	Accepted PurchaseStatus = "ACCEPTED" // evaluated
	Returned PurchaseStatus = "RETURNED" // all of it
)

// PurchaseRequest is a purchase as it is reported. ID is the caller's, and the
// idempotency key: the same request again returns the first outcome.
type PurchaseRequest struct {
	ID         string
	MerchantID string
	CustomerID string
	Currency   money.Currency
	Country    string // free text of up to 60 characters, best ISO 3166-1 alpha-2; may be empty
	At         time.Time
	Lines      []rules.Line // 1 to MaxLines
	ClickID    string       // may be empty: the latest click that fits is found
	// PaymentReference is what a gateway calls the payment; may be empty.
	PaymentReference string
	Source           string // SourceAPI, SourceFile or a gateway's name
}

// Purchase is a purchase on record.
type Purchase struct {
	PurchaseRequest
	Amount     decimal.Decimal // sum of the lines, exact
	Returned   decimal.Decimal // of Amount
	Taken      []int64         // returned quantities, by line; nil for none
	Status     PurchaseStatus
	Evaluation *Evaluation // nil while HELD
	Rewards    []Reward    // only of one that is read alone, and of one just recorded
	RecordedBy string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Evaluation is what the rules made of a purchase, and what they knew.
type Evaluation struct {
	Program  int64           `json:"program"` // version of it
	Customer rules.Customer  `json:"customer"`
	ClickID  string          `json:"click,omitempty"` // that it was attributed to
	Findings []rules.Finding `json:"findings"`        // of the campaigns of its time, by id
}

// ReturnStatus is where a return stands.
type ReturnStatus string

// The statuses of returns.
const (
	ReturnWaiting ReturnStatus = "WAITING" // for its purchase
	ReturnApplied ReturnStatus = "APPLIED"
	ReturnRefused ReturnStatus = "REFUSED" // more than was bought
)

// ReturnRequest reports that something bought came back, or was cancelled. Lines
// with quantities, an amount, or neither: then all that is left of the purchase. ID
// is the caller's, and the idempotency key.
//
// Without a PurchaseID it names CustomerID, MerchantID and Lines with products: they
// are taken off what he bought there until At, the newest purchase first.
type ReturnRequest struct {
	ID         string
	PurchaseID string
	CustomerID string
	MerchantID string
	Lines      []ReturnedLine
	Amount     decimal.NullDecimal
	At         time.Time
	Source     string
}

// ReturnedLine names a line by its place in the purchase, from 0, or by its product.
type ReturnedLine struct {
	Line     *int   `json:"line,omitempty"`
	Product  string `json:"product,omitempty"`
	Quantity int64  `json:"quantity"` // above zero
}

// ReturnedPart is what a return was taken off.
type ReturnedPart struct {
	PurchaseID string `json:"purchaseId"`
	Line       int    `json:"line"` // -1 for an amount
	Quantity   int64  `json:"quantity,omitempty"`
	Amount     string `json:"amount"` // at the purchase's prices, exact
}

// Return is a return on record.
type Return struct {
	ReturnRequest
	Status     ReturnStatus
	Failure    *Failure // why it is REFUSED
	Parts      []ReturnedPart
	Currency   money.Currency  // of Parts and Reversed; empty until there are parts
	Reversed   decimal.Decimal // of rewards, taken back for it
	RecordedBy string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// RewardStatus is where a reward stands.
type RewardStatus string

// ACCRUED -> CONFIRMED -> PAID; REVERSED once nothing of it is left.
const (
	Accrued   RewardStatus = "ACCRUED"
	Confirmed RewardStatus = "CONFIRMED"
	Paid      RewardStatus = "PAID"
	Reversed  RewardStatus = "REVERSED"
)

// Reward is what a customer gets for a purchase by one campaign.
type Reward struct {
	ID              string // made of the purchase's and the campaign's
	PurchaseID      string
	CampaignID      string
	CampaignVersion int64
	CustomerID      string
	Currency        money.Currency
	Amount          decimal.Decimal // as granted
	MerchantAmount  decimal.Decimal // of Amount, paid by MerchantAccount
	MerchantAccount string
	Reversed        decimal.Decimal // of Amount, taken back
	Owed            decimal.Decimal // of Reversed, that the customer has still to give back
	Status          RewardStatus
	ConfirmAt       time.Time // the return window is over
	FailureCode     string    // why its last step could not be done; empty when there is none
	PaidTo          string    // account; empty until PAID
	Transfers       int64     // made for it; their ids are TransferID(ID, 1) and so on
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// ClickRequest reports that a customer followed a campaign to a merchant.
type ClickRequest struct {
	ID         string
	CustomerID string
	MerchantID string
	CampaignID string
	At         time.Time
}

// Click is a click on record.
type Click struct {
	ClickRequest
	PurchaseID string // that it brought; empty for none
	CreatedAt  time.Time
}

// CustomerRequest enters a customer, or changes him.
type CustomerRequest struct {
	ID        string
	AccountID string // where rewards are paid to: a customer's account in the ledger
	Country   string
	Segments  []string // by list
}

// Customer is a customer who takes part.
type Customer struct {
	CustomerRequest
	Tier      string
	Purchases int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TierChange is a step of a customer's history.
type TierChange struct {
	At    time.Time
	Tier  string
	Spend decimal.Decimal
}

// Campaign is one version of a campaign.
type Campaign struct {
	ID      string
	Version int64
	rules.Terms
	CreatedBy string
	CreatedAt time.Time
}

// Figures are what a campaign gave, in its currency. They equal its accounts in the
// ledger.
type Figures struct {
	CampaignID string
	Currency   money.Currency
	Budget     decimal.Decimal
	Remaining  decimal.Decimal // Budget - Accrued - Confirmed - Paid
	Accrued    decimal.Decimal // not confirmed yet
	Confirmed  decimal.Decimal // not paid yet
	Paid       decimal.Decimal // and not taken back
	Reversed   decimal.Decimal // taken back, all in all
	Owed       decimal.Decimal // to be taken back still; part of Paid
	Merchants  decimal.Decimal // of Accrued + Confirmed + Paid, paid by merchants
	Rewards    int64
	At         time.Time // of the reading
}

// Program is the newest version of what campaigns share.
type Program struct {
	rules.Program
	CreatedBy string
	CreatedAt time.Time
}
