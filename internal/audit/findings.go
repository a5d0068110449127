package audit

import (
	"cmp"
	"slices"
)

// A Kind says what happened to a record.
type Kind string

// What can have happened. The words are part of what the command line prints.
// The first six are alterations: something that only a change to the log's files
// makes of what was signed.
const (
	Modified  Kind = "modified"  // a record's line was changed
	Missing   Kind = "missing"   // a record's line is not there
	Inserted  Kind = "inserted"  // a line that is no record, or one that is there twice
	Reordered Kind = "reordered" // a record's line stands in another's place
	Truncated Kind = "truncated" // the end of the log is not there
	Rewritten Kind = "rewritten" // a line is whole and yet not the one that was signed

	Torn            Kind = "torn"            // the last write, not signed yet, is incomplete
	Lost            Kind = "lost"            // a record's content has lost its key
	Unreadable      Kind = "unreadable"      // a file could not be read
	Derived         Kind = "derived"         // a derived file is not what the lines make of it
	Unauthenticated Kind = "unauthenticated" // nothing vouches for a line behind the signed size
)

// Alteration tells whether the kind is one that somebody's change to the log
// leaves, and not an interruption, a key that is gone, or a disk that fails.
func (k Kind) Alteration() bool {
	switch k {
	case Modified, Missing, Inserted, Reordered, Truncated, Rewritten:
		return true
	}
	return false
}

// A Problem is one place at which the log is not what it should be.
type Problem struct {
	Seq    uint64 // first record that is concerned
	Kind   Kind
	File   string
	Offset int64
	Detail string
}

// Findings are the problems of a log. All are counted. The first Max alterations
// are kept, and the first Max others: the others, however many, do not crowd out
// the alterations.
type Findings struct {
	Max   int
	Count uint64
	Kinds map[Kind]uint64

	from, size          uint64 // problems of records before from, or from a size on that is not 0, are dropped
	within              bool   // so are lines that nobody vouches for, from that size on
	dropped             map[Kind]uint64
	alterations, others []Problem
}

// Add takes a problem in.
func (f *Findings) Add(p Problem) {
	behind := f.size > 0 && p.Seq >= f.size && (f.within || p.Kind != Unauthenticated)
	if p.Kind != Derived && (p.Seq < f.from && p.Kind != Unreadable || behind) {
		f.dropped = counted(f.dropped, p.Kind, 1) // it concerns what was not asked for
		return
	}
	f.count(p.Kind, 1)
	if kept := f.keeper(p.Kind); len(*kept) < f.Max {
		*kept = append(*kept, p)
	}
}

// keeper returns where problems of a kind are kept.
func (f *Findings) keeper(k Kind) *[]Problem {
	if k.Alteration() {
		return &f.alterations
	}
	return &f.others
}

func (f *Findings) count(k Kind, n uint64) {
	f.Kinds = counted(f.Kinds, k, n)
	f.Count += n
}

func counted(kinds map[Kind]uint64, k Kind, n uint64) map[Kind]uint64 {
	if kinds == nil {
		kinds = make(map[Kind]uint64)
	}
	kinds[k] += n
	return kinds
}

// explain tells whether anything was found that makes lines disagree, also of
// records that were not asked for.
func (f *Findings) explain() bool {
	for _, kinds := range []map[Kind]uint64{f.Kinds, f.dropped} {
		for k, n := range kinds {
			if n > 0 && k != Lost && k != Derived {
				return true
			}
		}
	}
	return false
}

// Altered tells whether an alteration was found, also of records that were not
// asked for.
func (f *Findings) Altered() bool {
	return Alterations(f.Kinds)+Alterations(f.dropped) > 0
}

// Alterations adds up the counts of those kinds that are alterations.
func Alterations(kinds map[Kind]uint64) uint64 {
	sum := uint64(0)
	for k, n := range kinds {
		if k.Alteration() {
			sum += n
		}
	}
	return sum
}

// Full tells that no more alterations are kept.
func (f *Findings) Full() bool { return len(f.alterations) >= f.Max }

// Kept returns the problems that were kept: the alterations, then the others,
// each in the order of the records, and last those of derived files, which concern
// none.
func (f *Findings) Kept() []Problem {
	is := func(p Problem, k Kind) int {
		if p.Kind == k {
			return 1
		}
		return 0
	}
	for _, kept := range [][]Problem{f.alterations, f.others} {
		slices.SortStableFunc(kept, func(a, b Problem) int {
			return cmp.Or(
				is(a, Derived)-is(b, Derived),
				cmp.Compare(a.Seq, b.Seq),
				is(a, Inserted)-is(b, Inserted), // what became of a record comes before what was put in front of it
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
