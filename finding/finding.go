// Package finding describes the findings of a check of a log. A finding is a
// place at which the log is not what it should be; its kind says what happened
// there.
//
// A kind promises no more than its comment: a check cannot tell whether a
// change was made on purpose.
package finding

// A Kind says what happened to a record.
type Kind string

// The kinds of findings. The command line prints these words. The first six are
// alterations: only a change to the log's files can cause them in signed
// records. The others are caused by an interruption, a lost key, a failing
// disk, a damaged derived file, or a line beyond the signed ones.
const (
	Modified  Kind = "modified"  // a record's line was changed
	Missing   Kind = "missing"   // a record's line is missing
	Inserted  Kind = "inserted"  // a line that is not a record, or that occurs twice
	Reordered Kind = "reordered" // a record's line is in the place of another
	Truncated Kind = "truncated" // the end of the log is missing
	Rewritten Kind = "rewritten" // a line is whole, but not the one that was signed

	Torn       Kind = "torn"       // the last write is incomplete, and was never acknowledged
	Lost       Kind = "lost"       // the key to a record's content is lost
	Unreadable Kind = "unreadable" // a file cannot be read, so that its records are unchecked
	Derived    Kind = "derived"    // a derived file disagrees with the records, or cannot be read

	// Unauthenticated lines lie beyond the signed ones and do not authenticate:
	// their content cannot be decrypted with the log's keys, or they are copies
	// of records, or about a data subject who was erased before, or of a format
	// that this program does not know. No figure counts them. Such a line does
	// not alter a signed record.
	Unauthenticated Kind = "unauthenticated"
)

// Alteration reports whether the kind shows a change to the log's files, and
// not an interruption, a lost key, or a failing disk.
func (k Kind) Alteration() bool {
	switch k {
	case Modified, Missing, Inserted, Reordered, Truncated, Rewritten:
		return true
	}
	return false
}

// Alterations returns the sum of the counts of those kinds that are alterations.
func Alterations(kinds map[Kind]uint64) uint64 {
	sum := uint64(0)
	for k, n := range kinds {
		if k.Alteration() {
			sum += n
		}
	}
	return sum
}

// A Finding is one place at which a log is not what it should be.
type Finding struct {
	Seq    uint64 `json:"seq"` // the first record that is affected
	Kind   Kind   `json:"kind"`
	File   string `json:"file"` // from the log's folder
	Offset int64  `json:"offset"`
	Detail string `json:"detail"`
}
