// Package cjson reads and writes JSON strictly, with one encoding per value.
//
// The canonical form has no whitespace; the keys of an object are sorted by the
// bytes of the decoded key and never repeated; in strings only `"`, `\` and
// control characters are escaped, in the one form that [AppendString] gives;
// numbers are kept exactly as they were written, whatever their size, since
// reading them into a machine type would change them.
//
// The input must be JSON as defined by RFC 8259, in valid UTF-8 (RFC 3629),
// without lone surrogates, without duplicate keys, and nested at most
// [MaxDepth] deep. Time and memory are linear in the input, save for the
// sorting of keys.
//
// Errors give an offset and say what is wrong there. They never quote the
// input, which may contain personal data.
package cjson

import (
	"errors"
	"strconv"
)

// MaxDepth is how deep arrays and objects may be nested: [[1]] has depth 2.
const MaxDepth = 64

// MaxInt is the largest magnitude that [Decoder.Int] accepts, 2^53-1: beyond
// it, readers that store numbers as IEEE 754 doubles see another number.
const MaxInt = 1<<53 - 1

// ErrDuplicate matches an [Error] for a repeated key. Its offset is that of the
// key's opening quote, where a caller can read the key again if it knows that
// keys are not secret.
var ErrDuplicate = errors.New("duplicate key")

// An Error reports at which byte the input stops being acceptable, and why.
type Error struct {
	Offset int
	Msg    string
}

func (e *Error) Error() string {
	return "byte " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Is reports whether target is ErrDuplicate, and e is about a repeated key.
func (e *Error) Is(target error) bool {
	return target == ErrDuplicate && e.Msg == ErrDuplicate.Error()
}
