// Package canonical refuses bytes that differ from the encoding of the value that
// they decode to. So a format has one encoding for each value, also where its
// decoder accepts several.
//
// Errors give the offset of the first difference, and name punctuation and
// whitespace there. They quote nothing else, which may be personal or secret.
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// An Error reports that bytes are not in canonical form.
type Error struct {
	Offset  int    // of the first byte that is wrong, or -1 if that is not known
	Problem string // what is wrong there
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return "not in canonical form: " + e.Problem
	}
	return fmt.Sprintf("not in canonical form: byte %d %s", e.Offset, e.Problem)
}

// Decode decodes the JSON b into v, and refuses any b but the one that encode
// returns for v. An error of the form is an [*Error]; v is then undefined.
func Decode[T any](b []byte, v *T, encode func(*T) ([]byte, error)) error {
	if err := json.Unmarshal(b, v); err != nil {
		return notDecoded(err)
	}
	encoded, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode again: %w", err)
	}
	return Check(b, encoded)
}

// notDecoded says what a decoder said without its words, which quote the input.
func notDecoded(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &Error{max(0, int(syntax.Offset)-1), "is not JSON"} // the offset is after the byte
	case errors.As(err, &kind):
		return &Error{int(kind.Offset), "follows a value of the wrong type"}
	}
	return &Error{-1, "a value is invalid"}
}

// Check compares b with the encoding of what was decoded from it. It returns an
// [*Error] with the first difference, or nil if there is none.
func Check(b, encoded []byte) error {
	if bytes.Equal(b, encoded) {
		return nil
	}
	at := 0
	for at < min(len(b), len(encoded)) && b[at] == encoded[at] {
		at++
	}
	return &Error{at, difference(b[at:], encoded[at:])}
}

// difference says how the first bytes differ, and names those that cannot be
// personal.
func difference(b, encoded []byte) string {
	switch {
	case len(b) == 0:
		return "is missing"
	case len(encoded) == 0:
		return "is after the end"
	case isMark(b[0]) && isMark(encoded[0]):
		return fmt.Sprintf("is %q and must be %q", b[0], encoded[0])
	case isMark(b[0]):
		return fmt.Sprintf("must not be %q", b[0])
	case isMark(encoded[0]):
		return fmt.Sprintf("must be %q", encoded[0])
	}
	return "differs"
}

// isMark reports whether a byte is punctuation of JSON, or whitespace.
func isMark(c byte) bool { return strings.IndexByte("{}[]:,\"\\ \t\r\n", c) >= 0 }
