package query_test

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/internal/index/text"
)

// A piece is one of the texts of an event.
type piece struct {
	field, text string
	words       []text.Word
}

func pieces(e *event.Event) []piece {
	var all []piece
	for f, s := range text.Of(e) {
		all = append(all, piece{f.String(), s, slices.Collect(text.Words(s))})
	}
	return all
}

// A place is where a text stands.
type place struct {
	field, text string
	start, end  int
}

// A wording is a condition on the text of an event.
type wording struct {
	text   string // as the query has it
	holds  func([]piece) bool
	stands func(piece) [][2]int // where; nil if that is not to be compared
}

// atom is a wording that stands somewhere in a piece of a field, or of any.
func atom(said, field string, stands func(piece) [][2]int) wording {
	in := func(p piece) [][2]int {
		if field != "" && p.field != field {
			return nil
		}
		return stands(p)
	}
	return wording{said, func(all []piece) bool {
		return slices.ContainsFunc(all, func(p piece) bool { return len(in(p)) > 0 })
	}, in}
}

// inARow is the condition that words follow each other, the last of which may
// be only the beginning of one. Of several places with one end it is the last.
func inARow(said, field, words string, prefix bool) wording {
	want := slices.Collect(text.Words(words))
	return atom(said, field, func(p piece) (found [][2]int) {
		latest := map[int]int{}
		for first := range p.words {
			for _, last := range rowsFrom(p.words, want, prefix, 0, first) {
				if at, ok := latest[last]; !ok || at < first {
					latest[last] = first
				}
			}
		}
		for last, first := range latest {
			found = append(found, [2]int{p.words[first].Start, p.words[last].End})
		}
		return found
	})
}

// rowsFrom returns where in a text the rest of some words can end, if its i-th
// part is the part at.
func rowsFrom(in, want []text.Word, prefix bool, i, at int) (ends []int) {
	w, x := in[at], want[i]
	isLast := i == len(want)-1
	same := w.Term == x.Term || prefix && isLast && x.Trail == "" && strings.HasPrefix(w.Term, x.Term)
	if !same || !strings.HasSuffix(w.Lead, x.Lead) || !strings.HasPrefix(w.Trail, x.Trail) {
		return nil
	}
	if isLast {
		return []int{at}
	}
	for next := at + 1; next < len(in) && in[next].Pos <= w.Pos+1; next++ {
		if want[i+1].Joined {
			if next == at+1 && in[next].Joined && in[next].Lead == want[i+1].Lead {
				ends = append(ends, rowsFrom(in, want, prefix, i+1, next)...)
			}
		} else if next == at+1 || in[next].Pos == w.Pos+1 {
			ends = append(ends, rowsFrom(in, want, prefix, i+1, next)...)
		}
	}
	return ends
}

// within are runs of parts of the vocabulary's words.
var within = []string{"example.com", "www.example", "max_tokens", "tokens_per", "o'brien", "brien's", "app.conf", "_per", "max_", "corp"}

// inside is the condition that a text contains a run of parts: these
// characters, with no letter or digit next to them, regardless of where words
// begin.
func inside(run, field string) wording {
	re := regexp.MustCompile("(?i)" + strings.ReplaceAll(regexp.QuoteMeta(run), "'", "['’]"))
	isPart := func(r rune) bool {
		return unicode.In(r, unicode.L, unicode.M, unicode.N) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)
	}
	x := atom(quoted(run, false), field, func(p piece) (found [][2]int) {
		for _, m := range re.FindAllStringIndex(p.text, -1) {
			before, _ := utf8.DecodeLastRuneInString(p.text[:m[0]])
			after, _ := utf8.DecodeRuneInString(p.text[m[1]:])
			if (run[0] == '_' || !isPart(before)) && (run[len(run)-1] == '_' || !isPart(after)) {
				found = append(found, [2]int{m[0], m[1]})
			}
		}
		return found
	})
	if strings.Trim(run, "_") != run {
		x.stands = nil // the place is that of the part
	}
	return x
}

