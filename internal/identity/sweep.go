package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
)

const (
	// sweepRows is how many rows one statement of Sweep deletes at most, and how many
	// users one of SweepSignUps looks at.
	sweepRows = 1000
	// sweepUsers is how many users one transaction of SweepSignUps deletes at most:
	// each is an event, too.
	sweepUsers = 100
	// signUpTime is how long an address that was signed up waits to be verified: longer
	// than each link that is sent to it, which may be asked for again.
	signUpTime = 7 * 24 * time.Hour
)

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

// SweepSignUps deletes the users who signed up and have not verified their address for
// seven days, with their tokens and sessions: nobody has come to stand behind the id,
// and the address is free again. To be called a few times a day; several replicas may do so
// at once, on both engines.
//
// Left are those who were signed up again since, or whose newest link is good still;
// those whom staff has locked; and those who have something, which takes staff, as they
// can't sign in: an API key, also a revoked one, a linked account, or what owners, which
// is asked in small batches, says they have. Who is given something between being asked
// about and deleted leaves it to an id that nobody is behind, like a user who is deleted.
//
// Each deletion is an event of the system's, "user.sign_up_expired". An error ends the
// sweep; what was deleted before stays so.
func (u *Users) SweepSignUps(ctx context.Context, owners func(ctx context.Context, userIDs []string) ([]string, error)) error {
	before := u.clock().Add(-signUpTime)
	for after := ""; ; {
		page, err := u.queries.UnverifiedUsers(ctx, identitydb.UnverifiedUsersParams{After: after, Before: before, RowLimit: sweepRows})
		if err != nil {
			return fmt.Errorf("find users who are not verified: %w", err)
		}
		if page.LastUserID == "" {
			return nil
		}
		after = page.LastUserID
		for userIDs := range slices.Chunk(page.UserIds, sweepUsers) {
			owning, err := owners(ctx, userIDs)
			if err != nil {
				return err
			}
			userIDs = slices.DeleteFunc(userIDs, func(userID string) bool { return slices.Contains(owning, userID) })
			if err := u.deleteSignUps(ctx, userIDs, before); err != nil {
				return fmt.Errorf("delete users who are not verified: %w", err)
			}
		}
	}
}

// deleteSignUps deletes those of the users who are still to be.
func (u *Users) deleteSignUps(ctx context.Context, userIDs []string, before time.Time) error {
	if len(userIDs) == 0 {
		return nil
	}
	return u.db.InTx(ctx, "identity.sweep_sign_ups", func(ctx context.Context, tx pgx.Tx) error {
		queries := identitydb.New(tx)
		deleted, err := queries.DeleteUnverifiedUsers(ctx, identitydb.DeleteUnverifiedUsersParams{UserIds: userIDs, Before: before, Now: u.clock()})
		if err != nil || len(deleted) == 0 {
			return err
		}
		if err := queries.DeleteTokensOfUsers(ctx, deleted); err != nil {
			return err
		}
		if err := queries.DeleteSessionsOfUsers(ctx, deleted); err != nil {
			return err
		}
		events := make([]audit.Event, len(deleted))
		for i, userID := range deleted {
			events[i] = userEvent("user.sign_up_expired", userID, object("status", UserActive), object("status", UserDeleted))
			events[i].Origin.ActorKind = audit.SystemActor
		}
		return u.log.AppendTx(ctx, tx, events...)
	})
}
