// Package chart turns the charts and graphs of a report into lines, boxes and
// words at fixed places, so that every renderer shows the same picture.
//
// Distances are in pixels of 1/96 inch from the top left corner.
package chart

import (
	"audittrail/report/document"
)

// A Drawing is a picture.
type Drawing struct {
	Width, Height float64
	Shapes        []Shape
}

// A Point is a place in a drawing.
type Point struct{ X, Y float64 }

// Kind says what a shape is.
type Kind int

// The kinds of shapes.
const (
	Box   Kind = iota // At is its top left corner
	Line              // through all points
	Curve             // a cubic Bézier of four points
	Dot               // with Width as its radius
	Word              // Text at At, aligned by Anchor; At is on its base line
)

// Anchor says which part of a word is at its coordinates.
type Anchor int

// The anchors.
const (
	Start Anchor = iota
	Middle
	End
)

// Ink is what a shape is drawn with: its meaning, not its colour.
type Ink string

// The inks other than those of series, which are "s0" to "s5".
const (
	Faint   Ink = "faint" // lines of the grid
	Axis    Ink = "axis"
	Note    Ink = "note" // small words
	Name    Ink = "name" // words in boxes
	Good    Ink = "good"
	Warning Ink = "wary"
	Bad     Ink = "bad"
	Paper   Ink = "paper" // boxes with a border
)

// A Shape is one element of a drawing.
type Shape struct {
	Kind          Kind
	Ink           Ink
	At            Point
	Width, Height float64
	Points        []Point
	Text          string
	Anchor        Anchor
	Tip           string // what the shape stands for, in words
}

// Of draws a chart.
func Of(c *document.Chart) *Drawing { return chart(c) }

func (d *Drawing) add(s Shape) { d.Shapes = append(d.Shapes, s) }

func (d *Drawing) line(ink Ink, points ...Point) {
	d.add(Shape{Kind: Line, Ink: ink, Points: points})
}

func (d *Drawing) word(ink Ink, x, y float64, anchor Anchor, text string) {
	d.add(Shape{Kind: Word, Ink: ink, At: Point{x, y}, Anchor: anchor, Text: text})
}

// inkOf is the ink of a series.
func inkOf(tone document.Tone, n int) Ink {
	switch tone {
	case document.Good, document.Warning, document.Bad:
		return Ink(tone)
	}
	return Ink("s" + string(rune('0'+n%6)))
}

// fit cuts words to a number of characters.
func fit(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	return string(r[:limit-1]) + "…"
}
