package text

// Terms returns the terms that the index has for every text in which the words
// of a phrase stand in a row. exact tells that it is also the other way round:
// what has these terms has the phrase. Of a text without a word there are none.
func Terms(phrase string) (terms []string, exact bool) {
	var all []Word
	cut := false
	for w := range Words(phrase) {
		if n := len(all); n > 0 && all[n-1].Pos == w.Pos {
			continue // a part: the word says more
		}
		all = append(all, w)
		cut = cut || w.Cut
	}
	for i, w := range all {
		paired := i+1 < len(all) && all[i+1].Close
		if w.Close {
			terms = append(terms, string(appendPair(nil, []byte(all[i-1].Term), []byte(w.Term))))
		} else if !paired {
			terms = append(terms, w.Term)
		}
	}
	return terms, len(terms) == 1 && !cut
}
