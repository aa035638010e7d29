package cashback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/money"
)

// Ids of campaigns are part of their accounts' ids, of which an identifier must
// have room for the longest.
var campaignIDPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,23}$`)

// CreateCampaign records version 1 of a campaign and opens its accounts; purchases
// are evaluated under it at once here, and by other replicas within CacheTime. A
// second call with the same terms returns what is there. Returns CampaignExists;
// TooManyCampaigns when it is enabled and MaxCampaigns others are; and InvalidInput,
// also for a funding account that is not a merchant's, is closed, or has another
// currency.
func (c *Cashback) CreateCampaign(ctx context.Context, id string, t rules.Terms) (Campaign, error) {
	if !campaignIDPattern.MatchString(id) {
		return Campaign{}, invalid("id", "must have 1 to 24 characters of a-z 0-9 - and begin with a letter or digit")
	}
	if err := t.Validate(); err != nil {
		return Campaign{}, err
	}
	t = inUTC(t)
	create := func(current *Campaign) (Campaign, error) {
		switch {
		case current == nil:
			return Campaign{ID: id, Version: 1, Terms: t}, nil
		case current.Version == 1 && isSame(current.Terms, t):
			return *current, nil
		}
		return Campaign{}, CampaignExists.Failure("there is a campaign %s already", id)
	}
	// Before anything is opened or asked of its funding, which may have changed since.
	switch current, err := c.Campaign(ctx, id); {
	case err == nil:
		return create(&current)
	case !errors.Is(err, CampaignNotFound.Failure("")):
		return Campaign{}, err
	}
	if err := c.checkFunding(ctx, t); err != nil {
		return Campaign{}, err
	}
	if err := c.openAccounts(ctx, id, t.Currency); err != nil {
		return Campaign{}, err
	}
	return c.saveCampaign(ctx, id, create)
}

// ChangeCampaign records the next version of a campaign, made of the version given.
// The earlier ones stay: rewards keep the version that they came from. When it returns
// nothing is given by them any more, anywhere; what the new one gives that no earlier
// one did may take other replicas CacheTime to see. A second call returns what
// the first did; terms that are there already make no version. A campaign is paused
// by terms that are not enabled.
//
// Returns CampaignNotFound; CampaignChanged when the newest version is another;
// BudgetBelowSpent when the budget is less than what was given and not taken back;
// TooManyCampaigns as CreateCampaign; and InvalidInput, also for another currency or
// another funding account that can't be one.
func (c *Cashback) ChangeCampaign(ctx context.Context, id string, version int64, t rules.Terms) (Campaign, error) {
	if err := t.Validate(); err != nil {
		return Campaign{}, err
	}
	t = inUTC(t)
	read, err := c.Campaign(ctx, id)
	if err != nil {
		return Campaign{}, err
	}
	// One that pays already may be closed meanwhile: the campaign can still be paused.
	if read.Funding.AccountID != t.Funding.AccountID {
		if err := c.checkFunding(ctx, t); err != nil {
			return Campaign{}, err
		}
	}
	return c.saveCampaign(ctx, id, func(current *Campaign) (Campaign, error) {
		switch {
		case current == nil:
			return Campaign{}, campaignNotFound(id)
		case isSame(current.Terms, t) && (current.Version == version || current.Version-1 == version):
			return *current, nil
		case current.Version != version:
			return Campaign{}, CampaignChanged.Failure("campaign %s has version %d, the change is of version %d: read it again", id, current.Version, version)
		case current.Currency != t.Currency:
			return Campaign{}, invalid("currency", "must stay %s: the campaign's accounts are in it", current.Currency)
		}
		return Campaign{ID: id, Version: version + 1, Terms: t}, nil
	})
}

// checkFunding refuses an account that can't pay a merchant's part.
func (c *Cashback) checkFunding(ctx context.Context, t rules.Terms) error {
	if t.Funding.Kind == rules.Platform {
		return nil
	}
	return c.checkAccount(ctx, "funding.accountId", t.Funding.AccountID, t.Currency, ledger.Merchant)
}

// checkAccount refuses an account that is the house's or of none of the types, where
// any are given, is closed, or, unless currency is empty, has another one.
func (c *Cashback) checkAccount(ctx context.Context, field, accountID string, currency money.Currency, types ...ledger.AccountType) error {
	account, err := c.books.Account(ctx, accountID)
	switch {
	case errors.Is(err, ledger.AccountNotFound.Failure("")):
		return invalid(field, "there is no account %q", accountID)
	case err != nil:
		return fmt.Errorf("look up account: %w", err)
	case account.Type.IsHouse():
		return invalid(field, "must be a customer's or a merchant's account; %s is the house's", accountID)
	case len(types) > 0 && !slices.Contains(types, account.Type):
		return invalid(field, "must be an account of type %s; %s is of type %s", types[0], accountID, account.Type)
	case account.Status == ledger.Closed:
		return invalid(field, "account %s is closed", accountID)
	case currency != "" && account.Currency != currency:
		return invalid(field, "must be an account in %s; %s is in %s", currency, accountID, account.Currency)
	}
	return nil
}

// openAccounts opens the house's accounts of a campaign, or finds them open.
func (c *Cashback) openAccounts(ctx context.Context, id string, currency money.Currency) error {
	for _, account := range []struct {
		id string
		t  ledger.AccountType
	}{
		{costAccountID(id), ledger.Expense}, {accruedAccountID(id), ledger.Liability}, {confirmedAccountID(id), ledger.Liability},
	} {
		switch _, err := c.books.OpenHouse(ctx, account.id, account.t, currency); {
		case errors.Is(err, ledger.AccountExists.Failure("")):
			return CampaignExists.Failure("campaign %s was begun in another currency", id)
		case err != nil:
			return fmt.Errorf("open account %s: %w", account.id, err)
		}
	}
	return nil
}

// saveCampaign writes the version that decide makes of the newest one, nil for none,
// unless it is that one.
func (c *Cashback) saveCampaign(ctx context.Context, id string, decide func(current *Campaign) (Campaign, error)) (Campaign, error) {
	w := &campaignWork{id: id, by: actor(ctx), decide: decide}
	err := c.persist(ctx, w)
	c.set.Forget()
	if err != nil {
		return Campaign{}, fmt.Errorf("save campaign: %w", err)
	}
	return w.saved, w.refusal
}

// Campaign returns the newest version of a campaign. Returns CampaignNotFound.
func (c *Cashback) Campaign(ctx context.Context, id string) (Campaign, error) {
	versions, err := c.CampaignVersions(ctx, id, 0, 1)
	if err != nil {
		return Campaign{}, err
	}
	if len(versions) == 0 {
		return Campaign{}, campaignNotFound(id)
	}
	return versions[0], nil
}

// CampaignVersions returns up to limit versions of a campaign, the newest first, from
// before the version given (0 for the newest); none for an unknown campaign.
func (c *Cashback) CampaignVersions(ctx context.Context, id string, before int64, limit int) ([]Campaign, error) {
	if !campaignIDPattern.MatchString(id) {
		return nil, nil
	}
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := c.queries.CampaignVersions(ctx, cashbackdb.CampaignVersionsParams{CampaignID: id, BeforeVersion: before, MaxRows: pageSize(limit)})
	if err != nil {
		return nil, fmt.Errorf("read versions of campaign: %w", err)
	}
	return campaignsFromRows(rows)
}

// Campaigns lists the newest versions of all campaigns in the order of their ids,
// beginning after the id after, at most limit of them.
func (c *Cashback) Campaigns(ctx context.Context, after string, limit int) ([]Campaign, error) {
	rows, err := c.queries.ListCampaigns(ctx, cashbackdb.ListCampaignsParams{AfterCampaignID: after, MaxRows: pageSize(limit)})
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	return campaignsFromRows(rows)
}

// currentSet is the enabled campaigns and the program, ready to evaluate: as they
// are, or were within CacheTime.
func (c *Cashback) currentSet(ctx context.Context) (*rules.Set, error) {
	return c.set.Get(c.clock(), CacheTime, func(last *rules.Set) (*rules.Set, error) { return c.readSet(ctx, last) })
}

// readSet compiles the enabled campaigns and the program as they are now, unless the
// last set was made of the very same versions, as nearly always.
func (c *Cashback) readSet(ctx context.Context, last *rules.Set) (*rules.Set, error) {
	rows, err := c.queries.EnabledCampaigns(ctx)
	if err != nil {
		return nil, fmt.Errorf("read campaigns: %w", err)
	}
	campaigns, err := campaignsFromRows(rows)
	if err != nil {
		return nil, err
	}
	program, err := c.Program(ctx)
	if err != nil {
		return nil, err
	}
	enabled := make([]rules.Versioned, len(campaigns))
	for i, campaign := range campaigns {
		enabled[i] = rules.Versioned{ID: campaign.ID, Version: campaign.Version, Terms: campaign.Terms}
	}
	isTheSame := last != nil && last.Program().Version == program.Version &&
		slices.EqualFunc(last.All(), enabled, func(a, b rules.Versioned) bool { return a.ID == b.ID && a.Version == b.Version })
	if isTheSame {
		return last, nil
	}
	return rules.NewSet(program.Program, enabled)
}

func inUTC(t rules.Terms) rules.Terms {
	t.From, t.To = t.From.UTC(), t.To.UTC()
	return t
}

// isSame says whether two documents say the same, however many zeros their amounts
// end with.
func isSame[T rules.Terms | rules.Program](a, b T) bool { return bytes.Equal(object(a), object(b)) }

func (c *Campaign) json() json.RawMessage {
	return object(struct {
		Version int64 `json:"version"`
		rules.Terms
	}{c.Version, c.Terms})
}

// object is v as JSON. It is for the package's own plain types, which always can be.
func object(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic("cashback: " + err.Error())
	}
	return text
}

// actor is the id of who acts under ctx.
func actor(ctx context.Context) string {
	if origin, found := audit.From(ctx); found {
		return origin.ActorID
	}
	return audit.SystemActor
}

func pageSize(limit int) int32 { return int32(max(1, min(limit, MaxPage))) }

func campaignNotFound(id string) error {
	return CampaignNotFound.Failure("there is no campaign %q", id)
}

func campaignsFromRows(rows []cashbackdb.Campaign) ([]Campaign, error) {
	campaigns := make([]Campaign, len(rows))
	for i, row := range rows {
		var err error
		if campaigns[i], err = campaignFromRow(row); err != nil {
			return nil, err
		}
	}
	return campaigns, nil
}

func campaignFromRow(row cashbackdb.Campaign) (Campaign, error) {
	campaign := Campaign{ID: row.CampaignID, Version: row.Version, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt.UTC()}
	if err := json.Unmarshal(row.Terms, &campaign.Terms); err != nil {
		return Campaign{}, fmt.Errorf("read terms of campaign %s, version %d: %w", row.CampaignID, row.Version, err)
	}
	return campaign, nil
}
