package export

import (
	"maps"
	"slices"
)

// accountsMax bounds the accounts that an exporter remembers, and with it its
// memory, to some hundred megabytes. florin export check has no such bound.
const accountsMax = 1_000_000

// sequences remembers each account's newest posting, as far as this run of the
// exporter has seen it, and so notices at once a posting that comes twice or not
// at all.
type sequences map[string]int64

// follow returns each account's newest posting after a batch, to be recorded when
// that is published. Returns LedgerInconsistent unless the batch has each
// account's next postings, without a gap. Within one commit they stand in the
// order of transactions, so each account's are sorted first.
func (s sequences) follow(transactions []transaction) (sequences, error) {
	after := sequences{}
	batch := map[string][]int64{}
	for _, tx := range transactions {
		for _, row := range []Row{tx.debit, tx.credit} {
			batch[row.AccountID] = append(batch[row.AccountID], row.Seq)
		}
	}
	for account, numbers := range batch {
		slices.Sort(numbers)
		newest, known := s[account]
		if !known {
			newest = numbers[0] - 1
		}
		for _, seq := range numbers {
			if seq != newest+1 {
				return nil, LedgerInconsistent.Failure("account %s has posting %d after %d: nothing of it was written; run florin verify", account, seq, newest)
			}
			newest = seq
		}
		after[account] = newest
	}
	return after, nil
}

// record remembers what follow returned.
func (s sequences) record(newest sequences) {
	if len(s) > accountsMax {
		clear(s)
	}
	maps.Copy(s, newest)
}
