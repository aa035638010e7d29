package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/database"
)

// Proof is the outcome of Verify.
type Proof struct {
	// At is the one time that everything was read at.
	At        time.Time                          `json:"at"`
	Accounts  int64                              `json:"accounts"`
	Transfers int64                              `json:"transfers"` // completed ones
	Postings  int64                              `json:"postings"`
	Holds     int64                              `json:"holds"`    // pending ones
	Turnover  map[money.Currency]decimal.Decimal `json:"turnover"` // sum of completed transfers
	Sums      []CurrencySum                      `json:"sums"`     // of the accounts' balances
	Offences  []Offence                          `json:"offences"`
	// Truncated says that a rule had more offenders than were listed.
	Truncated bool `json:"truncated"`
}

// invariants are the rules of the books, each as the query for its offenders:
// subject and detail. Each is one pass over tables in the order of their primary
// keys, or of two joined by them; the engine streams, this program keeps nothing.
// @at is the time that all is read at.
var invariants = []Invariant{
	{Rule: "transfer_postings_match", SQL: `
		-- A completed transfer has exactly its two postings, the same amount out and in.
		SELECT t.transfer_id,
		       'amount ' || t.amount::text || ' ' || t.currency || ', debit ' || coalesce(d.amount::text, 'missing')
		       || ', credit ' || coalesce(c.amount::text, 'missing')
		FROM transfers AS t
		LEFT JOIN postings AS d ON d.account_id = t.source_account_id AND d.seq = t.source_seq AND d.transfer_id = t.transfer_id
		LEFT JOIN postings AS c ON c.account_id = t.destination_account_id AND c.seq = t.destination_seq AND c.transfer_id = t.transfer_id
		WHERE t.status = 'COMPLETED'
		  AND (d.amount IS NULL OR c.amount IS NULL
		       OR d.amount <> -t.amount OR c.amount <> t.amount OR d.amount + c.amount <> 0
		       OR d.currency <> t.currency OR c.currency <> t.currency
		       OR d.created_at <> t.finished_at OR c.created_at <> t.finished_at)`},
	{Rule: "posting_has_transfer", SQL: `
		-- No posting without the completed transfer that names it.
		SELECT p.account_id || ' #' || p.seq::text, 'transfer ' || p.transfer_id || ' does not have this posting'
		FROM postings AS p
		LEFT JOIN transfers AS t ON t.transfer_id = p.transfer_id AND t.status = 'COMPLETED'
		 AND ((t.source_account_id = p.account_id AND t.source_seq = p.seq)
		   OR (t.destination_account_id = p.account_id AND t.destination_seq = p.seq))
		WHERE t.transfer_id IS NULL`},
	{Rule: "posting_chain", SQL: `
		-- Within an account: numbered without gaps, each balance the one before plus
		-- the amount, time never going back.
		SELECT account_id || ' #' || seq::text,
		       'balance ' || balance::text || ' after ' || before_balance::text || ' and ' || amount::text
		       || ', number before ' || before_seq::text
		FROM (
		    SELECT account_id, seq, amount, balance, created_at,
		           lag(seq, 1, 0::bigint) OVER w AS before_seq,
		           lag(balance, 1, 0::decimal(19, 4)) OVER w AS before_balance,
		           lag(created_at) OVER w AS before_time
		    FROM postings
		    WINDOW w AS (PARTITION BY account_id ORDER BY seq)
		) AS p
		WHERE seq <> before_seq + 1 OR balance <> before_balance + amount OR created_at < before_time`},
	{Rule: "account_equals_postings", SQL: `
		-- An account's balance is the sum of its postings and its last running
		-- balance; its number of postings is the last seq; they are in its currency.
		SELECT coalesce(a.account_id, p.account_id),
		       'posted ' || coalesce(a.posted::text, 'no account') || ', postings ' || coalesce(p.total::text, 'none')
		       || ', last balance ' || coalesce(l.balance::text, 'none')
		       || ', number ' || coalesce(a.last_seq::text, '-') || ' against ' || coalesce(p.postings::text, '0')
		FROM accounts AS a
		FULL JOIN (
		    SELECT account_id, sum(amount) AS total, count(*) AS postings, max(seq) AS last_seq,
		           min(currency) AS min_currency, max(currency) AS max_currency
		    FROM postings
		    GROUP BY account_id
		) AS p ON p.account_id = a.account_id
		LEFT JOIN postings AS l ON l.account_id = a.account_id AND l.seq = a.last_seq
		WHERE a.account_id IS NULL
		   OR a.posted <> coalesce(p.total, 0)
		   OR a.posted <> coalesce(l.balance, 0)
		   OR a.last_seq <> coalesce(p.postings, 0)
		   OR a.last_seq <> coalesce(p.last_seq, 0)
		   OR p.min_currency <> a.currency
		   OR p.max_currency <> a.currency`},
	{Rule: "held_equals_holds", SQL: `
		SELECT coalesce(a.account_id, h.account_id),
		       'held ' || coalesce(a.held::text, 'no account') || ', pending holds ' || coalesce(h.total::text, '0')
		FROM accounts AS a
		FULL JOIN (
		    SELECT source_account_id AS account_id, sum(amount) AS total
		    FROM holds
		    WHERE status = 'PENDING'
		    GROUP BY source_account_id
		) AS h ON h.account_id = a.account_id
		WHERE a.account_id IS NULL OR a.held <> coalesce(h.total, 0)`},
	{Rule: "spent_equals_payments", SQL: `
		-- What counts towards today's limit is what was paid since the first payment
		-- that was counted, and what today's holds took or still keep; but for what a
		-- Work moved, which no limit is asked about. Of earlier days
		-- nothing is proved: what they counted limits nothing any more. The counter
		-- stops at zero; one that gave back more than it had counted shows here, as
		-- less than what was paid later that day.
		SELECT a.account_id, 'spent ' || a.spent::text || ', paid and held ' || coalesce(p.total::text, '0')
		FROM accounts AS a
		LEFT JOIN (
		    SELECT s.account_id, sum(p.amount) AS total
		    FROM (
		        SELECT source_account_id AS account_id, amount, finished_at AS paid_at
		        FROM transfers
		        WHERE kind = 'TRANSFER' AND status = 'COMPLETED' AND transfer_id NOT LIKE 'house:%'
		          AND finished_at >= date_trunc('day', @at::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
		        UNION ALL
		        SELECT source_account_id,
		               CASE status WHEN 'PENDING' THEN amount WHEN 'CAPTURED' THEN captured_amount ELSE 0 END,
		               created_at
		        FROM holds
		        WHERE created_at >= date_trunc('day', @at::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
		    ) AS p
		    JOIN accounts AS s ON s.account_id = p.account_id
		    WHERE p.paid_at >= s.spent_since
		      AND p.paid_at < (date_trunc('day', s.spent_since AT TIME ZONE 'UTC') + INTERVAL '1 day') AT TIME ZONE 'UTC'
		    GROUP BY s.account_id
		) AS p ON p.account_id = a.account_id
		WHERE a.spent_since >= date_trunc('day', @at::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
		  AND a.spent <> coalesce(p.total, 0)`},
	{Rule: "house_has_no_owner", SQL: `
		-- An owner pays from his accounts; the house's have no limit.
		SELECT account_id, 'type ' || account_type || ', owner ' || owner_id
		FROM accounts
		WHERE owner_id <> '' AND account_type IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE')`},
	{Rule: "captured_hold_has_transfer", SQL: `
		SELECT h.hold_id, 'captured ' || h.captured_amount::text || ' by ' || coalesce(h.capture_id, 'nothing')
		FROM holds AS h
		LEFT JOIN transfers AS t ON t.transfer_id = h.capture_id AND t.hold_id = h.hold_id AND t.status = 'COMPLETED'
		WHERE (h.status = 'CAPTURED' AND (t.transfer_id IS NULL OR t.amount <> h.captured_amount))
		   OR (h.status <> 'CAPTURED' AND h.captured_amount <> 0)`},
	{Rule: "capture_has_hold", SQL: `
		-- A hold is captured once, by the transfer that it names.
		SELECT t.transfer_id, 'captures hold ' || t.hold_id || ', which names ' || coalesce(h.capture_id, 'nothing')
		FROM transfers AS t
		LEFT JOIN holds AS h ON h.hold_id = t.hold_id
		WHERE t.hold_id IS NOT NULL AND t.status = 'COMPLETED'
		  AND (h.hold_id IS NULL OR h.status <> 'CAPTURED' OR h.capture_id IS NULL OR h.capture_id <> t.transfer_id)`},
	{Rule: "available_not_negative", SQL: `
		-- What a forced reversal took is noted in shortfall, to the cent.
		SELECT account_id,
		       'posted ' || posted::text || ', held ' || held::text || ', overdraft limit ' || overdraft_limit::text
		       || ', shortfall ' || shortfall::text
		FROM accounts
		WHERE overdraft_limit IS NOT NULL
		  AND (posted - held + overdraft_limit + shortfall < 0
		       OR (shortfall > 0 AND posted - held + overdraft_limit + shortfall <> 0))`},
	{Rule: "closed_account_is_empty", SQL: `
		SELECT account_id, 'posted ' || posted::text || ', held ' || held::text
		FROM accounts
		WHERE status = 'CLOSED' AND (posted <> 0 OR held <> 0)`},
	{Rule: "currency_sums_to_zero", SQL: `
		SELECT currency, 'the accounts'' balances sum to ' || sum(posted)::text
		FROM accounts
		GROUP BY currency
		HAVING sum(posted) <> 0`},
	{Rule: "reversed_once", SQL: `
		SELECT reverses_id, 'reversed by ' || min(transfer_id) || ' and ' || max(transfer_id)
		FROM transfers
		WHERE reverses_id IS NOT NULL AND status = 'COMPLETED'
		GROUP BY reverses_id
		HAVING count(*) > 1`},
	{Rule: "reversal_mirrors_transfer", SQL: `
		SELECT r.transfer_id, 'reverses ' || r.reverses_id
		FROM transfers AS r
		LEFT JOIN transfers AS t ON t.transfer_id = r.reverses_id AND t.status = 'COMPLETED'
		WHERE r.reverses_id IS NOT NULL AND r.status = 'COMPLETED'
		  AND (t.transfer_id IS NULL OR t.amount <> r.amount OR t.currency <> r.currency
		       OR t.source_account_id <> r.destination_account_id OR t.destination_account_id <> r.source_account_id)`},
}

