package ledger

import "sync"

const (
	// crowdShare is the part of a batch's commands, one in so many, from which on
	// an account that they share is worth a lock of its own.
	crowdShare = 10
	// crowdMax bounds what is remembered.
	crowdMax = 1000
)

// crowd remembers the hot accounts, which many commands of a batch share, and
// where they live. On CockroachDB a batch locks the hottest of its accounts first
// (see the query LockFirst): replicas that all want one account would else starve
// the one that is farthest from it.
type crowd struct {
	mu    sync.Mutex
	homes map[string]string // home region by account
}

type crowdedAccount struct{ id, homeRegion string }

// first chooses the account to lock first: the one that most commands share, or
// else one that was shared in an earlier batch; nil when there is none that is
// known.
func (c *crowd) first(k *keys) *crowdedAccount {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, _ := hottest(k)
	if _, known := c.homes[id]; !known {
		id = ""
		for account := range k.accounts {
			if _, known := c.homes[account]; known && (id == "" || account < id) {
				id = account
			}
		}
	}
	if id == "" {
		return nil
	}
	return &crowdedAccount{id, c.homes[id]}
}

// learn remembers the batch's hottest account.
func (c *crowd) learn(k *keys, b *book) {
	id, uses := hottest(k)
	account := b.accounts[id]
	if account == nil || uses < 2 || uses*crowdShare < k.commands {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.homes[id]; known {
		return
	}
	if c.homes == nil || len(c.homes) >= crowdMax {
		c.homes = map[string]string{}
	}
	c.homes[id] = account.HomeRegion
}

// hottest is the account that most commands share, the first by id among equals.
func hottest(k *keys) (id string, uses int) {
	for account, n := range k.accounts {
		if n > uses || n == uses && account < id {
			id, uses = account, n
		}
	}
	return id, uses
}
