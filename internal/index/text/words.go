package text

import (
	"iter"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
)

// A Word is one part of a word in a text: all of it, if it has no marks inside.
type Word struct {
	Term       string // as the index has it
	Start, End int    // its bytes in the text
	// Pos numbers the words of a text. The parts of a word have its number.
	Pos int
	// Lead and Trail are the marks of the same word before and after the part,
	// folded. The Lead of a joined part is the Trail of the one before it.
	Lead, Trail string
	// Joined is true if the part continues the word of the part before it, or
	// is a character of a script without spaces directly after another one.
	Joined bool
	// Cut is true if the part is longer than its term.
	Cut bool
}

// Words yields the parts of the words of a text.
func Words(s string) iter.Seq[Word] {
	return func(yield func(Word) bool) {
		sc := Scanner{Text: s}
		for sc.Scan() {
			w := Word{
				Term: s[sc.start:sc.end], Start: sc.start, End: sc.end, Pos: sc.words - 1, Joined: sc.joined, Cut: sc.cut,
				Lead: Fold(s[sc.lead:sc.start]), Trail: Fold(s[sc.end:sc.trail]),
			}
			if string(sc.Term()) != w.Term { // most words are in small letters, and need no copy
				w.Term = string(sc.Term())
			}
			if !yield(w) {
				return
			}
		}
	}
}

// A Scanner goes through the words of a text, part by part, without allocating.
// Set Text, and call Scan until it returns false; to begin again, set another
// Scanner value.
type Scanner struct {
	Text string

	at         int // offset of the rest of the text
	start, end int // the part
	lead       int // where the marks before the part begin
	trail      int // where the marks after the part end
	words      int // number of words so far, including this one
	joined     bool
	last       bool // the part is the last of its word
	cut        bool
	loose      bool // the part is one character of a script without spaces

	token   int  // end of the current UAX #29 token
	inToken bool // the token has more to split off
	rest    int  // where the rest of the word begins
	wordEnd int  // where the word ends
	inWord  bool // a part of the word has been found

	term, before []byte // of this part and the one before
	use          int    // which of bufs contains the term
	bufs         [2][MaxTerm]byte
	pair         [MaxTerm]byte
}

// Term returns the term of the part, valid until the next Scan.
func (sc *Scanner) Term() []byte { return sc.term }

// Pair returns the term of this part and the one before it, if they are joined,
// or nil. It is valid until the next call of Pair or Edge.
func (sc *Scanner) Pair() []byte {
	if !sc.joined {
		return nil
	}
	return appendPair(sc.pair[:0], sc.before, Fold(sc.Text[sc.lead:sc.start]), sc.term)
}

// Edge returns the term of the last part of a word and the marks that end the
// word, or nil if none do. It is valid until the next call of Pair or Edge.
func (sc *Scanner) Edge() []byte {
	if !sc.last || sc.trail == sc.end {
		return nil
	}
	return appendPair(sc.pair[:0], sc.term, Fold(sc.Text[sc.end:sc.trail]), nil)
}

// appendPair appends the term of two parts in a row and the folded marks
// between them, at most [MaxTerm] bytes of it. The zero byte is in no word, so
// that no other term is equal: not even that of a single sign for the same two
// characters.
func appendPair(dst, a []byte, marks string, b []byte) []byte {
	dst = append(dst, a...)
	for _, s := range [...]string{"\x00", marks, string(b)} {
		if len(dst)+len(s) > MaxTerm {
			return append(dst, cutAt(s, MaxTerm-len(dst))...)
		}
		dst = append(dst, s...)
	}
	return dst
}

// Classes of ASCII bytes.
const (
	other = iota
	letter
	digit
	under
	midLetter // joins two letters
	midNumber // joins two digits
	midBoth   // joins either
)

var classes = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = letter, letter
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = digit
	}
	t['_'] = under
	t['.'], t['\''] = midBoth, midBoth
	t[','], t[';'] = midNumber, midNumber
	return t
}()

