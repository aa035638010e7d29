package cashback

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// RewardID is the id of the reward of a purchase by a campaign: there is one at
// most.
func RewardID(purchaseID, campaignID string) string {
	const length = 26 // 130 bits, as of random ids
	var text []byte
	for _, part := range []string{purchaseID, campaignID} { // so that no two pairs read alike
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return "rwd_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))[:length]
}

// TransferID is the id of the nth transfer made for a reward, from 1.
func TransferID(rewardID string, n int64) string {
	return "house:" + rewardID + ":" + strconv.FormatInt(n, 10)
}

// Position is a place in a list: that of the last one of a page.
type Position struct {
	At time.Time
	ID string
}

// farFuture is after whatever is on record.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Position is where the reward stands in a list.
func (r *Reward) Position() Position { return Position{At: r.CreatedAt, ID: r.ID} }

// RewardFilter says which rewards to list. One of the ids is needed: they are what
// rewards are found by.
type RewardFilter struct {
	CampaignID string
	CustomerID string
	PurchaseID string
	Status     RewardStatus // all when empty
}

// RewardStatuses are all there are.
var RewardStatuses = []RewardStatus{Accrued, Confirmed, Paid, Reversed}

// Reward returns one reward. Returns RewardNotFound.
func (c *Cashback) Reward(ctx context.Context, rewardID string) (Reward, error) {
	if !id.IsPossible(rewardID) {
		return Reward{}, rewardNotFound(rewardID)
	}
	row, err := c.queries.GetReward(ctx, rewardID)
	if database.NotFound(err) {
		return Reward{}, rewardNotFound(rewardID)
	}
	if err != nil {
		return Reward{}, fmt.Errorf("get reward: %w", err)
	}
	return rewardFromRow(row), nil
}

func rewardNotFound(rewardID string) error {
	return RewardNotFound.Failure("there is no reward %q", rewardID)
}

// Rewards lists rewards, newest first, from after a place on; from the newest when
// that is nil; at most limit of them. Returns InvalidInput when the filter names
// no campaign, customer or purchase, or an unknown status.
func (c *Cashback) Rewards(ctx context.Context, f RewardFilter, after *Position, limit int) ([]Reward, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	before := Position{At: farFuture}
	if after != nil {
		before = *after
	}
	rows, err := c.rewardRows(ctx, f, before, pageSize(limit))
	if err != nil {
		return nil, fmt.Errorf("list rewards: %w", err)
	}
	rewards := make([]Reward, len(rows))
	for i, row := range rows {
		rewards[i] = rewardFromRow(row)
	}
	return rewards, nil
}

// rewardRows looks where the fewest are to be expected.
func (c *Cashback) rewardRows(ctx context.Context, f RewardFilter, before Position, limit int32) ([]cashbackdb.Reward, error) {
	switch {
	case f.PurchaseID != "":
		return c.queries.RewardsOfPurchase(ctx, cashbackdb.RewardsOfPurchaseParams{
			PurchaseID: f.PurchaseID, CampaignID: f.CampaignID, CustomerID: f.CustomerID, Status: string(f.Status),
			BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	case f.CustomerID != "":
		return c.queries.RewardsOfCustomer(ctx, cashbackdb.RewardsOfCustomerParams{
			CustomerID: f.CustomerID, CampaignID: f.CampaignID, Status: string(f.Status),
			BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	default:
		return c.queries.RewardsOfCampaign(ctx, cashbackdb.RewardsOfCampaignParams{
			CampaignID: f.CampaignID, Status: string(f.Status), BeforeAt: before.At, BeforeID: before.ID, MaxRows: limit,
		})
	}
}

func (f *RewardFilter) validate() error {
	if f.CampaignID == "" && f.CustomerID == "" && f.PurchaseID == "" {
		return invalid("campaignId", "must be set, or customerId, or purchaseId")
	}
	if f.Status != "" && !slices.Contains(RewardStatuses, f.Status) {
		return invalid("status", "must be one of %v", RewardStatuses)
	}
	return nil
}
