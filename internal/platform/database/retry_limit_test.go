package database

import "time"

// LimitTransactions shortens what InTx allows a transaction with all its tries.
func LimitTransactions(db *DB, limit time.Duration) { db.transactionMax = limit }
