package cashback

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/cache"
	"florin/internal/platform/database"
)

// Funded is the campaigns as one owner sees them: those that an account of his pays
// for, or has paid for, each in the newest version in which it does. What others pay
// for is not there: it is refused with the very words for what does not exist. See
// Cashback.FundedBy.
type Funded struct {
	c       *Cashback
	ownerID string
}

// FundedBy returns the campaigns as the owner of accounts sees them. "" is nobody, who
// sees none.
func (c *Cashback) FundedBy(ownerID string) Funded { return Funded{c, ownerID} }

// Campaign returns the newest version of a campaign that an account of the owner's
// pays for. Returns CampaignNotFound.
func (f Funded) Campaign(ctx context.Context, id string) (Campaign, error) {
	accounts, err := f.accounts(ctx)
	if err != nil {
		return Campaign{}, err
	}
	return fundedCampaign(ctx, f.c.queries, accounts, id)
}

// Campaigns lists what Campaign returns in the order of the campaigns' ids, beginning
// after the id after, at most limit of them.
func (f Funded) Campaigns(ctx context.Context, after string, limit int) ([]Campaign, error) {
	accounts, err := f.accounts(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := f.c.queries.FundedCampaigns(ctx, cashbackdb.FundedCampaignsParams{AfterCampaignID: after, AccountIds: accounts, MaxRows: pageSize(limit)})
	if err != nil {
		return nil, fmt.Errorf("list funded campaigns: %w", err)
	}
	return campaignsFromRows(rows)
}

// Figures returns the owner's part of what a campaign has given, as of one moment that
// is at most CacheTime ago: it is summed up of rewards. Merchants is all of it,
// Rewards those that he pays for. Remaining is his part, by the newest version, of what
// the campaign can still give, and Budget what that and the rest add up to. Reversed is
// what his part has shrunk by, also where his account could not take it and the
// platform keeps it for him. Returns CampaignNotFound.
func (f Funded) Figures(ctx context.Context, campaignID string) (Figures, error) {
	now := f.c.clock()
	return f.c.funded.of(fundedKey{f.ownerID, campaignID}).Get(now, CacheTime, func(Figures) (Figures, error) {
		return f.sumUp(ctx, campaignID, now)
	})
}

// accounts are the owner's that can pay for campaigns.
func (f Funded) accounts(ctx context.Context) ([]string, error) {
	const page = 500
	var ids []string
	if f.ownerID == "" { // which to the books is everybody
		return nil, nil
	}
	for after := ""; ; after = ids[len(ids)-1] {
		accounts, err := f.c.books.As(f.ownerID).Accounts(ctx, ledger.AccountFilter{Type: ledger.Merchant}, after, page)
		if err != nil {
			return nil, fmt.Errorf("list the owner's accounts: %w", err)
		}
		for _, account := range accounts {
			ids = append(ids, account.ID)
		}
		if len(accounts) < page {
			return ids, nil
		}
	}
}

func fundedCampaign(ctx context.Context, queries *cashbackdb.Queries, accounts []string, id string) (Campaign, error) {
	row, err := queries.FundedCampaign(ctx, cashbackdb.FundedCampaignParams{CampaignID: id, AccountIds: accounts})
	if database.NotFound(err) {
		return Campaign{}, campaignNotFound(id)
	}
	if err != nil {
		return Campaign{}, fmt.Errorf("read funded campaign: %w", err)
	}
	return campaignFromRow(row)
}

func (f Funded) sumUp(ctx context.Context, campaignID string, at time.Time) (Figures, error) {
	accounts, err := f.accounts(ctx)
	if err != nil {
		return Figures{}, err
	}
	var campaign Campaign
	var totals cashbackdb.CampaignTotal
	var rewards []cashbackdb.FundedRewardsRow
	err = f.c.db.Snapshot(ctx, func(tx pgx.Tx, _ time.Time) error {
		queries := cashbackdb.New(tx)
		var err error
		if campaign, err = fundedCampaign(ctx, queries, accounts, campaignID); err != nil {
			return err
		}
		if totals, err = queries.GetTotals(ctx, campaignID); err != nil {
			return fmt.Errorf("read figures of campaign: %w", err)
		}
		rewards, err = queries.FundedRewards(ctx, cashbackdb.FundedRewardsParams{CampaignID: campaignID, AccountIds: accounts})
		if err != nil {
			return fmt.Errorf("read funded rewards: %w", err)
		}
		return nil
	})
	if err != nil {
		return Figures{}, err
	}
	versions := make([]campaignVersion, len(rewards))
	for i, row := range rewards {
		versions[i] = campaignVersion{campaignID, row.CampaignVersion}
	}
	campaigns, err := f.c.campaignVersions(ctx, versions)
	if err != nil {
		return Figures{}, err
	}
	figures := Figures{CampaignID: campaignID, Currency: campaign.Currency, At: at}
	for i, row := range rewards {
		figures.addPart(row, campaigns[versions[i]].Funding)
	}
	figures.Merchants = figures.Accrued.Add(figures.Confirmed).Add(figures.Paid)
	if campaign.Version == totals.Version { // else he pays for nothing more of it
		figures.Remaining = rules.MerchantPart(campaign.Funding, leftOf(totals), campaign.Currency)
	}
	figures.Budget = figures.Merchants.Add(figures.Remaining)
	return figures, nil
}

// addPart adds the merchant's part of rewards, as funding has it.
func (f *Figures) addPart(row cashbackdb.FundedRewardsRow, funding rules.Funding) {
	given, kept := row.Granted, row.Granted
	if row.IsReversed {
		number := decimal.NewFromInt(row.Rewards)
		given = rules.MerchantPart(funding, row.Given, f.Currency).Mul(number)
		kept = rules.MerchantPart(funding, row.Kept, f.Currency).Mul(number)
	}
	switch RewardStatus(row.Status) {
	case Accrued:
		f.Accrued = f.Accrued.Add(given)
	case Confirmed:
		f.Confirmed = f.Confirmed.Add(given)
	case Paid, Reversed:
		f.Paid = f.Paid.Add(given)
	}
	f.Reversed = f.Reversed.Add(row.Granted.Sub(kept))
	f.Owed = f.Owed.Add(given.Sub(kept))
	f.Rewards += row.Rewards
}

// fundedFigures remembers what summing up took long for: merchants may ask hundreds of
// times a second. The zero value remembers nothing.
type fundedFigures struct {
	mu     sync.Mutex
	values map[fundedKey]*cache.Value[Figures]
}

type fundedKey struct{ ownerID, campaignID string }

// fundedMax is how many figures are remembered.
const fundedMax = 1000

func (r *fundedFigures) of(key fundedKey) *cache.Value[Figures] {
	r.mu.Lock()
	defer r.mu.Unlock()
	value := r.values[key]
	if value == nil {
		if r.values == nil || len(r.values) >= fundedMax {
			r.values = map[fundedKey]*cache.Value[Figures]{}
		}
		value = &cache.Value[Figures]{}
		r.values[key] = value
	}
	return value
}
