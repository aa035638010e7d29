package export

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// account is what the checker keeps of an account's rows, in whatever order they
// come: history is not in the order of postings.
//
// Each posting is a step from (seq-1, balance-amount) to (seq, balance). If the
// steps are 1 to n, each once and each beginning where the one before ended, then
// all ends less all beginnings leave the end of the last less (0, 0); and only
// then, whatever the numbers. So sums of fingerprints under a random key prove
// the chain without sorting, but for a chance of 2^-128.
type account struct {
	currency    money.Currency
	rows        int64
	newest      int64 // the highest seq
	lastBalance decimal.Decimal
	chain       fingerprint // ends less beginnings
	content     fingerprint // of all rows
	inDatabase  inDatabase
}

// inDatabase is what the database has of an account's postings.
type inDatabase struct {
	rows         int64 // of those that the export has
	content      fingerprint
	missing      int64 // postings that should have been exported
	firstMissing int64
}

// fingerprint adds up keyed hashes, in two halves modulo 2^64.
type fingerprint [2]uint64

func (f *fingerprint) add(other fingerprint) { f[0] += other[0]; f[1] += other[1] }
func (f *fingerprint) sub(other fingerprint) { f[0] -= other[0]; f[1] -= other[1] }

func (c *checker) fingerprint(fields ...string) fingerprint {
	buffer := make([]byte, 0, 512)
	buffer = append(buffer, c.key...)
	for _, field := range fields {
		buffer = binary.AppendUvarint(buffer, uint64(len(field)))
		buffer = append(buffer, field...)
	}
	sum := sha256.Sum256(buffer)
	return fingerprint{binary.BigEndian.Uint64(sum[0:]), binary.BigEndian.Uint64(sum[8:])}
}

func (c *checker) stand(seq int64, balance decimal.Decimal) fingerprint {
	return c.fingerprint("stand", strconv.FormatInt(seq, 10), balance.StringFixed(money.MaxDecimals))
}

// content is a row but for committedAt, which the database may not tell.
func (c *checker) content(row Row) fingerprint {
	row.CommittedAt = row.CreatedAt
	return c.fingerprint(csvFields(row)...)
}

func (c *checker) account(row Row) {
	a, known := c.accounts[row.AccountID]
	if !known {
		a = &account{currency: row.Currency}
		c.accounts[row.AccountID] = a
	}
	if row.Currency != a.currency {
		c.problem("account "+row.AccountID, "posting %d is in %s, others are in %s", row.Seq, row.Currency, a.currency)
	}
	a.rows++
	a.chain.add(c.stand(row.Seq, row.Balance))
	a.chain.sub(c.stand(row.Seq-1, row.Balance.Sub(row.Amount)))
	a.content.add(c.content(row))
	if row.Seq >= a.newest {
		a.newest, a.lastBalance = row.Seq, row.Balance
	}
}

// checkChains proves every account's postings and names what is wrong in the
// first of those that fail.
func (c *checker) checkChains(ctx context.Context) error {
	broken := map[string][]Row{}
	for _, id := range slices.Sorted(maps.Keys(c.accounts)) {
		a := c.accounts[id]
		want := c.stand(a.newest, a.lastBalance)
		want.sub(c.stand(0, decimal.Zero))
		if a.chain == want {
			continue
		}
		if len(broken) == suspectsMax {
			c.problem("account "+id, "its postings are not 1 to n with running balances, and so it may be for accounts after it")
			break
		}
		broken[id] = nil
	}
	if len(broken) == 0 {
		return nil
	}
	if err := c.collect(ctx, broken); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		c.nameBreaks(id, broken[id])
	}
	return nil
}

// nameBreaks says where an account's postings are not 1 to n with running balances.
func (c *checker) nameBreaks(id string, rows []Row) {
	slices.SortStableFunc(rows, func(a, b Row) int { return int(a.Seq - b.Seq) })
	var last Row // before the first: 0, 0
	for _, row := range rows {
		subject := fmt.Sprintf("account %s posting %d", id, row.Seq)
		switch {
		case row.Seq == last.Seq:
			c.problem(subject, "it is there twice")
		case row.Seq != last.Seq+1:
			c.problem("account "+id, "postings %d to %d are missing", last.Seq+1, row.Seq-1)
		case !last.Balance.Add(row.Amount).Equal(row.Balance):
			c.problem(subject, "its balance is %s, but %s and %s make %s", row.Balance, last.Balance, row.Amount, last.Balance.Add(row.Amount))
		}
		last = row
	}
}

// collect reads the parts again for all rows of some accounts.
func (c *checker) collect(ctx context.Context, rows map[string][]Row) error {
	for part := int64(1); part <= c.head.Part; part++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, _, err := readManifest(c.dir, part)
		if err != nil {
			continue // named before
		}
		file, err := os.Open(filepath.Join(c.dir, m.File))
		if err != nil {
			continue // named before
		}
		_ = m.Format.decode(file, func(row Row) error { // an error was named before
			if of, wanted := rows[row.AccountID]; wanted {
				rows[row.AccountID] = append(of, row)
			}
			return nil
		})
		file.Close()
	}
	return nil
}
