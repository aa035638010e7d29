package export

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/database"
)

// Problem is one thing that is wrong with an export.
type Problem struct {
	Subject string `json:"subject"` // the file or account
	Detail  string `json:"detail"`  // what was found and what was expected
}

// Report is the outcome of Check.
type Report struct {
	ExportID   string                    `json:"exportId"`
	Format     Format                    `json:"format"`
	Parts      int64                     `json:"parts"`
	Rows       int64                     `json:"rows"`
	Accounts   int64                     `json:"accounts"`
	Turnover   map[money.Currency]string `json:"turnover"` // sum of the credits
	ResolvedAt time.Time                 `json:"resolvedAt,omitzero"`
	// Database says how the folder was compared with a database: not at all
	// (empty), "exact" (every posting up to the resolved time) or "settled" (all
	// of the same, but for postings made less than 30 s before it).
	Database  string    `json:"database"`
	Problems  []Problem `json:"problems"`
	Truncated bool      `json:"truncated"` // there were more problems than listed
}

// How a folder was compared with a database.
const (
	Exact   = "exact"
	Settled = "settled"
)

const (
	// problemsMax bounds the problems listed.
	problemsMax = 1000
	// suspectsMax bounds the accounts whose rows are looked at one by one.
	suspectsMax = 20
)

// checker proves a folder in one pass over its rows, part by part. It keeps some
// two hundred bytes an account, and nothing of the rows.
type checker struct {
	dir      string
	key      []byte // of the fingerprints; nobody could aim at it
	report   Report
	accounts map[string]*account
	turnover map[money.Currency]decimal.Decimal
	hashes   map[int64]string // of the manifests
	head     Manifest
}

// Check proves that an export's folder is whole and unaltered: files, checksums,
// the chain of manifests, sums, and for every account postings 1 to n, each once,
// with running balances that add up. With a database (nil for none) it also
// proves that the folder has every part that the database's catalog knows, that
// every posting equals the database's, and that none is missing up to the
// resolved time. What is wrong is in the report's Problems, not an error. It
// changes nothing and may run beside an exporter.
func Check(ctx context.Context, dir string, db *database.DB) (Report, error) {
	c := &checker{
		dir: dir, key: make([]byte, sha256.Size), accounts: map[string]*account{}, hashes: map[int64]string{},
		turnover: map[money.Currency]decimal.Decimal{},
		report:   Report{Problems: []Problem{}, Turnover: map[money.Currency]string{}},
	}
	_, _ = rand.Read(c.key) // never fails
	var known Export
	if db != nil {
		// Before the folder is read: an exporter tells the catalog last.
		var err error
		if known, err = knownExport(ctx, dir, db); err != nil {
			return Report{}, err
		}
	}
	if err := c.checkFolder(ctx); err != nil {
		return Report{}, err
	}
	c.report.Accounts = int64(len(c.accounts))
	if db != nil {
		if err := c.checkDatabase(ctx, db, known); err != nil {
			return Report{}, err
		}
	}
	for currency, amount := range c.turnover {
		c.report.Turnover[currency] = money.Format(amount, currency)
	}
	return c.report, nil
}

func (c *checker) problem(subject, format string, args ...any) {
	if len(c.report.Problems) >= problemsMax {
		c.report.Truncated = true
		return
	}
	c.report.Problems = append(c.report.Problems, Problem{Subject: subject, Detail: fmt.Sprintf(format, args...)})
}

// checkFolder proves what needs no database.
func (c *checker) checkFolder(ctx context.Context) error {
	numbers, err := parts(c.dir)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		c.problem(c.dir, "there are no parts")
	}
	for _, part := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		for missing := c.head.Part + 1; missing < part; missing++ {
			c.problem(manifestName(missing), "the part is missing")
		}
		c.checkPart(part)
	}
	if err := c.checkStrays(); err != nil {
		return err
	}
	return c.checkChains(ctx)
}

