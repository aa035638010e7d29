package api

import (
	"context"
	"time"

	"florin/internal/cashback"
)

// Reward is what a customer gets for a purchase by one campaign.
type Reward struct {
	RewardID          string    `json:"rewardId" example:"rwd_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	PurchaseID        string    `json:"purchaseId" example:"inv-1001"`
	CampaignID        string    `json:"campaignId" example:"kitchen-5"`
	CampaignVersion   int64     `json:"campaignVersion" doc:"The version that it came from."`
	CustomerID        string    `json:"customerId" example:"ada"`
	Currency          string    `json:"currency" doc:"ISO 4217." example:"USD"`
	Amount            Money     `json:"amount" doc:"As granted."`
	MerchantAmount    Money     `json:"merchantAmount" doc:"Of amount, what the merchant pays."`
	MerchantAccountID string    `json:"merchantAccountId,omitempty" doc:"Which pays it."`
	Reversed          Money     `json:"reversed" doc:"Of amount, what was taken back."`
	Owed              Money     `json:"owed" doc:"Of reversed, what the customer has still to give back: he has spent it."`
	Status            string    `json:"status" enum:"ACCRUED,CONFIRMED,PAID,REVERSED" doc:"ACCRUED until the return window is over, CONFIRMED until it is paid. REVERSED: nothing of it is left."`
	ConfirmAt         time.Time `json:"confirmAt" doc:"When the return window is over."`
	FailureCode       string    `json:"failureCode,omitempty" doc:"Why it could not be paid, or taken back, the last time; it is tried again."`
	PaidToAccountID   string    `json:"paidToAccountId,omitempty" doc:"Absent until it is PAID."`
	TransactionIDs    []string  `json:"transactionIds" nullable:"false" doc:"Of all transactions that were made for it."`
	CreatedAt         time.Time `json:"createdAt"`
	UpdatedAt         time.Time `json:"updatedAt"`
}

func rewardOf(r cashback.Reward) Reward {
	out := Reward{
		RewardID: r.ID, PurchaseID: r.PurchaseID, CampaignID: r.CampaignID, CampaignVersion: r.CampaignVersion, CustomerID: r.CustomerID, Currency: string(r.Currency),
		Amount: moneyOf(r.Amount, r.Currency), MerchantAmount: moneyOf(r.MerchantAmount, r.Currency), MerchantAccountID: r.MerchantAccount,
		Reversed: moneyOf(r.Reversed, r.Currency), Owed: moneyOf(r.Owed, r.Currency), Status: string(r.Status), ConfirmAt: r.ConfirmAt,
		FailureCode: r.FailureCode, PaidToAccountID: r.PaidTo, TransactionIDs: make([]string, r.Transfers), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	for i := range out.TransactionIDs {
		out.TransactionIDs[i] = cashback.TransferID(r.ID, int64(i)+1)
	}
	return out
}

func rewardsOf(rows []cashback.Reward) []Reward {
	list := make([]Reward, len(rows))
	for i, row := range rows {
		list[i] = rewardOf(row)
	}
	return list
}

// RewardList is a page of rewards.
type RewardList struct {
	Data       []Reward `json:"data" nullable:"false"`
	NextCursor string   `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// RewardPath names a reward.
type RewardPath struct {
	RewardID ID `path:"rewardId" doc:"The reward's id." example:"rwd_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type listRewardsInput struct {
	Limit      int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor     string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	CampaignID ID     `query:"campaignId" doc:"By this campaign alone." example:"kitchen-5"`
	CustomerID ID     `query:"customerId" doc:"Of this customer alone." example:"ada"`
	PurchaseID ID     `query:"purchaseId" doc:"For this purchase alone." example:"inv-1001"`
	Status     string `query:"status" enum:"ACCRUED,CONFIRMED,PAID,REVERSED" doc:"Of this status alone."`
}

type rewardOutput struct{ Body Reward }

type rewardListOutput struct{ Body RewardList }

func (a *api) routeRewards() {
	route(a, listRewardsEndpoint, a.listRewards)
	route(a, getRewardEndpoint, a.getReward)
	route(a, explainRewardEndpoint, a.explainReward)
}

func (a *api) listRewards(ctx context.Context, in *listRewardsInput) (*rewardListOutput, error) {
	const kind = "rewards"
	after, err := cashbackAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	rows, err := a.cashback.Rewards(ctx, cashback.RewardFilter{
		CampaignID: string(in.CampaignID), CustomerID: string(in.CustomerID), PurchaseID: string(in.PurchaseID), Status: cashback.RewardStatus(in.Status),
	}, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := RewardList{Data: rewardsOf(rows)}
	if more {
		last := rows[len(rows)-1].Position()
		list.NextCursor = placeCursor(kind, last.At, last.ID)
	}
	return &rewardListOutput{list}, nil
}

func (a *api) getReward(ctx context.Context, in *RewardPath) (*rewardOutput, error) {
	reward, err := a.cashback.Reward(ctx, string(in.RewardID))
	if err != nil {
		return nil, err
	}
	return &rewardOutput{rewardOf(reward)}, nil
}

// RewardExplanation says why a reward is what it is.
type RewardExplanation struct {
	Reward    Reward          `json:"reward"`
	Purchase  Purchase        `json:"purchase" doc:"Without its lines, which stand beside it."`
	Campaign  Campaign        `json:"campaign" doc:"In the version that the reward came from."`
	Finding   Finding         `json:"finding" doc:"What the campaign made of the purchase, in numbers."`
	Sentences []string        `json:"sentences" nullable:"false" doc:"The same in words: how it was computed, who pays, and where it stands."`
	Lines     []ExplainedLine `json:"lines" nullable:"false" doc:"Of the purchase, each with its part of the reward."`
	Others    []OtherCampaign `json:"others" nullable:"false" doc:"The other campaigns of the purchase's time."`
}

// ExplainedLine is a line of a purchase, with its part of a reward.
type ExplainedLine struct {
	PurchaseLine
	Reward Money `json:"reward" doc:"As granted; the lines' add up to the reward."`
}

// OtherCampaign is what another campaign made of a purchase.
type OtherCampaign struct {
	CampaignID      string `json:"campaignId" example:"welcome"`
	CampaignVersion int64  `json:"campaignVersion"`
	Reason          string `json:"reason" doc:"See the findings of a purchase." example:"condition_false"`
	Sentence        string `json:"sentence" doc:"The same in words."`
}

func explanationOf(e cashback.Explanation) RewardExplanation {
	currency := e.Purchase.Currency
	out := RewardExplanation{
		Reward: rewardOf(e.Reward), Purchase: purchaseOf(e.Purchase), Campaign: campaignOf(e.Campaign), Finding: findingOf(e.Finding, currency), Sentences: e.Sentences,
		Lines: make([]ExplainedLine, len(e.Lines)), Others: make([]OtherCampaign, len(e.Others)),
	}
	for i, l := range e.Lines {
		out.Lines[i] = ExplainedLine{purchaseLineOf(l.Line, l.Returned, currency), moneyOf(l.Reward, currency)}
	}
	for i, o := range e.Others {
		out.Others[i] = OtherCampaign{CampaignID: o.CampaignID, CampaignVersion: o.Version, Reason: string(o.Reason), Sentence: o.Sentence}
	}
	return out
}

type explanationOutput struct{ Body RewardExplanation }

func (a *api) explainReward(ctx context.Context, in *RewardPath) (*explanationOutput, error) {
	explanation, err := a.cashback.Explanation(ctx, string(in.RewardID))
	if err != nil {
		return nil, err
	}
	return &explanationOutput{explanationOf(explanation)}, nil
}
