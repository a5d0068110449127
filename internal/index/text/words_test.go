package text_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/index/text"
)

// terms returns the terms of a text: its parts, and their pairs and edges.
func terms(s string) []string {
	var all []string
	sc := text.Scanner{Text: s}
	for sc.Scan() {
		all = append(all, string(sc.Term()))
		if p := sc.Pair(); p != nil {
			all = append(all, string(p))
		}
		if p := sc.Edge(); p != nil {
			all = append(all, string(p))
		}
	}
	return all
}

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		"":                {},
		" \t,.!":          {},
		"_ __":            {},
		"Is a bond safe?": {"is", "a", "bond", "safe"},
		"Crème BRÛLÉE":    {"creme", "brulee"},
		"Straße Łódź Øre": {"strasse", "lodz", "ore"},
		"ΑΘΉΝΑ":           {"αθηνα"},
		"it's John’s":     {"it", "s", "it\x00's", "john", "s", "john\x00's"},
		"O‘Brien":         {"o", "brien", "o\x00'brien"},
		"user_id":         {"user", "id", "user\x00_id"},
		"www.example.com": {"www", "example", "www\x00.example", "com", "example\x00.com"},
		"__init__ _x":     {"init", "init\x00__", "x"},
		"3.14 1,000":      {"3", "14", "3\x00.14", "1", "000", "1\x00,000"},
		"prompt:refund":   {"prompt", "refund"},
		"größe_é:x":       {"grosse", "e", "grosse\x00_e", "x"},
		"退款":              {"退", "款", "退\x00款"},
		"환불 요청":           {"환", "불", "환\x00불", "요", "청", "요\x00청"},
		"ABC退款x":          {"abc", "退", "款", "退\x00款", "x"},
		"a_退":             {"a", "a\x00_", "退"},
		"ﬁne ①":           {"fine", "1"},
		"👍🏽":              {"👍", "👍\x00🏽"},
		"👩🏽‍💻":            {"👩", "💻", "👩\x00🏽💻"},
		"צה״ל":            {"צה", "ל", "צה\x00\"ל"},
		`צה"ל`:            {"צה", "ל", "צה\x00\"ל"},
		"ג׳ירפה ג'":       {"ג", "ירפה", "ג\x00'ירפה", "ג", "ג\x00'"},
		"محمـد ـ":         {"محمد"},
		"a_\u0301_b":      {"a", "b", "a\x00__b"},
		"v1.2 rev2 v":     {"v", "1", "v\x001", "2", "1\x00.2", "rev2", "v"},
		"30T12 t3 3t 5tv": {"30", "t", "30\x00t", "12", "t\x0012", "t3", "3", "t", "3\x00t", "5tv"},
		"00Z 0za":         {"00", "z", "00\x00z", "0za"},
	} {
		if diff := cmp.Diff(want, append([]string{}, terms(in)...)); diff != "" {
			t.Errorf("terms of %q (-want +got):\n%s", in, diff)
		}
	}
}

// TestLongWord has a word that is cut off, and marked as cut.
func TestLongWord(t *testing.T) {
	for _, in := range []string{strings.Repeat("a", 1<<20), strings.Repeat("é", 1<<20)} {
		for w := range text.Words(in) {
			if len(w.Term) > text.MaxTerm || !w.Cut {
				t.Errorf("a word of %d bytes: term of %d bytes, Cut = %v", len(in), len(w.Term), w.Cut)
			}
		}
	}
}

