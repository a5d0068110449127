package service

import (
	"strconv"
	"strings"
)

// A Ref names one record: by its id, or, if that is empty, by its sequence
// number.
type Ref struct {
	// ID is the UUID of the record, or the id that its event came with.
	ID  string
	Seq uint64
}

// ParseRef reads a Ref from its text: digits are a sequence number, everything
// else is an id, which may be written as id:ID.
func ParseRef(text string) Ref {
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return Ref{Seq: seq}
	}
	return Ref{ID: strings.TrimPrefix(text, "id:")}
}