// Scan finds the next part of a word, and reports whether there is one.
func (sc *Scanner) Scan() bool {
	for {
		if sc.rest < sc.wordEnd {
			if sc.part() {
				return true
			}
			continue
		}
		if sc.inToken {
			if sc.within() {
				return true
			}
			continue
		}
		s := sc.Text
		i := sc.at
		for i < len(s) && s[i] < utf8.RuneSelf && (classes[s[i]] == other || classes[s[i]] > under) {
			i++
		}
		if i >= len(s) {
			sc.at = i
			return false
		}
		end, parts, ok := ascii(s, i)
		if ok {
			sc.at = end
			if parts {
				sc.word(i, end)
				continue
			}
			sc.lead, sc.start, sc.end, sc.trail = i, i, end, end
			sc.joined, sc.last, sc.loose = false, true, false
			sc.words++
			sc.lower(s[i:end])
			return true
		}
		if isLoose, size := looseAt(s[i:]); isLoose {
			sc.at, sc.token, sc.inToken = i, i+size, true
			continue
		}
		it := words.FromString(s[i:])
		it.Next()
		sc.at, sc.token, sc.inToken = i, i+it.End(), true
	}
}

// ascii finds the end of a word that begins at i, if that does not depend on
// characters outside of ASCII. parts is true if the word may have several
// parts, or marks around its only one.
func ascii(s string, i int) (end int, parts, ok bool) {
	marks, hasLetter, hasDigit := false, false, false
	prev := uint8(other)
	for i < len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return 0, false, false
		}
		class := classes[c]
		switch class {
		case letter:
			hasLetter = true
		case digit:
			hasDigit = true
		case under:
			marks = true
		case other:
			return i, marks || hasLetter && hasDigit, true
		default:
			if i+1 >= len(s) {
				return i, marks || hasLetter && hasDigit, true
			}
			if s[i+1] >= utf8.RuneSelf {
				return 0, false, false
			}
			next := classes[s[i+1]]
			joins := prev == next && (next == letter && class == midBoth || next == digit)
			if !joins {
				return i, marks || hasLetter && hasDigit, true
			}
			marks = true
		}
		prev = class
		i++
	}
	return i, marks || hasLetter && hasDigit, true
}

// word begins to split a word.
func (sc *Scanner) word(start, end int) {
	sc.rest, sc.wordEnd, sc.inWord = start, end, false
}

// buffer returns a buffer for the next term. The term before it is kept.
func (sc *Scanner) buffer() *[MaxTerm]byte {
	sc.before = sc.term
	sc.use = 1 - sc.use
	return &sc.bufs[sc.use]
}

// lower makes the term of ASCII text.
func (sc *Scanner) lower(s string) {
	sc.cut = len(s) > MaxTerm
	if sc.cut {
		s = s[:MaxTerm]
	}
	b := sc.buffer()[:len(s)]
	for i := range len(s) {
		b[i] = lowered[s[i]]
	}
	sc.term = b
}

var lowered = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) + 'a' - 'A'
	}
	return t
}()

// within advances in a token that is not all ASCII: to a run of ordinary
// characters, which is a word to be split, or to one character of a script
// without spaces. It reports whether it found the latter.
func (sc *Scanner) within() bool {
	s := sc.Text[:sc.token]
	i := sc.at
	if isLoose, size := looseAt(s[i:]); isLoose {
		sc.at = i + size
		sc.inToken = sc.at < sc.token
		sc.joined = sc.loose && sc.end == i
		sc.lead, sc.start, sc.end, sc.trail = i, i, i+size, i+size
		sc.last, sc.loose = true, true
		sc.words++
		sc.fold(s[i : i+size])
		return true
	}
	end := i
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if r == ':' || end > i && isLoose(r) {
			break
		}
		end += size
	}
	sc.word(i, end)
	if end < len(s) && s[end] == ':' {
		end++
	}
	sc.at = end
	sc.inToken = end < sc.token
	return false
}

