package audit

import (
	"cmp"
	"slices"
)

// A Kind says what happened to a record.
type Kind string

// What can have happened. The words are part of what the command line prints.
const (
	Modified   Kind = "modified"   // a record's line was changed
	Missing    Kind = "missing"    // a record's line is not there
	Inserted   Kind = "inserted"   // a line that is no record, or one that is there twice
	Reordered  Kind = "reordered"  // a record's line stands in another's place
	Truncated  Kind = "truncated"  // the end of the log is not there
	Rewritten  Kind = "rewritten"  // a line is whole and yet not the one that was signed
	Torn       Kind = "torn"       // the last write, not signed yet, is incomplete
	Lost       Kind = "lost"       // a record's content has lost its key
	Unreadable Kind = "unreadable" // a file could not be read
	Derived    Kind = "derived"    // a derived file is not what the records make of it

	// Unauthenticated lines lie beyond the signed ones, and nobody vouches for
	// them.
	Unauthenticated Kind = "unauthenticated"
)

// A Problem is one place at which the log is not what it should be.
type Problem struct {
	Seq    uint64 // first record that is concerned
	Kind   Kind
	File   string
	Offset int64
	Detail string
}

// Findings are the problems of a log: all are counted, the first of them kept.
type Findings struct {
	Max   int // how many are kept
	Count uint64
	Kinds map[Kind]uint64

	from    uint64 // problems of records in front of it are dropped
	dropped uint64
	kept    []Problem
}

// Add takes a problem in.
func (f *Findings) Add(p Problem) {
	if p.Seq < f.from && p.Kind != Unreadable && p.Kind != Derived {
		f.dropped++ // it concerns what was not asked for
		return
	}
	f.count(p.Kind, 1)
	if !f.Full() {
		f.kept = append(f.kept, p)
	}
}

func (f *Findings) count(k Kind, n uint64) {
	if f.Kinds == nil {
		f.Kinds = make(map[Kind]uint64)
	}
	f.Kinds[k] += n
	f.Count += n
}

// explain tells whether anything was found that makes lines disagree.
func (f *Findings) explain() bool { return f.Count+f.dropped > f.Kinds[Lost]+f.Kinds[Derived] }

// altered tells whether anything was found that somebody did.
func (f *Findings) altered() bool {
	return f.Count > f.Kinds[Torn]+f.Kinds[Lost]+f.Kinds[Unreadable]+f.Kinds[Derived]+f.Kinds[Unauthenticated]
}

// Full tells that no more are kept.
func (f *Findings) Full() bool { return len(f.kept) >= f.Max }

// Kept returns the problems that were kept, in the order of the records, and then
// those of derived files, which concern none.
func (f *Findings) Kept() []Problem {
	is := func(p Problem, k Kind) int {
		if p.Kind == k {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(f.kept, func(a, b Problem) int {
		return cmp.Or(
			is(a, Derived)-is(b, Derived),
			cmp.Compare(a.Seq, b.Seq),
			is(a, Inserted)-is(b, Inserted), // what became of a record comes before what was put in front of it
		)
	})
	return f.kept
}

func (f *Findings) merge(other *Findings) {
	for k, n := range other.Kinds {
		f.count(k, n)
	}
	f.kept = append(f.kept, other.kept[:min(len(other.kept), max(f.Max-len(f.kept), 0))]...)
}
