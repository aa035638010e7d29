package dbtest

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Proxy stands between a test's connections and the database, and breaks them at
// the worst moments.
type Proxy struct {
	// URL is the database's, through the proxy.
	URL string

	listener net.Listener
	target   string

	mu     sync.Mutex
	open   map[net.Conn]bool
	armed  int
	mode   Break
	broken int
}

// Break says what becomes of a COMMIT that the proxy breaks, and what the client
// sees of it.
type Break int

// What can become of it. Unless it says otherwise the client sees its connection
// gone, and no answer.
const (
	CommitApplied Break = iota // the database did it, its answer was lost
	CommitLost                 // the database never heard of it
	// CommitAppliedThenGone is CommitApplied, and the database is not reached again.
	CommitAppliedThenGone
	// CommitAppliedThenSilence is CommitApplied, and the client waits for ever on
	// a connection that stays open.
	CommitAppliedThenSilence
	// CommitAppliedYetTimedOut is CommitApplied, and the client is told that the
	// statement took too long. CockroachDB answers so when statement_timeout ends
	// during a COMMIT, whatever became of it.
	CommitAppliedYetTimedOut
)

// commitMessage is how pgx sends COMMIT: a simple Query of the wire protocol.
var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

// NewProxy starts a proxy to the database at databaseURL, until the test ends.
func NewProxy(t *testing.T, databaseURL string) *Proxy {
	t.Helper()
	target, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target.Host, open: map[net.Conn]bool{}}
	target.Host = listener.Addr().String()
	p.URL = target.String()
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
	})
	return p
}

// BreakCommits breaks the next n COMMITs.
func (p *Proxy) BreakCommits(n int, mode Break) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.mode = n, mode
}

// Broken is how many COMMITs were broken.
func (p *Proxy) Broken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

// Cut breaks every connection that is open.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		_ = conn.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		l := &link{proxy: p, client: client, server: server}
		go l.forward()
		go l.backward()
	}
}

// take says whether a COMMIT is to be broken.
func (p *Proxy) take() (mode Break, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed == 0 {
		return 0, false
	}
	p.armed--
	p.broken++
	if p.mode == CommitAppliedThenGone {
		_ = p.listener.Close()
	}
	return p.mode, true
}

// link is one client's connection.
type link struct {
	proxy          *Proxy
	client, server net.Conn

	mu     sync.Mutex
	broken bool // COMMIT was sent: its answer is handled as mode says
	mode   Break
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	delete(l.proxy.open, l.client)
	delete(l.proxy.open, l.server)
}

// forward passes on what the client says. The client waits for the answer to
// what it said before COMMIT, so a COMMIT always comes alone.
func (l *link) forward() {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Equal(buffer[:n], commitMessage) {
			if mode, taken := l.proxy.take(); taken && mode == CommitLost {
				return
			} else if taken {
				l.mu.Lock()
				l.broken, l.mode = true, mode
				l.mu.Unlock()
			}
		}
		if _, err := l.server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (l *link) backward() {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if err != nil {
			return
		}
		answer := buffer[:n]
		if mode, broken := l.commitBroken(); broken {
			switch mode {
			case CommitAppliedThenSilence:
				continue
			case CommitAppliedYetTimedOut:
				answer = timedOut
				l.mend()
			default:
				return
			}
		}
		if _, err := l.client.Write(answer); err != nil {
			return
		}
	}
}

func (l *link) commitBroken() (mode Break, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.broken
}

// mend lets what follows the COMMIT's answer pass again.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = false
}

// timedOut is the answer to a statement that took too long. Both engines send
// the answer to COMMIT as one piece, which this takes the place of.
var timedOut = func() []byte {
	refusal := &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "query execution canceled due to statement timeout"}
	answer, err := refusal.Encode(nil)
	if err != nil {
		panic(err) // a constant
	}
	answer, err = (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(answer)
	if err != nil {
		panic(err)
	}
	return answer
}()
