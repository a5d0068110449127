package render

import (
	"io"
	"strconv"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/liberation/liberationmonoregular"
	"github.com/go-fonts/liberation/liberationsansbold"
	"github.com/go-fonts/liberation/liberationsansregular"
	"github.com/go-fonts/liberation/liberationserifbold"
	"golang.org/x/image/font/sfnt"

	"audittrail/report/document"
	"audittrail/report/internal/chart"
)

// The page, in millimetres: A4.
const (
	pageWidth  = 210.0
	pageHeight = 297.0
	edge       = 18.0 // left and right
	head       = 20.0
	foot       = 20.0
	inside     = pageWidth - 2*edge
)

// The typefaces.
const (
	sans  = "sans"
	bold  = "bold"
	mono  = "mono"
	serif = "serif"
)

type colour [3]int

// The colours of paper, the same as those of the HTML form.
var (
	ink   = colour{0x1a, 0x1d, 0x21}
	soft  = colour{0x5b, 0x63, 0x6d}
	rule  = colour{0xd5, 0xd9, 0xde}
	wash  = colour{0xf5, 0xf6, 0xf8}
	tones = map[document.Tone]colour{
		document.Good: {0x1b, 0x6e, 0x3c}, document.Warning: {0x8a, 0x5a, 0x00}, document.Bad: {0xa3, 0x18, 0x1b},
	}
	washes = map[document.Tone]colour{
		document.Good: {0xee, 0xf6, 0xf0}, document.Warning: {0xfb, 0xf4, 0xe4}, document.Bad: {0xfb, 0xec, 0xeb},
	}
	inks = map[chart.Ink]colour{
		chart.Faint: rule, chart.Axis: soft, chart.Note: soft, chart.Name: ink, chart.Paper: wash,
		chart.Good: tones[document.Good], chart.Warning: tones[document.Warning], chart.Bad: tones[document.Bad],
		"s0": {0x2f, 0x5d, 0x8a}, "s1": {0xc0, 0x7b, 0x2a}, "s2": {0x5a, 0x8f, 0x5c},
		"s3": {0x8a, 0x5a, 0x8f}, "s4": {0x6b, 0x77, 0x83}, "s5": {0xb0, 0x55, 0x4f},
	}
)

// PDF writes a report as pages with an outline and text that can be selected.
func PDF(w io.Writer, f *document.File) error {
	fonts, err := readFonts()
	if err != nil {
		return err
	}
	// The first time tells on which page everything is.
	first := newPages(f, fonts, nil)
	if err := first.Error(); err != nil {
		return err
	}
	return newPages(f, fonts, first).Output(w)
}

// A pages is a report being laid out.
type pages struct {
	*fpdf.Fpdf
	file    *document.File
	fonts   map[string]*face
	before  *pages         // the first time, in the second
	at      map[string]int // page on which a section begins
	links   map[string]int
	missing bool // a character that no typeface has was spelled out
}

// A face is a typeface, and which characters it has.
type face struct {
	data  []byte
	font  *sfnt.Font
	known map[rune]bool
}

func readFonts() (map[string]*face, error) {
	fonts := make(map[string]*face)
	for name, data := range map[string][]byte{
		sans: liberationsansregular.TTF, bold: liberationsansbold.TTF, mono: liberationmonoregular.TTF, serif: liberationserifbold.TTF,
	} {
		font, err := sfnt.Parse(data)
		if err != nil {
			return nil, err
		}
		fonts[name] = &face{data, font, make(map[rune]bool)}
	}
	return fonts, nil
}

func newPages(f *document.File, fonts map[string]*face, before *pages) *pages {
	p := &pages{
		Fpdf: fpdf.New("P", "mm", "A4", ""), file: f, fonts: fonts, before: before,
		at: make(map[string]int), links: make(map[string]int),
	}
	for _, name := range []string{sans, bold, mono, serif} {
		p.AddUTF8FontFromBytes(name, "", fonts[name].data)
	}
	r := f.Report
	p.SetCatalogSort(true)
	p.SetCreationDate(r.AsOf.Time)
	p.SetModificationDate(r.AsOf.Time)
	p.SetTitle(titleOf(r)+" – "+r.Origin, true)
	p.SetCreator("AuditTrail "+r.Program, true)
	p.SetProducer("AuditTrail", true)
	p.SetLang("en")
	p.SetAttachments(carriedPDF(f))
	p.SetMargins(edge, head, edge)
	p.SetAutoPageBreak(false, foot)
	p.SetHeaderFunc(p.header)
	p.SetFooterFunc(p.footer)
	for i := range r.Sections {
		p.links[r.Sections[i].ID] = p.AddLink()
	}
	p.links[queriesID] = p.AddLink()
	p.AddPage()
	p.cover()
	for i := range r.Sections {
		p.section(&r.Sections[i], i+1)
	}
	p.queries()
	return p
}

