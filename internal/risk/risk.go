// Package risk judges payments before money moves: rules that people write decide
// whether one is allowed, waits for a person's review or is declined. It also
// knows the amount limits of roles.
//
// A rule is a CEL expression over Facts. Rules are versioned, and each decision is
// recorded with the rule's version and all that the rules saw, so that it can be
// explained later. Who can't be judged is not paid: a rule that fails has the
// payment reviewed, and an error of Decide means that nothing may move.
//
// The package decides; it moves nothing. Gathering the facts, reserving the money
// of what is under review and carrying out what was approved are the caller's.
package risk

import (
	"context"
	"sync/atomic"
	"time"

	"florin/internal/audit"
	"florin/internal/platform/cache"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/risk/internal/riskdb"
)

// CacheTime is how long a replica may go on with rules and limits that another
// one has changed.
const CacheTime = 5 * time.Second

// MaxPage is the most rows of a list: a page of the API's, and the one that says that
// there is another.
const MaxPage = 501

// Options configure New.
type Options struct {
	Clock clock.Clock
	// Log takes the changes of rules and limits, and the reviews.
	Log *audit.Log
	// PersonBehind returns the id of the user who made an API key, or "" when
	// nobody is known. It keeps a person from reviewing his own payment by a key
	// of his. Nil: nobody is behind a key.
	PersonBehind func(ctx context.Context, keyID string) (userID string, err error)
}

// Rules are the rules, decisions and limits in a database. Safe for concurrent
// use.
type Rules struct {
	db           *database.DB
	queries      *riskdb.Queries
	clock        clock.Clock
	log          *audit.Log
	personBehind func(ctx context.Context, keyID string) (string, error)

	hasBuiltIn atomic.Bool

	rules  cache.Value[[]compiled]
	limits cache.Value[map[limitKey]RoleLimits]
}

// New makes Rules.
func New(db *database.DB, o Options) *Rules {
	return &Rules{db: db, queries: riskdb.New(db), clock: o.Clock, log: o.Log, personBehind: o.PersonBehind}
}
