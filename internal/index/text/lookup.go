package text

import "unicode/utf8"

// A Lookup is a term to look up in the index or, with Prefix, the beginning of
// one.
type Lookup struct {
	Term   string
	Prefix bool
}

// Lookups returns terms that the index has for every text with the words of a
// phrase, as Words yields them, in a row. With prefix, the last word may be
// only the beginning of one. exact is true if the converse holds too: every
// text that has these terms has the phrase. A phrase without words gives no
// terms.
func Lookups(phrase []Word, prefix bool) (all []Lookup, exact bool) {
	exact = true
	for i := range phrase {
		w := &phrase[i]
		begun := prefix && i == len(phrase)-1
		ends := i+1 == len(phrase) || !phrase[i+1].Joined
		exact = exact && !w.Cut && (w.Joined || w.Lead == "")
		if w.Joined {
			before := &phrase[i-1]
			pair, whole := pairOf(before.Term, w.Lead, w.Term)
			all = append(all, Lookup{pair, begun && w.Trail == ""})
			exact = exact && whole
		}
		switch {
		case ends && w.Trail != "":
			// More marks may follow these, and another part.
			edge, whole := pairOf(w.Term, w.Trail, "")
			all = append(all, Lookup{edge, true})
			exact = exact && whole
		case ends && !w.Joined:
			all = append(all, Lookup{w.Term, begun})
		}
	}
	return all, exact && len(all) == 1
}

// pairOf returns the term of two parts and the marks between them, and whether
// it cannot be the term of longer parts.
func pairOf(a, marks, b string) (term string, whole bool) {
	whole = len(a)+1+len(marks)+len(b)+utf8.UTFMax <= MaxTerm
	return string(appendPair(nil, []byte(a), marks, []byte(b))), whole
}
