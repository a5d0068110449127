package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/cmd/audittrail/internal/ingest"
	"audittrail/event"
	"audittrail/internal/filekind"
)

func (e *env) logCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Record one event",
		Long: `Log records one event and prints its receipt once it is durable. If there is no
log, it creates one.

The event can also be read from a JSON file, or from standard input with
--file -, which keeps its content off the command line, where other users of the
machine can see it. Flags then add fields to the event, or override them.

Content, user and session are encrypted. The other fields are stored in
cleartext, and so must not contain personal data: "audittrail help import" lists
all fields.` +
			exits(ends0, ends1, ends2+": nothing was recorded", refuses3),
		Example: `  audittrail log -t prompt -m gpt-4 -u user-001 -p "What is a bond?"
  audittrail log -t response -m gpt-4 --latency-ms 150.5 -r "A loan."
  audittrail log -t tool_call --tool search --tool-args '{"q":"bond"}'
  my-app | audittrail log --file - -o json`,
		Args:    takes(),
		GroupID: groupRecord,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ev, err := e.eventFrom(cmd.Flags())
			if err != nil {
				return fmt.Errorf("log: %w", err)
			}
			return e.log(ev)
		},
	}
	eventFlags(cmd.Flags())
	e.writerFlags(cmd)
	for name, values := range map[string][]string{
		"type": typeNames(), "outcome": event.Outcomes(), "severity": event.Severities(),
	} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	return cmd
}

func typeNames() []string {
	var names []string
	for _, t := range event.Types() {
		names = append(names, string(t))
	}
	return names
}

// log records an event and prints its receipt.
func (e *env) log(ev event.Event) error {
	event.Fit(&ev)
	// Checked before a log is created for the event.
	if err := event.Validate(&ev); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	log, err := e.openOrCreate()
	if err != nil {
		return err
	}
	receipt, err := log.Append(e.ctx, ev)
	if err != nil {
		return errors.Join(err, e.close(log))
	}
	if receipt.Duplicate {
		e.note("the same event was recorded before; this is its first receipt")
	}
	err = e.sheet(receipt, []field{
		{"seq", strconv.FormatUint(receipt.Seq, 10)}, {"id", receipt.ID.String()}, {"hash", receipt.Hash.String()},
	})
	e.closeRecorded(log)
	if err != nil {
		// With another status than success, a script would record the event again.
		e.note("warning: the event is recorded and durable, as record %d, id %s, hash %s, but this receipt was not written: %s",
			receipt.Seq, receipt.ID, receipt.Hash, explain(err))
	}
	return nil
}

// A textFlag sets a field of an event to the flag's text.
type textFlag struct {
	name, short, usage string
	field              func(*event.Event) *string
}

var textFlags = []textFlag{
	{"type", "t", "type of the event: prompt, response, tool_call, …, or x.NAME", func(ev *event.Event) *string { return (*string)(&ev.Type) }},
	{"model", "m", "model", func(ev *event.Event) *string { return &ev.ModelID }},
	{"model-version", "", "version of the model", func(ev *event.Event) *string { return &ev.ModelVersion }},
	{"provider", "", "organisation that runs the model", func(ev *event.Event) *string { return &ev.Provider }},
	{"deployment", "", "deployment of the model", func(ev *event.Event) *string { return &ev.DeploymentID }},
	{"user", "u", "person whom the data is about (encrypted)", func(ev *event.Event) *string { return &ev.UserID }},
	{"actor", "", "another person who acted, such as a reviewer (only in the keyring)", func(ev *event.Event) *string { return &ev.Actor }},
	{"session", "", "session or conversation (encrypted)", func(ev *event.Event) *string { return &ev.SessionID }},
	{"prompt", "p", "prompt (encrypted)", func(ev *event.Event) *string { return &ev.Prompt }},
	{"response", "r", "response (encrypted)", func(ev *event.Event) *string { return &ev.Response }},
	{"system", "", "system instructions (encrypted)", func(ev *event.Event) *string { return &ev.SystemInstructions }},
	{"error", "", "description of the error (encrypted)", func(ev *event.Event) *string { return &ev.Error }},
	{"trace", "", "trace id, 32 hexadecimal digits", func(ev *event.Event) *string { return &ev.TraceID }},
	{"span", "", "span id, 16 hexadecimal digits", func(ev *event.Event) *string { return &ev.SpanID }},
	{"parent-span", "", "span id of the parent", func(ev *event.Event) *string { return &ev.ParentSpanID }},
	{"outcome", "", "success, error, partial, blocked, refused, timeout or cancelled", func(ev *event.Event) *string { return &ev.Outcome }},
	{"finish-reason", "", "why the model stopped", func(ev *event.Event) *string { return &ev.FinishReason }},
	{"severity", "", "info, low, medium, high or critical", func(ev *event.Event) *string { return &ev.Severity }},
	{"category", "", "category of your own", func(ev *event.Event) *string { return &ev.Category }},
	{"tool", "", "name of the tool", func(ev *event.Event) *string { return &toolOf(ev).Name }},
	{"call-id", "", "id of the tool call (encrypted)", func(ev *event.Event) *string { return &toolOf(ev).CallID }},
	{"producer", "", "program that sends the event", func(ev *event.Event) *string { return &producerOf(ev).ID }},
	{"id", "", "id of the event: an event with an id is recorded only once", func(ev *event.Event) *string { return &ev.ID }},
	{"class", "", "retention class", func(ev *event.Event) *string { return &ev.RetentionClass }},
}

