package query_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/query"
	"audittrail/record"
)

// day is the first day of the events in these tests.
var day = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC) // a Monday

func newLog(t *testing.T) *audittrail.Log {
	t.Helper()
	return logtest.Open(t, t.TempDir(), audittrail.Options{Create: true, NoIndex: true})
}

// some are a few events, the number of each of which is its sequence number.
func some() []event.Event {
	at := func(hours int) time.Time { return day.Add(time.Duration(hours) * time.Hour) }
	return []event.Event{
		{Type: event.Prompt, Time: at(0), ModelID: "a", UserID: "ada", SessionID: "s1", Prompt: "one", InputTokens: new(int64(10)), Labels: map[string]string{"team": "x"}},
		{Type: event.Response, Time: at(1), ModelID: "a", UserID: "ada", SessionID: "s1", Response: "two", OutputTokens: new(int64(7)), Latency: new(150500 * time.Microsecond), Cost: &event.Cost{Nano: 12_300_000, Currency: "USD"}},
		{Type: event.Prompt, Time: at(25), ModelID: "b", UserID: "bob", Prompt: "three", InputTokens: new(int64(30)), Labels: map[string]string{"team": "y"}},
		{Type: event.Failure, Time: at(26), ModelID: "b", Outcome: event.OutcomeError, Severity: event.SeverityHigh, Error: "four", Latency: new(2 * time.Second)},
		{Type: event.ToolCall, Time: at(24 * 8), Tool: &event.Tool{Name: "search"}, UserID: "ada", Producer: &event.Producer{ID: "app", Seq: new(uint64(3))}},
	}
}

func found(t *testing.T, e *query.Engine, q query.Query) []uint64 {
	t.Helper()
	seqs := []uint64{}
	for h, err := range e.Find(t.Context(), q) {
		if err != nil {
			t.Fatalf("Find(%+v): %v", q, err)
		}
		seqs = append(seqs, h.Seq)
	}
	return seqs
}

func TestFind(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	bob, _, err := log.Subject("bob")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		q    query.Query
		want []uint64
	}{
		{"all", query.Query{}, []uint64{4, 3, 2, 1, 0}},
		{"oldest first", query.Query{OldestFirst: true}, []uint64{0, 1, 2, 3, 4}},
		{"limit", query.Query{Limit: 2}, []uint64{4, 3}},
		{"limit, oldest first", query.Query{Limit: 2, OldestFirst: true}, []uint64{0, 1}},
		{"types", query.Query{Types: []event.Type{event.Prompt, event.Failure}}, []uint64{3, 2, 0}},
		{"model", query.Query{Models: []string{"a"}}, []uint64{1, 0}},
		{"two fields", query.Query{Models: []string{"a", "b"}, Types: []event.Type{event.Prompt}}, []uint64{2, 0}},
		{"user", query.Query{Users: []string{"ada"}}, []uint64{4, 1, 0}},
		{"unknown user", query.Query{Users: []string{"eve"}}, []uint64{}},
		{"user and an unknown one", query.Query{Users: []string{"eve", "bob"}}, []uint64{2}},
		{"subject", query.Query{Subjects: subjects(bob)}, []uint64{2}},
		{"session", query.Query{Sessions: []string{"s1"}}, []uint64{1, 0}},
		{"label", query.Query{Labels: map[string]string{"team": "y"}}, []uint64{2}},
		{"no such label", query.Query{Labels: map[string]string{"other": "y"}}, []uint64{}},
		{"time, start included and end not", query.Query{Start: day.Add(time.Hour), End: day.Add(26 * time.Hour)}, []uint64{2, 1}},
		{"from 1500", query.Query{Start: time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)}, []uint64{4, 3, 2, 1, 0}},
		{"until 1500", query.Query{End: time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)}, []uint64{}},
		{"from 9000", query.Query{Start: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}, []uint64{}},
		{"latency", query.Query{Latency: query.AtLeast(150_500)}, []uint64{3, 1}},
		{"latency up to", query.Query{Latency: query.AtMost(150_500)}, []uint64{1}},
		{"cost", query.Query{Cost: query.AtLeast(0)}, []uint64{1}},
		{"tokens", query.Query{InputTokens: query.Range{Min: new(int64(10)), Max: new(int64(29))}}, []uint64{0}},
		{"outcome", query.Query{Outcomes: []string{"error"}, Severities: []string{"high"}}, []uint64{3}},
		{"tool", query.Query{Tools: []string{"search"}, Producers: []string{"app"}}, []uint64{4}},
		{"class", query.Query{Classes: []string{"standard"}, Limit: 1}, []uint64{4}},
		{"filter", query.Query{Filter: `latency_ms > 100 && type != "error" || labels["team"] == "y"`}, []uint64{2, 1}},
		{"filter on times", query.Query{Filter: `time >= timestamp("2026-11-03T02:00:00Z") && logged != time`}, []uint64{4, 3}},
		{"filter on cost", query.Query{Filter: `cost < 0.02 && currency == "USD"`, Models: []string{"a"}}, []uint64{1}},
		{"filter on what is absent", query.Query{Filter: `!present(model_id)`}, []uint64{4}},
		{"text", query.Query{Text: "two OR three OR four"}, []uint64{3, 2, 1}},
		{"text in a field, and a model", query.Query{Text: "prompt:t*", Models: []string{"b"}}, []uint64{2}},
		{"not a text", query.Query{Text: "-one", Users: []string{"ada"}}, []uint64{4, 1}},
		{"substring", query.Query{Text: `substring:hre`}, []uint64{2}},
		{"other class", query.Query{Classes: []string{"standard/1999-01"}}, []uint64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, found(t, e, test.q)); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			test.q.Limit = 0
			n, err := e.Count(t.Context(), test.q)
			if all := found(t, e, test.q); err != nil || int(n) != len(all) {
				t.Errorf("Count = %d, %v; Find has %d", n, err, len(all))
			}
		})
	}
}

