package ledger

import (
	"context"
	"time"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
)

const (
	// leaseDuration is how long a claimed transfer is left to its replica. It is
	// longer than a transaction may take (database.InTx).
	leaseDuration = 30 * time.Second
	claimMax      = 500
	retryPause    = time.Second
	expiryMax     = 1000
)

func (l *Ledger) announceAccepted() {
	select {
	case l.accepted <- struct{}{}:
	default: // told already
	}
}

// executeAccepted runs accepted transfers: at once those accepted here, and at
// every sweep those that nobody runs.
func (l *Ledger) executeAccepted(ctx context.Context) {
	sweep := time.NewTicker(l.sweepInterval)
	defer sweep.Stop()
	for {
		l.measureBacklog(ctx)
		for l.executeClaimed(ctx) {
		}
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
		case <-l.accepted:
			for l.executeClaimed(ctx) {
			}
			continue
		}
	}
}

// executeClaimed claims some transfers and sees them through. It returns whether
// there may be more.
func (l *Ledger) executeClaimed(ctx context.Context) (more bool) {
	now := l.clock()
	claimed, err := l.queries.ClaimTransfers(ctx, ledgerdb.ClaimTransfersParams{
		LeaseOwner: l.replica, LeaseUntil: now.Add(leaseDuration), Now: now, MaxTransfers: claimMax,
	})
	if err != nil {
		if ctx.Err() == nil {
			l.log.Warn("claiming accepted transfers failed; they stay for the next sweep", "error", err)
		}
		return false
	}
	if len(claimed) == 0 {
		return false
	}
	for !l.finishClaimed(claimed) {
		select {
		case <-ctx.Done():
			return false // another replica takes over when the lease lapses
		case <-time.After(retryPause):
		}
	}
	return len(claimed) == claimMax
}

// finishClaimed executes claimed transfers. false: some are not done, for a
// reason that passes.
func (l *Ledger) finishClaimed(claimed []ledgerdb.ClaimTransfersRow) bool {
	units := make([]*unit, len(claimed))
	for i, row := range claimed {
		units[i] = newUnit(&TransferRequest{
			ID: row.TransferID, SourceAccountID: row.SourceAccountID, DestinationAccountID: row.DestinationAccountID,
			Amount: row.Amount, Currency: money.Currency(row.Currency),
			EffectiveAt: row.EffectiveAt, Description: row.Description, Metadata: row.Metadata,
			hash: row.RequestHash,
		})
	}
	// Not the caller's context: what is claimed is finished even while shutting down.
	if err := l.executor.do(context.Background(), units...); err != nil {
		l.log.Warn("accepted transfers have to wait", "transfers", len(units), "error", err)
		return false
	}
	for _, u := range units {
		if u.err != nil {
			l.log.Warn("accepted transfers have to wait", "transfers", len(units), "error", u.err)
			return false
		}
	}
	return true
}

func (l *Ledger) measureBacklog(ctx context.Context) {
	backlog, err := l.queries.UnfinishedTransfers(ctx)
	if err != nil {
		return // the claim that follows reports the database's trouble
	}
	l.metrics.backlog.Set(float64(backlog.Transfers))
	l.metrics.oldest.Set(max(0, l.clock().Sub(backlog.Oldest).Seconds()))
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
		expired, err := l.queries.ExpiredHolds(ctx, ledgerdb.ExpiredHoldsParams{Now: l.clock(), MaxHolds: expiryMax})
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
		if err := l.executor.do(ctx, units...); err != nil && ctx.Err() == nil {
			l.log.Warn("expired holds have to wait", "holds", len(units), "error", err)
		}
	}
}
