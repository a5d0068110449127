package shown_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/shown"
)

// hidden returns the invisible characters, by their code points.
func hidden() []rune {
	all := []rune{0x7f, 0xad, 0x61c, 0x180e, 0x115f, 0x3164, 0xfeff, 0xe0001, 0xe0041}
	for _, span := range [][2]rune{{0, 0x1f}, {0x80, 0x9f}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}} {
		for r := span[0]; r <= span[1]; r++ {
			all = append(all, r)
		}
	}
	return all
}

func TestTextSpellsOutWhatIsNotSeen(t *testing.T) {
	for _, r := range hidden() {
		got := shown.Text("a"+string(r)+"b", "")
		if strings.ContainsRune(got, r) || !strings.HasPrefix(got, `a\`) || !strings.HasSuffix(got, "b") {
			t.Errorf("Text with %U is %q", r, got)
		}
	}
	for in, want := range map[string]string{
		"x\u202ey":                `x\u202ey`,
		"x\x9by\xff":              `x\x9by\xff`, // bytes that some terminals obey
		"\U000e0041":              `\U000e0041`,
		"naïve 日本語 ١٢ \u0600 🙂 �": "naïve 日本語 ١٢ \u0600 🙂 �",
	} {
		if got := shown.Text(in, ""); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	if got := shown.Text("a\nb\tc\r", "\n\t"); got != "a\nb\tc\\u000d" {
		t.Errorf("Text that keeps lines is %q", got)
	}
}

func TestJSONKeepsItsValue(t *testing.T) {
	var text strings.Builder
	for _, r := range hidden() {
		text.WriteRune(r)
	}
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	enc.SetEscapeHTML(false)
	value := map[string]string{"a" + text.String(): text.String() + "é<"}
	if err := enc.Encode(value); err != nil {
		t.Fatal(err)
	}
	out := shown.JSON(in.Bytes())
	for _, r := range string(out) {
		if shown.Hides(r) && r != '\n' {
			t.Errorf("%U stands in JSON as it is", r)
		}
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(value, got); diff != "" {
		t.Errorf("the value has changed:\n%s", diff)
	}
}

func TestCellIsNoFormula(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"plain":          "plain",
		"=1+1":           "'=1+1",
		"@SUM(A1)":       "'@SUM(A1)",
		"+cmd|' /C x'!A": "'+cmd|' /C x'!A",
		"-2+3":           "'-2+3",
		"\t=1":           "'\t=1",
		"\r=1":           "'\r=1",
		"\n=1":           "'\n=1",
		"＝1+1":           "'＝1+1",
		"-5":             "-5",
		"+5.25e-3":       "+5.25e-3",
		"-":              "-",
		"-Inf":           "'-Inf",
		"-0x1p2":         "'-0x1p2",
		"-1_000":         "'-1_000",
		"-5\n=1":         "'-5\n=1",
		"'quoted'":       "'quoted'",
		"'=1":            "''=1",
		"'-5":            "''-5",
		"''":             "''",
	} {
		got := shown.Cell(in)
		if got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
		if back := shown.Uncell(got); back != in {
			t.Errorf("Uncell(%q) = %q, want %q", got, back, in)
		}
	}
}

func FuzzCell(f *testing.F) {
	for _, s := range []string{"=1", "'=1", "-5", "'-", "\t", "''＠"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if back := shown.Uncell(shown.Cell(s)); back != s {
			t.Errorf("%q came back as %q", s, back)
		}
	})
}

func TestCSVGuardsEveryCell(t *testing.T) {
	var b bytes.Buffer
	out := shown.NewCSV(&b)
	if err := out.Write([]string{"=a", "b,\"c\"", "-1"}); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&b).Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"'=a", "b,\"c\"", "-1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWriterEscapesAcrossWrites(t *testing.T) {
	text := "a\u202eb\x1b[2J\x9bé🙂\r\n"
	want := `a\u202eb\u001b[2J\ufffdé🙂\u000d` + "\n"
	for size := 1; size <= len(text); size++ {
		var b bytes.Buffer
		w := shown.Writer(&b)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if b.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, b.String(), want)
		}
	}
}
