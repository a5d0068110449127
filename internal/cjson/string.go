package cjson

import (
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string: `"` and `\` after a backslash,
// control characters below 0x20 as \b \t \n \f \r or \u00xx, everything else
// unchanged. s must be valid UTF-8, which the caller has checked.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		dst = appendEscape(dst, s[n])
		s = s[n+1:]
	}
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// plain returns how many bytes at the start of s need no escape in a string:
// the index of the first quote, backslash or control character.
//
// It looks at eight bytes at a time. Subtracting sets the top bit of each byte
// that is too small; a borrow can mark a byte wrongly, but only above one that
// is marked rightly, so the lowest mark is always true.
func plain[T string | []byte](s T) int {
	const (
		ones = 0x0101010101010101
		tops = 0x80 * ones
	)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		t := s[i : i+8]
		x := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
			uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		quote := x ^ '"'*ones
		slash := x ^ '\\'*ones
		mark := ((x-' '*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		if mark != 0 {
			return i + bits.TrailingZeros64(mark)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// scanString moves past the string at the decoder's position, which is at its
// opening quote. It returns the bytes between the quotes, still escaped, and
// whether there are escapes among them, which unescape checks.
func (d *Decoder) scanString() (raw []byte, escaped bool, err error) {
	start := d.pos + 1
	i := start
	for {
		i += plain(d.in[i:])
		if i >= len(d.in) {
			return nil, false, d.fail(len(d.in), "string without an end")
		}
		switch d.in[i] {
		case '"':
			raw = d.in[start:i]
			if !utf8.Valid(raw) {
				return nil, false, d.fail(start+invalidAt(raw), "invalid UTF-8")
			}
			d.pos = i + 1
			return raw, escaped, nil
		case '\\':
			escaped = true
			i += 2 // an escaped quote does not end the string
			if i > len(d.in) {
				return nil, false, d.fail(len(d.in), "string without an end")
			}
		default:
			return nil, false, d.fail(i, "control character in a string")
		}
	}
}

// invalidAt returns where the first invalid sequence of b begins.
func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// unescape appends the text that raw encodes. raw was scanned by scanString,
// and ends before the closing quote that d has just passed.
func (d *Decoder) unescape(dst, raw []byte) ([]byte, error) {
	at := d.pos - 1 - len(raw)
	dst = slices.Grow(dst, len(raw)) // the text is shorter
	for i := 0; i < len(raw); {
		n := plain(raw[i:])
		dst = append(dst, raw[i:i+n]...)
		i += n
		if i == len(raw) {
			break
		}
		// plain stopped at a backslash: scanString admits no other such byte,
		// and a byte follows each backslash.
		c := raw[i+1]
		if c == 'u' {
			r, n, msg := unescapeRune(raw[i:])
			if msg != "" {
				return nil, d.fail(at+i, msg)
			}
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		b, ok := unescapeByte(c)
		if !ok {
			return nil, d.fail(at+i, "unknown escape")
		}
		dst = append(dst, b)
		i += 2
	}
	return dst, nil
}

func unescapeByte(c byte) (byte, bool) {
	switch c {
	case '"', '\\', '/':
		return c, true
	case 'b':
		return '\b', true
	case 't':
		return '\t', true
	case 'n':
		return '\n', true
	case 'f':
		return '\f', true
	case 'r':
		return '\r', true
	}
	return 0, false
}

// unescapeRune reads \uXXXX, or two of them that form a surrogate pair, and
// returns the rune and the length read, or what is wrong.
func unescapeRune(b []byte) (r rune, n int, msg string) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0, "expected four hexadecimal digits after \\u"
	}
	if !utf16.IsSurrogate(r) {
		return r, 6, ""
	}
	low, ok := hex4(b[6:])
	if !ok {
		return 0, 0, "lone surrogate"
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0, "lone surrogate"
	}
	return r, 12, ""
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
