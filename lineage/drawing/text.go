package drawing

import (
	"strings"

	"audittrail/lineage/drawing/internal/railgraph"
)

// The columns of a drawing for terminals: rails, the kind, the rest.
const (
	kindColumns = 10 // the longest kind
	restColumns = 36 // what rails leave for the rest, at least
	mostRails   = 24
	leastNote   = 12 // a note that has less room is left out
)

func drawText(p *pen, s *scene, o Options) error {
	limit := min(max((o.Width-kindColumns-restColumns)/2, 2), mostRails)
	rows := railgraph.Draw(s.up, limit)
	wide := 0
	for _, r := range rows {
		wide = max(wide, columns(r.Rails))
	}
	wide += 2
	for _, r := range rows {
		if r.Node < 0 {
			p.put(r.Rails, "\n")
			continue
		}
		p.put(r.Rails, blanks(wide-columns(r.Rails)), s.caption(r.Node, o.Width-wide), "\n")
		if len(r.Hidden) > 0 {
			room := o.Width - wide - kindColumns - 2
			p.put(r.Below, blanks(wide+kindColumns+2-columns(r.Below)), s.madeOf(r.Hidden, room), "\n")
		}
	}
	if len(rows) == 0 {
		p.put("Nothing is registered.\n")
	} else {
		p.put("\n", fit("○ made of nothing drawn here   ● made of what its lines come from", o.Width), "\n")
	}
	return nil
}

// caption returns the kind of a node, its name, and its facts.
func (s *scene) caption(i, width int) string {
	n := s.nodes[i]
	kind := string(n.Kind)
	room := width - kindColumns - 2
	text := fit(seen(n.Label()), room)
	note := seen(strings.Join(facts(n), ", "))
	if left := room - columns(text) - 2; note != "" && left >= min(leastNote, columns(note)+2) {
		text += "  " + fit("("+note+")", left)
	}
	return kind + blanks(kindColumns-len(kind)) + "  " + text
}

// madeOf names what has no rail.
func (s *scene) madeOf(some []int, width int) string {
	text := "↑ also of "
	for k, i := range some {
		sep := ", "
		if k == 0 {
			sep = ""
		}
		rest := count(len(some)-k-1, "other", "others")
		next := text + sep + seen(s.nodes[i].Label())
		if k < len(some)-1 && columns(next)+columns(" and "+rest) > width {
			if k == 0 {
				return fit(text+count(len(some), "thing", "things"), width)
			}
			return fit(text+" and "+count(len(some)-k, "other", "others"), width)
		}
		text = next
	}
	return fit(text, width)
}

func blanks(n int) string { return strings.Repeat(" ", max(n, 0)) }
