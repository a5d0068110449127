// Package search implements the language of text queries: words, "phrases",
// prefix*, field:word, AND (which need not be written), OR, -not and
// parentheses, substring:"…" and /patterns/. It parses a query ([Parse]),
// matches it with an event that has been opened ([Expr.Match]), and finds the
// places of the text in it ([Expr.Find]).
//
// Words are those of package text: case and accents do not matter. A condition
// applies to an event as a whole: two words may be in different fields, and a
// negated word must be in none.
package search

import (
	"cmp"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/internal/index/text"
)

// An Expr is a text query.
type Expr struct{ root node }

// A Match is a place where text was found: Text[Start:End], in one piece of the
// text of a field. Of JSON, each string is a piece.
type Match struct {
	Field      text.Field
	Text       string
	Start, End int // bytes
}

// Match reports whether an event that has been opened matches.
func (x *Expr) Match(e *event.Event) bool {
	d := read(e)
	return x.root.holds(&d)
}

// Find reports whether an event matches, and returns where it contains the
// words of the query, in the order of the event. Overlapping places are merged.
// There are at most limit.
func (x *Expr) Find(e *event.Event, limit int) (places []Match, ok bool) {
	d := read(e)
	if !x.root.holds(&d) {
		return nil, false
	}
	for i := range d {
		places = d[i].places(x.root, limit, places)
	}
	return places, true
}

// Negative reports whether the query matches a record without any text.
func (x *Expr) Negative() bool { return x.root.holds(new(document)) }

// Scans reports whether the query asks for text that no index can look up.
func (x *Expr) Scans() bool { return x.root.scans() }

// A document is the text of an event.
type document []piece

type piece struct {
	field text.Field
	text  string
	words []text.Word
	cut   bool // the piece has been cut into words
}

func read(e *event.Event) document {
	var d document
	for f, s := range text.Of(e) {
		d = append(d, piece{field: f, text: s})
	}
	return d
}

// in reports whether the piece is of a field.
func (p *piece) in(f text.Field) bool { return f == text.Any || f == p.field }

func (p *piece) cutUp() []text.Word {
	if !p.cut {
		p.cut = true
		p.words = make([]text.Word, 0, min(len(p.text)/4+1, 1024))
		for w := range text.Words(p.text) {
			p.words = append(p.words, w)
		}
	}
	return p.words
}

// A span is a part of a piece's text.
type span struct{ start, end int }

// places adds the places of a piece.
func (p *piece) places(root node, limit int, all []Match) []Match {
	var spans []span
	root.spans(p, &spans)
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	first := len(all)
	for _, s := range spans {
		switch last := len(all) - 1; {
		case last >= first && s.start < all[last].End:
			all[last].End = max(all[last].End, s.end)
		case len(all) >= limit:
			return all
		default:
			all = append(all, Match{p.field, p.text, s.start, s.end})
		}
	}
	return all
}

// A node is a part of a text query.
type node interface {
	holds(d *document) bool
	spans(p *piece, to *[]span) // where a piece contains it; nowhere, if negated
	scans() bool
	rows(in Lookup) (Rows, error)
}

type (
	both   []node
	either []node
	no     struct{ node node }
)

func (n both) holds(d *document) bool {
	for _, m := range n {
		if !m.holds(d) {
			return false
		}
	}
	return true
}

func (n either) holds(d *document) bool {
	for _, m := range n {
		if m.holds(d) {
			return true
		}
	}
	return false
}

func (n no) holds(d *document) bool { return !n.node.holds(d) }

func (n both) spans(p *piece, to *[]span)   { spansOf(n, p, to) }
func (n either) spans(p *piece, to *[]span) { spansOf(n, p, to) }
func (n no) spans(*piece, *[]span)          {}

func spansOf(all []node, p *piece, to *[]span) {
	for _, m := range all {
		m.spans(p, to)
	}
}

func (n both) scans() bool   { return anyScans(n) }
func (n either) scans() bool { return anyScans(n) }
func (n no) scans() bool     { return n.node.scans() }

func anyScans(all []node) bool {
	for _, m := range all {
		if m.scans() {
			return true
		}
	}
	return false
}

// A phrase is one word, or several in a row.
type phrase struct {
	field  text.Field
	words  [][]text.Word // each divided into its parts
	prefix bool          // the last word is only the beginning of one
	terms  []text.Lookup
	exact  bool // a text with these words contains the phrase
}

func newPhrase(field text.Field, s string, prefix bool) *phrase {
	n := &phrase{field: field, prefix: prefix}
	parts := slices.Collect(text.Words(s))
	n.terms, n.exact = text.Lookups(parts, prefix)
	for len(parts) > 0 {
		end := 1
		for end < len(parts) && parts[end].Joined {
			end++
		}
		n.words = append(n.words, parts[:end])
		parts = parts[end:]
	}
	return n
}

func (n *phrase) scans() bool { return false }

func (n *phrase) holds(d *document) bool {
	for i := range *d {
		if p := &(*d)[i]; p.in(n.field) {
			for range n.stands(p.cutUp()) {
				return true
			}
		}
	}
	return false
}

