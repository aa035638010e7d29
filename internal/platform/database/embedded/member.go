package embedded

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/process"
)

// member is a CockroachDB node of a cluster.
type member struct {
	*cockroach
	region   string
	httpPort int
	join     []string // addresses of all nodes
	leads    bool     // sets up what all share
}

// All nodes of a cluster read this machine's one clock, so their offset may be
// small, which makes writes to GLOBAL tables quick. Those are dated ahead, by the
// offset and 0.3 seconds; half a lease less the offset must be longer, or they
// fail with "request timestamp too far in future", as with a lease of 2 seconds
// and the default offset of 500 ms.
const (
	memberOffset = "250ms"
	memberLease  = "3s"
)

// newMember makes the node of a region, with the ports that it had before unless
// somebody else has taken them.
func newMember(f *folder, region string, taken ports, o Options) (*node, *member, error) {
	c, err := newCockroach(f, o, nil)
	if err != nil {
		return nil, nil, err
	}
	last := f.readState()
	n := &node{folder: f, region: region, port: last.Port, httpPort: last.HTTPPort, options: o, log: o.Log.With("region", region)}
	if !last.alive() { // else they are the orphan's
		n.port, n.httpPort = taken.pick(last.Port), taken.pick(last.HTTPPort)
	}
	m := &member{cockroach: c, region: region, httpPort: n.httpPort}
	n.engine = m
	return n, m, nil
}

func (m *member) title() string { return "CockroachDB in " + m.region }

// url bounds the wait for one node, so that a client goes on to the next.
func (m *member) url(port int, database string) string {
	return m.cockroach.url(port, database) + "&connect_timeout=3"
}

func (m *member) command(port int) (*exec.Cmd, error) {
	if err := m.announce(); err != nil {
		return nil, fmt.Errorf("%w: %w: make it writable or choose another data folder", ErrBrokenDataDir, err)
	}
	return m.run(syscall.SIGKILL, memberLease, "start",
		"--listen-addr="+address(port), // SQL too
		"--http-addr="+address(m.httpPort),
		"--join="+strings.Join(m.join, ","),
		"--locality=region="+m.region,
		"--max-offset="+memberOffset,
		"--store="+m.dir,
		"--cache=128MiB",
		"--max-sql-memory=128MiB",
	), nil
}

// initialize makes one cluster of all nodes as soon as this one listens. It is
// not tried again: two tries could make two clusters.
func (m *member) initialize(ctx context.Context) error {
	for {
		text, err := os.ReadFile(m.announcement())
		if here, wrong := url.Parse(strings.TrimSpace(string(text))); err == nil && wrong == nil && here.Host != "" {
			cmd := exec.CommandContext(ctx, m.program, "init", "--insecure", "--host="+here.Host)
			cmd.SysProcAttr = process.Attributes(0)
			if output, err := cmd.CombinedOutput(); err != nil {
				if ctx.Err() != nil {
					err = ctx.Err()
				}
				return fmt.Errorf("%w: cockroach init failed (%w): %s", ErrNotStarted, err, complaint(output))
			}
			return nil
		}
		if !clock.Sleep(ctx, pollPause) {
			return fmt.Errorf("%w: %s never listened: %w", ErrNotStarted, m.title(), ctx.Err())
		}
	}
}

func (m *member) setUp(ctx context.Context, conn *pgx.Conn) error {
	if !m.leads {
		return nil
	}
	return m.cockroach.setUp(ctx, conn)
}
