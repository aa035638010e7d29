package cashback

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// Proof is the outcome of Verify.
type Proof struct {
	// At is the one time that everything was read at.
	At        time.Time `json:"at"`
	Campaigns int64     `json:"campaigns"`
	Purchases int64     `json:"purchases"`
	Held      int64     `json:"held"` // of them, those whose customer is not known yet
	Rewards   int64     `json:"rewards"`
	Unpaid    int64     `json:"unpaid"` // of them, those accrued or confirmed
	// Offences name a campaign, purchase, reward, click, cap or customer.
	Offences []ledger.Offence `json:"offences"`
	// Truncated says that a rule had more offenders than were listed.
	Truncated bool `json:"truncated"`
}

const (
	// lateMax is how long something may stand that servers do by themselves. What is
	// older means that none runs, or that what they do fails.
	lateMax = 24 * time.Hour
)

// invariants are the rules, each as the query for its offenders: subject and detail.
// Each is one pass over the tables that it names, or a join of them by keys. What is
// given of a reward is amount - reversed + owed: what is owed has not come back yet.
var invariants = []ledger.Invariant{
	{Rule: "campaign_has_totals", SQL: `
		-- Each campaign counts what it gives, in its currency, against the budget of its
		-- newest version; and nothing counts for another.
		SELECT coalesce(c.campaign_id, t.campaign_id),
		       'budget ' || coalesce(c.terms ->> 'budget' || ' ' || (c.terms ->> 'currency'), 'of no campaign')
		       || ', counted against ' || coalesce(t.budget::text || ' ' || t.currency, 'nothing')
		FROM (
		    SELECT DISTINCT ON (campaign_id) campaign_id, terms
		    FROM campaigns
		    ORDER BY campaign_id, version DESC
		) AS c
		FULL JOIN campaign_totals AS t ON t.campaign_id = c.campaign_id
		WHERE c.campaign_id IS NULL OR t.campaign_id IS NULL
		   OR t.currency <> c.terms ->> 'currency' OR t.budget <> (c.terms ->> 'budget')::decimal`},
	{Rule: "totals_are_of_newest_version", SQL: `
		-- Who gives rewards by an older version sees it there, and gives nothing.
		SELECT t.campaign_id, 'counts by version ' || t.version::text || ', the newest is ' || c.newest::text
		FROM campaign_totals AS t
		JOIN (
		    SELECT campaign_id, max(version) AS newest
		    FROM campaigns
		    GROUP BY campaign_id
		) AS c ON c.campaign_id = t.campaign_id
		WHERE t.version <> c.newest`},
	{Rule: "campaign_is_within_budget", SQL: `
		SELECT campaign_id, 'accrued ' || accrued::text || ', confirmed ' || confirmed::text || ' and paid ' || paid::text
		       || ' of a budget of ' || budget::text
		FROM campaign_totals
		WHERE accrued + confirmed + paid > budget`},
	{Rule: "totals_equal_rewards", SQL: `
		SELECT coalesce(t.campaign_id, r.campaign_id),
		       'accrued ' || coalesce(t.accrued::text, '-') || ' of ' || coalesce(r.accrued::text, '-')
		       || ', confirmed ' || coalesce(t.confirmed::text, '-') || ' of ' || coalesce(r.confirmed::text, '-')
		       || ', paid ' || coalesce(t.paid::text, '-') || ' of ' || coalesce(r.paid::text, '-')
		       || ', reversed ' || coalesce(t.reversed::text, '-') || ' of ' || coalesce(r.reversed::text, '-')
		       || ', owed ' || coalesce(t.owed::text, '-') || ' of ' || coalesce(r.owed::text, '-')
		       || ', rewards ' || coalesce(t.rewards::text, '-') || ' of ' || coalesce(r.rewards::text, '-')
		FROM campaign_totals AS t
		FULL JOIN (
		    SELECT campaign_id,
		           sum(CASE WHEN status = 'ACCRUED' THEN amount - reversed + owed ELSE 0 END) AS accrued,
		           sum(CASE WHEN status = 'CONFIRMED' THEN amount - reversed + owed ELSE 0 END) AS confirmed,
		           sum(CASE WHEN status IN ('PAID', 'REVERSED') THEN amount - reversed + owed ELSE 0 END) AS paid,
		           sum(reversed) AS reversed, sum(owed) AS owed, count(*) AS rewards
		    FROM rewards
		    GROUP BY campaign_id
		) AS r ON r.campaign_id = t.campaign_id
		WHERE t.campaign_id IS NULL
		   OR t.accrued <> coalesce(r.accrued, 0) OR t.confirmed <> coalesce(r.confirmed, 0) OR t.paid <> coalesce(r.paid, 0)
		   OR t.reversed <> coalesce(r.reversed, 0) OR t.owed <> coalesce(r.owed, 0) OR t.rewards <> coalesce(r.rewards, 0)`},
	{Rule: "totals_equal_accounts", SQL: `
		-- To the cent: what is accrued and confirmed lies there, and what merchants did
		-- not pay of all that is given, the platform did.
		SELECT t.campaign_id,
		       'accrued ' || t.accrued::text || ', in the books ' || coalesce(a.posted::text || ' ' || a.currency, 'nothing')
		       || '; confirmed ' || t.confirmed::text || ', in the books ' || coalesce(f.posted::text || ' ' || f.currency, 'nothing')
		       || '; cost ' || (t.merchants - t.accrued - t.confirmed - t.paid)::text || ', in the books ' || coalesce(e.posted::text || ' ' || e.currency, 'nothing')
		FROM campaign_totals AS t
		LEFT JOIN accounts AS a ON a.account_id = @program::text || t.campaign_id || ':accrued'
		LEFT JOIN accounts AS f ON f.account_id = @program::text || t.campaign_id || ':confirmed'
		LEFT JOIN accounts AS e ON e.account_id = @program::text || t.campaign_id || ':cost'
		WHERE a.account_id IS NULL OR f.account_id IS NULL OR e.account_id IS NULL
		   OR a.currency <> t.currency OR f.currency <> t.currency OR e.currency <> t.currency
		   OR a.posted <> t.accrued OR f.posted <> t.confirmed
		   OR e.posted <> t.merchants - t.accrued - t.confirmed - t.paid`},
	{Rule: "program_transfer_has_reward", SQL: `
		-- Nothing moves a campaign's accounts but its rewards, each by transfers of its own.
		SELECT t.transfer_id, t.amount::text || ' ' || t.currency || ' from ' || t.source_account_id || ' to ' || t.destination_account_id
		       || CASE WHEN r.reward_id IS NULL THEN ' is of no reward' ELSE ' is none that its reward makes' END
		FROM transfers AS t
		LEFT JOIN rewards AS r ON t.transfer_id LIKE 'house:rwd%' AND r.reward_id = split_part(t.transfer_id, ':', 2)
		WHERE t.status = 'COMPLETED'
		  AND (t.transfer_id LIKE 'house:rwd%' OR t.source_account_id LIKE @program::text || '%' OR t.destination_account_id LIKE @program::text || '%')
		  AND (r.reward_id IS NULL OR t.currency <> r.currency
		       OR t.source_account_id <> ALL(ARRAY[@program::text || r.campaign_id || ':cost', @program::text || r.campaign_id || ':accrued',
		              @program::text || r.campaign_id || ':confirmed', r.merchant_account, coalesce(r.paid_to, '')])
		       OR t.destination_account_id <> ALL(ARRAY[@program::text || r.campaign_id || ':cost', @program::text || r.campaign_id || ':accrued',
		              @program::text || r.campaign_id || ':confirmed', r.merchant_account, coalesce(r.paid_to, '')]))`},
	{Rule: "reward_equals_transfers", SQL: `
		-- As many transfers as it counts; granted by who was to pay for it; and all that is
		-- given of it lies where its status says. Where the merchant is paid as a customer
		-- too, on one account, what is his as which can't be told.
		SELECT r.reward_id,
		       r.amount::text || ' ' || r.currency || ', merchant ' || r.merchant_amount::text || ', reversed ' || r.reversed::text
		       || ', owed ' || r.owed::text || ', is ' || r.status || ' by ' || r.transfers::text || ' transfers; the books have '
		       || coalesce(m.transfers::text || ': granted ' || m.granted::text || ' and by the merchant ' || m.by_merchant::text || ', left accrued '
		                   || m.accrued::text || ', confirmed ' || m.confirmed::text || ', paid ' || m.paid::text, 'none')
		FROM rewards AS r
		LEFT JOIN (
		    SELECT w.reward_id, count(*) AS transfers,
		           sum(CASE WHEN t.source_account_id = w.cost AND t.destination_account_id = w.accrued THEN t.amount ELSE 0 END) AS granted,
		           sum(CASE WHEN t.source_account_id = w.merchant_account AND t.destination_account_id = w.accrued THEN t.amount ELSE 0 END) AS by_merchant,
		           sum(CASE w.accrued WHEN t.destination_account_id THEN t.amount WHEN t.source_account_id THEN -t.amount ELSE 0 END) AS accrued,
		           sum(CASE w.confirmed WHEN t.destination_account_id THEN t.amount WHEN t.source_account_id THEN -t.amount ELSE 0 END) AS confirmed,
		           sum(CASE w.paid_to WHEN t.destination_account_id THEN t.amount WHEN t.source_account_id THEN -t.amount ELSE 0 END) AS paid
		    FROM transfers AS t
		    JOIN (
		        SELECT reward_id, merchant_account, paid_to,
		               @program::text || campaign_id || ':cost' AS cost,
		               @program::text || campaign_id || ':accrued' AS accrued,
		               @program::text || campaign_id || ':confirmed' AS confirmed
		        FROM rewards
		    ) AS w ON w.reward_id = split_part(t.transfer_id, ':', 2)
		    WHERE t.transfer_id LIKE 'house:rwd%' AND t.status = 'COMPLETED'
		    GROUP BY w.reward_id
		) AS m ON m.reward_id = r.reward_id
		WHERE m.reward_id IS NULL OR m.transfers <> r.transfers
		   OR m.granted <> r.amount - r.merchant_amount OR m.by_merchant <> r.merchant_amount
		   OR m.accrued <> CASE r.status WHEN 'ACCRUED' THEN r.amount - r.reversed + r.owed ELSE 0 END
		   OR m.confirmed <> CASE r.status WHEN 'CONFIRMED' THEN r.amount - r.reversed + r.owed ELSE 0 END
		   OR m.paid <> CASE WHEN r.status IN ('PAID', 'REVERSED') THEN r.amount - r.reversed + r.owed ELSE 0 END
		      AND r.paid_to <> r.merchant_account`},
	{Rule: "reward_stands_somewhere", SQL: `
		-- A status says what can be true of a reward: nothing is owed of what was not paid,
		-- nothing is left of what is REVERSED, and it is paid to somebody.
		SELECT reward_id, 'is ' || status || ' with ' || amount::text || ' granted, ' || reversed::text || ' reversed and '
		       || owed::text || ' owed, paid to ' || coalesce(paid_to, 'nobody')
		FROM rewards
		WHERE CASE status
		          WHEN 'PAID' THEN paid_to IS NULL OR amount - reversed + owed = 0
		          WHEN 'REVERSED' THEN amount <> reversed OR owed <> 0
		          ELSE owed <> 0 OR paid_to IS NOT NULL OR amount = reversed
		      END`},
	{Rule: "finding_equals_reward", SQL: `
		-- A purchase's findings that give something are its rewards.
		SELECT coalesce(f.purchase_id, r.purchase_id) || ' by ' || coalesce(f.campaign_id, r.campaign_id),
		       'found ' || coalesce(f.amount::text || ' ' || f.currency || ' for ' || f.customer_id || ' by version ' || f.version::text
		                            || ', merchant ' || f.merchant_part::text, 'nothing')
		       || '; the reward is ' || coalesce(r.amount::text || ' ' || r.currency || ' for ' || r.customer_id || ' by version '
		                                         || r.campaign_version::text || ', merchant ' || r.merchant_amount::text, 'missing')
		FROM (
		    SELECT p.purchase_id, p.customer_id, p.currency, finding ->> 'campaign' AS campaign_id, (finding ->> 'version')::bigint AS version,
		           (finding ->> 'amount')::decimal AS amount, coalesce((finding ->> 'merchantPart')::decimal, 0) AS merchant_part
		    FROM purchases AS p
		    CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(p.evaluation -> 'findings') WHEN 'array' THEN p.evaluation -> 'findings' ELSE '[]' END) AS finding
		    WHERE finding ->> 'reason' = ANY(@applying::text[])
		) AS f
		FULL JOIN rewards AS r ON r.purchase_id = f.purchase_id AND r.campaign_id = f.campaign_id
		WHERE f.purchase_id IS NULL OR r.purchase_id IS NULL
		   OR f.amount <> r.amount OR f.merchant_part <> r.merchant_amount OR f.version <> r.campaign_version
		   OR f.customer_id <> r.customer_id OR f.currency <> r.currency`},
	{Rule: "purchase_is_evaluated", SQL: `
		SELECT purchase_id, 'is ' || status || CASE WHEN evaluation IS NULL THEN ' without' ELSE ' with' END || ' an evaluation'
		FROM purchases
		WHERE (status = 'HELD') <> (evaluation IS NULL)`},
	{Rule: "purchase_equals_lines", SQL: `
		SELECT purchase_id, 'amounts to ' || amount::text || ', its lines to ' || lines_amount::text
		FROM (
		    SELECT p.purchase_id, p.amount, sum((line ->> 'quantity')::decimal * (line ->> 'unitPrice')::decimal) AS lines_amount
		    FROM purchases AS p
		    CROSS JOIN LATERAL jsonb_array_elements(p.lines) AS line
		    GROUP BY p.purchase_id, p.amount
		) AS summed
		WHERE amount <> lines_amount`},
	{Rule: "returned_equals_returns", SQL: `
		-- What came back of a purchase is what its returns took off; all of it when it is RETURNED.
		SELECT coalesce(p.purchase_id, r.purchase_id),
		       'is ' || coalesce(p.status || ' with ' || p.returned::text || ' of ' || p.amount::text || ' returned', 'missing')
		       || ', its returns took off ' || coalesce(r.amount::text, '0')
		FROM purchases AS p
		FULL JOIN (
		    SELECT part ->> 'purchaseId' AS purchase_id, sum((part ->> 'amount')::decimal) AS amount
		    FROM purchase_returns
		    CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(parts) WHEN 'array' THEN parts ELSE '[]' END) AS part
		    WHERE status = 'APPLIED'
		    GROUP BY 1
		) AS r ON r.purchase_id = p.purchase_id
		WHERE p.purchase_id IS NULL OR p.returned <> coalesce(r.amount, 0) OR p.status = 'RETURNED' AND p.returned <> p.amount`},
	{Rule: "cap_equals_rewards", SQL: `
		-- What a customer has used of a cap is what he keeps of the period's rewards, by the
		-- versions of the campaign that have such a cap.
		SELECT coalesce(c.customer_id, r.customer_id) || ' of ' || coalesce(c.campaign_id, r.campaign_id) || ' in ' || coalesce(c.period, r.period),
		       'used ' || coalesce(c.amount::text, 'nothing') || ', rewards ' || coalesce(r.amount::text, 'none')
		FROM reward_caps AS c
		FULL JOIN (
		    SELECT w.customer_id, w.campaign_id, w.period, sum(w.amount) AS amount
		    FROM (
		        SELECT r.customer_id, r.campaign_id, r.amount - r.reversed AS amount,
		               CASE v.terms -> 'caps' ->> 'customerPeriod'
		                   WHEN 'DAY' THEN (p.purchased_at AT TIME ZONE 'UTC')::date::text
		                   WHEN 'WEEK' THEN extract(isoyear FROM p.purchased_at AT TIME ZONE 'UTC')::int::text || '-W'
		                                    || lpad(extract(week FROM p.purchased_at AT TIME ZONE 'UTC')::int::text, 2, '0')
		                   WHEN 'MONTH' THEN substr((p.purchased_at AT TIME ZONE 'UTC')::date::text, 1, 7)
		                   ELSE 'ALL'
		               END AS period
		        FROM rewards AS r
		        JOIN purchases AS p ON p.purchase_id = r.purchase_id
		        JOIN campaigns AS v ON v.campaign_id = r.campaign_id AND v.version = r.campaign_version
		        WHERE (v.terms -> 'caps' ->> 'perCustomer')::decimal > 0
		    ) AS w
		    GROUP BY w.customer_id, w.campaign_id, w.period
		) AS r ON r.customer_id = c.customer_id AND r.campaign_id = c.campaign_id AND r.period = c.period
		WHERE coalesce(c.amount, 0) <> coalesce(r.amount, 0)`},
	{Rule: "cap_is_kept", SQL: `
		-- A cap that was lowered binds what comes after: the highest that it ever was bounds all.
		SELECT c.customer_id || ' of ' || c.campaign_id || ' in ' || c.period, 'used ' || c.amount::text || ' of ' || v.highest::text
		FROM reward_caps AS c
		JOIN (
		    SELECT campaign_id, max((terms -> 'caps' ->> 'perCustomer')::decimal) AS highest
		    FROM campaigns
		    GROUP BY campaign_id
		) AS v ON v.campaign_id = c.campaign_id
		WHERE c.amount > v.highest`},
	{Rule: "click_has_one_purchase", SQL: `
		-- A click names the purchase that it brought, and that names the click.
		SELECT coalesce(c.click_id, p.click_id),
		       'of ' || coalesce(c.customer_id || ' at ' || c.merchant_id || ' names ' || c.purchase_id, 'nobody')
		       || '; named by ' || coalesce(p.purchase_id || ' of ' || p.customer_id || ' at ' || p.merchant_id, 'no purchase')
		FROM (
		    SELECT click_id, purchase_id, customer_id, merchant_id
		    FROM clicks
		    WHERE purchase_id IS NOT NULL
		) AS c
		FULL JOIN (
		    SELECT evaluation ->> 'click' AS click_id, purchase_id, customer_id, merchant_id
		    FROM purchases
		    WHERE evaluation ->> 'click' <> ''
		) AS p ON p.click_id = c.click_id AND p.purchase_id = c.purchase_id
		WHERE c.click_id IS NULL OR p.click_id IS NULL OR c.customer_id <> p.customer_id OR c.merchant_id <> p.merchant_id`},
	{Rule: "spend_equals_purchases", SQL: `
		-- What tiers are made of: a day's purchases, without what came back.
		SELECT coalesce(s.customer_id, p.customer_id) || ' on ' || coalesce(s.day, p.day)::text || ' in ' || coalesce(s.currency, p.currency),
		       'spent ' || coalesce(s.amount::text, 'nothing') || ', purchases ' || coalesce(p.amount::text, 'none')
		FROM customer_spend AS s
		FULL JOIN (
		    SELECT customer_id, currency, (purchased_at AT TIME ZONE 'UTC')::date AS day, sum(amount - returned) AS amount
		    FROM purchases
		    WHERE status <> 'HELD'
		    GROUP BY 1, 2, 3
		) AS p ON p.customer_id = s.customer_id AND p.currency = s.currency AND p.day = s.day
		WHERE coalesce(s.amount, 0) <> coalesce(p.amount, 0)`},
	{Rule: "customer_has_his_purchases", SQL: `
		SELECT coalesce(c.customer_id, p.customer_id),
		       'has ' || coalesce(c.purchases::text, 'no') || ' purchases, evaluated are ' || coalesce(p.purchases::text, '0')
		FROM cashback_customers AS c
		FULL JOIN (
		    SELECT customer_id, count(*) AS purchases
		    FROM purchases
		    WHERE status <> 'HELD'
		    GROUP BY customer_id
		) AS p ON p.customer_id = c.customer_id
		WHERE c.customer_id IS NULL OR c.purchases <> coalesce(p.purchases, 0)`},
	{Rule: "held_purchase_is_late", SQL: `
		-- Its customer is known.
		SELECT p.purchase_id, 'is HELD, and ' || p.customer_id || ' was entered at ' || (c.created_at AT TIME ZONE 'UTC')::text || ' UTC'
		FROM purchases AS p
		JOIN cashback_customers AS c ON c.customer_id = p.customer_id
		WHERE p.status = 'HELD' AND c.created_at < @late::timestamptz AND p.updated_at < @late::timestamptz`},
	{Rule: "reward_is_late", SQL: `
		-- What is due by the clock is done; what failed is put off each time.
		SELECT reward_id, 'is ' || status || ', to go on at ' || coalesce((next_at AT TIME ZONE 'UTC')::text || ' UTC', 'no time')
		       || ' after ' || attempts::text || ' tries' || coalesce(': ' || failure_code, '')
		FROM rewards
		WHERE next_at < @late::timestamptz AND updated_at < @late::timestamptz
		   OR next_at IS NULL AND (status IN ('ACCRUED', 'CONFIRMED') OR owed > 0)`},
}

