package aggregate

import (
	"math"
	"math/bits"
)

// ExactDistinct is how many distinct values of a group are kept.
const ExactDistinct = 1 << 17

// registerBits is the size of the sketch that replaces larger sets:
// HyperLogLog, Flajolet et al. 2007, with hashes of 64 bits and so without its
// correction for large counts.
const registerBits = 14

// distinct counts the different values of groups.
type distinct struct {
	g []set
	// latest caches pairs that were added, by a part of their hash: most pairs
	// repeat.
	latest [256]pair
}

type pair struct {
	group int32 // plus one
	value int64
}

// A set has the values of a group, or a sketch of them.
type set struct {
	few       map[int64]struct{}
	registers []uint8
}

func (s *set) put(v int64) {
	if s.registers != nil {
		s.sketch(v)
		return
	}
	if s.few == nil {
		s.few = make(map[int64]struct{})
	}
	s.few[v] = struct{}{}
	if len(s.few) > ExactDistinct {
		s.spread()
	}
}

func (s *set) spread() {
	s.registers = make([]uint8, 1<<registerBits)
	for v := range s.few {
		s.sketch(v)
	}
	s.few = nil
}

func (s *set) sketch(v int64) {
	h := mix(uint64(v))
	r := &s.registers[h>>(64-registerBits)]
	*r = max(*r, uint8(1+bits.LeadingZeros64(h<<registerBits|1<<(registerBits-1))))
}

// mix spreads the bits of a number: the finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (t *distinct) Add(groups []int32, values []int64) {
	for i, g := range groups {
		p := pair{g + 1, values[i]}
		at := &t.latest[mix(uint64(p.value)+uint64(g))%uint64(len(t.latest))]
		if *at == p {
			continue
		}
		*at = p
		if int(g) >= len(t.g) {
			t.g = extended(t.g, g)
		}
		t.g[g].put(values[i])
	}
}

func (t *distinct) Merge(group int32, from Aggregate, other int32) {
	t.g = extended(t.g, group)
	s, o := &t.g[group], at(from.(*distinct).g, other)
	for v := range o.few {
		s.put(v)
	}
	if o.registers == nil {
		return
	}
	if s.registers == nil {
		s.spread()
	}
	for i, r := range o.registers {
		s.registers[i] = max(s.registers[i], r)
	}
}

func (t *distinct) Result(group int32) Result {
	s := at(t.g, group)
	if s.registers == nil {
		return whole(int64(len(s.few)))
	}
	const m = 1 << registerBits
	sum, empty := 0.0, 0
	for _, r := range s.registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	n := 0.7213 / (1 + 1.079/m) * m * m / sum
	if n <= 2.5*m && empty > 0 {
		n = m * math.Log(float64(m)/float64(empty))
	}
	return whole(int64(math.Round(n)))
}
