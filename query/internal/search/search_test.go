package search_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"audittrail/event"
	"audittrail/query/internal/search"
)

func parse(t *testing.T, q string) *search.Expr {
	t.Helper()
	x, err := search.Parse(q)
	if err != nil {
		t.Fatalf("Parse(%s): %v", q, err)
	}
	return x
}

// TestMatch marks matches with brackets.
func TestMatch(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct{ query, text, want string }{
		{"refund", "Refund my order", "[Refund] my order"},
		{"refund", "refunds", "no"},
		{"refund*", "refunds and REFUNDABLE", "[refunds] and [REFUNDABLE]"},
		{"café", "CAFE, Café and cafe\u0301", "[CAFE], [Café] and [cafe\u0301]"},
		{"straße", "STRASSE", "[STRASSE]"},
		{"my order", "order of my own", "[order] of [my] own"},
		{"my AND order", "order of my own", "[order] of [my] own"},
		{`"my order"`, "order of my own", "no"},
		{`"my order"`, "My, order! my order", "[My, order]! [my order]"},
		{`"a b a b"`, "a b a b a b", "[a b a b a b]"},
		{"refund OR order", "an order", "an [order]"},
		{"a b OR c", "c", "[c]"},
		{"a (b OR c)", "c", "no"},
		{"a (b OR c)", "c a", "[c] [a]"},
		{"a -b", "a c", "[a] c"},
		{"a -b", "a b", "no"},
		{"a NOT b", "a b", "no"},
		{"-a", "b", "b"},
		{"--a", "a", "a"},
		{"-(a b)", "a", "a"},
		{`-"a b"`, "a b", "no"},
		{"e-mail", "an e-mail", "an [e-mail]"},
		{"e-mail", "mail e", "no"},
		{"John", "John's", "[John]'s"},
		{`"John said"`, "John's said", "[John's said]"},
		{"user_id", "the user_id is", "the [user_id] is"},
		{"user", "the user_id is", "the [user]_id is"},

		// A run of parts inside a word.
		{"example.com", "www.example.com or bob@corp.example.com", "www.[example.com] or bob@corp.[example.com]"},
		{"corp.example", "bob@corp.example.com", "bob@[corp.example].com"},
		{"bob@corp", "bob@corp.example.com", "[bob@corp].example.com"},
		{"bob@example", "bob@corp.example.com", "[bob@corp.example].com"},
		{"bob@com.example", "bob@corp.example.com", "no"},
		{`"退 a"`, "退款 a", "no"},
		{`"a b c"`, "a.a.b c", "a.[a.b c]"},
		{`"a b c"`, "a.x b.x x.c", "[a.x b.x x.c]"},
		{`"a b c"`, "a.x y.b.x x.c", "[a.x y.b.x x.c]"},
		{`"a b c"`, "a.x x b.x x.c", "no"},
		{"example.org", "www.example.com", "no"},
		{"max_tokens", "max_tokens_per_day", "[max_tokens]_per_day"},
		{"tokens_per", "max_tokens_per_day", "max_[tokens_per]_day"},
		{"max_per", "max_tokens_per_day", "no"},
		{"max_token", "max_tokens_per_day", "no"},
		{"max_tok*", "max_tokens_per_day", "[max_tokens]_per_day"},
		{"max_*", "maximum max_tokens", "maximum [max]_tokens"},
		{"max_*", "maximum", "no"},
		{"tokens_p*", "max_tokens_per_day", "max_[tokens_per]_day"},
		{"max_tokens", "max.tokens", "no"},
		{"max_tokens", "max tokens", "no"},
		{`"max tokens"`, "max_tokens and max-tokens", "[max_tokens] and [max-tokens]"},
		{`"quick fox"`, "quick_brown fox", "[quick_brown fox]"},
		{`"brown fox"`, "quick_brown fox", "quick_[brown fox]"},
		{"O'Brien", "O'Brien's", "[O'Brien]'s"},
		{"O'Brien", "O’Brien’s", "[O’Brien]’s"},
		{"O’Brien", "O'BRIEN'S", "[O'BRIEN]'S"},
		{"O'Brian", "O'Brien's", "no"},
		{"app.conf", "/etc/app.conf.d/x", "/etc/[app.conf].d/x"},
		{`"etc/app.conf"`, "/etc/app.conf.d/x", "/[etc/app.conf].d/x"},
		{"ChatCompletion.create", "openai.ChatCompletion.create", "openai.[ChatCompletion.create]"},
		{"__init__", "__init__ init", "__[init]__ init"},
		{"init", "__init__", "__[init]__"},
		{"192.168", "192.168.1.7", "[192.168].1.7"},
		{"168.1", "192.168.1.7", "192.[168.1].7"},
		{"3.14", "3.141 3.14", "3.141 [3.14]"},
		{"20", "10;20;30", "10;[20];30"},
		{"1.2", "v1.2.3-beta", "v[1.2].3-beta"},
		{"v1.2", "v1.2.3-beta", "[v1.2].3-beta"},
		{"v1*", "v12 v2", "[v12] v2"},
		{"2026-11-30", "2026-11-30T12:00:00Z", "[2026-11-30]T12:00:00Z"},
		{`"12:00:00"`, "2026-11-30T12:00:00Z", "2026-11-30T[12:00:00]Z"},
		{"2026-11-30T*", "2026-11-30T12:00:00Z", "[2026-11-30T]12:00:00Z"},
		{"größe", "max_größe_b", "max_[größe]_b"},
		{`"fe80::1"`, "fe80::1%eth0", "[fe80::1]%eth0"},
		{"👍", "👍🏽", "[👍]🏽"},
		{"👍🏽", "👍 👍🏽", "👍 [👍]🏽"},
		{`"צה״ל"`, `ב צה"ל`, `ב [צה"ל]`},
		{"-example.com", "www.example.com", "no"},
		{"-example.com", "example of com", "example of com"},
		{"東京", "私は東京都に", "私は[東京]都に"},
		{"京東", "東京", "no"},
		{"東京", "東 京", "no"},
		{"東*", "東京", "[東]京"},
		{"한국", "한국어", "[한국]어"},
		{"prompt:a", "a", "[a]"},
		{"response:a", "a", "no"},
		{"prompt:(a OR b)", "b", "[b]"},
		{"any:a", "a", "[a]"},
		{`prompt:"a b"`, "a b", "[a b]"},
		{"-response:a", "a", "a"},
		{"prompt:-a", "a", "no"},
		{"prompt:-b", "a", "a"},
		{"prompt:NOT a", "a", "no"},
		{"x\u3000OR\u3000a", "a", "[a]"},
		{`substring:"y or"`, "my order", "m[y or]der"},
		{"substring:ÉF", "cafe\u0301 cafef", "cafe\u0301 caf[ef]"},
		{`substring:"!"`, "a! b!", "a[!] b[!]"},
		{"substring:a", "æb", "[æ]b"},
		{`/or.er/`, "my order", "my [order]"},
		{`/OR.ER/i`, "my order", "my [order]"},
		{`/OR.ER/`, "my order", "no"},
		{`/x*/`, "y", "y"},
		{`/a\/b/`, "a/b", "[a/b]"},
		{`prompt:/^my/`, "my my", "[my] my"},
		{`"OR"`, "this or that", "this [or] that"},
		{`"a \"quote\""`, `a "quote"`, `[a "quote]"`},
		{"ORDER", "order", "[order]"},
		{long, long, "[" + long + "]"},
		{long + "y", long + "z", "[" + long + "z]"}, // terms are cut off
		{`"learning mach"*`, "Learning machines", "[Learning machines]"},
		{`"learn"*`, "Learning", "[Learning]"},
		{"e-ma*", "e-mail", "[e-mail]"},
	} {
		x := parse(t, test.query)
		e := &event.Event{Prompt: test.text}
		got := "no"
		if x.Match(e) {
			got = test.text
			places, _ := x.Find(e, 100)
			for i := len(places) - 1; i >= 0; i-- {
				m := places[i]
				got = got[:m.Start] + "[" + got[m.Start:m.End] + "]" + got[m.End:]
			}
		}
		if got != test.want {
			t.Errorf("%s in %q = %q, want %q", test.query, test.text, got, test.want)
		}
	}
}

