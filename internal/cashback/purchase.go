package cashback

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// PurchaseResult is what became of a purchase: on record, or the refusal.
type PurchaseResult struct {
	Purchase Purchase
	// Err is a *Failure, or what went wrong with this one alone.
	Err error
}

// Record takes a purchase in: when it returns, the purchase is on record, with what
// the rules made of it and the rewards that came of it, accrued on the books. One of
// a customer who is not known is HELD, and evaluated when he is.
//
// The same request again returns the purchase as it is now; another one under its id
// is DuplicatePurchase. Returns InvalidInput, ledger.ErrOverloaded, and other errors
// of the infrastructure, after which the same call may be made again.
func (c *Cashback) Record(ctx context.Context, r PurchaseRequest) (Purchase, error) {
	results, err := c.record(ctx, []PurchaseRequest{r}, "")
	if err != nil {
		return Purchase{}, err
	}
	return results[0].Purchase, results[0].Err
}

// RecordBatch is Record for 1 to MaxBatch purchases: they are taken in in their
// order, and each has its own result. Their lines must not be changed afterwards.
// Returns InvalidInput, and nothing is stored, when any request makes no sense.
//
// The error is one of the infrastructure, such as ledger.ErrOverloaded. Some
// purchases may then be on record: the same call again finishes the rest.
func (c *Cashback) RecordBatch(ctx context.Context, requests []PurchaseRequest) ([]PurchaseResult, error) {
	if len(requests) == 0 || len(requests) > MaxBatch {
		return nil, invalid("purchases", "must be 1 to %d, not %d", MaxBatch, len(requests))
	}
	return c.record(ctx, requests, "purchases")
}

func (c *Cashback) record(ctx context.Context, requests []PurchaseRequest, batchName string) ([]PurchaseResult, error) {
	by, origin := actor(ctx), originOf(ctx)
	p := problems{item: batchName, now: c.clock()}
	items, own := make([]*item, len(requests)), make([]item, len(requests))
	for i, r := range requests {
		if p.index = i; p.isMany() {
			break
		}
		amount := r.check(&p)
		own[i] = item{kind: newPurchase, id: r.ID, by: by, origin: origin, bought: r, amount: amount}
		items[i] = &own[i]
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	for _, it := range items {
		it.hash, it.lines = it.bought.hash(), linesToJSON(it.bought.Lines, nil)
	}
	if err := c.intake.do(ctx, items); err != nil {
		return nil, err
	}
	results := make([]PurchaseResult, len(items))
	for i, it := range items {
		switch {
		case it.err != nil:
			results[i].Err = it.err
		case it.refusal != nil:
			results[i].Err = it.refusal
		default:
			results[i].Purchase = it.purchase
		}
	}
	return results, nil
}

// hashed is a request's content on its way to a hash, no two of which read alike.
type hashed []byte

func (h *hashed) text(s string) {
	*h = binary.AppendUvarint(*h, uint64(len(s)))
	*h = append(*h, s...)
}

func (h *hashed) number(n int64) { *h = binary.AppendVarint(*h, n) }

// amount has at most money.MaxDecimals decimals: 1.0 and 1.00 are the same.
func (h *hashed) amount(d decimal.Decimal) { h.number(d.Shift(money.MaxDecimals).IntPart()) }

func (h *hashed) sum() []byte {
	const length = 16 // bytes are plenty to tell two requests apart
	sum := sha256.Sum256(*h)
	return sum[:length:length]
}

// hash is of all that is asked. Source is not among it: a purchase is the same,
// whichever way it is reported.
func (r *PurchaseRequest) hash() []byte {
	h := make(hashed, 0, 256+64*len(r.Lines))
	for _, text := range []string{r.ID, r.MerchantID, r.CustomerID, string(r.Currency), r.Country, r.ClickID, r.PaymentReference} {
		h.text(text)
	}
	h.number(r.At.UnixMicro())
	for i := range r.Lines {
		line := &r.Lines[i]
		for _, text := range []string{line.Product, line.Description, line.Category, line.MCC} {
			h.text(text)
		}
		h.number(line.Quantity)
		h.amount(line.UnitPrice)
	}
	return h.sum()
}

// storedLine is a line as it is kept.
type storedLine struct {
	rules.Line
	Returned int64 `json:"returned,omitempty"` // of Quantity
}

func linesToJSON(lines []rules.Line, taken []int64) string {
	stored := make([]storedLine, len(lines))
	for i, line := range lines {
		stored[i].Line = line
		if taken != nil {
			stored[i].Returned = taken[i]
		}
	}
	return string(object(stored))
}

func linesFromJSON(text []byte) (lines []rules.Line, taken []int64, err error) {
	var stored []storedLine
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, nil, err
	}
	lines = make([]rules.Line, len(stored))
	for i, line := range stored {
		lines[i] = line.Line
		if line.Returned == 0 {
			continue
		}
		if taken == nil {
			taken = make([]int64, len(stored))
		}
		taken[i] = line.Returned
	}
	return lines, taken, nil
}

