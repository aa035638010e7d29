package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"florin/internal/cashback"
	"florin/internal/platform/clock"
)

const (
	// ingestBytesMax bounds what is sent, and held, at once.
	ingestBytesMax = 4 << 20
	// pendingRejectionsMax bounds what is held of rejected lines.
	pendingRejectionsMax = 1000
)

type ingestCommand struct {
	File     string            `arg:"" help:"Lines of purchases, as CSV whose first line names the columns; may be compressed with gzip." type:"path" placeholder:"FILE.csv"`
	URL      string            `name:"url" help:"Server to send them to." default:"http://127.0.0.1:8080" placeholder:"URL"`
	APIKey   string            `name:"api-key" help:"Key of that server." env:"FLORIN_API_KEY" placeholder:"KEY"`
	Column   map[string]string `help:"What a column is called here, as purchaseId=invoiceNo; may be given several times. The names: purchaseId, merchantId, customerId, product, description, category, mcc, quantity, unitPrice, currency, timestamp, country." mapsep:"none" placeholder:"NAME=COLUMN"`
	Set      map[string]string `help:"One value for all lines, as currency=GBP; may be given several times." mapsep:"none" placeholder:"NAME=VALUE"`
	Batch    int               `help:"Most purchases sent at once." default:"500"`
	Rejected string            `help:"Report of the lines that were not taken; by default FILE.csv.rejected.csv, beside the file." type:"path" placeholder:"FILE"`
	State    string            `help:"Where an interrupted run leaves how far it came; by default FILE.csv.florin, beside the file." type:"path" placeholder:"FILE"`
	JSON     bool              `help:"Print the summary as one JSON object."`
}

// String hides the key.
func (c ingestCommand) String() string { return "ingest " + c.File }

// GoString is String.
func (c ingestCommand) GoString() string { return c.String() }

// LogValue is String.
func (c ingestCommand) LogValue() slog.Value { return slog.StringValue(c.String()) }

// ingestSummary is what a run says in the end. Its counts are of the whole file, an
// interrupted run's among them.
type ingestSummary struct {
	File string `json:"file"`
	ingestCounts
	RejectedLines int64   `json:"rejected"`
	Report        string  `json:"report,omitempty"` // of rejected lines; empty for none
	ResumedAt     int64   `json:"resumedAtLine,omitempty"`
	Seconds       float64 `json:"seconds"` // of this run
	LinesPerSec   float64 `json:"linesPerSecond"`
}

func (c *ingestCommand) check() error {
	if c.APIKey == "" {
		return errors.New("FLORIN_API_KEY is not set: it must hold a key of the server at --url")
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return errors.New("--url must be like https://pay.example.com")
	}
	if c.Batch < 1 || c.Batch > cashback.MaxBatch {
		return fmt.Errorf("--batch is %d, must be 1 to %d", c.Batch, cashback.MaxBatch)
	}
	beside := strings.TrimSuffix(c.File, ".gz")
	c.Rejected, c.State = cmp.Or(c.Rejected, beside+".rejected.csv"), cmp.Or(c.State, beside+".florin")
	return ingestMapping{c.Column, c.Set}.check()
}

// Run sends a file's lines and prints a summary. It ends with code 1 also when
// lines were rejected: what was not taken is not to be overlooked.
func (c *ingestCommand) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	ran := clock.Stopwatch()
	in, err := c.begin(ctx)
	if err != nil && ctx.Err() != nil {
		return interrupted()
	}
	if err != nil {
		return err
	}
	defer in.close()
	from := in.state.Counts.Lines
	summary := ingestSummary{File: c.File}
	if in.isResumed {
		summary.ResumedAt = in.state.Position.Line
		fmt.Fprintf(os.Stderr, "Going on at line %d, where an earlier run ended.\n", summary.ResumedAt)
	}
	err = in.run(ctx)
	in.progress.close()
	if ctx.Err() != nil {
		return interrupted()
	}
	if err != nil {
		return fmt.Errorf("%w; the same command goes on at line %d", err, max(1, in.state.Position.Line))
	}
	summary.ingestCounts, summary.Seconds = in.state.Counts, ran().Seconds()
	summary.RejectedLines, summary.LinesPerSec = sum(summary.Rejected), float64(summary.Lines-from)/summary.Seconds
	if summary.RejectedLines > 0 {
		summary.Report = c.Rejected
	}
	if err := in.finish(); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(summary)
	} else {
		summary.print()
	}
	if err == nil && summary.RejectedLines > 0 {
		return errExit
	}
	return err
}

func interrupted() error {
	fmt.Fprintln(os.Stderr, "Interrupted; the same command goes on where this one ended.")
	return errExit
}

func (s *ingestSummary) print() {
	fmt.Printf("%s: %d lines\n", filepath.Base(s.File), s.Lines)
	for _, counted := range []struct {
		name   string
		counts map[string]int64
	}{{"purchases", s.Purchases}, {"returns", s.Returns}, {"lines rejected", s.Rejected}} {
		fmt.Printf("  %d %s", sum(counted.counts), counted.name)
		separator := ": "
		for _, name := range slices.Sorted(maps.Keys(counted.counts)) {
			fmt.Printf("%s%s %d", separator, name, counted.counts[name])
			separator = ", "
		}
		fmt.Println()
	}
	if s.Report != "" {
		fmt.Printf("  They are in %s.\n", s.Report)
	}
	fmt.Printf("In %.1f s, %.0f lines a second.\n", s.Seconds, s.LinesPerSec)
}

