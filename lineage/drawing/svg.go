package drawing

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"audittrail/internal/graphlayout"
	"audittrail/lineage"
)

//go:embed svg.css
var svgStyle string

// The sizes of a picture, in pixels.
const (
	margin     = 24
	headHeight = 64 // title and key
	boxHeight  = 40
	leastBox   = 104
	mostBox    = 236
	inset      = 13 // of the words in a box, on both sides
)

// The limits of a picture. A larger one is not readable, and slow to show.
const (
	MaxNodes  = 5_000
	MaxEdges  = 20_000
	maxPlaces = 100_000 // where edges run through layers
)

// SizeError reports a graph that is too large for a picture.
type SizeError struct {
	Form         Form
	Nodes, Edges int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s and %s are too many for %s, or too far apart: a picture has at most %s and %s; draw a part of the graph, or use text, dot or json, which have no limit",
		count(e.Nodes, "thing", "things"), count(e.Edges, "link", "links"), e.Form,
		count(MaxNodes, "thing", "things"), count(MaxEdges, "link", "links"))
}

// boxes gives each node the size that its words want.
func (s *scene) boxes() graphlayout.Graph {
	g := graphlayout.Graph{Boxes: make([]graphlayout.Box, len(s.nodes)), Up: s.up}
	for i, n := range s.nodes {
		wide := max(nameFont.width(plain(n.Label())), factFont.width(s.subline(i))) + 2*inset
		g.Boxes[i] = graphlayout.Box{W: min(max(wide, leastBox), mostBox), H: boxHeight}
	}
	return g
}

// subline is what stands below a node's name.
func (s *scene) subline(i int) string {
	return strings.Join(append([]string{string(s.nodes[i].Kind)}, facts(s.nodes[i])...), " · ")
}

// drawable refuses what is too large for a picture.
func (s *scene) drawable(f Form) error {
	if len(s.nodes) > MaxNodes || len(s.links) > MaxEdges || (graphlayout.Graph{Up: s.up}).Places() > maxPlaces {
		return &SizeError{f, len(s.nodes), len(s.links)}
	}
	return nil
}

func drawSVG(p *pen, s *scene, o Options) error {
	if err := s.drawable(SVG); err != nil {
		return err
	}
	p.svg(s, o, "")
	return nil
}

// svg writes a picture. With a prefix, each node leads to the place of that and
// its number in the page.
func (p *pen) svg(s *scene, o Options, prefix string) {
	l := graphlayout.Of(s.boxes())
	key, keyWidth := s.key()
	title := fit(plain(o.Title), 80)
	width := max(l.Width, keyWidth, titleFont.width(title)) + 2*margin
	height := l.Height + headHeight + 2*margin
	p.putf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%[1]s" height="%[2]s" role="img" aria-labelledby="lineage-title lineage-key">`+"\n",
		px(width), px(height))
	p.putf("<title id=\"lineage-title\">%s</title>\n<desc id=\"lineage-key\">%s, %s: %s</desc>\n<style>%s</style>\n",
		markup(title), count(len(s.nodes), "thing", "things"), count(len(s.links), "link", "links"), markup(s.counts()), svgStyle)
	p.put(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0.6 8 4 0 7.4Z"/></marker></defs>`, "\n")
	p.putf("<rect class=\"bg\" width=\"%s\" height=\"%s\"/>\n", px(width), px(height))
	p.putf("<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n%s", margin, margin+16, markup(title), key)
	p.putf("<g transform=\"translate(%d %d)\">\n", margin, margin+headHeight)
	p.svgEdges(s, l)
	for i := range s.nodes {
		p.svgNode(s, i, l.Boxes[i], prefix)
	}
	p.put("</g>\n</svg>\n")
}

