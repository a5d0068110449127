package render

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"

	"audittrail/internal/shown"
	"audittrail/report/document"
)

// CSV writes every value of a report in a row of its own, with its section
// and name, its queries and the checkpoint.
func CSV(w io.Writer, r *document.Report) error {
	out := shown.NewCSV(w)
	head := []string{r.Origin, strconv.FormatUint(r.Size, 10), r.Root}
	put := func(section, item, row, column string, v document.Value, sources []string) error {
		return out.Write(append([]string{
			section, item, row, column, string(v.Kind), v.Plain(), unit(v), strings.Join(sources, " "), records(r, sources),
		}, head...))
	}
	err := out.Write([]string{"section", "item", "row", "column", "kind", "value", "unit", "queries", "records", "log", "size", "root"})
	for _, v := range topOf(r) {
		err = errors.Join(err, put("report", v.Name, "", v.Name, v.Value, nil))
	}
	for _, a := range r.Attention {
		err = errors.Join(err, put("report", "attention", a.Section, string(a.Kind), document.StateOf(a.Tone, a.Text), nil))
	}
	for i := range r.Sections {
		s := &r.Sections[i]
		if s.Failed != "" {
			err = errors.Join(err, put(s.ID, "failed", "", "not computed", document.StateOf(document.Bad, s.Failed), nil))
		}
		for _, f := range s.Figures {
			err = errors.Join(err, put(s.ID, f.ID, "", f.Label, f.Shown(), f.Sources))
		}
		for _, t := range tablesOf(s) {
			for _, row := range t.Rows {
				for c, v := range row[1:] {
					err = errors.Join(err, put(s.ID, t.ID, row[0].Plain(), t.Columns[c+1].Name, v, t.Sources))
				}
			}
		}
		for _, g := range s.Gaps {
			err = errors.Join(err, put(s.ID, "gaps", "", notEvidenced, document.TextOf(g), nil))
		}
	}
	return errors.Join(err, out.Flush())
}

// topOf returns the head of a report.
func topOf(r *document.Report) []pair {
	tone, text := bannerOf(r)
	top := []pair{{"status", document.StateOf(tone, string(r.Status))}, {"verdict", document.StateOf(tone, text)}}
	if o := r.Organisation; o != nil {
		for _, p := range []pair{{"organisation", document.TextOf(o.Name)}, {"systems", document.TextOf(o.Systems)}, {"made for", document.TextOf(o.For)}} {
			if p.Value.Kind != document.Absent {
				top = append(top, p)
			}
		}
	}
	for _, n := range r.Notices {
		top = append(top, pair{"notice", document.StateOf(n.Tone, n.Text)})
	}
	return top
}

// tablesOf is everything of a section that is a table, or can be.
func tablesOf(s *document.Section) []document.Table {
	var all []document.Table
	for i := range s.Charts {
		all = append(all, chartTable(&s.Charts[i]))
	}
	for i := range s.Graphs {
		all = append(all, graphTable(&s.Graphs[i]))
	}
	return append(all, s.Tables...)
}

// Tables returns each table of a report, and one of all figures, as a CSV file:
// its name and its bytes.
func Tables(r *document.Report) iter.Seq2[string, []byte] {
	figures := document.Table{ID: "figures", Columns: []document.Column{{Name: "figure"}, {Name: "label"}, {Name: "value"}, {Name: "unit"}, {Name: "queries"}, {Name: "records"}, {Name: "size"}, {Name: "root"}}}
	for _, v := range topOf(r) {
		figures.Rows = append(figures.Rows, []document.Value{document.TextOf("report." + v.Name), document.TextOf(v.Name), v.Value, {}, {}, {}, document.CountOf(r.Size), document.TextOf(r.Root)})
	}
	for _, a := range r.Attention {
		figures.Rows = append(figures.Rows, []document.Value{document.TextOf("report.attention"), document.TextOf(string(a.Kind)), document.StateOf(a.Tone, a.Text), {}, {}, {}, document.CountOf(r.Size), document.TextOf(r.Root)})
	}
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			figures.Rows = append(figures.Rows, []document.Value{
				document.TextOf(f.ID), document.TextOf(f.Label), f.Shown(), document.TextOf(unit(f.Value)),
				document.TextOf(strings.Join(f.Sources, " ")), document.TextOf(records(r, f.Sources)), document.CountOf(r.Size), document.TextOf(r.Root),
			})
		}
	}
	all := []document.Table{figures}
	for i := range r.Sections {
		all = append(all, tablesOf(&r.Sections[i])...)
	}
	return func(yield func(string, []byte) bool) {
		for i := range all {
			if !yield(all[i].ID+".csv", tableCSV(&all[i])) {
				return
			}
		}
	}
}

// tableCSV is a table as a CSV file. A buffer takes all that is written to it.
func tableCSV(t *document.Table) []byte {
	var b bytes.Buffer
	out := shown.NewCSV(&b)
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
		if u := unitOf(t, i); u != "" {
			names[i] += " (" + u + ")"
		}
	}
	_ = out.Write(names)
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = v.Plain()
		}
		_ = out.Write(cells)
	}
	_ = out.Flush()
	return b.Bytes()
}

// unitOf is the unit of a column, if all of it has the same.
func unitOf(t *document.Table, column int) string {
	common := ""
	for _, row := range t.Rows {
		u := unit(row[column])
		if u == "" && row[column].Kind == document.Absent {
			continue
		}
		if u == "" || common != "" && u != common {
			return ""
		}
		common = u
	}
	return common
}

// records returns the numbers of records of some queries.
func records(r *document.Report, sources []string) string {
	var n []string
	for _, s := range r.Sources {
		for _, id := range sources {
			if s.ID == id {
				n = append(n, strconv.FormatUint(s.Records, 10))
			}
		}
	}
	return strings.Join(n, " ")
}

func unit(v document.Value) string {
	switch v.Kind {
	case document.Micros:
		return "s"
	case document.Money:
		return v.Text
	case document.Bytes:
		return "B"
	}
	return ""
}
