// Package fileid tells files apart whatever their names are.
package fileid

import "fmt"

// An ID is what a file is to its file system: the device and the number that it
// has there, and when it was created, where that can be known. A file that is
// renamed keeps it. One that is put in its place has another, save that a
// system which does not tell times of creation may give a number again.
type ID struct {
	device, number uint64
	born           int64 // nanoseconds since 1970; 0 if it cannot be known
}

// String returns the ID as text. Equal IDs have equal texts.
func (id ID) String() string { return fmt.Sprintf("%x-%x-%x", id.device, id.number, id.born) }
