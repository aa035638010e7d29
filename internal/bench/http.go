package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/money"
	"florin/internal/platform/clock"
)

const (
	dialTimeout    = 10 * time.Second
	requestTimeout = time.Minute
	// setupConnections open the accounts.
	setupConnections = 64
)

// overHTTP sends requests to a server. The client shares the machine with it, so
// it is lean: one goroutine and one connection a caller, requests rendered into
// one buffer and written at once, net/http's parser for the answers.
type overHTTP struct {
	server   *Server
	hosts    []string // of the replicas, as their URLs name them
	opened   atomic.Int64
	workload *workload
	batch    int
	bench    *bench
	versions int64 // sum of the accounts' versions before the load
}

func newOverHTTP(ctx context.Context, b *bench, p plan, w *workload) (load, error) {
	h := &overHTTP{server: b.Server, workload: w, batch: p.batch, bench: b}
	if err := h.findHosts(); err != nil {
		return nil, err
	}
	if err := h.openAccounts(ctx); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	if !b.Server.SharesDatabase {
		var err error
		if h.versions, err = h.sumVersions(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *overHTTP) findHosts() error {
	for _, replica := range h.server.URLs {
		target, err := url.Parse(replica)
		if err != nil || target.Scheme != "http" || target.Hostname() == "" {
			return fmt.Errorf("--url is %q, must be like http://127.0.0.1:8080", replica)
		}
		h.hosts = append(h.hosts, target.Host)
	}
	return nil
}

// each calls do for all accounts, over connections of its own.
func (h *overHTTP) each(ctx context.Context, do func(c *connection, i int) error) error {
	workers, ctx := errgroup.WithContext(ctx)
	for worker := range setupConnections {
		workers.Go(func() error {
			c, err := h.connect()
			if err != nil {
				return err
			}
			defer c.close()
			for i := worker; i < len(h.workload.accounts) && ctx.Err() == nil; i += setupConnections {
				if err := do(c, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return workers.Wait()
}

func (h *overHTTP) openAccounts(ctx context.Context) error {
	return h.each(ctx, func(c *connection, i int) error {
		body := fmt.Appendf(nil, `{"accountId":%q,"currency":%q,"balance":%q}`,
			h.workload.accounts[i], benchCurrency, money.Format(h.workload.opening(i), benchCurrency))
		return c.expect(http.StatusCreated, "POST", "/api/v1/accounts", body)
	})
}

// sumVersions asks the server for all accounts: each posting adds one to its
// account's version.
func (h *overHTTP) sumVersions(ctx context.Context) (int64, error) {
	versions := make([]int64, len(h.workload.accounts))
	err := h.each(ctx, func(c *connection, i int) error {
		status, answer, err := c.do("GET", "/api/v1/accounts/"+h.workload.accounts[i], nil)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return refusal(status, answer)
		}
		var account struct {
			Version int64 `json:"version"`
		}
		err = json.Unmarshal(answer, &account)
		versions[i] = account.Version
		return err
	})
	var sum int64
	for _, version := range versions {
		sum += version
	}
	return sum, err
}

func (h *overHTTP) submit(_ context.Context, caller *caller) (done, refused int, err error) {
	if caller.connection == nil {
		if caller.connection, err = h.connect(); err != nil {
			return 0, 0, err
		}
	}
	path := "/api/v1/transfers"
	body := caller.body[:0]
	if h.batch == 1 {
		body = h.appendTransfer(body, h.workload.next(caller.random))
	} else {
		path = "/api/v1/transfers/batch"
		body = append(body, `{"atomic":false,"transfers":[`...)
		for i := range h.batch {
			if i > 0 {
				body = append(body, ',')
			}
			body = h.appendTransfer(body, h.workload.next(caller.random))
		}
		body = append(body, "]}"...)
	}
	caller.body = body
	status, answer, err := caller.connection.do("POST", path, body)
	if err != nil {
		return 0, 0, err
	}
	switch {
	case status == http.StatusCreated && h.batch == 1:
		return 1, 0, nil
	case status == http.StatusUnprocessableEntity && h.batch == 1:
		return 0, 1, nil
	case status == http.StatusOK:
		// Every item has one status; counting is cheaper than parsing.
		done = bytes.Count(answer, []byte(`"COMPLETED"`))
		return done, h.batch - done, nil
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		time.Sleep(overloadPause)
		return 0, h.batch, nil
	}
	return 0, 0, refusal(status, answer)
}

func (h *overHTTP) appendTransfer(body []byte, c choice) []byte {
	body = append(body, `{"transactionId":"`...)
	body = append(body, c.id...)
	body = append(body, `","sourceAccountId":"`...)
	body = append(body, h.workload.accounts[c.from]...)
	body = append(body, `","destinationAccountId":"`...)
	body = append(body, h.workload.accounts[c.to]...)
	body = append(body, `","amount":"`...)
	body = append(body, c.amountInText...)
	body = append(body, `","currency":"`...)
	body = append(body, benchCurrency...)
	body = append(body, `","description":"`...)
	body = append(body, benchDescription...)
	return append(body, `"}`...)
}

// conflicts are those that the server's metrics tell, if it shows any to us.
func (h *overHTTP) conflicts() (int64, bool) {
	if h.server.OpsURL == "" {
		return 0, false
	}
	answer, err := (&http.Client{Timeout: dialTimeout}).Get(h.server.OpsURL + "/metrics")
	if err != nil {
		return 0, false
	}
	defer answer.Body.Close()
	var sum float64
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, conflictMetric) || !strings.Contains(line, `reason="conflict"`) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, false
		}
		sum += value
	}
	return int64(sum), lines.Err() == nil && answer.StatusCode == http.StatusOK
}

func (h *overHTTP) stored(ctx context.Context) (int64, error) {
	if h.server.SharesDatabase {
		return storedTransfers(ctx, h.bench.db, h.workload)
	}
	versions, err := h.sumVersions(ctx)
	if err == nil && (versions-h.versions)%2 != 0 {
		err = errors.New("an odd number of postings")
	}
	return (versions - h.versions) / 2, err
}

func (h *overHTTP) close() {}

// connection is one keep-alive connection.
type connection struct {
	net.Conn
	answers *bufio.Reader
	head    string // what every request's header begins with, after its first line
	request []byte
	answer  bytes.Buffer
}

// connect opens a connection to the next replica.
func (h *overHTTP) connect() (*connection, error) {
	host := h.hosts[int(h.opened.Add(1))%len(h.hosts)]
	address := host
	if _, _, err := net.SplitHostPort(host); err != nil {
		address = net.JoinHostPort(strings.Trim(host, "[]"), "80")
	}
	conn, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &connection{
		Conn: conn, answers: bufio.NewReaderSize(conn, 16<<10),
		head: " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + h.server.APIKey +
			"\r\nContent-Type: application/json\r\nContent-Length: ",
	}, nil
}

func (c *connection) close() { _ = c.Close() } // nothing is under way

// do sends one request and reads all of the answer, which is valid until the
// next call.
func (c *connection) do(method, path string, body []byte) (status int, answer []byte, err error) {
	c.request = append(append(append(append(c.request[:0], method...), ' '), path...), c.head...)
	c.request = append(strconv.AppendInt(c.request, int64(len(body)), 10), "\r\n\r\n"...)
	c.request = append(c.request, body...)
	if err := c.SetDeadline(clock.System().Add(requestTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(c.request); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	c.answer.Reset()
	if _, err := io.Copy(&c.answer, response.Body); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.Close {
		return 0, nil, fmt.Errorf("%s %s: the server closes the connection after an answer %s", method, path, response.Status)
	}
	return response.StatusCode, c.answer.Bytes(), nil
}

// expect is do for an answer of which only the status counts.
func (c *connection) expect(want int, method, path string, body []byte) error {
	status, answer, err := c.do(method, path, body)
	if err == nil && status != want {
		err = refusal(status, answer)
	}
	return err
}

// refusal is an answer that should not have come.
func refusal(status int, answer []byte) error {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(answer, &problem) == nil && problem.Title != "" {
		return fmt.Errorf("the server answered %d: %s %s", status, problem.Title, problem.Detail)
	}
	return fmt.Errorf("the server answered %d: %.200q", status, answer)
}
