package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/cmd/audittrail/internal/foreign"
	"audittrail/cmd/audittrail/internal/ingest"
	"audittrail/record"
)

func (e *env) importCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [FILE|-]...",
		Short: "Record events from JSON lines",
		Long:  importLong + exits(ends0, ends1+", and how many events were recorded", ends2+": nothing was recorded", refuses3),
		Example: `  audittrail import events.jsonl
  audittrail import --skip-invalid rejects.jsonl day1.jsonl day2.jsonl
  audittrail import --from litellm spend.jsonl
  my-app | audittrail import -o jsonl -`,
		GroupID: groupRecord,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"-"}
				if e.inTerminal {
					e.note("reading events from the terminal, one JSON object per line; end with Ctrl-D")
				}
			}
			o.sourceGiven = cmd.Flags().Changed("source")
			return e.importAll(args, o)
		},
	}
	cmd.Flags().StringVar(&o.source, "source", "", "`name` of the input, from which ids of its lines are generated (default the path of the file)")
	cmd.Flags().StringVar(&o.from, "from", "", "`program` that wrote the lines: "+strings.Join(foreign.Formats(), ", "))
	cmd.Flags().BoolVar(&o.noUser, "no-user", false, "with --from: accept content without a user, which no erasure of a person can reach")
	cmd.Flags().BoolVar(&o.replaceInvalid, "replace-invalid", false, "replace bytes and escapes that text cannot contain, and count them in the record")
	cmd.Flags().StringVar(&o.rejects, "skip-invalid", "", "write refused lines to this `file`, and continue")
	e.writerFlags(cmd)
	must(cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(foreign.Formats(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

const importLong = `Import records events from files, or from standard input ("-" or no file), one
JSON object per line:

  type            prompt, response, tool_call, tool_result, retrieval,
                  embedding, guardrail, evaluation, feedback, human_review,
                  decision, safety_incident, error, or x. and a name of your own
  time            RFC 3339; default: the time of recording
  model_id model_version provider deployment_id
  user_id* session_id*          the data subject, and the conversation
  actor*                        another person who acted, such as a reviewer
  trace_id span_id parent_span_id
  prompt* response* system_instructions* input_messages* output_messages*
  tool            {"name", "call_id"*, "arguments"*, "result"*}
  latency_ms input_tokens output_tokens cached_tokens reasoning_tokens
  cost            0.0123, or {"amount": 0.0123, "currency": "EUR"}
  outcome finish_reason error* severity category
  producer        {"id", "seq"}
  labels          {"key": "text"}
  metadata*       {"key": any JSON}
  retention_class
  id              an event with an id is recorded only once

Only type is required. Fields with a star are encrypted, the others are stored
in cleartext, and so must not contain personal data. Unknown fields are refused.
A value that is longer than its cleartext field is encrypted; the field has its
beginning and a short hash. Lines of a plain hash-chained logger (event_type,
timestamp, event_id, previous_hash, hash or event_hash) are accepted, too; their
ids and hashes are stored encrypted. So are lines written by export or by query
-o jsonl.

With --from, the lines are those of another program: litellm (spend log),
openai-batch (input or output file), bedrock (model invocation log), cloudtrail.
Members for which there is no field are stored as the metadata "imported".
Content without a user is refused unless --no-user is given, since no erasure of
a person could reach it.

Lines are recorded in batches of at most 1,000 lines and 1 MB, each batch as a
whole or not at all. A refused line stops the import; earlier batches are
recorded, its own batch is not. With --skip-invalid, a refused line is written
to a file instead, as {"line":N,"error":…,"input":…}, and the import continues.
An incomplete last line is left for the next import, and the lines before it are
recorded. Bytes that are not UTF-8 and halves of surrogate pairs are refused;
with --replace-invalid each is replaced by U+FFFD, control characters in strings
are escaped, and the metadata "replaced_invalid" counts the places.

An interrupted import can be run again: nothing is recorded twice. An event
without an id gets one, generated from the file's path (or --source), the line's
number and its bytes; two equal lines are two events. So do not insert or remove
lines before running the import again. imports.json in the log's folder
identifies files: a renamed file keeps its ids, and a file that took its place
(logrotate) gets ids of its own. A file that replaced an earlier one is treated
as a copy of it if both begin with the same lines, and these lines have times or
ids or are ten different ones. With --source, ids depend only on that name.
Standard input has no name: without --source, its lines without an id are new
events each time.

Lines from a pipe are committed as they arrive. With -o jsonl or csv, a receipt
is printed for every line, in order, once its record is durable; with
--skip-invalid, a refused line gets {"line":N,"error":…} instead.`

type importOptions struct {
	source      string
	sourceGiven bool
	rejects     string // file for refused lines

	from           string // program that wrote the lines
	noUser         bool
	replaceInvalid bool
}

// An input is a file of lines to import.
type input struct {
	name   string // for messages
	path   string // "-" is standard input
	source string // name from which ids of lines are generated; empty for none
	byPath bool   // source is the path
	size   int64  // bytes; 0 if unknown
	eager  bool
	info   fs.FileInfo // nil for standard input
}

// inputs checks all inputs before the first one is read.
func (o *importOptions) inputs(args []string) ([]input, error) {
	if o.sourceGiven && len(args) > 1 {
		// Equal lines at the same place of two files would get the same id.
		return nil, errors.New("import: --source is valid only with one input; import several inputs one by one")
	}
	if o.sourceGiven && o.source == "" {
		return nil, errors.New("import: --source is empty; leave the flag out, or name the input")
	}
	if o.from != "" && !slices.Contains(foreign.Formats(), o.from) {
		return nil, fmt.Errorf("import: unknown program %q in --from: use one of %s", o.from, strings.Join(foreign.Formats(), ", "))
	}
	if o.noUser && o.from == "" {
		return nil, errors.New("import: --no-user needs --from; name the program that wrote the lines with --from, or leave --no-user out")
	}
	var all []input
	for i, arg := range args {
		if slices.Contains(args[:i], arg) {
			return nil, fmt.Errorf("import: %s is given twice; give each input once", inputName(arg))
		}
		in := input{name: inputName(arg), path: arg, source: o.source, eager: true}
		if arg != "-" {
			if err := in.look(); err != nil {
				return nil, fmt.Errorf("import: %w", err)
			}
		}
		all = append(all, in)
	}
	return all, nil
}

// look finds out the kind of a file.
func (in *input) look() error {
	info, err := os.Stat(in.path)
	if err != nil {
		return err
	}
	in.info = info
	switch {
	case info.IsDir():
		return fmt.Errorf("%s is a folder; name the files in it", in.path)
	case !info.Mode().IsRegular():
		return nil // a pipe is read like standard input
	}
	in.eager, in.size = false, info.Size()
	if in.source != "" {
		return nil
	}
	path, err := filepath.Abs(in.path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("find the full path of %s: %w", in.path, err)
	}
	in.source, in.byPath = filepath.ToSlash(path), true
	return nil
}

func (e *env) importAll(args []string, o importOptions) (err error) {
	inputs, err := o.inputs(args)
	if err != nil {
		return err
	}
	e.stays = true
	im := &importer{env: e, options: o}
	if o.rejects != "" {
		if im.rejects, err = openRejects(o.rejects, inputs); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		defer func() { err = errors.Join(err, im.rejects.close()) }()
	}
	if e.getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(importMemory))
	}
	e.source = record.SourceImport
	log, err := e.openOrCreate()
	if err != nil {
		return err
	}
	im.sources = openSources(e.logDir())
	im.start(log, inputs)
	for _, in := range inputs {
		if err := im.file(in); err != nil {
			im.bar.leave()
			return errors.Join(im.stopped(in, err), e.close(log))
		}
	}
	im.bar.finish()
	err = im.summary()
	if failed := e.finishIndex(log); failed != nil {
		e.note("warning: all events are recorded and durable, but not yet in the index: %s; the next command that writes continues indexing", explain(failed))
	}
	e.closeRecorded(log)
	return err
}

// importMemory is how much memory an import takes before garbage is collected:
// records that wait to be indexed are garbage soon.
const importMemory = 220 << 20

// An importer prints receipts, errors and progress of the lines of inputs.
type importer struct {
	*env
	options  importOptions
	sources  *sources
	ingester ingest.Ingester
	rejects  *rejects // nil: a refused line stops the import
	bar      *bar
	out      *bufio.Writer
	put      func(row) error // prints a receipt; nil for no receipts

	recorded, duplicates, rejected uint64
	first, last                    uint64 // sequence numbers of the new records
}

func (im *importer) start(log *audittrail.Log, inputs []input) {
	im.ingester = ingest.Ingester{Log: log, Recorded: im.accept, Done: im.done}
	if im.rejects != nil {
		im.ingester.Refused = im.refuse
	}
	im.out = bufio.NewWriterSize(im.stdout, 64<<10)
	if im.output == asJSONL || im.output == asCSV {
		im.put, _ = im.rowWriter(im.out, []column{{name: "seq"}, {name: "id"}, {name: "hash"}})
	}
	if im.put != nil && im.outTerminal {
		im.bar = new(bar) // receipts show the progress already
		return
	}
	total := int64(0)
	for _, in := range inputs {
		if in.size == 0 {
			total = -1 // the size of a pipe is unknown
			break
		}
		total += in.size
	}
	im.bar = im.newBar("importing", total, true)
}

// file records the lines of one input.
func (im *importer) file(in input) error {
	from := im.input(in)
	if in.path == "-" {
		return im.ingester.Read(im.ctx, from)
	}
	var known sourceFile
	if in.byPath {
		var err error
		if known, err = im.source(in); err != nil {
			return err
		}
		from.Source = known.Source
		im.remember(known) // before its lines are recorded under that name
	}
	file, err := os.Open(in.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written
	from.Reader = file
	err = im.ingester.Read(im.ctx, from)
	if n := im.ingester.Lines(); in.byPath && n > known.Lines {
		known.Lines = n
		im.remember(known)
	}
	return err
}

// input returns how to read an input.
func (im *importer) input(in input) ingest.Input {
	return ingest.Input{
		Reader: im.stdin, Source: in.source, Eager: in.eager,
		From: im.options.from, NoUser: im.options.noUser, ReplaceInvalid: im.options.replaceInvalid,
	}
}

// accept counts a recorded event, and prints its receipt.
func (im *importer) accept(r audittrail.Receipt) error {
	if r.Duplicate {
		im.duplicates++
	} else {
		if im.recorded == 0 {
			im.first = r.Seq
		}
		im.last = r.Seq
		im.recorded++
	}
	if im.put == nil {
		return nil
	}
	return im.put(row{cells: []string{strconv.FormatUint(r.Seq, 10), r.ID.String(), r.Hash.String()}, value: r})
}

// refuse counts a line that is not an event, and writes it to the rejects.
func (im *importer) refuse(line int, text []byte, reason error) error {
	im.rejected++
	if err := im.rejects.add(line, reason, text); err != nil || im.put == nil {
		return err
	}
	return im.put(row{cells: []string{"", "", ""}, value: reject{Line: line, Error: reason.Error()}})
}

// done writes the output about a batch.
func (im *importer) done(bytes int64) error {
	im.bar.set(bytes)
	if im.rejects != nil {
		if err := im.rejects.out.Flush(); err != nil {
			return fmt.Errorf("write %s: %w", im.rejects.name, err)
		}
	}
	return im.out.Flush()
}

// stopped returns an error that says where an import stopped, why, and what to
// do.
func (im *importer) stopped(in input, err error) error {
	so := display.Count(im.recorded, "event was recorded", "events were recorded")
	if im.duplicates > 0 {
		so += ", " + display.Number(im.duplicates) + " had been recorded before"
	}
	again := "run the import again: nothing is recorded twice"
	if in.source == "" {
		again = "lines without an id that are sent again are recorded again"
	}
	var line *ingest.LineError
	switch {
	case errors.As(err, new(*ingest.KindError)) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch", in.name, line.Line, line.Err, so)
	case errors.Is(err, ingest.ErrNoUser) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch; %s", in.name, line.Line, line.Err, so, again)
	case errors.Is(err, ingest.ErrHalfLine) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s, including all lines before it; once the line is complete, %s", in.name, line.Line, line.Err, so, again)
	case errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch; correct the line or skip it with --skip-invalid FILE; %s",
			in.name, line.Line, line.Err, so, again)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("import %s: interrupted; %s; %s", in.name, so, again)
	}
	return fmt.Errorf("import %s: %w; %s; %s", in.name, err, so, again)
}

// summary prints the result of an import.
func (im *importer) summary() error {
	if im.put != nil {
		im.note("%s, %s, %s", display.Count(im.recorded, "event recorded", "events recorded"),
			display.Count(im.duplicates, "was recorded before", "were recorded before"), display.Count(im.rejected, "rejected", "rejected"))
		return im.out.Flush()
	}
	sum := struct {
		Recorded   uint64  `json:"recorded"`
		Duplicates uint64  `json:"duplicates"`
		Rejected   uint64  `json:"rejected"`
		First      *uint64 `json:"first"`
		Last       *uint64 `json:"last"`
	}{Recorded: im.recorded, Duplicates: im.duplicates, Rejected: im.rejected}
	fields := []field{
		{"recorded", display.Number(im.recorded)}, {"there already", display.Number(im.duplicates)}, {"rejected", display.Number(im.rejected)},
	}
	if im.recorded > 0 {
		sum.First, sum.Last = &im.first, &im.last
		fields = append(fields, field{"records", fmt.Sprintf("%d to %d", im.first, im.last)})
	}
	return im.sheet(sum, fields)
}