// queriesID is the name of the appendix.
const queriesID = "queries"

func (p *pages) header() {
	if p.PageNo() == 1 {
		return
	}
	p.use(sans, 7.5, soft)
	p.put(edge, 12, titleOf(p.file.Report))
	p.putRight(pageWidth-edge, 12, p.file.Report.Origin)
	p.hline(14, rule)
}

func (p *pages) footer() {
	p.use(sans, 7.5, soft)
	p.put(edge, pageHeight-10, "AuditTrail "+p.file.Report.Program+", at "+document.Thousands(int64(p.file.Report.Size))+" records")
	text := strconv.Itoa(p.PageNo())
	if p.before != nil {
		text += " / " + strconv.Itoa(p.before.PageCount())
	}
	p.putRight(pageWidth-edge, pageHeight-10, text)
}

// room begins a new page if there is not so much left on this one.
func (p *pages) room(height float64) bool {
	if p.GetY()+height <= pageHeight-foot {
		return false
	}
	p.AddPage()
	p.SetY(head)
	return true
}

func (p *pages) space(mm float64) { p.SetY(p.GetY() + mm) }

func (p *pages) hline(y float64, c colour) {
	p.SetDrawColor(c[0], c[1], c[2])
	p.SetLineWidth(0.2)
	p.Line(edge, y, pageWidth-edge, y)
}

func (p *pages) cover() {
	r := p.file.Report
	p.use(sans, 9, soft)
	p.put(edge, head+2, "AuditTrail")
	p.SetY(head + 8)
	p.paragraph(serif, 22, ink, titleOf(r), edge, inside)
	p.space(5)
	for _, pair := range headOf(p.file, true) {
		p.namedValue(pair.Name, pair.Value, 42)
	}
	p.space(4)
	tone, status := bannerOf(r)
	p.notice(tone, bold, status)
	for _, n := range r.Notices {
		p.notice(n.Tone, sans, n.Text)
	}
	p.attention()
	p.figures(keysOf(r))
	p.space(4)
	p.room(30)
	p.paragraph(bold, 9.5, ink, "Contents", edge, inside)
	p.space(1)
	for i := range r.Sections {
		p.content(strconv.Itoa(i+1)+"  "+r.Sections[i].Title, r.Sections[i].ID)
	}
	p.content("Queries of the figures", queriesID)
}

// attention lists what needs attention. Each line leads to its section.
func (p *pages) attention() {
	list := p.file.Report.Attention
	switch {
	case list == nil:
		return
	case len(list) == 0:
		p.space(2)
		p.paragraph(sans, 9.5, ink, noAttention, edge, inside)
		return
	}
	p.space(4)
	p.paragraph(bold, 9.5, ink, needsAttention, edge, inside)
	const size = 8.5
	for _, a := range list {
		p.use(sans, size, ink)
		where := ""
		if p.before != nil {
			where = "p. " + strconv.Itoa(p.before.at[a.Section])
		}
		lines := p.broken(p.spelled(a.Text), inside-16)
		height := float64(len(lines)) * lineHeight(size)
		p.space(1)
		p.room(height)
		top := p.GetY()
		c := tones[a.Tone]
		p.SetFillColor(c[0], c[1], c[2])
		p.Rect(edge, top, 0.8, height, "F")
		for i, line := range lines {
			p.Text(edge+3, top+lineHeight(size)*(float64(i)+0.78), line)
		}
		p.use(sans, size, soft)
		p.putRight(pageWidth-edge, top+lineHeight(size)*0.78, where)
		p.Link(edge, top, inside, height, p.links[a.Section])
		p.SetY(top + height)
	}
}

