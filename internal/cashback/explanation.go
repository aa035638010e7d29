package cashback

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// Explanation says why a reward is what it is: for people in Sentences, with the
// numbers beside them.
type Explanation struct {
	Reward   Reward
	Purchase Purchase
	Campaign Campaign // the version that it came of
	// Finding is what that made of the purchase, as kept with it.
	Finding rules.Finding
	Lines   []ExplainedLine // of the purchase, in its order
	// Sentences say how it was computed, who pays, what was taken back, and where it
	// stands.
	Sentences []string
	// Others are the campaigns that were enabled and had the purchase's time in their
	// period, and gave another reward, or none. Others were not asked.
	Others []OtherCampaign
}

// ExplainedLine is a line of the purchase, and its part of the reward.
type ExplainedLine struct {
	rules.Line
	Total    decimal.Decimal // quantity times price, exact
	Returned int64           // of the quantity
	Reward   decimal.Decimal // as granted; the lines' add up to it
}

// OtherCampaign is what another campaign made of the purchase.
type OtherCampaign struct {
	CampaignID string
	Version    int64
	Reason     rules.Reason
	Sentence   string
}

// Explanation explains one reward. All of it is what was decided then: what changed
// since, of the campaign or the customer, does not change it. Returns
// RewardNotFound.
func (c *Cashback) Explanation(ctx context.Context, rewardID string) (Explanation, error) {
	reward, err := c.Reward(ctx, rewardID)
	if err != nil {
		return Explanation{}, err
	}
	purchase, err := c.Purchase(ctx, reward.PurchaseID)
	if err != nil {
		return Explanation{}, fmt.Errorf("read the reward's purchase: %w", err)
	}
	if purchase.Evaluation == nil {
		return Explanation{}, fmt.Errorf("purchase %s has a reward and no evaluation", purchase.ID)
	}
	versions := make([]campaignVersion, len(purchase.Evaluation.Findings))
	for i, f := range purchase.Evaluation.Findings {
		versions[i] = campaignVersion{f.CampaignID, f.Version}
	}
	campaigns, err := c.campaignVersions(ctx, versions)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Reward: reward, Purchase: purchase}
	for i, f := range purchase.Evaluation.Findings {
		campaign := campaigns[versions[i]]
		sentence := f.Sentence(campaign.Terms)
		if f.CampaignID != reward.CampaignID {
			e.Others = append(e.Others, OtherCampaign{CampaignID: f.CampaignID, Version: f.Version, Reason: f.Reason, Sentence: sentence})
			continue
		}
		e.Campaign, e.Finding = campaign, f
		e.Sentences = append([]string{sentence}, reward.sentences(campaign.ReturnDays)...)
	}
	if e.Campaign.ID == "" {
		return Explanation{}, fmt.Errorf("the evaluation of purchase %s does not know campaign %s", purchase.ID, reward.CampaignID)
	}
	e.Lines = explainedLines(purchase, e.Finding)
	return e, nil
}

func explainedLines(p Purchase, f rules.Finding) []ExplainedLine {
	lines := make([]ExplainedLine, len(p.Lines))
	for i, line := range p.Lines {
		lines[i] = ExplainedLine{Line: line, Total: line.Amount()}
		if i < len(p.Taken) {
			lines[i].Returned = p.Taken[i]
		}
		if i < len(f.Lines) {
			lines[i].Reward = f.Lines[i]
		}
	}
	return lines
}

// sentences say what became of the reward, and what is to come.
func (r *Reward) sentences(returnDays int) []string {
	var sentences []string
	if r.Reversed.IsPositive() {
		sentences = append(sentences, r.takenBack()...)
	}
	window := fmt.Sprintf("the return window of %d days", returnDays)
	if returnDays == 1 {
		window = "the return window of 1 day"
	}
	switch r.Status {
	case Accrued:
		sentences = append(sentences, fmt.Sprintf("It is confirmed and paid when %s is over, on %s.", window, r.ConfirmAt.Format(minutes)))
	case Confirmed:
		sentence := "It is confirmed, as " + window + " is over, and is paid next."
		if r.FailureCode != "" {
			sentence = fmt.Sprintf("It is confirmed, as %s is over, but could not be paid (%s); that is tried again.", window, r.FailureCode)
		}
		sentences = append(sentences, sentence)
	case Paid:
		sentences = append(sentences, fmt.Sprintf("It was paid to account %s.", r.PaidTo))
	}
	return sentences
}

// minutes is how sentences write a time.
const minutes = "2006-01-02 15:04 UTC"

func (r *Reward) takenBack() []string {
	sentence := fmt.Sprintf("Because of returns %s of it was taken back, which leaves %s.", r.words(r.Reversed), r.words(r.Amount.Sub(r.Reversed)))
	if r.Reversed.Equal(r.Amount) {
		sentence = "Because of returns all of it was taken back."
	}
	if r.Owed.IsZero() {
		return []string{sentence}
	}
	return []string{sentence, fmt.Sprintf("Of that the customer still owes %s: account %s could not give it back (%s); that is tried again.", r.words(r.Owed), r.PaidTo, r.FailureCode)}
}

func (r *Reward) words(amount decimal.Decimal) string {
	return money.Format(amount, r.Currency) + " " + string(r.Currency)
}
