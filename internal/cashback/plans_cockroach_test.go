package cashback_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// CockroachDB plans by statistics: whatever they say of a table's size, no statement
// of the intake, the sweep and the lists may read all of it, which at SERIALIZABLE
// would conflict with every other work.
func TestCockroachPlansReadNoWholeTable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Cockroach {
			t.Skip("PostgreSQL's plans are looked at by themselves")
		}
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2, Plans: database.PlansPinned})
		look := func(phase string) {
			t.Helper()
			for _, size := range []int{1, 20, 1000} {
				for name, s := range statements(size) {
					if plan := explain(t, db, s); wholeTable.MatchString(plan) {
						t.Errorf("%s, %s of %d:\n%s", phase, name, size, plan)
					}
				}
			}
		}
		analyze := func() {
			t.Helper()
			for table := range fiftyRows {
				execute(t, db, "ANALYZE "+table)
			}
		}
		look("no statistics")
		analyze()
		look("statistics of empty tables")
		for table, row := range fiftyRows {
			execute(t, db, "INSERT INTO "+table+" ("+row[0]+") SELECT "+row[1]+" FROM generate_series(1, 50) AS i")
		}
		analyze()
		look("statistics of small tables")
	})
}

// fiftyRows are the columns of rows to be, and what is in them, by table; some customers
// have several of a table.
var fiftyRows = map[string][2]string{
	"cashback_customers": {
		"customer_id, account_id, country, tier, purchases, created_at, updated_at",
		"'u' || i::text, 'a', '', '', 0, now(), now()",
	},
	"customer_spend":  {"customer_id, currency, day, amount", "'u' || (i % 9)::text, 'USD', '2026-01-01'::date + i, 1"},
	"tier_changes":    {"customer_id, seq, at, tier, spend", "'u' || (i % 9)::text, i, now(), '', 1"},
	"segment_members": {"customer_id, segment", "'u' || (i % 9)::text, 's' || i::text"},
	"reward_caps":     {"campaign_id, customer_id, period, amount", "'c' || (i % 9)::text, 'u' || i::text, '2026-11', 1"},
	"clicks": {
		"click_id, customer_id, merchant_id, campaign_id, clicked_at, created_at",
		"'k' || i::text, 'u' || (i % 9)::text, 'm', 'c', now(), now()",
	},
	"purchases": {
		"purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, lines, status, request_hash, source, recorded_by, created_at, updated_at",
		"'p' || i::text, 'm', 'u' || (i % 9)::text, 'USD', 1, 0, '', now(), '[]', 'ACCEPTED', 'x', 'api', '', now(), now()",
	},
	"purchase_returns": {
		"return_id, purchase_id, customer_id, merchant_id, returned_at, status, reversed, request_hash, source, recorded_by, created_at, updated_at",
		"'r' || i::text, 'p' || (i % 9)::text, 'u' || (i % 9)::text, 'm', now(), 'APPLIED', 0, 'x', 'api', '', now(), now()",
	},
	"rewards": {
		"reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount, merchant_account, reversed, owed, status, confirm_at, next_at, attempts, transfers, created_at, updated_at",
		"'w' || i::text, 'p' || (i % 9)::text, 'c' || (i % 9)::text, 1, 'u' || (i % 9)::text, 'USD', 1, 0, '', 0, 0, 'ACCRUED', now(), now(), 0, 1, now(), now()",
	},
}

// wholeTable finds a scan of all of a table or a full index, or of the clicks that
// brought nothing, which are most. All of another partial index, which has what is
// unfinished, is not meant.
var wholeTable = regexp.MustCompile(`table: ([^\s(]+|clicks@clicks_free \(partial index\)|purchases@purchases_by_payment \(partial index\))\n\s*spans: FULL SCAN`)