// A countFlag sets a field of an event to the flag's number.
type countFlag struct {
	name, usage string
	field       func(*event.Event) **int64
}

var countFlags = []countFlag{
	{"input-tokens", "tokens of the input", func(ev *event.Event) **int64 { return &ev.InputTokens }},
	{"output-tokens", "tokens of the output", func(ev *event.Event) **int64 { return &ev.OutputTokens }},
	{"cached-tokens", "tokens of the input that were cached", func(ev *event.Event) **int64 { return &ev.CachedTokens }},
	{"reasoning-tokens", "tokens of the output that were reasoning", func(ev *event.Event) **int64 { return &ev.ReasoningTokens }},
}

func toolOf(ev *event.Event) *event.Tool {
	if ev.Tool == nil {
		ev.Tool = new(event.Tool)
	}
	return ev.Tool
}

func producerOf(ev *event.Event) *event.Producer {
	if ev.Producer == nil {
		ev.Producer = new(event.Producer)
	}
	return ev.Producer
}

func eventFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	for _, t := range textFlags {
		f.StringP(t.name, t.short, "", t.usage)
	}
	for _, c := range countFlags {
		f.Int64(c.name, 0, c.usage)
	}
	f.String("time", "", "`time` of the event, RFC 3339 (default now)")
	f.String("latency-ms", "", "duration in `milliseconds`: 150.5")
	f.String("cost", "", "cost, an `amount`: 0.0123 (in USD) or \"0.0123 EUR\"")
	f.Uint64("producer-seq", 0, "the producer's own `number` of the event")
	f.String("tool-args", "", "arguments of the tool call, `JSON` (encrypted)")
	f.String("tool-result", "", "result of the tool call, `JSON` (encrypted)")
	f.StringArray("label", nil, "label in cleartext, `KEY=VALUE`; may be repeated")
	f.StringArray("meta", nil, "metadata, `KEY=TEXT` (encrypted); may be repeated")
	f.StringArray("meta-json", nil, "metadata, `KEY=JSON` (encrypted); may be repeated")
	f.String("file", "", "`file` of the event in JSON; - is standard input")
	f.Bool("replace-invalid", false, "replace bytes and escapes that text cannot contain, and count them in the record")
}

// maxEventFile bounds the file of one event: more than any log accepts.
const maxEventFile = 64 << 20

// eventFrom returns the event that the flags and their file describe.
func (e *env) eventFrom(f *pflag.FlagSet) (event.Event, error) {
	ev, replaced, err := e.eventFile(f)
	if err != nil {
		return ev, err
	}
	replace, err := f.GetBool("replace-invalid")
	f.Visit(func(flag *pflag.Flag) {
		if err != nil {
			return
		}
		if isText := flag.Value.Type() == "string"; isText && replace && !utf8.ValidString(flag.Value.String()) {
			err = flag.Value.Set(strings.ToValidUTF8(flag.Value.String(), "\uFFFD"))
			replaced++
		}
		if err == nil {
			err = setFlag(&ev, f, flag)
		}
	})
	if err == nil && replaced > 0 {
		err = ingest.SayReplaced(&ev, replaced)
	}
	if err != nil {
		return ev, err
	}
	if ev.Type == "" {
		return ev, fmt.Errorf("type: missing; give the type of the event with -t: %s, or x.NAME", strings.Join(typeNames(), ", "))
	}
	return ev, exact(&ev, f)
}

// eventFile reads the event from the file of --file, if there is one. replaced
// counts the places that --replace-invalid replaced.
func (e *env) eventFile(f *pflag.FlagSet) (ev event.Event, replaced int, err error) {
	name, err := f.GetString("file")
	if err != nil || name == "" {
		return ev, 0, err
	}
	data, err := e.readJSON(name, maxEventFile)
	if err != nil {
		return ev, 0, err
	}
	mended, invalid := ingest.Mend(data)
	if replace, err := f.GetBool("replace-invalid"); err != nil || replace {
		data, replaced = mended, invalid
	}
	ev, err = event.ParseFitting(data)
	var wrong *event.FieldError
	if f.Changed("type") && errors.As(err, &wrong) && wrong.Field == "type" {
		// The flag may give the type that the file lacks. If the file has a
		// type, the object now contains two, and is refused for that.
		kind, _ := json.Marshal(f.Lookup("type").Value.String())
		rest, isObject := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
		if rest = bytes.TrimLeft(rest, " \t\r\n"); isObject && !bytes.HasPrefix(rest, []byte("}")) {
			rest = slices.Concat([]byte(","), rest)
		}
		ev, err = event.ParseFitting(slices.Concat([]byte(`{"type":`), kind, rest))
	}
	if err == nil {
		return ev, replaced, nil
	}
	err = ingest.NameEvent(data, err)
	named := errors.As(err, new(*ingest.KindError))
	err = fmt.Errorf("read the event in %s: %w", inputName(name), err)
	if invalid > replaced && !named {
		err = fmt.Errorf("%w; --replace-invalid records the event with a replacement character in such places, and counts them in the record", err)
	}
	return ev, replaced, err
}

