package graphlayout

// ranksOf gives each node a layer to the right of all that leads to it. What
// leads to nothing stands as far left as it may, and all else just left of the
// nearest that it leads to. So an edge that spans several layers is always one
// of several of its node, which run together.
func ranksOf(up, down [][]int) []int {
	rank := make([]int, len(up))
	for v, parents := range up {
		for _, p := range parents {
			rank[v] = max(rank[v], rank[p]+1)
		}
	}
	for v := len(up) - 1; v >= 0; v-- {
		for i, c := range down[v] {
			if i == 0 || rank[c]-1 < rank[v] {
				rank[v] = rank[c] - 1
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
