package drawing

import (
	"fmt"

	"github.com/rivo/uniseg"
)

// A font is how wide words are: those of Arial and of the fonts that have its
// measures, Liberation Sans and Helvetica.
type font struct {
	size float64
	bold float64 // how much wider than regular letters
}

var (
	titleFont = font{17, 1.07}
	nameFont  = font{12, 1.07}
	factFont  = font{10.5, 1}
)

// advances are the widths of the characters from blank to tilde, in thousandths
// of the size.
var advances = [...]uint16{
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
	556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
	1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
	667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
	333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
	556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}

// width is about how wide a text is, in pixels.
func (f font) width(s string) float64 {
	w, state := 0.0, -1
	for s != "" {
		var cluster string
		var wide int
		cluster, s, wide, state = uniseg.FirstGraphemeClusterInString(s, state)
		w += float64(f.cluster(cluster, wide))
	}
	return w
}

// cluster is how wide one character is. Of others than those of ASCII nobody
// knows in which font they will be.
func (f font) cluster(c string, wide int) float64 {
	if len(c) == 1 && c[0] >= ' ' && c[0] <= '~' {
		return float64(advances[c[0]-' ']) / 1000 * f.size * f.bold
	}
	if wide > 1 {
		return f.size * 1.05
	}
	return float64(wide) * f.size * 0.62 * f.bold
}

// text is a line of text in SVG, cut to its room. A text that fills most of it
// states its width, so that another font cannot make it leave its box.
func (f font) text(class string, x, y, room float64, s string) string {
	wide := f.width(s)
	if wide > room {
		s, wide = f.cut(s, room)
	}
	fixed := ""
	if wide > room*0.85 {
		fixed = fmt.Sprintf(" textLength=\"%s\" lengthAdjust=\"spacingAndGlyphs\"", px(wide))
	}
	return fmt.Sprintf("<text class=\"%s\" x=\"%s\" y=\"%s\"%s>%s</text>", class, px(x), px(y), fixed, markup(s))
}

// cut shortens a text to its room, between characters as people see them.
func (f font) cut(s string, room float64) (string, float64) {
	rest, end, state := s, 0, -1
	dots := f.size * f.bold
	wide := dots
	for rest != "" {
		var cluster string
		var columns int
		cluster, rest, columns, state = uniseg.FirstGraphemeClusterInString(rest, state)
		next := float64(f.cluster(cluster, columns))
		if wide+next > room {
			break
		}
		wide += next
		end += len(cluster)
	}
	return s[:end] + "…", wide
}
