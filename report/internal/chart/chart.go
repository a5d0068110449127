package chart

import (
	"math"

	"audittrail/report/document"
)

// The layout of charts.
const (
	chartWidth  = 720
	chartHeight = 240
	marginLeft  = 76
	marginRight = 12
	marginTop   = 30 // for the legend
	marginFoot  = 26
	charWidth   = 6.2 // of small words, about
)

// A plot is a chart being drawn.
type plot struct {
	*Drawing
	chart *document.Chart
	unit  document.Value // of the values, for the words at the axis
	top   float64        // value at the upper edge
}

func chart(c *document.Chart) *Drawing {
	p := &plot{Drawing: &Drawing{Width: chartWidth, Height: chartHeight}, chart: c}
	p.scale()
	p.grid()
	p.legend()
	p.labels()
	switch c.Kind {
	case document.Lines:
		p.lines()
	case document.Stack:
		p.stack()
	default:
		p.bars()
	}
	p.line(Axis, Point{marginLeft, p.y(0)}, Point{chartWidth - marginRight, p.y(0)})
	return p.Drawing
}

// scale finds the value at the upper edge: the next one, two or five times a
// power of ten, or a round time, that is not below the largest.
func (p *plot) scale() {
	largest := 0.0
	for i := range p.chart.Labels {
		sum := 0.0
		for _, s := range p.chart.Series {
			f, ok := s.Values[i].Float()
			if ok {
				p.unit = s.Values[i]
			}
			if p.chart.Kind == document.Stack {
				f += sum
				sum = f
			}
			largest = max(largest, f)
		}
	}
	step := niceStep(largest/4, p.unit.Kind == document.Count)
	p.top = step * max(1, math.Ceil(largest/step))
}

func niceStep(f float64, whole bool) float64 {
	if f <= 0 || whole && f < 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*power >= f {
			return m * power
		}
	}
	return 10 * power
}

func (p *plot) y(v float64) float64 {
	const room = chartHeight - marginTop - marginFoot
	return marginTop + room - v/p.top*room
}

// slot is the left edge and the width of what stands over one label.
func (p *plot) slot(i int) (x, width float64) {
	width = (chartWidth - marginLeft - marginRight) / float64(max(1, len(p.chart.Labels)))
	return marginLeft + float64(i)*width, width
}

func (p *plot) grid() {
	step := niceStep(p.top/4, p.unit.Kind == document.Count)
	for v := 0.0; v <= p.top+step/1000; v += step {
		if v > 0 {
			p.line(Faint, Point{marginLeft, p.y(v)}, Point{chartWidth - marginRight, p.y(v)})
		}
		tick := p.unit
		tick.N = int64(math.Round(v))
		text := tick.String()
		if v == 0 {
			text = "0"
		}
		p.word(Note, marginLeft-6, p.y(v)+3.5, End, fit(text, 13))
	}
}

func (p *plot) legend() {
	x := float64(marginLeft)
	for n, s := range p.chart.Series {
		name := fit(s.Name, max(24, 90/len(p.chart.Series)))
		width := 18 + charWidth*float64(len([]rune(name))) + 10
		if x+width > chartWidth {
			p.word(Note, x, 17, Start, "…")
			return
		}
		p.add(Shape{Kind: Box, Ink: inkOf(s.Tone, n), At: Point{x, 8}, Width: 10, Height: 10})
		p.word(Note, x+15, 17, Start, name)
		x += width
	}
}

// labels writes as many labels as there is room for.
func (p *plot) labels() {
	longest := 1
	for _, l := range p.chart.Labels {
		longest = max(longest, len([]rune(fit(l, 20))))
	}
	_, width := p.slot(0)
	every := max(1, int(math.Ceil((charWidth*float64(longest)+8)/width)))
	for i := 0; i < len(p.chart.Labels); i += every {
		x, _ := p.slot(i)
		middle := min(max(x+width/2, marginLeft+charWidth*float64(longest)/2-20), chartWidth-charWidth*float64(longest)/2)
		p.word(Note, middle, chartHeight-10, Middle, fit(p.chart.Labels[i], 20))
	}
}

func (p *plot) tip(n, i int) string {
	s := p.chart.Series[n]
	return p.chart.Labels[i] + ", " + s.Name + ": " + s.Values[i].String()
}

func (p *plot) bars() {
	for i := range p.chart.Labels {
		x, width := p.slot(i)
		gap := min(width*0.2, 16)
		each := min((width-gap)/float64(len(p.chart.Series)), 48)
		x += (width - each*float64(len(p.chart.Series))) / 2
		for n, s := range p.chart.Series {
			if f, ok := s.Values[i].Float(); ok && f > 0 {
				p.bar(inkOf(s.Tone, n), x+each*float64(n), each, 0, f, p.tip(n, i))
			}
		}
	}
}

func (p *plot) stack() {
	for i := range p.chart.Labels {
		x, width := p.slot(i)
		each := min(width-min(width*0.2, 16), 60)
		from := 0.0
		for n, s := range p.chart.Series {
			if f, ok := s.Values[i].Float(); ok && f > 0 {
				p.bar(inkOf(s.Tone, n), x+(width-each)/2, each, from, from+f, p.tip(n, i))
				from += f
			}
		}
	}
}

// bar draws from one value up to another; a bar is at least one pixel high.
func (p *plot) bar(ink Ink, x, width, from, to float64, tip string) {
	height := max(p.y(from)-p.y(to), 1)
	p.add(Shape{Kind: Box, Ink: ink, At: Point{x, p.y(from) - height}, Width: max(width, 0.5), Height: height, Tip: tip})
}

// dotted is up to how many values each has a dot.
const dotted = 120

// lines leaves a gap where a value is absent.
func (p *plot) lines() {
	for n, s := range p.chart.Series {
		ink := inkOf(s.Tone, n)
		var run []Point
		flush := func() {
			switch len(run) {
			case 0:
			case 1: // between gaps, which no line leads over
				if len(s.Values) > dotted {
					p.add(Shape{Kind: Dot, Ink: ink, At: run[0], Width: 1.6})
				}
			default:
				p.line(ink, run...)
			}
			run = nil
		}
		for i, v := range s.Values {
			f, ok := v.Float()
			if !ok {
				flush()
				continue
			}
			x, width := p.slot(i)
			at := Point{x + width/2, p.y(f)}
			run = append(run, at)
			if len(s.Values) <= dotted {
				p.add(Shape{Kind: Dot, Ink: ink, At: at, Width: 2.4, Tip: p.tip(n, i)})
			}
		}
		flush()
	}
}
