package wallet

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// Proof is the outcome of Verify.
type Proof struct {
	// At is the one time that everything was read at.
	At       time.Time `json:"at"`
	Payments int64     `json:"payments"` // by the bank, or after a review; all that ever were
	Open     int64     `json:"open"`     // of them, not COMPLETED and not FAILED
	InReview int64     `json:"inReview"` // of the open ones, those that wait for a reviewer
	// Offences name a payment, or a hold that should be one's.
	Offences []ledger.Offence `json:"offences"`
	// Truncated says that a rule had more offenders than were listed.
	Truncated bool `json:"truncated"`
}

const (
	// stageMax is how long a payment may stay at a stage that servers take it from by
	// themselves. They try again each hour at least: what is older waits for people, as
	// a bank that is gone, or an account that stays frozen.
	stageMax = 24 * time.Hour
	// reviewMax is how long a payment may wait for a reviewer: people have weekends.
	reviewMax = 7 * 24 * time.Hour
	// reservingMax is how long the hold of a payment that has FAILED may be there.
	// Whoever placed it looks at the payment next, and gives it back (reserve).
	reservingMax = time.Hour
)

// What the books have of a payment at each stage, wherever a replica dies. Its own
// transaction has the payment's id, the hold holdPrefix before it.
//
//	DEPOSIT     READY, RELEASING       nothing
//	            AGREED                 nothing; or its transaction COMPLETED; or that FAILED, and then
//	                                   perhaps the one to the suspense account COMPLETED
//	            COMPLETED              its transaction COMPLETED
//	            FAILED by the bank     nothing, as where the linked account was removed first
//	            FAILED otherwise       its transaction FAILED, the one to the suspense account COMPLETED
//	WITHDRAWAL  IN_REVIEW, READY       nothing, or the hold PENDING
//	            AGREED                 the hold PENDING, or CAPTURED
//	            RELEASING              nothing, or the hold PENDING or VOIDED
//	            COMPLETED              the hold CAPTURED, whole
//	            FAILED                 nothing, or the hold VOIDED; PENDING for a moment, when it was
//	                                   placed while somebody else ended the payment
//	TRANSFER    IN_REVIEW, RELEASING,  as a WITHDRAWAL
//	            COMPLETED, FAILED
//	            READY                  nothing, or the hold PENDING or CAPTURED
//
// A transaction under a deposit's id that is not from the house's bank account, or
// under another payment's id that does not capture its hold, is somebody else's. Staff
// may void or capture the hold of an open payment: that is an offence only where the
// books then have something else than the payment says, or the bank has paid.
//
// One death leaves what nobody puts right: of a replica that reserves for a payment
// which another one has ended meanwhile, just before it gives the money back. The
// hold stays, and shows here after reservingMax: void it by hand.

