package export_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/export"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// onCockroach runs a test of jobs, which only CockroachDB has.
func onCockroach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		if bareWorld(t, url).db.Engine != database.Cockroach {
			t.Skip("PostgreSQL has no jobs that deliver")
		}
		test(t, url)
	})
}

// bareWorld is the package's own database, for what needs no other.
func bareWorld(t *testing.T, url string) *world {
	t.Helper()
	return &world{t: t, url: url, db: dbtest.Open(t, url, database.Options{MaxConns: 6})}
}

// control allows the places.
func (w *world) control(places ...string) *export.Control {
	w.t.Helper()
	allowed, err := export.ParseAllowed(places)
	if err != nil {
		w.t.Fatal(err)
	}
	return export.NewControl(w.db, allowed, clock.System)
}

func (w *world) must(e export.Export, err error) export.Export {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// until waits for something that takes time.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(dbtest.Timeout); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("in vain: %s", what)
		}
	}
}

// liveJobs are those of an export that have not ended.
func (w *world) liveJobs(e export.Export) (ids []int64) {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT job_id FROM [SHOW CHANGEFEED JOBS]
		WHERE description LIKE '%' || $1 || '%' AND status IN ('running', 'paused', 'pause-requested', 'pending') ORDER BY job_id`, e.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// hook is an HTTPS server that an export delivers to. It keeps what it got.
type hook struct {
	t      *testing.T
	addr   string
	server *httptest.Server

	mu        sync.Mutex
	postings  map[string]int // by account and seq, how often each came
	transfers map[string]string
	refuses   bool
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, addr: "127.0.0.1:0", postings: map[string]int{}, transfers: map[string]string{}}
	h.start()
	t.Cleanup(func() { h.server.Close() })
	return h
}

// start listens, again at the same address.
func (h *hook) start() {
	h.t.Helper()
	listener, err := net.Listen("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.server = httptest.NewUnstartedServer(h)
	h.server.Listener.Close()
	h.server.Listener = listener
	h.server.StartTLS()
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Payload []struct {
			Topic string
			After struct {
				AccountID  string `json:"account_id"`
				Seq        int64
				TransferID string `json:"transfer_id"`
				Status     string
			}
			Updated       string `json:"updated"`
			MVCCTimestamp string `json:"mvcc_timestamp"`
		}
	}
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		h.t.Errorf("%v in %.300s", err, text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuses {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	for _, m := range body.Payload {
		if m.Updated == "" || m.MVCCTimestamp == "" {
			h.t.Errorf("a row without its times: %.300s", text)
		}
		switch m.Topic {
		case "postings":
			h.postings[fmt.Sprint(m.After.AccountID, "/", m.After.Seq)]++
		case "transfers":
			h.transfers[m.After.TransferID] = m.After.Status
		}
	}
}

func (h *hook) refuse(refuses bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuses = refuses
}

func (h *hook) count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.postings))
}

// place is the destination, with the server's certificate as the operator gives it.
func (h *hook) place() string {
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	return "webhook-https://" + h.addr + "/books?ca_cert=" + url.QueryEscape(base64.StdEncoding.EncodeToString(certificate))
}

func TestWebhookGetsEveryPostingAtLeastOnce(t *testing.T) {
	t.Parallel()
	onCockroach(t, func(t *testing.T, url string) {
		w, h := newWorld(t, url), newHook(t)
		c := w.control(h.place())
		w.acts(20)
		w.settle()
		ctx := t.Context()
		to := "webhook-https://" + h.addr + "/books/"
		e := w.must(c.Create(ctx, to, export.NDJSON))
		if e.Kind != export.Changefeed || e.Status != export.Running || e.Destination != "webhook-https://"+h.addr+"/books" || e.JobID == 0 {
			t.Fatalf("%+v", e)
		}
		if again := w.must(c.Create(ctx, to, export.NDJSON)); again.ID != e.ID || again.JobID != e.JobID || len(w.liveJobs(e)) != 1 {
			t.Fatalf("a second create made %+v, jobs %v", again, w.liveJobs(e))
		}
		_, err := c.Create(ctx, "s3://elsewhere", export.NDJSON)
		wantCode(t, err, export.DestinationNotAllowed)
		w.until("history arrives", func() bool { return h.count() == w.postings() })

		for range 2 {
			if paused := w.must(c.Pause(ctx, e.ID)); paused.Status != export.Paused {
				t.Fatalf("%+v", paused)
			}
		}
		w.until("the job is paused", func() bool {
			return w.count(fmt.Sprintf("SELECT count(*) FROM [SHOW JOB %d] WHERE status = 'paused'", e.JobID)) == 1
		})
		before := h.count()
		w.acts(10)
		w.settle()
		time.Sleep(3 * time.Second) // much longer than a running job takes
		if h.count() != before {
			t.Fatalf("a paused export delivered %d postings", h.count()-before)
		}
		for range 2 {
			if resumed := w.must(c.Resume(ctx, e.ID)); resumed.Status != export.Running {
				t.Fatalf("%+v", resumed)
			}
		}
		w.until("what was posted meanwhile arrives", func() bool { return h.count() == w.postings() })

		h.refuse(true)
		w.acts(10)
		w.settle()
		w.until("the fault is told", func() bool {
			e = w.must(c.ByID(ctx, e.ID))
			return strings.Contains(e.Error, "503")
		})
		if e.Status != export.Running {
			t.Fatalf("a fault of the other side ended the export: %+v", e)
		}
		h.server.Close()
		w.acts(5)
		w.settle()
		h.refuse(false)
		h.start()
		committed := clock.System()
		w.until("the resolved time passes the last posting", func() bool {
			e = w.must(c.ByID(ctx, e.ID))
			return e.ResolvedAt.After(committed)
		})
		if h.count() != w.postings() {
			t.Fatalf("resolved at %s, but %d of %d postings arrived", e.ResolvedAt, h.count(), w.postings())
		}
		if completed := w.count("SELECT count(*) FROM transfers WHERE status = 'COMPLETED'"); completed == 0 || completed != h.completed() {
			t.Fatalf("%d transfers completed, %d arrived so", completed, h.completed())
		}

		for range 2 {
			if cancelled := w.must(c.Cancel(ctx, e.ID)); cancelled.Status != export.Finished || cancelled.ResolvedAt.IsZero() {
				t.Fatalf("%+v", cancelled)
			}
		}
		if jobs := w.liveJobs(e); len(jobs) != 0 {
			t.Fatalf("jobs %v live on", jobs)
		}
		_, err = c.Resume(ctx, e.ID)
		wantCode(t, err, export.Cancelled)
		next := w.must(c.Create(ctx, to, export.NDJSON))
		if next.ID == e.ID || next.JobID == e.JobID {
			t.Fatalf("%+v after the cancelled %+v", next, e)
		}
		w.must(c.Cancel(ctx, next.ID))
	})
}

func (h *hook) completed() (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, status := range h.transfers {
		if status == "COMPLETED" {
			n++
		}
	}
	return n
}

// Whoever dies between making a job and recording it, and however many create at
// once: an export has one job.
func TestAnExportHasOneJob(t *testing.T) {
	onCockroach(t, func(t *testing.T, url string) {
		w, h := bareWorld(t, url), newHook(t)
		c := w.control(h.place())
		ctx := t.Context()
		ids := make([]string, 6)
		var creators sync.WaitGroup
		for i := range ids {
			creators.Go(func() {
				e, err := w.control(h.place()).Create(ctx, h.place(), export.NDJSON)
				if err != nil {
					t.Error(err)
				}
				ids[i] = e.ID
			})
		}
		creators.Wait()
		e := w.must(c.ByID(ctx, ids[0]))
		for _, id := range ids {
			if id != e.ID {
				t.Fatalf("several exports: %v", ids)
			}
		}
		if jobs := w.liveJobs(e); len(jobs) != 1 || jobs[0] != e.JobID {
			t.Fatalf("jobs %v of %+v", jobs, e)
		}

		w.exec("UPDATE exports SET job_id = NULL WHERE export_id = $1", e.ID) // as a crash leaves it
		if again := w.must(c.Create(ctx, h.place(), export.NDJSON)); again.JobID != e.JobID || len(w.liveJobs(e)) != 1 {
			t.Fatalf("%+v, jobs %v", again, w.liveJobs(e))
		}

		w.exec("UPDATE exports SET job_id = NULL WHERE export_id = $1", e.ID)
		w.exec("CREATE CHANGEFEED FOR TABLE postings INTO $1 WITH updated, mvcc_timestamp, metrics_label = '"+e.ID+"'", h.place())
		stop := w.watch(c, export.WatchOptions{})
		w.until("the watch ends the job too many", func() bool { return len(w.liveJobs(e)) == 1 })
		if now := w.must(c.ByID(ctx, e.ID)); now.JobID != w.liveJobs(e)[0] || now.Status != export.Running {
			t.Fatalf("%+v, jobs %v", now, w.liveJobs(e))
		}
		stop()

		w.must(c.Cancel(ctx, e.ID))
		w.exec("CREATE CHANGEFEED FOR TABLE postings INTO $1 WITH updated, mvcc_timestamp, metrics_label = '"+e.ID+"'", h.place())
		defer w.watch(c, export.WatchOptions{})()
		w.until("the watch ends the job of a cancelled export", func() bool { return len(w.liveJobs(e)) == 0 })
	})
}

// What the database ends or pauses is told, and what can be done about it. The
// destination is one that the database knows by name.
func TestJobThatTheDatabaseStopped(t *testing.T) {
	onCockroach(t, func(t *testing.T, url string) {
		w, h := bareWorld(t, url), newHook(t)
		connection := id.New("hook")
		w.exec("CREATE EXTERNAL CONNECTION " + connection + " AS '" + h.place() + "'")
		defer w.exec("DROP EXTERNAL CONNECTION " + connection)
		c := w.control("external://" + connection)
		ctx := t.Context()
		e := w.must(c.Create(ctx, "external://"+connection, export.NDJSON))
		w.until("it delivers", func() bool { return h.count() == w.postings() })
		w.exec(fmt.Sprintf("PAUSE JOB %d", e.JobID))
		e = w.must(c.ByID(ctx, e.ID))
		if e.Status != export.Failed || e.Error == "" {
			t.Fatalf("%+v", e)
		}
		_, err := c.Pause(ctx, e.ID)
		wantCode(t, err, export.NotRunning)
		if e = w.must(c.Resume(ctx, e.ID)); e.Status != export.Running {
			t.Fatalf("%+v", e)
		}
		w.exec(fmt.Sprintf("CANCEL JOB %d", e.JobID))
		log := &lines{}
		defer w.watch(c, export.WatchOptions{Log: log.logger()})()
		w.until("the end is warned of", func() bool { return log.count(e.ID+" ") == 1 })
		if e = w.must(c.ByID(ctx, e.ID)); e.Status != export.Failed || !strings.Contains(e.Error, "cancel") {
			t.Fatalf("%+v", e)
		}
		_, err = c.Resume(ctx, e.ID)
		wantCode(t, err, export.JobEnded)
		if e = w.must(c.Cancel(ctx, e.ID)); e.Status != export.Finished {
			t.Fatalf("%+v", e)
		}
	})
}

type refusedCase struct {
	to     string
	format export.Format
	want   export.Code
}

func TestRefusedExports(t *testing.T) {
	const secret = "s3cr3t/with+signs"
	places := []string{"kafka://127.0.0.1:9", "webhook-https://127.0.0.1:9/x", "s3://books", "gs://books?AUTH=specified", "external://nowhere"}
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		w := bareWorld(t, databaseURL)
		c := w.control(places...)
		needs := func(code export.Code) export.Code {
			if w.db.Engine == database.Postgres {
				return export.NeedsCockroach
			}
			return code
		}
		cases := []refusedCase{
			{"file:///books", export.NDJSON, export.NeedsRunner},
			{"books", export.NDJSON, export.InvalidDestination},
			{"ftp://books", export.NDJSON, export.UnknownScheme},
			{"experimental-nodelocal://1/x", export.NDJSON, export.UnknownScheme},
			{"s3://books", "xlsx", export.InvalidFormat},
			{"s3://books", export.CSV, export.FormatNotPossible},
			{"kafka://127.0.0.1:9", export.Parquet, export.FormatNotPossible},
			{"s3://others", export.NDJSON, needs(export.DestinationNotAllowed)},
			{"s3://books?AWS_ENDPOINT=http://127.0.0.1", export.NDJSON, needs(export.DestinationNotAllowed)},
			{"kafka://127.0.0.1:9?sasl_password=" + url.QueryEscape(secret), export.NDJSON, needs(export.JobRefused)},
			{"gs://books/refused?CREDENTIALS=" + url.QueryEscape(secret), export.NDJSON, needs(export.DestinationNotAllowed)},
			{"s3://books/refused?AWS_SECRET_ACCESS_KEY=" + url.QueryEscape(secret), export.Parquet, needs(export.JobRefused)},
			{"webhook-https://127.0.0.1:9/x?client_cert=" + url.QueryEscape(secret), export.NDJSON, needs(export.JobRefused)},
			{"external://nowhere", export.NDJSON, needs(export.JobRefused)},
		}
		for _, test := range cases {
			_, err := c.Create(t.Context(), test.to, test.format)
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), url.QueryEscape(secret)) {
				t.Errorf("%s: %v", test.to, err)
				continue
			}
			wantCode(t, err, test.want)
		}
		if w.db.Engine == database.Cockroach { // corrected, it is the export that was refused
			corrected := w.must(c.Create(t.Context(), "webhook-https://127.0.0.1:9/x", export.NDJSON))
			if corrected.Status != export.Running || corrected.JobID == 0 || !corrected.CreatedAt.Before(corrected.UpdatedAt) {
				t.Errorf("%+v", corrected)
			}
			w.must(c.Cancel(t.Context(), corrected.ID))
		}
		all, err := c.List(t.Context(), "", 500)
		if err != nil {
			t.Fatal(err)
		}
		recorded := 0
		for _, e := range all {
			if e.Status == export.Finished || !slices.ContainsFunc(cases, func(c refusedCase) bool { return strings.HasPrefix(c.to, e.Destination) }) {
				continue
			}
			recorded++
			if e.Status != export.Failed || e.Error == "" || strings.Contains(fmt.Sprintf("%+v", e), "s3cr3t") {
				t.Errorf("%+v", e)
			}
			_, err := c.Resume(t.Context(), e.ID)
			wantCode(t, err, export.JobEnded)
			if e := w.must(c.Cancel(t.Context(), e.ID)); e.Status != export.Finished {
				t.Errorf("%+v", e)
			}
		}
		if want := map[database.Engine]int{database.Cockroach: 3}[w.db.Engine]; recorded != want {
			t.Errorf("%d exports are on record, want %d: %+v", recorded, want, all)
		}
	})
}
