package ledger

import (
	"context"
	"errors"
	"time"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
	"florin/internal/platform/database"
)

const (
	// leaseDuration is how long a claimed transfer is left to its replica: much
	// longer than it usually takes. One that takes longer may be executed by two
	// replicas, which costs time and harms nothing.
	leaseDuration = 10 * time.Second
	claimTimeout  = 5 * time.Second
	claimMax      = 500
	// claimTries is how often claimed transfers are tried before they are left
	// to the sweep that finds their lease lapsed.
	claimTries = 10
	retryPause = time.Second
	expiryMax  = 1000
	// secondLook is the first pause before accepted transfers are looked for
	// again: one may have come after the look before and the word of it. The pauses
	// double up to lastLook.
	secondLook = 5 * time.Millisecond
	lastLook   = 2 * time.Second
)

func (l *Ledger) announceAccepted() {
	select {
	case l.accepted <- struct{}{}:
	default: // told already
	}
}

// executeAccepted runs accepted transfers: at once those accepted here, soon
// those whose lease lapsed, and at every sweep whatever there is.
func (l *Ledger) executeAccepted(ctx context.Context) {
	pause := secondLook
	for ctx.Err() == nil {
		if l.executeClaimed(ctx) {
			pause = secondLook
			continue
		}
		wait := pause
		if pause *= 2; wait >= lastLook {
			pause = lastLook
			wait = l.nextSweep(ctx)
		}
		select {
		case <-ctx.Done():
		case <-l.accepted:
			pause = secondLook
		case <-time.After(wait):
		}
	}
}

// nextSweep measures what is accepted and not done. While there is any, somebody
// has it claimed and may be dead: the next look is soon.
func (l *Ledger) nextSweep(ctx context.Context) time.Duration {
	backlog, err := l.queries.UnfinishedTransfers(ctx)
	if err != nil {
		return min(l.sweepInterval, lastLook) // the claim reports the database's trouble
	}
	l.metrics.backlog.Set(float64(backlog.Transfers))
	l.metrics.oldest.Set(max(0, l.clock().Sub(backlog.Oldest).Seconds()))
	if backlog.Transfers > 0 {
		return min(l.sweepInterval, lastLook)
	}
	return l.sweepInterval
}

// executeClaimed claims some transfers and sees them through. It returns whether
// there were any to claim.
func (l *Ledger) executeClaimed(ctx context.Context) bool {
	// A claim that is given up half way may have happened all the same, and its
	// transfers would wait for the lease to lapse: it ends by its own time.
	claimCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	now := l.clock()
	// No more than the queue has room for.
	most := min(claimMax, l.executor.queueMax)
	found, err := l.queries.UnclaimedTransfers(claimCtx, ledgerdb.UnclaimedTransfersParams{Now: now, MaxTransfers: int32(most)})
	var claimed []ledgerdb.ClaimTransfersRow
	if err == nil && len(found) > 0 {
		claimed, err = l.queries.ClaimTransfers(claimCtx, ledgerdb.ClaimTransfersParams{
			LeaseOwner: l.replica, LeaseUntil: now.Add(leaseDuration), Now: now, TransferIds: found,
		})
	}
	if err != nil {
		l.log.Warn("claiming accepted transfers failed; they stay for the next sweep", "error", err)
		return false
	}
	left := claimed
	for try := 0; len(left) > 0 && try < claimTries; try++ {
		if try > 0 {
			select {
			case <-ctx.Done():
				return false // another replica takes over when the lease lapses
			case <-time.After(retryPause):
			}
		}
		left = l.finishClaimed(left)
	}
	return len(found) > 0 // also when others claimed them: there may be more
}

// finishClaimed executes claimed transfers and returns those that are not done,
// for a reason that passes.
func (l *Ledger) finishClaimed(claimed []ledgerdb.ClaimTransfersRow) (left []ledgerdb.ClaimTransfersRow) {
	units := make([]*unit, len(claimed))
	for i, row := range claimed {
		units[i] = newUnit(&TransferRequest{
			ID: row.TransferID, SourceAccountID: row.SourceAccountID, DestinationAccountID: row.DestinationAccountID,
			Amount: row.Amount, Currency: money.Currency(row.Currency),
			EffectiveAt: row.EffectiveAt, Description: row.Description, Metadata: row.Metadata,
			Limits: &Limits{PerTransfer: row.RoleTransferLimit, Daily: row.RoleDailyLimit},
			hash:   row.RequestHash, isAccepted: true,
		})
	}
	// Not the caller's context: what is claimed is finished even while shutting down.
	if err := l.executor.do(context.Background(), units...); err != nil {
		l.log.Warn("accepted transfers have to wait", "transfers", len(units), "error", err)
		return claimed
	}
	var reason error
	for i, u := range units {
		switch {
		case u.err == nil:
		case isOutage(u.err) || errors.Is(u.err, database.ErrConflict):
			left, reason = append(left, claimed[i]), u.err
		default:
			// It would fail again. No other must wait for it; a later sweep tries
			// once more.
			l.log.Error("an accepted transfer can't be executed", "transfer", claimed[i].TransferID, "error", u.err)
		}
	}
	if len(left) > 0 {
		l.log.Warn("accepted transfers have to wait", "transfers", len(left), "error", reason)
	}
	return left
}

// expireHolds releases holds whose time has come.
func (l *Ledger) expireHolds(ctx context.Context) {
	tick := time.NewTicker(l.expiryInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		expired, err := l.queries.ExpiredHolds(ctx, ledgerdb.ExpiredHoldsParams{
			Now: l.clock(), MaxHolds: int32(min(expiryMax, l.executor.queueMax)),
		})
		if err != nil {
			if ctx.Err() == nil {
				l.log.Warn("looking for expired holds failed", "error", err)
			}
			continue
		}
		units := make([]*unit, len(expired))
		for i, row := range expired {
			units[i] = newUnit(&release{holdID: row.HoldID, sourceAccountID: row.SourceAccountID, to: HoldLapsed})
		}
		if err := l.executor.do(ctx, units...); err != nil {
			if ctx.Err() == nil {
				l.log.Warn("expired holds have to wait", "holds", len(units), "error", err)
			}
			continue // the units may still be under way
		}
		for i, u := range units {
			if u.err != nil {
				l.log.Warn("an expired hold has to wait", "hold", expired[i].HoldID, "error", u.err)
				break // the rest most likely for the same reason
			}
		}
	}
}