func (p *pen) svgEdges(s *scene, l *graphlayout.Layout) {
	at := make([]int, len(s.nodes)) // how many edges to a node are drawn
	for _, e := range s.links {
		path := l.Paths[e.to][at[e.to]]
		at[e.to]++
		p.putf("<path class=\"edge\" marker-end=\"url(#tip)\" d=\"%s\"><title>%s</title></path>\n", curve(path),
			markup(plain(s.nodes[e.from].Label())+" → "+plain(s.nodes[e.to].Label())+" ("+e.role+")"))
	}
}

// curve is a path in SVG.
func curve(path []graphlayout.Point) string {
	var b strings.Builder
	at := path[0]
	b.WriteString("M" + px(at.X) + " " + px(at.Y))
	for i := 1; i+2 < len(path); i += 3 {
		to := path[i+2]
		if to.Y == at.Y {
			b.WriteString("H" + px(to.X))
		} else {
			b.WriteString("C" + px(path[i].X) + " " + px(path[i].Y) + " " + px(path[i+1].X) + " " + px(path[i+1].Y) + " " + px(to.X) + " " + px(to.Y))
		}
		at = to
	}
	return b.String()
}

func (p *pen) svgNode(s *scene, i int, b graphlayout.Box, prefix string) {
	n := s.nodes[i]
	class := "node " + string(n.Kind)
	if n.Retired != nil {
		class += " retired"
	}
	if prefix != "" {
		p.putf("<a href=\"#%s%d\">", prefix, i)
	}
	p.putf("<g class=\"%s\"><title>%s</title>", class, markup(s.tip(i)))
	p.putf("<rect class=\"box\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"5\"/>", px(b.X), px(b.Y), px(b.W), px(b.H))
	p.putf("<path class=\"bar\" d=\"M%s %sh-1a4 4 0 0 1 -4 -4v-%sa4 4 0 0 1 4 -4h1z\"/>", px(b.X+5), px(b.Y+b.H), px(b.H-8))
	room := b.W - 2*inset
	p.put(nameFont.text("name", b.X+inset, b.Y+17, room, plain(n.Label())))
	p.put(factFont.text("fact", b.X+inset, b.Y+31, room, s.subline(i)))
	p.put("</g>")
	if prefix != "" {
		p.put("</a>")
	}
	p.put("\n")
}

// tip is what is said of a node where one points at it.
func (s *scene) tip(i int) string {
	return plain(s.nodes[i].ID) + "\n" + s.subline(i)
}

// key shows which colour is which kind, of those that there are.
func (s *scene) key() (drawn string, width float64) {
	var b strings.Builder
	x := float64(margin)
	for _, k := range s.kinds() {
		text := count(k.n, string(k.kind), string(k.kind)+"s")
		fmt.Fprintf(&b, "<g class=\"%s\"><rect class=\"bar\" x=\"%s\" y=\"%d\" width=\"10\" height=\"10\" rx=\"2\"/><text class=\"key\" x=\"%s\" y=\"%d\">%s</text></g>\n",
			k.kind, px(x), margin+31, px(x+15), margin+40, text)
		x += 15 + factFont.width(text) + 18
	}
	return b.String(), x - margin - 18
}

// counts says in words what there is.
func (s *scene) counts() string {
	var all []string
	for _, k := range s.kinds() {
		all = append(all, count(k.n, string(k.kind), string(k.kind)+"s"))
	}
	return strings.Join(all, ", ")
}

type kindCount struct {
	kind lineage.Kind
	n    int
}

// kinds counts the nodes of each kind that there is.
func (s *scene) kinds() []kindCount {
	of := make(map[lineage.Kind]int)
	for _, n := range s.nodes {
		of[n.Kind]++
	}
	var all []kindCount
	for _, k := range lineage.Kinds() {
		if of[k] > 0 {
			all = append(all, kindCount{k, of[k]})
		}
	}
	return all
}

// px writes a distance, to a tenth.
func px(f float64) string {
	s := strconv.FormatFloat(f, 'f', 1, 64)
	s = strings.TrimSuffix(s, ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

var marks = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// markup makes plain text one for XML and HTML.
func markup(s string) string { return marks.Replace(s) }
