// Package finding has what a check of a log finds: each is a place at which the
// log is not what it should be, of a kind that says what happened there.
//
// A kind promises no more than its comment: whether a change was made on purpose
// no check can tell.
package finding

// A Kind says what happened to a record.
type Kind string

// What can have happened. The words are part of what the command line prints.
// The first six are alterations: something that only a change to the log's files
// makes of what was signed. The others are what an interruption, a lost key, a
// failing disk, a damaged derived file, or a line beyond the signed ones leave.
const (
	Modified  Kind = "modified"  // a record's line was changed
	Missing   Kind = "missing"   // a record's line is not there
	Inserted  Kind = "inserted"  // a line that is no record, or one that is there twice
	Reordered Kind = "reordered" // a record's line is in another's place
	Truncated Kind = "truncated" // the end of the log is not there
	Rewritten Kind = "rewritten" // a line is whole, and yet not the one that was signed

	Torn       Kind = "torn"       // the last write is incomplete, and was never acknowledged
	Lost       Kind = "lost"       // a record's content has lost its key
	Unreadable Kind = "unreadable" // a file cannot be read, and nothing is known of its records
	Derived    Kind = "derived"    // a derived file is not what the records make of it, or cannot be read

	// Unauthenticated lines lie beyond the signed ones, and nothing authenticates
	// them: their content does not open with the log's keys, or they are copies,
	// or about a data subject who was erased before, or of a format that this
	// program does not know. They are in no figure. It is no alteration of what
	// was signed.
	Unauthenticated Kind = "unauthenticated"
)

// Alteration reports whether the kind is one that a change to the log's files
// leaves, and not an interruption, a key that is gone, or a disk that fails.
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
	Seq    uint64 `json:"seq"` // the first record that is concerned
	Kind   Kind   `json:"kind"`
	File   string `json:"file"` // from the log's folder
	Offset int64  `json:"offset"`
	Detail string `json:"detail"`
}
