package database

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// isNetworkError says whether err means that the connection broke.
func isNetworkError(err error) bool {
	var op net.Error
	return errors.As(err, &op) ||
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
