package render

import (
	"codeberg.org/go-pdf/fpdf"

	"audittrail/report/document"
	"audittrail/report/internal/chart"
)

// The sizes of tables.
const (
	cellSize = 7.8 // points
	cellGap  = 2.5 // millimetres between columns
	cellLead = 0.9 // above and below the words of a row
)

// title is the line above a table or picture, with its queries.
func (p *pages) title(text string, sources []string, below float64) {
	p.space(4)
	p.room(lineHeight(9.5) + below)
	p.use(sans, 9, ink)
	p.Bookmark(text, 1, p.GetY())
	p.paragraph(bold, 9.5, ink, text, edge, inside-30)
	p.use(sans, 7, soft)
	p.putRight(pageWidth-edge, p.GetY()-1.4, sourcesText(sources))
	p.space(0.8)
}

func (p *pages) table(t *document.Table) {
	p.title(t.Title, t.Sources, 16)
	if len(t.Rows) == 0 {
		p.paragraph(sans, 8.5, soft, "Nothing recorded.", edge, inside)
	} else {
		p.rows(t)
	}
	p.note(shownOf(t))
	p.note(t.Note)
}

// rows lays the rows out, with the heads of the columns again on every page.
func (p *pages) rows(t *document.Table) {
	widths := p.widths(t)
	p.space(1)
	p.heads(t, widths)
	cells := make([][]string, len(widths))
	for _, row := range t.Rows {
		lines := 1
		for c, v := range row {
			p.useFor(v)
			cells[c] = p.broken(p.spelled(v.String()), widths[c])
			lines = max(lines, len(cells[c]))
		}
		p.row(t, row, cells, widths, lines)
	}
}

// row writes one row, which may be longer than a page.
func (p *pages) row(t *document.Table, row []document.Value, cells [][]string, widths []float64, lines int) {
	height := lineHeight(cellSize)
	if p.room(min(float64(lines)*height+2*cellLead, pageHeight-head-foot-12)) {
		p.heads(t, widths)
	}
	p.space(cellLead)
	for n := range lines {
		if p.room(height) {
			p.heads(t, widths)
		}
		x := edge
		for c := range row {
			if n < len(cells[c]) {
				p.useFor(row[c])
				at := x
				if t.Columns[c].Numeric {
					at += widths[c] - p.GetStringWidth(cells[c][n])
				}
				p.Text(at, p.GetY()+height*0.78, cells[c][n])
			}
			x += widths[c] + cellGap
		}
		p.space(height)
	}
	p.space(cellLead)
	p.hline(p.GetY(), rule)
}

// useFor sets the typeface of a cell. Codes are long, and may be smaller.
func (p *pages) useFor(v document.Value) {
	font, c := p.faceOf(v)
	size := cellSize
	if font == mono {
		size = cellSize - 1.2
	}
	p.use(font, size, c)
}

func (p *pages) heads(t *document.Table, widths []float64) {
	p.use(bold, cellSize-0.6, soft)
	lines := 1
	words := make([][]string, len(widths))
	for c := range widths {
		words[c] = p.broken(p.spelled(t.Columns[c].Name), widths[c])
		lines = max(lines, len(words[c]))
	}
	height := lineHeight(cellSize - 0.6)
	x := edge
	for c := range widths {
		for n, word := range words[c] {
			at := x
			if t.Columns[c].Numeric {
				at += widths[c] - p.GetStringWidth(word)
			}
			p.Text(at, p.GetY()+height*(float64(lines-len(words[c])+n)+0.78), word)
		}
		x += widths[c] + cellGap
	}
	p.space(float64(lines)*height + 0.8)
	p.hline(p.GetY(), ink)
}

