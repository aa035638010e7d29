package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"florin/internal/bench"
	"florin/internal/platform/database"
	"florin/internal/platform/seal"
)

const (
	// benchHot is the share of transfers on the hot account that mode all takes.
	benchHot = 0.5
	// serverStartMax is how long a server started here may take to be ready.
	serverStartMax = time.Minute
	serverStopMax  = 30 * time.Second
)

type benchCommand struct {
	databaseFlags
	Mode        string        `help:"What to measure: raw, naive, ledger, http, http-batch, purchases, or all in turn with their ratios." enum:"raw,naive,ledger,http,http-batch,purchases,all" default:"all"`
	Accounts    int           `help:"Accounts that the transfers go between." default:"10000"`
	Hot         *float64      `help:"Share of transfers, 0 to 1, that pay or are paid by one hot account; 0, in mode all 0.5 beside the uniform load." placeholder:"SHARE"`
	Concurrency int           `help:"Callers; by default 1 for raw, 16 for naive, 64 for http and batches of 1, else 4."`
	Batch       int           `help:"Transfers (purchases) that raw, ledger, http-batch and purchases hand in at once." default:"500"`
	Duration    time.Duration `help:"Of each measurement." default:"10s"`
	Workers     int           `name:"executor-workers" help:"Batches that the executor of mode ledger runs at once." default:"1"`
	URL         []string      `name:"url" help:"Servers for http, http-batch and purchases, replicas on one database; by default one is started on the database." placeholder:"URL"`
	APIKey      string        `name:"api-key" help:"Key for that server." env:"FLORIN_API_KEY" placeholder:"KEY"`
	JSON        bool          `help:"Print the report as one JSON object."`
	CPUProfile  string        `name:"cpu-profile" help:"Write a CPU profile of this process to a file." hidden:"" type:"path"`
}

// Run measures and prints the report.
func (c *benchCommand) Run(ctx context.Context) error {
	o := bench.Options{
		Mode: bench.Mode(c.Mode), Accounts: c.Accounts, Concurrency: c.Concurrency, Batch: c.Batch,
		Duration: c.Duration, Workers: c.Workers,
	}
	switch {
	case c.Hot != nil:
		o.Hot = *c.Hot
	case o.Mode == bench.ModeAll:
		o.Hot = benchHot
	}
	if err := o.Validate(); err != nil {
		return err
	}
	done, err := c.target(ctx, &o)
	if err != nil {
		return err
	}
	defer done()
	if c.CPUProfile != "" {
		stop, err := profileCPU(c.CPUProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	progress := newProgress()
	o.Progress = progress.bench
	report, err := bench.Run(ctx, o)
	progress.close()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "Interrupted; the scratch database is dropped.")
			return errExit
		}
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = report.Print(os.Stdout)
	}
	return cmp.Or(err, report.Check())
}

// target finds the database and the server that the modes need. done ends what
// was started.
func (c *benchCommand) target(ctx context.Context, o *bench.Options) (done func(), err error) {
	if len(c.URL) > 0 {
		if c.APIKey == "" {
			return nil, errors.New("FLORIN_API_KEY is not set: it must hold a key of the server at --url")
		}
		o.Server = &bench.Server{URLs: c.URL, APIKey: c.APIKey}
		if o.Mode.IsHTTP() {
			return func() {}, nil // the server knows its database; we need none
		}
	}
	url, stopEngine, err := c.resolve(ctx, newLogger(logText))
	if err != nil {
		return nil, err
	}
	o.DatabaseURL = url
	if c.DatabaseURL == "" { // ours to keep up to date, as `florin dev` does
		if err := migrate(ctx, url); err != nil {
			stopEngine()
			return nil, err
		}
	}
	if o.Server != nil || !o.Mode.IsHTTP() && o.Mode != bench.ModeAll {
		return stopEngine, nil
	}
	server, stopServer, err := c.startServer(ctx, url)
	switch {
	case errors.Is(err, errNoKey) && o.Mode == bench.ModeAll:
		fmt.Fprintf(os.Stderr, "Without http, http-batch and purchases: %v.\n", err)
		return stopEngine, nil
	case err != nil:
		stopEngine()
		return nil, err
	}
	o.Server = server
	return func() { stopServer(); stopEngine() }, nil
}

