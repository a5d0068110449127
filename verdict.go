package audittrail

import (
	"fmt"
	"maps"

	"audittrail/finding"
)

// A Verdict is the result of a Verification in one word.
type Verdict string

// The verdicts, the worst last. Each has an exit status of its own on the
// command line: 0, 3, 1, 2.
const (
	// VerdictIntact says that every record is the one that was signed.
	VerdictIntact Verdict = "intact"
	// VerdictLimited says that nothing was altered, but the check is incomplete
	// or some records are unauthenticated: Caveats says why.
	VerdictLimited Verdict = "limited"
	// VerdictUnchecked says that a file could not be read, so that its records
	// are unchecked; the other records were not altered.
	VerdictUnchecked Verdict = "unchecked"
	// VerdictAltered says that the log is not the one that was signed.
	VerdictAltered Verdict = "altered"
)

// Verdict sums up the findings. All code that decides whether a log was altered
// calls it or Altered.
func (v *Verification) Verdict() Verdict {
	switch {
	case v.Altered():
		return VerdictAltered
	case v.Count(finding.Unreadable) > 0:
		return VerdictUnchecked
	case !v.Valid(), len(v.Limitations) > 0:
		return VerdictLimited
	}
	return VerdictIntact
}

// Valid reports whether there are no findings.
func (v *Verification) Valid() bool { return v.FindingCount == 0 }

// Count returns the number of findings of a kind.
func (v *Verification) Count(k finding.Kind) uint64 { return v.kinds[k] }

// Counts returns the number of findings of each kind that has any.
func (v *Verification) Counts() map[finding.Kind]uint64 {
	counts := make(map[finding.Kind]uint64, len(v.kinds))
	maps.Copy(counts, v.kinds)
	return counts
}

// Altered reports whether the log was altered.
func (v *Verification) Altered() bool { return v.Alterations() > 0 }

// Alterations returns the number of findings that are alterations, whether
// Findings contains them or not.
func (v *Verification) Alterations() uint64 { return finding.Alterations(v.kinds) }

// Caveats describes, in a few words each, the findings that are not
// alterations. For a log that was not altered, it also says whether the check
// lacked something: Limitations says what.
func (v *Verification) Caveats() []string {
	var all []string
	say := func(k finding.Kind, one, many string) {
		switch n := v.Count(k); {
		case n == 1:
			all = append(all, one)
		case n > 1:
			all = append(all, fmt.Sprintf(many, n))
		}
	}
	say(finding.Unreadable, "a file cannot be read", "%d files cannot be read")
	say(finding.Lost, "the key to the content of 1 record is lost", "the keys to the contents of %d records are lost")
	say(finding.Torn, "the last write was interrupted", "%d writes were interrupted")
	if v.Count(finding.Unauthenticated) > 0 {
		all = append(all, "records beyond its newest checkpoint are unauthenticated")
	}
	if v.Count(finding.Derived) > 0 {
		all = append(all, "files that are derived from it are damaged")
	}
	if len(v.Limitations) > 0 && !v.Altered() {
		all = append(all, "something that the check needs is missing")
	}
	return all
}
