package text

import "unicode/utf8"

// A Lookup is a term that the index has, or if Prefix the beginning of one.
type Lookup struct {
	Term   string
	Prefix bool
}

// Lookups returns what the index has for every text in which the words of a
// phrase, as Words yields them, stand in a row. prefix means that the last of
// them may be only the beginning of one. exact tells that it is also the other
// way round: what has this has the phrase. Of no words there is none.
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
// it cannot be that of longer ones.
func pairOf(a, marks, b string) (term string, whole bool) {
	whole = len(a)+1+len(marks)+len(b)+utf8.UTFMax <= MaxTerm
	return string(appendPair(nil, []byte(a), marks, []byte(b))), whole
}
