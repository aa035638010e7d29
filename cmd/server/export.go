package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"florin/internal/export"
	"florin/internal/platform/database"
)

type exportCommand struct {
	Run   exportRunCommand   `cmd:"" help:"Write every posting exactly once into a folder's files, and go on with what is posted until stopped."`
	Check exportCheckCommand `cmd:"" help:"Prove that an export's folder is whole and unaltered; exit code 1 when it is not."`

	Create exportCreateCommand `cmd:"" help:"Have CockroachDB deliver to S3, GCS, Kafka or a webhook from now on."`
	List   exportListCommand   `cmd:"" help:"List all exports."`
	Show   exportShowCommand   `cmd:"" help:"Show an export as it is now."`
	Pause  exportPauseCommand  `cmd:"" help:"Pause an export; the database keeps what comes next, but not for ever."`
	Resume exportResumeCommand `cmd:"" help:"Have a paused or failed export go on where it was."`
	Cancel exportCancelCommand `cmd:"" help:"End an export for good; what was delivered stays."`
}

type exportRunCommand struct {
	databaseFlags
	To       string        `help:"Where to: file:///folder, or a path." required:"" placeholder:"file:///FOLDER"`
	Format   string        `help:"Format of the files: ndjson, csv or parquet." enum:"ndjson,csv,parquet" default:"ndjson"`
	Once     bool          `help:"Export up to now, then end."`
	Interval time.Duration `help:"How often a file is closed while there is something to export." default:"10s"`
	PartRows int           `help:"Most postings in one file." default:"100000"`
	OpsAddr  string        `help:"Address of /metrics; empty for none." env:"FLORIN_EXPORT_OPS_ADDR" placeholder:"HOST:PORT"`
	JSON     bool          `help:"Print the summary as one JSON object."`
}

func (c *exportRunCommand) validate() error {
	switch {
	case c.Interval < 10*time.Millisecond:
		return fmt.Errorf("--interval is %s, must be at least 10ms", c.Interval)
	case c.PartRows < 2 || c.PartRows > 1_000_000:
		return fmt.Errorf("--part-rows is %d, must be 2 to 1000000", c.PartRows)
	}
	return nil
}

// Run exports until it is told to stop and prints a summary.
func (c *exportRunCommand) Run(ctx context.Context) error {
	if err := c.validate(); err != nil {
		return err
	}
	destination, err := c.destination()
	if err != nil {
		return err
	}
	log := newLogger(logText)
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	registry := prometheus.NewRegistry()
	running, end := context.WithCancel(ctx)
	defer end()
	parts, running := errgroup.WithContext(running)
	if c.OpsAddr != "" {
		listener, err := listen(c.OpsAddr, "ops-addr")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: operations(registry), ReadHeaderTimeout: 10 * time.Second}
		parts.Go(func() error { return serve(running, server, listener) })
	}
	var summary export.Summary
	parts.Go(func() (err error) {
		defer end()
		summary, err = export.Run(running, db, export.Options{
			Destination: destination, Format: export.Format(c.Format), Interval: c.Interval, PartRows: c.PartRows, Once: c.Once,
			Log: log, Registry: registry, PartWritten: func(m export.Manifest) {
				log.Info("part written", "file", m.File, "rows", m.Rows, "resolved", m.ResolvedAt)
			},
		})
		return err
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(summary)
	}
	fmt.Printf("Export %s: %d postings in %d parts written, %d in all up to part %d.\n",
		summary.ExportID, summary.Rows, summary.Parts, summary.TotalRows, summary.LastPart)
	if !summary.ResolvedAt.IsZero() {
		fmt.Printf("Everything committed before %s is there.\n", summary.ResolvedAt.Format(time.RFC3339Nano))
	}
	fmt.Printf("In %.1f s, %.0f postings a second.\n", summary.Seconds, summary.RowsPerSecond)
	return nil
}

func (c *exportRunCommand) destination() (string, error) {
	if strings.Contains(c.To, ":/") {
		return c.To, nil
	}
	path, err := filepath.Abs(c.To)
	if err != nil {
		return "", err
	}
	return export.FolderDestination(path), nil
}

// open connects to the database that the flags name, migrated.
func (f *databaseFlags) open(ctx context.Context) (db *database.DB, done func(), err error) {
	url, stop, err := f.resolve(ctx, newLogger(logText))
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if f.DatabaseURL == "" { // ours to keep up to date, as `florin dev` does
		if err := migrate(ctx, url); err != nil {
			return nil, nil, err
		}
	}
	db, err = database.Open(ctx, url, database.Options{ApplicationName: "florin export", MaxConns: 4})
	if err != nil {
		return nil, nil, err
	}
	migrated, err := database.Migrated(ctx, db)
	if err == nil && !migrated {
		err = errors.New("the database is not migrated yet: run florin migrate")
	}
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, func() { db.Close(); stop() }, nil
}

type exportCheckCommand struct {
	databaseFlags
	Folder       string `arg:"" help:"The export's folder." type:"existingdir"`
	WithDatabase bool   `help:"Compare with the database too: every posting, and that none is missing."`
	JSON         bool   `help:"Print the report as one JSON object."`
}

// Run prints the report; a folder that is not as it should be is errExit.
func (c *exportCheckCommand) Run(ctx context.Context) error {
	var db *database.DB
	if c.WithDatabase {
		opened, done, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer done()
		db = opened
	}
	report, err := export.Check(ctx, c.Folder, db)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		printReport(report)
	}
	if err == nil && len(report.Problems) > 0 {
		return errExit
	}
	return err
}

func printReport(r export.Report) {
	fmt.Printf("Export %s (%s): %d parts, %d postings of %d accounts\n", r.ExportID, r.Format, r.Parts, r.Rows, r.Accounts)
	for _, currency := range slices.Sorted(maps.Keys(r.Turnover)) {
		fmt.Printf("  transferred: %s %s\n", r.Turnover[currency], currency)
	}
	for _, problem := range r.Problems {
		fmt.Printf("WRONG %s: %s\n", problem.Subject, problem.Detail)
	}
	if len(r.Problems) > 0 {
		if r.Truncated {
			fmt.Println("There is more; these are the first.")
		}
		fmt.Println("The export is WRONG.")
		return
	}
	fmt.Println("Whole and unaltered: every checksum, the chain of manifests, the sums, and every account's postings from 1 on.")
	resolved := r.ResolvedAt.Format(time.RFC3339Nano)
	switch r.Database {
	case export.Exact:
		fmt.Printf("It equals the ledger: exactly what was committed up to %s.\n", resolved)
	case export.Settled:
		fmt.Printf("It equals the ledger up to %s; of the 30 s before, what it has is right.\n", resolved)
	default:
		fmt.Println("It was not compared with the database (--with-database).")
	}
}
