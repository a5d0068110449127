package demo

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"audittrail/cmd/audittrail/internal/display"
)

var updatePicture = flag.Bool("update-picture", false, "draw docs/img/demo.svg anew")

var picture = filepath.Join("..", "..", "..", "..", "docs", "img", "demo.svg")

// The picture's terminal: 80 columns between margins, below a title bar.
const (
	pictureColumns = 80
	cellWidth      = 8.1
	cellHeight     = 19.0
	fontSize       = 13.5
	pictureMargin  = 26.0
	pictureTop     = 62.0 // of the first line's baseline
)

// pictureStyle has colours of its own for both: a dark terminal stands well on
// a dark page and on a light one.
const pictureStyle = `
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; font-size: 13.5px; fill: #d7dee6; white-space: pre; }
.t1 { fill: #ffffff; font-weight: 600; }
.t2 { fill: #8b96a3; }
.t31 { fill: #ff8178; }
.t32 { fill: #56d364; }
.t33 { fill: #e3b341; }
.bar { fill: #8b96a3; }
`

// TestDemoPicture holds the README's picture against what demo prints.
func TestDemoPicture(t *testing.T) {
	out, err := runDemo(t, Options{Colours: true}, attacks())
	if err != nil {
		t.Fatal(err)
	}
	if *updatePicture {
		if err := os.WriteFile(picture, drawTerminal("audittrail demo", out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := readTerminal(svg)
	if err != nil {
		t.Fatal(err)
	}
	plain := escapes.ReplaceAllString(out, "")
	if diff := gocmp.Diff(settled(plain), settled(shown)); diff != "" {
		t.Errorf("docs/img/demo.svg is not what demo prints; draw it anew with -update-picture (-demo +picture):\n%s", diff)
	}
}

// varying are the parts of the output that differ from run to run, and what
// stands for them.
var varying = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`"logged":"[^"]*"`), `"logged":"~"`},
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}`), "DATE"},
	{regexp.MustCompile(`"standard/\d{4}-\d{2}"`), `"standard/MONTH"`},
	{regexp.MustCompile(`"[0-9a-f]{8}…"`), `"~…"`},
	{regexp.MustCompile(`"[A-Za-z0-9+/]{22}…[A-Za-z0-9+/=]{8}"`), `"~…~"`},
	{regexp.MustCompile(`(after|in|took) \d+(\.\d)? m?s`), "$1 ~"},
}

// settled is the output without what differs from run to run.
func settled(s string) []string {
	for _, v := range varying {
		s = v.re.ReplaceAllString(s, v.by)
	}
	return strings.Split(strings.TrimSpace(s), "\n")
}

var escapes = regexp.MustCompile("\x1b\\[([0-9]*)m")

// A run is text of one tone without two spaces in a row: these become a step
// to the right, so that columns stand whatever font draws them.
type run struct {
	column int
	tone   string
	text   string
}

// runsOf takes a line of terminal output apart. It is ASCII but for ellipses,
// so every character takes a column.
func runsOf(line string) []run {
	var runs []run
	column, tone := 0, ""
	add := func(text string) {
		for text != "" {
			trimmed := strings.TrimLeft(text, " ")
			column += len(text) - len(trimmed)
			word, rest := trimmed, ""
			if i := strings.Index(trimmed, "  "); i >= 0 {
				word, rest = trimmed[:i], trimmed[i:]
			}
			if word != "" {
				n := display.Columns(word)
				runs = append(runs, run{column, tone, strings.TrimRight(word, " ")})
				column += n
			}
			text = rest
		}
	}
	for {
		m := escapes.FindStringSubmatchIndex(line)
		if m == nil {
			add(line)
			return runs
		}
		add(line[:m[0]])
		tone = line[m[2]:m[3]]
		if tone == "0" {
			tone = ""
		}
		line = line[m[1]:]
	}
}

// drawTerminal draws the output of a command as a picture of a terminal.
func drawTerminal(command, out string) []byte {
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	width := 2*pictureMargin + pictureColumns*cellWidth
	height := pictureTop + float64(len(lines))*cellHeight + 4
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%[1]v" height="%[2]v" role="img" aria-label="Output of %[3]s">`, math.Round(width), math.Round(height), command)
	fmt.Fprintf(&b, "\n<title>%s</title>\n<style>%s</style>\n", command, pictureStyle)
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%.0f" height="%.0f" rx="10" fill="#10151c" stroke="#39424e"/>`+"\n", math.Round(width)-1, math.Round(height)-1)
	for i, colour := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="20" r="6" fill="%s"/>`+"\n", 22+20*i, colour)
	}
	fmt.Fprintf(&b, `<text class="bar" x="%.0f" y="25" text-anchor="middle">$ %s</text>`+"\n", math.Round(width/2), command)
	for i, line := range lines {
		for _, r := range runsOf(line) {
			class := ""
			if r.tone != "" {
				class = fmt.Sprintf(` class="t%s"`, r.tone)
			}
			fmt.Fprintf(&b, `<text%s x="%.1f" y="%.1f" textLength="%.1f">`, class,
				pictureMargin+float64(r.column)*cellWidth, pictureTop+float64(i)*cellHeight, float64(display.Columns(r.text))*cellWidth)
			_ = xml.EscapeText(&b, []byte(r.text)) // a buffer takes it
			b.WriteString("</text>\n")
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// readTerminal reads the text back from its places in the picture.
func readTerminal(svg []byte) (string, error) {
	var doc struct {
		Texts []struct {
			Class string  `xml:"class,attr"`
			X     float64 `xml:"x,attr"`
			Y     float64 `xml:"y,attr"`
			Text  string  `xml:",chardata"`
		} `xml:"text"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		return "", fmt.Errorf("read the picture: %w", err)
	}
	var b strings.Builder
	row, column := 0, 0
	for _, t := range doc.Texts {
		if t.Class == "bar" {
			continue
		}
		y := int(math.Round((t.Y - pictureTop) / cellHeight))
		x := int(math.Round((t.X - pictureMargin) / cellWidth))
		if cmp.Or(cmp.Compare(y, row), cmp.Compare(x, column)) < 0 {
			return "", fmt.Errorf("read the picture: %q stands before what is drawn before it", t.Text)
		}
		if y > row {
			b.WriteString(strings.Repeat("\n", y-row))
			row, column = y, 0
		}
		b.WriteString(strings.Repeat(" ", x-column) + t.Text)
		column = x + display.Columns(t.Text)
	}
	return b.String(), nil
}
