package audittrail

import (
	"cmp"
	"math/bits"
	"slices"

	"audittrail/record"
)

// A LossReason says why a record is not carried over.
type LossReason string

// Why a record cannot be carried over, or need not be.
const (
	LossErased   LossReason = "erased"   // its person was forgotten
	LossExpired  LossReason = "expired"  // its class's month has ended
	LossLost     LossReason = "lost"     // its key is absent, and nothing says why
	LossDamaged  LossReason = "damaged"  // no whole, authentic line of it is there
	LossArchived LossReason = "archived" // it is in an archive
	LossDropped  LossReason = "dropped"  // it was removed
	LossNewer    LossReason = "newer"    // its format is not understood
	LossInternal LossReason = "own"      // what the old log did to itself
)

// maxLossRanges is how many ranges are listed for a reason; the others are counted.
const maxLossRanges = 20_000

// A LossRange is records that follow on each other.
type LossRange struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// A Loss is the records that are not carried over for one reason.
type Loss struct {
	Reason  LossReason  `json:"reason"`
	Records uint64      `json:"records"`
	Ranges  []LossRange `json:"ranges"`
	Omitted uint64      `json:"ranges_omitted,omitempty"`
}

// An account is what becomes of the records of a log that is rebuilt: every place
// is counted once, and what is carried over is one record of each place, whole and
// authentic.
type account struct {
	carried seqSet
	lost    map[LossReason]seqSet
	ids     map[record.ID]struct{} // of those that nothing but their id tells apart
	copies  uint64                 // whole lines that were not taken since their record was there before
}

// carry takes a record, unless its place was taken already, or it is a copy. It
// tells whether it is carried over. vouched is whether the tree says that the
// record is in its place; without that, its id tells a copy.
func (a *account) carry(seq uint64, id record.ID, vouched bool) bool {
	if a.known(seq) {
		a.copies++
		return false
	}
	if !vouched {
		if _, twice := a.ids[id]; twice {
			a.copies++
			return false
		}
		if a.ids == nil {
			a.ids = make(map[record.ID]struct{})
		}
		a.ids[id] = struct{}{}
	}
	a.carried.add(seq)
	return true
}

// known tells whether something is known of a place.
func (a *account) known(seq uint64) bool {
	if a.carried.has(seq) {
		return true
	}
	for _, s := range a.lost {
		if s.has(seq) {
			return true
		}
	}
	return false
}

// lose counts a record that is not carried over. What is known of its place
// already stays.
func (a *account) lose(seq uint64, why LossReason) {
	if a.known(seq) {
		return
	}
	if a.lost == nil {
		a.lost = make(map[LossReason]seqSet)
	}
	s := a.lost[why]
	s.add(seq)
	a.lost[why] = s
}

// finish counts every place below size of which nothing is known as damaged.
func (a *account) finish(size uint64) {
	for seq := range size {
		a.lose(seq, LossDamaged)
	}
}

// losses returns what is not carried over, by reason.
func (a *account) losses() []Loss {
	all := make([]Loss, 0, len(a.lost))
	for why, s := range a.lost {
		l := Loss{Reason: why, Records: s.count(), Ranges: make([]LossRange, 0)}
		s.ranges(func(r LossRange) {
			if len(l.Ranges) < maxLossRanges {
				l.Ranges = append(l.Ranges, r)
			} else {
				l.Omitted++
			}
		})
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Loss) int { return cmp.Compare(a.Reason, b.Reason) })
	return all
}

// A seqSet is of sequence numbers: a bit for each, in pages that are there as far
// as they are needed, since what a damaged line claims may be any number.
type seqSet struct{ pages map[uint64]*seqPage }

const seqPageBits = 1 << 16

type seqPage [seqPageBits / 64]uint64

func (s *seqSet) add(n uint64) {
	if s.pages == nil {
		s.pages = make(map[uint64]*seqPage)
	}
	p := s.pages[n/seqPageBits]
	if p == nil {
		p = new(seqPage)
		s.pages[n/seqPageBits] = p
	}
	p[n%seqPageBits/64] |= 1 << (n % 64)
}

func (s *seqSet) has(n uint64) bool {
	p := s.pages[n/seqPageBits]
	return p != nil && p[n%seqPageBits/64]&(1<<(n%64)) != 0
}

func (s *seqSet) count() (n uint64) {
	for _, p := range s.pages {
		for _, w := range p {
			n += uint64(bits.OnesCount64(w))
		}
	}
	return n
}

func (s *seqSet) ranges(yield func(LossRange)) {
	numbers := make([]uint64, 0, len(s.pages))
	for n := range s.pages {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var now LossRange
	open := false
	for _, n := range numbers {
		for i := range uint64(seqPageBits) {
			seq := n*seqPageBits + i
			if s.pages[n][i/64]&(1<<(i%64)) == 0 {
				continue
			}
			if open && seq == now.Last+1 {
				now.Last = seq
				continue
			}
			if open {
				yield(now)
			}
			now, open = LossRange{seq, seq}, true
		}
	}
	if open {
		yield(now)
	}
}
