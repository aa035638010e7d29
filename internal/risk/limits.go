package risk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/money"
	"florin/internal/risk/internal/riskdb"
)

// RoleLimits are what users of a role may move out of an account at most, in one
// currency. They hold where the account has no limit of its own. The ledger
// enforces them, under the account's lock.
type RoleLimits struct {
	Role string
	// Currency is "" for the limits of all currencies that have none of their own.
	// Their amounts are then in whichever currency it is.
	Currency    money.Currency
	PerTransfer decimal.NullDecimal // not valid: no limit
	Daily       decimal.NullDecimal // a day of UTC; not valid: no limit
	UpdatedBy   string              // "system" for limits that come with the program
	UpdatedAt   time.Time           // zero for limits that come with the program
}

// IsAbove says whether the limits let more through than others do.
func (l RoleLimits) IsAbove(others RoleLimits) bool {
	return isAbove(l.PerTransfer, others.PerTransfer) || isAbove(l.Daily, others.Daily)
}

func isAbove(a, b decimal.NullDecimal) bool {
	return b.Valid && (!a.Valid || a.Decimal.GreaterThan(b.Decimal))
}

type limitKey struct {
	role     string
	currency money.Currency
}

// limitedRoles are the roles of those who move money of their own. Others have no
// limits, unlimitedRoles; a role that is neither is refused.
var (
	limitedRoles   = []string{"customer", "merchant"}
	unlimitedRoles = []string{"support", "finance", "operator", "admin"}
)

// builtInLimits are per transfer and per day. Under "" stands what other currencies
// begin with: the number is small in most of them, and a hundred times that where
// the currency has no minor unit, such as the yen.
var builtInLimits = map[limitKey][2]int64{
	{"customer", "USD"}: {5_000, 10_000},
	{"customer", "EUR"}: {5_000, 10_000},
	{"customer", "GBP"}: {4_000, 8_000},
	{"customer", ""}:    {1_000, 2_000},
	{"merchant", "USD"}: {50_000, 250_000},
	{"merchant", "EUR"}: {50_000, 250_000},
	{"merchant", "GBP"}: {40_000, 200_000},
	{"merchant", ""}:    {10_000, 50_000},
}

// unitlessFactor is for currencies without a minor unit.
const unitlessFactor = 100

// Limits returns what a user of the role may move out of an account at most, in
// one transfer and in one day of UTC; what is not valid is not limited. It is what
// is set for the currency, else what the program brings for it, else what is set
// for all other currencies (""), else what the program brings for those. A change
// is seen by all replicas within CacheTime. Roles that move no money of their own
// have no limits. Returns InvalidInput for an unknown role or currency.
func (r *Rules) Limits(ctx context.Context, role string, currency money.Currency) (perTransfer, daily decimal.NullDecimal, err error) {
	if _, err := money.ParseCurrency(string(currency)); err != nil {
		return perTransfer, daily, invalid("currency", "%v", err)
	}
	if slices.Contains(unlimitedRoles, role) {
		return perTransfer, daily, nil
	}
	if !slices.Contains(limitedRoles, role) {
		return perTransfer, daily, invalid("role", "there is no role %q", role)
	}
	set, err := r.limits.Get(r.clock(), CacheTime, func(map[limitKey]RoleLimits) (map[limitKey]RoleLimits, error) {
		return readLimits(ctx, r.queries)
	})
	if err != nil {
		return perTransfer, daily, err
	}
	limits := effective(set, role, currency)
	return limits.PerTransfer, limits.Daily, nil
}

// effective is what holds for a role and a currency, or for all currencies without
// limits of their own.
func effective(set map[limitKey]RoleLimits, role string, currency money.Currency) RoleLimits {
	for _, c := range []money.Currency{currency, ""} {
		if limits, isSet := set[limitKey{role, c}]; isSet {
			limits.Currency = currency
			return limits
		}
		if amounts, isBuiltIn := builtInLimits[limitKey{role, c}]; isBuiltIn {
			factor := int64(1)
			if c == "" && currency != "" && currency.Decimals() == 0 {
				factor = unitlessFactor
			}
			return RoleLimits{
				Role: role, Currency: currency, UpdatedBy: systemActor,
				PerTransfer: decimal.NewNullDecimal(decimal.NewFromInt(amounts[0] * factor)),
				Daily:       decimal.NewNullDecimal(decimal.NewFromInt(amounts[1] * factor)),
			}
		}
	}
	return RoleLimits{Role: role, Currency: currency}
}

