package cashback

import (
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
)

// Load reads what is known. Locked are the campaigns' totals and the customers, the
// purchases that change, and their rewards; the rest is a customer's own.
func (w *work) Load(batch *pgx.Batch) {
	w.runs++
	w.forget()
	if len(w.reach.campaigns) > 0 {
		lockTotals(batch, keysOf(w.reach.campaigns), w.totals)
	}
	w.loadCustomers(batch)
	w.loadPurchases(batch)
	w.loadReturns(batch)
	w.loadSpend(batch)
	w.visits.load(batch)
}

// forget takes back what an earlier run thought of.
func (w *work) forget() {
	n := len(w.items)
	w.totals = make(map[string]*totalsEntry, len(w.reach.campaigns))
	w.customers = make(map[string]*customerEntry, len(w.reach.customers))
	w.hasHeld = map[string]bool{}
	w.purchases = make(map[string]*purchaseEntry, n)
	w.bought = make(map[visitor][]*purchaseEntry, len(w.reach.returners))
	w.returns = make(map[string]*returnEntry, len(w.reach.newReturns))
	w.waiting = map[string][]*returnEntry{}
	w.caps = make(map[capKey]*capEntry, len(w.reach.caps))
	w.spend = make(map[spendKey]decimal.Decimal, n)
	w.changes, w.recorded, w.reported, w.finished, w.granted = nil, nil, nil, nil, nil
	w.decided, w.err = 0, nil
}

func (w *work) loadCustomers(batch *pgx.Batch) {
	if len(w.reach.customers) == 0 {
		return
	}
	customerIDs := keysOf(w.reach.customers)
	batch.Queue(cashbackdb.LockCustomers, customerIDs).Query(func(rows pgx.Rows) error {
		var c customerEntry
		_, err := pgx.ForEachRow(rows, []any{&c.id, &c.country, &c.tier, &c.purchases}, func() error {
			found := c
			w.customers[c.id] = &found
			return nil
		})
		return err
	})
	batch.Queue(cashbackdb.SegmentsOfCustomers, customerIDs).Query(func(rows pgx.Rows) error {
		var customerID, segment string
		_, err := pgx.ForEachRow(rows, []any{&customerID, &segment}, func() error {
			if c := w.customers[customerID]; c != nil {
				c.segments = append(c.segments, segment)
			}
			return nil
		})
		return err
	})
	if len(w.reach.returners) > 0 {
		batch.Queue(cashbackdb.CustomersWithHeld, w.reach.returners).Query(func(rows pgx.Rows) error {
			var customerID string
			_, err := pgx.ForEachRow(rows, []any{&customerID}, func() error {
				w.hasHeld[customerID] = true
				return nil
			})
			return err
		})
	}
}

func (w *work) loadPurchases(batch *pgx.Batch) {
	// Those that others may change are locked; what became of new ids before is not
	// changed by looking.
	locked := slices.Concat(w.reach.held, keysOf(w.reach.returned))
	known := locked
	if len(locked) > 0 {
		w.queuePurchases(batch, cashbackdb.LockPurchases, locked)
	}
	if w.runs > 1 && len(w.reach.newPurchases) > 0 {
		w.queuePurchases(batch, cashbackdb.FindPurchases, w.reach.newPurchases)
		known = slices.Concat(locked, w.reach.newPurchases)
	}
	if len(known) > 0 {
		lockRewardsOfPurchases(batch, known, func(r *rewardEntry) {
			if e := w.purchases[r.PurchaseID]; e != nil {
				e.rewards = append(e.rewards, r)
			}
		})
	}
}

