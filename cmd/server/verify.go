package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

type verifyCommand struct {
	databaseFlags
	AsOf asOf `help:"Read the books as they were at a time (RFC 3339) or some time ago (10s, 1h30m), without waiting for what is under way since. CockroachDB only, as far back as it keeps the past." placeholder:"TIME|DURATION"`
	JSON bool `help:"Print the proof as one JSON object."`
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

// Run prints the proof; broken books are errExit.
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
	progress := func(step, steps int, rule string) {
		fmt.Fprintf(os.Stderr, "%2d/%d %s\n", step, steps, rule)
	}
	if c.JSON {
		progress = nil
	}
	proof, err := ledger.VerifyAt(ctx, db, database.Moment(c.AsOf), progress)
	switch {
	case errors.Is(err, database.ErrNoPast):
		return fmt.Errorf("%w: leave --as-of out", err)
	case err != nil:
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(proof)
	} else {
		printProof(proof)
	}
	if err == nil && len(proof.Offences) > 0 {
		return errExit
	}
	return err
}

func printProof(proof ledger.Proof) {
	fmt.Printf("Read at %s: %d accounts, %d completed transfers, %d postings, %d pending holds\n",
		proof.At.Format("2006-01-02 15:04:05.000 MST"), proof.Accounts, proof.Transfers, proof.Postings, proof.Holds)
	for _, currency := range slices.Sorted(maps.Keys(proof.Turnover)) {
		fmt.Printf("  transferred: %s %s\n", money.Format(proof.Turnover[currency], currency), currency)
	}
	for _, offence := range proof.Offences {
		fmt.Printf("WRONG %s: %s: %s\n", offence.Rule, offence.Subject, offence.Detail)
	}
	switch {
	case proof.Truncated:
		fmt.Printf("The books are WRONG: more than %d offences, the first of each rule are listed.\n", len(proof.Offences))
	case len(proof.Offences) > 0:
		fmt.Printf("The books are WRONG: %d offences.\n", len(proof.Offences))
	default:
		fmt.Println("The books are right: every invariant holds.")
	}
}
