package record

import "fmt"

// A State says whether the content of a record can be read, and why not. As text
// it is its name in lower case.
type State int

const (
	// Readable content is there.
	Readable State = iota
	// Sealed content cannot be read here: the log is open without its keyring.
	Sealed
	// Erased content is gone because its data subject was erased.
	Erased
	// Expired content is gone because its retention class's month has ended.
	Expired
	// Lost content cannot be read because a key is absent that no recorded
	// destruction explains.
	Lost
	// Archived and Dropped records have left the log, and their content with
	// them.
	Archived
	Dropped
	// Restricted content is there, and is not shown to the one who asks: the
	// data subject has asked for that, or the asker has no permission.
	// The log itself does not use this state; commands that show records do.
	Restricted
	// Unauthenticated records lie beyond the newest checkpoint, and no signature
	// or key vouches for them.
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

// A ClassCount is how much a log holds of a retention class's month.
type ClassCount struct {
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"` // of the lines, with their LFs
}
