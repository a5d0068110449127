// Package drawing draws the graph of a lineage: for terminals, for the programs
// that lay out DOT and Mermaid, as a picture in SVG, as a page in HTML, and for
// programs in JSON.
//
// The same graph gives the same bytes. Names come from anybody who may register
// entities, so drawings treat them as text alone: characters that act on a
// terminal or on the order of characters are spelled out, and what a form uses for
// itself is quoted.
//
// Text, DOT, Mermaid and JSON grow with the graph, and take graphs of any size.
// A picture stops making sense at some size, from which on it is refused with a
// *[SizeError].
package drawing

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"audittrail/lineage"
)

// A Form is a way to draw.
type Form string

// The forms of drawings.
const (
	Text    Form = "text" // for terminals, with the characters of Unicode
	DOT     Form = "dot"  // for Graphviz
	Mermaid Form = "mermaid"
	SVG     Form = "svg"
	HTML    Form = "html" // the picture and all details, in one page without a script
	JSON    Form = "json" // see docs/format/lineage-graph.md
)

// forms draw.
var forms = map[Form]func(*pen, *scene, Options) error{
	Text:    drawText,
	DOT:     drawDOT,
	Mermaid: drawMermaid,
	SVG:     drawSVG,
	HTML:    drawHTML,
	JSON:    drawJSON,
}

// Forms returns all forms, sorted by name.
func Forms() []Form {
	var all []Form
	for f := range forms {
		all = append(all, f)
	}
	slices.Sort(all)
	return all
}

// Options say how to draw.
type Options struct {
	Form  Form   // Text if empty
	Title string // of what has one; "Lineage" if empty
	Width int    // of Text, in columns; 80 if zero
}

// MinWidth is how many columns Text takes at least, whatever is asked for.
const MinWidth = 40

// Draw draws a graph.
func Draw(w io.Writer, g *lineage.Graph, o Options) error {
	if o.Form == "" {
		o.Form = Text
	}
	if o.Title == "" {
		o.Title = "Lineage"
	}
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = max(o.Width, MinWidth)
	draw, ok := forms[o.Form]
	if !ok {
		return fmt.Errorf("draw the lineage: unknown form %q: use one of %v", o.Form, Forms())
	}
	p := &pen{bufio.NewWriter(w)}
	if err := draw(p, sceneOf(g), o); err != nil {
		return fmt.Errorf("draw the lineage: %w", err)
	}
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("draw the lineage: %w", err)
	}
	return nil
}

// A pen writes. It keeps the first error until the end.
type pen struct{ w *bufio.Writer }

func (p *pen) put(texts ...string) {
	for _, s := range texts {
		_, _ = p.w.WriteString(s) // Flush returns the first error
	}
}

func (p *pen) putf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.w, format, args...) // Flush returns the first error
}

// A scene is a graph whose nodes are numbered in the order in which they were
// registered, and in which there is one edge between two nodes at most.
type scene struct {
	graph *lineage.Graph
	nodes []*lineage.Node
	links []link  // sorted by where they lead, then by where from
	up    [][]int // what leads to a node
}

// A link is all edges between two nodes.
type link struct {
	from, to int
	role     string
}

func sceneOf(g *lineage.Graph) *scene {
	s := &scene{graph: g, nodes: slices.Collect(g.Nodes()), up: make([][]int, g.Len())}
	number := make(map[*lineage.Node]int, g.Len())
	for i, n := range s.nodes {
		number[n] = i
		begin := len(s.links)
		for e := range g.Upstream(n) {
			s.links = append(s.links, link{number[e.From], i, e.Role})
		}
		own := s.links[begin:]
		slices.SortStableFunc(own, func(a, b link) int { return a.from - b.from })
		end := begin
		for _, l := range own {
			if end > begin && s.links[end-1].from == l.from {
				s.links[end-1].role += ", " + l.role
				continue
			}
			s.links[end] = l
			end++
		}
		s.links = s.links[:end]
		for _, l := range s.links[begin:] {
			s.up[i] = append(s.up[i], l.from)
		}
	}
	return s
}
