package text

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold makes the term of any text. Text that is far too long is cut before it
// is folded, since only marks that folding drops could follow.
func (sc *Scanner) fold(s string) {
	sc.cut = false
	if len(s) > 4*MaxTerm {
		s, sc.cut = cutAt(s, 4*MaxTerm), true
	}
	b := sc.buffer()[:0]
	sc.term = appendFolded(b, s)
	if len(sc.term) > MaxTerm {
		sc.cut = true
		sc.term = append(b, cutAt(string(sc.term), MaxTerm)...)
	}
}

// cutAt returns the start of s, at most n bytes, in whole characters.
func cutAt(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Fold returns a text with case and accents folded, without regard to words.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || lowered[s[i]] != s[i] {
			return string(appendFolded(nil, s))
		}
	}
	return s
}

func appendFolded(dst []byte, s string) []byte {
	from := len(dst)
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			dst = append(dst, lowered[c])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < latinEnd && simple(s[i+size:]):
			dst = append(dst, latin()[r-latinStart]...)
		case r >= 0x4E00 && r <= 0x9FFF && simple(s[i+size:]):
			dst = append(dst, s[i:i+size]...)
		case r == '’', r == '‘':
			dst = append(dst, '\'')
		default:
			return append(dst[:from], foldAny(s)...)
		}
		i += size
	}
	return dst
}

// simple reports whether the folding of a character does not depend on those
// after it.
func simple(s string) bool {
	if s == "" || s[0] < utf8.RuneSelf {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s)
	return !unicode.IsMark(r)
}

// The characters whose folding is kept in a table: Latin-1 and Latin Extended-A
// and -B.
const (
	latinStart = 0x80
	latinEnd   = 0x250
)

// latin makes the table when the first of these characters is folded: that
// takes some milliseconds, for which a command that reads no text need not
// wait.
var latin = sync.OnceValue(func() *[latinEnd - latinStart]string {
	t := new([latinEnd - latinStart]string)
	for i := range t {
		t[i] = foldAny(string(rune(latinStart + i)))
	}
	return t
})

// plain are letters with a stroke or a ligature, and quotes that are typographic
// or Hebrew, which do not decompose.
var plain = map[rune]string{
	'ø': "o", 'ł': "l", 'đ': "d", 'ħ': "h", 'ŧ': "t", 'ı': "i", 'æ': "ae", 'œ': "oe",
	'’': "'", '‘': "'", '׳': "'", '״': `"`,
}

// foldAny folds any text. A second pass folds the few characters that the first
// pass produces.
func foldAny(s string) string { return foldOnce(foldOnce(s)) }

func foldOnce(s string) string {
	d := norm.NFKD.String(s)
	b := make([]byte, 0, len(d))
	for _, r := range d {
		if isAccent(r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	d = cases.Fold().String(string(b))
	b = b[:0]
	for _, r := range d {
		if p, ok := plain[r]; ok {
			b = append(b, p...)
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return norm.NFKC.String(string(b))
}

// isAccent reports whether a mark only changes how a letter sounds. The marks
// of other scripts are vowels, and without them the word would be another one.
func isAccent(r rune) bool {
	switch {
	case r < 0x0300:
		return false
	case r <= 0x036F, // combining diacritical marks
		0x0483 <= r && r <= 0x0487,                             // Cyrillic
		0x0591 <= r && r <= 0x05C7 && unicode.IsMark(r),        // Hebrew points
		0x0610 <= r && r <= 0x061A, 0x064B <= r && r <= 0x065F, // Arabic harakat
		r == 0x0640, r == 0x0670, 0x06D6 <= r && r <= 0x06ED && unicode.IsMark(r),
		0x1AB0 <= r && r <= 0x1AFF, 0x1DC0 <= r && r <= 0x1DFF,
		0x20D0 <= r && r <= 0x20FF, 0xFE20 <= r && r <= 0xFE2F, 0xFE00 <= r && r <= 0xFE0F:
		return true
	}
	return false
}
