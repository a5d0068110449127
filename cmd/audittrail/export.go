package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/cmd/audittrail/internal/table"
	"audittrail/event"
	"audittrail/internal/shown"
	"audittrail/internal/vfs"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

// exportOptions are the flags of export besides those of the selection.
type exportOptions struct {
	*selection
	format   string
	out      string
	metadata bool
	limit    int
	newest   bool
}

func (e *env) exportCmd() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export the records that meet conditions",
		Long: `Export writes the records that meet all conditions, in the order of the log, to
standard output or to a file, which appears under its name only when it is
complete. It takes the conditions of query, and has only a few records in memory
at a time. JSON lines contain the events in the form that import accepts,
together with the log's metadata. CSV has a column for each field, empty if the
record lacks it. Parquet, for DuckDB, pandas and similar programs, has typed
columns, null if the record lacks the field.

` + whenHelp + exits(ends0, ends1, ends2, ends3),
		Example: `  audittrail export --start 2026-11-01 --end 2026-12-01 --out november.jsonl
  audittrail export --format csv --metadata-only -m gpt-4 > calls.csv
  audittrail export --format parquet --out calls.parquet`,
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("output") {
				return errors.New("export: read -o: not valid for files; give the form of the file with --format")
			}
			if o.format != "" && o.format != asJSONL && o.format != asCSV && o.format != asParquet {
				return fmt.Errorf("export: read --format: unknown form %q: use jsonl, csv or parquet", o.format)
			}
			forms := slices.Clone(exportForms)
			if o.format == asJSONL {
				forms[0].endings = append(slices.Clip(forms[0].endings), "json") // some programs use the ending for JSON lines, too
			}
			var err error
			if o.format, err = chooseForm(o.out, "--format", o.format, asJSONL, forms); err != nil {
				return fmt.Errorf("export: %w", err)
			}
			if o.format == asParquet && o.out == "" && e.outTerminal {
				return errors.New("export: write parquet: standard output is a terminal, which cannot show binary data; name a file with --out, or redirect the output")
			}
			if err := e.export(o); err != nil {
				return fmt.Errorf("export: %w", err)
			}
			return nil
		},
	}
	o.selection = selectionFlags(cmd)
	o.callsFlag()
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "`form` of the file: jsonl, csv or parquet (default the ending of --out, or else jsonl)")
	f.StringVar(&o.out, "out", "", "`file` to write (default standard output)")
	f.BoolVar(&o.metadata, "metadata-only", false, "export only cleartext fields: no contents, users and sessions")
	f.IntVarP(&o.limit, "limit", "n", 0, "maximum number of `records` to write (default no limit)")
	e.skip.skipFlag(cmd)
	e.left.requireFlag(cmd)
	f.BoolVar(&o.newest, "newest-first", false, "write the newest records first")
	return cmd
}

// exportForms are the forms of an export.
var exportForms = []fileForm{
	{asJSONL, []string{"jsonl", "ndjson"}}, {asCSV, []string{"csv"}}, {asParquet, []string{"parquet"}},
}

func (e *env) export(o exportOptions) error {
	q, _, err := o.read(e.now())
	if err != nil {
		return err
	}
	if o.limit < 0 {
		return fmt.Errorf("read --limit: invalid limit %d: use 1 or more, or 0 for all", o.limit)
	}
	q.OldestFirst = !o.newest
	return e.reading(func(s *service.Session) error {
		q.Limit = o.limit
		l, err := s.Export(e.ctx, service.ExportRequest{Query: q, MetadataOnly: o.metadata, SkipAltered: e.skip.wanted})
		if err != nil {
			return flagDenied(err)
		}
		e.noteUnknown(l.Unknown)
		if o.out == "" {
			return e.exportTo(e.forTerminal(e.stdout), l, q, o)
		}
		return writeWhole(o.out, func(f *os.File) error { return e.exportTo(f, l, q, o) })
	})
}

