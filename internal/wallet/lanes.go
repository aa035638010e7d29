package wallet

import (
	"context"
	"hash/maphash"
)

// lanes let one payment of a user be judged and booked at a time in this process,
// so that the next one's facts count it. Users may share a lane. Replicas don't
// share lanes: what must hold across them, amount limits, is decided by the ledger
// under the account's lock.
type lanes struct {
	seed  maphash.Seed
	lanes [256]chan struct{}
}

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.lanes {
		l.lanes[i] = make(chan struct{}, 1)
	}
	return l
}

// enter waits for the user's lane; leave must be called once. Returns ctx's error.
func (l *lanes) enter(ctx context.Context, userID string) (leave func(), err error) {
	lane := l.lanes[maphash.String(l.seed, userID)%uint64(len(l.lanes))]
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
