package aggregate

import (
	"math/bits"
	"slices"
)

const (
	// Exact is how many numbers of a group are kept unchanged.
	Exact = 4096
	// Precision is the part by which a percentile of more numbers may be off.
	Precision = 1 << precisionBits

	precisionBits = 8
)

// A percentile is the smallest number of a group that is not smaller than a
// given share of them (the nearest rank). Beyond Exact numbers, it is taken
// from buckets; the numbers of a bucket have the same first nine binary digits.
// Numbers are not negative.
type percentile struct {
	percent int64
	g       []sample
}

// A sample has the numbers of a group: either the numbers themselves, or a
// count for each bucket.
type sample struct {
	few     []int64
	n       int64
	buckets []uint32 // from the bucket first on
	first   int
}

func bucketOf(v int64) int {
	n := uint64(max(0, v))
	shift := max(0, bits.Len64(n)-precisionBits-1)
	return shift<<precisionBits + int(n>>shift)
}

// middleOf returns the number in the middle of a bucket.
func middleOf(bucket int) int64 {
	shift := max(0, bucket>>precisionBits-1)
	low := int64(bucket-shift<<precisionBits) << shift
	return low + (int64(1)<<shift-1)/2
}

func (s *sample) put(v int64) {
	if s.buckets == nil && len(s.few) < Exact {
		s.few = append(s.few, v)
		s.n++
		return
	}
	s.spread()
	s.n++
	s.count(bucketOf(v), 1)
}

// spread changes the sample to buckets.
func (s *sample) spread() {
	if s.buckets != nil {
		return
	}
	low, high := 0, 0
	if len(s.few) > 0 {
		low, high = bucketOf(slices.Min(s.few)), bucketOf(slices.Max(s.few))
	}
	s.first, s.buckets = low, make([]uint32, high-low+1)
	for _, v := range s.few {
		s.buckets[bucketOf(v)-low]++
	}
	s.few = nil
}

func (s *sample) count(bucket int, n uint32) {
	switch {
	case bucket < s.first:
		s.buckets = append(make([]uint32, s.first-bucket), s.buckets...)
		s.first = bucket
	case bucket >= s.first+len(s.buckets):
		s.buckets = append(s.buckets, make([]uint32, bucket-s.first-len(s.buckets)+1)...)
	}
	s.buckets[bucket-s.first] += n
}

func (t *percentile) Add(groups []int32, values []int64) {
	for i, g := range groups {
		if int(g) >= len(t.g) {
			t.g = extended(t.g, g)
		}
		t.g[g].put(values[i])
	}
}

func (t *percentile) Merge(group int32, from Aggregate, other int32) {
	t.g = extended(t.g, group)
	s, o := &t.g[group], at(from.(*percentile).g, other)
	for _, v := range o.few {
		s.put(v)
	}
	if o.buckets == nil {
		return
	}
	s.spread()
	for i, n := range o.buckets {
		if n > 0 {
			s.count(o.first+i, n)
		}
	}
	s.n += o.n
}

func (t *percentile) Result(group int32) Result {
	s := at(t.g, group)
	if s.n == 0 {
		return Result{}
	}
	rank := max(1, (s.n*t.percent+99)/100)
	if s.buckets == nil {
		return whole(nth(slices.Clone(s.few), int(rank-1)))
	}
	for i, n := range s.buckets {
		if rank -= int64(n); rank <= 0 {
			return whole(middleOf(s.first + i))
		}
	}
	panic("aggregate: a sample without its numbers")
}

// nth returns the number that would be at a place if the numbers were sorted,
// in time proportional to their count (Hoare's selection). It reorders them.
func nth(some []int64, place int) int64 {
	for low, high := 0, len(some)-1; low < high; {
		pivot := some[low+(high-low)/2]
		i, j := low, high
		for i <= j {
			for some[i] < pivot {
				i++
			}
			for some[j] > pivot {
				j--
			}
			if i <= j {
				some[i], some[j] = some[j], some[i]
				i++
				j--
			}
		}
		switch {
		case place <= j:
			high = j
		case place >= i:
			low = i
		default:
			return some[place]
		}
	}
	return some[place]
}
