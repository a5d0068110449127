package record

import "fmt"

// A State says whether the content of a record can be read, and if not why. Its
// text is its name in lower case.
type State int

const (
	// Readable content is available.
	Readable State = iota
	// Sealed content cannot be read here: the log is open without its keyring.
	Sealed
	// Erased content cannot be read because its data subject was erased.
	Erased
	// Expired content cannot be read because the month of its retention class
	// has expired.
	Expired
	// Lost content cannot be read because a key is absent that no recorded
	// destruction explains.
	Lost
	// Archived and Dropped records were removed from the log with their
	// content.
	Archived
	Dropped
	// Restricted content is available but not shown: the data subject has asked
	// for a restriction, or the reader has no permission. The log itself does
	// not use this state; commands that show records do.
	Restricted
	// Unauthenticated records are beyond the newest checkpoint, and
	// authenticated by no key of the log.
	Unauthenticated
)

var stateNames = [...]string{"readable", "sealed", "erased", "expired", "lost", "archived", "dropped", "restricted", "unauthenticated"}

// String returns the state's name in lower case.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return stateNames[s]
}

// MarshalText returns what String returns.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A ClassCount is the number and size of a log's records of one retention class
// and month.
type ClassCount struct {
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"` // of the lines, with their LFs
}
