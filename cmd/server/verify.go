package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
)

type verifyCommand struct {
	databaseFlags
	JSON bool `help:"Print the proof as one JSON object."`
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
	proof, err := ledger.Verify(ctx, db, progress)
	if err != nil {
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