// AllLimits returns the limits that are set and those that come with the program,
// by role and currency, at this moment.
func (r *Rules) AllLimits(ctx context.Context) ([]RoleLimits, error) {
	set, err := readLimits(ctx, r.queries)
	if err != nil {
		return nil, err
	}
	for key := range builtInLimits {
		set[key] = effective(set, key.role, key.currency)
	}
	return slices.SortedFunc(maps.Values(set), func(a, b RoleLimits) int {
		return strings.Compare(a.Role+"/"+string(a.Currency), b.Role+"/"+string(b.Currency))
	}), nil
}

// SetLimits sets the limits of a role in a currency, or in all that have none of
// their own (""). It returns what holds then; a second call changes nothing.
// UpdatedBy and UpdatedAt are not looked at. Returns InvalidInput.
func (r *Rules) SetLimits(ctx context.Context, l RoleLimits) (RoleLimits, error) {
	return r.setLimits(ctx, l, true)
}

// LowerLimits is SetLimits for those who may not raise limits by themselves: it
// returns LimitsRaised, and changes nothing, when any of them would let more
// through than before, in any currency that it is about.
func (r *Rules) LowerLimits(ctx context.Context, l RoleLimits) (RoleLimits, error) {
	return r.setLimits(ctx, l, false)
}

func (r *Rules) setLimits(ctx context.Context, l RoleLimits, mayRaise bool) (RoleLimits, error) {
	if err := l.validate(); err != nil {
		return RoleLimits{}, err
	}
	var saved RoleLimits
	err := r.db.InTx(ctx, "risk.limits", func(ctx context.Context, tx pgx.Tx) error {
		queries := riskdb.New(tx)
		set, err := readLimits(ctx, queries)
		if err != nil {
			return err
		}
		before := effective(set, l.Role, l.Currency)
		if _, isSet := set[limitKey{l.Role, l.Currency}]; isSet && !before.IsAbove(l) && !l.IsAbove(before) {
			saved = before
			return nil
		}
		// For several currencies the amounts of now are the least of what they replace.
		if !mayRaise && l.IsAbove(before) {
			return LimitsRaised.Failure("limits of %s above those of now take a second person's approval", l.Role)
		}
		saved = l
		saved.UpdatedBy, saved.UpdatedAt = actor(ctx), r.clock()
		if err := queries.UpsertLimits(ctx, riskdb.UpsertLimitsParams{
			Role: l.Role, Currency: string(l.Currency), PerTransfer: l.PerTransfer, Daily: l.Daily,
			UpdatedBy: saved.UpdatedBy, UpdatedAt: saved.UpdatedAt,
		}); err != nil {
			return err
		}
		return r.log.AppendTx(ctx, tx, limitsEvent(before, saved))
	})
	r.limits.Forget()
	if err != nil {
		return RoleLimits{}, fmt.Errorf("set limits: %w", err)
	}
	return saved, nil
}

func (l RoleLimits) validate() error {
	if !slices.Contains(limitedRoles, l.Role) {
		return invalid("role", "must be %s", strings.Join(limitedRoles, " or "))
	}
	if l.Currency != "" {
		if _, err := money.ParseCurrency(string(l.Currency)); err != nil {
			return invalid("currency", "%v", err)
		}
	}
	for field, limit := range map[string]decimal.NullDecimal{"perTransfer": l.PerTransfer, "daily": l.Daily} {
		if !limit.Valid {
			continue
		}
		if limit.Decimal.IsNegative() {
			return invalid(field, "must not be negative")
		}
		if l.Currency == "" && !limit.Decimal.IsInteger() {
			return invalid(field, "must be a whole number where it is for several currencies")
		}
		if err := money.Check(limit.Decimal, l.Currency); err != nil {
			return invalid(field, "%v", err)
		}
	}
	return nil
}

func readLimits(ctx context.Context, queries *riskdb.Queries) (map[limitKey]RoleLimits, error) {
	rows, err := queries.AllLimits(ctx)
	if err != nil {
		return nil, fmt.Errorf("read limits of roles: %w", err)
	}
	limits := make(map[limitKey]RoleLimits, len(rows))
	for _, row := range rows {
		limits[limitKey{row.Role, money.Currency(row.Currency)}] = RoleLimits{
			Role: row.Role, Currency: money.Currency(row.Currency), PerTransfer: row.PerTransfer, Daily: row.Daily,
			UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt.UTC(),
		}
	}
	return limits, nil
}

func limitsEvent(before, after RoleLimits) audit.Event {
	target := after.Role + "/" + string(after.Currency)
	return audit.Event{
		Action: "role_limits.changed", TargetKind: "role_limits", TargetID: strings.TrimSuffix(target, "/"), Result: audit.OK,
		Before: before.json(), After: after.json(),
	}
}

func (l RoleLimits) json() json.RawMessage {
	return object(map[string]decimal.NullDecimal{"perTransfer": l.PerTransfer, "daily": l.Daily})
}