// Every field can be searched, by each of its names and without one.
func TestFields(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	e := &event.Event{
		Prompt: "wa", Response: "wb", SystemInstructions: "wc", Error: "wd",
		InputMessages:  raw(`[{"role":"user","content":"we\nwee"}]`),
		OutputMessages: raw(`[{"role":"assistant","content":"wf"}]`),
		Tool:           &event.Tool{Arguments: raw(`{"city":"wg"}`), Result: raw(`{"n":12}`)},
		Metadata:       map[string]json.RawMessage{"wi": raw(`"wj"`)},
	}
	for q, want := range map[string]string{
		"prompt:wa": "prompt", "response:wb": "response", "system:wc": "system", "system_instructions:wc": "system",
		"error:wd": "error", "input:we": "input", "messages:we": "input", "input_messages:wee": "input",
		"output:wf": "output", "arguments:wg": "arguments", "args:city": "arguments", "result:12": "result",
		"metadata:wi": "metadata", "meta:wj": "metadata",
	} {
		_, word, _ := strings.Cut(q, ":")
		for _, q := range []string{q, word} {
			x := parse(t, q)
			places, _ := x.Find(e, 10)
			if !x.Match(e) || len(places) != 1 || places[0].Field.String() != want {
				t.Errorf("%s: %v, %v, want %s", q, x.Match(e), places, want)
			}
		}
	}
	for _, q := range []string{`"we wf"`, `"wa wb"`, "role", "prompt:wb"} {
		if parse(t, q).Match(e) {
			t.Errorf("%s matches, though it stands in no one piece", q)
		}
	}
}

