// Command florin is a payments ledger: one binary that serves the API, migrates
// the database, and brings the tools to try, fill, measure and prove it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Dev     devCommand       `cmd:"" help:"Run everything on this machine: a database engine of its own, demo data, the server."`
	Serve   serveCommand     `cmd:"" help:"Run the server on the database at FLORIN_DATABASE_URL."`
	Migrate migrateCommand   `cmd:"" help:"Bring the database's schema up to date and end."`
	Seed    seedCommand      `cmd:"" help:"Fill the books with mock data of any size."`
	Bench   benchCommand     `cmd:"" help:"Measure how fast money moves, and what of the engine's speed is left."`
	Ingest  ingestCommand    `cmd:"" help:"Take purchases and returns in from a file, line by line."`
	Verify  verifyCommand    `cmd:"" help:"Prove the books, payments, cashback and the audit trail at one consistent time; exit code 1 when they are wrong."`
	Export  exportCommand    `cmd:"" help:"Export the ledger to files, and prove such files."`
	Report  reportingCommand `cmd:"" name:"reporting" help:"Let others read the books by SQL, and nothing else."`
	User    userCommand      `cmd:"" help:"Make, list and change users, with nothing but the database."`
	Secrets secretsCommand   `cmd:"" help:"Make keys that seal secrets in the database, and change from one to another."`
}

// errExit ends the program with code 1 when everything worth saying is said.
var errExit = errors.New("exit")

// boundMemory trades memory that there is for time: batches leave much garbage
// over a small live heap, so the collector may run rarely, but the program stays
// under 250 MB whatever the load. GOGC and GOMEMLIMIT win where they are set.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(200 << 20)
	}
}

func main() {
	boundMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	var c commands
	parsed := kong.Parse(&c,
		kong.Name("florin"),
		kong.Description("A payments ledger that you run yourself."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	err := parsed.Run()
	if errors.Is(err, errExit) {
		os.Exit(1)
	}
	if err != nil {
		// One line, also where a library's error has several.
		fmt.Fprintln(os.Stderr, "florin:", strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}