// invariants are the rules, each as the query for its offenders: subject and detail.
// Each is one pass over the payments, or the holds, joined by primary keys.
var invariants = []ledger.Invariant{
	{Rule: "completed_deposit_is_booked", SQL: `
		SELECT p.payment_id,
		       p.amount::text || ' ' || p.currency || ' to ' || p.account_id || ' is COMPLETED, its transaction '
		       || coalesce('is ' || t.status || ': ' || t.amount::text || ' ' || t.currency
		                   || ' from ' || t.source_account_id || ' to ' || t.destination_account_id, 'is missing')
		FROM wallet_payments AS p
		LEFT JOIN transfers AS t ON t.transfer_id = p.payment_id
		WHERE p.kind = 'DEPOSIT' AND p.status = 'COMPLETED'
		  AND (t.transfer_id IS NULL OR t.status <> 'COMPLETED' OR t.amount <> p.amount OR t.currency <> p.currency
		       OR t.source_account_id <> p.other_account_id OR t.destination_account_id <> p.account_id)`},
	{Rule: "completed_payment_is_captured", SQL: `
		-- By whatever transaction: the payment's own id may have been taken.
		SELECT p.payment_id,
		       p.amount::text || ' ' || p.currency || ' from ' || p.account_id || ' to ' || p.other_account_id
		       || ' is COMPLETED, its hold ' || coalesce('is ' || h.status || ', captured ' || h.captured_amount::text, 'is missing')
		       || ', the capture ' || coalesce('moved ' || t.amount::text || ' ' || t.currency
		                                       || ' from ' || t.source_account_id || ' to ' || t.destination_account_id, 'is missing')
		FROM wallet_payments AS p
		LEFT JOIN holds AS h ON h.hold_id = @hold_prefix::text || p.payment_id
		LEFT JOIN transfers AS t ON t.transfer_id = h.capture_id AND t.hold_id = h.hold_id AND t.status = 'COMPLETED'
		WHERE p.kind <> 'DEPOSIT' AND p.status = 'COMPLETED'
		  AND (h.hold_id IS NULL OR h.status <> 'CAPTURED' OR h.captured_amount <> p.amount OR t.transfer_id IS NULL
		       OR t.amount <> p.amount OR t.currency <> p.currency
		       OR t.source_account_id <> p.account_id OR t.destination_account_id <> p.other_account_id)`},
	{Rule: "booked_deposit_has_a_yes", SQL: `
		-- Before the bank's yes nothing is booked, and after its no neither.
		SELECT p.payment_id, p.status || coalesce(' by ' || p.failure_code, '') || ', and ' || t.transfer_id || ' has booked '
		       || t.amount::text || ' ' || t.currency || ' to ' || t.destination_account_id
		FROM wallet_payments AS p
		CROSS JOIN unnest(ARRAY['', @suspense_suffix::text]) AS booking (suffix)
		JOIN transfers AS t ON t.transfer_id = p.payment_id || booking.suffix
		WHERE p.kind = 'DEPOSIT'
		  AND (p.status NOT IN ('AGREED', 'COMPLETED', 'FAILED')
		       OR p.status = 'FAILED' AND p.failure_code = ANY(@not_collected::text[]))
		  AND t.status = 'COMPLETED' AND t.source_account_id = p.other_account_id`},
	{Rule: "collected_deposit_is_kept", SQL: `
		-- What the bank has collected and the account did not take.
		SELECT p.payment_id, 'FAILED by ' || p.failure_code || ' after the bank collected '
		       || p.amount::text || ' ' || p.currency || ', of which the suspense account has '
		       || coalesce(t.amount::text || ' ' || t.currency, 'nothing')
		FROM wallet_payments AS p
		LEFT JOIN transfers AS t ON t.transfer_id = p.payment_id || @suspense_suffix::text AND t.status = 'COMPLETED'
		 AND t.source_account_id = p.other_account_id AND t.destination_account_id = @suspense_prefix::text || p.currency
		WHERE p.kind = 'DEPOSIT' AND p.status = 'FAILED' AND p.failure_code <> ALL(@not_collected::text[])
		  AND (t.transfer_id IS NULL OR t.amount <> p.amount OR t.currency <> p.currency)`},
	{Rule: "failed_payment_takes_nothing", SQL: `
		-- What is only reserved for it shows as reservation_has_open_payment.
		SELECT p.payment_id, 'FAILED by ' || p.failure_code || ', and ' || h.captured_amount::text || ' ' || h.currency
		       || ' of its hold was captured by ' || coalesce(h.capture_id, 'nothing')
		FROM wallet_payments AS p
		JOIN holds AS h ON h.hold_id = @hold_prefix::text || p.payment_id
		WHERE p.status = 'FAILED' AND h.status = 'CAPTURED'`},
	{Rule: "paid_withdrawal_is_reserved", SQL: `
		-- What the bank has paid is still to be booked.
		SELECT p.payment_id, 'the bank has paid ' || p.amount::text || ' ' || p.currency || ', the hold '
		       || coalesce('of ' || h.amount::text || ' is ' || h.status, 'is missing')
		FROM wallet_payments AS p
		LEFT JOIN holds AS h ON h.hold_id = @hold_prefix::text || p.payment_id
		WHERE p.kind = 'WITHDRAWAL' AND p.status = 'AGREED'
		  AND (h.hold_id IS NULL OR h.status NOT IN ('PENDING', 'CAPTURED') OR h.amount <> p.amount)`},
	{Rule: "reservation_has_open_payment", SQL: `
		-- No hold of the wallet's without its payment; and what is reserved is the
		-- payment's amount, as long as that is open.
		SELECT h.hold_id, h.amount::text || ' ' || h.currency || ' of ' || h.source_account_id || ' for '
		       || h.destination_account_id || ' is ' || h.status || ', the payment '
		       || coalesce('of ' || p.amount::text || ' ' || p.currency || ' from ' || p.account_id
		                   || ' to ' || p.other_account_id || ' is ' || p.status, 'is missing')
		FROM holds AS h
		LEFT JOIN wallet_payments AS p ON p.payment_id = substr(h.hold_id, length(@hold_prefix::text) + 1)
		WHERE h.hold_id LIKE @hold_prefix::text || '%'
		  AND (p.payment_id IS NULL OR p.kind = 'DEPOSIT'
		       OR h.status = 'PENDING'
		          AND (p.status = 'COMPLETED'
		               OR p.status = 'FAILED' AND h.created_at < @reserving_since::timestamptz
		               OR p.status <> 'FAILED'
		                  AND (h.amount <> p.amount OR h.currency <> p.currency OR h.source_account_id <> p.account_id
		                       OR h.destination_account_id <> p.other_account_id)))`},
	{Rule: "payment_is_booked_once", SQL: `
		SELECT p.payment_id, 'is booked to ' || t.destination_account_id || ' and to ' || s.destination_account_id
		FROM wallet_payments AS p
		JOIN transfers AS t ON t.transfer_id = p.payment_id
		 AND t.status = 'COMPLETED' AND t.source_account_id = p.other_account_id
		JOIN transfers AS s ON s.transfer_id = p.payment_id || @suspense_suffix::text
		 AND s.status = 'COMPLETED' AND s.source_account_id = p.other_account_id
		WHERE p.kind = 'DEPOSIT'
		UNION ALL
		SELECT substr(t.hold_id, length(@hold_prefix::text) + 1), 'its hold is captured by ' || min(t.transfer_id) || ' and ' || max(t.transfer_id)
		FROM transfers AS t
		WHERE t.hold_id LIKE @hold_prefix::text || '%' AND t.status = 'COMPLETED'
		GROUP BY t.hold_id
		HAVING count(*) > 1`},
	{Rule: "payment_is_stuck", SQL: `
		-- In review: also when the review is over, and whoever decided has died before
		-- the payment heard of it. The same decision again takes it on.
		SELECT p.payment_id, p.kind || ' of ' || p.amount::text || ' ' || p.currency || ' is ' || p.status
		       || ' since ' || (p.updated_at AT TIME ZONE 'UTC')::text || ' UTC'
		       || CASE WHEN p.status <> 'IN_REVIEW' THEN ', tried ' || p.attempts::text || ' times'
		               ELSE ', the review is ' || coalesce(d.review_status, 'missing') END
		FROM wallet_payments AS p
		LEFT JOIN risk_decisions AS d ON d.transfer_id = p.payment_id AND p.status = 'IN_REVIEW'
		WHERE p.status IN ('READY', 'AGREED', 'RELEASING') AND p.updated_at < @stage_since::timestamptz
		   OR p.status = 'IN_REVIEW'
		      AND (p.updated_at < @review_since::timestamptz
		           OR coalesce(d.reviewed_at, p.updated_at) < @stage_since::timestamptz
		              AND (d.review_status IS NULL OR d.review_status <> 'PENDING'))`},
}