func subjects[S any](s ...S) []S { return s }

func TestBadQueries(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	cursor := ""
	for h, err := range e.Find(t.Context(), query.Query{Models: []string{"a"}}) {
		if err != nil {
			t.Fatal(err)
		}
		cursor = h.Cursor()
	}
	for want, q := range map[string]query.Query{
		"query: limit: -1 is negative; use 0 for no limit":                                                                 {Limit: -1},
		"query: end: 2026-11-02T00:00:00Z is not after the start, 2026-11-02T00:00:00Z":                                    {Start: day, End: day},
		"query: cost: the least, 2, is more than the most, 1":                                                              {Cost: query.Range{Min: new(int64(2)), Max: new(int64(1))}},
		`query: outcome: "fine" is none of success, error, partial, blocked, refused, timeout, cancelled`:                  {Outcomes: []string{"fine"}},
		`query: filter: the expression gives string, not true or false; compare it with a value`:                           {Filter: "type"},
		"query: text: at byte 4: a quote that is not closed":                                                               {Text: `one "two`},
		`query: cursor: not the cursor of a hit; give a cursor that this query returned`:                                   {Cursor: "x"},
		`query: cursor: the cursor belongs to another query; give the query that returned it, or no cursor to start again`: {Cursor: cursor},
		`query: class: some classes name a month and some do not; write all of them in one of the two forms`:               {Classes: []string{"standard", "standard/2026-11"}},
		`query: model_id: a value of 2000 bytes; use at most 1024`:                                                         {Models: []string{string(make([]byte, 2000))}},
		`query: query: 100001 values in all; use at most 100000`:                                                           {Tools: make([]string, 100_001)},
	} {
		for h, err := range e.Find(t.Context(), q) {
			var bad *query.Error
			if h != nil || err == nil || err.Error() != want || !errors.As(err, &bad) {
				t.Errorf("Find = %v, %v, want %s", h, err, want)
			}
		}
	}
}

