package cashback

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
)

// Save writes what came of it, one statement a table.
func (w *work) Save(batch *pgx.Batch) error {
	if w.err != nil {
		return w.err
	}
	var changed []*rewardEntry
	for _, e := range w.purchases {
		if e.changed && !e.isRewarded {
			changed = append(changed, e.rewards...)
		}
	}
	q := queries(batch)
	return errors.Join(
		saveTotals(batch, w.totals), w.saveCustomers(q), w.insertPurchases(q), w.updatePurchases(q),
		insertRewards(batch, w.granted), updateRewards(batch, changed),
		w.saveCaps(q), w.saveSpend(q), w.visits.save(q), w.insertReturns(q), w.finishReturns(q),
	)
}

func (w *work) saveCustomers(q *cashbackdb.Queries) error {
	var p cashbackdb.UpdateCustomerCountsParams
	for _, c := range w.customers {
		if c.changed {
			p.CustomerIds = append(p.CustomerIds, c.id)
			p.Tiers = append(p.Tiers, c.tier)
			p.Purchases = append(p.Purchases, c.purchases)
			p.UpdatedAt = append(p.UpdatedAt, w.now)
		}
	}
	var t cashbackdb.InsertTierChangesParams
	for _, c := range w.changes {
		t.CustomerIds = append(t.CustomerIds, c.customerID)
		t.Seqs = append(t.Seqs, c.seq)
		t.At = append(t.At, c.at)
		t.Tiers = append(t.Tiers, c.tier)
		t.Spend = append(t.Spend, c.spend)
	}
	var err error
	if len(p.CustomerIds) > 0 {
		err = q.UpdateCustomerCounts(context.Background(), p)
	}
	if len(t.CustomerIds) > 0 {
		err = errors.Join(err, q.InsertTierChanges(context.Background(), t))
	}
	return err
}

// toJSON brings what has changed to its stored form.
func (e *purchaseEntry) toJSON() (lines, evaluation string) {
	lines, evaluation = e.lines, e.evaluation
	if e.Taken != nil {
		lines = linesToJSON(e.Lines, e.Taken)
	}
	if evaluation == "" && e.Evaluation != nil {
		evaluation = string(object(e.Evaluation))
	}
	return lines, evaluation
}

func (w *work) insertPurchases(q *cashbackdb.Queries) error {
	if len(w.recorded) == 0 {
		return nil
	}
	var p cashbackdb.InsertPurchasesParams
	for _, e := range w.recorded {
		lines, evaluation := e.toJSON()
		p.PurchaseIds = append(p.PurchaseIds, e.ID)
		p.MerchantIds = append(p.MerchantIds, e.MerchantID)
		p.CustomerIds = append(p.CustomerIds, e.CustomerID)
		p.Currencies = append(p.Currencies, string(e.Currency))
		p.Amounts = append(p.Amounts, e.Amount)
		p.Returned = append(p.Returned, e.Returned)
		p.Countries = append(p.Countries, e.Country)
		p.PurchasedAt = append(p.PurchasedAt, e.At)
		p.ClickIds = append(p.ClickIds, e.ClickID)
		p.PaymentReferences = append(p.PaymentReferences, e.PaymentReference)
		p.Lines = append(p.Lines, lines)
		p.Statuses = append(p.Statuses, string(e.Status))
		p.Evaluations = append(p.Evaluations, evaluation)
		p.RequestHashes = append(p.RequestHashes, e.hash)
		p.Sources = append(p.Sources, e.Source)
		p.RecordedBy = append(p.RecordedBy, e.RecordedBy)
		p.CreatedAt = append(p.CreatedAt, e.CreatedAt)
		p.UpdatedAt = append(p.UpdatedAt, e.UpdatedAt)
	}
	return q.InsertPurchases(context.Background(), p)
}

func (w *work) updatePurchases(q *cashbackdb.Queries) error {
	var p cashbackdb.UpdatePurchasesParams
	for _, e := range w.purchases {
		if e.isNew || !e.changed {
			continue
		}
		lines, evaluation := e.toJSON()
		p.PurchaseIds = append(p.PurchaseIds, e.ID)
		p.Returned = append(p.Returned, e.Returned)
		p.Lines = append(p.Lines, lines)
		p.Statuses = append(p.Statuses, string(e.Status))
		p.Evaluations = append(p.Evaluations, evaluation)
		p.UpdatedAt = append(p.UpdatedAt, e.UpdatedAt)
	}
	if len(p.PurchaseIds) == 0 {
		return nil
	}
	return q.UpdatePurchases(context.Background(), p)
}

