package block

import "audittrail/internal/index/block/lru"

// A Cache keeps parts of blocks that were read.
type Cache = lru.Cache[cacheKey]

type cacheKey struct {
	block *Block
	kind  part
	n     int
}

// NewCache returns a cache of at most limit bytes.
func NewCache(limit int) *Cache { return lru.New[cacheKey](limit) }
