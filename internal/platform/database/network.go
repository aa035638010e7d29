package database

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// isNetworkError says whether err means that the connection broke. net.Error is
// no proof of that: every errno is one, that of a full disk too.
func isNetworkError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) ||
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
