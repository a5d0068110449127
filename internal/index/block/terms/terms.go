// Package terms numbers the terms of an index in memory.
package terms

import "hash/maphash"

// A Set numbers keys in the order in which they were added. It is a hash table
// of its own since a key is looked up for every word that is recorded: it has
// eight bytes a slot, and compares the key itself only if the hash is equal.
type Set struct {
	seed  maphash.Seed // so that clients cannot choose words that collide
	slots []slot       // a power of two of them, at most half in use
	list  []Term
}

type slot struct {
	hash uint32
	id   uint32 // number of the term plus one; 0 if the slot is free
}

// A Term is a key and where its postings are.
type Term struct {
	Key  string
	Head int32  // the newest of its postings; -1 if it has none
	Last uint32 // the row of that posting
}

// NewSet makes an empty set.
func NewSet() *Set {
	return &Set{seed: maphash.MakeSeed(), slots: make([]slot, 1<<10)}
}

// All returns the terms, by their numbers, until another one is added.
func (t *Set) All() []Term { return t.list }

// find returns the number of a key, if it is there, and else the slot that is
// free for it.
func (t *Set) find(key []byte, hash uint64) (id uint32, free *slot) {
	for at := uint32(hash); ; at++ {
		s := t.at(at)
		if s.id == 0 {
			return 0, s
		}
		if s.hash == uint32(hash>>32) && t.list[s.id-1].Key == string(key) {
			return s.id - 1, nil
		}
	}
}

func (t *Set) at(n uint32) *slot { return &t.slots[n&uint32(len(t.slots)-1)] }

// add returns the number of a key, which may be new.
func (t *Set) add(key []byte, hash uint64) (id uint32, isNew bool) {
	id, free := t.find(key, hash)
	if free == nil {
		return id, false
	}
	id = uint32(len(t.list))
	*free = slot{uint32(hash >> 32), id + 1}
	t.list = append(t.list, Term{Key: string(key), Head: -1})
	if 2*len(t.list) > len(t.slots) {
		t.grow()
	}
	return id, true
}

// Get returns the number of a key.
func (t *Set) Get(key []byte) (id uint32, ok bool) {
	id, free := t.find(key, maphash.Bytes(t.seed, key))
	return id, free == nil
}

func (t *Set) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	for id := range t.list {
		h := maphash.String(t.seed, t.list[id].Key)
		at := uint32(h)
		for t.at(at).id != 0 {
			at++
		}
		*t.at(at) = slot{uint32(h >> 32), uint32(id) + 1}
	}
}

// A Batch is keys that are looked up together: each step for all of them, so
// that the processor waits for memory once for many keys.
type Batch struct {
	text   []byte
	ends   []int // of the keys in text
	hashes []uint64
	ids    []uint32
}

// Reset empties the batch.
func (w *Batch) Reset() {
	w.text, w.ends, w.hashes, w.ids = w.text[:0], w.ends[:0], w.hashes[:0], w.ids[:0]
}

// Add adds a key to those that are to be looked up in a set: a term, and the
// byte that ends it.
func (w *Batch) Add(t *Set, term []byte, end byte) {
	from := len(w.text)
	w.text = append(append(w.text, term...), end)
	w.ends = append(w.ends, len(w.text))
	w.hashes = append(w.hashes, maphash.Bytes(t.seed, w.text[from:]))
}

func (w *Batch) key(i int) []byte {
	from := 0
	if i > 0 {
		from = w.ends[i-1]
	}
	return w.text[from:w.ends[i]]
}

// Enter calls use with the term of each key, which is added to the set if it is
// new. The term may be changed until use returns.
func (w *Batch) Enter(t *Set, use func(term *Term, isNew bool)) {
	for _, h := range w.hashes {
		id := uint32(0)
		if s := t.at(uint32(h)); s.hash == uint32(h>>32) {
			id = s.id
		}
		w.ids = append(w.ids, id)
	}
	for i, id := range w.ids {
		if id > 0 && t.list[id-1].Key != string(w.key(i)) {
			w.ids[i] = 0
		}
	}
	for i, id := range w.ids {
		isNew := false
		if id > 0 {
			id--
		} else {
			id, isNew = t.add(w.key(i), w.hashes[i])
		}
		use(&t.list[id], isNew)
	}
}
