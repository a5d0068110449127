package audittrail

import (
	"cmp"
	"math/bits"
	"slices"

	"audittrail/record"
)

// A LossReason says why a record is not copied.
type LossReason string

// The reasons for which a record cannot be copied, or need not be.
const (
	LossErased   LossReason = "erased"   // its data subject was erased
	LossExpired  LossReason = "expired"  // its class's month has ended
	LossLost     LossReason = "lost"     // its key is absent, and nothing says why
	LossDamaged  LossReason = "damaged"  // it has no whole, authentic line
	LossArchived LossReason = "archived" // it is in an archive
	LossDropped  LossReason = "dropped"  // it was removed
	LossNewer    LossReason = "newer"    // its format is not understood
	LossInternal LossReason = "own"      // the old log's record of its own action
)

// maxLossRanges bounds the ranges that are listed for a reason; further ones
// are only counted.
const maxLossRanges = 20_000

// A LossRange is a run of consecutive records.
type LossRange struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// A Loss lists the records that are not copied for one reason.
type Loss struct {
	Reason  LossReason  `json:"reason"`
	Records uint64      `json:"records"`
	Ranges  []LossRange `json:"ranges"`
	Omitted uint64      `json:"ranges_omitted,omitempty"`
}

// An account tracks the records of a log that is rebuilt: every sequence number
// is counted once, and at most one record of each, whole and authentic, is
// copied.
type account struct {
	carried seqSet
	lost    map[LossReason]seqSet
	ids     map[record.ID]struct{} // of records that only their id distinguishes from a copy
	copies  uint64                 // whole lines that repeat an earlier record
}

// carry takes a record, unless its sequence number was taken already, or it is
// a copy of another record, and reports whether the record is copied to the new
// log. Its last argument says whether the signed tree contains the record at
// its place; if not, a copy is recognized by its id.
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

// known reports whether a sequence number is accounted for.
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

// lose counts a record that is not copied, unless its sequence number is
// accounted for already.
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

// finish counts every sequence number below size that is not accounted for as
// damaged.
func (a *account) finish(size uint64) {
	for seq := range size {
		a.lose(seq, LossDamaged)
	}
}

// losses returns the records that are not copied, by reason.
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

// A seqSet is a set of sequence numbers: a bit for each, in pages that are
// allocated when needed, since a damaged line may claim any number.
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
