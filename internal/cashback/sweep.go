package cashback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// How a reward comes to its end, whoever dies on the way:
//
//	ACCRUED    its return window is over: accrued -> confirmed account, and on at once
//	CONFIRMED  confirmed account -> the customer's account
//	PAID       what he owes of it, as returns came later: his account -> who has paid
//
// A step is a Work: it finds the reward where it stands under its lock, and whoever
// is second, at another replica or after a commit of unknown outcome, finds nothing
// left to do. What an account does not take or have is tried again, less and less
// often.

const (
	// sweepPage is how many rewards take their step in one Work.
	sweepPage = 250
	// waitingPage is how many customers of whom something waits are looked at by one
	// statement, and waitingPages how often a sweep goes on. What is of customers whom
	// nobody enters waits for ever, so each sweep begins where the last one ended.
	waitingPage  = 1000
	waitingPages = 20
)

// sweep brings rewards on their way, and takes up purchases and returns whose customer
// was entered by a replica that died, until ctx ends. Several replicas may run it.
func (c *Cashback) sweep(ctx context.Context) {
	ticker := time.NewTicker(c.sweepInterval)
	defer ticker.Stop()
	after := ""
	for {
		c.tell(ctx, c.SettleDue(ctx), "rewards could not be settled")
		after = c.releaseWaiting(ctx, after)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tell logs an error that does not pass by itself.
func (c *Cashback) tell(ctx context.Context, err error, what string, about ...any) {
	if err != nil && ctx.Err() == nil && !passes(err) {
		c.log.ErrorContext(ctx, what, append(about, "error", err)...)
	}
}

// releaseWaiting has purchases evaluated and returns applied that waited for a customer
// who is known by now: of the customers after the one given. It returns the one to go
// on after.
func (c *Cashback) releaseWaiting(ctx context.Context, after string) string {
	for range waitingPages {
		rows, err := c.queries.WaitingCustomers(ctx, cashbackdb.WaitingCustomersParams{AfterCustomerID: after, MaxRows: waitingPage})
		if err != nil {
			c.tell(ctx, err, "customers of whom something waits could not be looked up")
			return after
		}
		for _, row := range rows {
			if row.IsKnown {
				c.tell(ctx, c.intake.release(ctx, row.CustomerID), "what waits of a customer could not be taken in", "customer", row.CustomerID)
			}
		}
		if len(rows) < waitingPage {
			return ""
		}
		after = rows[len(rows)-1].CustomerID
	}
	return after
}

// SettleDue takes each reward that is due now one step on. One that can't be is put
// off, and does not keep others from it. Returns errors of the infrastructure alone;
// whatever was not done stays due.
func (c *Cashback) SettleDue(ctx context.Context) error {
	for {
		rewardIDs, err := c.queries.DueRewards(ctx, cashbackdb.DueRewardsParams{Now: c.clock(), MaxRows: sweepPage})
		if err != nil {
			return fmt.Errorf("find rewards that are due: %w", err)
		}
		due, err := c.queries.RewardsToSettle(ctx, rewardIDs)
		if err != nil {
			return fmt.Errorf("read rewards that are due: %w", err)
		}
		if err := c.settle(ctx, due); err != nil {
			return err
		}
		if len(rewardIDs) < sweepPage || len(due) == 0 {
			return nil
		}
	}
}

// settle takes rewards one step on in one Work. If that fails as a whole, and neither
// for want of a database nor because others were in the way, they are halved, so that
// one reward's trouble stays its own. When one alone takes too long it may be the
// database that hangs: the others stay due, and are before it the next time.
func (c *Cashback) settle(ctx context.Context, due []cashbackdb.RewardsToSettleRow) error {
	if len(due) == 0 {
		return nil
	}
	funding, err := c.fundingOf(ctx, due)
	if err == nil {
		err = c.persist(ctx, newSettlement(due, funding))
	}
	switch {
	case err == nil || passes(err) && !isLate(err) || ctx.Err() != nil:
		return err // what is not done stays due
	case len(due) > 1:
		half := len(due) / 2
		if err := c.settle(ctx, due[:half]); err != nil {
			return err
		}
		return c.settle(ctx, due[half:])
	}
	c.log.ErrorContext(ctx, "a reward could not be settled", "reward", due[0].RewardID, "campaign", due[0].CampaignID, "error", err)
	next := c.clock().Add(retryAfter(due[0].Attempts))
	if err := c.queries.PostponeReward(ctx, cashbackdb.PostponeRewardParams{RewardID: due[0].RewardID, NextAt: next}); err != nil {
		return fmt.Errorf("postpone reward: %w", err)
	}
	if isLate(err) {
		return err
	}
	return nil
}

// conflictTries is how often a work is run that meets with others, at other servers,
// until the ledger's tries are over: whoever stops a campaign is not to ask twice.
const conflictTries = 5

// persist runs a work, again when others were in the way all the time.
func (c *Cashback) persist(ctx context.Context, w ledger.Work) error {
	err := c.books.Do(ctx, w)
	for try := 1; isConflict(err) && try < conflictTries; try++ {
		err = c.books.Do(ctx, w)
	}
	return err
}

// mustWait says that nothing was wrong with what was asked: it has to be asked again.
func mustWait(err error) bool {
	return database.Unavailable(err) || isLate(err) || isUnknown(err) ||
		errors.Is(err, ledger.ErrOverloaded) || errors.Is(err, ledger.ErrShuttingDown)
}

// passes says that a later try may do what this one did not: nothing was wrong with
// what was asked.
func passes(err error) bool { return mustWait(err) || isConflict(err) }

// isUnknown says that the work may be done, whatever else err is: how a look at what
// became of it ended. To go on as if it were not would be a guess.
func isUnknown(err error) bool { return errors.Is(err, database.ErrCommitUnknown) }

// isConflict says that others were in the way all the time. A row that is there however
// often the work is run again is the work's own trouble.
func isConflict(err error) bool {
	return errors.Is(err, database.ErrConflict) && database.UniqueViolation(err) == "" && !isUnknown(err)
}

// isLate says that it took too long: the database hung, or it was asked for too much.
// Nothing was applied.
func isLate(err error) bool { return errors.Is(err, database.ErrOutOfTime) && !isUnknown(err) }

// campaignVersion names one version of a campaign.
type campaignVersion struct {
	campaignID string
	version    int64
}

// fundingOf tells who has paid for those rewards of which something is owed.
func (c *Cashback) fundingOf(ctx context.Context, due []cashbackdb.RewardsToSettleRow) (map[campaignVersion]rules.Funding, error) {
	var versions []campaignVersion
	for _, row := range due {
		if row.Owed.IsPositive() {
			versions = append(versions, campaignVersion{row.CampaignID, row.CampaignVersion})
		}
	}
	campaigns, err := c.campaignVersions(ctx, versions)
	funding := make(map[campaignVersion]rules.Funding, len(campaigns))
	for version, campaign := range campaigns {
		funding[version] = campaign.Funding
	}
	return funding, err
}

// campaignVersions reads versions of campaigns.
func (c *Cashback) campaignVersions(ctx context.Context, versions []campaignVersion) (map[campaignVersion]Campaign, error) {
	found := make(map[campaignVersion]Campaign, len(versions))
	if len(versions) == 0 {
		return found, nil
	}
	var p cashbackdb.FindCampaignVersionsParams
	for _, v := range versions {
		if _, isAsked := found[v]; !isAsked {
			found[v] = Campaign{}
			p.CampaignIds, p.Versions = append(p.CampaignIds, v.campaignID), append(p.Versions, v.version)
		}
	}
	rows, err := c.queries.FindCampaignVersions(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read versions of campaigns: %w", err)
	}
	if len(rows) != len(found) {
		return nil, fmt.Errorf("%d of %d versions of campaigns are on record", len(rows), len(found))
	}
	for _, row := range rows {
		campaign, err := campaignFromRow(row)
		if err != nil {
			return nil, err
		}
		found[campaignVersion{campaign.ID, campaign.Version}] = campaign
	}
	return found, nil
}

// settlement is the next step of rewards, as a Work.
type settlement struct {
	rewardIDs, campaignIDs, customerIDs []string // each once, in order
	accounts                            map[string]bool
	funding                             map[campaignVersion]rules.Funding

	totals  map[string]*totalsEntry
	wallets map[string]string // by customer
	rewards []*rewardEntry
	err     error
}

func newSettlement(due []cashbackdb.RewardsToSettleRow, funding map[campaignVersion]rules.Funding) *settlement {
	s := &settlement{accounts: map[string]bool{}, funding: funding}
	for _, row := range due {
		s.rewardIDs = append(s.rewardIDs, row.RewardID)
		s.campaignIDs = append(s.campaignIDs, row.CampaignID)
		s.customerIDs = append(s.customerIDs, row.CustomerID)
		r := rewardEntry{Reward: Reward{CampaignID: row.CampaignID, MerchantAccount: row.MerchantAccount, PaidTo: orEmpty(row.PaidTo)}}
		for _, accountID := range append(r.accounts(), row.Wallet) {
			s.accounts[accountID] = true
		}
	}
	for _, ids := range []*[]string{&s.rewardIDs, &s.campaignIDs, &s.customerIDs} {
		slices.Sort(*ids)
		*ids = slices.Compact(*ids)
	}
	return s
}

// Size counts the two transfers that most rewards take.
func (s *settlement) Size() int { return 2 * len(s.rewardIDs) }

// Accounts are those that the rewards' money lies on or goes to.
func (s *settlement) Accounts() []string {
	ids := make([]string, 0, len(s.accounts))
	for id := range s.accounts {
		ids = append(ids, id)
	}
	return ids
}

// Load reads the rewards, and locks them with their campaigns' totals.
func (s *settlement) Load(batch *pgx.Batch) {
	s.totals = make(map[string]*totalsEntry, len(s.campaignIDs))
	s.wallets = make(map[string]string, len(s.customerIDs))
	s.rewards = make([]*rewardEntry, 0, len(s.rewardIDs))
	lockTotals(batch, s.campaignIDs, s.totals)
	batch.Queue(cashbackdb.AccountsOfCustomers, s.customerIDs).Query(func(rows pgx.Rows) error {
		var customerID, accountID string
		_, err := pgx.ForEachRow(rows, []any{&customerID, &accountID}, func() error {
			s.wallets[customerID] = accountID
			return nil
		})
		return err
	})
	lockRewards(batch, s.rewardIDs, func(r *rewardEntry) { s.rewards = append(s.rewards, r) })
}

// Decide takes those that are still due one step on.
func (s *settlement) Decide(m *ledger.Mover) {
	s.err = nil
	for _, r := range s.rewards {
		if r.next == nil || r.next.After(m.Now()) {
			continue // somebody else was first
		}
		if err := s.step(m, r); err != nil {
			s.err = errors.Join(s.err, fmt.Errorf("reward %s: %w", r.ID, err))
		}
	}
}

// Save writes what has changed.
func (s *settlement) Save(batch *pgx.Batch) error {
	if s.err != nil {
		return s.err
	}
	return errors.Join(saveTotals(batch, s.totals), updateRewards(batch, s.rewards))
}

// step takes a reward as far as it goes now. An error is none of a rule.
func (s *settlement) step(m *ledger.Mover, r *rewardEntry) error {
	totals := s.totals[r.CampaignID]
	if totals == nil {
		return fmt.Errorf("campaign %s has no totals", r.CampaignID)
	}
	if r.Status == Paid {
		return s.collect(m, r, totals)
	}
	if r.Status == Accrued {
		if err := r.confirm(m, totals); err != nil {
			return err
		}
	}
	wallet := s.wallets[r.CustomerID]
	if !s.accounts[wallet] {
		return nil // he has another one since: it stays due, and the next look sees that
	}
	r.pay(m, totals, wallet)
	return nil
}

// confirm moves what is kept of a reward to the account of what customers are owed.
func (r *rewardEntry) confirm(m *ledger.Mover, t *totalsEntry) error {
	kept := r.kept()
	err := r.move(m, accruedAccountID(r.CampaignID), confirmedAccountID(r.CampaignID), kept, "cashback confirmed for purchase "+r.PurchaseID)
	if err != nil {
		return err
	}
	t.accrued, t.confirmed, t.changed = t.accrued.Sub(kept), t.confirmed.Add(kept), true
	r.Status, r.attempts = Confirmed, 0
	r.touch(m.Now())
	return nil
}

// pay moves a confirmed reward to the customer's account. One that does not take it
// is tried again later.
func (r *rewardEntry) pay(m *ledger.Mover, t *totalsEntry, wallet string) {
	kept := r.kept()
	if err := r.move(m, confirmedAccountID(r.CampaignID), wallet, kept, "cashback for purchase "+r.PurchaseID); err != nil {
		r.FailureCode = codeOf(err)
		r.retryLater(m.Now())
		return
	}
	t.confirmed, t.paid, t.changed = t.confirmed.Sub(kept), t.paid.Add(kept), true
	r.Status, r.PaidTo, r.FailureCode = Paid, wallet, ""
	r.next, r.attempts = nil, 0
	r.touch(m.Now())
}

// collect takes what the customer owes of a reward off the account that it was paid
// to, as far as that has it.
func (s *settlement) collect(m *ledger.Mover, r *rewardEntry, t *totalsEntry) error {
	funding, isKnown := s.funding[campaignVersion{r.CampaignID, r.CampaignVersion}]
	if !isKnown || !s.accounts[r.PaidTo] {
		return nil // paid and returned since it was looked up: it stays due
	}
	moved, err := r.giveBack(m, t, r.Owed, funding)
	if err != nil {
		return err
	}
	if moved.IsPositive() {
		r.attempts = 0
	}
	if r.Owed.IsPositive() {
		r.retryLater(m.Now())
	}
	return nil
}
