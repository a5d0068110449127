package render

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/image/font/sfnt"

	"audittrail/internal/shown"
	"audittrail/report/document"
)

// use sets the typeface, its size in points, and the colour.
func (p *pages) use(name string, size float64, c colour) {
	p.SetFont(name, "", size)
	p.SetTextColor(c[0], c[1], c[2])
}

// has tells whether a typeface has a character.
func (f *face) has(r rune) bool {
	known, ok := f.known[r]
	if !ok {
		var buf sfnt.Buffer
		i, err := f.font.GlyphIndex(&buf, r)
		// Text that runs from right to left would be in the wrong order.
		known = err == nil && i != 0 && r <= 0xffff && !unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Cc, unicode.Cf)
		f.known[r] = known
	}
	return known
}

// spelled is text in which every character can be seen: one that the present
// typeface lacks, or that nobody would see, is spelled as its code point.
func (p *pages) spelled(s string) string {
	f := p.fonts[p.GetFontFamily()]
	if f == nil || !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (shown.Hides(r) || !f.has(r)) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || f.has(r) && !shown.Hides(r) {
			b.WriteRune(r)
			continue
		}
		p.missing = true
		fmt.Fprintf(&b, "[U+%04X]", r)
	}
	return b.String()
}

// put writes words on a base line.
func (p *pages) put(x, y float64, text string) { p.Text(x, y, p.spelled(text)) }

func (p *pages) putRight(x, y float64, text string) {
	text = p.spelled(text)
	p.Text(x-p.GetStringWidth(text), y, text)
}

// lineHeight is that of a size in points.
func lineHeight(size float64) float64 { return size * 0.3528 * 1.35 }

// broken breaks spelled text into lines of a width, at line feeds and spaces,
// and within words that are longer than a line.
func (p *pages) broken(text string, width float64) []string {
	var lines []string
	for para := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsSeq(para) {
			next := strings.TrimLeft(line+" "+word, " ")
			if p.GetStringWidth(next) <= width {
				line = next
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			for p.GetStringWidth(word) > width {
				at := p.fitting(word, width)
				lines = append(lines, word[:at])
				word = word[at:]
			}
			line = word
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	return lines
}

// fitting is how many bytes of a word, at least one character, fit a width.
func (p *pages) fitting(word string, width float64) int {
	at := 0
	for i := range word {
		if i > 0 && p.GetStringWidth(word[:i]) > width {
			break
		}
		at = i
	}
	if at == 0 {
		at = len(string([]rune(word)[:1]))
	}
	return at
}

// paragraph writes text from the present place down.
func (p *pages) paragraph(font string, size float64, c colour, text string, x, width float64) {
	p.use(font, size, c)
	for _, line := range p.broken(p.spelled(text), width) {
		if p.room(lineHeight(size)) {
			p.use(font, size, c)
		}
		p.Text(x, p.GetY()+lineHeight(size)*0.78, line)
		p.space(lineHeight(size))
	}
}

// note is small print below something.
func (p *pages) note(text string) {
	if text != "" {
		p.space(0.5)
		p.paragraph(sans, 8, soft, text, edge, inside)
	}
}

// notice is a box that nobody passes over.
func (p *pages) notice(tone document.Tone, font string, text string) {
	const size = 9.5
	p.space(2)
	p.use(font, size, ink)
	lines := p.broken(p.spelled(text), inside-8)
	height := float64(len(lines))*lineHeight(size) + 3.4
	p.room(height)
	back, front := washes[tone], tones[tone]
	if tone == document.Plain {
		back, front = wash, rule
	}
	p.SetFillColor(back[0], back[1], back[2])
	p.Rect(edge, p.GetY(), inside, height, "F")
	p.SetFillColor(front[0], front[1], front[2])
	p.Rect(edge, p.GetY(), 1.2, height, "F")
	p.use(font, size, ink)
	for i, line := range lines {
		p.Text(edge+4, p.GetY()+1.7+lineHeight(size)*(float64(i)+0.78), line)
	}
	p.space(height)
}

// face and colour of a value.
func (p *pages) faceOf(v document.Value) (string, colour) {
	switch v.Kind {
	case document.Code:
		return mono, ink
	case document.Absent:
		return sans, soft
	case document.State:
		if c, ok := tones[v.Tone]; ok {
			return bold, c
		}
	}
	return sans, ink
}

// namedValue writes a name, and its value in a column next to it.
func (p *pages) namedValue(name string, v document.Value, column float64) {
	font, c := p.faceOf(v)
	p.use(font, 9, c)
	lines := p.broken(p.spelled(v.String()), inside-column)
	p.room(float64(len(lines)) * lineHeight(9))
	p.use(sans, 9, soft)
	p.put(edge, p.GetY()+lineHeight(9)*0.78, name)
	p.use(font, 9, c)
	for _, line := range lines {
		p.Text(edge+column, p.GetY()+lineHeight(9)*0.78, line)
		p.space(lineHeight(9))
	}
}

// figures writes them in two columns: the name in small print, the value below.
func (p *pages) figures(figures []document.Figure) {
	if len(figures) > 0 {
		p.space(3)
	}
	const gap = 8.0
	width := (inside - gap) / 2
	for i := 0; i < len(figures); i += 2 {
		pair := figures[i:min(i+2, len(figures))]
		height := 0.0
		for n := range pair {
			height = max(height, p.figure(&pair[n], edge+float64(n)*(width+gap), width, false))
		}
		p.room(height)
		for n := range pair {
			p.figure(&pair[n], edge+float64(n)*(width+gap), width, true)
		}
		p.space(height)
	}
}

// figure writes one, or only tells its height.
func (p *pages) figure(f *document.Figure, x, width float64, write bool) float64 {
	y := p.GetY()
	if write {
		p.SetDrawColor(rule[0], rule[1], rule[2])
		p.SetLineWidth(0.2)
		p.Line(x, y, x+width, y)
	}
	y += 1.2
	lines := func(font string, size float64, c colour, text string) {
		p.use(font, size, c)
		for _, line := range p.broken(p.spelled(text), width) {
			if write {
				p.Text(x, y+lineHeight(size)*0.78, line)
			}
			y += lineHeight(size)
		}
	}
	lines(sans, 8, soft, f.Label+"  "+sourcesText(f.Sources))
	shown := f.Shown()
	font, c := p.faceOf(shown)
	size := 11.0
	if shown.Kind == document.Code {
		size = 8.5
	}
	lines(font, size, c, shown.String())
	if f.Note != "" {
		lines(sans, 7.5, soft, f.Note)
	}
	return y + 1.2 - p.GetY()
}
