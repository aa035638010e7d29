package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/wallet"
)

// recordTimeout bounds how long a proof may take to be recorded.
const recordTimeout = 10 * time.Second

type verifyCommand struct {
	databaseFlags
	AsOf       asOf              `help:"Read the books as they were at a time (RFC 3339) or some time ago (10s, 1h30m), without waiting for what is under way since. CockroachDB only, as far back as it keeps the past." placeholder:"TIME|DURATION"`
	AuditRoots map[string]string `name:"audit-root" help:"What the audit trail's days were sealed with, by a log kept elsewhere (\"audit day sealed\")." mapsep:"," placeholder:"DAY=ROOT"`
	JSON       bool              `help:"Print the proof as one JSON object."`
}

// asOf is a moment as a person writes it; the newest when absent.
type asOf database.Moment

// UnmarshalText reads a time, or how long ago.
func (a *asOf) UnmarshalText(text []byte) error {
	at, err := parseAsOf(string(text), clock.System())
	*a = asOf(database.At(database.TimestampOf(at)))
	return err
}

func parseAsOf(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time, such as 2026-01-31T09:30:00Z, nor how long ago, such as 10s", text)
}

// Validate says which root of the audit trail is none.
func (c *verifyCommand) Validate() error {
	for day, root := range c.AuditRoots {
		_, err := time.Parse(time.DateOnly, day)
		sum, err2 := hex.DecodeString(root)
		if err != nil || err2 != nil || len(sum) != 32 {
			return fmt.Errorf("--audit-root %s=%s is not a day and 64 hexadecimal digits, such as 2026-01-31=HASH", day, root)
		}
		c.AuditRoots[day] = strings.ToLower(root)
	}
	return nil
}

