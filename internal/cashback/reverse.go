package cashback

import (
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/money"
)

// rewardEntry is a reward as a Work changes it.
type rewardEntry struct {
	Reward
	next     *time.Time // when there is something to do; nil when there is not
	attempts int64      // of the step at hand
	changed  bool
}

// totalsEntry is what a campaign gave, as a Work changes it: its row of
// campaign_totals, in the campaign's currency.
type totalsEntry struct {
	campaignID string
	version    int64 // of the campaign, the newest
	currency   money.Currency
	budget     decimal.Decimal
	accrued    decimal.Decimal
	confirmed  decimal.Decimal
	paid       decimal.Decimal
	reversed   decimal.Decimal
	owed       decimal.Decimal
	merchants  decimal.Decimal
	rewards    int64
	changed    bool
}

// left is what the campaign can still give.
func (t *totalsEntry) left() decimal.Decimal {
	return t.budget.Sub(t.accrued).Sub(t.confirmed).Sub(t.paid)
}

// accounts are those that reverse may move money between. A Work names them before
// its transaction, by what the reward was then, and looks again under the locks: of
// one that was paid meanwhile the wallet is not among them.
func (r *rewardEntry) accounts() []string {
	ids := []string{costAccountID(r.CampaignID), accruedAccountID(r.CampaignID), confirmedAccountID(r.CampaignID)}
	if r.MerchantAccount != "" {
		ids = append(ids, r.MerchantAccount)
	}
	if r.PaidTo != "" {
		ids = append(ids, r.PaidTo)
	}
	return ids
}

// kept is what the customer keeps of the reward.
func (r *rewardEntry) kept() decimal.Decimal { return r.Amount.Sub(r.Reversed) }

// given is what is still out of it: kept, and owed but not given back yet.
func (r *rewardEntry) given() decimal.Decimal { return r.kept().Add(r.Owed) }

// move books a transfer of the reward under its next number. A *ledger.Failure says
// that nothing was moved.
func (r *rewardEntry) move(m *ledger.Mover, from, to string, amount decimal.Decimal, description string) error {
	err := m.Move(ledger.Movement{
		ID: TransferID(r.ID, r.Transfers+1), SourceAccountID: from, DestinationAccountID: to,
		Amount: amount, Currency: r.Currency, Description: description,
	})
	if err == nil {
		r.Transfers++
	}
	return err
}

// reverse takes a reward back until `to` is left of it; nothing when there is no
// more than that. What has not been paid goes back to who has paid for it; of what
// was, as much as the customer's account has available, and the rest he owes: a
// sweep collects it. moved and owed add up to what was taken back. f is the funding
// of the campaign's version that the reward came of, t the campaign's totals.
//
// All of r.accounts() must be among the Work's. An error is none of a rule: money
// may have been moved, and the Work must fail as a whole.
func (r *rewardEntry) reverse(m *ledger.Mover, t *totalsEntry, to decimal.Decimal, f rules.Funding) (moved, owed decimal.Decimal, err error) {
	taken := r.kept().Sub(to)
	if !taken.IsPositive() {
		return decimal.Zero, decimal.Zero, nil
	}
	r.Reversed, t.reversed = r.Reversed.Add(taken), t.reversed.Add(taken)
	r.Owed, t.owed = r.Owed.Add(taken), t.owed.Add(taken)
	moved, err = r.giveBack(m, t, taken, f)
	if err != nil {
		return decimal.Zero, decimal.Zero, err
	}
	if r.Owed.IsPositive() && r.next == nil {
		r.retryLater(m.Now())
	}
	return moved, taken.Sub(moved), nil
}

// giveBack moves up to `most` of what is owed back to who has paid for the reward,
// and says how much that was. What the customer's account does not have stays owed.
//
// The merchant gets what his part shrinks by, so that in the end he has paid his
// part of what the customer keeps, to the cent. When his account takes nothing, as
// it is frozen or closed, the platform keeps that for him: the transfer says so, and
// so does the campaign's figure of what merchants paid, which counts it still.
func (r *rewardEntry) giveBack(m *ledger.Mover, t *totalsEntry, most decimal.Decimal, f rules.Funding) (decimal.Decimal, error) {
	r.touch(m.Now())
	t.changed = true
	from, total := accruedAccountID(r.CampaignID), &t.accrued
	switch r.Status {
	case Confirmed:
		from, total = confirmedAccountID(r.CampaignID), &t.confirmed
	case Paid:
		from, total = r.PaidTo, &t.paid
		available, err := m.Available(from)
		if err != nil {
			r.FailureCode = codeOf(err)
			return decimal.Zero, nil
		}
		r.FailureCode = ""
		if available.Valid && available.Decimal.LessThan(most) {
			most, r.FailureCode = decimal.Max(decimal.Zero, available.Decimal), string(ledger.InsufficientFunds)
		}
		if most.IsZero() {
			return decimal.Zero, nil
		}
	}
	toPlatform, description := most, "cashback taken back for purchase "+r.PurchaseID
	part := rules.MerchantPart(f, r.given(), r.Currency).Sub(rules.MerchantPart(f, r.given().Sub(most), r.Currency))
	if part.IsPositive() {
		if _, err := m.Available(r.MerchantAccount); err != nil {
			r.FailureCode = codeOf(err)
			description += "; " + money.Format(part, r.Currency) + " of it kept for " + r.MerchantAccount + ": " + r.FailureCode
		} else {
			if from != r.MerchantAccount { // a merchant may be his own customer
				if err := r.move(m, from, r.MerchantAccount, part, description); err != nil {
					return decimal.Zero, err
				}
			}
			toPlatform, t.merchants = toPlatform.Sub(part), t.merchants.Sub(part)
		}
	}
	if toPlatform.IsPositive() {
		if err := r.move(m, from, costAccountID(r.CampaignID), toPlatform, description); err != nil {
			return decimal.Zero, err
		}
	}
	*total = total.Sub(most)
	r.Owed, t.owed = r.Owed.Sub(most), t.owed.Sub(most)
	if r.Owed.IsZero() && r.kept().IsZero() {
		r.Status = Reversed
	}
	if r.Owed.IsZero() && (r.Status == Reversed || r.Status == Paid) {
		r.next, r.attempts = nil, 0
	}
	return most, nil
}

// touch notes that the reward is to be written.
func (r *rewardEntry) touch(now time.Time) { r.changed, r.UpdatedAt = true, now }

// What could not be done is tried again after a while, and then less and less often:
// an account that was frozen, or that has not got the money, may have changed.
const (
	retryMin = time.Minute
	retryMax = 6 * time.Hour
)

// retryAfter is how long the next try is put off after so many.
func retryAfter(attempts int64) time.Duration {
	if attempts >= 9 { // 2^9 minutes are more than that
		return retryMax
	}
	return min(retryMin<<attempts, retryMax)
}

// retryLater puts off the step at hand.
func (r *rewardEntry) retryLater(now time.Time) {
	at := now.Add(retryAfter(r.attempts))
	r.next, r.attempts = &at, r.attempts+1
	r.touch(now)
}

// codeOf is the ledger's code of a refusal.
func codeOf(err error) string {
	if failure, isFailure := errors.AsType[*ledger.Failure](err); isFailure {
		return string(failure.Code)
	}
	return ""
}