// checkPart proves one part; c.head becomes its manifest.
func (c *checker) checkPart(part int64) {
	name := manifestName(part)
	m, hash, err := readManifest(c.dir, part)
	if err != nil {
		c.problem(name, "%v", err)
		c.head = Manifest{Part: part}
		return
	}
	c.hashes[part] = hash
	previous := c.head
	c.head = m
	c.report.Parts++
	c.report.ResolvedAt = m.ResolvedAt
	if previous.Part == 0 {
		c.report.ExportID, c.report.Format = m.ExportID, m.Format
	}
	switch previousHash, known := c.hashes[part-1]; {
	case m.ExportID != c.report.ExportID || m.Format != c.report.Format:
		c.problem(name, "it is of export %s (%s), the folder of %s (%s)", m.ExportID, m.Format, c.report.ExportID, c.report.Format)
	case part == 1 && m.PreviousManifestSHA256 != "":
		c.problem(name, "it is the first part, but names a part before it")
	case known && m.PreviousManifestSHA256 != previousHash:
		c.problem(name, "it does not follow %s, which is not the one that it was written after", manifestName(part-1))
	}
	if m.ResolvedAt.Before(previous.ResolvedAt) {
		c.problem(name, "its resolved time %s is before that of the part before it", timeText(m.ResolvedAt))
	}
	if m.History && previous.Part > 0 && !previous.History {
		c.problem(name, "it holds history, but stands after a part that does not")
	}
	if m.TotalRows != c.report.Rows+m.Rows {
		c.problem(name, "it says %d rows so far, the parts have %d", m.TotalRows, c.report.Rows+m.Rows)
	}
	c.checkFile(m)
}

// checkFile proves a part's data against its manifest.
func (c *checker) checkFile(m Manifest) {
	file, err := os.Open(filepath.Join(c.dir, m.File))
	if errors.Is(err, fs.ErrNotExist) {
		c.problem(m.File, "the file is missing")
		return
	}
	if err != nil {
		c.problem(m.File, "it can't be read: %v", err)
		return
	}
	defer file.Close()
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	if err != nil {
		c.problem(m.File, "it can't be read: %v", err)
		return
	}
	if size != m.Bytes {
		c.problem(m.File, "it has %d bytes, the manifest says %d", size, m.Bytes)
	}
	if found := hex.EncodeToString(digest.Sum(nil)); found != m.SHA256 {
		c.problem(m.File, "its checksum is %s, the manifest says %s", found, m.SHA256)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		c.problem(m.File, "it can't be read: %v", err)
		return
	}
	sums := newTotals()
	pairs := pairer{}
	err = m.Format.decode(file, func(row Row) error {
		c.account(row)
		return pairs.add(row, func(tx transaction) error {
			sums.add(tx)
			return tx.validate()
		})
	})
	if err == nil {
		err = pairs.end()
	}
	c.report.Rows += pairs.rows
	if err != nil {
		c.problem(m.File, "%v", err)
		return
	}
	c.compareSums(m, sums)
	for currency, amount := range sums.turnover {
		c.turnover[currency] = c.turnover[currency].Add(amount)
	}
}

func (c *checker) compareSums(m Manifest, found *totals) {
	name := manifestName(m.Part)
	if m.Rows != found.rows {
		c.problem(name, "it says %d rows, the file has %d", m.Rows, found.rows)
	}
	if sums := found.sums(); !maps.Equal(sums, m.Sums) {
		c.problem(name, "it says the sums %v, the rows have %v", m.Sums, sums)
	}
	for currency, net := range found.net {
		if !net.IsZero() {
			c.problem(m.File, "its rows in %s sum to %s instead of zero", currency, net)
		}
	}
	if !m.FirstCommitAt.Equal(found.firstCommit) || !m.LastCommitAt.Equal(found.lastCommit) {
		c.problem(name, "it says commits from %s to %s, the rows have %s to %s", timeText(m.FirstCommitAt), timeText(m.LastCommitAt),
			timeText(found.firstCommit), timeText(found.lastCommit))
	}
}

// pairer puts a file's rows together by twos.
type pairer struct {
	rows  int64
	debit Row
}

func (p *pairer) add(row Row, each func(transaction) error) error {
	p.rows++
	if p.rows%2 == 1 {
		p.debit = row
		return nil
	}
	return each(transaction{debit: p.debit, credit: row})
}

func (p *pairer) end() error {
	if p.rows%2 == 1 {
		return fmt.Errorf("its last row, of transaction %s, stands alone", p.debit.TransactionID)
	}
	return nil
}

// checkStrays finds files that a reader might take for parts. The data of the
// part to come may stand there: an exporter writes it before its manifest. So the
// manifests are listed after the data.
func (c *checker) checkStrays() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return unusable(err)
	}
	numbers, err := parts(c.dir)
	if err != nil {
		return err
	}
	next := int64(1)
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == historyName {
			c.problem(name, "history is not complete: it is being written, or was interrupted; run the export again")
		}
		if !strings.HasPrefix(name, "part-") || strings.HasSuffix(name, temporary) || manifestPattern.MatchString(name) {
			continue
		}
		var part int64
		_, err := fmt.Sscanf(name, "part-%d.", &part)
		belongs := err == nil && name == dataName(part, c.report.Format)
		_, isPart := slices.BinarySearch(numbers, part)
		if !belongs || !isPart && part != next {
			c.problem(name, "it belongs to no part")
		}
	}
	return nil
}
