package drawing

import (
	"fmt"
	"strings"
	"unicode"

	"audittrail/lineage"
)

// What Mermaid draws unless its user raises maxEdges and maxTextSize. A drawing
// cannot raise them.
const (
	mermaidEdges = 500
	mermaidText  = 50_000
)

func drawMermaid(p *pen, s *scene, o Options) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	fmt.Fprintf(&b, "accTitle: %s\n", mermaidQuote(o.Title))
	for i, n := range s.nodes {
		l := looks[n.Kind]
		lines := append([]string{n.Label(), string(n.Kind)}, facts(n)...)
		for k := range lines {
			lines[k] = mermaidQuote(lines[k])
		}
		fmt.Fprintf(&b, "n%d%s\"%s\"%s\n", i, l.open, strings.Join(lines, "<br/>"), l.end)
	}
	for _, l := range s.links {
		fmt.Fprintf(&b, "n%d -->|\"%s\"| n%d\n", l.from, mermaidQuote(l.role), l.to)
	}
	s.mermaidClasses(&b)
	text := b.String()
	if len(s.links) > mermaidEdges || len(text) > mermaidText {
		p.putf("%%%% %d edges and %d characters: Mermaid draws no more than %d and %d, unless maxEdges and maxTextSize are raised where it is started\n",
			len(s.links), len(text), mermaidEdges, mermaidText)
	}
	p.put(text)
	return nil
}

// mermaidClasses gives nodes the looks of their kinds.
func (s *scene) mermaidClasses(b *strings.Builder) {
	for _, k := range lineage.Kinds() {
		var of []string
		for i, n := range s.nodes {
			if n.Kind == k {
				of = append(of, fmt.Sprintf("n%d", i))
			}
		}
		if len(of) > 0 {
			fmt.Fprintf(b, "classDef %s stroke:%s,stroke-width:2px\nclass %s %s\n", k, looks[k].stroke, strings.Join(of, ","), k)
		}
	}
	var gone []string
	for i, n := range s.nodes {
		if n.Retired != nil {
			gone = append(gone, fmt.Sprintf("n%d", i))
		}
	}
	if len(gone) > 0 {
		fmt.Fprintf(b, "classDef retired stroke-dasharray:4 3\nclass %s retired\n", strings.Join(gone, ","))
	}
}

// mermaidQuote makes a text one that Mermaid takes as it is, within quotes: all
// that may be more than a letter, to it or to the HTML or Markdown that it
// makes of it, is a numbered entity.
func mermaidQuote(s string) string {
	var b strings.Builder
	var before rune
	for _, r := range plain(s) {
		if before == '\\' && r == 'n' {
			b.WriteString("#8203;") // of no width: together they would be a line break, even so
		}
		before = r
		if r > 127 || r == ' ' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