// writeWhole writes a new file that only its owner can read. The file gets its
// name only when it is complete and durable.
func writeWhole(name string, write func(*os.File) error) error {
	if err := absentFile(name); err != nil {
		return err
	}
	dir := filepath.Dir(name)
	file, err := os.CreateTemp(dir, ".audittrail-export-*")
	if err != nil {
		return notCreated(name, err)
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = giveName(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, ignoreAbsent(os.Remove(file.Name())))
	}
	return vfs.OS.SyncDir(dir)
}

// notCreated returns the error of creating the output file of a command.
func notCreated(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: the folder %s does not exist; create it first", name, filepath.Dir(name))
	}
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err // its path is a temporary name
	}
	return fmt.Errorf("write %s: %w", name, err)
}

// absentFile refuses the name of an existing file.
func absentFile(name string) error {
	_, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("write %s: the file exists already; name a new one", name)
}

// giveName gives a file its name, unless another file has got it meanwhile. A
// rename would replace that file, so the name is made by a link; on a file system
// without links, giveName only checks again whether the name exists.
func giveName(tmp, name string) error {
	if err := os.Link(tmp, name); err == nil {
		return os.Remove(tmp)
	}
	if err := absentFile(name); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e *env) exportTo(w io.Writer, l *service.Listing, q query.Query, o exportOptions) error {
	out := bufio.NewWriterSize(w, 64<<10)
	put, end := exportWriter(out, o)
	progress, finish := e.ticks("exporting", false)
	defer finish()
	written, gone := 0, 0
	for h, err := range l.All() {
		if err == nil {
			err = put(h.Record)
		}
		if err != nil {
			return err
		}
		if written++; h.State != record.Readable {
			gone++
		}
		if done := h.Seq + 1; q.OldestFirst {
			progress(done, l.Size)
		} else {
			progress(l.Size-h.Seq, l.Size)
		}
	}
	if err := errors.Join(end(), out.Flush()); err != nil {
		return err
	}
	rest, err := l.Remainder(e.ctx)
	if err != nil {
		return err
	}
	rest.Cut = false // the limit was asked for
	e.noteRemainder(&rest)
	e.note("%s written; the content of %s cannot be read here", display.Count(written, "record", "records"), display.Number(gone))
	return nil
}

// exportWriter returns a function that writes one record, and one that ends the
// file.
func exportWriter(out *bufio.Writer, o exportOptions) (put func(*record.Record) error, end func() error) {
	switch o.format {
	case asParquet:
		w := table.NewWriter(out, !o.metadata)
		return w.Write, w.Close
	case asJSONL:
		return func(r *record.Record) error {
			_, err := out.Write(append(recordJSON(r), '\n'))
			return err
		}, func() error { return nil }
	}
	w := shown.NewCSV(out)
	names := make([]string, len(exportColumns))
	for i, c := range exportColumns {
		names[i] = c.name
	}
	head := w.Write(names)
	cells := make([]string, len(names))
	return func(r *record.Record) error {
		x := newExported(r)
		for i, c := range exportColumns {
			cells[i] = c.text(x)
		}
		return errors.Join(head, w.Write(cells))
	}, func() error { return errors.Join(head, w.Flush()) }
}

