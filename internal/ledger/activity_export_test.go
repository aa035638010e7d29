package ledger

import "context"

// FlushActivity flushes what was counted here, without waiting for its time.
func (l *Ledger) FlushActivity(ctx context.Context) error { return l.flushActivity(ctx) }

// TakeTurn is one look whether it is this replica's turn to prove the balances.
func (l *Ledger) TakeTurn(ctx context.Context) (isTaken bool, err error) { return l.takeTurn(ctx) }
