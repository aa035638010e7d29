package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how often a caller may call: so many times at once, and as many again
// evenly over each window. The zero Limit is none.
type Limit struct {
	Quota  int
	Window time.Duration
}

// IsUnlimited says that there is no limit.
func (l Limit) IsUnlimited() bool { return l.Quota == 0 }

// String writes a limit as ParseLimit reads it.
func (l Limit) String() string {
	if l.IsUnlimited() {
		return unlimited
	}
	return fmt.Sprintf("%d/%s", l.Quota, l.Window)
}

const (
	unlimited = "none"
	quotaMax  = 1_000_000_000
	windowMax = 24 * time.Hour
)

// ParseLimit reads a limit like 100/10s, or none. The window is of whole seconds,
// up to a day.
func ParseLimit(text string) (Limit, error) {
	if text == unlimited {
		return Limit{}, nil
	}
	quota, window, _ := strings.Cut(text, "/")
	var l Limit
	var quotaErr, windowErr error
	l.Quota, quotaErr = strconv.Atoi(quota)
	l.Window, windowErr = time.ParseDuration(window)
	if quotaErr != nil || windowErr != nil || l.Quota < 1 || l.Quota > quotaMax ||
		l.Window < time.Second || l.Window > windowMax || l.Window%time.Second != 0 {
		return Limit{}, fmt.Errorf("%q is no limit: write one like 100/10s, or none", text)
	}
	return l, nil
}

// Policy is a limit with a name, by which callers are told of it. Buckets belong
// to a Policy by its address.
type Policy struct {
	name   string
	limit  Limit
	rate   rate.Limit
	header []string
}

// NewPolicy names a limit. The name is lower-case letters.
func NewPolicy(name string, l Limit) *Policy {
	p := &Policy{name: `"` + name + `"`, limit: l}
	if !l.IsUnlimited() {
		p.rate = rate.Limit(float64(l.Quota) / l.Window.Seconds())
		p.header = []string{fmt.Sprintf("%s;q=%d;w=%d", p.name, l.Quota, l.Window/time.Second)}
	}
	return p
}

// Limit is the policy's.
func (p *Policy) Limit() Limit { return p.limit }

func (p *Policy) verdict(allowed bool, tokens float64) Verdict {
	v := Verdict{Allowed: allowed, Remaining: max(0, int(tokens)), Refill: p.timeFor(float64(p.limit.Quota) - tokens)}
	if !allowed {
		v.Wait = p.timeFor(1 - tokens)
	}
	return v
}

func (p *Policy) timeFor(tokens float64) time.Duration {
	return time.Duration(math.Ceil(max(0, tokens) / float64(p.rate) * float64(time.Second)))
}

// PolicyHeader is the value of the header RateLimit-Policy as
// draft-ietf-httpapi-ratelimit-headers-10 has it; none without a limit. The
// caller doesn't change it.
func (p *Policy) PolicyHeader() []string { return p.header }

// StateHeader is the value of the header RateLimit after a verdict: what remains,
// and in how many seconds the whole quota is there again.
func (p *Policy) StateHeader(v Verdict) []string {
	text := make([]byte, 0, 40)
	text = append(append(text, p.name...), ";r="...)
	text = strconv.AppendInt(text, int64(v.Remaining), 10)
	text = append(text, ";t="...)
	text = strconv.AppendInt(text, Seconds(v.Refill), 10)
	return []string{string(text)}
}

// Seconds rounds up, so that who waits so long has waited long enough.
func Seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
