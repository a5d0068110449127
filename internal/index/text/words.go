package text

import (
	"iter"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
)

// A Word is one word in a text.
type Word struct {
	Term       string // as the index has it
	Start, End int    // its bytes in the text
	// Pos numbers the words of a text. The parts of a word have its number.
	Pos int
	// Close means that the word is one character, and stands directly behind
	// another such one: the index has the two of them as a term, too.
	Close bool
	// Cut means that the word is longer than its term.
	Cut bool
}

// Words yields the words of a text, each followed by its parts.
func Words(s string) iter.Seq[Word] {
	return func(yield func(Word) bool) {
		sc := Scanner{Text: s}
		for sc.Scan() {
			w := Word{Term: string(sc.Term()), Start: sc.start, End: sc.end, Pos: sc.pos, Close: sc.close, Cut: sc.cut}
			if !yield(w) {
				return
			}
		}
	}
}

// A Scanner goes through the words of a text without allocating. Set Text, and
// call Scan until it returns false; to begin again, set another Scanner value.
type Scanner struct {
	Text string

	at         int // what is left begins here
	start, end int // the word
	pos        int
	cut        bool
	begun      bool

	token    int  // where the token ends that UAX #29 sees
	inToken  bool // there is more to split off the token
	close    bool
	loose    bool // the word is one character of a script without spaces
	partFrom int  // where the next part of the word begins, or -1
	partsEnd int

	term []byte
	pair []byte // the term of the word before and this one, if close
	prev int    // length of the previous term in pair
	buf  [3*MaxTerm + 1]byte
}

// Term returns the term of the word, valid until the next Scan.
func (sc *Scanner) Term() []byte { return sc.term }

// Pair returns the term of the last two words, if they are close, or nil.
func (sc *Scanner) Pair() []byte {
	if !sc.close {
		return nil
	}
	return sc.pair
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

// Scan finds the next word, and reports whether there is one.
func (sc *Scanner) Scan() bool {
	if sc.partFrom < sc.partsEnd && sc.part() {
		return true
	}
	sc.partFrom, sc.partsEnd = 0, 0
	for {
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
			sc.found(i, end, false)
			sc.lower(s[i:end])
			if parts {
				sc.partFrom, sc.partsEnd = i, end
			}
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

// ascii finds the end of a word that begins at i, if it can be found without
// looking at what is not ASCII. parts tells whether the word has parts.
func ascii(s string, i int) (end int, parts, ok bool) {
	mixed, hasLetter := false, false
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
		case under:
			mixed = true
		case other:
			return i, mixed && hasLetter, true
		default:
			if i+1 >= len(s) {
				return i, mixed && hasLetter, true
			}
			if s[i+1] >= utf8.RuneSelf {
				return 0, false, false
			}
			next := classes[s[i+1]]
			joins := prev == next && (next == letter && class == midBoth || next == digit)
			if !joins {
				return i, mixed && hasLetter, true
			}
			mixed = true
		}
		prev = class
		i++
	}
	return i, mixed && hasLetter, true
}

// found notes where the next word stands.
func (sc *Scanner) found(start, end int, loose bool) {
	if sc.begun {
		sc.pos++
	}
	sc.begun = true
	sc.close = loose && sc.loose && sc.end == start
	sc.loose = loose
	sc.start, sc.end = start, end
}

// lower makes the term of ASCII text.
func (sc *Scanner) lower(s string) {
	sc.cut = len(s) > MaxTerm
	if sc.cut {
		s = s[:MaxTerm]
	}
	b := sc.buf[:len(s)]
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

// within takes the next word out of a token that is not all ASCII: a run of
// ordinary characters, or one character of a script without spaces. It reports
// whether there was one.
func (sc *Scanner) within() bool {
	s := sc.Text[:sc.token]
	i := sc.at
	if loose, size := looseAt(s[i:]); loose {
		sc.at = i + size
		sc.inToken = sc.at < sc.token
		sc.foldLoose(i, i+size)
		return len(sc.term) > 0
	}
	word, parts, hasLetter := false, false, false
	end := i
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if end > i && isLoose(r) {
			break
		}
		if r == ':' {
			if end == i {
				end++
			}
			break
		}
		switch {
		case unicode.IsLetter(r):
			word, hasLetter = true, true
		case unicode.IsNumber(r), unicode.Is(unicode.So, r) && r != utf8.RuneError:
			word = true
		case !unicode.IsMark(r) && !unicode.Is(unicode.Cf, r):
			parts = true
		}
		end += size
	}
	sc.at = end
	sc.inToken = end < sc.token
	if !word {
		return false
	}
	sc.found(i, end, false)
	sc.fold(s[i:end])
	if len(sc.term) == 0 {
		sc.pos-- // marks alone
		return false
	}
	if parts && hasLetter {
		sc.partFrom, sc.partsEnd = i, end
	}
	return true
}

// foldLoose makes the term of one character, and of it with the one before.
func (sc *Scanner) foldLoose(start, end int) {
	before := sc.term
	if !sc.loose {
		before = nil
	}
	sc.prev = copy(sc.buf[MaxTerm:], before)
	sc.found(start, end, true)
	sc.fold(sc.Text[start:end])
	if sc.close {
		sc.pair = appendPair(sc.buf[MaxTerm+sc.prev:MaxTerm+sc.prev], sc.buf[MaxTerm:MaxTerm+sc.prev], sc.term)
		sc.close = len(sc.pair) <= MaxTerm
	}
}

// appendPair appends the term of two characters in a row. What stands between
// them is in no word: one sign that stands for both has another term.
func appendPair(dst, a, b []byte) []byte {
	dst = append(dst, a...)
	dst = append(dst, 0)
	return append(dst, b...)
}

// part takes the next part out of the word: a run of letters, digits and their
// marks.
func (sc *Scanner) part() bool {
	s := sc.Text[:sc.partsEnd]
	i := sc.partFrom
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if inPart(r) {
			break
		}
		i += size
	}
	end := i
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if !inPart(r) {
			break
		}
		end += size
	}
	sc.partFrom = end
	if i == end {
		return false
	}
	sc.start, sc.end = i, end
	sc.close, sc.loose = false, false
	sc.fold(s[i:end])
	return len(sc.term) > 0
}

func inPart(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || unicode.Is(unicode.Cf, r)
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

// looseAt tells whether s begins with such a character, and how long that is
// with the marks that follow it. No character has more than some marks.
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
