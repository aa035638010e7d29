package mail

import (
	"net"
	"strconv"
)

// ConnectTo has the sender connect to another address than that of its host, as if
// its name led there.
func (s *SMTP) ConnectTo(address string) {
	host, port, _ := net.SplitHostPort(address)
	s.dialTo = net.JoinHostPort(host, port)
	s.port, _ = strconv.Atoi(port)
}