func TestPlacesAreBounded(t *testing.T) {
	e := &event.Event{Prompt: strings.Repeat("word ", 1000)}
	if got, ok := parse(t, "word").Find(e, 7); len(got) != 7 || !ok {
		t.Errorf("Find(7) = %d places", len(got))
	}
}

func TestBadQueries(t *testing.T) {
	fields := "prompt, response, system, input, output, arguments, result, error, metadata"
	for q, want := range map[string]string{
		"":                                    "at byte 0: the text is empty",
		"   ":                                 "at byte 0: the text is empty",
		"a (b":                                "at byte 2: a ( without its )",
		"a)":                                  "at byte 1: a ) without its (",
		"()":                                  "at byte 1: a ) with nothing before it",
		`a "b`:                                "at byte 2: a quote that is not closed",
		"a OR":                                "at byte 2: an OR with nothing after it; quote it to search for the word",
		"OR a":                                "at byte 3: an OR with nothing before it; quote it to search for the word",
		"a AND":                               "at byte 2: an AND with nothing after it; quote it to search for the word",
		"a AND OR b":                          "at byte 2: an AND with nothing after it; quote it to search for the word",
		"a -":                                 "at byte 2: a minus sign or NOT with nothing after it",
		"a - b":                               "at byte 2: a minus sign or NOT with nothing after it",
		"NOT":                                 "at byte 0: a minus sign or NOT with nothing after it",
		"*":                                   "at byte 0: a * with nothing before it would match everything",
		"a*b":                                 "at byte 1: a * is allowed only at the end of a word; use a /pattern/ instead",
		"a !!!":                               `at byte 2: no word in this term; substring:"…" finds other characters`,
		"http://x":                            "at byte 0: unknown field of text: use " + fields + ", or quotes to search for the characters",
		"prompt:":                             "at byte 7: prompt: with nothing after it",
		"AND refund":                          "at byte 0: AND where a word or phrase is expected; quote it to search for the word",
		"NOT OR refund":                       "at byte 4: OR where a word or phrase is expected; quote it to search for the word",
		"refund AND AND order":                "at byte 11: AND where a word or phrase is expected; quote it to search for the word",
		"prompt: a":                           "at byte 7: prompt: with nothing after it",
		"prompt:response:a":                   "at byte 7: response within prompt: no text is in two fields",
		"/a":                                  "at byte 0: a / without a closing /; quote it to search for the character",
		"/a(/":                                "at byte 0: error parsing regexp: missing closing ): `a(`",
		"/a/x":                                "at byte 3: only an i can follow a pattern",
		"/" + strings.Repeat("a", 2000) + "/": "at byte 0: a pattern of 2000 bytes; use at most 1024",
		"/((a{1000}){1000}){1000}/":           "at byte 0: error parsing regexp: invalid repeat count: `{1000}`",
		`substring:""`:                        "at byte 10: substring: with nothing to find",
		"a \xff":                              "at byte 2: the text is not UTF-8",
		strings.Repeat("(", 100):              "at byte 64: more than 64 levels of fields, parentheses and minus signs",
		strings.Repeat("-", 100):              "at byte 64: more than 64 levels of fields, parentheses and minus signs",
		strings.Repeat("a ", 300):             "at byte 512: more than 256 words, phrases and patterns",
		strings.Repeat("a", 1e6):              "at byte 16384: 1000000 bytes; use at most 16384",
		strings.Repeat("prompt:", 100) + "a":  "at byte 448: more than 64 levels of fields, parentheses and minus signs",
	} {
		_, err := search.Parse(q)
		var bad *search.Error
		if !errors.As(err, &bad) || err.Error() != want {
			t.Errorf("Parse(%.40q) = %v, want %s", q, err, want)
		}
	}
}

