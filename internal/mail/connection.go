package mail

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// connection is the one to the mail server during one Send. It can be closed at
// any time and by anybody.
type connection struct {
	sender *SMTP

	mu       sync.Mutex
	open     net.Conn
	isClosed bool
}

func (c *connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if c.sender.isTLS {
		dialer = &tls.Dialer{Config: c.sender.tls}
	}
	if c.sender.dialTo != "" {
		address = c.sender.dialTo
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	c.open = conn
	return conn, nil
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isClosed = true
	if c.open == nil {
		return
	}
	conn := c.open
	if encrypted, isTLS := conn.(*tls.Conn); isTLS {
		conn = encrypted.NetConn() // without a farewell, which could wait for the server
	}
	_ = conn.Close()
}
