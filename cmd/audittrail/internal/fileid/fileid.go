// Package fileid identifies files independently of their names.
package fileid

import "fmt"

// An ID identifies a file to its file system: the device, the number of the file
// there, and the time of its creation, if the system has it. A renamed file keeps
// its ID. A file that takes its place has another one, except that a system
// without creation times can use a number again.
type ID struct {
	device, number uint64
	born           int64 // nanoseconds since 1970; 0 if unknown
}

// String returns the ID as text. Equal IDs have equal texts.
func (id ID) String() string { return fmt.Sprintf("%x-%x-%x", id.device, id.number, id.born) }
