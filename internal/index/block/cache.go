package block

import "audittrail/internal/index/block/lru"

// A Cache keeps what was read of blocks.
type Cache = lru.Cache[cacheKey]

type cacheKey struct {
	block *Block
	kind  part
	n     int
}

// NewCache makes a cache of a number of bytes.
func NewCache(limit int) *Cache { return lru.New[cacheKey](limit) }