// part finds the next part of the word. It reports whether there was one.
func (sc *Scanner) part() bool {
	s := sc.Text[:sc.wordEnd]
	start := toPart(s, sc.rest)
	if start == len(s) {
		sc.rest = start
		return false
	}
	sc.lead, sc.start, sc.end = sc.rest, start, endOfPart(s, start)
	sc.trail = toPart(s, sc.end)
	sc.joined, sc.inWord = sc.inWord, true
	if !sc.joined {
		sc.words++
	}
	sc.loose = false
	sc.rest, sc.last = sc.end, sc.trail == len(s)
	if sc.last {
		sc.rest = len(s)
	}
	sc.fold(s[start:sc.end])
	return true
}

// toPart returns where the next part begins, or the end.
func toPart(s string, i int) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if begins(r) {
			break
		}
		i += size
	}
	return i
}

// endOfPart returns where a part ends: a run of letters, digits, symbols and
// their marks, as far as it is not divided.
func endOfPart(s string, start int) int {
	i := start
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !begins(r) && !unicode.IsMark(r) && !unicode.Is(unicode.Cf, r) && !lengthens(r) {
			break
		}
		if i > start && divided(s, start, i) {
			break
		}
		i += size
	}
	return i
}

// lengthens reports whether an Arabic letter only makes a word longer, with or
// without vowel signs above it.
func lengthens(r rune) bool {
	return r == 'ـ' || 0xFCF2 <= r && r <= 0xFCF4 || 0xFE70 <= r && r <= 0xFE7F
}

// begins reports whether a part of a word can begin with a character: it cannot
// with a mark, or with a character that folds to nothing.
func begins(r rune) bool {
	if r < utf8.RuneSelf {
		c := classes[byte(r)]
		return c == letter || c == digit
	}
	if r == utf8.RuneError || lengthens(r) {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.So, r)
}

// divided reports whether a run of letters and digits that begins at start is
// divided before i: after the v of a version, such as v1, and around the T and
// before the Z of a time, such as 20261130T120000Z.
func divided(s string, start, i int) bool {
	is := func(at int, class uint8) bool { return at >= 0 && at < len(s) && classes[s[at]] == class }
	before, c := s[i-1]|0x20, s[i]|0x20
	switch {
	case is(i, digit) && before == 'v':
		return i-1 == start
	case is(i, digit) && before == 't':
		return is(i-2, digit)
	case is(i-1, digit) && (c == 't' || c == 'z'):
		return is(i+1, digit) && c == 't' || i+1 == len(s) || s[i+1] < utf8.RuneSelf && !begins(rune(s[i+1]))
	}
	return false
}

// loose are the scripts whose characters are words of their own.
var loose = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Yi,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan, unicode.Javanese,
	unicode.Balinese, unicode.New_Tai_Lue, unicode.Tai_Le, unicode.Tai_Tham, unicode.Tai_Viet,
}

func isLoose(r rune) bool {
	if r < 0x0E00 {
		return false
	}
	if r >= 0x4E00 && r <= 0x9FFF || r == 'ー' || r == 'ｰ' {
		return true
	}
	return unicode.IsLetter(r) && unicode.In(r, loose...)
}

// looseAt reports whether s begins with such a character, and returns its
// length with the marks that follow it. No character has more than some marks.
func looseAt(s string) (bool, int) {
	r, size := utf8.DecodeRuneInString(s)
	if !isLoose(r) {
		return false, 0
	}
	for range 8 {
		r, n := utf8.DecodeRuneInString(s[size:])
		if n == 0 || r < 0x0300 || !unicode.IsMark(r) && r != 'ﾞ' && r != 'ﾟ' {
			break
		}
		size += n
	}
	return true, size
}
