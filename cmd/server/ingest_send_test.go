package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// scripted is a server that answers batches as a test says: what a real one says
// only when it is in trouble, or when another program has checked less than this one.
type scripted struct {
	*httptest.Server
	mu    sync.Mutex
	steps []func(w http.ResponseWriter, ids []string)
	asked []string // ids of each batch, in their order
}

// newScripted answers each batch by the next step, and those after the last by
// recording all.
func newScripted(t *testing.T, steps ...func(w http.ResponseWriter, ids []string)) *scripted {
	t.Helper()
	s := &scripted{steps: steps}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var batch struct {
			Purchases, Returns []struct{ PurchaseID, ReturnID string }
			Source             string
		}
		if err := json.Unmarshal(body, &batch); err != nil || batch.Source != "file" || r.Header.Get("Authorization") != "Bearer key" || r.Method != http.MethodPost {
			t.Errorf("%s %v: %v\n%s", r.Method, r.Header, err, body)
		}
		kind := strings.Split(r.URL.Path, "/")[3]
		var ids []string
		for _, item := range append(batch.Purchases, batch.Returns...) {
			ids = append(ids, item.PurchaseID+item.ReturnID)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, kind+" "+strings.Join(ids, " "))
		if len(s.steps) == 0 {
			recordAll(w, ids)
			return
		}
		step := s.steps[0]
		s.steps = s.steps[1:]
		step(w, ids)
	}))
	t.Cleanup(s.Close)
	return s
}

func recordAll(w http.ResponseWriter, ids []string) {
	answerResults(w, strings.Split(strings.Repeat(`{"status":"ACCEPTED"} `, len(ids)-1)+`{"status":"ACCEPTED"}`, " ")...)
}

func answerResults(w io.Writer, results ...string) {
	fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
}

func answerProblem(status int, body string, headers ...string) func(http.ResponseWriter, []string) {
	return func(w http.ResponseWriter, _ []string) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ingestItems(kind ingestKind, ids ...string) (items []ingestItem) {
	for i, id := range ids {
		quantity := "1"
		if kind == ingestReturns {
			quantity = "-1"
		}
		items = append(items, ingestItem{kind: kind, lines: []*ingestLine{{number: int64(i) + 2, values: [columnCount]string{
			id, "shop", "ada", "cup", "", "", "", quantity, "1.50", "EUR", "2026-01-31T09:30:00Z", "",
		}}}})
	}
	return items
}

func TestWhatIsSentIsSentUntilItIsKnownOfAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []func(http.ResponseWriter, []string)
		asked []string // after the first batch, of p1 p2 p3
		want  string
	}{
		"all is well": {nil, nil, "ACCEPTED ACCEPTED ACCEPTED"},
		"busy": {[]func(http.ResponseWriter, []string){
			answerProblem(503, `{"code":"overloaded","detail":"x"}`, "Retry-After", "1"), answerProblem(429, `{}`),
		}, []string{"p1 p2 p3", "p1 p2 p3"}, "ACCEPTED ACCEPTED ACCEPTED"},
		"cut off": {[]func(http.ResponseWriter, []string){
			func(http.ResponseWriter, []string) { panic(http.ErrAbortHandler) },
			func(w http.ResponseWriter, _ []string) { _, _ = io.WriteString(w, `{"results":[{"sta`) },
		}, []string{"p1 p2 p3", "p1 p2 p3"}, "ACCEPTED ACCEPTED ACCEPTED"},
		"one is refused": {[]func(http.ResponseWriter, []string){func(w http.ResponseWriter, _ []string) {
			answerResults(w, `{"status":"HELD"}`, `{"failureCode":"duplicate_purchase","failureMessage":"taken"}`, `{"status":"ACCEPTED"}`)
		}}, nil, "HELD duplicate_purchase(taken) ACCEPTED"},
		"one was in the way": {[]func(http.ResponseWriter, []string){func(w http.ResponseWriter, _ []string) {
			answerResults(w, `{"status":"HELD"}`, `{"failureCode":"conflict_retry"}`, `{"status":"ACCEPTED"}`)
		}}, []string{"p2"}, "HELD ACCEPTED ACCEPTED"},
		"two make no sense": {[]func(http.ResponseWriter, []string){
			answerProblem(400, `{"code":"invalid_request","detail":"x","errors":[{"field":"purchases[0].lines[0].mcc","problem":"is long"},{"field":"purchases[0].country","problem":"is longer"}]}`),
			answerProblem(400, `{"code":"invalid_request","detail":"x","errors":[{"field":"purchases[1]","problem":"is odd"}]}`),
		}, []string{"p2 p3", "p2"}, "invalid_request(lines[0].mcc: is long) ACCEPTED invalid_request(: is odd)"},
		"all make no sense": {[]func(http.ResponseWriter, []string){
			answerProblem(400, `{"code":"invalid_request","errors":[{"field":"purchases[0].a","problem":"x"},{"field":"purchases[1].a","problem":"y"},{"field":"purchases[2].a","problem":"z"}]}`),
		}, nil, "invalid_request(a: x) invalid_request(a: y) invalid_request(a: z)"},
		"the request makes no sense": {[]func(http.ResponseWriter, []string){
			answerProblem(400, `{"code":"invalid_request","detail":"body: is odd","errors":[{"field":"body","problem":"is odd"},{"field":"purchases[3].a","problem":"is not there"}]}`),
		}, nil, "!body: is odd"},
		"no right":     {[]func(http.ResponseWriter, []string){answerProblem(403, `{"code":"forbidden","detail":"the permission is missing"}`)}, nil, "!forbidden: the permission is missing"},
		"another path": {[]func(http.ResponseWriter, []string){answerProblem(302, ``, "Location", "/elsewhere")}, nil, "!HTTP status 302"},
		"too few results": {[]func(http.ResponseWriter, []string){func(w http.ResponseWriter, _ []string) {
			answerResults(w, `{"status":"HELD"}`)
		}}, nil, "!1 results for 3 items"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScripted(t, c.steps...)
			results, err := newIngestSender(server.URL+"/", "key").send(t.Context(), ingestItems(ingestPurchases, "p1", "p2", "p3"))
			var got []string
			for _, r := range results {
				text := r.status
				if r.problem != nil {
					text = r.problem.code + "(" + r.problem.message + ")"
				}
				got = append(got, text)
			}
			if problem, isError := strings.CutPrefix(c.want, "!"); isError {
				if err == nil || !strings.Contains(err.Error(), problem) {
					t.Errorf("%v, want %q", err, problem)
				}
			} else if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%q, %v", got, err)
			}
			want := "purchases p1 p2 p3"
			for _, asked := range c.asked {
				want += "; purchases " + asked
			}
			if asked := strings.Join(server.asked, "; "); asked != want {
				t.Errorf("it was asked for %q, not %q", asked, want)
			}
		})
	}
}

