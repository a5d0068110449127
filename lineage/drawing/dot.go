package drawing

import (
	"strings"

	"audittrail/lineage"
)

// A look is what a kind of thing looks like, where colours do for light and
// for dark.
type look struct{ shape, open, end, stroke string }

// looks are those of DOT (shape) and Mermaid (open and end).
var looks = map[lineage.Kind]look{
	lineage.KindDataset:    {"cylinder", "[(", ")]", "#2f77b4"},
	lineage.KindPrompt:     {"note", "[/", "/]", "#8a63b5"},
	lineage.KindRun:        {"component", "[[", "]]", "#b87a1e"},
	lineage.KindModel:      {"box3d", "{{", "}}", "#2e8b57"},
	lineage.KindEvaluation: {"hexagon", "([", "])", "#7a8794"},
	lineage.KindDeployment: {"box", "[", "]", "#c2504a"},
}

func drawDOT(p *pen, s *scene, o Options) error {
	p.put("digraph lineage {\n")
	p.put("\tgraph [rankdir=LR, ranksep=0.7, nodesep=0.2, fontname=\"Helvetica\", label=", dotText(o.Title), ", labelloc=t];\n")
	p.put("\tnode [fontname=\"Helvetica\", fontsize=11, margin=\"0.15,0.08\"];\n")
	p.put("\tedge [fontname=\"Helvetica\", fontsize=9, color=\"#7a8794\", arrowsize=0.7];\n")
	for i, n := range s.nodes {
		l := looks[n.Kind]
		text := []string{n.Label(), string(n.Kind)}
		text = append(text, facts(n)...)
		style := "solid"
		if n.Retired != nil {
			style = "dashed"
		}
		p.putf("\tn%d [shape=%s, style=%s, color=%q, label=%s, tooltip=%s];\n", i, l.shape, style, l.stroke, dotText(text...), dotText(n.ID))
	}
	for _, l := range s.links {
		p.putf("\tn%d -> n%d [label=%s];\n", l.from, l.to, dotText(l.role))
	}
	p.put("}\n")
	return nil
}

// dotText quotes lines of text for Graphviz, which in a label takes a backslash
// for an escape, and an ampersand for the beginning of an entity of HTML.
func dotText(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			b.WriteString(`\n`)
		}
		for _, r := range plain(l) {
			switch r {
			case '"', '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case '&':
				b.WriteString("&amp;")
			default:
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