// widths shares the page among the columns: numbers get what they need, and
// what is left goes to words, the long ones of which are broken.
func (p *pages) widths(t *document.Table) []float64 {
	n := len(t.Columns)
	want, least := make([]float64, n), make([]float64, n)
	p.use(bold, cellSize-0.6, soft)
	for c, column := range t.Columns {
		want[c] = p.GetStringWidth(p.spelled(column.Name)) + 0.2
		least[c] = min(want[c], 14)
	}
	for _, row := range t.Rows {
		for c, v := range row {
			p.useFor(v)
			width := p.GetStringWidth(p.spelled(v.String())) + 0.2
			want[c] = max(want[c], width)
			if t.Columns[c].Numeric {
				least[c] = max(least[c], min(width, 30))
			}
		}
	}
	room := inside - float64(n-1)*cellGap
	return share(want, least, room)
}

// share divides room among columns: to each its preferred width if there is room;
// else to each its least, and the rest in proportion to what is missing, but to no
// column more than it prefers.
func share(want, least []float64, room float64) []float64 {
	total, fixed := 0.0, 0.0
	for i := range want {
		total += want[i]
		fixed += least[i]
	}
	given := make([]float64, len(want))
	switch {
	case total <= room:
		return want
	case fixed >= room:
		for i := range least {
			given[i] = least[i] * room / fixed
		}
		return given
	}
	// A level that everybody may rise to, found by halving.
	low, high := 0.0, room
	for range 40 {
		level, sum := (low+high)/2, 0.0
		for i := range want {
			sum += max(least[i], min(want[i], level))
		}
		if sum > room {
			high = level
		} else {
			low = level
		}
	}
	for i := range want {
		given[i] = max(least[i], min(want[i], low))
	}
	return given
}

// leastScale is the scale, in millimetres for a pixel, below which the words of
// a drawing cannot be read.
const leastScale = 0.11

// picture puts a drawing on the page, as large as it fits.
func (p *pages) picture(title string, sources []string, d *chart.Drawing) {
	scale := min(inside/d.Width, (pageHeight-head-foot-20)/d.Height, 0.2646)
	p.title(title, sources, d.Height*scale)
	top := p.GetY()
	at := func(q chart.Point) (x, y float64) { return edge + q.X*scale, top + q.Y*scale }
	for i := range d.Shapes {
		p.shape(&d.Shapes[i], scale, at)
	}
	p.SetY(top + d.Height*scale)
}

func (p *pages) shape(s *chart.Shape, scale float64, at func(chart.Point) (x, y float64)) {
	c := inks[s.Ink]
	p.SetFillColor(c[0], c[1], c[2])
	p.SetDrawColor(c[0], c[1], c[2])
	p.SetLineWidth(0.3)
	if s.Ink == chart.Faint {
		p.SetLineWidth(0.15)
	}
	x, y := at(s.At)
	switch s.Kind {
	case chart.Box:
		style := "F"
		if s.Ink == chart.Paper {
			style = "FD"
			p.SetDrawColor(rule[0], rule[1], rule[2])
		}
		p.Rect(x, y, s.Width*scale, s.Height*scale, style)
	case chart.Dot:
		p.Circle(x, y, s.Width*scale, "F")
	case chart.Line:
		for i := 1; i < len(s.Points); i++ {
			x1, y1 := at(s.Points[i-1])
			x2, y2 := at(s.Points[i])
			p.Line(x1, y1, x2, y2)
		}
	case chart.Curve:
		p.curve(s, at)
	case chart.Word:
		size := 11.0
		if s.Ink == chart.Name {
			size = 12
		}
		p.use(sans, size*scale/0.3528, c)
		text := p.spelled(s.Text)
		x -= p.GetStringWidth(text) * [...]float64{0, 0.5, 1}[s.Anchor]
		p.Text(x, y, text)
	}
}

func (p *pages) curve(s *chart.Shape, at func(chart.Point) (x, y float64)) {
	var q [4]fpdf.PointType
	for i := range q {
		q[i].X, q[i].Y = at(s.Points[i])
	}
	p.CurveBezierCubic(q[0].X, q[0].Y, q[1].X, q[1].Y, q[2].X, q[2].Y, q[3].X, q[3].Y, "D")
}