func TestCursor(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	for _, oldest := range []bool{false, true} {
		q := query.Query{OldestFirst: oldest, Users: []string{"ada"}}
		all := found(t, e, q)
		var paged []uint64
		for range all {
			q.Limit = 1
			for h, err := range e.Find(t.Context(), q) {
				if err != nil {
					t.Fatal(err)
				}
				paged, q.Cursor = append(paged, h.Seq), h.Cursor()
			}
			if !oldest {
				logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, UserID: "ada", Prompt: "meanwhile"})
			}
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			t.Errorf("oldest first %v: pages (-want +got):\n%s", oldest, diff)
		}
	}
}

func TestCancelled(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := e.Count(ctx, query.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Count = %d, %v, want %v", n, err, context.Canceled)
	}
	for h, err := range e.Find(ctx, query.Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Find = %v, %v, want %v", h, err, context.Canceled)
		}
	}
}

// table is a Table as JSON has it.
func table(t *testing.T, e *query.Engine, q query.Query, g query.Grouping) string {
	t.Helper()
	tab, err := e.Group(t.Context(), q, g)
	if err != nil {
		return err.Error()
	}
	b, err := json.Marshal(tab.Rows)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGroup(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	list := func(s ...string) []string { return s }
	for _, test := range []struct {
		q          query.Query
		by, values []string
		zone       *time.Location
		want       string
	}{
		{values: nil, want: `[[5]]`},
		{by: list("model_id"), want: `[["a",2],["b",2],[null,1]]`},
		{by: list("user"), values: list("count", "distinct(type)"), want: `[["ada",3,3],["bob",1,1],[null,1,1]]`},
		{values: list("distinct(user)", "distinct(model_id)", "distinct(label:team)", "distinct(day)"), want: `[[2,2,2,3]]`},
		{by: list("label:team"), want: `[["x",1],["y",1],[null,3]]`},
		{by: list("day"), want: `[["2026-11-02",2],["2026-11-03",2],["2026-11-10",1]]`},
		{by: list("week"), want: `[["2026-W45",4],["2026-W46",1]]`},
		{by: list("month", "type"), want: `[["2026-11","error",1],["2026-11","prompt",2],["2026-11","response",1],["2026-11","tool_call",1]]`},
		{by: list("hour"), zone: berlin, q: query.Query{Models: list("a")}, want: `[["2026-11-02T01:00+01:00",1],["2026-11-02T02:00+01:00",1]]`},
		{
			values: list("sum(input_tokens)", "avg(input_tokens)", "min(latency_ms)", "max(latency_ms)", "sum(cost)", "avg(latency_ms)", "count(cost)", "count(tool)"),
			want:   `[[40,20,150.5,2000,0.0123,1075.25,1,1]]`,
		},
		{by: list("type"), values: list("min(time)", "p50(output_tokens)"), q: query.Query{Models: list("a")}, want: `[["prompt","2026-11-02T00:00:00Z",null],["response","2026-11-02T01:00:00Z",7]]`},
		{by: list("latency_ms"), want: `[[150.5,1],[2000,1],[null,3]]`},
		{q: query.Query{Users: list("eve")}, values: list("count", "sum(cost)"), want: `[[0,null]]`},
		{q: query.Query{Users: list("eve")}, by: list("type"), want: `[]`},

		{by: list("prompt"), want: `query: group by: unknown cleartext field "prompt"; the fields are: type, model_id, model_version, provider, deployment_id, outcome, severity, category, finish_reason, tool, producer, currency, class, retention_class, subject, session, trace_id, span_id, parent_span_id, parts, source, actor_subject, domain, withheld, call, time, logged, delay_ms, latency_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, size, producer_seq, user, label:KEY, hour, day, week or month`},
		{values: list("median(cost)"), want: `query: aggregate: "median" is none of count, sum, avg, min, max, p50, p95, p99, distinct`},
		{values: list("sum"), want: `query: aggregate: sum of which field? Write sum(input_tokens), for example`},
		{values: list("sum(cost"), want: `query: aggregate: "sum(cost" is not of the form sum(input_tokens)`},
		{values: list("sum(model_id)"), want: `query: aggregate: model_id is not a number; use count(model_id) or distinct(model_id)`},
		{values: list("p95(time)"), want: `query: aggregate: p95 of a time is not defined; use min, max, count or distinct of time`},
		{by: list("label:"), want: `query: group by: label: the key is missing; write label:KEY`},
		{by: make([]string, 9), want: `query: group by: 9 fields; use at most 8`},
	} {
		got := table(t, e, test.q, query.Grouping{By: test.by, Aggregates: test.values, Zone: test.zone})
		if got != test.want {
			t.Errorf("Group(%v, %v) = %s, want %s", test.by, test.values, got, test.want)
		}
	}
}

// Sums of different currencies mean nothing.
func TestGroupCurrencies(t *testing.T) {
	log := newLog(t)
	for _, c := range []string{"EUR", "USD", "USD"} {
		logtest.AppendBatch(t, log, event.Event{Type: event.Response, ModelID: c, Cost: &event.Cost{Nano: 5, Currency: c}})
	}
	e := query.New(log)
	sum := []string{"sum(cost)"}
	want := "query: aggregate: the costs of a row are in more than one currency; group by currency as well"
	if got := table(t, e, query.Query{}, query.Grouping{Aggregates: sum}); got != want {
		t.Errorf("one row: %s, want %s", got, want)
	}
	for _, by := range []string{"currency", "model_id"} {
		want := `[["EUR",0.000000005],["USD",0.00000001]]`
		if got := table(t, e, query.Query{}, query.Grouping{By: []string{by}, Aggregates: sum}); got != want {
			t.Errorf("by %s: %s, want %s", by, got, want)
		}
	}
}

// A day, and an hour, may begin late or come twice where clocks are changed.
func TestSpansAndChangesOfClocks(t *testing.T) {
	log := newLog(t)
	e := query.New(log)
	for _, at := range []string{
		"2018-11-03T23:30:00-03:00", "2018-11-04T01:00:00-02:00", // São Paulo has no midnight that day
		"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00", // Berlin has two such hours
		"2026-11-01T00:30:00-04:00", "2026-11-01T00:30:00-05:00", "2026-11-01T23:30:00-05:00", // Havana has two midnights
	} {
		tm, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, Time: tm})
	}
	for _, test := range []struct{ zone, by, start, end, want string }{
		{"America/Sao_Paulo", "day", "2018-11-01", "2018-11-06", `[["2018-11-03",1],["2018-11-04",1]]`},
		{"America/Sao_Paulo", "hour", "2018-11-01", "2018-11-06", `[["2018-11-03T23:00-03:00",1],["2018-11-04T01:00-02:00",1]]`},
		{"Europe/Berlin", "hour", "2026-10-24", "2026-10-27", `[["2026-10-25T02:00+02:00",1],["2026-10-25T02:00+01:00",1],["2026-10-25T03:00+01:00",1]]`},
		{"Europe/Berlin", "day", "2026-10-24", "2026-10-27", `[["2026-10-25",3]]`},
		{"America/Havana", "day", "2026-10-30", "2026-11-03", `[["2026-11-01",3]]`},
		{"America/Havana", "hour", "2026-10-30", "2026-11-03", `[["2026-11-01T00:00-04:00",1],["2026-11-01T00:00-05:00",1],["2026-11-01T23:00-05:00",1]]`},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		date := func(s string) time.Time {
			tm, err := time.Parse("2006-01-02", s)
			if err != nil {
				t.Fatal(err)
			}
			return tm
		}
		got := table(t, e, query.Query{Start: date(test.start), End: date(test.end)}, query.Grouping{By: []string{test.by}, Zone: zone})
		if got != test.want {
			t.Errorf("%s in %s = %s, want %s", test.by, test.zone, got, test.want)
		}
	}
}

