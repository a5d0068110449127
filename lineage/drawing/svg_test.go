package drawing_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

// TestSVG holds that hostile names are text in a picture: what is read of it
// has the elements and attributes of a harmless one, and the names in it.
func TestSVG(t *testing.T) {
	var text []string
	g := graphOf(t, hostile())
	d := xml.NewDecoder(bytes.NewReader(draw(t, g, drawing.Options{Form: drawing.SVG, Title: `</title><script>"&`})))
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
			if !slices.Contains([]string{"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g"}, token.Name.Local) {
				t.Errorf("there is an element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || strings.Contains(a.Value, "script") {
					t.Errorf("there is an attribute %s=%q", a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			text = append(text, string(token))
		}
	}
	for _, want := range []string{`</title><script>"&`, `<script>alert(1)</script>@"v<1>`, `\u202egnp.exe\u202c@"v<1>`, `]]>@"v<1>`, `back\slash\@"v<1>`} {
		if !slices.Contains(text, want) {
			t.Errorf("%s is nowhere", want)
		}
	}
}

// TestTooLarge holds where a picture ends to make sense, and that one just
// below is drawn.
func TestTooLarge(t *testing.T) {
	many := make([]lineage.Thing, drawing.MaxNodes+1)
	for i := range many {
		many[i] = &lineage.Dataset{Name: strings.Repeat("x", i%7), Version: string(rune('a' + i%26)), ID: "d" + strings.Repeat("i", i%5) + string(rune(0x4e00+i))}
		if i%7 == 0 {
			many[i].(*lineage.Dataset).Name = "n"
		}
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
