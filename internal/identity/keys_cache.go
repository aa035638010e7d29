package identity

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

const (
	// keyCacheTime is how long a replica may still take a key that was revoked on
	// another one, or whose person was locked.
	keyCacheTime = 5 * time.Second
	// keyCacheMax bounds the keys remembered, good and unknown ones apart: a flood
	// of guesses must not push out what is good.
	keyCacheMax = 10_000
)

type keyHash [sha256.Size]byte

// goodKey is what a key was good for when it was read.
type goodKey struct {
	principal  Principal
	networks   []netip.Prefix // none: from anywhere
	expiresAt  *time.Time
	lastUsedAt *time.Time
}

// allows says whether the key may be used at a time from an address.
func (g *goodKey) allows(now time.Time, from netip.Addr) bool {
	if g.expiresAt != nil && !now.Before(*g.expiresAt) {
		return false
	}
	if len(g.networks) == 0 {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, network := range g.networks {
		if network.Contains(from) {
			return true
		}
	}
	return false
}

// keyCache remembers, each for keyCacheTime, keys that are good, hashes that
// nobody has, and the keys of odd forms, of which there are so few that all are
// kept at once. Safe for concurrent use.
type keyCache struct {
	mu         sync.RWMutex
	generation int // changes when all is forgotten: what was read before is not kept
	good       map[keyHash]remembered
	unknown    map[keyHash]time.Time // until
	odd        map[keyHash]*goodKey
	oddUntil   time.Time
}

type remembered struct {
	key   *goodKey
	until time.Time
}

// find returns a good key, or whether the hash is known to be nobody's.
func (c *keyCache) find(hash keyHash, now time.Time) (key *goodKey, isUnknown bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if entry, found := c.good[hash]; found && now.Before(entry.until) {
		return entry.key, false
	}
	return nil, now.Before(c.unknown[hash])
}

// findOdd looks among the keys of odd forms; isFresh is false when they must be
// read again first.
func (c *keyCache) findOdd(hash keyHash, now time.Time) (key *goodKey, isFresh bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.odd[hash], now.Before(c.oddUntil)
}

func (c *keyCache) current() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.generation
}

// keep remembers what was read in a generation at a time; a nil key is unknown.
func (c *keyCache) keep(generation int, hash keyHash, key *goodKey, readAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if key == nil {
		if len(c.unknown) >= keyCacheMax {
			clear(c.unknown)
		}
		c.unknown[hash] = readAt.Add(keyCacheTime)
		return
	}
	if len(c.good) >= keyCacheMax {
		clear(c.good)
	}
	c.good[hash] = remembered{key: key, until: readAt.Add(keyCacheTime)}
}

func (c *keyCache) keepOdd(generation int, odd map[keyHash]*goodKey, readAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.odd, c.oddUntil = odd, readAt.Add(keyCacheTime)
	}
}

// reset forgets everything.
func (c *keyCache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.good, c.unknown = map[keyHash]remembered{}, map[keyHash]time.Time{}
	c.odd, c.oddUntil = nil, time.Time{}
}