func TestNegative(t *testing.T) {
	for q, want := range map[string]bool{"a": false, "-a": true, "a -b": false, "a OR -b": true, "-(a b)": true, "/x*/": false, "--a": false} {
		if got := parse(t, q).Negative(); got != want {
			t.Errorf("%s: Negative = %v, want %v", q, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, q := range []string{`a "b c" -d*`, `prompt:(x OR y)`, `substring:"z" /r/i`, "東京 AND NOT é"} {
		f.Add(q, "a b c d 東京")
	}
	f.Fuzz(func(t *testing.T, q, s string) {
		x, err := search.Parse(q)
		if err != nil {
			var bad *search.Error
			if !errors.As(err, &bad) || bad.At < 0 || bad.At > len(q) {
				t.Errorf("Parse(%q): %v", q, err)
			}
			return
		}
		e := &event.Event{Prompt: s}
		matched := x.Match(e)
		end := 0
		places, _ := x.Find(e, 10)
		for _, m := range places {
			if m.Start < end || m.End <= m.Start || m.End > len(s) {
				t.Errorf("%q in %q: place %d to %d behind %d", q, s, m.Start, m.End, end)
			}
			end = m.End
		}
		// A query and its opposite never agree.
		if opposite, err := search.Parse("-(" + q + ")"); err == nil && opposite.Match(e) == matched {
			t.Errorf("%q and its opposite both say %v of %q", q, matched, s)
		}
		if both, err := search.Parse(fmt.Sprintf("(%s) OR -(%s)", q, q)); err == nil && !both.Match(e) {
			t.Errorf("neither %q nor its opposite holds for %q", q, s)
		}
	})
}

// A pattern that would take very many steps for each character is refused.
func TestStepsOfPatterns(t *testing.T) {
	for text, ok := range map[string]bool{"/[0-9]{400}/": true, "/([a-z]{30}){30}/": false, "/x{900}y/": false} {
		_, err := search.Parse(text)
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "more than 512") {
			t.Errorf("Parse(%s) = %v, want it to be possible: %v", text, err, ok)
		}
	}
}
