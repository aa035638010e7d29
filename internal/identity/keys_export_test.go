package identity

import "encoding/binary"

// KeyCacheMax is keyCacheMax.
const KeyCacheMax = keyCacheMax

// FloodCache remembers more unknown keys than there is room for, and says how many
// keys are remembered.
func (k *Keys) FloodCache() (good, unknown int) {
	now := k.clock()
	for i := range keyCacheMax * 3 {
		var hash keyHash
		binary.BigEndian.PutUint64(hash[:], uint64(i))
		k.cache.keep(k.cache.current(), hash, nil, now)
		unknown = max(unknown, len(k.cache.unknown))
	}
	return len(k.cache.good), unknown
}
