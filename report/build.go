package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

// A asked is a query as the report shows it.
type asked struct {
	Calls      bool              `json:"calls,omitempty"`
	Types      []event.Type      `json:"type,omitempty"`
	Models     []string          `json:"model_id,omitempty"`
	Versions   []string          `json:"model_version,omitempty"`
	Deployed   []string          `json:"deployment_id,omitempty"`
	Outcomes   []string          `json:"outcome,omitempty"`
	Traces     []string          `json:"trace_id,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Filter     string            `json:"filter,omitempty"`
	Start      string            `json:"start,omitempty"`
	End        string            `json:"end,omitempty"`
	Size       uint64            `json:"size"`
	By         []string          `json:"group_by,omitempty"`
	Aggregates []string          `json:"agg,omitempty"`
	Cuts       []time.Time       `json:"cuts,omitempty"`
	Limit      int               `json:"limit,omitempty"`
}

// base is a query over the period, the model and the size of the report.
func (m *maker) base(types ...event.Type) query.Query {
	q := query.Query{Types: types, Start: m.o.Start, End: m.o.End, Size: m.o.Size}
	if m.o.Model != "" {
		q.Models = []string{m.o.Model}
	}
	return q
}

// calls is a query for the calls of models in the period.
func (m *maker) calls() query.Query {
	q := m.base()
	q.Calls = true
	return q
}

// describe is a query and its grouping as the report shows them.
func describe(q *query.Query, g query.Grouping) *asked {
	a := &asked{
		Calls: q.Calls, Types: q.Types, Models: q.Models, Versions: q.Versions, Deployed: q.Deployments, Outcomes: q.Outcomes, Traces: q.Traces, Labels: q.Labels, Filter: q.Filter,
		Size: q.Size, By: g.By, Aggregates: g.Aggregates, Cuts: g.Boundaries, Limit: q.Limit,
	}
	if !q.Start.IsZero() {
		a.Start = string(event.AppendTime(nil, q.Start))
	}
	if !q.End.IsZero() {
		a.End = string(event.AppendTime(nil, q.End))
	}
	return a
}

// source lists where figures come from, and returns its name. The same query
// again is the same source.
func (m *maker) source(kind, text string, q *query.Query, g query.Grouping, records uint64) string {
	s := document.Source{Kind: kind, Text: text, Records: records}
	if q != nil {
		a := describe(q, g)
		if b, err := json.Marshal(a); err == nil {
			s.Query = b
		}
		if len(a.Cuts) == 0 && kind != "joined" { // which no command has
			s.Command = command(kind, a)
		}
	}
	for _, have := range m.doc.Sources {
		if have.Kind == s.Kind && have.Text == s.Text && string(have.Query) == string(s.Query) && have.Records == s.Records {
			return have.ID
		}
	}
	s.ID = "q" + strconv.Itoa(len(m.doc.Sources)+1)
	m.doc.Sources = append(m.doc.Sources, s)
	return s.ID
}

// command is the command line that asks the same of the log as it is now.
func command(kind string, a *asked) string {
	parts := []string{"audittrail", "query"}
	flag := func(name, value string) { parts = append(parts, name, quote(value)) }
	if a.Calls {
		parts = append(parts, "--calls")
	}
	for _, t := range a.Types {
		flag("-t", string(t))
	}
	for _, v := range a.Models {
		flag("-m", v)
	}
	for _, v := range a.Versions {
		flag("--model-version", v)
	}
	for _, v := range a.Deployed {
		flag("--deployment", v)
	}
	for _, v := range a.Outcomes {
		flag("--outcome", v)
	}
	for _, v := range a.Traces {
		flag("--trace", v)
	}
	if a.Filter != "" {
		flag("--filter", a.Filter)
	}
	if a.Start != "" {
		flag("--start", a.Start)
	}
	if a.End != "" {
		flag("--end", a.End)
	}
	switch kind {
	case "count":
		parts = append(parts, "--count-only")
	case "find":
		flag("--limit", strconv.Itoa(a.Limit))
	case "group":
		if len(a.By) > 0 {
			flag("--group-by", strings.Join(a.By, ","))
		}
		flag("--agg", strings.Join(a.Aggregates, ","))
	}
	return strings.Join(parts, " ")
}

// quote makes a text one word of a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.,:/=@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// count counts records.
func (m *maker) count(text string, q query.Query) (uint64, string, error) {
	n := uint64(0)
	if m.o.Size > 0 {
		var err error
		if n, err = m.engine.Count(m.ctx, q); err != nil {
			return 0, "", err
		}
	}
	return n, m.source("count", text, &q, query.Grouping{}, n), nil
}

// ask adds records up. The answer to each query is kept.
func (m *maker) ask(q query.Query, g query.Grouping) (*query.Table, error) {
	key, err := json.Marshal(describe(&q, g))
	if err != nil {
		return nil, err
	}
	if t, ok := m.answers[string(key)]; ok {
		return t, nil
	}
	t, err := m.engine.Group(m.ctx, q, g)
	if err == nil {
		m.answers[string(key)] = t
	}
	return t, err
}

// A table is what a group of records came to.
type table struct {
	rows   [][]query.Value
	by     int
	source string
}

// group adds records up. The first aggregate is always the count.
func (m *maker) group(text string, q query.Query, by []string, aggregates ...string) (*table, error) {
	g := query.Grouping{By: by, Aggregates: append([]string{"count"}, aggregates...)}
	t := &table{by: len(by)}
	records := uint64(0)
	if m.o.Size > 0 {
		got, err := m.ask(q, g)
		if err != nil {
			return nil, err
		}
		t.rows = got.Rows
		for _, r := range t.rows {
			records += uint64(r[len(by)].Int())
		}
	} else if len(by) == 0 {
		row := make([]query.Value, len(g.Aggregates))
		for i, a := range g.Aggregates {
			if strings.HasPrefix(a, "count") || strings.HasPrefix(a, "distinct") || strings.HasPrefix(a, "sum") {
				row[i] = query.IntegerValue(0) // of no record, as of records that are none
			}
		}
		t.rows = [][]query.Value{row}
	}
	t.source = m.source("group", text, &q, g, records)
	return t, nil
}

// n is a whole number of a row: of the count, 0, or of the aggregate with
// that number after it.
func (t *table) n(row, aggregate int) int64 { return t.rows[row][t.by+aggregate].Int() }

// total is the sum of a column.
func (t *table) total(aggregate int) int64 {
	sum := int64(0)
	for i := range t.rows {
		sum += t.n(i, aggregate)
	}
	return sum
}

func countValue(v query.Value) document.Value {
	if v.Kind() == query.Absent {
		return document.Value{}
	}
	return document.CountOf(v.Int())
}

// bytesValue is a value of size.
func bytesValue(v query.Value) document.Value {
	if v.Kind() == query.Absent {
		return document.Value{}
	}
	return document.BytesOf(v.Int())
}

// latencyValue is a value of latency_ms.
func latencyValue(v query.Value) document.Value {
	if v.Kind() == query.Absent {
		return document.Value{}
	}
	return document.MicrosOf(int64(v.Float()*1000 + 0.5))
}

// costValue is a value of cost.
func costValue(v query.Value, currency string) document.Value {
	if v.Kind() == query.Absent {
		return document.Value{}
	}
	text := v.String()
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+(fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return document.Value{}
	}
	return document.MoneyOf(n, currency)
}

func timeValue(v query.Value) document.Value {
	if v.Kind() == query.Absent {
		return document.Value{}
	}
	return document.TimeOf(v.Time())
}

func textValue(v query.Value) document.Value { return document.TextOf(v.String()) }

// figure adds one to a section.
func figure(s *document.Section, id, label string, v document.Value, note string, sources ...string) {
	s.Figures = append(s.Figures, document.Figure{ID: s.ID + "." + id, Label: label, Value: v, Note: note, Sources: sources})
}

// maxRows is how many rows of a table a report shows.
const maxRows = 500

// columns are those of a table: names that end in + are numeric.
func columns(names ...string) []document.Column {
	all := make([]document.Column, len(names))
	for i, n := range names {
		name, numeric := strings.CutSuffix(n, "+")
		all[i] = document.Column{Name: name, Numeric: numeric}
	}
	return all
}

// add adds a table to a section, cut to what it may show.
func add(s *document.Section, id, title string, cols []document.Column, rows [][]document.Value, note string, sources ...string) {
	t := document.Table{ID: s.ID + "." + id, Title: title, Columns: cols, Rows: rows, Sources: sources, Note: note}
	if len(rows) > maxRows {
		t.Rows, t.Total = rows[:maxRows], uint64(len(rows))
	}
	s.Tables = append(s.Tables, t)
}

// mostFirst sorts rows by the number in a column, the largest first.
func mostFirst(rows [][]document.Value, column int) {
	slices.SortStableFunc(rows, func(a, b []document.Value) int { return cmp.Compare(b[column].N, a[column].N) })
}

// member reads the member of a record's sealed details, if they can be read.
func member(metadata map[string]json.RawMessage, name string, v any) bool {
	raw, ok := metadata[name]
	return ok && json.Unmarshal(raw, v) == nil
}

func recordsText(n uint64) string { return plural(int(n), "record", "records") }