// Verify is VerifyAt the newest moment.
func Verify(ctx context.Context, db *database.DB, progress func(step, steps int, rule string)) (Proof, error) {
	return VerifyAt(ctx, db, database.Newest, progress)
}

// VerifyAt proves, on a live database at one moment and without holding up writes,
// that the books say of each payment by the bank or after a review what the payment
// says of itself, and that none is stuck. What is wrong are Offences of the Proof, not
// an error. What is true of the books as such is ledger.VerifyAt's to prove.
//
// progress, if not nil, is called before each of the steps. Returns what
// database.DB.SnapshotAt returns for a moment that cannot be read.
func VerifyAt(ctx context.Context, db *database.DB, moment database.Moment, progress func(step, steps int, rule string)) (Proof, error) {
	proof := Proof{Offences: []ledger.Offence{}}
	err := db.SnapshotAt(ctx, moment, func(tx pgx.Tx, at database.Timestamp) error {
		proof.At = at.Time()
		err := tx.QueryRow(ctx, `
			SELECT count(*),
			       count(*) FILTER (WHERE status NOT IN ('COMPLETED', 'FAILED')),
			       count(*) FILTER (WHERE status = 'IN_REVIEW')
			FROM wallet_payments`,
		).Scan(&proof.Payments, &proof.Open, &proof.InReview)
		if err != nil {
			return fmt.Errorf("count payments: %w", err)
		}
		proof.Offences, proof.Truncated, err = ledger.Offences(ctx, tx, invariants, pgx.NamedArgs{
			"hold_prefix": holdPrefix, "suspense_prefix": suspensePrefix, "suspense_suffix": suspenseSuffix,
			"not_collected":   []string{string(BankRefused), string(LinkedAccountNotFound)},
			"stage_since":     proof.At.Add(-stageMax),
			"review_since":    proof.At.Add(-reviewMax),
			"reserving_since": proof.At.Add(-reservingMax),
		}, progress)
		return err
	})
	return proof, err
}
