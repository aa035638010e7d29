package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/seed"
)

type seedCommand struct {
	databaseFlags
	Accounts  int     `help:"Accounts of customers and merchants." default:"1000"`
	Transfers int     `help:"Transfers between them." default:"100000"`
	Customers int     `help:"Customers who own the accounts; by default half as many." placeholder:"N"`
	Months    int     `help:"Months that the transfers are spread over, up to the day of the first run." default:"12"`
	Seed      uint64  `help:"The same seed and sizes give the same data, and a second run changes nothing." default:"1"`
	Failures  float64 `help:"Share of transfers, 0 to 1, that are meant to fail." default:"0.01"`
	Batch     int     `help:"Transfers handed in at once." default:"1000"`
	JSON      bool    `help:"Print the summary as one JSON object."`
}

// Run fills in data and prints a summary.
func (c *seedCommand) Run(ctx context.Context) error {
	o := seed.Options{
		Seed: c.Seed, Accounts: c.Accounts, Customers: c.Customers, Transfers: c.Transfers,
		Months: c.Months, Failures: c.Failures, Batch: c.Batch,
	}
	if err := o.Validate(); err != nil {
		return err
	}
	log := newLogger(logText)
	url, done, err := c.resolve(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	if c.DatabaseURL == "" { // ours to keep up to date, as `florin dev` does
		if err := migrate(ctx, url); err != nil {
			return err
		}
	}
	l, stop, err := openLedger(ctx, url)
	if err != nil {
		return err
	}
	defer stop()
	progress := newProgress()
	o.Progress = func(step string, done, all int) {
		progress.show(step, fmt.Sprintf("%d of %d", done, all), int64(done), int64(all))
	}
	summary, err := seed.Run(ctx, l, o)
	progress.close()
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "Interrupted; the same command goes on where this one ended.")
		return errExit
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(summary)
	}
	printSummary(summary)
	return nil
}

// openLedger runs a ledger in this process for a tool; stop ends it.
func openLedger(ctx context.Context, url string) (l *ledger.Ledger, stop func(), err error) {
	reads, err := database.Open(ctx, url, database.Options{ApplicationName: "florin seed", MaxConns: 4})
	if err != nil {
		return nil, nil, err
	}
	writes, err := database.Open(ctx, url, database.Options{
		ApplicationName: "florin seed executor", MaxConns: 2, Plans: database.PlansPinned,
	})
	if err != nil {
		reads.Close()
		return nil, nil, err
	}
	l = ledger.New(reads, writes, ledger.Options{Log: newLogger(logText)})
	// Ctrl-C stops the callers; what they handed in is still finished.
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	var ended sync.WaitGroup
	ended.Go(func() { l.Run(running) })
	return l, func() {
		end()
		ended.Wait()
		writes.Close()
		reads.Close()
	}, nil
}

func printSummary(s seed.Summary) {
	fmt.Printf("%d customers with accounts %s:*, %d accounts in all; %d transfers from %s to %s:\n",
		s.Customers, s.Prefix, s.Accounts, s.Transfers, s.From.Format("2006-01-02"), s.To.Format("2006-01-02"))
	fmt.Printf("  %d completed, %d failed", s.Completed, s.Failed)
	for i, code := range slices.Sorted(maps.Keys(s.FailedBy)) {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		fmt.Printf("%s%s %d", separator, code, s.FailedBy[code])
	}
	fmt.Printf("\n  %d holds (%d captured, %d voided), %d reversals\n", s.Holds, s.Captures, s.Voids, s.Reversals)
	if s.Replayed > 0 {
		fmt.Printf("  %d of the transfers were there before\n", s.Replayed)
	}
	fmt.Printf("In %.1f s, %.0f transfers a second.\n", s.Seconds, s.TransfersPerSecond)
}
