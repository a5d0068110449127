package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"audittrail/internal/shown"
	"audittrail/lineage"
	"audittrail/lineage/exchange"
	"audittrail/service"
)

func (e *env) lineageExportCmd() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export --format FORMAT [ID]",
		Short: "Write lineage as a document of another program",
		Long: `Export writes all registered entities, or one with everything upstream of it
and, if it is a model version, its evaluations. Fields for which the format has
no place are written as an extension, so that 'lineage import' restores them.
Entities that the format cannot express are left out, and listed on standard
error. Only PROV has retirements.
docs/format/lineage-exchange.md has the mapping of each format.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail lineage export --format cyclonedx --out bom.json model:bot@3
  audittrail lineage export --format openlineage > events.ndjson`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			id := ""
			if len(args) > 0 {
				if id = args[0]; id == "" {
					return errors.New("lineage export: the id is empty; leave it out to export everything")
				}
			}
			if err := documentName(exchange.Format(format), out); err != nil {
				return fmt.Errorf("lineage export: %w", err)
			}
			if err := e.lineageExport(exchange.Format(format), out, id); err != nil {
				return fmt.Errorf("lineage export: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "", "`format`: "+formatNames(exchange.Writable()))
	f.StringVar(&out, "out", "", "new `file` to write (default standard output)")
	must(cmd.MarkFlagRequired("format"))
	return cmd
}

// documentName refuses a file name whose ending does not fit the format.
func documentName(format exchange.Format, out string) error {
	endings := []string{"json", "jsonld"}
	if format == exchange.OpenLineage || format == exchange.InToto { // a document a line
		endings = []string{"ndjson", "jsonl", "json"}
	}
	_, err := chooseForm(out, "", "", "", []fileForm{{"", endings}})
	return err
}

func (e *env) lineageExport(format exchange.Format, out, id string) error {
	return e.readLineage(service.LineageRequest{Export: true}, func(l *service.Lineage) error {
		g := l.Graph
		var some []*lineage.Node
		if id != "" {
			n, err := g.FindOne(id)
			if err != nil {
				return err
			}
			some = []*lineage.Node{n}
		}
		nodes := exchange.Select(g, some)
		write := func(w io.Writer) error {
			left, err := exchange.Write(w, format, nodes)
			for _, n := range left {
				e.note("left out: %s", n)
			}
			return err
		}
		if out == "" {
			return write(shown.Writer(e.stdout))
		}
		return writeWhole(out, func(f *os.File) error { return write(shown.Writer(f)) })
	})
}