// Verify is VerifyAt the newest moment.
func Verify(ctx context.Context, db *database.DB, progress func(step, steps int, rule string)) (Proof, error) {
	return VerifyAt(ctx, db, database.Newest, progress)
}

// VerifyAt proves the books of a live database at one moment, without holding up
// writes. Broken invariants are Offences of the Proof, not an error. progress, if
// not nil, is called before each of the steps. Returns what
// database.DB.SnapshotAt returns for a moment that cannot be read.
func VerifyAt(ctx context.Context, db *database.DB, moment database.Moment, progress func(step, steps int, rule string)) (Proof, error) {
	proof := Proof{Turnover: map[money.Currency]decimal.Decimal{}, Offences: []Offence{}}
	err := db.SnapshotAt(ctx, moment, func(tx pgx.Tx, at database.Timestamp) error {
		proof.At = at.Time()
		if err := proof.measure(ctx, tx); err != nil {
			return err
		}
		var err error
		proof.Offences, proof.Truncated, err = Offences(ctx, tx, invariants, pgx.NamedArgs{"at": proof.At}, progress)
		return err
	})
	return proof, err
}

func (p *Proof) measure(ctx context.Context, tx pgx.Tx) error {
	var err error
	if p.Sums, err = sumAccounts(ctx, tx); err != nil {
		return err
	}
	for _, sum := range p.Sums {
		p.Accounts += sum.Accounts
	}
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM postings), (SELECT count(*) FROM holds WHERE status = 'PENDING')`,
	).Scan(&p.Postings, &p.Holds)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	rows, err := tx.Query(ctx, "SELECT currency, count(*), sum(amount) FROM transfers WHERE status = 'COMPLETED' GROUP BY currency")
	if err != nil {
		return fmt.Errorf("sum transfers: %w", err)
	}
	var currency money.Currency
	var transfers int64
	var turnover decimal.Decimal
	_, err = pgx.ForEachRow(rows, []any{&currency, &transfers, &turnover}, func() error {
		p.Transfers += transfers
		p.Turnover[currency] = turnover
		return nil
	})
	return err
}
