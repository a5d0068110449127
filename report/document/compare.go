package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Difference is one place at which two reports say different things.
type Difference struct {
	Where string `json:"where"` // "usage.calls", "usage.by_model: gpt-4, calls"
	Was   string `json:"was"`
	Is    string `json:"is"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s is %s, and the report says %s", d.Where, d.Is, d.Was)
}

// nothing stands for what only one of two reports has.
const nothing = "nothing"

type comparison struct{ found []Difference }

func (c *comparison) text(where, was, is string) {
	if was != is {
		c.found = append(c.found, Difference{where, orNothing(was), orNothing(is)})
	}
}

func orNothing(s string) string {
	if s == "" {
		return nothing
	}
	return s
}

// exact is a value that shows every difference.
func exact(v Value) string {
	switch v.Kind {
	case Absent:
		return nothing
	case Count, Text, Code:
		return v.String()
	case State:
		return v.Text
	}
	return strings.TrimSpace(v.Plain() + " " + unitOf(v))
}

func unitOf(v Value) string {
	switch v.Kind {
	case Micros:
		return "s"
	case Money:
		return v.Text
	case Bytes:
		return "B"
	}
	return ""
}

// Compare names everything in which a report computed again differs from the
// one that was handed out.
func Compare(was, is *Report) []Difference {
	var c comparison
	c.head(was, is)
	pairs(was.Sources, is.Sources, func(s *Source) string { return s.ID }, func(id string, a, b *Source) {
		var none Source
		a, b = or(a, &none), or(b, &none)
		where := "query " + id
		c.text(where, a.Kind+" "+string(a.Query), b.Kind+" "+string(b.Query))
		c.text(where+", records", fmt.Sprint(a.Records), fmt.Sprint(b.Records))
		c.text(where+", words", a.Text+a.Command, b.Text+b.Command)
	})
	pairs(was.Sections, is.Sections, func(s *Section) string { return s.ID }, func(id string, a, b *Section) {
		var none Section
		c.section(id, or(a, &none), or(b, &none))
	})
	if len(c.found) == 0 {
		// A difference that the comparisons above miss.
		a, errA := was.Encode()
		b, errB := is.Encode()
		if errA == nil && errB == nil && !bytes.Equal(a, b) {
			c.found = append(c.found, Difference{"the report", "one encoding", "another"})
		}
	}
	return c.found
}

// there is a figure that one of two reports may lack.
func there(f *Figure) string {
	if f == nil {
		return "not there"
	}
	return exact(f.Value)
}

func or[T any](p, none *T) *T {
	if p == nil {
		return none
	}
	return p
}

func (c *comparison) head(was, is *Report) {
	c.text("program", was.Program, is.Program)
	c.text("origin", was.Origin, is.Origin)
	c.text("size", fmt.Sprint(was.Size), fmt.Sprint(is.Size))
	c.text("root", was.Root, is.Root)
	c.text("status", string(was.Status), string(is.Status))
	c.text("as_of", exact(TimeOf(was.AsOf.Time)), exact(TimeOf(is.AsOf.Time)))
	c.text("start", exact(TimeOf(was.Start.Time)), exact(TimeOf(is.Start.Time)))
	c.text("end", exact(TimeOf(was.End.Time)), exact(TimeOf(is.End.Time)))
	c.text("type", was.Type, is.Type)
	c.text("model", was.Model, is.Model)
	c.text("redacted", fmt.Sprint(was.Redacted), fmt.Sprint(is.Redacted))
	c.text("pseudonyms", fmt.Sprint(was.Pseudonyms), fmt.Sprint(is.Pseudonyms))
	pairs(was.Rules, is.Rules, func(r *Rules) string { return r.ID }, func(id string, a, b *Rules) {
		c.text("rules "+id, plain(a), plain(b))
	})
	c.text("organisation", plain(was.Organisation), plain(is.Organisation))
	c.text("witness", plain(was.Witness), plain(is.Witness))
	pairs(was.Attention, is.Attention, func(a *Attention) string { return string(a.Kind) + a.Text }, func(_ string, a, b *Attention) {
		var none Attention
		a, b = or(a, &none), or(b, &none)
		c.text("attention of "+string(cmp.Or(a.Kind, b.Kind)), a.Text, b.Text)
		if a.Text == b.Text { // otherwise the one that lacks it has none
			c.text("attention, words", plain(&[]any{a.Tone, a.Section}), plain(&[]any{b.Tone, b.Section}))
		}
	})
	notice := func(n *Notice) string { return n.Text }
	pairs(was.Notices, is.Notices, notice, func(_ string, a, b *Notice) {
		var none Notice
		c.text("notice", or(a, &none).Text, or(b, &none).Text)
	})
}

// plain is anything in one line, to be compared.
func plain[T any](p *T) string {
	if p == nil {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (c *comparison) section(id string, was, is *Section) {
	c.text(id+", title", was.Title, is.Title)
	c.text(id+", introduction", was.Intro, is.Intro)
	c.text(id+", why it is not computed", was.Failed, is.Failed)
	c.text(id+", asked by", plain(&was.AskedBy), plain(&is.AskedBy))
	c.text(id+", limitations", strings.Join(was.Gaps, " "), strings.Join(is.Gaps, " "))
	pairs(was.Figures, is.Figures, func(f *Figure) string { return f.ID }, func(id string, a, b *Figure) {
		if a == nil || b == nil {
			c.text(id, there(a), there(b))
			return
		}
		c.text(id, exact(a.Value), exact(b.Value))
		c.text(id+", words", plain(&[]any{a.Label, a.Note, a.Sources, a.Value.Tone}), plain(&[]any{b.Label, b.Note, b.Sources, b.Value.Tone}))
	})
	pairs(was.Charts, is.Charts, func(c *Chart) string { return c.ID }, func(id string, a, b *Chart) {
		c.text(id, plain(a), plain(b))
	})
	pairs(was.Graphs, is.Graphs, func(g *Graph) string { return g.ID }, func(id string, a, b *Graph) {
		c.text(id, plain(a), plain(b))
	})
	pairs(was.Tables, is.Tables, func(t *Table) string { return t.ID }, func(id string, a, b *Table) {
		var none Table
		c.table(id, or(a, &none), or(b, &none))
	})
}

// table compares cell by cell, where the columns are the same and the first
// cells tell the rows apart.
func (c *comparison) table(id string, was, is *Table) {
	before := len(c.found)
	c.text(id+", rows in all", fmt.Sprint(was.Total), fmt.Sprint(is.Total))
	if slices.Equal(was.Columns, is.Columns) {
		pairs(was.Rows, is.Rows, rowName, func(name string, a, b *[]Value) {
			where := fmt.Sprintf("%s: %s", id, name)
			if a == nil || b == nil {
				c.text(where, rowText(a), rowText(b))
				return
			}
			for i, column := range was.Columns {
				c.text(where+", "+column.Name, exact((*a)[i]), exact((*b)[i]))
			}
		})
	}
	if len(c.found) == before {
		c.text(id, plain(was), plain(is))
	}
}

func rowName(row *[]Value) string {
	if len(*row) == 0 {
		return ""
	}
	return exact((*row)[0])
}

func rowText(row *[]Value) string {
	if row == nil {
		return ""
	}
	var cells []string
	for _, v := range *row {
		cells = append(cells, exact(v))
	}
	return strings.Join(cells, ", ")
}

// pairs hands over what belongs together by its name: in the order of a, and
// then what only b has. Of those that share a name, the first goes with the
// first.
func pairs[T any](a, b []T, name func(*T) string, use func(name string, a, b *T)) {
	left := make(map[string][]*T)
	for i := range b {
		left[name(&b[i])] = append(left[name(&b[i])], &b[i])
	}
	matched := make(map[*T]bool)
	for i := range a {
		n := name(&a[i])
		var other *T
		if of := left[n]; len(of) > 0 {
			other, left[n] = of[0], of[1:]
			matched[other] = true
		}
		use(n, &a[i], other)
	}
	for i := range b {
		if !matched[&b[i]] {
			use(name(&b[i]), nil, &b[i])
		}
	}
}
