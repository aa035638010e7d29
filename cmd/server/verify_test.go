package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/database/embedded"
	"florin/internal/wallet"
)

func TestAsOfIsATimeOrHowLongAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)
	want := time.Date(2026, 1, 31, 9, 30, 0, 125_000_000, time.UTC)
	for _, text := range []string{"2026-01-31T09:30:00.125Z", "2026-01-31T10:30:00.125+01:00", "1h29m59.875s"} {
		if got, err := parseAsOf(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0s", "-5s", "10", "yesterday", "2026-01-31", "2026-01-31T09:30:00", "1769851800"} {
		if got, err := parseAsOf(text, now); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

// verifiable is an empty database, and a run of `florin verify` on it that is to end
// with an error and to say some lines.
func verifiable(t *testing.T) (db *database.DB, run func(c verifyCommand, want error, says ...string) bytes.Buffer) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{DataDir: t.TempDir(), Engine: "postgres", Unsafe: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(t.Context()) })
	db, err = database.Open(t.Context(), server.URL(), database.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := database.Migrate(t.Context(), db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return db, func(c verifyCommand, want error, says ...string) (out bytes.Buffer) {
		t.Helper()
		if err := c.verify(t.Context(), db, &out, io.Discard); !errors.Is(err, want) {
			t.Errorf("%v; want %v", err, want)
		}
		for _, line := range says {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%q is not in:\n%s", line, out.String())
			}
		}
		return out
	}
}

const paymentsAreRight = "The payments are right: the books agree with each, and none is stuck."

func TestVerifyProvesThePaymentsToo(t *testing.T) {
	t.Parallel()
	db, run := verifiable(t)
	run(verifyCommand{}, nil, "Payments by the bank or after a review: 0, 0 of them under way, 0 in review", paymentsAreRight)
	_, err := db.Exec(t.Context(), `
		INSERT INTO wallet_payments (payment_id, kind, user_id, account_id, other_account_id, linked_account_id, amount, currency,
		    description, request_hash, status, attempts, created_at, updated_at)
		VALUES ('dep_lost', 'DEPOSIT', 'u', 'a', 'house:bank:USD', 'l', 12.5, 'USD', '', '', 'COMPLETED', 0, now(), now()),
		       ('txn_new', 'TRANSFER', 'u', 'a', 'b', '', 12.5, 'USD', '', '', 'READY', 0, now(), now())`)
	if err != nil {
		t.Fatal(err)
	}
	run(verifyCommand{}, errExit, "The books are right: every invariant holds.",
		"Payments by the bank or after a review: 2, 1 of them under way, 0 in review",
		"WRONG completed_deposit_is_booked: dep_lost: 12.5000 USD to a is COMPLETED, its transaction is missing\n",
		"The payments are WRONG: 1 offences.", "The audit trail is whole: every chain holds.")
	out := run(verifyCommand{JSON: true}, errExit)
	var proof struct {
		Offences []any
		Wallet   wallet.Proof
	}
	if err := json.Unmarshal(out.Bytes(), &proof); err != nil || len(proof.Offences) != 0 || proof.Wallet.Payments != 2 ||
		proof.Wallet.Open != 1 || len(proof.Wallet.Offences) != 1 || proof.Wallet.Offences[0].Subject != "dep_lost" {
		t.Errorf("%s: %v", out.String(), err)
	}
}

func TestVerifyProvesTheCashbackToo(t *testing.T) {
	t.Parallel()
	db, run := verifiable(t)
	run(verifyCommand{}, nil, "Cashback: 0 campaigns, 0 purchases, 0 of them held, 0 rewards, 0 of them not paid yet",
		"The cashback is right: it agrees with itself and with the books.")
	_, err := db.Exec(t.Context(), `
		INSERT INTO purchases (purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, lines, status,
		    request_hash, source, recorded_by, created_at, updated_at)
		VALUES ('lost', 'm', 'c', 'USD', 12.5, 0, '', now(), '[{"product": "a", "quantity": 1, "unitPrice": "12.5"}]', 'HELD', '', 'api', '', now(), now()),
		       ('found', 'm', 'c', 'USD', 12.5, 0, '', now(), '[{"product": "a", "quantity": 1, "unitPrice": "12.6"}]', 'HELD', '', 'api', '', now(), now())`)
	if err != nil {
		t.Fatal(err)
	}
	run(verifyCommand{}, errExit, "The books are right: every invariant holds.", paymentsAreRight,
		"Cashback: 0 campaigns, 2 purchases, 2 of them held, 0 rewards, 0 of them not paid yet",
		"WRONG purchase_equals_lines: found: amounts to 12.5000, its lines to 12.6\n", "The cashback is WRONG: 1 offences.")
	out := run(verifyCommand{JSON: true}, errExit)
	var proof struct {
		Offences []any
		Cashback cashback.Proof
	}
	if err := json.Unmarshal(out.Bytes(), &proof); err != nil || len(proof.Offences) != 0 || proof.Cashback.Purchases != 2 ||
		proof.Cashback.Held != 2 || len(proof.Cashback.Offences) != 1 || proof.Cashback.Offences[0].Subject != "found" {
		t.Errorf("%s: %v", out.String(), err)
	}
}

func TestVerifyProvesTheAuditTrailToo(t *testing.T) {
	t.Parallel()
	db, run := verifiable(t)
	if err := audit.New(db, clock.System).Append(t.Context(), audit.Event{Action: "user.locked"}, audit.Event{Action: "user.unlocked"}); err != nil {
		t.Fatal(err)
	}
	right := "The books are right: every invariant holds."
	run(verifyCommand{}, nil, right, "Audit trail: 2 events in 1 days, 0 of them sealed", "The audit trail is whole: every chain holds.")
	root := strings.Repeat("0f", 32)
	run(verifyCommand{AuditRoots: map[string]string{"2026-01-31": root}}, errExit, right, "WRONG other_root: 2026-01-31: has no seal, the anchor is "+root)
	if _, err := db.Exec(t.Context(), "UPDATE audit_events SET action = 'user.renamed' WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	run(verifyCommand{}, errExit, right, paymentsAreRight, "WRONG changed_row: ", " #2: has the hash ", "The audit trail is WRONG: 1 offences.")
	out := run(verifyCommand{JSON: true}, errExit)
	var proof struct {
		Accounts *int  `json:"accounts"`
		Offences []any `json:"offences"`
		Audit    audit.Report
	}
	if err := json.Unmarshal(out.Bytes(), &proof); err != nil || proof.Accounts == nil || len(proof.Offences) != 0 {
		t.Errorf("%s: %v", out.String(), err)
	}
	if report := proof.Audit; report.Events != 2 || len(report.Offences) != 1 || report.Offences[0].Rule != audit.ChangedRow || report.Offences[0].Seq != 2 {
		t.Errorf("%s", out.String())
	}
}

func TestAuditRootsAreDaysAndHashes(t *testing.T) {
	t.Parallel()
	good := verifyCommand{AuditRoots: map[string]string{"2026-01-31": strings.Repeat("AB", 32)}}
	if err := good.Validate(); err != nil || !maps.Equal(good.AuditRoots, map[string]string{"2026-01-31": strings.Repeat("ab", 32)}) {
		t.Errorf("%v, %v", good.AuditRoots, err)
	}
	for day, root := range map[string]string{
		"": strings.Repeat("ab", 32), "2026-02-31": strings.Repeat("ab", 32), "2026-1-31": strings.Repeat("ab", 32),
		"2026-01-30": "", "2026-01-29": strings.Repeat("ab", 31), "2026-01-28": strings.Repeat("xy", 32),
	} {
		if bad := (&verifyCommand{AuditRoots: map[string]string{day: root}}); bad.Validate() == nil {
			t.Errorf("%s=%s was taken", day, root)
		}
	}
}
