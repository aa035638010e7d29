package cashback

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/money"
	"florin/internal/platform/database"
)

// Figures returns what a campaign has given, as of one moment: what was committed
// before is in it. Returns CampaignNotFound.
func (c *Cashback) Figures(ctx context.Context, campaignID string) (Figures, error) {
	if !campaignIDPattern.MatchString(campaignID) {
		return Figures{}, campaignNotFound(campaignID)
	}
	at := c.clock()
	row, err := c.queries.GetTotals(ctx, campaignID)
	if database.NotFound(err) {
		return Figures{}, campaignNotFound(campaignID)
	}
	if err != nil {
		return Figures{}, fmt.Errorf("read figures of campaign: %w", err)
	}
	return Figures{
		CampaignID: row.CampaignID, Currency: money.Currency(row.Currency), Budget: row.Budget,
		Remaining: leftOf(row),
		Accrued:   row.Accrued, Confirmed: row.Confirmed, Paid: row.Paid, Reversed: row.Reversed, Owed: row.Owed,
		Merchants: row.Merchants, Rewards: row.Rewards, At: at,
	}, nil
}

// leftOf is what a campaign can still give.
func leftOf(t cashbackdb.CampaignTotal) decimal.Decimal {
	return t.Budget.Sub(t.Accrued).Sub(t.Confirmed).Sub(t.Paid)
}
