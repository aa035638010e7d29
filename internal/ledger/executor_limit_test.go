package ledger

import "time"

// LimitTransactions shortens what the executor gives a transaction with all its
// tries. It is called before Run.
func LimitTransactions(l *Ledger, limit time.Duration) { l.executor.timeout = limit }