// places returns where some pieces contain a wording, or nil if it does not
// say.
func (x *wording) places(of []piece) []place {
	if x.stands == nil {
		return nil
	}
	all := []place{}
	for _, p := range of {
		spans := x.stands(p)
		slices.SortFunc(spans, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
		first := len(all)
		for _, s := range spans {
			if last := len(all) - 1; last >= first && s[0] < all[last].end {
				all[last].end = max(all[last].end, s[1])
			} else {
				all = append(all, place{p.field, p.text, s[0], s[1]})
			}
		}
	}
	return all[:min(len(all), 100)]
}

// joined is a condition on what others say.
func joined(said string, some []wording, all bool) wording {
	x := wording{text: said}
	x.holds = func(p []piece) bool {
		for _, y := range some {
			if y.holds(p) != all {
				return !all
			}
		}
		return all
	}
	for _, y := range some {
		if y.stands == nil {
			return x
		}
	}
	x.stands = func(p piece) (spans [][2]int) {
		for _, y := range some {
			spans = append(spans, y.stands(p)...)
		}
		return spans
	}
	return x
}

func texts(some []wording) []string {
	var list []string
	for _, x := range some {
		list = append(list, x.text)
	}
	return list
}

// either makes wordings between ORs, within a field or not.
func (w *world) either(depth int, field string) wording {
	some := []wording{w.both(depth, field)}
	for w.rng.IntN(3) == 0 {
		some = append(some, w.both(depth, field))
	}
	return joined(strings.Join(texts(some), " OR "), some, false)
}

func (w *world) both(depth int, field string) wording {
	some := []wording{w.perhapsNot(depth, field)}
	for w.rng.IntN(3) == 0 {
		some = append(some, w.perhapsNot(depth, field))
	}
	return joined(strings.Join(texts(some), pick(w, []string{" ", "  ", " AND "})), some, true)
}

func (w *world) perhapsNot(depth int, field string) wording {
	x := w.operand(depth, field)
	if w.rng.IntN(6) > 0 {
		return x
	}
	return wording{
		text:  pick(w, []string{"-", "NOT "}) + x.text,
		holds: func(all []piece) bool { return !x.holds(all) },
		stands: func(piece) [][2]int {
			return nil
		},
	}
}

func (w *world) operand(depth int, field string) wording {
	switch n := w.rng.IntN(13); {
	case n < 2 && depth > 0:
		x := w.either(depth-1, field)
		x.text = "(" + x.text + ")"
		return x
	case n < 5 && field == "":
		name := pick(w, text.Fields()).String()
		if w.rng.IntN(2) == 0 {
			name = "prompt"
		}
		x := w.operand(depth, name)
		x.text = name + ":" + x.text
		return x
	case n < 6:
		return w.substring(field)
	case n < 7:
		return w.pattern(field)
	case n < 8:
		return inside(pick(w, within), field)
	case n < 10:
		s := w.excerpt()
		prefix := w.rng.IntN(2) == 0
		return inARow(quoted(s, prefix), field, s, prefix)
	}
	s := pick(w, vocabulary)
	prefix := w.rng.IntN(3) == 0
	if prefix {
		r := []rune(s)
		s = wordy(string(r[:1+w.rng.IntN(len(r))]))
	}
	said := s
	if !plainWord.MatchString(s) {
		return inARow(quoted(s, prefix), field, s, prefix)
	}
	if prefix {
		said += "*"
	}
	return inARow(said, field, s, prefix)
}

// plainWord is what needs no quotes.
var plainWord = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}_.'’-]*$`)

func quoted(s string, prefix bool) string {
	s = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	if prefix {
		s += "*"
	}
	return s
}

// wordy is a text, or another one if there is no word in it.
func wordy(s string) string {
	for range text.Words(s) {
		return s
	}
	return "refund"
}

// excerpt is a part of what was recorded, or of nothing that was.
func (w *world) excerpt() string {
	s := w.words(3)
	if r := []rune(w.facts[w.rng.IntN(len(w.facts))].Event.Prompt); len(r) > 0 {
		from := w.rng.IntN(len(r))
		s = string(r[from : from+w.rng.IntN(min(len(r)-from, 20)+1)])
	}
	return wordy(s)
}

func (w *world) substring(field string) wording {
	s := w.excerpt()
	if w.rng.IntN(2) == 0 {
		r := []rune(s)
		s = wordy(string(r[w.rng.IntN(len(r)):]))
	}
	x := atom("substring:"+quoted(s, false), field, func(p piece) [][2]int {
		if strings.Contains(text.Fold(p.text), text.Fold(s)) {
			return [][2]int{{0, 0}}
		}
		return nil
	})
	x.stands = nil // where a character folds into several, the place is a matter of taste
	return x
}

func (w *world) pattern(field string) wording {
	s := regexp.QuoteMeta(w.excerpt())
	s = strings.ReplaceAll(s, "e", pick(w, []string{"e", ".", "e+", "[^x]?"}))
	re, said := regexp.MustCompile(s), "/"+strings.ReplaceAll(s, "/", `\/`)+"/"
	if w.rng.IntN(2) == 0 {
		re, said = regexp.MustCompile("(?i)"+s), said+"i"
	}
	return atom(said, field, func(p piece) [][2]int {
		var found [][2]int
		for _, m := range re.FindAllStringIndex(p.text, -1) {
			found = append(found, [2]int{m[0], m[1]})
		}
		return found
	})
}
