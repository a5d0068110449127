package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
)

// The forms of -o.
const (
	asTable = "table"
	asJSON  = "json"
	asJSONL = "jsonl"
	asCSV   = "csv"

	asParquet = "parquet" // of exports
)

// checkOutput refuses an unknown form.
func (e *env) checkOutput() error {
	switch e.output {
	case asTable, asJSON, asJSONL, asCSV:
		return nil
	}
	return fmt.Errorf("read -o: unknown form %q: use %s, %s, %s or %s", e.output, asTable, asJSON, asJSONL, asCSV)
}

// A column describes a column of a list. In a table, text that is longer than
// width is cut off. The last column takes the rest of the terminal's width.
type column struct {
	name  string
	width int
	right bool // aligned to the right, like numbers
	wrap  bool // long text continues on further lines; only for the last column
	marks bool // cells can contain marks of matches
}

// A row is one item of a list: a cell for each column, and the item's value in
// JSON.
type row struct {
	cells []string
	value any
}

// list prints rows as they are yielded, in the form of -o.
func (e *env) list(columns []column, rows iter.Seq2[row, error]) error {
	out := bufio.NewWriter(e.stdout)
	err := e.writeList(out, columns, rows)
	return errors.Join(err, out.Flush())
}

func (e *env) writeList(out *bufio.Writer, columns []column, rows iter.Seq2[row, error]) error {
	put, end := e.rowWriter(out, columns)
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := put(r); err != nil {
			return err
		}
	}
	return end()
}

// rowWriter returns a function that prints one row, and one that ends the list.
func (e *env) rowWriter(out *bufio.Writer, columns []column) (put func(row) error, end func() error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	end = func() error { return nil }
	switch e.output {
	case asJSON:
		sep := "["
		put = func(r row) error {
			if _, err := out.WriteString(sep); err != nil {
				return err
			}
			sep = ","
			return display.JSON(out, r.value)
		}
		end = func() error {
			if sep == "[" {
				_, err := out.WriteString("[]\n")
				return err
			}
			_, err := out.WriteString("]\n")
			return err
		}
	case asJSONL:
		put = func(r row) error { return display.JSON(out, r.value) }
	case asCSV:
		w := shown.NewCSV(e.forTerminal(out))
		rest := w.Write(names)
		put = func(r row) error {
			for i, c := range columns {
				if c.marks {
					r.cells[i] = unmarked.Replace(r.cells[i])
				}
			}
			err := errors.Join(rest, w.Write(r.cells))
			rest = nil
			return errors.Join(err, w.Flush())
		}
		end = func() error { return errors.Join(rest, w.Flush()) }
	default:
		head := e.tableLine(columns, names)
		put = func(r row) error {
			_, err := out.WriteString(head + e.tableLine(columns, r.cells))
			head = ""
			return err
		}
	}
	return put, end
}

// tableLine lays out one line of a table.
func (e *env) tableLine(columns []column, cells []string) string {
	var b strings.Builder
	at := 0
	for i, c := range columns {
		cell := display.OneLine(cells[i])
		last := i == len(columns)-1
		width := c.width
		if last && e.width > at {
			width = e.width - at
		}
		switch {
		case last && e.width > 0 && c.wrap:
			cell = strings.Join(display.Wrap(cell, max(width, c.width)), "\n"+strings.Repeat(" ", at))
		case !last || e.width > 0:
			cell = display.Fit(cell, width)
		}
		pad := strings.Repeat(" ", max(0, c.width-display.Columns(cell)))
		if c.marks {
			cell = e.marked(cell)
		}
		switch {
		case c.right:
			b.WriteString(pad + cell)
		case last:
			b.WriteString(cell)
		default:
			b.WriteString(cell + pad)
		}
		if !last {
			b.WriteString("  ")
		}
		at += c.width + 2
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// A field is one line of a sheet.
type field struct{ name, value string }

// sheet prints one item: its fields as a table or in CSV, its value in JSON.
func (e *env) sheet(value any, fields []field) error {
	out := bufio.NewWriter(e.stdout)
	err := e.writeSheet(out, value, fields)
	return errors.Join(err, out.Flush())
}

func (e *env) writeSheet(out io.Writer, value any, fields []field) error {
	switch e.output {
	case asJSON, asJSONL:
		return display.JSON(out, value)
	case asCSV:
		var names, values []string
		for _, f := range fields {
			names, values = append(names, f.name), append(values, f.value)
		}
		w := shown.NewCSV(e.forTerminal(out))
		return errors.Join(w.Write(names), w.Write(values), w.Flush())
	}
	width := 0
	for i := range fields {
		fields[i].name = display.OneLine(fields[i].name)
		width = max(width, display.Columns(fields[i].name))
	}
	for _, f := range fields {
		text := strings.ReplaceAll(display.Visible(f.value), "\n", "\n"+strings.Repeat(" ", width+2))
		if _, err := fmt.Fprintf(out, "%-*s  %s\n", width, f.name, text); err != nil {
			return err
		}
	}
	return nil
}

// forTerminal returns a writer to out, which is standard output, for content
// that is meant for files. It changes bytes only for a terminal, which would
// obey control characters.
func (e *env) forTerminal(out io.Writer) io.Writer {
	if !e.outTerminal {
		return out
	}
	return shown.Writer(out)
}

// The tones of words on a terminal.
const (
	good = shown.Green
	wary = shown.Yellow
	bad  = shown.Red
	dim  = shown.Faint

	found = shown.Found
)

// paint gives text a tone, if the terminal and the user allow colours.
func (e *env) paint(c shown.Colour, text string) string {
	if !e.colours() {
		return text
	}
	return shown.Paint(c, text)
}
