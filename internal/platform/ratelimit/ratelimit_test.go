package ratelimit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fakeClock is moved by tests.
type fakeClock struct{ nanos atomic.Int64 }

func (c *fakeClock) now() time.Time          { return time.Unix(1_800_000_000, c.nanos.Load()).UTC() }
func (c *fakeClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func newTestLimiter(buckets int) (*Limiter, *fakeClock) {
	var clock fakeClock
	return New(clock.now, buckets), &clock
}

func TestQuotaIsThereAtOnceAndComesBackEvenly(t *testing.T) {
	l, clock := newTestLimiter(1000)
	p := NewPolicy("write", Limit{Quota: 4, Window: 2 * time.Second})
	caller := Caller("a")
	for i := range 4 {
		if v := l.Take(p, caller); !v.Allowed || v.Remaining != 3-i || v.Wait != 0 {
			t.Fatalf("call %d: %+v", i, v)
		}
	}
	v := l.Take(p, caller)
	if v.Allowed || v.Remaining != 0 || v.Wait != 500*time.Millisecond || v.Refill != 2*time.Second {
		t.Fatalf("one too many: %+v", v)
	}
	if header := fmt.Sprint(p.PolicyHeader(), p.StateHeader(v)); header != `["write";q=4;w=2] ["write";r=0;t=2]` {
		t.Errorf("headers %s", header)
	}
	if l.Take(p, Caller("b")).Remaining != 3 {
		t.Error("callers share a bucket")
	}
	clock.advance(v.Wait - time.Millisecond)
	if l.Take(p, caller).Allowed {
		t.Error("allowed before its time")
	}
	clock.advance(time.Millisecond)
	if !l.Take(p, caller).Allowed || l.Take(p, caller).Allowed {
		t.Error("not exactly one is allowed after the wait")
	}
	clock.advance(time.Hour)
	if v := l.Look(p, caller); !v.Allowed || v.Remaining != 4 {
		t.Errorf("after an hour: %+v", v)
	}
}

func TestLookTakesNothing(t *testing.T) {
	l, _ := newTestLimiter(1000)
	p := NewPolicy("x", Limit{Quota: 1, Window: time.Second})
	for range 5 {
		if !l.Look(p, Caller("a")).Allowed {
			t.Fatal("a look was counted")
		}
	}
	l.Take(p, Caller("a"))
	if v := l.Look(p, Caller("a")); v.Allowed || v.Wait != time.Second {
		t.Errorf("%+v", v)
	}
}

func TestNetworksAreWhatOneCustomerHas(t *testing.T) {
	same := func(a, b string) bool { return Network(netip.MustParseAddr(a)) == Network(netip.MustParseAddr(b)) }
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.2.3.4", "1.2.3.4", true}, {"1.2.3.4", "1.2.3.5", false}, {"1.2.3.4", "::ffff:1.2.3.4", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true}, {"2001:db8::1", "2001:db8:0:1::1", false}, {"fe80::1%a", "fe80::1%b", true},
	} {
		if same(c.a, c.b) != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, !c.want)
		}
	}
	if Network(netip.Addr{}) == Network(netip.MustParseAddr("0.0.0.0")) {
		t.Error("invalid addresses are not one of their own")
	}
}

// However many callers come, memory is bounded, and who is over his limit gains
// nothing by it: the fuller buckets go first.
func TestMemoryIsBoundedAndTheBusyStay(t *testing.T) {
	const room = 32 * 64
	l, clock := newTestLimiter(room)
	p := NewPolicy("x", Limit{Quota: 100, Window: time.Hour})
	attacker := Caller("attacker")
	for range 100 {
		l.Take(p, attacker)
	}
	forgotten := 0
	for i := range 20 * room {
		l.Take(p, Caller(fmt.Sprint(i)))
		if i%97 == 0 && l.Take(p, attacker).Allowed {
			forgotten++
		}
	}
	count := func() (n int) {
		for i := range l.shards {
			n += len(l.shards[i].buckets)
		}
		return n
	}
	if n := count(); n > room {
		t.Errorf("%d buckets, room for %d", n, room)
	}
	if forgotten > 0 {
		t.Errorf("the busy one was forgotten %d times", forgotten)
	}
	// What has filled up is forgotten as others come.
	clock.advance(2 * time.Hour)
	const others = room / 2
	for i := range others {
		l.Take(p, Caller(fmt.Sprint("new", i)))
	}
	if n := count(); n > others+room/4 {
		t.Errorf("%d buckets after all but %d had filled up", n, others)
	}
}

func TestManyAtOnceGetTheQuotaAndNoMore(t *testing.T) {
	l, _ := newTestLimiter(1000)
	p := NewPolicy("x", Limit{Quota: 500, Window: time.Hour})
	var allowed atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 100 {
				if l.Take(p, Caller("one")).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	callers.Wait()
	if allowed.Load() != 500 {
		t.Errorf("%d were allowed", allowed.Load())
	}
}

// In no stretch of time are more allowed than the quota and what came back in it.
func TestNeverMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, clock := newTestLimiter(1000)
		limit := Limit{Quota: rapid.IntRange(1, 50).Draw(t, "quota"), Window: time.Duration(rapid.IntRange(1, 60).Draw(t, "window")) * time.Second}
		p := NewPolicy("x", limit)
		begun := clock.now()
		allowed := 0
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 300).Draw(t, "pauses") {
			clock.advance(time.Duration(pause) * time.Millisecond)
			v := l.Take(p, Caller("a"))
			if v.Allowed {
				allowed++
			}
			if v.Allowed == (v.Wait > 0) || v.Remaining < 0 || v.Remaining > limit.Quota || v.Refill < 0 || v.Refill > limit.Window+time.Microsecond {
				t.Fatalf("%v: %+v", limit, v)
			}
			most := float64(limit.Quota) * (1 + clock.now().Sub(begun).Seconds()/limit.Window.Seconds())
			if float64(allowed) > most+1e-6 {
				t.Fatalf("%v: %d were allowed in %s", limit, allowed, clock.now().Sub(begun))
			}
		}
	})
}

func FuzzParseLimit(f *testing.F) {
	for _, seed := range []string{"100/10s", "none", "1/1s", "0/1s", "-1/1s", "1/0s", "1/1ms", "1/25h", "1", "/", "1/1s/1s", "1e3/1s", "+5/1m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := ParseLimit(text)
		if err != nil {
			return
		}
		if again, err := ParseLimit(limit.String()); err != nil || again != limit {
			t.Fatalf("%q became %v, which is read as %v: %v", text, limit, again, err)
		}
		l, _ := newTestLimiter(100)
		if v := l.Take(NewPolicy("x", limit), Caller("a")); !v.Allowed {
			t.Fatalf("%q lets nobody in: %+v", text, v)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	l := New(func() time.Time { return time.Now() }, 100_000)
	p := NewPolicy("write", Limit{Quota: 1_000_000, Window: time.Second})
	caller := Caller("user usr_w3m5x2k4z6n2p7r5t3v6y4a2q7")
	b.ReportAllocs()
	for b.Loop() {
		l.Take(p, caller)
	}
}
