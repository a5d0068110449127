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
					e.note("reading events from the terminal, one JSON object a line; end with Ctrl-D")
				}
			}
			o.sourceGiven = cmd.Flags().Changed("source")
			return e.importAll(args, o)
		},
	}
	cmd.Flags().StringVar(&o.source, "source", "", "`name` of the input by which its lines are known again (default the path of the file)")
	cmd.Flags().StringVar(&o.from, "from", "", "`program` that wrote the lines: "+strings.Join(foreign.Formats(), ", "))
	cmd.Flags().BoolVar(&o.noUser, "no-user", false, "with --from: take content that names no user, which no erasure of a person will reach")
	cmd.Flags().BoolVar(&o.replaceInvalid, "replace-invalid", false, "replace bytes and escapes that no text can contain, and say so in the record")
	cmd.Flags().StringVar(&o.rejects, "skip-invalid", "", "write lines that are refused to this `file`, and go on")
	e.writerFlags(cmd)
	must(cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(foreign.Formats(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

const importLong = `Import records events from files, or from standard input ("-" or no file), one
JSON object a line:

  type            prompt, response, tool_call, tool_result, retrieval,
                  embedding, guardrail, evaluation, feedback, human_review,
                  decision, safety_incident, error, or x. and a name of your own
  time            RFC 3339; absent: when the log takes it
  model_id model_version provider deployment_id
  user_id* session_id*          whom it is about, and in which conversation
  actor*                        who acted, if somebody else: the reviewer
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
  id              makes the event one of a kind: recorded once

Only type is required. Fields with a star are encrypted, the others are stored
in cleartext, and so must not hold personal data. Unknown fields are refused. A
value that is longer than its cleartext field is encrypted whole; the field has
its beginning and a short hash. Lines of a plain hash-chained logger
(event_type, timestamp, event_id, previous_hash, hash or event_hash) are taken
too; their ids and hashes are kept, encrypted. So are lines that export or query
-o jsonl wrote.

With --from, the lines are those of another program: litellm (spend log),
openai-batch (input or output file), bedrock (model invocation log), cloudtrail.
What no field is for is kept as the metadata "imported". Content that names no
user is refused without --no-user, since no erasure of a person would reach it.

Lines are recorded in batches of at most 1,000 lines and 1 MB, each of them
whole or not at all. A line that is refused stops the import; the batch that it
is in is not recorded, those before it are. With --skip-invalid it goes into a
file instead, {"line":N,"error":…,"input":…}, and the import goes on. A last
line that is half written is left for the next import, and does not hold up the
lines before it. Bytes that are not UTF-8 and halves of surrogate pairs are
refused; with --replace-invalid each becomes U+FFFD, control characters in
strings are escaped, and the metadata "replaced_invalid" says in how many
places.

An import that was interrupted can be run again: nothing is recorded twice. An
event without an id gets one, made of the file's path (or --source), the line's
number and its bytes; two equal lines are two events. So do not insert or remove
lines before running it again. A file that was renamed is known again, and one
that was put in its place (logrotate) is another one, whose lines are its own;
imports.json in the log's folder remembers which is which. A copy of a file in
the place of an earlier one is taken for it if it begins with the same lines,
and these have times or ids or are ten different ones. With --source nothing of
this counts: the name is the input's for all time. Standard input has no name:
there, lines without an id are new events each time, unless --source gives it
one.

On a pipe, what arrives is committed at once. With -o jsonl or csv, a receipt is
printed for every line, in order, when its record is durable; with
--skip-invalid, a line that was refused gets {"line":N,"error":…} instead.`

type importOptions struct {
	source      string
	sourceGiven bool
	rejects     string // file for lines that are refused

	from           string // program whose lines these are
	noUser         bool
	replaceInvalid bool
}

// An input is a file of lines to import.
type input struct {
	name   string // for messages
	path   string // "-" is standard input
	source string // by which its lines are known again; empty if they are not
	byPath bool   // source is its path
	size   int64  // bytes; 0 if it cannot be known
	eager  bool
	info   fs.FileInfo // nil for standard input
}

// inputs looks at all inputs before the first one is read.
func (o *importOptions) inputs(args []string) ([]input, error) {
	if o.sourceGiven && len(args) > 1 {
		// Equal lines at the same place of two files would be taken for one.
		return nil, errors.New("import: --source names one input; import the others one by one")
	}
	if o.sourceGiven && o.source == "" {
		return nil, errors.New("import: --source is empty; leave it out, or name the input")
	}
	if o.from != "" && !slices.Contains(foreign.Formats(), o.from) {
		return nil, fmt.Errorf("import: --from %q is unknown; there are %s", o.from, strings.Join(foreign.Formats(), ", "))
	}
	if o.noUser && o.from == "" {
		return nil, errors.New("import: --no-user is for lines of other programs; name theirs with --from")
	}
	var all []input
	for i, arg := range args {
		if slices.Contains(args[:i], arg) {
			return nil, fmt.Errorf("import: %s is named twice", inputName(arg))
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

// look finds out what kind of file it is.
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
		return nil // a pipe: read as standard input is
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
		e.note("warning: all is recorded and durable, but not in the index: %s; the next command that writes goes on with that", explain(failed))
	}
	e.closeRecorded(log)
	return err
}

// importMemory is how much memory an import takes before what is no longer
// needed is looked for: what waits to be indexed comes and goes quickly.
const importMemory = 220 << 20

// An importer tells what becomes of the lines of inputs.
type importer struct {
	*env
	options  importOptions
	sources  *sources
	ingester ingest.Ingester
	rejects  *rejects // nil: a line that is refused stops the import
	bar      *bar
	out      *bufio.Writer
	put      func(row) error // prints a receipt; nil if none are wanted

	recorded, duplicates, rejected uint64
	first, last                    uint64 // sequence numbers of what was recorded
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
		im.bar = new(bar) // receipts show how it goes
		return
	}
	total := int64(0)
	for _, in := range inputs {
		if in.size == 0 {
			total = -1 // of a pipe nobody knows it
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

// input tells how an input is to be read.
func (im *importer) input(in input) ingest.Input {
	return ingest.Input{
		Reader: im.stdin, Source: in.source, Eager: in.eager,
		From: im.options.from, NoUser: im.options.noUser, ReplaceInvalid: im.options.replaceInvalid,
	}
}

// accept counts an event that was recorded, and prints its receipt.
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

// refuse counts a line that is no event, and writes it where rejects go.
func (im *importer) refuse(line int, text []byte, reason error) error {
	im.rejected++
	if err := im.rejects.add(line, reason, text); err != nil || im.put == nil {
		return err
	}
	return im.put(row{cells: []string{"", "", ""}, value: reject{Line: line, Error: reason.Error()}})
}

// done hands out what was printed about a batch.
func (im *importer) done(bytes int64) error {
	im.bar.set(bytes)
	if im.rejects != nil {
		if err := im.rejects.out.Flush(); err != nil {
			return fmt.Errorf("write %s: %w", im.rejects.name, err)
		}
	}
	return im.out.Flush()
}

// stopped says where an import stopped, why, and what to do.
func (im *importer) stopped(in input, err error) error {
	so := display.Count(im.recorded, "event was recorded", "events were recorded")
	if im.duplicates > 0 {
		so += ", " + display.Number(im.duplicates) + " had been before"
	}
	again := "run it again, and nothing is recorded twice"
	if in.source == "" {
		again = "what has no id and is sent again, is recorded again"
	}
	var line *ingest.LineError
	switch {
	case errors.As(err, new(*ingest.KindError)) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch", in.name, line.Line, line.Err, so)
	case errors.Is(err, ingest.ErrNoUser) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch; %s", in.name, line.Line, line.Err, so, again)
	case errors.Is(err, ingest.ErrHalfLine) && errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s, all of the lines before it are; when it is whole, %s", in.name, line.Line, line.Err, so, again)
	case errors.As(err, &line):
		return fmt.Errorf("import %s:%d: %w; %s before its batch; correct the line or pass over it with --skip-invalid FILE; %s",
			in.name, line.Line, line.Err, so, again)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("import %s: interrupted; %s; %s", in.name, so, again)
	}
	return fmt.Errorf("import %s: %w; %s; %s", in.name, err, so, again)
}

// summary says how an import went.
func (im *importer) summary() error {
	if im.put != nil {
		im.note("%s, %s, %s", display.Count(im.recorded, "event recorded", "events recorded"),
			display.Count(im.duplicates, "was there already", "were there already"), display.Count(im.rejected, "rejected", "rejected"))
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