func (w *work) saveSpend(q *cashbackdb.Queries) error {
	var p cashbackdb.AddSpendParams
	for key, amount := range w.spend {
		p.CustomerIds = append(p.CustomerIds, key.customerID)
		p.Currencies = append(p.Currencies, key.currency)
		p.Days = append(p.Days, dateOf(key.day))
		p.Amounts = append(p.Amounts, amount)
	}
	if len(p.CustomerIds) == 0 {
		return nil
	}
	return q.AddSpend(context.Background(), p)
}

func (w *work) saveCaps(q *cashbackdb.Queries) error {
	var more cashbackdb.AddToCapsParams
	var less cashbackdb.TakeOffCapsParams
	for key, got := range w.caps {
		switch {
		case got.added.IsPositive():
			more.CustomerIds = append(more.CustomerIds, key.customerID)
			more.CampaignIds = append(more.CampaignIds, key.campaignID)
			more.Periods = append(more.Periods, key.period)
			more.Amounts = append(more.Amounts, got.added)
		case got.added.IsNegative():
			less.CustomerIds = append(less.CustomerIds, key.customerID)
			less.CampaignIds = append(less.CampaignIds, key.campaignID)
			less.Periods = append(less.Periods, key.period)
			less.Amounts = append(less.Amounts, got.added.Neg())
		}
	}
	var err error
	if len(more.CustomerIds) > 0 {
		err = q.AddToCaps(context.Background(), more)
	}
	if len(less.CustomerIds) > 0 {
		err = errors.Join(err, q.TakeOffCaps(context.Background(), less))
	}
	return err
}

// toJSON are the parts of a return, and why it was refused, as elements of arrays.
func (r *returnEntry) toJSON() (parts, code, message string) {
	if r.Parts != nil {
		parts = string(object(r.Parts))
	}
	if r.Failure != nil {
		code, message = string(r.Failure.Code), r.Failure.Message
	}
	return parts, code, message
}

func (w *work) insertReturns(q *cashbackdb.Queries) error {
	if len(w.reported) == 0 {
		return nil
	}
	var p cashbackdb.InsertReturnsParams
	for _, r := range w.reported {
		parts, code, message := r.toJSON()
		lines, amount := "", decimal.NewFromInt(-1)
		if r.Lines != nil {
			lines = string(object(r.Lines))
		}
		if r.Amount.Valid {
			amount = r.Amount.Decimal
		}
		p.ReturnIds = append(p.ReturnIds, r.ID)
		p.PurchaseIds = append(p.PurchaseIds, r.PurchaseID)
		p.CustomerIds = append(p.CustomerIds, r.CustomerID)
		p.MerchantIds = append(p.MerchantIds, r.MerchantID)
		p.Lines = append(p.Lines, lines)
		p.Amounts = append(p.Amounts, amount)
		p.ReturnedAt = append(p.ReturnedAt, r.At)
		p.Statuses = append(p.Statuses, string(r.Status))
		p.FailureCodes = append(p.FailureCodes, code)
		p.FailureMessages = append(p.FailureMessages, message)
		p.Parts = append(p.Parts, parts)
		p.Currencies = append(p.Currencies, string(r.Currency))
		p.Reversed = append(p.Reversed, r.Reversed)
		p.RequestHashes = append(p.RequestHashes, r.hash)
		p.Sources = append(p.Sources, r.Source)
		p.RecordedBy = append(p.RecordedBy, r.RecordedBy)
		p.CreatedAt = append(p.CreatedAt, r.CreatedAt)
		p.UpdatedAt = append(p.UpdatedAt, r.UpdatedAt)
	}
	return q.InsertReturns(context.Background(), p)
}

func (w *work) finishReturns(q *cashbackdb.Queries) error {
	var p cashbackdb.FinishReturnsParams
	for _, r := range w.finished {
		parts, code, message := r.toJSON()
		p.ReturnIds = append(p.ReturnIds, r.ID)
		p.Statuses = append(p.Statuses, string(r.Status))
		p.FailureCodes = append(p.FailureCodes, code)
		p.FailureMessages = append(p.FailureMessages, message)
		p.Parts = append(p.Parts, parts)
		p.Currencies = append(p.Currencies, string(r.Currency))
		p.Reversed = append(p.Reversed, r.Reversed)
		p.UpdatedAt = append(p.UpdatedAt, r.UpdatedAt)
	}
	if len(p.ReturnIds) == 0 {
		return nil
	}
	return q.FinishReturns(context.Background(), p)
}
