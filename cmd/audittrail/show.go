package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/internal/shown"
	"audittrail/record"
	"audittrail/service"
)

const recordArg = "SEQ|ID"

const recordArgHelp = `

A number is a sequence number; any other text is an id, either the record's UUID
or the id of the event. Write an id that is a number as id:17.`

func (e *env) showCmd() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show " + recordArg,
		Short: "Show one record",
		Long: `Show prints one record, with its content if the keyring is available and the
content was not erased. It compares the record with its hash and with the tree.

An unauthenticated line beyond the newest checkpoint is shown as stored, and
marked as unauthenticated; the exit status is 3.` + recordArgHelp +
			exits(ends0, ends1, ends2, unknown3),
		Example: `  audittrail show 17
  audittrail show 17 -o json
  audittrail show --raw 17 > record.json`,
		Args:    takes(recordArg),
		GroupID: groupRead,
		RunE: func(_ *cobra.Command, args []string) error {
			return e.reading(func(s *service.Session) error {
				r, err := s.Get(e.ctx, service.GetRequest{Record: service.ParseRef(args[0]), Raw: raw})
				if err != nil {
					return fmt.Errorf("show %s: %w", args[0], err)
				}
				if err := e.show(r, raw); err != nil {
					return err
				}
				if r.State == record.Unauthenticated {
					return fmt.Errorf("show %s: record %d: %w", args[0], r.Seq, audittrail.ErrUnauthenticated)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the line as stored on disk, in the form that check takes")
	return cmd
}

func (e *env) show(r *record.Record, raw bool) error {
	if raw {
		_, err := e.forTerminal(e.stdout).Write(append(r.Line(), '\n'))
		return err
	}
	return e.sheet(recordJSON(r), recordFields(r))
}

// recordJSON is a record in JSON: the event in the form that import accepts,
// together with the log's metadata.
func recordJSON(r *record.Record) json.RawMessage {
	own := struct {
		Seq     uint64         `json:"seq"`
		UUID    record.ID      `json:"uuid"`
		Hash    record.Hash    `json:"hash"`
		Logged  string         `json:"logged"`
		Class   string         `json:"class"`
		Subject record.Subject `json:"subject"`
		State   record.State   `json:"state"`

		Parts    []string      `json:"parts,omitempty"`
		Source   record.Source `json:"source,omitempty"`
		Actor    string        `json:"actor_subject,omitempty"`
		Domain   string        `json:"domain,omitempty"`
		Withheld string        `json:"withheld,omitempty"`
		Call     string        `json:"call,omitempty"`
	}{
		r.Seq, r.ID, r.Hash, string(event.AppendTime(nil, r.Logged)), r.Class, r.Subject, r.State,
		r.Parts.Names(), r.Source, actorText(r), r.Domain, r.Withheld, r.Call.String(),
	}
	head, err := json.Marshal(own)
	must(err) // texts and numbers can always be encoded
	out := bytes.TrimSuffix(head, []byte("}"))
	return shown.JSON(append(append(out, ','), event.AppendJSON(nil, &r.Event)[1:]...))
}

// actorText returns the subject of the person who acted, or an empty text.
func actorText(r *record.Record) string {
	if r.Actor == (record.Subject{}) {
		return ""
	}
	return r.Actor.String()
}

// recordFields returns the fields of a record for people: first the event, and
// last the log's metadata.
func recordFields(r *record.Record) []field {
	ev := &r.Event
	var s sheetBuilder
	s.add("record", strconv.FormatUint(r.Seq, 10))
	s.add("type", string(ev.Type))
	s.add("time", display.Time(ev.Time))
	s.add("model", strings.TrimSpace(ev.ModelID+" "+ev.ModelVersion))
	s.add("provider", ev.Provider)
	s.add("deployment", ev.DeploymentID)
	s.add("user", ev.UserID)
	s.add("actor", ev.Actor)
	s.add("session", ev.SessionID)
	s.add("trace", ev.TraceID)
	s.add("span", ev.SpanID)
	s.add("parent span", ev.ParentSpanID)
	s.add("system", ev.SystemInstructions)
	s.add("prompt", ev.Prompt)
	s.add("input messages", string(ev.InputMessages))
	s.add("response", ev.Response)
	s.add("output messages", string(ev.OutputMessages))
	if t := ev.Tool; t != nil {
		s.add("tool", t.Name)
		s.add("call id", t.CallID)
		s.add("arguments", string(t.Arguments))
		s.add("result", string(t.Result))
	}
	s.numbers(ev)
	s.add("outcome", ev.Outcome)
	s.add("finish reason", ev.FinishReason)
	s.add("error", ev.Error)
	s.add("severity", ev.Severity)
	s.add("category", ev.Category)
	if p := ev.Producer; p != nil {
		s.add("producer", p.ID)
		if p.Seq != nil {
			s.add("producer seq", strconv.FormatUint(*p.Seq, 10))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(ev.Labels)) {
		s.add("label "+k, ev.Labels[k])
	}
	for _, k := range slices.Sorted(maps.Keys(ev.Metadata)) {
		s.add("meta "+k, plain(ev.Metadata[k]))
	}
	if ev.ID != r.ID.String() {
		s.add("id", ev.ID)
	}
	s.add("uuid", r.ID.String())
	s.add("logged", display.Time(r.Logged))
	s.add("class", record.ClassText(r.Class))
	s.add("subject", r.Subject.String())
	s.add("actor's subject", actorText(r))
	s.add("parts", strings.Join(r.Parts.Names(), ", "))
	s.add("source", string(r.Source))
	s.add("domain", r.Domain)
	s.add("withheld", r.Withheld)
	s.add("call", r.Call.String())
	s.add("content", contentText(r))
	s.add("hash", r.Hash.String())
	return s.fields
}

// contentText says whether the content can be read, or why not.
func contentText(r *record.Record) string {
	size := display.Bytes(int64(r.Size))
	switch r.State {
	case record.Readable:
		return "readable, " + size
	case record.Sealed:
		return "sealed, " + size + ": the keyring is not available, or without its master key"
	case record.Erased:
		return "erased: its data subject was erased"
	case record.Expired:
		return "expired: the retention period of its class and month has ended"
	case record.Lost:
		return "lost: its key is missing, although no record says that it was destroyed"
	case record.Unauthenticated:
		return "unauthenticated: beyond the newest checkpoint, and under no key of the log"
	case record.Restricted:
		return "restricted, " + size + ": you are not permitted to see it"
	}
	return r.State.String()
}

// plain returns a JSON value for people: a string without its quotes.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// A sheetBuilder collects fields, and leaves out empty ones.
type sheetBuilder struct{ fields []field }

func (s *sheetBuilder) add(name, value string) {
	if value != "" {
		s.fields = append(s.fields, field{name, value})
	}
}

// numbers adds the measured values.
func (s *sheetBuilder) numbers(ev *event.Event) {
	if ev.Latency != nil {
		s.add("latency", strconv.FormatFloat(float64(*ev.Latency)/float64(time.Millisecond), 'f', -1, 64)+" ms")
	}
	s.count("input tokens", ev.InputTokens)
	s.count("output tokens", ev.OutputTokens)
	s.count("cached tokens", ev.CachedTokens)
	s.count("reasoning tokens", ev.ReasoningTokens)
	if c := ev.Cost; c != nil {
		s.add("cost", strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%09d", c.Nano/1e9, c.Nano%1e9), "0"), ".")+" "+c.Currency)
	}
}

func (s *sheetBuilder) count(name string, n *int64) {
	if n != nil {
		s.add(name, display.Number(*n))
	}
}