// ingestion is a run of `florin ingest`.
type ingestion struct {
	command   *ingestCommand
	reader    *ingestReader
	sender    *ingestSender
	report    *rejectedReport
	state     ingestState // as it was saved last
	isResumed bool
	progress  *progress
	size      int64 // of the file

	// Since the state was saved: what is to be sent, what was counted, and the lines
	// for the report; all of groups that end at handled.
	pending  []ingestItem
	bytes    int
	counts   ingestCounts
	rejected []*ingestLine
	handled  ingestPosition
}

// begin finds what is scattered, and opens everything, where an earlier run ended if
// there was one.
func (c *ingestCommand) begin(ctx context.Context) (in *ingestion, err error) {
	mapping := ingestMapping{c.Column, c.Set}
	in = &ingestion{command: c, sender: newIngestSender(c.URL, c.APIKey), counts: newIngestCounts(), progress: newProgress()}
	defer func() {
		if err != nil {
			in.progress.close()
		}
	}()
	input, err := inputHash(c.File, in.sender.url, mapping)
	if err != nil {
		return nil, err
	}
	if in.state, in.isResumed, err = readIngestState(c.State, input); err != nil {
		return nil, err
	}
	if in.isResumed && !hasBytes(c.Rejected, in.state.RejectedBytes) {
		// The report would be without its beginning.
		in.state, in.isResumed = ingestState{Input: input, Counts: newIngestCounts()}, false
	}
	found, err := os.Stat(c.File)
	if err != nil {
		return nil, err
	}
	in.size = found.Size()
	apart, err := findScattered(ctx, c.File, mapping, scatteredMax, func(read int64) {
		in.progress.show("read "+filepath.Base(c.File), "for purchases whose lines stand apart", read, in.size)
	})
	if err != nil {
		return nil, err
	}
	if in.reader, err = openIngest(c.File, mapping, apart, in.state.Position); err != nil {
		return nil, err
	}
	if in.report, err = openRejected(c.Rejected, in.reader.header, in.state.RejectedBytes); err != nil {
		in.reader.close()
		return nil, err
	}
	in.handled = in.state.Position
	return in, nil
}

func (in *ingestion) close() {
	in.reader.close()
	_ = in.report.close() // what is in it was written
}

// finish leaves the report, if there is anything in it, and nothing else: the next
// run is a new one.
func (in *ingestion) finish() error {
	if err := os.Remove(in.command.State); err != nil {
		return fmt.Errorf("remove how far the file was taken in: %w", err)
	}
	if sum(in.state.Counts.Rejected) > 0 {
		return nil
	}
	if err := os.Remove(in.command.Rejected); err != nil {
		return fmt.Errorf("remove the empty report of rejected lines: %w", err)
	}
	return nil
}

// run takes the file in, in its order: what a line says of a customer counts for
// the lines after it. What is scattered is sent where its first line stands.
func (in *ingestion) run(ctx context.Context) error {
	for ctx.Err() == nil {
		group, err := in.reader.group()
		if errors.Is(err, io.EOF) {
			in.handled = in.reader.at
			return in.save(ctx)
		}
		if err != nil {
			return errors.Join(in.save(ctx), fmt.Errorf("%s: %w", in.command.File, err))
		}
		if err := in.add(ctx, group); err != nil {
			return err
		}
		in.show()
	}
	return ctx.Err()
}

func (in *ingestion) add(ctx context.Context, group *ingestGroup) error {
	for i, item := range group.items {
		if len(in.pending) > 0 && in.pending[0].kind != item.kind || in.isFull() {
			// Between two items of a group there is no place to go on at.
			flush := in.save
			if i > 0 {
				flush = in.send
			}
			if err := flush(ctx); err != nil {
				return err
			}
		}
		in.pending = append(in.pending, item)
		in.bytes += item.size
	}
	in.counts.Lines += int64(len(group.lines))
	for _, line := range group.lines {
		if line.problem != nil {
			in.reject(line)
		}
	}
	in.handled = group.end
	if len(in.rejected) >= pendingRejectionsMax {
		return in.save(ctx)
	}
	return nil
}

func (in *ingestion) isFull() bool {
	return len(in.pending) >= in.command.Batch || in.bytes >= ingestBytesMax
}

func (in *ingestion) reject(line *ingestLine) {
	in.rejected = append(in.rejected, line)
	in.counts.Rejected[line.problem.code]++
}

// send hands in what is pending and counts what became of it.
func (in *ingestion) send(ctx context.Context) error {
	if len(in.pending) == 0 {
		return nil
	}
	results, err := in.sender.send(ctx, in.pending)
	if err != nil {
		return err
	}
	for i, result := range results {
		item := &in.pending[i]
		if result.problem != nil {
			for _, line := range item.lines {
				line.problem = result.problem
				in.reject(line)
			}
			continue
		}
		counts := in.counts.Purchases
		if item.kind == ingestReturns {
			counts = in.counts.Returns
		}
		counts[strings.ToLower(result.status)]++
	}
	in.pending, in.bytes = in.pending[:0], 0
	return nil
}

// save sends what is pending and keeps how far the file was taken in.
func (in *ingestion) save(ctx context.Context) error {
	if err := in.send(ctx); err != nil {
		return err
	}
	if len(in.rejected) > 0 {
		if err := in.report.add(in.rejected); err != nil {
			return err
		}
	}
	in.state.Counts.add(in.counts)
	in.state.Position, in.state.RejectedBytes = in.handled, in.report.size
	in.rejected, in.counts = in.rejected[:0], newIngestCounts()
	return in.state.save(in.command.State)
}

func (in *ingestion) show() {
	lines, rejected := in.state.Counts.Lines+in.counts.Lines, sum(in.state.Counts.Rejected)+sum(in.counts.Rejected)
	in.progress.show("ingest "+filepath.Base(in.command.File), fmt.Sprintf("%d lines, %d rejected", lines, rejected), in.reader.consumed.Load(), in.size)
}