func (w *work) queuePurchases(batch *pgx.Batch, sql string, ids []string) {
	batch.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		var row, blank cashbackdb.Purchase
		columns := []any{
			&row.PurchaseID, &row.MerchantID, &row.CustomerID, &row.Currency, &row.Amount, &row.Returned, &row.Country,
			&row.PurchasedAt, &row.ClickID, &row.PaymentReference, &row.Lines, &row.Status, &row.Evaluation, &row.RequestHash,
			&row.Source, &row.RecordedBy, &row.CreatedAt, &row.UpdatedAt,
		}
		_, err := pgx.ForEachRow(rows, columns, func() error {
			p, err := purchaseFromRow(row)
			if err == nil && w.purchases[p.ID] == nil {
				w.know(&purchaseEntry{Purchase: p, hash: row.RequestHash, lines: string(row.Lines), evaluation: string(row.Evaluation)})
			}
			row = blank // what it points to is now the entry's
			return err
		})
		return err
	})
}

func (w *work) know(e *purchaseEntry) {
	w.purchases[e.ID] = e
	if len(w.reach.returners) > 0 {
		who := visitor{e.CustomerID, e.MerchantID}
		w.bought[who] = append(w.bought[who], e)
	}
}

func (w *work) loadReturns(batch *pgx.Batch) {
	known := w.reach.waitingReturns
	if w.runs > 1 {
		known = slices.Concat(known, w.reach.newReturns)
	}
	if len(known) > 0 {
		queueReturns(batch, cashbackdb.FindReturns, known, func(r *returnEntry) { w.returns[r.ID] = r })
	}
	if len(w.reach.evaluated) > 0 {
		queueReturns(batch, cashbackdb.WaitingReturnsOfPurchases, w.reach.evaluated, func(r *returnEntry) {
			w.waiting[r.PurchaseID] = append(w.waiting[r.PurchaseID], r)
		})
	}
}

func queueReturns(batch *pgx.Batch, sql string, ids []string, each func(*returnEntry)) {
	batch.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		var row, blank cashbackdb.PurchaseReturn
		columns := []any{
			&row.ReturnID, &row.PurchaseID, &row.CustomerID, &row.MerchantID, &row.Lines, &row.Amount, &row.ReturnedAt, &row.Status,
			&row.FailureCode, &row.FailureMessage, &row.Parts, &row.Currency, &row.Reversed, &row.RequestHash, &row.Source, &row.RecordedBy,
			&row.CreatedAt, &row.UpdatedAt,
		}
		_, err := pgx.ForEachRow(rows, columns, func() error {
			r, err := returnFromRow(row)
			if err == nil {
				each(&returnEntry{Return: r, hash: row.RequestHash})
			}
			row = blank
			return err
		})
		return err
	})
}

// loadSpend reads what customers spent, and got in the periods of caps.
func (w *work) loadSpend(batch *pgx.Batch) {
	if len(w.reach.spenders) > 0 {
		batch.Queue(cashbackdb.SpendOfCustomers, w.reach.spenders, string(w.program.TierCurrency), dateOf(w.reach.spendFrom)).Query(func(rows pgx.Rows) error {
			var customerID string
			var of daySpend
			_, err := pgx.ForEachRow(rows, []any{&customerID, &of.day, &of.amount}, func() error {
				if c := w.customers[customerID]; c != nil {
					c.addDay(of.day, of.amount)
				}
				return nil
			})
			return err
		})
	}
	if len(w.reach.caps) > 0 {
		var p cashbackdb.CapsOfCustomersParams
		for key := range w.reach.caps {
			p.CustomerIds = append(p.CustomerIds, key.customerID)
			p.CampaignIds = append(p.CampaignIds, key.campaignID)
			p.Periods = append(p.Periods, key.period)
		}
		batch.Queue(cashbackdb.CapsOfCustomers, p.CustomerIds, p.CampaignIds, p.Periods).Query(func(rows pgx.Rows) error {
			var key capKey
			var amount decimal.Decimal
			_, err := pgx.ForEachRow(rows, []any{&key.customerID, &key.campaignID, &key.period, &amount}, func() error {
				w.caps[key] = &capEntry{amount: amount}
				return nil
			})
			return err
		})
	}
}