// TestSize asks a log as it was when it was smaller.
func TestSize(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	for size, want := range map[uint64][]uint64{0: {4, 3, 2, 1, 0}, 3: {2, 1, 0}, 9: {4, 3, 2, 1, 0}} {
		q := query.Query{Size: size}
		if diff := cmp.Diff(want, found(t, e, q)); diff != "" {
			t.Errorf("Find at size %d differs (-want +got):\n%s", size, diff)
		}
		if n, err := e.Count(t.Context(), q); err != nil || n != uint64(len(want)) {
			t.Errorf("Count at size %d = %d, %v, want %d", size, n, err, len(want))
		}
		table, err := e.Group(t.Context(), q, query.Grouping{})
		if err != nil || table.Rows[0][0].Int() != int64(len(want)) {
			t.Errorf("Group at size %d = %v, %v, want %d", size, table, err, len(want))
		}
	}
}

func TestMatches(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, event.Event{Type: event.ToolCall, Prompt: "Refund, please", Tool: &event.Tool{Name: "pay", Arguments: json.RawMessage(`{"why":"a refund"}`)}})
	e := query.New(log)
	for h, err := range e.Find(t.Context(), query.Query{Text: "refund"}) {
		if err != nil {
			t.Fatal(err)
		}
		want := []query.Match{{Field: "prompt", Text: "Refund, please", End: 6}, {Field: "arguments", Text: "a refund", Start: 2, End: 8}}
		if diff := cmp.Diff(want, h.Matches); diff != "" {
			t.Errorf("matches (-want +got):\n%s", diff)
		}
	}
}