func purchaseFromRow(row cashbackdb.Purchase) (Purchase, error) {
	p := Purchase{
		PurchaseRequest: PurchaseRequest{
			ID: row.PurchaseID, MerchantID: row.MerchantID, CustomerID: row.CustomerID, Currency: money.Currency(row.Currency),
			Country: row.Country, At: row.PurchasedAt.UTC(), ClickID: orEmpty(row.ClickID),
			PaymentReference: orEmpty(row.PaymentReference), Source: row.Source,
		},
		Amount: row.Amount, Returned: row.Returned, Status: PurchaseStatus(row.Status), RecordedBy: row.RecordedBy,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
	var err error
	if p.Lines, p.Taken, err = linesFromJSON(row.Lines); err != nil {
		return Purchase{}, fmt.Errorf("read lines of purchase %s: %w", p.ID, err)
	}
	if row.Evaluation != nil {
		if err := json.Unmarshal(row.Evaluation, &p.Evaluation); err != nil {
			return Purchase{}, fmt.Errorf("read evaluation of purchase %s: %w", p.ID, err)
		}
	}
	return p, nil
}

// Position is where the purchase stands in a list.
func (p *Purchase) Position() Position { return Position{At: p.At, ID: p.ID} }

// Purchase returns one purchase, with its rewards. Returns PurchaseNotFound.
func (c *Cashback) Purchase(ctx context.Context, purchaseID string) (Purchase, error) {
	if !id.IsPossible(purchaseID) {
		return Purchase{}, purchaseNotFound(purchaseID)
	}
	row, err := c.queries.GetPurchase(ctx, purchaseID)
	if database.NotFound(err) {
		return Purchase{}, purchaseNotFound(purchaseID)
	}
	if err != nil {
		return Purchase{}, fmt.Errorf("get purchase: %w", err)
	}
	p, err := purchaseFromRow(row)
	if err != nil {
		return Purchase{}, err
	}
	p.Rewards, err = c.Rewards(ctx, RewardFilter{PurchaseID: purchaseID}, nil, MaxCampaigns) // one of each at most
	if err != nil {
		return Purchase{}, err
	}
	slices.SortFunc(p.Rewards, byCampaign)
	return p, nil
}

func purchaseNotFound(purchaseID string) error {
	return PurchaseNotFound.Failure("there is no purchase %q", purchaseID)
}

// PurchaseFilter says which purchases to list; all when it is empty.
type PurchaseFilter struct {
	CustomerID       string
	MerchantID       string
	PaymentReference string
	From, To         time.Time // of the purchase's time; To exclusive, zero for no end
}

// Purchases lists purchases by their time, newest first, from after a place on; from
// the newest when that is nil. limit is at most MaxPage. It does not read rewards.
// Returns InvalidInput.
func (c *Cashback) Purchases(ctx context.Context, f PurchaseFilter, after *Position, limit int) ([]Purchase, error) {
	if limit < 1 || limit > MaxPage {
		return nil, invalid("limit", "must be 1 to %d", MaxPage)
	}
	before := Position{At: farFuture}
	if after != nil {
		before = *after
	}
	if f.To.IsZero() {
		f.To = farFuture
	}
	rows, err := c.purchaseRows(ctx, f, before, int32(limit)) //nolint:gosec // at most MaxPage
	if err != nil {
		return nil, fmt.Errorf("list purchases: %w", err)
	}
	purchases := make([]Purchase, len(rows))
	for i, row := range rows {
		if purchases[i], err = purchaseFromRow(row); err != nil {
			return nil, err
		}
	}
	return purchases, nil
}

// purchaseRows looks where the fewest are to be expected.
func (c *Cashback) purchaseRows(ctx context.Context, f PurchaseFilter, before Position, limit int32) ([]cashbackdb.Purchase, error) {
	switch {
	case f.CustomerID != "":
		return c.queries.PurchasesOfCustomer(ctx, cashbackdb.PurchasesOfCustomerParams{
			CustomerID: f.CustomerID, MerchantID: f.MerchantID, PaymentReference: f.PaymentReference,
			FromAt: f.From, ToAt: f.To, BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	case f.PaymentReference != "":
		return c.queries.PurchasesOfPayment(ctx, cashbackdb.PurchasesOfPaymentParams{
			PaymentReference: f.PaymentReference, MerchantID: f.MerchantID,
			FromAt: f.From, ToAt: f.To, BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	case f.MerchantID != "":
		return c.queries.PurchasesOfMerchant(ctx, cashbackdb.PurchasesOfMerchantParams{
			MerchantID: f.MerchantID, FromAt: f.From, ToAt: f.To, BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	default:
		return c.queries.PurchasesByTime(ctx, cashbackdb.PurchasesByTimeParams{
			FromAt: f.From, ToAt: f.To, BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	}
}
