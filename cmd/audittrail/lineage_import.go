package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

// autoFormat takes the format from the document itself.
const autoFormat = "auto"

func (e *env) lineageImportCmd() *cobra.Command {
	var format string
	var dry bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Register the entities in a document of another program",
		Long: `Import reads a document and registers the datasets, training runs, model
versions and other entities in it: all of them or, after an error, none. Members
for which there is no field are kept as attributes. Importing the same document
again has no effect. The output lists each entity with its record and what was
kept as attributes; docs/format/lineage-exchange.md has the mapping of each
format. FILE may be - for standard input; at most 32 MiB are read.` + exits(ends0, failsToRegister, ends2, ends4),
		Example: `  audittrail lineage import bom.json --dry-run
  audittrail lineage import events.ndjson --format openlineage -o json`,
		Args: takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := e.lineageImport(args[0], format, dry); err != nil {
				return fmt.Errorf("lineage import: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", autoFormat, "`format` of the document: "+autoFormat+", "+formatNames(exchange.Readable()))
	f.BoolVar(&dry, "dry-run", false, "list what would be registered, and register nothing")
	e.writerFlags(cmd)
	return cmd
}

func formatNames(formats []exchange.Format) string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

func (e *env) lineageImport(name, format string, dry bool) error {
	data, err := e.readInput(name, exchange.MaxBytes)
	if err != nil {
		return err
	}
	of := exchange.Format(format)
	if format == autoFormat {
		if of, err = exchange.Detect(data); err != nil {
			return fmt.Errorf("%s: %w; 'audittrail lineage import --help' says what can be imported", inputName(name), err)
		}
	}
	use := func(t *lineage.Tracker) error {
		g, err := t.Graph(e.ctx)
		if err != nil {
			return err
		}
		doc, err := exchange.Read(of, data, g)
		if err != nil {
			return err
		}
		register := t.RegisterAll
		if dry {
			register = t.CheckAll
		}
		done, err := register(e.ctx, doc.Entities())
		if err != nil {
			var of *lineage.EntityError
			if errors.As(err, &of) && doc.Place(of.ID) != "" {
				err = fmt.Errorf("%s: %w", doc.Place(of.ID), err)
			}
			return err
		}
		for _, n := range doc.Notes {
			e.note("%s", n)
		}
		return e.imported(doc, done, dry)
	}
	if !dry {
		return e.lineageWriting(e.openOrCreate, use)
	}
	return e.with(e.openToRead, func(log *audittrail.Log) error {
		t, err := lineage.Open(e.ctx, log)
		if err != nil {
			return err
		}
		return use(t)
	})
}

// An importedThing is one entity in the JSON output of import.
type importedThing struct {
	Kind lineage.Kind `json:"kind"`
	ID   string       `json:"id"`
	New  bool         `json:"new"`
	Seq  *uint64      `json:"seq"` // absent with --dry-run, unless the entity was registered before
	Kept []string     `json:"kept"`
	At   string       `json:"at"` // its place in the document
}

// imported prints what was registered.
func (e *env) imported(doc *exchange.Document, done []lineage.Registered, dry bool) error {
	fresh := 0
	columns := []column{
		{name: "kind", width: 10},
		{name: "id", width: 30},
		{name: "record", width: 10, right: true},
		{name: "kept as attributes", width: 22, wrap: true},
	}
	err := e.list(columns, func(yield func(row, error) bool) {
		for i, item := range doc.Items {
			t := importedThing{item.Entity.Kind(), done[i].ID, !done[i].Duplicate, &done[i].Seq, item.Kept, item.Place}
			record := strconv.FormatUint(done[i].Seq, 10)
			if t.New {
				fresh++
				if dry {
					t.Seq, record = nil, "new"
				}
			}
			if t.Kept == nil {
				t.Kept = []string{}
			}
			if !yield(row{[]string{string(t.Kind), t.ID, record, strings.Join(t.Kept, ", ")}, t}, nil) {
				return
			}
		}
	})
	verb := "registered"
	if dry {
		verb = "would register"
	}
	known := ""
	if n := len(doc.Items) - fresh; n > 0 {
		known = "; " + display.Count(n, "was", "were") + " registered before"
	}
	e.note("%s %s of %s%s", verb, display.Count(fresh, "entity", "entities"), doc.Format, known)
	return err
}