// An erased record keeps its structure, is counted as before, and has no text.
func TestErased(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	ada, _, err := log.Subject("ada")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ada"}, Reason: "asked", Basis: "GDPR art. 17"}); err != nil {
		t.Fatal(err)
	}
	e := query.New(log)
	for _, test := range []struct {
		q    query.Query
		want []uint64
	}{
		{query.Query{Models: []string{"a"}}, []uint64{1, 0}},
		{query.Query{Users: []string{"ada"}}, []uint64{}},
		{query.Query{Subjects: subjects(ada)}, []uint64{4, 1, 0}},
		{query.Query{Text: "one"}, []uint64{}},
		{query.Query{Text: "-nothing", Types: event.Types()}, []uint64{3, 2}},
	} {
		if diff := cmp.Diff(test.want, found(t, e, test.q)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.q, diff)
		}
	}
	for _, test := range []struct {
		q    query.Query
		want uint64
	}{
		{query.Query{Text: "one"}, 3},
		{query.Query{Text: "one", Limit: 1, Models: []string{"a"}}, 2},
		{query.Query{Text: "one", Models: []string{"none"}}, 0},
		{query.Query{Models: []string{"a"}}, 0}, // nothing was to be searched
	} {
		if n, err := e.CountUnsearched(t.Context(), test.q); n != test.want || err != nil {
			t.Errorf("Unsearched(%+v) = %d, %v, want %d", test.q, n, err, test.want)
		}
	}
	got := table(t, e, query.Query{Types: event.Types()}, query.Grouping{By: []string{"user"}, Aggregates: []string{"count", "sum(input_tokens)"}})
	rows := []string{`["bob",1,30]`, `["` + ada.String() + `",3,10]`}
	if ada.String() < "bob" {
		rows[0], rows[1] = rows[1], rows[0]
	}
	if want := "[" + rows[0] + "," + rows[1] + ",[null,1,null]]"; got != want {
		t.Errorf("by user: %s, want %s", got, want)
	}
}

