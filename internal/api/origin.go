package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// proxies are the networks of the proxies before this server, whose word on
// where a request comes from is taken. Nobody else's is.
type proxies []netip.Prefix

// forwardedMax bounds how many hops are read.
const forwardedMax = 20

// clientOf is the address of who made a request: the nearest one that is no
// proxy of ours. An address that makes no sense ends the search at the proxy
// that reported it.
func (p proxies) clientOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap().WithZone("")
	if len(p) == 0 || !p.contains(address) {
		return address
	}
	// Each proxy adds who it was asked by at the end; what stands before ours
	// may be made up.
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i, hop := range slices.Backward(hops) {
		if len(hops)-i > forwardedMax {
			break
		}
		reported, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = reported.Unmap().WithZone("")
		if !p.contains(address) {
			break
		}
	}
	return address
}

func (p proxies) contains(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}

func crossOrigin() *Problem {
	return codeCrossOrigin.problem("the page that sent this is of another origin")
}

// CheckOrigin says what is wrong with an origin for Options.CORSOrigins.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) {
		return fmt.Errorf("%q is no origin: write one like https://example.com", origin)
	}
	return nil
}

// newCrossOrigin protects from what browsers send for pages of other origins than
// the listed ones; there is no error when CheckOrigin has none.
func newCrossOrigin(trusted []string) (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if err := CheckOrigin(origin); err != nil {
			return nil, err
		}
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("trust %s: %w", origin, err)
		}
	}
	return protection, nil
}

var (
	corsMethods = []string{"GET, HEAD, POST, PUT, PATCH, DELETE"}
	corsHeaders = []string{"Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id"}
	corsExposed = []string{"ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"}
	corsMaxAge  = []string{"600"}
)

// allowOrigins lets pages of the listed origins call with a bearer token. They
// never get to use a cookie: there is no Access-Control-Allow-Credentials.
func (a *api) allowOrigins(c *gin.Context) {
	if len(a.corsOrigins) == 0 {
		return
	}
	header := c.Writer.Header()
	header["Vary"] = []string{"Origin"}
	origin := c.GetHeader("Origin")
	if !slices.Contains(a.corsOrigins, origin) {
		return
	}
	header["Access-Control-Allow-Origin"] = []string{origin}
	header["Access-Control-Expose-Headers"] = corsExposed
	if c.Request.Method != http.MethodOptions || c.GetHeader("Access-Control-Request-Method") == "" {
		return
	}
	r := requestFrom(c.Request.Context())
	r.address = a.proxies.clientOf(c.Request)
	if problem := a.limits.take(header, a.limits.byAddress(classPublic), networkOf(r)); problem != nil {
		a.answerProblem(c, problem)
		return
	}
	header["Access-Control-Allow-Methods"] = corsMethods
	header["Access-Control-Allow-Headers"] = corsHeaders
	header["Access-Control-Max-Age"] = corsMaxAge
	c.AbortWithStatus(http.StatusNoContent)
}