func (n *phrase) spans(p *piece, to *[]span) {
	if p.in(n.field) {
		*to = slices.AppendSeq(*to, n.stands(p.cutUp()))
	}
}

// stands yields where a text contains the phrase: for each place where it ends,
// the latest where it begins. Each word of the phrase is in the word of the
// text that follows the one before, or in the same one directly after it.
func (n *phrase) stands(text []text.Word) iter.Seq[span] {
	return func(yield func(span) bool) {
		if len(n.words) == 1 {
			for at := range text {
				if n.is(0, text[at:]) && !yield(span{text[at].Start, text[at+len(n.words[0])-1].End}) {
					return
				}
			}
			return
		}
		// begins and next are where the phrase up to a word of it begins, by
		// the part of the text with which it ends; -1 is nowhere.
		var begins, next []int
		for i := range n.words {
			if next = n.after(i, begins, next, text); next == nil {
				return
			}
			begins, next = next, begins
		}
		for at, from := range begins {
			if from >= 0 && !yield(span{text[from].Start, text[at].End}) {
				return
			}
		}
	}
}

// after returns where the i-th word of the phrase follows the words before it,
// which end and begin where begins says, or nil if nowhere. The first word
// follows nothing. It uses the memory of room.
func (n *phrase) after(i int, begins, room []int, text []text.Word) (next []int) {
	here, before := -1, -1 // the latest beginning of a match that ends in the same word, and in the one before
	for at := range text {
		if at > 0 && text[at].Pos != text[at-1].Pos {
			here, before = -1, here
		}
		from := at
		if i > 0 {
			from = before
			if at > 0 {
				from = max(from, begins[at-1])
			}
			here = max(here, begins[at])
		}
		if from < 0 || !n.is(i, text[at:]) {
			continue
		}
		if next == nil {
			if next = room; next == nil {
				next = make([]int, len(text))
			}
			for k := range next {
				next[k] = -1
			}
		}
		next[at+len(n.words[i])-1] = from
	}
	return next
}

// is reports whether a text begins with the i-th word of the phrase: all parts
// of it in one word, with the same marks between them.
func (n *phrase) is(i int, text []text.Word) bool {
	want := n.words[i]
	if len(text) < len(want) {
		return false
	}
	for k := range want {
		if want, w := &want[k], &text[k]; want.Joined && !(w.Joined && w.Lead == want.Lead) ||
			!strings.HasSuffix(w.Lead, want.Lead) || !strings.HasPrefix(w.Trail, want.Trail) {
			return false
		}
		whole := !n.prefix || i < len(n.words)-1 || k < len(want)-1 || want[k].Trail != ""
		if !strings.HasPrefix(text[k].Term, want[k].Term) || whole && len(text[k].Term) != len(want[k].Term) {
			return false
		}
	}
	return true
}

// A substring is characters anywhere, without regard to case and accents.
type substring struct {
	field  text.Field
	folded string
}

func (n *substring) scans() bool { return true }

func (n *substring) holds(d *document) bool {
	for i := range *d {
		p := &(*d)[i]
		if p.in(n.field) && strings.Contains(text.Fold(p.text), n.folded) {
			return true
		}
	}
	return false
}

func (n *substring) spans(p *piece, to *[]span) {
	if !p.in(n.field) {
		return
	}
	folded, from := foldWithPlaces(p.text)
	if folded != text.Fold(p.text) {
		// These characters change each other: the place cannot be determined.
		if strings.Contains(text.Fold(p.text), n.folded) {
			*to = append(*to, span{0, len(p.text)})
		}
		return
	}
	for at := 0; ; {
		i := strings.Index(folded[at:], n.folded)
		if i < 0 {
			return
		}
		at += i
		start, end := from[at], from[at+len(n.folded)]
		if end == start { // half of a character that folds into two
			_, size := utf8.DecodeRuneInString(p.text[start:])
			end += size
		}
		*to = append(*to, span{start, end})
		at += len(n.folded)
	}
}

// foldWithPlaces folds characters one by one, and returns for each byte of the
// result where in the text it comes from.
func foldWithPlaces(s string) (folded string, from []int) {
	var b strings.Builder
	for i, r := range s {
		f := text.Fold(string(r))
		if f == "" && len(from) > 0 {
			continue // a mark belongs to the character before it
		}
		for range len(f) {
			from = append(from, i)
		}
		b.WriteString(f)
	}
	return b.String(), append(from, len(s))
}

// maxSpans is the most places of a pattern that are returned for one piece.
const maxSpans = 1000

// A pattern is a regular expression (RE2), which takes time proportional to the
// text.
type pattern struct {
	field text.Field
	re    *regexp.Regexp
}

func (n *pattern) scans() bool { return true }

func (n *pattern) holds(d *document) bool {
	for i := range *d {
		if p := &(*d)[i]; p.in(n.field) && n.re.MatchString(p.text) {
			return true
		}
	}
	return false
}

func (n *pattern) spans(p *piece, to *[]span) {
	if !p.in(n.field) {
		return
	}
	for _, m := range n.re.FindAllStringIndex(p.text, maxSpans) {
		if m[0] < m[1] { // an empty match cannot be marked
			*to = append(*to, span{m[0], m[1]})
		}
	}
}
