package layers

// ranksOf gives each node a layer to the right of all that leads to it, and
// keeps edges short: what leads to more than leads to it stands as far right as
// it may.
func ranksOf(up, down [][]int) []int {
	rank := make([]int, len(up))
	for v, parents := range up {
		for _, p := range parents {
			rank[v] = max(rank[v], rank[p]+1)
		}
	}
	for range 3 {
		for v := len(up) - 1; v >= 0; v-- {
			if len(down[v]) <= len(up[v]) {
				continue
			}
			nearest := rank[down[v][0]]
			for _, c := range down[v] {
				nearest = min(nearest, rank[c])
			}
			rank[v] = nearest - 1
		}
		for v, parents := range up {
			if len(parents) <= len(down[v]) {
				continue
			}
			rank[v] = 0
			for _, p := range parents {
				rank[v] = max(rank[v], rank[p]+1)
			}
		}
	}
	return rank
}

// furthest is the layer of the furthest node that one leads to, if that is
// beyond the next, and else 0.
func furthest(rank []int, v int, next []int) int {
	far := 0
	for _, c := range next {
		far = max(far, rank[c])
	}
	if far <= rank[v]+1 {
		return 0
	}
	return far
}
