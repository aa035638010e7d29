package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Report is the outcome of Run.
type Report struct {
	Runs   []Result           `json:"runs"`
	Ratios map[string]float64 `json:"ratios"`
}

// Result is one measurement.
type Result struct {
	Mode               Mode    `json:"mode"`
	Engine             string  `json:"engine"` // empty when only the server knows
	EngineVersion      string  `json:"engineVersion"`
	TransfersPerSecond float64 `json:"transfersPerSecond"`
	// Of a submission: a transfer, or a batch where batch is above 1. Those that
	// ended while the time was taken; 0 when none did.
	P50Ms float64 `json:"p50Ms"`
	P95Ms float64 `json:"p95Ms"`
	P99Ms float64 `json:"p99Ms"`
	// Conflicts are transactions that were run again; nil when not known, which is
	// so for a server whose metrics are not shown.
	Conflicts   *int64  `json:"conflicts"`
	Seconds     float64 `json:"seconds"` // that were measured
	Accounts    int     `json:"accounts"`
	Hot         float64 `json:"hot"`
	Batch       int     `json:"batch"`
	Concurrency int     `json:"concurrency"`
	// Failures are the transfers refused in that time.
	Failures int64 `json:"failures"`
	// CPU seconds per 1,000 transfers; absent where they can't be read. Program
	// is Florin: this process, over HTTP the server. Client is this process over
	// HTTP, which makes the load.
	ProgramCPU *float64 `json:"programCpuSecondsPer1000,omitempty"`
	EngineCPU  *float64 `json:"engineCpuSecondsPer1000,omitempty"`
	ClientCPU  *float64 `json:"clientCpuSecondsPer1000,omitempty"`
	// Acknowledged counts the transfers said to be done in the whole run, warm-up
	// included; Stored those that the database holds. They must be equal.
	Acknowledged int64 `json:"acknowledged"`
	Stored       int64 `json:"stored"`
}

// ratioNames are what mode all compares: name, numerator and denominator, each
// with whether the load was hot.
var ratioNames = []struct {
	name     string
	above    Mode
	aboveHot bool
	below    Mode
	belowHot bool
}{
	{"ledger/raw", ModeLedger, false, ModeRaw, false},
	{"ledgerHot/ledger", ModeLedger, true, ModeLedger, false},
	{"ledgerHot/naiveHot", ModeLedger, true, ModeNaive, true},
	{"http/naive", ModeHTTP, false, ModeNaive, false},
	{"httpHot/naiveHot", ModeHTTP, true, ModeNaive, true},
	{"httpBatch/raw", ModeHTTPBatch, false, ModeRaw, false},
	{"purchases/httpBatch", ModePurchases, false, ModeHTTPBatch, false},
}

func ratios(runs []Result) map[string]float64 {
	find := func(mode Mode, hot bool) float64 {
		i := slices.IndexFunc(runs, func(r Result) bool { return r.Mode == mode && (r.Hot > 0) == hot })
		if i < 0 {
			return 0
		}
		return runs[i].TransfersPerSecond
	}
	all := map[string]float64{}
	for _, r := range ratioNames {
		above, below := find(r.above, r.aboveHot), find(r.below, r.belowHot)
		if above > 0 && below > 0 {
			all[r.name] = math.Round(1000*above/below) / 1000
		}
	}
	return all
}

// Check returns an error when the database does not hold what was acknowledged.
func (r Report) Check() error {
	for _, run := range r.Runs {
		if run.Acknowledged != run.Stored {
			return fmt.Errorf("mode %s: %d transfers were acknowledged, the database holds %d", run.Mode, run.Acknowledged, run.Stored)
		}
	}
	return nil
}

// Print writes the report for people.
func (r Report) Print(out io.Writer) error {
	if len(r.Runs) == 0 {
		return nil
	}
	if version := r.Runs[0].EngineVersion; version != "" {
		fmt.Fprintf(out, "On %s, %d accounts, %.1f s each. ", version, r.Runs[0].Accounts, r.Runs[0].Seconds)
	}
	fmt.Fprint(out, "Latencies are of a submission: of the whole batch where batch is above 1.\nCPU is in seconds per 1,000 transfers.\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "mode\thot\tcallers\tbatch\ttransfers/s\tp50 ms\tp95 ms\tp99 ms\tconflicts\tfailures\tCPU program\tengine\tclient\tacknowledged\tin database\t")
	for _, run := range r.Runs {
		conflicts := "-"
		if run.Conflicts != nil {
			conflicts = strconv.FormatInt(*run.Conflicts, 10)
		}
		fmt.Fprintf(table, "%s\t%g\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%s\t%d\t%s\t%s\t%s\t%d\t%d\t\n",
			run.Mode, run.Hot, run.Concurrency, run.Batch, run.TransfersPerSecond, run.P50Ms, run.P95Ms, run.P99Ms,
			conflicts, run.Failures, optional(run.ProgramCPU), optional(run.EngineCPU), optional(run.ClientCPU),
			run.Acknowledged, run.Stored)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var lines []string
	for _, ratio := range ratioNames {
		if value, known := r.Ratios[ratio.name]; known {
			lines = append(lines, fmt.Sprintf("  %-20s %6.2f", ratio.name, value))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(out, "\nRatios of throughput:\n%s\n", strings.Join(lines, "\n"))
	}
	verdict := "Every acknowledged transfer is in the database, once."
	if err := r.Check(); err != nil {
		verdict = "WRONG: " + err.Error()
	}
	_, err := fmt.Fprintf(out, "\n%s\n", verdict)
	return err
}

func optional(value *float64) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *value)
}
