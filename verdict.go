package audittrail

import (
	"fmt"
	"maps"

	"audittrail/finding"
)

// A Verdict is what a Verification comes to, in a word.
type Verdict string

// The verdicts, the worst last. Each has an exit status of its own on the
// command line: 0, 3, 1, 2.
const (
	// VerdictIntact means that every record is the one that was signed.
	VerdictIntact Verdict = "intact"
	// VerdictLimited means that nothing was altered, but the answer is not whole
	// or not vouched for: Caveats says why.
	VerdictLimited Verdict = "limited"
	// VerdictUnchecked means that a file could not be read, and nothing is known
	// of its records; what could be read was not altered.
	VerdictUnchecked Verdict = "unchecked"
	// VerdictAltered means that the log is not the one that was signed.
	VerdictAltered Verdict = "altered"
)

// Verdict sums up what was found. All that asks whether a log was altered asks
// it or Altered.
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

// Valid tells whether there is no problem of any kind.
func (v *Verification) Valid() bool { return v.FindingCount == 0 }

// Count returns the number of problems of a kind.
func (v *Verification) Count(k finding.Kind) uint64 { return v.kinds[k] }

// Counts returns the number of problems of each kind of which there are any.
func (v *Verification) Counts() map[finding.Kind]uint64 {
	counts := make(map[finding.Kind]uint64, len(v.kinds))
	maps.Copy(counts, v.kinds)
	return counts
}

// Altered tells whether somebody changed the log.
func (v *Verification) Altered() bool { return v.Alterations() > 0 }

// Alterations returns the number of problems that are alterations, be they kept
// in Findings or not.
func (v *Verification) Alterations() uint64 { return finding.Alterations(v.kinds) }

// Caveats says in a few words each what was found that is no alteration, and
// whether the check of a log that was not altered lacked something: Limitations
// says what.
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
		all = append(all, "nobody vouches for what lies beyond its newest checkpoint")
	}
	if v.Count(finding.Derived) > 0 {
		all = append(all, "files that are derived from it are damaged")
	}
	if len(v.Limitations) > 0 && !v.Altered() {
		all = append(all, "something that the check needs is missing")
	}
	return all
}
