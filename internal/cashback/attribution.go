package cashback

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
)

// visitor is a customer at a merchant's.
type visitor struct{ customerID, merchantID string }

// visits are the clicks that purchases of a Work may belong to. They are a
// customer's own, and change under his lock alone.
type visits struct {
	spans map[visitor]span // to look for, fixed before the transaction
	free  map[visitor][]rules.Click
	used  []use
}

type span struct{ from, to time.Time }

// and is the shortest span that has both.
func (s span) and(other span) span {
	if other.from.Before(s.from) {
		s.from = other.from
	}
	if other.to.After(s.to) {
		s.to = other.to
	}
	return s
}

func (s span) has(at time.Time) bool { return !at.Before(s.from) && !at.After(s.to) }

type use struct{ clickID, purchaseID string }

// want asks for the clicks that a purchase may belong to.
func (v *visits) want(r *PurchaseRequest, window time.Duration) {
	if window <= 0 {
		return
	}
	if v.spans == nil {
		v.spans = map[visitor]span{}
	}
	who := visitor{r.CustomerID, r.MerchantID}
	wanted := span{r.At.Add(-window), r.At}
	if s, isThere := v.spans[who]; isThere {
		wanted = wanted.and(s)
	}
	v.spans[who] = wanted
}

func (v *visits) load(batch *pgx.Batch) {
	v.free, v.used = map[visitor][]rules.Click{}, nil
	if len(v.spans) == 0 {
		return
	}
	customers := map[string]bool{}
	var all span
	for who, s := range v.spans {
		if len(customers) == 0 {
			all = s
		}
		customers[who.customerID] = true
		all = all.and(s)
	}
	batch.Queue(cashbackdb.FreeClicks, keysOf(customers), all.from, all.to).Query(func(rows pgx.Rows) error {
		var c rules.Click
		var who visitor
		_, err := pgx.ForEachRow(rows, []any{&c.ID, &who.customerID, &who.merchantID, &c.CampaignID, &c.At}, func() error {
			c.At = c.At.UTC()
			if s, isWanted := v.spans[who]; isWanted && s.has(c.At) {
				v.free[who] = append(v.free[who], c)
			}
			return nil
		})
		return err
	})
}

// attribute finds the click that a purchase belongs to, which no other then has; nil
// for none.
func (v *visits) attribute(set *rules.Set, p *rules.Purchase, named string) *rules.Click {
	who := visitor{p.CustomerID, p.MerchantID}
	free := v.free[who]
	if len(free) == 0 {
		return nil
	}
	found := set.Attribute(p, named, free)
	if found == nil {
		return nil
	}
	click := *found
	v.free[who] = slices.DeleteFunc(slices.Clone(free), func(c rules.Click) bool { return c.ID == click.ID })
	v.used = append(v.used, use{click.ID, p.ID})
	return &click
}

func (v *visits) save(q *cashbackdb.Queries) error {
	if len(v.used) == 0 {
		return nil
	}
	var p cashbackdb.UseClicksParams
	for _, u := range v.used {
		p.ClickIds = append(p.ClickIds, u.clickID)
		p.PurchaseIds = append(p.PurchaseIds, u.purchaseID)
	}
	return q.UseClicks(context.Background(), p)
}
