package verify

import (
	"cmp"
	"slices"

	"audittrail/finding"
)

// Findings collect the findings about a log. All are counted. The first Max
// alterations are kept, and the first Max others: the others, however many, do
// not crowd out the alterations.
type Findings struct {
	Max   int
	Count uint64
	Kinds map[finding.Kind]uint64

	from, size            uint64 // findings about records before from, or from size on if that is not 0, are dropped
	ignoreUnauthenticated bool   // so are unauthenticated lines, from that size on
	dropped               map[finding.Kind]uint64
	alterations, others   []finding.Finding
}

// Add adds a finding.
func (f *Findings) Add(p finding.Finding) {
	behind := f.size > 0 && p.Seq >= f.size && (f.ignoreUnauthenticated || p.Kind != finding.Unauthenticated)
	if p.Kind != finding.Derived && (p.Seq < f.from && p.Kind != finding.Unreadable || behind) {
		f.dropped = counted(f.dropped, p.Kind, 1) // it affects records that are not checked
		return
	}
	f.count(p.Kind, 1)
	if kept := f.keeper(p.Kind); len(*kept) < f.Max {
		*kept = append(*kept, p)
	}
}

// keeper returns the list for findings of a kind.
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

// explain reports whether anything was found that makes lines disagree, also
// about records that are not checked.
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

// Altered reports whether an alteration was found, also about records that are
// not checked.
func (f *Findings) Altered() bool {
	return finding.Alterations(f.Kinds)+finding.Alterations(f.dropped) > 0
}

// Full reports whether no more alterations are kept.
func (f *Findings) Full() bool { return len(f.alterations) >= f.Max }

// Kept returns the findings that were kept: the alterations, then the others,
// each in the order of the records, and last those about derived files, which
// affect no record.
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
				is(a, finding.Inserted)-is(b, finding.Inserted), // a finding about a record comes before one about lines inserted before it
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