func migrate(ctx context.Context, url string) error {
	db, err := database.Open(ctx, url, database.Options{MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = database.Migrate(ctx, db, newLogger(logText))
	return err
}

// startServer runs this program as a server of its own, so that its CPU time is
// told from the load generator's.
func (c *benchCommand) startServer(ctx context.Context, databaseURL string) (server *bench.Server, stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	key, bootstrapKey := c.APIKey, ""
	if key == "" && c.DatabaseURL != "" {
		bootstrapKey = os.Getenv("FLORIN_BOOTSTRAP_API_KEY")
		if key = bootstrapKey; key == "" {
			return nil, nil, errNoKey
		}
	}
	environment := append(os.Environ(), "FLORIN_DATABASE_URL="+databaseURL, "FLORIN_LOG_LEVEL=info", "FLORIN_BOOTSTRAP_API_KEY="+bootstrapKey)
	if os.Getenv("FLORIN_ENCRYPTION_KEYS") == "" {
		// It seals nothing: what is measured has no secrets.
		environment = append(environment, "FLORIN_ENCRYPTION_KEYS="+seal.NewKey("bench"), "FLORIN_SMTP_URL=", "FLORIN_MAIL_FOLDER=")
	}
	if key == "" {
		// The data folder's own key: any other would end the validity of it.
		if key, err = keptKey(c.DataDir); err != nil {
			return nil, nil, err
		}
		environment = append(environment, "FLORIN_BOOTSTRAP_API_KEY="+key)
	}
	log, err := os.CreateTemp("", "florin-bench-*.log")
	if err != nil {
		return nil, nil, fmt.Errorf("log of the server: %w", err)
	}
	opsAddr, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	child := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--ops-addr", opsAddr)
	child.Env, child.Stderr = environment, log
	if err := child.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = child.Wait() // how it ended is in its log
		close(ended)
	}()
	stop = func() {
		_ = child.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(serverStopMax):
			_ = child.Process.Kill()
			<-ended
		}
		_ = log.Close()
		_ = os.Remove(log.Name())
	}
	address, err := awaitServer(ctx, log.Name(), ended)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return &bench.Server{
		URLs: []string{"http://" + address}, APIKey: key, OpsURL: "http://" + opsAddr, SharesDatabase: true,
	}, stop, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// awaitServer reads the server's log until it says where it serves, and waits
// until it is ready.
func awaitServer(ctx context.Context, logFile string, ended <-chan struct{}) (address string, err error) {
	ctx, cancel := context.WithTimeout(ctx, serverStartMax)
	defer cancel()
	for {
		text, err := os.ReadFile(logFile)
		if err != nil {
			return "", err
		}
		if address := servingAddress(text); address != "" && isReady(ctx, address) {
			return address, nil
		}
		select {
		case <-ended:
			return "", fmt.Errorf("the server ended: %s", lastLine(text))
		case <-ctx.Done():
			return "", fmt.Errorf("the server is not ready: %w: %s", ctx.Err(), lastLine(text))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func servingAddress(log []byte) string {
	for line := range bytes.Lines(log) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			return entry.Address
		}
	}
	return ""
}

// errNoKey says that no API key of the server's database is known here.
var errNoKey = errors.New("FLORIN_API_KEY is not set: it must hold an API key of the database; for one without keys set FLORIN_BOOTSTRAP_API_KEY")

func isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body) // only the status counts
	return answer.StatusCode == http.StatusOK
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

func profileCPU(file string) (stop func(), err error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = out.Close() // a lost profile is seen when it is read
	}, nil
}
