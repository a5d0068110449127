package verify

import (
	"cmp"
	"slices"

	"audittrail/finding"
)

// Findings are the problems of a log. All are counted. The first Max alterations
// are kept, and the first Max others: the others, however many, do not crowd out
// the alterations.
type Findings struct {
	Max   int
	Count uint64
	Kinds map[finding.Kind]uint64

	from, size            uint64 // problems of records before from, or from a size on that is not 0, are dropped
	ignoreUnauthenticated bool   // so are lines that nobody vouches for, from that size on
	dropped               map[finding.Kind]uint64
	alterations, others   []finding.Finding
}

// Add takes a problem in.
func (f *Findings) Add(p finding.Finding) {
	behind := f.size > 0 && p.Seq >= f.size && (f.ignoreUnauthenticated || p.Kind != finding.Unauthenticated)
	if p.Kind != finding.Derived && (p.Seq < f.from && p.Kind != finding.Unreadable || behind) {
		f.dropped = counted(f.dropped, p.Kind, 1) // it concerns what was not asked for
		return
	}
	f.count(p.Kind, 1)
	if kept := f.keeper(p.Kind); len(*kept) < f.Max {
		*kept = append(*kept, p)
	}
}

// keeper returns where problems of a kind are kept.
func (f *Findings) keeper(k finding.Kind) *[]finding.Finding {
	if k.Alteration() {
		return &f.alterations
	}
	return &f.others
}

func (f *Findings) count(k finding.Kind, n uint64) {
	f.Kinds = counted(f.Kinds, k, n)
	f.Count += n
}

func counted(kinds map[finding.Kind]uint64, k finding.Kind, n uint64) map[finding.Kind]uint64 {
	if kinds == nil {
		kinds = make(map[finding.Kind]uint64)
	}
	kinds[k] += n
	return kinds
}

// explain tells whether anything was found that makes lines disagree, also of
// records that were not asked for.
func (f *Findings) explain() bool {
	for _, kinds := range []map[finding.Kind]uint64{f.Kinds, f.dropped} {
		for k, n := range kinds {
			if n > 0 && k != finding.Lost && k != finding.Derived {
				return true
			}
		}
	}
	return false
}

// Altered tells whether an alteration was found, also of records that were not
// asked for.
func (f *Findings) Altered() bool {
	return finding.Alterations(f.Kinds)+finding.Alterations(f.dropped) > 0
}

// Full tells that no more alterations are kept.
func (f *Findings) Full() bool { return len(f.alterations) >= f.Max }

// Kept returns the problems that were kept: the alterations, then the others,
// each in the order of the records, and last those of derived files, which concern
// none.
func (f *Findings) Kept() []finding.Finding {
	is := func(p finding.Finding, k finding.Kind) int {
		if p.Kind == k {
			return 1
		}
		return 0
	}
	for _, kept := range [][]finding.Finding{f.alterations, f.others} {
		slices.SortStableFunc(kept, func(a, b finding.Finding) int {
			return cmp.Or(
				is(a, finding.Derived)-is(b, finding.Derived),
				cmp.Compare(a.Seq, b.Seq),
				is(a, finding.Inserted)-is(b, finding.Inserted), // what became of a record comes before what was put in front of it
			)
		})
	}
	return slices.Concat(f.alterations, f.others)
}

func (f *Findings) merge(other *Findings) {
	for k, n := range other.Kinds {
		f.count(k, n)
	}
	for _, p := range slices.Concat(other.alterations, other.others) {
		if kept := f.keeper(p.Kind); len(*kept) < f.Max {
			*kept = append(*kept, p)
		}
	}
}
