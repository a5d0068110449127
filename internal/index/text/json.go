package text

import (
	"bytes"
	"encoding/json"
)

// jsonPieces yields the pieces of text in a JSON value that has been checked
// already: it only has to find where they begin and end. It reports whether to
// continue.
func jsonPieces(raw []byte, field Field, names bool, yield func(Field, string) bool) bool {
	for i := 0; i < len(raw); {
		c := raw[i]
		if c == '"' {
			end := endOfString(raw, i)
			next := end
			for next < len(raw) && isSpace(raw[next]) {
				next++
			}
			isName := next < len(raw) && raw[next] == ':'
			if names || !isName {
				if s := unquote(raw[i:end]); s != "" && !yield(field, s) {
					return false
				}
			}
			i = end
			continue
		}
		if !isScalar(c) {
			i++
			continue
		}
		from := i
		for i < len(raw) && isScalar(raw[i]) {
			i++
		}
		if s := string(raw[from:i]); s != "null" && !yield(field, s) {
			return false
		}
	}
	return true
}

// endOfString returns where the string that begins at i ends.
func endOfString(raw []byte, i int) int {
	for at := i + 1; ; {
		n := bytes.IndexByte(raw[at:], '"')
		if n < 0 {
			return len(raw)
		}
		at += n + 1
		slashes := 0
		for raw[at-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}

func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 && len(quoted) >= 2 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "" // not JSON: there is no text
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isScalar reports whether c can be part of a number, true, false or null.
func isScalar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}