// readJSON reads a file with one JSON value, or standard input for "-", without
// the byte order mark of some editors.
func (e *env) readJSON(name string, limit int64) ([]byte, error) {
	data, err := e.readInput(name, limit)
	if err != nil {
		return nil, err
	}
	if what := filekind.Name(data); what != "" {
		return nil, fmt.Errorf("read %s: expected JSON in UTF-8, found %s", inputName(name), what)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// readInput reads a file, or standard input for "-".
func (e *env) readInput(name string, limit int64) ([]byte, error) {
	in := e.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // nothing was written
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		if of := (*fs.PathError)(nil); errors.As(err, &of) {
			err = of.Err // the name is printed before it
		}
		return nil, fmt.Errorf("read %s: %w", inputName(name), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: the file is longer than %s", inputName(name), display.Bytes(limit))
	}
	return data, nil
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// setFlag sets the field of one flag in the event.
func setFlag(ev *event.Event, f *pflag.FlagSet, flag *pflag.Flag) error {
	text := flag.Value.String()
	if i := slices.IndexFunc(textFlags, func(t textFlag) bool { return t.name == flag.Name }); i >= 0 {
		*textFlags[i].field(ev) = text
		return nil
	}
	if i := slices.IndexFunc(countFlags, func(c countFlag) bool { return c.name == flag.Name }); i >= 0 {
		n, err := f.GetInt64(flag.Name)
		*countFlags[i].field(ev) = &n
		return err
	}
	switch flag.Name {
	case "producer-seq":
		n, err := f.GetUint64(flag.Name)
		producerOf(ev).Seq = &n
		return err
	case "tool-args":
		toolOf(ev).Arguments = json.RawMessage(text)
	case "tool-result":
		toolOf(ev).Result = json.RawMessage(text)
	case "label", "meta", "meta-json":
		return setPairs(ev, f, flag.Name)
	}
	return nil
}

// setPairs sets the KEY=VALUE pairs of a flag in the event.
func setPairs(ev *event.Event, f *pflag.FlagSet, name string) error {
	pairs, err := f.GetStringArray(name)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return fmt.Errorf("read --%s: the value is not of the form KEY=VALUE", name)
		}
		if name == "label" {
			if ev.Labels == nil {
				ev.Labels = make(map[string]string)
			}
			ev.Labels[key] = value
			continue
		}
		if ev.Metadata == nil {
			ev.Metadata = make(map[string]json.RawMessage)
		}
		raw := json.RawMessage(value)
		if name == "meta" {
			if raw, err = json.Marshal(value); err != nil {
				return err
			}
		}
		ev.Metadata[key] = raw
	}
	return nil
}

// exact parses the flags whose values are decimals or times like the edge form
// does, without floating-point numbers.
func exact(ev *event.Event, f *pflag.FlagSet) error {
	read := func(name, member, value string) (event.Event, error) {
		got, err := event.ParseJSON([]byte(`{"type":"prompt","` + member + `":` + value + `}`))
		if err != nil {
			err = fmt.Errorf("read --%s: %w", name, err)
		}
		return got, err
	}
	if f.Changed("time") {
		text, err := json.Marshal(f.Lookup("time").Value.String())
		if err != nil {
			return err
		}
		got, err := read("time", "time", string(text))
		if err != nil {
			return err
		}
		ev.Time = got.Time
	}
	if f.Changed("latency-ms") {
		text := f.Lookup("latency-ms").Value.String()
		if !isNumber(text) {
			return fmt.Errorf("read --latency-ms: invalid number of milliseconds %q: use a number such as 150.5", text)
		}
		got, err := read("latency-ms", "latency_ms", text)
		if err != nil {
			return err
		}
		ev.Latency = got.Latency
	}
	if f.Changed("cost") {
		text := f.Lookup("cost").Value.String()
		amount, currency, named := strings.Cut(text, " ")
		if !isNumber(amount) {
			return fmt.Errorf(`read --cost: invalid amount %q: use 0.0123 or "0.0123 EUR"`, text)
		}
		if named {
			amount = fmt.Sprintf(`{"amount":%s,"currency":%q}`, amount, currency)
		}
		got, err := read("cost", "cost", amount)
		if err != nil {
			return err
		}
		ev.Cost = got.Cost
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789.eE+-") == "" }