// Run prints the proof; broken books, payments and cashback that they don't agree with,
// and a broken audit trail are errExit.
func (c *verifyCommand) Run(ctx context.Context) error {
	log := newLogger(logText)
	url, done, err := c.resolve(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	db, err := database.Open(ctx, url, database.Options{ApplicationName: "florin verify", MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	return c.verify(ctx, db, os.Stdout, os.Stderr)
}

// proofs is the JSON of a verification.
type proofs struct {
	ledger.Proof
	Wallet   wallet.Proof   `json:"wallet"`
	Cashback cashback.Proof `json:"cashback"`
	Audit    audit.Report   `json:"audit"`
}

func (c *verifyCommand) verify(ctx context.Context, db *database.DB, out, progress io.Writer) error {
	if c.JSON {
		progress = io.Discard
	}
	tell := func(step, steps int, rule string) { fmt.Fprintf(progress, "%2d/%d %s\n", step, steps, rule) }
	proof, err := ledger.VerifyAt(ctx, db, database.Moment(c.AsOf), tell)
	if err != nil {
		return explainPast(err)
	}
	payments, err := wallet.VerifyAt(ctx, db, database.Moment(c.AsOf), tell)
	if err != nil {
		return explainPast(err)
	}
	rewards, err := cashback.VerifyAt(ctx, db, database.Moment(c.AsOf), tell)
	if err != nil {
		return explainPast(err)
	}
	report, err := audit.Verify(ctx, db, audit.VerifyOptions{
		Moment: database.Moment(c.AsOf), Anchors: c.AuditRoots,
		Progress: func(day string) { fmt.Fprintf(progress, "audit trail of %s\n", day) },
	})
	if err != nil {
		return explainPast(err)
	}
	offences := len(proof.Offences) + len(payments.Offences) + len(rewards.Offences) + len(report.Offences)
	recordProof(ctx, db, proof, offences, progress)
	if c.JSON {
		err = json.NewEncoder(out).Encode(proofs{proof, payments, rewards, report})
	} else {
		printProof(out, proof)
		printPayments(out, payments)
		printCashback(out, rewards)
		printAudit(out, report)
	}
	if err == nil && offences > 0 {
		return errExit
	}
	return err
}

// recordProof shows the proof to operators, in the overview, where this may write: a
// proof is as good without, so what stands against it is told and no more.
func recordProof(ctx context.Context, db *database.DB, proof ledger.Proof, offences int, progress io.Writer) {
	by := "florin verify"
	if host, err := os.Hostname(); err == nil {
		by += " at " + host
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err := ledger.RecordProof(ctx, db, ledger.ProofRecord{
		Kind: ledger.ProofInFull, ReadAt: proof.At, RecordedAt: clock.System(), RecordedBy: by,
		IsBalanced: len(proof.Offences) == 0, Offences: int64(offences), Sums: proof.Sums,
	})
	if err != nil {
		fmt.Fprintf(progress, "the overview will not show this proof: %v\n", err)
	}
}

func explainPast(err error) error {
	if errors.Is(err, database.ErrNoPast) {
		return fmt.Errorf("%w: leave --as-of out", err)
	}
	return err
}

func printProof(out io.Writer, proof ledger.Proof) {
	fmt.Fprintf(out, "Read at %s: %d accounts, %d completed transfers, %d postings, %d pending holds\n",
		proof.At.Format("2006-01-02 15:04:05.000 MST"), proof.Accounts, proof.Transfers, proof.Postings, proof.Holds)
	for _, currency := range slices.Sorted(maps.Keys(proof.Turnover)) {
		fmt.Fprintf(out, "  transferred: %s %s\n", money.Format(proof.Turnover[currency], currency), currency)
	}
	printOffences(out, proof.Offences)
	printVerdict(out, "The books are", "right: every invariant holds", len(proof.Offences), proof.Truncated)
}

func printPayments(out io.Writer, proof wallet.Proof) {
	fmt.Fprintf(out, "Payments by the bank or after a review: %d, %d of them under way, %d in review\n", proof.Payments, proof.Open, proof.InReview)
	printOffences(out, proof.Offences)
	printVerdict(out, "The payments are", "right: the books agree with each, and none is stuck", len(proof.Offences), proof.Truncated)
}

func printCashback(out io.Writer, proof cashback.Proof) {
	fmt.Fprintf(out, "Cashback: %d campaigns, %d purchases, %d of them held, %d rewards, %d of them not paid yet\n",
		proof.Campaigns, proof.Purchases, proof.Held, proof.Rewards, proof.Unpaid)
	printOffences(out, proof.Offences)
	printVerdict(out, "The cashback is", "right: it agrees with itself and with the books", len(proof.Offences), proof.Truncated)
}

func printOffences(out io.Writer, offences []ledger.Offence) {
	for _, offence := range offences {
		fmt.Fprintf(out, "WRONG %s: %s: %s\n", offence.Rule, offence.Subject, offence.Detail)
	}
}

// printVerdict says of what was proved that it is right, or how wrong it is.
func printVerdict(out io.Writer, subject, right string, offences int, isTruncated bool) {
	switch {
	case isTruncated:
		fmt.Fprintf(out, "%s WRONG: more than %d offences, the first of each rule are listed.\n", subject, offences)
	case offences > 0:
		fmt.Fprintf(out, "%s WRONG: %d offences.\n", subject, offences)
	default:
		fmt.Fprintf(out, "%s %s.\n", subject, right)
	}
}

func printAudit(out io.Writer, report audit.Report) {
	fmt.Fprintf(out, "Audit trail: %d events in %d days, %d of them sealed\n", report.Events, report.Days, report.SealedDays)
	if report.SealedTo != "" {
		fmt.Fprintf(out, "  sealed to %s with the root %s\n", report.SealedTo, report.Root)
	}
	for _, o := range report.Offences {
		where := cmp.Or(o.Day, "-")
		if o.Journal != "" {
			where += fmt.Sprintf(" journal %q #%d", o.Journal, o.Seq)
		}
		fmt.Fprintf(out, "WRONG %s: %s: %s\n", o.Rule, where, o.Detail)
	}
	printVerdict(out, "The audit trail is", "whole: every chain holds", len(report.Offences), report.Truncated)
}
