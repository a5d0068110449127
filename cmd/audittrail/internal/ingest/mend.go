package ingest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"audittrail/event"
)

// Replaced is the metadata key under which the record of a mended line says how
// many places of it were replaced.
const Replaced = "replaced_invalid"

// Mend returns line with everything that a JSON string cannot contain replaced by
// U+FFFD: bytes that are not UTF-8, and escapes of half a surrogate pair. A
// control character in a string is replaced by its escape, and so is kept. n is
// the number of places; if it is 0, line itself is returned.
func Mend(line []byte) (mended []byte, n int) {
	const replacement = "\xef\xbf\xbd"
	inString := false
	from := 0 // start of the text that is not in mended yet
	put := func(i int, with string, width int) {
		mended = append(append(mended, line[from:i]...), with...)
		from = i + width
		n++
	}
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c >= utf8.RuneSelf:
			r, width := utf8.DecodeRune(line[i:])
			if r == utf8.RuneError && width <= 1 {
				put(i, replacement, 1)
			}
			i += max(width, 1)
		case c == '"':
			inString = !inString
			i++
		case inString && c < ' ':
			put(i, `\u00`+string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]), 1)
			i++
		case inString && c == '\\':
			width := 1 // the next bytes need not be an escape
			if i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\') {
				width = 2
			} else if r, ok := escaped(line[i:]); ok {
				width = 6
				if utf16.IsSurrogate(r) {
					if low, ok := escaped(line[i+6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
						width = 12
					} else {
						put(i, replacement, 6)
					}
				}
			}
			i += width
		default:
			i++
		}
	}
	if n == 0 {
		return line, 0
	}
	return append(mended, line[min(from, len(line)):]...), n
}

// escaped parses \uXXXX at the start of b.
func escaped(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// SayReplaced adds to an event that n places of its line were replaced.
func SayReplaced(e *event.Event, n int) error {
	if _, taken := e.Metadata[Replaced]; taken {
		return &event.FieldError{Field: "metadata", Problem: fmt.Sprintf("has the key %q, which is reserved for the count of --replace-invalid", Replaced)}
	}
	if e.Metadata == nil {
		e.Metadata = make(map[string]json.RawMessage, 1)
	}
	e.Metadata[Replaced] = json.RawMessage(strconv.Itoa(n))
	return event.Validate(e)
}
