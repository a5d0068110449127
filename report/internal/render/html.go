package render

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"audittrail/internal/shown"
	"audittrail/report/document"
	"audittrail/report/internal/chart"
)

//go:embed report.html.tmpl
var htmlText string

//go:embed report.css
var htmlStyle string

var htmlTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"askedBy": func(string) string { return "" }, // replaced for each report
	"chart":   func(c document.Chart) template.HTML { return svg(chart.Of(&c), c.Title) },
	"graph":   func(g document.Graph) template.HTML { return svg(chart.OfGraph(&g), g.Title) },
	"shown":   func(t document.Table) string { return shownOf(&t) },
	"add":     func(a, b int) int { return a + b },
	"tone":    toneOf,
	"sources": sourceLinks,
	"style":   func() template.CSS { return template.CSS(htmlStyle) },
	"none":    func() string { return notEvidenced },
	"needs":   func() string { return needsAttention },
	"calm":    func() string { return noAttention },
	"json":    func(s document.Source) string { return string(s.Query) },
	"number":  func(n uint64) string { return document.Thousands(int64(n)) },
}).Parse(htmlText))

// HTML writes a report as one page that needs nothing else.
func HTML(w io.Writer, f *document.File) error {
	t, err := htmlTemplate.Clone()
	if err != nil {
		return err
	}
	t.Funcs(template.FuncMap{"askedBy": func(id string) string {
		return askedBy(f.Report, f.Report.Section(id))
	}})
	tone, status := bannerOf(f.Report)
	return t.Execute(shown.Writer(w), struct {
		*document.Report
		Title, StatusText string
		StatusTone        document.Tone
		Head              []pair
		SignatureText     string
		Keys              []document.Figure
		Carried           template.HTML
		Calm              bool // nothing needs attention
	}{f.Report, titleOf(f.Report), status, tone, headOf(f, true), string(f.Signature), keysOf(f.Report), template.HTML(carriedHTML(f)), f.Report.Attention != nil})
}

// toneOf is the class of a value's cell.
func toneOf(v document.Value) string {
	switch v.Kind {
	case document.State:
		return "tone-" + string(v.Tone)
	case document.Code:
		return "code"
	case document.Absent:
		return "absent"
	case document.Instant:
		return "when"
	}
	return "plain"
}

// sourceLinks returns links to queries.
func sourceLinks(ids []string) template.HTML {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(" ")
		}
		e := template.HTMLEscapeString(id)
		fmt.Fprintf(&b, `<a class="source" href="#%s">%s</a>`, e, e)
	}
	return template.HTML(b.String())
}

func px(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// svg is a drawing inline. Its colours are in the page's style, which knows
// about dark screens and paper.
func svg(d *chart.Drawing, title string) template.HTML {
	if d == nil {
		return ""
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg viewBox="0 0 %s %s" width="%s" role="img" aria-label="%s">`, px(d.Width), px(d.Height), px(d.Width), template.HTMLEscapeString(title))
	for i := range d.Shapes {
		shape(&b, &d.Shapes[i])
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func shape(b *bytes.Buffer, s *chart.Shape) {
	ink := string(s.Ink)
	tip := ""
	if s.Tip != "" {
		tip = "<title>" + template.HTMLEscapeString(s.Tip) + "</title>"
	}
	switch s.Kind {
	case chart.Box:
		fmt.Fprintf(b, `<rect class="b-%s" x="%s" y="%s" width="%s" height="%s">%s</rect>`, ink, px(s.At.X), px(s.At.Y), px(s.Width), px(s.Height), tip)
	case chart.Dot:
		fmt.Fprintf(b, `<circle class="b-%s" cx="%s" cy="%s" r="%s">%s</circle>`, ink, px(s.At.X), px(s.At.Y), px(s.Width), tip)
	case chart.Line:
		fmt.Fprintf(b, `<polyline class="l-%s" points="`, ink)
		for i, p := range s.Points {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(px(p.X) + "," + px(p.Y))
		}
		b.WriteString(`"/>`)
	case chart.Curve:
		p := s.Points
		fmt.Fprintf(b, `<path class="l-%s" d="M%s %s C%s %s %s %s %s %s"/>`, ink,
			px(p[0].X), px(p[0].Y), px(p[1].X), px(p[1].Y), px(p[2].X), px(p[2].Y), px(p[3].X), px(p[3].Y))
	case chart.Word:
		anchor := [...]string{"start", "middle", "end"}[s.Anchor]
		fmt.Fprintf(b, `<text class="t-%s" x="%s" y="%s" text-anchor="%s">%s</text>`, ink, px(s.At.X), px(s.At.Y), anchor, template.HTMLEscapeString(s.Text))
	}
}