// Content that is hidden has no text, not even for a count.
func TestHiding(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	bob, _, err := log.Subject("bob")
	if err != nil {
		t.Fatal(err)
	}
	e := query.New(log).WithRestrictions(func(s record.Subject) bool { return s == bob })
	for text, want := range map[string][]uint64{"three OR four": {3}, "-one": {4, 3, 1}} {
		got := found(t, e, query.Query{Text: text})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if n, err := e.Count(t.Context(), query.Query{Text: text}); err != nil || int(n) != len(want) {
			t.Errorf("Count(%s) = %d, %v, want %d", text, n, err, len(want))
		}
	}
	if got := found(t, e, query.Query{Users: []string{"bob"}}); len(got) != 1 {
		t.Errorf("found %v, want the record's structure", got)
	}
	if n, err := e.CountUnsearched(t.Context(), query.Query{Text: "three"}); n != 1 || err != nil {
		t.Errorf("Unsearched = %d, %v, want the one that is hidden", n, err)
	}
}

// TestTextWithoutKeys has words searched where no content can be read, which is
// an error, and no answer.
func TestTextWithoutKeys(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.AppendBatch(t, log, some()...)
	logtest.Close(t, log)
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true, KeysDir: t.TempDir()})
	e := query.New(reader)
	if got := found(t, e, query.Query{Models: []string{"a"}}); len(got) != 2 {
		t.Errorf("found %v by model, want two", got)
	}
	for _, text := range []string{"one", "-one"} {
		for _, err := range e.Find(t.Context(), query.Query{Text: text}) {
			if !errors.Is(err, audittrail.ErrNoKeys) {
				t.Errorf("Find(%s): %v", text, err)
			}
		}
		if n, err := e.Count(t.Context(), query.Query{Text: text}); !errors.Is(err, audittrail.ErrNoKeys) {
			t.Errorf("Count(%s) = %d, %v", text, n, err)
		}
		if _, err := e.Group(t.Context(), query.Query{Text: text}, query.Grouping{Aggregates: []string{"count"}}); !errors.Is(err, audittrail.ErrNoKeys) {
			t.Errorf("Group(%s): %v", text, err)
		}
		if n, err := e.CountUnsearched(t.Context(), query.Query{Text: text}); !errors.Is(err, audittrail.ErrNoKeys) {
			t.Errorf("Unsearched(%s) = %d, %v", text, n, err)
		}
	}
}

// Followed are the records that match, also of people who come later.
func TestFollow(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	var got []uint64
	for h, err := range e.Follow(t.Context(), query.Query{Users: []string{"ada", "eve"}, From: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Seq)
		if h.Seq == 4 {
			logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, UserID: "zoe"}, event.Event{Type: event.Prompt, UserID: "eve"})
		}
		if h.Seq == 6 {
			break
		}
	}
	if diff := cmp.Diff([]uint64{1, 4, 6}, got); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	if got := found(t, e, query.Query{From: 5}); !cmp.Equal(got, []uint64{6, 5}) {
		t.Errorf("from 5: %v", got)
	}
	if n, err := e.Count(t.Context(), query.Query{From: 5}); n != 2 || err != nil {
		t.Errorf("Count from 5 = %d, %v", n, err)
	}
}

// TestFollowCalls holds that calls are refused where a record that is not there
// yet may tell which of them counts one.
func TestFollowCalls(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, ModelID: "m", Prompt: "q", Response: "a"})
	for h, err := range query.New(log).Follow(t.Context(), query.Query{Calls: true}) {
		if err == nil || !strings.Contains(err.Error(), "calls cannot be followed") {
			t.Fatalf("got %v, %v, want an error that calls cannot be followed", h, err)
		}
	}
}

// TestFollowText has runs of parts inside words in what is recorded meanwhile.
func TestFollowText(t *testing.T) {
	log := newLog(t)
	say := func(s string) event.Event { return event.Event{Type: event.Prompt, Prompt: s} }
	logtest.AppendBatch(t, log, say("see www.example.com"), say("example, com"))
	var got []string
	for h, err := range query.New(log).Follow(t.Context(), query.Query{Text: "example.com OR O'Brien"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Event.Prompt)
		if len(got) == 1 {
			logtest.AppendBatch(t, log, say("O’Briens"), say("O’Brien’s"))
		}
		if len(got) == 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"see www.example.com", "O’Brien’s"}, got); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
}