func TestLookups(t *testing.T) {
	long := strings.Repeat("b", 100)
	for _, c := range []struct {
		in     string
		prefix bool
		want   string // the terms, those that are beginnings with a *
		exact  bool
	}{
		{"bond", false, "bond", true},
		{"bond", true, "bond*", true},
		{"safe bond", false, "safe bond", false},
		{"safe bond", true, "safe bond*", false},
		{"退款", false, "退|款", true},
		{"退", false, "退", true},
		{"?!", false, "", false},
		{"example.com", false, "example|.com", true},
		{"max_tok", true, "max|_tok*", true},
		{"max_", true, "max|_*", true},
		{"max_", false, "max|_*", true},
		{"_max", false, "max", false},
		{"www.example.com", false, "www|.example example|.com", false},
		{"safe example.com", false, "safe example|.com", false},
		{"__init__", false, "init|__*", false},
		{long, false, long[:text.MaxTerm], false},
		{"a." + long, false, "a|." + long[:text.MaxTerm-3], false},
		{"a." + long[:text.MaxTerm-3], false, "a|." + long[:text.MaxTerm-3], false},
		{"a." + long[:text.MaxTerm-7], false, "a|." + long[:text.MaxTerm-7], true},
	} {
		all, exact := text.Lookups(slices.Collect(text.Words(c.in)), c.prefix)
		var got []string
		for _, l := range all {
			got = append(got, strings.ReplaceAll(l.Term, "\x00", "|"))
			if l.Prefix {
				got[len(got)-1] += "*"
			}
		}
		if strings.Join(got, " ") != c.want || exact != c.exact {
			t.Errorf("Lookups(%q, %v) = %q, %v, want %q, %v", c.in, c.prefix, got, exact, c.want, c.exact)
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

// FuzzWords looks for texts whose words are not at the offsets they state, or
// whose words give other terms when they are split again.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"Is a bond safe?", "Crème BRÛLÉE", "退款 x_y", "환불", "a.b'c_1,2", "\xff\xfe", "İstanbul ǅ ﬃ", "ก้าว"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		last, trail := 0, ""
		for w := range text.Words(s) {
			if w.Term == "" || len(w.Term) > text.MaxTerm || w.Start < last || w.End > len(s) || w.Start >= w.End {
				t.Fatalf("words of %q: %+v", s, w)
			}
			if w.Joined && w.Lead != trail {
				t.Fatalf("words of %q: %+v is joined behind %q", s, w, trail)
			}
			last, trail = w.End, w.Trail
			if !w.Cut && text.Fold(s[w.Start:w.End]) != w.Term {
				t.Fatalf("the term of %q is %q, folded it is %q", s[w.Start:w.End], w.Term, text.Fold(s[w.Start:w.End]))
			}
		}
		// The lookups for a text, and for its beginnings, are among its terms.
		all := slices.Collect(text.Words(s))
		has := terms(s)
		for n := 1; n <= min(len(all), 8); n++ {
			looks, _ := text.Lookups(all[:n], n%2 == 0)
			for _, l := range looks {
				if !slices.ContainsFunc(has, func(term string) bool { return term == l.Term || l.Prefix && strings.HasPrefix(term, l.Term) }) {
					t.Fatalf("of %d words of %q, %+v is looked up, and there is only %q", n, s, l, has)
				}
			}
		}
	})
}

// boundary reports whether a part of a word may begin or end between two
// characters, whatever is around them.
func boundary(before, after rune) bool {
	part := func(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Cf) }
	return !part(before) || !part(after)
}

// FuzzRuns looks for a run of parts in a text that is not found in it.
func FuzzRuns(f *testing.F) {
	for _, s := range []string{
		"see www.example.com, max_tokens_per_day", "O’Brien's v1.2.3-beta 2026-11-30T12:00:00Z", "192.168.1.7 1,000.50 10;20;30",
		"__init__ a_退_b צה\"ל 👍🏽", "fe80::1 /etc/app.conf.d/x", "l·l ‿x‿",
	} {
		f.Add(s, 0, 4)
		f.Add(s, 4, 15)
	}
	f.Fuzz(func(t *testing.T, s string, from, to int) {
		rs := []rune(s)
		if from < 0 || to > len(rs) || from >= to || !utf8.ValidString(s) || len(s) > 200 {
			return
		}
		if from > 0 && !boundary(rs[from-1], rs[from]) || to < len(rs) && !boundary(rs[to-1], rs[to]) {
			return
		}
		run := string(rs[from:to])
		in, want := slices.Collect(text.Words(s)), slices.Collect(text.Words(run))
		at := len(string(rs[:from]))
		i := slices.IndexFunc(in, func(w text.Word) bool { return w.End > at })
		for n, w := range want {
			if i+n >= len(in) || in[i+n].Term != w.Term || in[i+n].Start != at+w.Start || w.Joined && (!in[i+n].Joined || in[i+n].Lead != w.Lead) ||
				!strings.HasSuffix(in[i+n].Lead, w.Lead) || !strings.HasPrefix(in[i+n].Trail, w.Trail) {
				t.Fatalf("%q in %q: word %d is %+v, of\n%+v", run, s, n, w, in)
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
