package search_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"audittrail/event"
	"audittrail/internal/index/block"
	"audittrail/query/internal/search"
	"audittrail/record"
)

// TestRows asks an index which rows can match, and compares the answer with
// every row's text: it has every row that matches, and an exact answer has no
// other.
func TestRows(t *testing.T) {
	words := []string{
		"refund", "refunds", "bond", "John's", "safe", "退款", "平成", "㍻", "user_id", "crème",
		"www.example.com", "example.com", "example", "com", "user_", "max_user_id", "v1.2.3", "1.2", "O’Brien's", "__init__", "👍🏽",
		"id." + strings.Repeat("x", 70), "id." + strings.Repeat("x", 58), "id." + strings.Repeat("x", 57), strings.Repeat("y", 60) + "_id",
	}
	r := rand.New(rand.NewPCG(3, 4))
	say := func() string {
		var some []string
		for range r.IntN(5) {
			some = append(some, words[r.IntN(len(words))])
		}
		return strings.Join(some, " ")
	}
	table := block.NewTable(0)
	var events []event.Event
	for range 2000 {
		e := event.Event{Type: event.Prompt, Prompt: say(), Response: say()}
		events = append(events, e)
		rec := &record.Record{}
		rec.Event = e
		table.Add(rec, true)
	}
	exact := 0
	for _, q := range []string{
		"refund", "refund*", "-refund", "refund bond", "refund OR bond", "bond -refund", "-bond -refund", "-(bond refund)",
		`"safe bond"`, `-"safe bond"`, `"safe bond" OR refund`, `bond -"safe bond"`, "prompt:bond", "prompt:bond -response:safe",
		"退", "退款", "平成", "㍻", "user", "john", "creme", `substring:"fund"`, `refund substring:"und s"`, `-substring:"fund"`, "/re.und/",
		"prompt:re* -response:refund", "unheard", "-unheard", `"bond ref*"`,
		"example.com", "-example.com", "www.example", "www.example.com", "exam*", "www.ex*", "user_*", "user_", "-user_*", "_id", "max_us*",
		"1.2", "v1", "v1.*", "v1.2.3", "O'Brien", "brien's", "__init__", "-init", "👍", "👍🏽", `"example com"`, "退*", "退款*",
		"id." + strings.Repeat("x", 70), "id." + strings.Repeat("x", 58), "-id." + strings.Repeat("x", 58), "id." + strings.Repeat("x", 57),
		"id." + strings.Repeat("x", 60) + "*", strings.Repeat("y", 60) + "_id", strings.Repeat("y", 60) + "_*",
	} {
		x := parse(t, q)
		rows, err := x.Rows(table)
		if err != nil {
			t.Fatal(err)
		}
		if rows.Exact {
			exact++
		}
		for i := range events {
			in, want := rows.Set.Contains(uint32(i)) != rows.Outside, x.Match(&events[i])
			if want && !in || in && !want && rows.Exact {
				t.Errorf("%s: row %d, %q and %q: in the rows: %v, matches: %v, exact: %v", q, i, events[i].Prompt, events[i].Response, in, want, rows.Exact)
			}
		}
	}
	if exact < 30 {
		t.Errorf("%d answers are exact: an index that is never sure is of no use", exact)
	}
}

// FuzzRows looks for a text and a query on which index and matcher do not agree.
func FuzzRows(f *testing.F) {
	for _, q := range []string{"example.com", "max_*", `"O’Brien said"`, "-www.example.com", "__init__", "退款*", "v1.2", "1;2", "30T*", "👍🏽", `"צה״ל"`} {
		f.Add(q, "www.example.com max_tokens O'Brien's said __init__ 退款 v1.2.3 1;2 2026-11-30T12:00:00Z 👍🏽 צה\"ל")
	}
	f.Add("a."+strings.Repeat("b", 61), "a."+strings.Repeat("b", 63))
	f.Add(strings.Repeat("b", 63)+"_", strings.Repeat("b", 63)+"_x")
	f.Fuzz(func(t *testing.T, q, s string) {
		x, err := search.Parse(q)
		if err != nil {
			return
		}
		table := block.NewTable(0)
		rec := &record.Record{}
		rec.Event = event.Event{Type: event.Prompt, Prompt: s}
		table.Add(rec, true)
		rows, err := x.Rows(table)
		if err != nil {
			t.Fatal(err)
		}
		in, want := rows.Set.Contains(0) != rows.Outside, x.Match(&rec.Event)
		if want && !in || in && !want && rows.Exact {
			t.Errorf("%q in %q: in the rows: %v, matches: %v, exact: %v", q, s, in, want, rows.Exact)
		}
	})
}
