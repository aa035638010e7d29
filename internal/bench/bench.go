// Package bench measures how fast the ledger moves money, and what of it is
// lost on the way: each mode does the same transfers by other means, on the same
// database engine, so that the ratios between them mean something on any machine.
//
//	raw         the rows alone: what the ledger writes for a batch (transfers,
//	            postings, balances), in the same three statements, sent as one
//	            round trip that is its own transaction. Nothing is read, locked or
//	            decided. One connection, as the executor has. The engine's limit.
//	naive       what most would write: one SERIALIZABLE transaction a transfer,
//	            one statement after the other, run again after a conflict.
//	ledger      the executor, in this process, through ledger.TransferBatch (or
//	            Transfer, for batches of 1).
//	http        single transfers over keep-alive connections of the loopback.
//	http-batch  batches over HTTP.
//	purchases   batches of purchases over HTTP, under three campaigns: each is
//	            evaluated by all of them and gets one reward. Counted as transfers.
//
// raw and naive work in a database of their own, migrated like the real one and
// dropped at the end. ledger, http and http-batch move real money between
// accounts that they open for the run (bench:<run>:<n>); the books stay right. So
// does purchases, whose campaigns are for purchases of its own merchant alone.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// Mode is a way to make transfers.
type Mode string

// The modes. ModeAll is each of them in turn.
const (
	ModeRaw       Mode = "raw"
	ModeNaive     Mode = "naive"
	ModeLedger    Mode = "ledger"
	ModeHTTP      Mode = "http"
	ModeHTTPBatch Mode = "http-batch"
	ModePurchases Mode = "purchases"
	ModeAll       Mode = "all"
)

// IsHTTP says that the mode needs a server.
func (m Mode) IsHTTP() bool { return m == ModeHTTP || m == ModeHTTPBatch || m == ModePurchases }

// Options say what to measure. Zero values mean the defaults named.
type Options struct {
	Mode     Mode
	Accounts int // default 10,000
	// Hot is the share of transfers that pay or are paid by one hot account.
	// ModeAll measures the uniform load beside it.
	Hot float64
	// Concurrency is how many callers there are. Default: 1 for raw (always), 16
	// for naive, 64 for http and for ledger with batches of 1, else 4.
	Concurrency int
	// Batch is how many transfers a caller of raw, ledger and http-batch hands in
	// at once, and what raw and the ledger's executor write in one transaction.
	// Default 500.
	Batch    int
	Duration time.Duration // of each measurement; default 10 s
	// Workers of the ledger's executor. Default 1.
	Workers int

	// DatabaseURL is needed by every mode but http and http-batch.
	DatabaseURL string
	// Server is what http and http-batch talk to. Nil: ModeAll leaves them out.
	Server *Server

	// Progress, if not nil, is told what goes on, several times a second.
	Progress func(Progress)
}

// Server is where http and http-batch send their requests. It prints without its key.
type Server struct {
	// URLs of its replicas, such as http://127.0.0.1:8080, which share the
	// connections among them.
	URLs   []string
	APIKey string
	// OpsURL is where the metrics of a single replica are; empty: they are not read.
	OpsURL string
	// SharesDatabase says that the server works on Options.DatabaseURL, so that
	// what it did is counted there. It is asked over HTTP otherwise.
	SharesDatabase bool
}

// String hides the key.
func (s Server) String() string { return "server at " + strings.Join(s.URLs, ", ") }

// GoString is String.
func (s Server) GoString() string { return s.String() }

// LogValue is String.
func (s Server) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Progress is how far a measurement is.
type Progress struct {
	Run       string // "ledger, half of it hot"
	Step      string // "opening 10000 accounts", "measuring"
	Elapsed   time.Duration
	Duration  time.Duration
	Transfers int64
}

// Limits of the options.
const (
	accountsMax    = 1_000_000
	concurrencyMax = 10_000
	durationMin    = 100 * time.Millisecond
	durationMax    = 24 * time.Hour
	warmUpMax      = 2 * time.Second
)

