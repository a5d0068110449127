package event

// nearest returns the one of names for which s is most likely a typing error,
// or "".
func nearest(s string, names []string) string {
	const limit = 2 // edits
	best, least := "", limit+1
	for _, name := range names {
		if d := len(name) - len(s); d > limit || d < -limit {
			continue
		}
		if d := distance(s, name); d < least {
			best, least = name, d
		}
	}
	if least >= len(best) { // every letter would change
		return ""
	}
	return best
}

// distance is the number of bytes to insert, remove or replace, or of pairs to
// swap, that lead from a to b.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			same := 1
			if a[i] == b[j] {
				same = 0
			}
			next[j+1] = min(row[j]+same, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