// exportColumns are the columns of an export to CSV.
var exportColumns = []struct {
	name string
	text func(*exported) string
}{
	{"seq", func(r *exported) string { return strconv.FormatUint(r.Seq, 10) }},
	{"uuid", func(r *exported) string { return r.ID.String() }},
	{"hash", func(r *exported) string { return r.Hash.String() }},
	{"logged", func(r *exported) string { return string(event.AppendTime(nil, r.Logged)) }},
	{"class", func(r *exported) string { return r.Class }},
	{"subject", func(r *exported) string { return r.Subject.String() }},
	{"state", func(r *exported) string { return r.State.String() }},
	{"id", func(r *exported) string { return r.Event.ID }},
	{"type", func(r *exported) string { return string(r.Event.Type) }},
	{"time", func(r *exported) string { return string(event.AppendTime(nil, r.Event.Time)) }},
	{"model_id", func(r *exported) string { return r.Event.ModelID }},
	{"model_version", func(r *exported) string { return r.Event.ModelVersion }},
	{"provider", func(r *exported) string { return r.Event.Provider }},
	{"deployment_id", func(r *exported) string { return r.Event.DeploymentID }},
	{"user_id", func(r *exported) string { return r.Event.UserID }},
	{"session_id", func(r *exported) string { return r.Event.SessionID }},
	{"trace_id", func(r *exported) string { return r.Event.TraceID }},
	{"span_id", func(r *exported) string { return r.Event.SpanID }},
	{"parent_span_id", func(r *exported) string { return r.Event.ParentSpanID }},
	{"prompt", func(r *exported) string { return r.Event.Prompt }},
	{"response", func(r *exported) string { return r.Event.Response }},
	{"system_instructions", func(r *exported) string { return r.Event.SystemInstructions }},
	{"input_messages", func(r *exported) string { return string(r.Event.InputMessages) }},
	{"output_messages", func(r *exported) string { return string(r.Event.OutputMessages) }},
	{"tool", func(r *exported) string { return r.tool().Name }},
	{"tool_call_id", func(r *exported) string { return r.tool().CallID }},
	{"tool_arguments", func(r *exported) string { return string(r.tool().Arguments) }},
	{"tool_result", func(r *exported) string { return string(r.tool().Result) }},
	{"outcome", func(r *exported) string { return r.Event.Outcome }},
	{"finish_reason", func(r *exported) string { return r.Event.FinishReason }},
	{"error", func(r *exported) string { return r.Event.Error }},
	{"severity", func(r *exported) string { return r.Event.Severity }},
	{"category", func(r *exported) string { return r.Event.Category }},
	{"retention_class", func(r *exported) string { return r.Event.RetentionClass }},
	{"latency_ms", func(r *exported) string { return r.member("latency_ms") }},
	{"input_tokens", func(r *exported) string { return r.member("input_tokens") }},
	{"output_tokens", func(r *exported) string { return r.member("output_tokens") }},
	{"cached_tokens", func(r *exported) string { return r.member("cached_tokens") }},
	{"reasoning_tokens", func(r *exported) string { return r.member("reasoning_tokens") }},
	{"cost", func(r *exported) string { return r.member("cost") }},
	{"producer", func(r *exported) string { return r.member("producer") }},
	{"labels", func(r *exported) string { return r.member("labels") }},
	{"metadata", func(r *exported) string { return r.member("metadata") }},
	{"actor", func(r *exported) string { return r.Event.Actor }},
	{"parts", func(r *exported) string { return r.Parts.String() }},
	{"source", func(r *exported) string { return string(r.Source) }},
	{"actor_subject", func(r *exported) string { return actorText(r.Record) }},
	{"domain", func(r *exported) string { return r.Domain }},
	{"withheld", func(r *exported) string { return r.Withheld }},
	{"call", func(r *exported) string { return r.Call.String() }},
}

// An exported is a record that is being written to a file.
type exported struct {
	*record.Record
	members map[string]json.RawMessage // fields that are not texts
}

func newExported(r *record.Record) *exported {
	ev := event.Event{
		Latency: r.Event.Latency, InputTokens: r.Event.InputTokens, OutputTokens: r.Event.OutputTokens,
		CachedTokens: r.Event.CachedTokens, ReasoningTokens: r.Event.ReasoningTokens, Cost: r.Event.Cost,
		Producer: r.Event.Producer, Labels: r.Event.Labels, Metadata: r.Event.Metadata,
	}
	e := &exported{Record: r}
	must(json.Unmarshal(event.AppendJSON(nil, &ev), &e.members))
	return e
}

// member returns the JSON of a field.
func (e *exported) member(name string) string { return string(e.members[name]) }

func (e *exported) tool() event.Tool {
	if e.Event.Tool == nil {
		return event.Tool{}
	}
	return *e.Event.Tool
}
