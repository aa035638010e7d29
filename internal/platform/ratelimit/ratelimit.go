// Package ratelimit bounds how often callers may call: a token bucket for each
// caller and policy, in memory.
//
// Buckets are this process's alone, so n replicas let a caller that is spread
// over them have n times a limit. Their number is bounded: a bucket that has
// filled up again is the same as none and is forgotten, and when all are in use
// the one that has most left makes room, by which its caller gains least.
package ratelimit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"florin/internal/platform/clock"
)

// Subject is who a bucket belongs to.
type Subject struct {
	id      string
	network netip.Prefix
}

// Caller is the subject of a known caller. Ids of different kinds of callers
// must differ.
func Caller(id string) Subject { return Subject{id: id} }

const ipv6Bits = 64

// Network is the subject of an address: itself, for IPv6 its /64, which is what
// one customer of a provider has at least. All invalid addresses are one subject.
func Network(address netip.Addr) Subject {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = ipv6Bits
	}
	prefix, _ := address.Prefix(bits) // the zero Prefix for an invalid address
	return Subject{network: prefix}
}

// Verdict says whether a call may be made.
type Verdict struct {
	Allowed bool
	// Remaining is how many calls may be made at once after this one.
	Remaining int
	// Wait is how long it takes until the next call is allowed; 0 when it is.
	Wait time.Duration
	// Refill is how long it takes until the bucket is full again.
	Refill time.Duration
}

const (
	shardCount = 32
	// lookedAt is how many buckets are looked at, to forget them, when one is made.
	lookedAt = 4
)

// Limiter keeps buckets. Safe for concurrent use.
type Limiter struct {
	now       clock.Clock
	seed      maphash.Seed
	shardSize int
	shards    [shardCount]shard
}

type shard struct {
	mu      sync.Mutex
	buckets map[key]*rate.Limiter
}

type key struct {
	policy  *Policy
	subject Subject
}

// New makes a Limiter of at most so many buckets, some 200 bytes each.
func New(now clock.Clock, bucketsMax int) *Limiter {
	l := &Limiter{now: now, seed: maphash.MakeSeed(), shardSize: max(1, bucketsMax/shardCount)}
	for i := range l.shards {
		l.shards[i].buckets = map[key]*rate.Limiter{}
	}
	return l
}

// Take takes a call from the subject's bucket of the policy, unless it is empty.
func (l *Limiter) Take(p *Policy, s Subject) Verdict {
	if p.limit.IsUnlimited() {
		return Verdict{Allowed: true, Remaining: math.MaxInt}
	}
	now := l.now()
	bucket := l.bucket(key{p, s}, now)
	return p.verdict(bucket.AllowN(now, 1), bucket.TokensAt(now))
}

// Look says what Take would, and takes nothing.
func (l *Limiter) Look(p *Policy, s Subject) Verdict {
	now, k := l.now(), key{p, s}
	shard := l.shard(k)
	shard.mu.Lock()
	bucket := shard.buckets[k]
	shard.mu.Unlock()
	if bucket == nil {
		return Verdict{Allowed: true, Remaining: p.limit.Quota}
	}
	tokens := bucket.TokensAt(now)
	return p.verdict(tokens >= 1, tokens)
}

func (l *Limiter) shard(k key) *shard {
	return &l.shards[maphash.Comparable(l.seed, k)%shardCount]
}

func (l *Limiter) bucket(k key, now time.Time) *rate.Limiter {
	shard := l.shard(k)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	bucket := shard.buckets[k]
	if bucket == nil {
		shard.makeRoom(l.shardSize, now)
		bucket = rate.NewLimiter(k.policy.rate, k.policy.limit.Quota)
		shard.buckets[k] = bucket
	}
	return bucket
}

// makeRoom forgets some buckets that are full, and one that is not when there is
// no room otherwise. A map's iteration begins anywhere, so in time it sees all.
func (s *shard) makeRoom(size int, now time.Time) {
	var fullest key
	most, looked := -1.0, 0
	for k, bucket := range s.buckets {
		share := bucket.TokensAt(now) / float64(bucket.Burst())
		if share >= 1 {
			delete(s.buckets, k)
		} else if share > most {
			fullest, most = k, share
		}
		if looked++; looked == lookedAt {
			break
		}
	}
	if len(s.buckets) >= size {
		delete(s.buckets, fullest)
	}
}
