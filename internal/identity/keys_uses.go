package identity

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"florin/internal/identity/internal/identitydb"
)

const (
	// useStep is how exactly the last use of a key is kept.
	useStep = time.Minute
	// usesPause is how often uses are written.
	usesPause = 10 * time.Second
	// usesTimeout bounds one write.
	usesTimeout = 5 * time.Second
	// usesMax bounds the keys remembered for it.
	usesMax = keyCacheMax
)

// keyUses are the last uses of keys that are not written yet.
type keyUses struct {
	mu      sync.Mutex
	waiting map[string]keyUse // by key id
}

type keyUse struct {
	at      time.Time
	address string
}

// note remembers a use, unless one of the last minute is stored. It is called when
// a key is read from the database, not for each use.
func (u *keyUses) note(key *goodKey, from netip.Addr, now time.Time) {
	if key.lastUsedAt != nil && now.Sub(*key.lastUsedAt) < useStep {
		return
	}
	use := keyUse{at: now}
	if from.IsValid() {
		use.address = from.Unmap().WithZone("").String()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting == nil || len(u.waiting) >= usesMax {
		u.waiting = map[string]keyUse{}
	}
	u.waiting[key.principal.ID] = use
}

func (u *keyUses) take() map[string]keyUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.waiting
	u.waiting = nil
	return taken
}

// Run writes when and from where keys were last used, in the background, until ctx
// ends; then once more. Without it Key.LastUsedAt stays as it is.
func (k *Keys) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(usesPause)
	defer ticker.Stop()
	for isLast := false; !isLast; {
		select {
		case <-ctx.Done():
			isLast = true
		case <-ticker.C:
		}
		if err := k.WriteUses(context.WithoutCancel(ctx)); err != nil {
			log.Warn("the last use of API keys can't be stored", "error", err)
		}
	}
}

// WriteUses writes the uses noted so far. What can't be written is noted again
// within a minute, if the key is still in use.
func (k *Keys) WriteUses(ctx context.Context) error {
	taken := k.uses.take()
	if len(taken) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, usesTimeout)
	defer cancel()
	var uses identitydb.NoteAPIKeyUsesParams
	for keyID, use := range taken {
		uses.KeyIds = append(uses.KeyIds, keyID)
		uses.UsedAt = append(uses.UsedAt, use.at)
		uses.Addresses = append(uses.Addresses, use.address)
	}
	return k.queries.NoteAPIKeyUses(ctx, uses)
}
