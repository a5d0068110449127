// Package lru caches the most recently used values, within a number of bytes.
package lru

import (
	"container/list"
	"sync"
)

// A Cache keeps the most recently used values that were loaded under keys,
// within a number of bytes. Many goroutines may use it.
type Cache[K comparable] struct {
	mu    sync.Mutex // guards all below
	limit int
	used  int
	items map[K]*list.Element
	order list.List // the latest used first
}

type item[K comparable] struct {
	key   K
	value any
	bytes int
}

// New returns a cache of at most limit bytes.
func New[K comparable](limit int) *Cache[K] {
	return &Cache[K]{limit: limit, items: make(map[K]*list.Element)}
}

// Get returns the value that is cached under a key, or else the one that load
// returns, with its size. A key must always have values of the same type.
func Get[K comparable, T any](c *Cache[K], k K, load func() (T, int, error)) (T, error) {
	c.mu.Lock()
	if e, ok := c.items[k]; ok {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*item[K]).value.(T), nil
	}
	c.mu.Unlock()
	v, bytes, err := load() // two goroutines may load the same value: both are right
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[k]; ok || bytes > c.limit {
		return v, nil
	}
	c.items[k] = c.order.PushFront(&item[K]{k, v, bytes})
	c.used += bytes
	for c.used > c.limit {
		c.drop(c.order.Back())
	}
	return v, nil
}

func (c *Cache[K]) drop(e *list.Element) {
	it := c.order.Remove(e).(*item[K])
	delete(c.items, it.key)
	c.used -= it.bytes
}

// Forget drops the values of the keys for which drop returns true.
func (c *Cache[K]) Forget(drop func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *list.Element
	for e := c.order.Front(); e != nil; e = next {
		next = e.Next()
		if drop(e.Value.(*item[K]).key) {
			c.drop(e)
		}
	}
}