// applying are the reasons of findings that rewards come of.
var applying = []rules.Reason{rules.Applied, rules.CappedPurchase, rules.CappedCustomer, rules.CappedBudget}

// Verify is VerifyAt the newest moment.
func Verify(ctx context.Context, db *database.DB, progress func(step, steps int, rule string)) (Proof, error) {
	return VerifyAt(ctx, db, database.Newest, progress)
}

// VerifyAt proves, on a live database at one moment and without holding up writes,
// that what the cashback says of campaigns, purchases and rewards agrees, and equals
// the ledger to the cent. What is wrong are Offences of the Proof, not an error. What
// is true of the books as such is ledger.VerifyAt's to prove.
//
// progress, if not nil, is called before each of the steps. Returns what
// database.DB.SnapshotAt returns for a moment that cannot be read.
func VerifyAt(ctx context.Context, db *database.DB, moment database.Moment, progress func(step, steps int, rule string)) (Proof, error) {
	proof := Proof{Offences: []ledger.Offence{}}
	err := db.SnapshotAt(ctx, moment, func(tx pgx.Tx, at database.Timestamp) error {
		proof.At = at.Time()
		err := tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM campaign_totals), (SELECT count(*) FROM purchases),
			       (SELECT count(*) FROM purchases WHERE status = 'HELD'), (SELECT count(*) FROM rewards),
			       (SELECT count(*) FROM rewards WHERE status IN ('ACCRUED', 'CONFIRMED'))`,
		).Scan(&proof.Campaigns, &proof.Purchases, &proof.Held, &proof.Rewards, &proof.Unpaid)
		if err != nil {
			return fmt.Errorf("count purchases and rewards: %w", err)
		}
		proof.Offences, proof.Truncated, err = ledger.Offences(ctx, tx, invariants, pgx.NamedArgs{
			"program":  ledger.ProgramPrefix,
			"applying": applying,
			"late":     proof.At.Add(-lateMax),
		}, progress)
		return err
	})
	return proof, err
}
