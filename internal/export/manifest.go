package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// manifestVersion is the version of a folder's layout.
const manifestVersion = 1

// Manifest describes one part. It is written last: a part without it does not
// exist. Each names its predecessor's checksum, so that the newest one vouches
// for all.
type Manifest struct {
	Version  int    `json:"version"`
	ExportID string `json:"exportId"`
	Part     int64  `json:"part"` // 1, 2, 3, ...
	File     string `json:"file"`
	Format   Format `json:"format"`
	// History says that the part holds what was posted before the export began,
	// in the order of transaction ids; other parts are in the order of commits.
	History   bool                    `json:"history"`
	Rows      int64                   `json:"rows"`
	Bytes     int64                   `json:"bytes"`
	Sums      map[money.Currency]Sums `json:"sums"`
	TotalRows int64                   `json:"totalRows"` // of this part and all before
	// FirstCommitAt and LastCommitAt bound the rows' committedAt; absent in history
	// and in a part without rows.
	FirstCommitAt time.Time `json:"firstCommitAt,omitzero"`
	LastCommitAt  time.Time `json:"lastCommitAt,omitzero"`
	// ResolvedAt: everything committed before is in this part or an earlier one.
	// Absent before history is complete.
	ResolvedAt time.Time `json:"resolvedAt,omitzero"`
	// Position is where the engine goes on after this part, in its own terms.
	Position string `json:"position"`
	SHA256   string `json:"sha256"` // of the file, in hex
	// PreviousManifestSHA256 is the checksum of the manifest before; empty in the first.
	PreviousManifestSHA256 string `json:"previousManifestSha256"`
}

// Sums are a part's sums in one currency, as decimal text.
type Sums struct {
	Net      string `json:"net"`      // of all rows: zero
	Turnover string `json:"turnover"` // of the credits
}

func partName(part int64) string                { return fmt.Sprintf("part-%08d", part) }
func manifestName(part int64) string            { return partName(part) + ".manifest.json" }
func dataName(part int64, format Format) string { return partName(part) + "." + string(format) }

// encode is the one way to write a manifest.
func (m Manifest) encode() []byte {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic("export: manifest: " + err.Error()) // it holds nothing that JSON can't
	}
	return append(text, '\n')
}

// parseManifest reads what encode wrote, and nothing else.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("it is no manifest: %w", err)
	}
	if m.Version != manifestVersion {
		return Manifest{}, fmt.Errorf("it is of version %d, this program knows version %d", m.Version, manifestVersion)
	}
	if !bytes.Equal(m.encode(), text) {
		return Manifest{}, errOtherHand
	}
	return m, nil
}

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// totals add up a part's rows.
type totals struct {
	rows                    int64
	net, turnover           map[money.Currency]decimal.Decimal
	firstCommit, lastCommit time.Time
}

func newTotals() *totals {
	return &totals{net: map[money.Currency]decimal.Decimal{}, turnover: map[money.Currency]decimal.Decimal{}}
}

func (t *totals) add(tx transaction) {
	currency := tx.credit.Currency
	t.rows += 2
	t.net[currency] = t.net[currency].Add(tx.debit.Amount).Add(tx.credit.Amount)
	t.turnover[currency] = t.turnover[currency].Add(tx.credit.Amount)
	at := tx.credit.CommittedAt
	if at.IsZero() {
		return
	}
	if t.firstCommit.IsZero() || at.Before(t.firstCommit) {
		t.firstCommit = at
	}
	if at.After(t.lastCommit) {
		t.lastCommit = at
	}
}

func (t *totals) sums() map[money.Currency]Sums {
	sums := make(map[money.Currency]Sums, len(t.net))
	for currency, net := range t.net {
		sums[currency] = Sums{Net: money.Format(net, currency), Turnover: money.Format(t.turnover[currency], currency)}
	}
	return sums
}
