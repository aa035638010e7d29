package cashback

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// ReturnResult is what became of a return.
type ReturnResult struct {
	// Return is on record, also when it was REFUSED; zero when the id is another's.
	Return Return
	// Err is a *Failure, that of a REFUSED return among them, or what went wrong with
	// this one alone.
	Err error
}

// Return takes a return in: when it returns, what was given for what came back is
// taken back, or is on the way to be, as the customer has spent it. One whose purchase
// is not known, or HELD, is WAITING: it is applied when the purchase is evaluated.
//
// One that is more than what is left of its purchase is REFUSED as a whole
// (ReturnExceedsPurchase, NothingToReturn) and on record all the same, with the
// failure beside it. Of one that names no purchase, what was not bought is left out:
// Parts says what was found, in purchases of one currency. It is looked for in the
// customer's newest LookbackMax purchases before it. One that names a purchase and
// another customer or merchant than the purchase's is REFUSED (PurchaseNotFound).
//
// The same request again returns the return as it is now; another one under its id is
// DuplicateReturn. Returns InvalidInput, ledger.ErrOverloaded, and other errors of the
// infrastructure, after which the same call may be made again.
func (c *Cashback) Return(ctx context.Context, r ReturnRequest) (Return, error) {
	results, err := c.takeBack(ctx, []ReturnRequest{r}, "")
	if err != nil {
		return Return{}, err
	}
	return results[0].Return, results[0].Err
}

// ReturnBatch is Return for 1 to MaxBatch returns: they are taken in in their order,
// and each has its own result. Their lines must not be changed afterwards. Returns
// InvalidInput, and nothing is stored, when any request makes no sense.
//
// The error is one of the infrastructure. Some returns may then be done: the same call
// again finishes the rest.
func (c *Cashback) ReturnBatch(ctx context.Context, requests []ReturnRequest) ([]ReturnResult, error) {
	if len(requests) == 0 || len(requests) > MaxBatch {
		return nil, invalid("returns", "must be 1 to %d, not %d", MaxBatch, len(requests))
	}
	return c.takeBack(ctx, requests, "returns")
}

func (c *Cashback) takeBack(ctx context.Context, requests []ReturnRequest, batchName string) ([]ReturnResult, error) {
	by, origin := actor(ctx), originOf(ctx)
	p := problems{item: batchName, now: c.clock()}
	items := make([]*item, len(requests))
	for i, r := range requests {
		if p.index = i; p.isMany() {
			break
		}
		r.check(&p)
		items[i] = &item{kind: newReturn, id: r.ID, by: by, origin: origin, returned: r}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	for _, it := range items {
		it.hash = it.returned.hash()
	}
	if err := c.intake.do(ctx, items); err != nil {
		return nil, err
	}
	results := make([]ReturnResult, len(items))
	for i, it := range items {
		switch {
		case it.err != nil:
			results[i].Err = it.err
		case it.refusal != nil:
			results[i].Err = it.refusal
		default:
			results[i].Return = it.ret
			if it.ret.Failure != nil {
				results[i].Err = it.ret.Failure
			}
		}
	}
	return results, nil
}

// hash is of all that is asked, but for Source.
func (r *ReturnRequest) hash() []byte {
	h := make(hashed, 0, 256)
	for _, text := range []string{r.ID, r.PurchaseID, r.CustomerID, r.MerchantID} {
		h.text(text)
	}
	h.number(r.At.UnixMicro())
	amount := decimal.NewFromInt(-1)
	if r.Amount.Valid {
		amount = r.Amount.Decimal
	}
	h.amount(amount)
	for _, line := range r.Lines {
		at := -1
		if line.Line != nil {
			at = *line.Line
		}
		h.number(int64(at))
		h.text(line.Product)
		h.number(line.Quantity)
	}
	return h.sum()
}

// ReturnByID returns one return. Returns ReturnNotFound.
func (c *Cashback) ReturnByID(ctx context.Context, returnID string) (Return, error) {
	if !id.IsPossible(returnID) {
		return Return{}, returnNotFound(returnID)
	}
	row, err := c.queries.GetReturn(ctx, returnID)
	if database.NotFound(err) {
		return Return{}, returnNotFound(returnID)
	}
	if err != nil {
		return Return{}, fmt.Errorf("get return: %w", err)
	}
	return returnFromRow(row)
}

func returnNotFound(returnID string) error {
	return ReturnNotFound.Failure("there is no return %q", returnID)
}

func returnFromRow(row cashbackdb.PurchaseReturn) (Return, error) {
	r := Return{
		ReturnRequest: ReturnRequest{
			ID: row.ReturnID, PurchaseID: row.PurchaseID, CustomerID: row.CustomerID, MerchantID: row.MerchantID,
			Amount: row.Amount, At: row.ReturnedAt.UTC(), Source: row.Source,
		},
		Status: ReturnStatus(row.Status), Currency: money.Currency(orEmpty(row.Currency)), Reversed: row.Reversed, RecordedBy: row.RecordedBy,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
	if row.FailureCode != nil {
		r.Failure = &Failure{Code: Code(*row.FailureCode), Message: orEmpty(row.FailureMessage)}
	}
	if row.Lines != nil {
		if err := json.Unmarshal(row.Lines, &r.Lines); err != nil {
			return Return{}, fmt.Errorf("read lines of return %s: %w", r.ID, err)
		}
	}
	if row.Parts != nil {
		if err := json.Unmarshal(row.Parts, &r.Parts); err != nil {
			return Return{}, fmt.Errorf("read parts of return %s: %w", r.ID, err)
		}
	}
	return r, nil
}
