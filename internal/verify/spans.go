package verify

import (
	"cmp"
	"slices"
)

// A span is a range of sequence numbers, from from (inclusive) to to
// (exclusive).
type span struct{ from, to uint64 }

// spans are ascending, and do not touch.
type spans []span

// union returns the numbers that any of the given spans covers.
func union(list []span) spans {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out spans
	for _, x := range list {
		if n := len(out); n > 0 && x.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, x.to)
		} else if x.from < x.to {
			out = append(out, x)
		}
	}
	return out
}

// less returns the spans without the numbers that x covers, in new memory.
func (s spans) less(x spans) spans {
	var out spans
	for _, y := range s {
		for _, z := range x[x.after(y.from):] {
			if z.from >= y.to {
				break
			}
			if y.from < z.from {
				out = append(out, span{y.from, z.from})
			}
			y.from = min(z.to, y.to)
		}
		if y.from < y.to {
			out = append(out, y)
		}
	}
	return out
}

// within returns the parts of the spans that lie in x.
func (s spans) within(x span) spans {
	var out spans
	for _, y := range s[s.after(x.from):] {
		if y.from >= x.to {
			break
		}
		out = append(out, span{max(y.from, x.from), min(y.to, x.to)})
	}
	return out
}

// has reports whether a number lies in one of the spans.
func (s spans) has(n uint64) bool {
	i := s.after(n)
	return i < len(s) && s[i].from <= n
}

// after returns the index of the first span that ends after n.
func (s spans) after(n uint64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(y span, n uint64) int {
		if y.to <= n {
			return -1
		}
		return 1
	})
	return i
}
