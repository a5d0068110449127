package drawing_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

// The elements of pictures, and the further ones of pages.
var (
	svgElements  = []string{"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g"}
	pageElements = []string{
		"html", "head", "meta", "body", "div", "main", "h2", "h3", "table", "thead", "tbody", "tr", "th", "td", "a",
		"article", "dl", "dt", "dd", "span", "footer", "details", "summary", "pre", "ul", "li",
	}
)

// TestMarkup holds that hostile names are text in pictures and pages: parsed,
// these have the elements and attributes of harmless ones, and the names as texts.
func TestMarkup(t *testing.T) {
	g := graphOf(t, hostile())
	for _, c := range []struct {
		form     drawing.Form
		elements []string
	}{
		{drawing.SVG, svgElements},
		{drawing.HTML, slices.Concat(svgElements, pageElements)},
	} {
		var text []string
		d := xml.NewDecoder(bytes.NewReader(draw(t, g, drawing.Options{Form: c.form, Title: `</title><script>"&`})))
		if c.form == drawing.HTML {
			d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
		}
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				harmless(t, token, c.elements)
			case xml.CharData:
				text = append(text, strings.TrimSpace(string(token)))
			}
		}
		for _, want := range []string{`</title><script>"&`, `<script>alert(1)</script>@"v<1>`, `\u202egnp.exe\u202c@"v<1>`, `]]>@"v<1>`, `back\slash\@"v<1>`} {
			if !slices.Contains(text, want) {
				t.Errorf("%s: %s is nowhere", c.form, want)
			}
		}
	}
}

func harmless(t *testing.T, e xml.StartElement, elements []string) {
	t.Helper()
	if !slices.Contains(elements, e.Name.Local) {
		t.Errorf("there is an element %s", e.Name.Local)
	}
	for _, a := range e.Attr {
		link := a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#t")
		if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" || a.Name.Local == "src" || link || strings.Contains(a.Value, "script") {
			t.Errorf("there is an attribute %s=%q", a.Name.Local, a.Value)
		}
	}
}

// TestPolicy holds that the policy of a page names the styles that it has.
func TestPolicy(t *testing.T) {
	page := string(draw(t, graphOf(t, bot()), drawing.Options{Form: drawing.HTML}))
	styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page, -1)
	if len(styles) != 2 {
		t.Fatalf("%d styles, want 2", len(styles))
	}
	policy := html.UnescapeString(regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)[1])
	for _, s := range styles {
		sum := sha256.Sum256([]byte(s[1]))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("the policy %s does not name %s", policy, want)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy %s permits more than it needs", policy)
	}
}

// TestDetails holds that a page has what was registered, and the long of it
// folded.
func TestDetails(t *testing.T) {
	things := append(bot(), &lineage.PromptTemplate{Name: "long", Text: strings.Repeat("Be kind.\n", 100)})
	page := string(draw(t, graphOf(t, things, "bot@3/production"), drawing.Options{Form: drawing.HTML}))
	for _, want := range []string{
		"First answers to customers.\nNever on health.", "2026-11-20T00:00:00Z: a better one", "git:5f1c2aa", "&#34;loss&#34;: 1.92",
		"<details><summary>900 characters</summary>", `<a href="#t0">crawl@1</a> <span class="soft">(source)</span>`, "<dd>48000000</dd>",
	} {
		if !strings.Contains(strings.ReplaceAll(page, `<span class="code">48000000</span>`, "48000000"), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// TestTooLarge holds where a picture ends to make sense, and that one just
// below is drawn.
func TestTooLarge(t *testing.T) {
	many := make([]lineage.Entity, drawing.MaxNodes+1)
	for i := range many {
		many[i] = &lineage.Dataset{Name: fmt.Sprintf("part %d", i)}
	}
	err := drawing.Draw(io.Discard, graphOf(t, many), drawing.Options{Form: drawing.SVG})
	var size *drawing.SizeError
	if !errors.As(err, &size) || size.Nodes != drawing.MaxNodes+1 || !strings.Contains(err.Error(), "draw a part") {
		t.Errorf("%d nodes: %v", len(many), err)
	}
	if err := drawing.Draw(io.Discard, graphOf(t, many[1:]), drawing.Options{Form: drawing.SVG}); err != nil {
		t.Errorf("%d nodes: %v", len(many)-1, err)
	}
	if err := drawing.Draw(io.Discard, graphOf(t, many), drawing.Options{Form: drawing.Text}); err != nil {
		t.Errorf("%d nodes as text: %v", len(many), err)
	}
}

// FuzzName has names of all sorts drawn, of which none may be more than text.
func FuzzName(f *testing.F) {
	for _, thing := range hostile() {
		f.Add(thing.Label())
	}
	f.Fuzz(func(t *testing.T, name string) {
		thing := &lineage.Dataset{Name: name, Licence: name, Description: name}
		if lineage.Complete(thing) != nil {
			t.Skip("nobody can register it")
		}
		g := graphOf(t, []lineage.Entity{thing})
		for _, form := range drawing.Forms() {
			out := draw(t, g, drawing.Options{Form: form, Title: name})
			if !utf8.Valid(out) {
				t.Errorf("%s of %q is no UTF-8", form, name)
			}
			if form != drawing.SVG && form != drawing.HTML {
				continue
			}
			d := xml.NewDecoder(bytes.NewReader(out))
			elements := svgElements
			if form == drawing.HTML {
				elements = slices.Concat(svgElements, pageElements)
				d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
			}
			for {
				token, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s of %q: %v", form, name, err)
				}
				if e, ok := token.(xml.StartElement); ok && !slices.Contains(elements, e.Name.Local) {
					t.Fatalf("%s of %q has an element %s", form, name, e.Name.Local)
				}
			}
		}
	})
}
