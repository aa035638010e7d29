package cashback

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/money"
)

// How a Work reads and writes rewards and totals: one statement each, however many
// there are.

// lockTotals queues the reading of campaigns' totals, locked.
func lockTotals(batch *pgx.Batch, campaignIDs []string, into map[string]*totalsEntry) {
	batch.Queue(cashbackdb.LockTotals, campaignIDs).Query(func(rows pgx.Rows) error {
		var t cashbackdb.CampaignTotal
		columns := []any{
			&t.CampaignID, &t.Version, &t.Currency, &t.Budget, &t.Accrued, &t.Confirmed, &t.Paid, &t.Reversed, &t.Owed, &t.Merchants, &t.Rewards,
		}
		_, err := pgx.ForEachRow(rows, columns, func() error {
			into[t.CampaignID] = &totalsEntry{
				campaignID: t.CampaignID, version: t.Version, currency: money.Currency(t.Currency), budget: t.Budget, accrued: t.Accrued,
				confirmed: t.Confirmed, paid: t.Paid, reversed: t.Reversed, owed: t.Owed, merchants: t.Merchants, rewards: t.Rewards,
			}
			return nil
		})
		return err
	})
}

// saveTotals queues the writing of those totals that have changed.
func saveTotals(batch *pgx.Batch, all map[string]*totalsEntry) error {
	var p cashbackdb.UpdateTotalsParams
	for _, t := range all {
		if !t.changed {
			continue
		}
		p.CampaignIds = append(p.CampaignIds, t.campaignID)
		p.Accrued = append(p.Accrued, t.accrued)
		p.Confirmed = append(p.Confirmed, t.confirmed)
		p.Paid = append(p.Paid, t.paid)
		p.Reversed = append(p.Reversed, t.reversed)
		p.Owed = append(p.Owed, t.owed)
		p.Merchants = append(p.Merchants, t.merchants)
		p.Rewards = append(p.Rewards, t.rewards)
	}
	if len(p.CampaignIds) == 0 {
		return nil
	}
	return queries(batch).UpdateTotals(context.Background(), p)
}

// lockRewards queues the reading of rewards by their ids, locked.
func lockRewards(batch *pgx.Batch, rewardIDs []string, each func(*rewardEntry)) {
	batch.Queue(cashbackdb.LockRewards, rewardIDs).Query(rewardsFrom(each))
}

// lockRewardsOfPurchases queues the reading of all rewards of purchases, locked.
func lockRewardsOfPurchases(batch *pgx.Batch, purchaseIDs []string, each func(*rewardEntry)) {
	batch.Queue(cashbackdb.LockRewardsOfPurchases, purchaseIDs).Query(rewardsFrom(each))
}

func rewardsFrom(each func(*rewardEntry)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var row, blank cashbackdb.Reward
		columns := []any{
			&row.RewardID, &row.PurchaseID, &row.CampaignID, &row.CampaignVersion, &row.CustomerID, &row.Currency, &row.Amount,
			&row.MerchantAmount, &row.MerchantAccount, &row.Reversed, &row.Owed, &row.Status, &row.ConfirmAt, &row.NextAt,
			&row.Attempts, &row.FailureCode, &row.PaidTo, &row.Transfers, &row.CreatedAt, &row.UpdatedAt,
		}
		_, err := pgx.ForEachRow(rows, columns, func() error {
			each(&rewardEntry{Reward: rewardFromRow(row), next: row.NextAt, attempts: row.Attempts})
			row = blank // what it points to is now the entry's
			return nil
		})
		return err
	}
}

// insertRewards queues the writing of new rewards.
func insertRewards(batch *pgx.Batch, granted []*rewardEntry) error {
	if len(granted) == 0 {
		return nil
	}
	var p cashbackdb.InsertRewardsParams
	for _, r := range granted {
		p.RewardIds = append(p.RewardIds, r.ID)
		p.PurchaseIds = append(p.PurchaseIds, r.PurchaseID)
		p.CampaignIds = append(p.CampaignIds, r.CampaignID)
		p.CampaignVersions = append(p.CampaignVersions, r.CampaignVersion)
		p.CustomerIds = append(p.CustomerIds, r.CustomerID)
		p.Currencies = append(p.Currencies, string(r.Currency))
		p.Amounts = append(p.Amounts, r.Amount)
		p.MerchantAmounts = append(p.MerchantAmounts, r.MerchantAmount)
		p.MerchantAccounts = append(p.MerchantAccounts, r.MerchantAccount)
		p.Reversed = append(p.Reversed, r.Reversed)
		p.Owed = append(p.Owed, r.Owed)
		p.Statuses = append(p.Statuses, string(r.Status))
		p.ConfirmAt = append(p.ConfirmAt, r.ConfirmAt)
		p.NextAt = append(p.NextAt, orNever(r.next))
		p.Attempts = append(p.Attempts, r.attempts)
		p.FailureCodes = append(p.FailureCodes, r.FailureCode)
		p.PaidTo = append(p.PaidTo, r.PaidTo)
		p.Transfers = append(p.Transfers, r.Transfers)
		p.CreatedAt = append(p.CreatedAt, r.CreatedAt)
		p.UpdatedAt = append(p.UpdatedAt, r.UpdatedAt)
	}
	return queries(batch).InsertRewards(context.Background(), p)
}

// updateRewards queues the writing of those rewards that have changed.
func updateRewards(batch *pgx.Batch, all []*rewardEntry) error {
	var p cashbackdb.UpdateRewardsParams
	for _, r := range all {
		if !r.changed {
			continue
		}
		p.RewardIds = append(p.RewardIds, r.ID)
		p.Reversed = append(p.Reversed, r.Reversed)
		p.Owed = append(p.Owed, r.Owed)
		p.Statuses = append(p.Statuses, string(r.Status))
		p.NextAt = append(p.NextAt, orNever(r.next))
		p.Attempts = append(p.Attempts, r.attempts)
		p.FailureCodes = append(p.FailureCodes, r.FailureCode)
		p.PaidTo = append(p.PaidTo, r.PaidTo)
		p.Transfers = append(p.Transfers, r.Transfers)
		p.UpdatedAt = append(p.UpdatedAt, r.UpdatedAt)
	}
	if len(p.RewardIds) == 0 {
		return nil
	}
	return queries(batch).UpdateRewards(context.Background(), p)
}

// orNever is a time as an element of an array, where the zero time stands for NULL.
func orNever(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func rewardFromRow(row cashbackdb.Reward) Reward {
	return Reward{
		ID: row.RewardID, PurchaseID: row.PurchaseID, CampaignID: row.CampaignID, CampaignVersion: row.CampaignVersion,
		CustomerID: row.CustomerID, Currency: money.Currency(row.Currency), Amount: row.Amount, MerchantAmount: row.MerchantAmount,
		MerchantAccount: row.MerchantAccount, Reversed: row.Reversed, Owed: row.Owed, Status: RewardStatus(row.Status),
		ConfirmAt: row.ConfirmAt.UTC(), FailureCode: orEmpty(row.FailureCode), PaidTo: orEmpty(row.PaidTo), Transfers: row.Transfers,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}

func orEmpty(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// queries are this module's statements, sent with the batch of a Work.
func queries(batch *pgx.Batch) *cashbackdb.Queries { return cashbackdb.New(queued{batch}) }

// queued takes statements down instead of sending them.
type queued struct{ batch *pgx.Batch }

func (q queued) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (q queued) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errors.New("cashback: only statements without rows can be queued so")
}

func (q queued) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

type noRow struct{}

func (noRow) Scan(...any) error {
	return errors.New("cashback: only statements without rows can be queued so")
}
