package keyring

import (
	"sync"
)

const (
	shards    = 64
	shardSize = 2048 // entries of one generation of a shard; there are two
)

// A cache keeps up to 262,144 keys, most of them recently used. Each shard has
// a young and an old generation: keys that are used move from the old one to
// the young one, and the rest of the old one is dropped when the young one is
// full.
type cache[K comparable, V any] struct {
	shard  func(K) uint
	shards [shards]cacheShard[K, V]
}

type cacheShard[K comparable, V any] struct {
	mu         sync.RWMutex // guards both maps
	young, old map[K]V
}

func newCache[K comparable, V any](shard func(K) uint) *cache[K, V] {
	return &cache[K, V]{shard: shard}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	s := &c.shards[c.shard(k)%shards]
	s.mu.RLock()
	v, ok := s.young[k]
	old := false
	if !ok {
		v, old = s.old[k]
	}
	s.mu.RUnlock()
	if old {
		return s.promote(k)
	}
	return v, ok
}

// promote looks the key up again under the lock: the cache may have been
// emptied in between, and then the key must not reappear.
func (s *cacheShard[K, V]) promote(k K) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.old[k]
	if !ok {
		v, ok = s.young[k]
		return v, ok
	}
	s.put(k, v)
	return v, true
}

func (c *cache[K, V]) put(k K, v V) {
	s := &c.shards[c.shard(k)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(k, v)
}

func (s *cacheShard[K, V]) put(k K, v V) {
	if len(s.young) >= shardSize {
		wipeMap(s.old)
		s.old, s.young = s.young, nil
	}
	if s.young == nil {
		s.young = map[K]V{}
	}
	s.young[k] = v
}

// empty removes all keys.
func (c *cache[K, V]) empty() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		wipeMap(s.young)
		wipeMap(s.old)
		s.young, s.old = nil, nil
		s.mu.Unlock()
	}
}

// wipeMap zeroes the values of a map, which clear alone leaves in memory.
func wipeMap[K comparable, V any](m map[K]V) {
	var none V
	for k := range m {
		m[k] = none
	}
	clear(m)
}
