package railgraph_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/lineage/drawing/internal/railgraph"
)

func TestDraw(t *testing.T) {
	for _, c := range []struct {
		name string
		up   [][]int
		want string
	}{
		{"nothing", nil, ""},
		{"apart", [][]int{{}, {}}, `
○ 0
○ 1`},
		{"a chain", [][]int{{}, {0}, {1}}, `
○ 0
│
● 1
╰─● 2`},
		{"a diamond", [][]int{{}, {0}, {0}, {1, 2}}, `
○ 0
├─● 1
● │ 2
╰─┴─● 3`},
		{"several roots, the deepest first", [][]int{{}, {}, {0}, {2}, {3}, {1, 3}}, `
○ 0
│
● 2
│
● 3
├─● 4
│ ○ 1
╰─┴─● 5`},
		{"a shared rail", [][]int{{}, {}, {}, {0, 1, 2}, {}, {}, {}, {3, 4, 5, 6}, {7}}, `
○─╮ 0
○─┤ 1
○─┤ 2
  ● 3
  │ ○─╮ 4
  │ ○─┤ 5
  │ ○─┤ 6
  ●───╯ 7
  ╰─● 8`},
		{"all with all", [][]int{{}, {}, {}, {0, 1, 2}, {0, 1, 2}}, `
○ 0
│ ○ 1
│ │ ○ 2
├─┼─┼─● 3
╰─┴─┴─● 4`},
	} {
		var got strings.Builder
		for _, r := range railgraph.Draw(c.up, 16) {
			got.WriteString("\n" + r.Rails)
			if r.Node >= 0 {
				fmt.Fprintf(&got, " %d", r.Node)
			}
		}
		if diff := cmp.Diff(c.want, got.String()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestTrace follows the lines of drawings with a finger, and finds the graph
// that was drawn.
func TestTrace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		up := make([][]int, rng.IntN(30))
		reach := 1 + rng.IntN(30)
		for v := range up {
			for range rng.IntN(4) {
				if p := v - 1 - rng.IntN(reach); p >= 0 && !slices.Contains(up[v], p) {
					up[v] = append(up[v], p)
				}
			}
			slices.Sort(up[v])
		}
		limit := 1 + rng.IntN(12)
		rows := railgraph.Draw(up, limit)
		got := trace(rows, len(up))
		for v := range up {
			if len(up[v])+len(got[v]) > 0 && !slices.Equal(got[v], up[v]) {
				for _, r := range rows {
					t.Logf("%s %d %v", r.Rails, r.Node, r.Hidden)
				}
				t.Fatalf("%d seems to be made of %v, and is of %v", v, got[v], up[v])
			}
		}
		for _, r := range rows {
			if w := len([]rune(r.Rails)); w > 2*limit+1 {
				t.Fatalf("%d columns with %d rails", w, limit)
			}
		}
	}
}

// A page is a drawing, as one sees it.
type page [][]rune

func (p page) at(y, x int) rune {
	if y < 0 || x < 0 || x >= len(p[y]) {
		return ' '
	}
	return p[y][x]
}

func trace(rows []railgraph.Row, n int) [][]int {
	p := make(page, len(rows))
	for y, r := range rows {
		p[y] = []rune(r.Rails)
	}
	up := make([][]int, n)
	for y, r := range rows {
		if r.Node < 0 {
			continue
		}
		x := slices.IndexFunc(p[y], func(c rune) bool { return c == '●' || c == '○' })
		from := slices.Clone(r.Hidden)
		if p[y][x] == '●' {
			if c := p.at(y-1, x); strings.ContainsRune("│├┼┤╮", c) {
				from = append(from, climb(p, rows, y-1, x)...)
			}
			for _, step := range []int{-2, 2} {
				for i := x + step; p.at(y, i-step/2) == '─'; i += step {
					if strings.ContainsRune("├┼┤╰┴╯", p.at(y, i)) {
						from = append(from, climb(p, rows, y-1, i)...)
					}
				}
			}
		}
		slices.Sort(from)
		up[r.Node] = slices.Compact(from)
	}
	return up
}

// climb follows a rail up, to where it comes from.
func climb(p page, rows []railgraph.Row, y, x int) []int {
	var from []int
	for ; y >= 0; y-- {
		shares := p.at(y, x-2) == '○' && p.at(y, x-1) == '─'
		switch c := p.at(y, x); {
		case c == '●' || c == '○':
			return append(from, rows[y].Node)
		case c == '╮' && shares:
			return append(from, rows[y].Node)
		case c == '┤' && shares:
			from = append(from, rows[y].Node)
		case !strings.ContainsRune("│├┼┤", c):
			return append(from, -100-y) // a line that ends nowhere
		}
	}
	return append(from, -1)
}

func TestLarge(t *testing.T) {
	const n = 100_000
	up := make([][]int, n)
	for v := range up {
		if v > 0 {
			up[v] = []int{v / 2}
		}
		if v > 1 && v/2 != v-1 {
			up[v] = append(up[v], v-1)
		}
	}
	drawn := 0
	for _, r := range railgraph.Draw(up, 16) {
		if r.Node >= 0 {
			drawn++
		}
	}
	if drawn != n {
		t.Errorf("%d nodes were drawn, want %d", drawn, n)
	}
}
