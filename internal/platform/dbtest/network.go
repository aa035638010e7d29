package dbtest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Network is a bad network between a test's connections and the database. It
// knows nothing of what passes through it; Proxy does.
type Network struct {
	// URL is the database's, through the network.
	URL string

	t     *testing.T
	proxy *toxiproxy.Proxy
}

// Trouble is one thing that is wrong with a network, in toxiproxy's words: a type
// such as latency, limit_data, reset_peer, slicer or timeout, and its attributes.
type Trouble struct {
	Type string `json:"type"`
	// Stream is upstream for what the client says, downstream for the answers.
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// NewNetwork starts a network to the database at databaseURL, with no trouble at
// first, until the test ends.
func NewNetwork(t *testing.T, databaseURL string) *Network {
	t.Helper()
	target, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n := &Network{t: t, proxy: toxiproxy.NewProxy(server, "database", "127.0.0.1:0", target.Host)}
	n.Reconnect()
	t.Cleanup(n.Cut)
	target.Host = n.proxy.Listen
	n.URL = target.String()
	return n
}

// Suffer makes the trouble begin, for connections that are open and for new ones.
func (n *Network) Suffer(trouble Trouble) {
	n.t.Helper()
	toxic, err := json.Marshal(trouble)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.proxy.Toxics.AddToxicJson(bytes.NewReader(toxic)); err != nil {
		n.t.Fatalf("%s: %v", toxic, err)
	}
}

// Heal ends all troubles.
func (n *Network) Heal() { n.proxy.Toxics.ResetToxics(n.t.Context()) }

// Cut breaks every connection and refuses new ones until Reconnect.
func (n *Network) Cut() { n.proxy.Stop() }

// Reconnect lets new connections through again.
func (n *Network) Reconnect() {
	n.t.Helper()
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}
