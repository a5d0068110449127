package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

// A lineageDrawing has the flags of a command that draws.
type lineageDrawing struct {
	dag    bool
	format string
	out    string
}

// flags adds the flags of commands that draw.
func (d *lineageDrawing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&d.dag, "show-dag", false, "draw the graph in the terminal")
	f.StringVar(&d.format, "format", "", "draw the graph as `dot|mermaid|svg|html|json`")
	f.StringVar(&d.out, "out", "", "`file` of the drawing (default standard output)")
}

// asked reports whether the flags ask for a drawing.
func (d *lineageDrawing) asked() bool { return d.dag || d.format != "" || d.out != "" }

// drawingForms are the forms of a drawing.
var drawingForms = []fileForm{
	{string(drawing.DOT), []string{"dot", "gv"}},
	{string(drawing.Mermaid), []string{"mmd", "mermaid"}},
	{string(drawing.SVG), []string{"svg"}},
	{string(drawing.HTML), []string{"html", "htm"}},
	{string(drawing.JSON), []string{"json"}},
	{string(drawing.Text), []string{"txt"}},
}

// check reads the form out of the name of a file, and refuses what cannot be drawn, before anything is read.
func (d *lineageDrawing) check() error {
	given, flag := d.format, "--format"
	if d.dag && given == "" {
		given, flag = string(drawing.Text), "--show-dag"
	}
	chosen, err := chooseForm(d.out, flag, given, d.format, drawingForms)
	switch {
	case d.format != "" && !slices.Contains(drawing.Forms(), drawing.Form(d.format)):
	case err != nil:
		return err
	case !d.dag:
		d.format = chosen
	}
	form := drawing.Form(d.format)
	switch {
	case d.format == "" && d.out != "" && !d.dag:
		return errors.New("read --out: the name does not tell the format of the drawing: give --format or --show-dag, or end the name in .svg, .html, .dot, .mmd, .json or .txt")
	case d.format == "":
		return nil
	case d.dag && form != drawing.Text:
		return fmt.Errorf("read --format: --show-dag draws in the terminal, and %q is another format: give one of the two flags", d.format)
	case !slices.Contains(drawing.Forms(), form):
		return fmt.Errorf("read --format: invalid format %q: use one of %v", d.format, drawing.Forms())
	}
	return nil
}

// walkOf returns the directions in which to walk from an entity: both, if the
// flags name none.
func walkOf(up, down bool) lineage.Direction {
	switch {
	case up && !down:
		return lineage.Upstream
	case down && !up:
		return lineage.Downstream
	}
	return lineage.Upstream | lineage.Downstream
}

// drawPart draws the entities upstream or downstream of an entity, or both.
func (e *env) drawPart(origin string, g *lineage.Graph, n *lineage.Node, dir lineage.Direction, depth int, d lineageDrawing) error {
	part := ": "
	switch dir {
	case lineage.Upstream:
		part += "upstream of " + n.Label()
	case lineage.Downstream:
		part += "downstream of " + n.Label()
	default:
		part += n.Label()
	}
	return e.drawLineage(origin, g.Subgraph(g.Walk([]*lineage.Node{n}, dir, depth)), d, part)
}

// drawLineage draws a graph to the file of --out, or to standard output.
func (e *env) drawLineage(origin string, g *lineage.Graph, d lineageDrawing, part string) error {
	o := drawing.Options{Form: drawing.Form(d.format), Title: "Lineage of " + origin + part, Width: e.width}
	write := func(w io.Writer) error { return drawing.Draw(w, g, o) }
	if d.out == "" {
		return write(e.forTerminal(e.stdout))
	}
	return writeWhole(d.out, func(f *os.File) error { return write(f) })
}