// runIngest runs the command on a file's text and returns its error and the report.
func runIngest(t *testing.T, url, path string, batch int) (summary string, report string, err error) {
	t.Helper()
	c := ingestCommand{File: path, URL: url, APIKey: "key", Batch: batch}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	in, err := c.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if err = in.run(t.Context()); err == nil {
		err = in.finish()
	}
	text, _ := os.ReadFile(c.Rejected)
	counts, _ := json.Marshal(in.state.Counts)
	return string(counts), string(text), err
}

func TestAFileIsSentInItsOrder(t *testing.T) {
	t.Parallel()
	line := func(id, quantity string) string {
		return id + ",shop,ada,cup," + quantity + ",1.50,EUR,2026-01-31T09:30:00Z\n"
	}
	server := newScripted(t)
	path := ingestFile(t, t.TempDir(), ingestHeader+line("p1", "1")+line("p1", "1")+line("p2", "1")+line("p3", "1")+line("c1", "-1")+line("p4", "1")+line("p4", "-1")+line("p5", "1")+line("c1", "-1")+line("p2", "1"), false)
	counts, report, err := runIngest(t, server.URL, path, 2)
	if err != nil || report != "" {
		t.Fatal(err, report)
	}
	if asked := strings.Join(server.asked, "; "); asked != "purchases p1 p2; purchases p3; returns c1; purchases p4; returns p4; purchases p5" {
		t.Error(asked)
	}
	if counts != `{"lines":10,"purchases":{"accepted":5},"returns":{"accepted":2},"rejectedBy":{}}` {
		t.Error(counts)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("there is %v", left)
	}
}