// content is one line of the table of contents.
func (p *pages) content(text, id string) {
	p.room(6)
	y := p.GetY() + 4
	p.use(sans, 9.5, ink)
	p.put(edge, y, text)
	if p.before != nil {
		p.putRight(pageWidth-edge, y, strconv.Itoa(p.before.at[id]))
	}
	p.Link(edge, y-3.6, inside, 5, p.links[id])
	p.SetY(y + 1.4)
	p.hline(p.GetY(), rule)
}

// begin starts a section on a page of its own or on this one.
func (p *pages) begin(id, title string) {
	p.space(8)
	p.room(60)
	p.at[id] = p.PageNo()
	p.SetLink(p.links[id], p.GetY(), p.PageNo())
	p.use(sans, 9, ink)
	p.Bookmark(title, 0, p.GetY())
	p.SetDrawColor(ink[0], ink[1], ink[2])
	p.SetLineWidth(0.5)
	p.Line(edge, p.GetY(), pageWidth-edge, p.GetY())
	p.space(3)
	p.paragraph(serif, 15, ink, title, edge, inside)
	p.space(1)
}

func (p *pages) section(s *document.Section, n int) {
	p.begin(s.ID, strconv.Itoa(n)+"  "+s.Title)
	p.paragraph(sans, 9.5, ink, s.Intro, edge, inside)
	if by := askedBy(p.file.Report, s); by != "" {
		p.space(1)
		p.paragraph(sans, 8, soft, "Asked by "+by, edge, inside)
	}
	if s.Failed != "" {
		p.notice(document.Bad, sans, "This section could not be computed: "+s.Failed)
	}
	p.figures(s.Figures)
	for i := range s.Charts {
		p.picture(s.Charts[i].Title, s.Charts[i].Sources, chart.Of(&s.Charts[i]))
	}
	for i := range s.Graphs {
		g := &s.Graphs[i]
		if d := chart.OfGraph(g); d != nil && inside/d.Width > leastScale && 200/d.Height > leastScale {
			p.picture(g.Title, g.Sources, d)
			p.note(g.Note)
			continue
		}
		t := graphTable(g)
		p.table(&t)
	}
	for i := range s.Tables {
		p.table(&s.Tables[i])
	}
	p.gaps(s.Gaps)
}

// gaps ends a section.
func (p *pages) gaps(gaps []string) {
	p.space(4)
	p.room(16)
	p.paragraph(bold, 9, ink, notEvidenced, edge, inside)
	for _, g := range gaps {
		p.room(6)
		p.use(sans, 8.5, ink)
		p.put(edge+1, p.GetY()+4.2, "–")
		p.space(0.6)
		p.paragraph(sans, 8.5, ink, g, edge+5, inside-5)
	}
}

func (p *pages) queries() {
	r := p.file.Report
	p.begin(queriesID, "Queries of the figures")
	p.paragraph(sans, 9.5, ink, "They count the first "+document.Thousands(int64(r.Size))+" records of the log and no later ones. 'audittrail report verify' runs all of them again from the report's JSON form, and names every figure that differs.", edge, inside)
	t := document.Table{Columns: []document.Column{{Name: "query"}, {Name: "what it asks"}, {Name: "records", Numeric: true}}}
	for _, s := range r.Sources {
		text := s.Text
		if s.Command != "" {
			text += "\n" + s.Command
		}
		if len(s.Query) > 0 {
			text += "\n" + string(s.Query)
		}
		t.Rows = append(t.Rows, []document.Value{document.TextOf(s.ID), document.TextOf(text), document.CountOf(s.Records)})
	}
	p.rows(&t)
	if len(p.file.Signature) > 0 {
		p.space(6)
		p.room(30)
		p.paragraph(bold, 9, ink, "Signature by the log's key over the JSON form", edge, inside)
		p.paragraph(mono, 7, ink, string(p.file.Signature), edge, inside)
		p.note("The JSON form is attached to this document as " + carriedName + ". 'audittrail report verify FILE.pdf' reads it, checks the signature, computes the report again, and tells whether the pages show what it says.")
	}
	if p.missing || p.before != nil && p.before.missing {
		p.space(4)
		p.paragraph(sans, 8, soft, "Characters that the typefaces of this document lack are spelled as their code points, such as [U+5C71]. The JSON and HTML forms have them as they are.", edge, inside)
	}
}