// Validate fills in the defaults and says in one line what is wrong with the
// options, by the names of the command's flags.
func (o *Options) Validate() error {
	if o.Accounts == 0 {
		o.Accounts = 10_000
	}
	if o.Batch == 0 {
		o.Batch = 500
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	switch {
	case !slices.Contains([]Mode{ModeRaw, ModeNaive, ModeLedger, ModeHTTP, ModeHTTPBatch, ModePurchases, ModeAll}, o.Mode):
		return fmt.Errorf("--mode is %q, must be raw, naive, ledger, http, http-batch, purchases or all", o.Mode)
	case o.Accounts < 3 || o.Accounts > accountsMax:
		return fmt.Errorf("--accounts is %d, must be 3 to %d", o.Accounts, accountsMax)
	case !(o.Hot >= 0 && o.Hot <= 1): // refuses NaN too
		return fmt.Errorf("--hot is %v, must be 0 to 1, the share of transfers that touch the hot account", o.Hot)
	case o.Concurrency < 0 || o.Concurrency > concurrencyMax:
		return fmt.Errorf("--concurrency is %d, must be 1 to %d", o.Concurrency, concurrencyMax)
	case o.Batch < 1 || o.Batch > ledger.MaxBatch:
		return fmt.Errorf("--batch is %d, must be 1 to %d", o.Batch, ledger.MaxBatch)
	case o.Duration < durationMin || o.Duration > durationMax:
		return fmt.Errorf("--duration is %s, must be %s to %s", o.Duration, durationMin, durationMax)
	case o.Workers < 1 || o.Workers > 64:
		return fmt.Errorf("--executor-workers is %d, must be 1 to 64", o.Workers)
	}
	return nil
}

// plan is one measurement.
type plan struct {
	mode        Mode
	hot         float64
	concurrency int
	batch       int
}

func (p plan) String() string {
	if p.hot > 0 {
		return fmt.Sprintf("%s, %g hot", p.mode, p.hot)
	}
	return string(p.mode)
}

// plans lists the measurements, in their order.
func (o *Options) plans() []plan {
	modes := []Mode{o.Mode}
	if o.Mode == ModeAll {
		modes = []Mode{ModeRaw, ModeNaive, ModeLedger}
		if o.Server != nil {
			modes = append(modes, ModeHTTP, ModeHTTPBatch, ModePurchases)
		}
	}
	var plans []plan
	for _, mode := range modes {
		if o.Mode != ModeAll {
			plans = append(plans, o.plan(mode, o.Hot))
			continue
		}
		plans = append(plans, o.plan(mode, 0))
		if o.Hot > 0 && mode != ModeRaw && mode != ModeHTTPBatch && mode != ModePurchases {
			plans = append(plans, o.plan(mode, o.Hot))
		}
	}
	return plans
}

func (o *Options) plan(mode Mode, hot float64) plan {
	p := plan{mode: mode, hot: hot, concurrency: o.Concurrency, batch: o.Batch}
	if mode == ModeNaive || mode == ModeHTTP {
		p.batch = 1
	}
	if mode == ModeRaw {
		p.concurrency = 1
	}
	if p.concurrency > 0 {
		return p
	}
	switch {
	case mode == ModeNaive:
		p.concurrency = 16
	case mode == ModeHTTP, p.batch == 1:
		p.concurrency = 64
	default:
		p.concurrency = 4
	}
	return p
}

// Run measures. It returns what was measured so far beside an error; the books
// and the database are in order either way, and no scratch database is left.
func Run(ctx context.Context, o Options) (Report, error) {
	report := Report{Runs: []Result{}, Ratios: map[string]float64{}}
	if err := o.Validate(); err != nil {
		return report, err
	}
	b := bench{Options: o}
	switch {
	case o.Mode.IsHTTP() && o.Server == nil:
		return report, fmt.Errorf("mode %s needs a server", o.Mode)
	case !o.Mode.IsHTTP() && o.DatabaseURL == "":
		return report, fmt.Errorf("mode %s needs a database", o.Mode)
	}
	if o.DatabaseURL != "" {
		// Statistics and checks, not the load itself.
		db, err := database.Open(ctx, o.DatabaseURL, database.Options{ApplicationName: "florin bench", MaxConns: 2})
		if err != nil {
			return report, err
		}
		defer db.Close()
		b.db = db
		b.enginePID = listener(o.DatabaseURL)
		migrated, err := database.Migrated(ctx, db)
		if err == nil && !migrated {
			err = errors.New("the database is not migrated: run florin migrate")
		}
		if err != nil {
			return report, err
		}
	}
	for _, p := range o.plans() {
		result, err := b.measure(ctx, p)
		if err != nil {
			if ctx.Err() != nil {
				return report, ctx.Err()
			}
			return report, fmt.Errorf("mode %s: %w", p, err)
		}
		report.Runs = append(report.Runs, result)
	}
	report.Ratios = ratios(report.Runs)
	return report, nil
}

// bench is what the measurements share.
type bench struct {
	Options
	db        *database.DB // nil without a database
	enginePID int          // 0 when the engine is not on this machine
}

// load is a mode at work.
type load interface {
	// submit does one submission of the caller with this number and says how many
	// transfers of it are acknowledged and how many were refused. An error ends
	// the measurement.
	submit(ctx context.Context, caller *caller) (done, refused int, err error)
	// conflicts is how often a transaction had to be run again so far, if known.
	conflicts() (n int64, known bool)
	// stored counts the completed transfers of this load in the database.
	stored(ctx context.Context) (int64, error)
	// close takes away what the load does not leave behind.
	close()
}

func (b *bench) prepare(ctx context.Context, p plan, w *workload) (load, error) {
	switch p.mode {
	case ModeRaw:
		return newRaw(ctx, b, p, w)
	case ModeNaive:
		return newNaive(ctx, b, p, w)
	case ModeLedger:
		return newInProcess(ctx, b, p, w)
	case ModePurchases:
		return newPurchases(ctx, b, p, w)
	default:
		return newOverHTTP(ctx, b, p, w)
	}
}

func (b *bench) tell(p plan, step string, elapsed, duration time.Duration, transfers int64) {
	if b.Progress != nil {
		b.Progress(Progress{Run: p.String(), Step: step, Elapsed: elapsed, Duration: duration, Transfers: transfers})
	}
}
