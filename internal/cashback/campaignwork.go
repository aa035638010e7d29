package cashback

import (
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
)

// campaignWork writes a campaign's next version. It moves no money. It is a work all
// the same: a busy campaign's totals are locked by one batch after the other, between
// which a transaction of its own might never come.
type campaignWork struct {
	id     string
	by     string // who makes the version
	decide func(current *Campaign) (Campaign, error)

	// As Load finds it.
	current       *Campaign // nil for none
	spent         decimal.Decimal
	othersEnabled int64

	// As decided: one of them counts.
	saved   Campaign
	refusal error
}

var _ ledger.Work = (*campaignWork)(nil)

// Size is that of a transfer.
func (w *campaignWork) Size() int { return 1 }

// Accounts are none.
func (w *campaignWork) Accounts() []string { return nil }

// Load locks what is given of the budget, if the campaign is there.
func (w *campaignWork) Load(batch *pgx.Batch) {
	w.current, w.spent, w.othersEnabled = nil, decimal.Zero, 0
	batch.Queue(cashbackdb.LockSpent, w.id).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&w.spent); !database.NotFound(err) {
			return err
		}
		return nil
	})
	batch.Queue(cashbackdb.CurrentCampaign, w.id).QueryRow(func(row pgx.Row) error {
		var found cashbackdb.Campaign
		err := row.Scan(&found.CampaignID, &found.Version, &found.Terms, &found.CreatedBy, &found.CreatedAt)
		if database.NotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		current, err := campaignFromRow(found)
		w.current = &current
		return err
	})
	batch.Queue(cashbackdb.CountOtherEnabledCampaigns, w.id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&w.othersEnabled)
	})
}

// Decide makes the version.
func (w *campaignWork) Decide(m *ledger.Mover) {
	w.saved, w.refusal = w.decide(w.current)
	if w.refusal != nil || !w.isChange() {
		return
	}
	if w.refusal = w.checkLimits(); w.refusal != nil {
		w.saved = Campaign{}
		return
	}
	w.saved.CreatedBy, w.saved.CreatedAt = w.by, m.Now()
	m.Note(campaignEvent(w.current, w.saved))
}

// isChange says that there is a version to be written.
func (w *campaignWork) isChange() bool {
	return w.refusal == nil && (w.current == nil || w.saved.Version != w.current.Version)
}

func (w *campaignWork) checkLimits() error {
	if w.saved.Budget.LessThan(w.spent) {
		return BudgetBelowSpent.Failure("campaign %s has given %s %s already: its budget can't be less", w.id,
			money.Format(w.spent, w.saved.Currency), w.saved.Currency)
	}
	wasEnabled := w.current != nil && w.current.Enabled
	if w.saved.Enabled && !wasEnabled && w.othersEnabled >= MaxCampaigns {
		return TooManyCampaigns.Failure("%d campaigns are enabled, the most there can be: disable one first", w.othersEnabled)
	}
	return nil
}

// Save writes it.
func (w *campaignWork) Save(batch *pgx.Batch) error {
	if !w.isChange() {
		return nil
	}
	if w.current == nil {
		batch.Queue(cashbackdb.InsertTotals, w.id, w.saved.Version, string(w.saved.Currency), w.saved.Budget)
	} else {
		batch.Queue(cashbackdb.SetVersion, w.saved.Version, w.saved.Budget, w.id)
	}
	batch.Queue(cashbackdb.InsertCampaign, w.id, w.saved.Version, object(w.saved.Terms), w.by, w.saved.CreatedAt)
	return nil
}

func campaignEvent(before *Campaign, after Campaign) audit.Event {
	event := audit.Event{Action: "campaign.created", TargetKind: "campaign", TargetID: after.ID, After: after.json(), Result: audit.OK}
	if before != nil {
		event.Action, event.Before = "campaign.changed", before.json()
	}
	return event
}
