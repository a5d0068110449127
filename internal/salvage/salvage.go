// Package salvage accounts for what of a log can be carried over into another:
// which records are whole and can be read, and what became of each of the others.
//
// It promises that every place of the log is counted once, and that what it
// calls carried is one record of each place, whole and authentic.
package salvage

import (
	"cmp"
	"math/bits"
	"slices"

	"audittrail/record"
)

// A Reason says why a record is not carried over.
type Reason string

// Why a record cannot be carried over, or need not be.
const (
	Erased   Reason = "erased"   // its person was forgotten
	Expired  Reason = "expired"  // its class's month has ended
	Lost     Reason = "lost"     // its key is absent, and nothing says why
	Damaged  Reason = "damaged"  // no whole, authentic line of it is there
	Archived Reason = "archived" // it is in an archive
	Dropped  Reason = "dropped"  // it was removed
	Newer    Reason = "newer"    // its format is not understood
	OwnAct   Reason = "own"      // what the old log did to itself
)

// MaxRanges is how many ranges are listed for a reason; the others are counted.
const MaxRanges = 20_000

// A Range is records that follow on each other.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// A Loss is the records that are not carried over for one reason.
type Loss struct {
	Reason  Reason  `json:"reason"`
	Records uint64  `json:"records"`
	Ranges  []Range `json:"ranges"`
	Omitted uint64  `json:"ranges_omitted,omitempty"`
}

// An Account is what becomes of the records of a log.
type Account struct {
	carried set
	lost    map[Reason]set
	ids     map[record.ID]struct{} // of those that nothing but their id tells apart
	copies  uint64
}

// carry takes a record, unless its place was taken already, or it is a copy. It
// tells whether it is carried over. vouched is whether the tree says that the
// record is in its place; without that, its id tells a copy.
func (a *Account) carry(seq uint64, id record.ID, vouched bool) bool {
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
func (a *Account) known(seq uint64) bool {
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
func (a *Account) lose(seq uint64, why Reason) {
	if a.known(seq) {
		return
	}
	if a.lost == nil {
		a.lost = make(map[Reason]set)
	}
	s := a.lost[why]
	s.add(seq)
	a.lost[why] = s
}

// finish counts every place below size of which nothing is known as damaged.
func (a *Account) finish(size uint64) {
	for seq := range size {
		a.lose(seq, Damaged)
	}
}

// Carried returns how many records are carried over.
func (a *Account) Carried() uint64 { return a.carried.count() }

// Copies returns how many whole lines were not taken since their record was
// there before.
func (a *Account) Copies() uint64 { return a.copies }

// Losses returns what is not carried over, by reason.
func (a *Account) Losses() []Loss {
	all := make([]Loss, 0, len(a.lost))
	for why, s := range a.lost {
		l := Loss{Reason: why, Records: s.count(), Ranges: make([]Range, 0)}
		s.ranges(func(r Range) {
			if len(l.Ranges) < MaxRanges {
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

// A set is of sequence numbers: a bit for each, in pages that are there as far
// as they are needed, since what a damaged line claims may be any number.
type set struct{ pages map[uint64]*page }

const pageBits = 1 << 16

type page [pageBits / 64]uint64

func (s *set) add(n uint64) {
	if s.pages == nil {
		s.pages = make(map[uint64]*page)
	}
	p := s.pages[n/pageBits]
	if p == nil {
		p = new(page)
		s.pages[n/pageBits] = p
	}
	p[n%pageBits/64] |= 1 << (n % 64)
}

func (s *set) has(n uint64) bool {
	p := s.pages[n/pageBits]
	return p != nil && p[n%pageBits/64]&(1<<(n%64)) != 0
}

func (s *set) count() (n uint64) {
	for _, p := range s.pages {
		for _, w := range p {
			n += uint64(bits.OnesCount64(w))
		}
	}
	return n
}

func (s *set) ranges(yield func(Range)) {
	numbers := make([]uint64, 0, len(s.pages))
	for n := range s.pages {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var now Range
	open := false
	for _, n := range numbers {
		for i := range uint64(pageBits) {
			seq := n*pageBits + i
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
			now, open = Range{seq, seq}, true
		}
	}
	if open {
		yield(now)
	}
}
