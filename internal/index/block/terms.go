package block

import "hash/maphash"

// terms are the keys of a table's postings, each with a number: in the order
// in which they came. It is a hash table of its own since a table is asked for a
// key with every word that is recorded: eight bytes a slot, and the key itself
// is looked at only where the hash is right.
type terms struct {
	seed  maphash.Seed // so that nobody can choose words that collide
	slots []slot       // a power of two of them, at most half in use
	list  []term
}

type slot struct {
	hash uint32
	id   uint32 // of the term, and one; 0 is none
}

// A term is a key and where its postings are.
type term struct {
	key  string
	head int32  // the newest of its postings; -1 is none
	last uint32 // the row of that one
}

func newTerms() terms {
	return terms{seed: maphash.MakeSeed(), slots: make([]slot, 1<<10)}
}

// find returns the number of a key, if it is there, and else the slot that is
// free for it.
func (t *terms) find(key []byte) (id uint32, free *slot, hash uint32) {
	h := maphash.Bytes(t.seed, key)
	hash = uint32(h >> 32)
	for at := uint32(h); ; at++ {
		s := &t.slots[at&uint32(len(t.slots)-1)]
		if s.id == 0 {
			return 0, s, hash
		}
		if s.hash == hash && t.list[s.id-1].key == string(key) {
			return s.id - 1, nil, hash
		}
	}
}

// add returns the number of a key, which may be new.
func (t *terms) add(key []byte) (id uint32, isNew bool) {
	id, free, hash := t.find(key)
	if free == nil {
		return id, false
	}
	id = uint32(len(t.list))
	*free = slot{hash, id + 1}
	t.list = append(t.list, term{key: string(key), head: -1})
	if 2*len(t.list) > len(t.slots) {
		t.grow()
	}
	return id, true
}

// get returns the number of a key.
func (t *terms) get(key []byte) (id uint32, ok bool) {
	id, free, _ := t.find(key)
	return id, free == nil
}

func (t *terms) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	for id := range t.list {
		h := maphash.String(t.seed, t.list[id].key)
		at := uint32(h)
		for t.slots[at&uint32(len(t.slots)-1)].id != 0 {
			at++
		}
		t.slots[at&uint32(len(t.slots)-1)] = slot{uint32(h >> 32), uint32(id) + 1}
	}
}
