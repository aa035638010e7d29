package identity

import (
	"context"
	"fmt"
	"time"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

// sweepRows is how many rows one statement of Sweep deletes at most.
const sweepRows = 1000

// Sweep deletes sessions, tokens and throttles that have expired, in small statements.
// To be called now and then; several replicas may do so at once. On CockroachDB it does
// nothing: the database deletes them itself.
func (u *Users) Sweep(ctx context.Context) error {
	if u.db.Engine == database.Cockroach {
		return nil
	}
	now := u.clock()
	for name, some := range map[string]func(context.Context, time.Time) (int64, error){
		"sessions": func(ctx context.Context, now time.Time) (int64, error) {
			return u.queries.DeleteExpiredSessions(ctx, identitydb.DeleteExpiredSessionsParams{Now: now, RowLimit: sweepRows})
		},
		"tokens": func(ctx context.Context, now time.Time) (int64, error) {
			return u.queries.DeleteExpiredUserTokens(ctx, identitydb.DeleteExpiredUserTokensParams{Now: now, RowLimit: sweepRows})
		},
		"throttles": func(ctx context.Context, now time.Time) (int64, error) {
			return u.queries.DeleteExpiredThrottles(ctx, identitydb.DeleteExpiredThrottlesParams{Now: now, RowLimit: sweepRows})
		},
	} {
		for n := int64(sweepRows); n == sweepRows; {
			var err error
			if n, err = some(ctx, now); err != nil {
				return fmt.Errorf("sweep expired %s: %w", name, err)
			}
		}
	}
	return nil
}