// A run that ends at any request is gone on with by the next: in the end everything
// is counted, and reported, once.
func TestARunGoesOnWhereverOneEnded(t *testing.T) {
	t.Parallel()
	text := ingestHeader
	for i := range 30 {
		quantity := "1"
		switch {
		case i%7 == 3:
			quantity = "-2"
		case i%5 == 4:
			quantity = "0"
		}
		text += fmt.Sprintf("p%d,shop,ada,cup,%s,1.50,EUR,2026-01-31T09:30:00Z\n", i/2, quantity)
		if i%4 == 0 { // a later line of an earlier purchase
			text += fmt.Sprintf("p%d,shop,ada,pot,1,1.50,EUR,2026-01-31T09:30:00Z\n", i/4)
		}
	}
	whole := newScripted(t)
	wantCounts, wantReport, err := runIngest(t, whole.URL, ingestFile(t, t.TempDir(), text, false), 3)
	if err != nil || strings.Count(wantReport, "\n") < 4 {
		t.Fatal(err, wantReport)
	}
	for end := range len(whole.asked) {
		steps := make([]func(http.ResponseWriter, []string), end+1)
		for i := range steps {
			steps[i] = recordAll
		}
		steps[end] = answerProblem(500, `{"code":"internal_error","detail":"the log says why"}`)
		server := newScripted(t, steps...)
		path := ingestFile(t, t.TempDir(), text, true)
		_, _, err := runIngest(t, server.URL, path, 3)
		if err == nil || !strings.Contains(err.Error(), "internal_error") {
			t.Fatal(err)
		}
		first := len(server.asked)
		counts, report, err := runIngest(t, server.URL, path, 3)
		if err != nil || counts != wantCounts || report != wantReport {
			t.Errorf("after %d requests: %v\n%s\n%s\n%s\n%s", end, err, counts, wantCounts, report, wantReport)
		}
		if again := len(server.asked) - first; again > len(whole.asked)-end+1 {
			t.Errorf("after %d of %d requests there are %d more", end, len(whole.asked), again)
		}
	}
}

// What an earlier run left counts for the same file, read in the same way, alone.
func TestAStateOfAnotherFileIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	text := ingestHeader + "p1,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\nc1,shop,ada,cup,-1,1.50,EUR,2026-01-31T09:30:00Z\np2,shop,ada,cup,0,1.50,EUR,2026-01-31T09:30:00Z\n"
	for name, change := range map[string]func(t *testing.T, path string){
		"nothing":      nil,
		"the file":     func(t *testing.T, path string) { ingestFile(t, filepath.Dir(path), text+"\n", false) },
		"no report":    func(_ *testing.T, path string) { _ = os.Remove(path + ".rejected.csv") },
		"half a state": func(_ *testing.T, path string) { _ = os.Truncate(path+".florin", 30) },
		"another state": func(_ *testing.T, path string) {
			_ = os.WriteFile(path+".florin", []byte(`{"input":"x","position":{"offset":5}}`), 0o600)
		},
	} {
		server := newScripted(t, recordAll, answerProblem(500, `{}`))
		path := ingestFile(t, t.TempDir(), text, false)
		if _, _, err := runIngest(t, server.URL, path, 1); err == nil {
			t.Fatal("it did not end")
		}
		want := "purchases p1; returns c1; returns c1"
		if change != nil {
			change(t, path)
			want = "purchases p1; returns c1; purchases p1; returns c1"
		}
		counts, report, err := runIngest(t, server.URL, path, 1)
		if err != nil || counts != `{"lines":3,"purchases":{"accepted":1},"returns":{"accepted":1},"rejectedBy":{"quantity_invalid":1}}` || strings.Count(report, "\n") != 2 {
			t.Errorf("%s: %v\n%s\n%s", name, err, counts, report)
		}
		if asked := strings.Join(server.asked, "; "); asked != want {
			t.Errorf("%s: it was asked for %s", name, asked)
		}
	}
}

func TestMistakesInIngestFlagsAreNamed(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*ingestCommand){
		"FLORIN_API_KEY is not set": func(c *ingestCommand) { c.APIKey = "" },
		"--url must":                func(c *ingestCommand) { c.URL = "pay.example.com" },
		"--url must be":             func(c *ingestCommand) { c.URL = "https://u:hunter2@pay.example.com" },
		"--batch is 0":              func(c *ingestCommand) { c.Batch = 0 },
		"--batch is 10001":          func(c *ingestCommand) { c.Batch = 10_001 },
		"--set names":               func(c *ingestCommand) { c.Set = map[string]string{"shop": "x"} },
	} {
		c := ingestCommand{File: "x.csv.gz", URL: "http://127.0.0.1:8080", APIKey: "hunter2", Batch: 1}
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	c := ingestCommand{File: "x.csv.gz", URL: "http://127.0.0.1:8080", APIKey: "hunter2", Batch: 1}
	if err := c.check(); err != nil || c.Rejected != "x.csv.rejected.csv" || c.State != "x.csv.florin" || strings.Contains(fmt.Sprintf("%v %+v %#v", c, c, c), "hunter2") {
		t.Errorf("%v %#v", err, c)
	}
}
