package text_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/index/text"
)

// terms are what a text is found by, the pairs of close characters among them.
func terms(s string) []string {
	var all []string
	sc := text.Scanner{Text: s}
	for sc.Scan() {
		all = append(all, string(sc.Term()))
		if p := sc.Pair(); p != nil {
			all = append(all, string(p))
		}
	}
	return all
}

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		"":                               nil,
		" \t,.!":                         nil,
		"Is a bond safe?":                {"is", "a", "bond", "safe"},
		"Crème BRÛLÉE":                   {"creme", "brulee"},
		"Straße Łódź Øre":                {"strasse", "lodz", "ore"},
		"ΑΘΉΝΑ":                          {"αθηνα"},
		"it's John’s":                    {"it's", "it", "s", "john's", "john", "s"},
		"user_id example.com 3.14 1,000": {"user_id", "user", "id", "example.com", "example", "com", "3.14", "1,000"},
		"prompt:refund":                  {"prompt", "refund"},
		"退款":                             {"退", "款", "退\x00款"},
		"환불 요청":                          {"환", "불", "환\x00불", "요", "청", "요\x00청"},
		"ABC退款x":                         {"abc", "退", "款", "退\x00款", "x"},
		"ﬁne ①":                          {"fine", "1"},
	} {
		if diff := cmp.Diff(want, terms(in)); diff != "" {
			t.Errorf("terms of %q (-want +got):\n%s", in, diff)
		}
	}
}

// TestLongWord is cut off, and says so.
func TestLongWord(t *testing.T) {
	for _, in := range []string{strings.Repeat("a", 1<<20), strings.Repeat("é", 1<<20)} {
		for w := range text.Words(in) {
			if len(w.Term) > text.MaxTerm || !w.Cut {
				t.Errorf("a word of %d bytes: term of %d bytes, Cut = %v", len(in), len(w.Term), w.Cut)
			}
		}
	}
}

func TestTerms(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  []string
		exact bool
	}{
		{"bond", []string{"bond"}, true},
		{"safe bond", []string{"safe", "bond"}, false},
		{"退款", []string{"退\x00款"}, true},
		{"退", []string{"退"}, true},
		{"?!", nil, false},
		{strings.Repeat("b", 100), []string{strings.Repeat("b", text.MaxTerm)}, false},
	} {
		got, exact := text.Terms(c.in)
		if !slices.Equal(got, c.want) || exact != c.exact {
			t.Errorf("Terms(%q) = %q, %v, want %q, %v", c.in, got, exact, c.want, c.exact)
		}
	}
}

// TestOf names every field of text that an event has.
func TestOf(t *testing.T) {
	ev := event.Event{
		Prompt: "p", Response: "r", SystemInstructions: "s", Error: "e",
		InputMessages:  json.RawMessage(`[{"role":"user","content":"in\u0041"}]`),
		OutputMessages: json.RawMessage(`"out"`),
		Tool:           &event.Tool{Arguments: json.RawMessage(`{"q":"x","n":7}`), Result: json.RawMessage(`[true,null]`)},
		Metadata:       map[string]json.RawMessage{"k": json.RawMessage(`"v"`)},
	}
	var got []string
	for f, s := range text.Of(&ev) {
		got = append(got, f.String()+"="+s)
	}
	want := []string{
		"prompt=p", "response=r", "system=s", "error=e", "input=user", "input=inA", "output=out",
		"arguments=q", "arguments=x", "arguments=n", "arguments=7", "result=true", "metadata=k", "metadata=v",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
	for _, f := range text.Fields() {
		if back, ok := text.ParseField(f.String()); !ok || back != f {
			t.Errorf("ParseField(%q) = %v, %v", f, back, ok)
		}
	}
}

// FuzzWords looks for texts whose words do not stand where they say, or whose
// terms would be others when they are cut again.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"Is a bond safe?", "Crème BRÛLÉE", "退款 x_y", "환불", "a.b'c_1,2", "\xff\xfe", "İstanbul ǅ ﬃ", "ก้าว"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		last := 0
		pos := -1
		for w := range text.Words(s) {
			if w.Term == "" || len(w.Term) > text.MaxTerm || w.Start < 0 || w.End > len(s) || w.Start >= w.End {
				t.Fatalf("words of %q: %+v", s, w)
			}
			if w.Pos < pos || w.Pos == pos && w.Start < last && w.End > last {
				t.Fatalf("words of %q are out of order: %+v", s, w)
			}
			if w.Pos > pos {
				last = w.End
			}
			pos = w.Pos
			if !w.Cut && text.Fold(s[w.Start:w.End]) != w.Term {
				t.Fatalf("the term of %q is %q, folded it is %q", s[w.Start:w.End], w.Term, text.Fold(s[w.Start:w.End]))
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	s := strings.Repeat("The quick brown fox jumps over the lazy dog, and asks for a refund of order 4711. ", 12)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		sc := text.Scanner{Text: s}
		for sc.Scan() {
		}
	}
}
