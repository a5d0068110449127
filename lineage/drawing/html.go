package drawing

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"audittrail/lineage"
)

//go:embed html.tmpl
var pageText string

//go:embed html.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pagePolicy lets a page have its own two styles, and nothing else: no script,
// no image, no font, no form, nothing from anywhere.
var pagePolicy = "default-src 'none'; style-src " + sourceOf(pageStyle) + " " + sourceOf(svgStyle) + "; base-uri 'none'; form-action 'none'"

// sourceOf names a text by its hash, as a policy does.
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A page is what the template of HTML shows.
type page struct {
	Title   string
	Policy  string
	Style   template.CSS
	Picture template.HTML
	Things  []thingHTML
	Faults  []lineage.InvalidRecord
}

type thingHTML struct {
	Number           int
	Kind, Label, ID  string
	Facts, Retired   string
	Registered, Hash string
	Seq              uint64
	Fields           []fieldHTML
	Up, Down         []linkHTML
}

type fieldHTML struct {
	Name, Text string
	Code       bool
	Long       string // what stands for a long text until one opens it
}

type linkHTML struct {
	Number      int
	Label, Role string
}

func drawHTML(p *pen, s *scene, o Options) error {
	if err := s.drawable(HTML); err != nil {
		return err
	}
	var picture bytes.Buffer
	inner := &pen{bufio.NewWriter(&picture)}
	inner.svg(s, o, "t")
	_ = inner.w.Flush() // a buffer takes all
	view := page{
		Title: plain(o.Title), Policy: pagePolicy, Style: template.CSS(pageStyle),
		Picture: template.HTML(picture.String()), Things: make([]thingHTML, len(s.nodes)), Faults: s.graph.InvalidRecords(),
	}
	for i, n := range s.nodes {
		view.Things[i] = s.thingHTML(i, n)
	}
	for _, l := range s.links {
		from, to := &view.Things[l.from], &view.Things[l.to]
		to.Up = append(to.Up, linkHTML{l.from, from.Label, l.role})
		from.Down = append(from.Down, linkHTML{l.to, to.Label, l.role})
	}
	return pageTemplate.Execute(p.w, view)
}

func (s *scene) thingHTML(i int, n *lineage.Node) thingHTML {
	t := thingHTML{
		Number: i, Kind: string(n.Kind), Label: plain(n.Label()), ID: plain(n.ID), Facts: strings.Join(facts(n), ", "),
		Registered: instant(n.Registered), Hash: n.Hash.String(), Seq: n.Seq,
	}
	if r := n.Retired; r != nil {
		t.Retired = strings.TrimSuffix(instant(r.At)+": "+lines(r.Reason), ": ")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(lineage.Encode(n.Entity), &members) != nil {
		panic("drawing: the encoding of an entity is not an object")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "id" && !s.edges(members[name]) {
			t.Fields = append(t.Fields, fieldOf(name, members[name]))
		}
	}
	return t
}

// edges tells whether a value names things that are all in the picture, whose
// edges say the same.
func (s *scene) edges(raw json.RawMessage) bool {
	var ids []string
	if raw[0] == '"' {
		ids = make([]string, 1)
		if json.Unmarshal(raw, &ids[0]) != nil {
			return false
		}
	} else if json.Unmarshal(raw, &ids) != nil {
		return false
	}
	return !slices.ContainsFunc(ids, func(id string) bool {
		_, ok := s.graph.Node(id)
		return !ok
	})
}

// much is from how many characters on a text is shown when one asks for it.
const much = 600

func fieldOf(name string, raw json.RawMessage) fieldHTML {
	f := fieldHTML{Name: strings.ReplaceAll(name, "_", " ")}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		f.Text = lines(text)
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			f.Text = instant(at)
		}
	} else {
		var b bytes.Buffer
		if raw[0] != '{' || json.Indent(&b, raw, "", "  ") != nil {
			b.Reset()
			b.Write(raw)
		}
		f.Text, f.Code = lines(b.String()), true
	}
	if n := utf8.RuneCountInString(f.Text); n > much || strings.Count(f.Text, "\n") > 12 {
		f.Long = count(n, "character", "characters")
	}
	return f
}

// lines is plain, but for line feeds, which stay.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = plain(parts[i])
	}
	return strings.Join(parts, "\n")
}
