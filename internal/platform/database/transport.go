package database

import (
	"crypto/tls"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// IsExposed says whether connections to the database at a URL can cross a network
// without TLS, or without a proof that it is the right server: what they carry
// could be read, or changed. A URL that makes no sense is not exposed: nothing
// connects by it.
func IsExposed(url string) bool {
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return false
	}
	if isRemote(config.Host) && !isVerified(config.TLSConfig) {
		return true
	}
	for _, fallback := range config.Fallbacks {
		if isRemote(fallback.Host) && !isVerified(fallback.TLSConfig) {
			return true
		}
	}
	return false
}

func isRemote(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" { // a socket in the file system
		return false
	}
	address := net.ParseIP(host)
	return address == nil || !address.IsLoopback()
}

// isVerified says whether the server must prove who it is: by its name, or with
// sslmode=verify-ca by its authority, which pgconn checks by itself.
func isVerified(config *tls.Config) bool {
	return config != nil && (!config.InsecureSkipVerify || config.VerifyPeerCertificate != nil)
}
