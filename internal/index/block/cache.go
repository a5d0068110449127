package block

import (
	"container/list"
	"sync"
)

// A Cache keeps what was read of blocks, the latest used of it, within a number
// of bytes. Many goroutines may use it.
type Cache struct {
	mu    sync.Mutex // guards all below
	limit int
	used  int
	items map[cacheKey]*list.Element
	order list.List // the latest used first
}

type cacheKey struct {
	block *Block
	kind  part
	n     int
}

type cacheItem struct {
	key   cacheKey
	value any
	bytes int
}

// NewCache makes a cache of a number of bytes.
func NewCache(limit int) *Cache {
	return &Cache{limit: limit, items: make(map[cacheKey]*list.Element)}
}

// get returns what is cached, or else what load returns.
func get[T any](c *Cache, k cacheKey, load func() (T, int, error)) (T, error) {
	c.mu.Lock()
	if e, ok := c.items[k]; ok {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cacheItem).value.(T), nil
	}
	c.mu.Unlock()
	v, bytes, err := load() // two may load the same: both are right
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[k]; ok || bytes > c.limit {
		return v, nil
	}
	c.items[k] = c.order.PushFront(&cacheItem{k, v, bytes})
	c.used += bytes
	for c.used > c.limit {
		c.drop(c.order.Back())
	}
	return v, nil
}

func (c *Cache) drop(e *list.Element) {
	item := c.order.Remove(e).(*cacheItem)
	delete(c.items, item.key)
	c.used -= item.bytes
}

// forget drops all that is of a block.
func (c *Cache) forget(b *Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *list.Element
	for e := c.order.Front(); e != nil; e = next {
		next = e.Next()
		if e.Value.(*cacheItem).key.block == b {
			c.drop(e)
		}
	}
}