func explain(t *testing.T, db *database.DB, s statement) string {
	t.Helper()
	rows, err := db.Query(t.Context(), "EXPLAIN "+s.sql, append([]any{pgx.QueryExecModeSimpleProtocol}, s.args...)...)
	if err != nil {
		t.Fatalf("%s: %v", s.sql, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", s.sql, err)
	}
	return strings.Join(lines, "\n")
}

type statement struct {
	sql  string
	args []any
}

// statements are those that run while the tables grow, for n ids each. Inserts that
// meet no conflict read nothing, and campaigns and programs are few.
func statements(n int) map[string]statement {
	ids, days, texts, numbers := make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	amounts, times := make([]decimal.Decimal, n), make([]time.Time, n)
	for i := range n {
		ids[i], days[i], texts[i], numbers[i] = id.New("plan"), "2026-11-20", "{}", int64(i)
		amounts[i], times[i] = decimal.NewFromInt(1), time.Now().UTC()
	}
	now := times[0]
	return map[string]statement{
		// The intake: before its transaction,
		"ReturnablePurchases":      {cashbackdb.ReturnablePurchases, []any{"m", "u", now, "p", n}},
		"LineCounts":               {cashbackdb.LineCounts, []any{ids}},
		"ReachOfPurchases":         {cashbackdb.ReachOfPurchases, []any{ids}},
		"HeldPurchasesOfCustomer":  {cashbackdb.HeldPurchasesOfCustomer, []any{"u", now, "p", n}},
		"WaitingReturnsOfCustomer": {cashbackdb.WaitingReturnsOfCustomer, []any{"u", now, "r", n}},
		// in it,
		"LockTotals":                {cashbackdb.LockTotals, []any{ids}},
		"LockCustomers":             {cashbackdb.LockCustomers, []any{ids}},
		"SegmentsOfCustomers":       {cashbackdb.SegmentsOfCustomers, []any{ids}},
		"CustomersWithHeld":         {cashbackdb.CustomersWithHeld, []any{ids}},
		"LockPurchases":             {cashbackdb.LockPurchases, []any{ids}},
		"FindPurchases":             {cashbackdb.FindPurchases, []any{ids}},
		"LockRewardsOfPurchases":    {cashbackdb.LockRewardsOfPurchases, []any{ids}},
		"FindReturns":               {cashbackdb.FindReturns, []any{ids}},
		"WaitingReturnsOfPurchases": {cashbackdb.WaitingReturnsOfPurchases, []any{ids}},
		"SpendOfCustomers":          {cashbackdb.SpendOfCustomers, []any{ids, "USD", days[0]}},
		"CapsOfCustomers":           {cashbackdb.CapsOfCustomers, []any{ids, ids, ids}},
		"FreeClicks":                {cashbackdb.FreeClicks, []any{ids, now, now}},
		// and what it writes.
		"UseClicks":            {cashbackdb.UseClicks, []any{ids, ids}},
		"UpdateCustomerCounts": {cashbackdb.UpdateCustomerCounts, []any{ids, ids, numbers, times}},
		"UpdateTotals":         {cashbackdb.UpdateTotals, []any{ids, amounts, amounts, amounts, amounts, amounts, amounts, numbers}},
		"UpdatePurchases":      {cashbackdb.UpdatePurchases, []any{ids, amounts, texts, ids, texts, times}},
		"UpdateRewards":        {cashbackdb.UpdateRewards, []any{ids, amounts, amounts, ids, times, numbers, ids, ids, numbers, times}},
		"FinishReturns":        {cashbackdb.FinishReturns, []any{ids, ids, ids, ids, texts, ids, amounts, times}},
		"AddSpend":             {cashbackdb.AddSpend, []any{ids, ids, days, amounts}},
		"AddToCaps":            {cashbackdb.AddToCaps, []any{ids, ids, ids, amounts}},
		"TakeOffCaps":          {cashbackdb.TakeOffCaps, []any{ids, ids, ids, amounts}},
		// The sweep.
		"DueRewards":           {cashbackdb.DueRewards, []any{now, n}},
		"RewardsToSettle":      {cashbackdb.RewardsToSettle, []any{ids}},
		"AccountsOfCustomers":  {cashbackdb.AccountsOfCustomers, []any{ids}},
		"LockRewards":          {cashbackdb.LockRewards, []any{ids}},
		"PostponeReward":       {cashbackdb.PostponeReward, []any{now, "w"}},
		"WaitingCustomers":     {cashbackdb.WaitingCustomers, []any{"u", n}},
		"FindCampaignVersions": {cashbackdb.FindCampaignVersions, []any{ids, numbers}},
		// Clicks and customers.
		"InsertClicks":   {cashbackdb.InsertClicks, []any{ids, ids, ids, ids, times, now}},
		"FindClicks":     {cashbackdb.FindClicks, []any{ids}},
		"GetCustomer":    {cashbackdb.GetCustomer, []any{"u"}},
		"UpdateCustomer": {cashbackdb.UpdateCustomer, []any{"a", "", now, "u"}},
		"LeaveSegments":  {cashbackdb.LeaveSegments, []any{"u", ids}},
		"JoinSegments":   {cashbackdb.JoinSegments, []any{"u", ids}},
		// The lists.
		"ListTierChanges":     {cashbackdb.ListTierChanges, []any{"u", n}},
		"PurchasesOfCustomer": {cashbackdb.PurchasesOfCustomer, []any{"u", now, now, now, "p", "m", "", n}},
		"PurchasesOfMerchant": {cashbackdb.PurchasesOfMerchant, []any{"m", now, now, now, "p", n}},
		"PurchasesOfPayment":  {cashbackdb.PurchasesOfPayment, []any{"b", now, now, now, "p", "m", n}},
		"PurchasesByTime":     {cashbackdb.PurchasesByTime, []any{now, now, now, "p", n}},
		"RewardsOfPurchase":   {cashbackdb.RewardsOfPurchase, []any{"p", now, "w", "c", "u", "PAID", n}},
		"RewardsOfCustomer":   {cashbackdb.RewardsOfCustomer, []any{"u", now, "w", "c", "PAID", n}},
		"RewardsOfCampaign":   {cashbackdb.RewardsOfCampaign, []any{"c1", now, "w", "PAID", n}},
		"FundedRewards":       {cashbackdb.FundedRewards, []any{"c1", ids}},
	}
}
