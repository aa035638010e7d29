// Package cache remembers what is read often and changed seldom.
package cache

import (
	"sync"
	"time"
)

// Value remembers one value for a time. The zero Value remembers nothing. Safe for
// concurrent use; it must not be copied.
type Value[T any] struct {
	mu      sync.Mutex
	value   T
	until   time.Time
	forgets int // how often Forget was called
}

// Get returns the remembered value, or reads it and remembers it from now for keep.
// read is given what was remembered last, however old, or the zero value: it may
// return that again when it still holds. What is read while somebody forgets is
// returned but not remembered: it may be from before the change. Several that ask
// at once may each read. An error of read is returned and not remembered.
func (v *Value[T]) Get(now time.Time, keep time.Duration, read func(last T) (T, error)) (T, error) {
	v.mu.Lock()
	value, until, forgets := v.value, v.until, v.forgets
	v.mu.Unlock()
	if now.Before(until) {
		return value, nil
	}
	value, err := read(value)
	if err != nil {
		return value, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.forgets == forgets {
		v.value, v.until = value, now.Add(keep)
	}
	return value, nil
}

// Forget makes the next Get read. It is called after a change.
func (v *Value[T]) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.until = time.Time{}
	v.forgets++
}
