// Package table writes records as Parquet files: docs/format/export.md has the
// columns. It writes records as they come, and keeps one row group in memory,
// which is bounded in rows and in bytes.
package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"audittrail/event"
	"audittrail/record"
)

// The limits of a row group.
const (
	groupRows  = 64 << 10
	groupBytes = 32 << 20 // of content
)

// A Writer writes a file.
type Writer struct {
	put   func(*record.Record) error
	flush func() error
	end   func() error

	rows, bytes int // of the row group
}

// NewWriter begins a file. Without contents it has only the columns of cleartext
// fields.
func NewWriter(w io.Writer, contents bool) *Writer {
	if contents {
		return newWriter(w, func(r *record.Record) full { return full{clearOf(r), contentOf(&r.Event)} })
	}
	return newWriter(w, clearOf)
}

func newWriter[T any](w io.Writer, of func(*record.Record) T) *Writer {
	file := parquet.NewGenericWriter[T](w, parquet.NewSchema("record", parquet.SchemaOf(*new(T))), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.DataPageStatistics(true))
	row := make([]T, 1)
	return &Writer{
		put: func(r *record.Record) error {
			row[0] = of(r)
			_, err := file.Write(row)
			return err
		},
		flush: file.Flush,
		end:   file.Close,
	}
}

// Write adds a record.
func (w *Writer) Write(r *record.Record) error {
	err := w.put(r)
	w.rows++
	w.bytes += sizeOf(&r.Event)
	if err == nil && (w.rows >= groupRows || w.bytes >= groupBytes) {
		w.rows, w.bytes = 0, 0
		err = w.flush()
	}
	if err != nil {
		return fmt.Errorf("write record %d to a Parquet file: %w", r.Seq, err)
	}
	return nil
}

// Close ends the file. After an error of Write there is no valid file.
func (w *Writer) Close() error {
	if err := w.end(); err != nil {
		return fmt.Errorf("end a Parquet file: %w", err)
	}
	return nil
}

// A clearPart has the cleartext fields of a row.
type clearPart struct {
	Seq          int64             `parquet:"seq"`
	UUID         string            `parquet:"uuid"`
	Hash         string            `parquet:"hash"`
	Logged       int64             `parquet:"logged,timestamp(microsecond)"`
	Class        string            `parquet:"class,dict"`
	Subject      string            `parquet:"subject"`
	State        string            `parquet:"state,dict"`
	Parts        string            `parquet:"parts,optional,dict"`
	Source       string            `parquet:"source,optional,dict"`
	Actor        string            `parquet:"actor_subject,optional,dict"`
	Domain       string            `parquet:"domain,optional,dict"`
	Withheld     string            `parquet:"withheld,optional,dict"`
	Call         string            `parquet:"call,optional"`
	Type         string            `parquet:"type,dict"`
	Time         int64             `parquet:"time,timestamp(microsecond)"`
	Model        string            `parquet:"model_id,optional,dict"`
	Version      string            `parquet:"model_version,optional,dict"`
	Provider     string            `parquet:"provider,optional,dict"`
	Deployment   string            `parquet:"deployment_id,optional,dict"`
	Session      string            `parquet:"session,optional"`
	Trace        string            `parquet:"trace_id,optional"`
	Span         string            `parquet:"span_id,optional"`
	ParentSpan   string            `parquet:"parent_span_id,optional"`
	Tool         string            `parquet:"tool,optional,dict"`
	Outcome      string            `parquet:"outcome,optional,dict"`
	FinishReason string            `parquet:"finish_reason,optional,dict"`
	Severity     string            `parquet:"severity,optional,dict"`
	Category     string            `parquet:"category,optional,dict"`
	Retention    string            `parquet:"retention_class,optional,dict"`
	Latency      *float64          `parquet:"latency_ms,optional"`
	InputTokens  *int64            `parquet:"input_tokens,optional"`
	OutputTokens *int64            `parquet:"output_tokens,optional"`
	CachedTokens *int64            `parquet:"cached_tokens,optional"`
	Reasoning    *int64            `parquet:"reasoning_tokens,optional"`
	Cost         *int64            `parquet:"cost,decimal(9:18)"`
	Currency     string            `parquet:"currency,optional,dict"`
	Producer     string            `parquet:"producer,optional,dict"`
	ProducerSeq  *int64            `parquet:"producer_seq,optional"`
	Size         int64             `parquet:"size"`
	Labels       map[string]string `parquet:"labels,optional" parquet-key:",dict" parquet-value:",dict"`
}

// A contentPart has the encrypted fields of a row.
type contentPart struct {
	ID        string          `parquet:"id,optional"`
	User      string          `parquet:"user_id,optional,dict"`
	ActorName string          `parquet:"actor,optional,dict"`
	SessionID string          `parquet:"session_id,optional,dict"`
	Prompt    string          `parquet:"prompt,optional"`
	Response  string          `parquet:"response,optional"`
	System    string          `parquet:"system_instructions,optional,dict"`
	Input     json.RawMessage `parquet:"input_messages,json,optional"`
	Output    json.RawMessage `parquet:"output_messages,json,optional"`
	CallID    string          `parquet:"tool_call_id,optional"`
	Arguments json.RawMessage `parquet:"tool_arguments,json,optional"`
	Result    json.RawMessage `parquet:"tool_result,json,optional"`
	Error     string          `parquet:"error,optional"`
	Metadata  json.RawMessage `parquet:"metadata,json,optional"`
}

// A full is a row with both parts.
type full struct {
	clearPart
	contentPart
}

func clearOf(r *record.Record) clearPart {
	ev := &r.Event
	c := clearPart{
		Seq: int64(r.Seq), UUID: r.ID.String(), Hash: r.Hash.String(), Logged: micros(r.Logged), Class: r.Class,
		Subject: r.Subject.String(), State: r.State.String(), Type: string(ev.Type), Time: micros(ev.Time),
		Model: ev.ModelID, Version: ev.ModelVersion, Provider: ev.Provider, Deployment: ev.DeploymentID,
		Trace: ev.TraceID, Span: ev.SpanID, ParentSpan: ev.ParentSpanID,
		Outcome: ev.Outcome, FinishReason: ev.FinishReason, Severity: ev.Severity, Category: ev.Category,
		Retention: ev.RetentionClass, InputTokens: ev.InputTokens, OutputTokens: ev.OutputTokens,
		CachedTokens: ev.CachedTokens, Reasoning: ev.ReasoningTokens, Size: int64(r.Size), Labels: ev.Labels,
		Parts: r.Parts.String(), Source: string(r.Source), Domain: r.Domain, Withheld: r.Withheld, Call: r.Call.String(),
	}
	if r.Actor != (record.Subject{}) {
		c.Actor = r.Actor.String()
	}
	if r.Session != [16]byte{} {
		c.Session = fmt.Sprintf("%x", r.Session)
	}
	if ev.Tool != nil {
		c.Tool = ev.Tool.Name
	}
	if ev.Latency != nil {
		c.Latency = new(float64(ev.Latency.Microseconds()) / 1000)
	}
	if ev.Cost != nil {
		c.Cost, c.Currency = &ev.Cost.Nano, ev.Cost.Currency
	}
	if p := ev.Producer; p != nil {
		c.Producer = p.ID
		if p.Seq != nil {
			c.ProducerSeq = new(int64(*p.Seq))
		}
	}
	return c
}

// micros returns a time in whole microseconds since 1970.
func micros(t time.Time) int64 { return t.UnixMicro() }

func contentOf(ev *event.Event) contentPart {
	c := contentPart{
		ID: ev.ID, User: ev.UserID, ActorName: ev.Actor, SessionID: ev.SessionID, Prompt: ev.Prompt, Response: ev.Response,
		System: ev.SystemInstructions, Input: ev.InputMessages, Output: ev.OutputMessages, Error: ev.Error,
		Metadata: metadataOf(ev),
	}
	if t := ev.Tool; t != nil {
		c.CallID, c.Arguments, c.Result = t.CallID, t.Arguments, t.Result
	}
	return c
}

// metadataOf returns the metadata as one JSON object, with unchanged values.
func metadataOf(ev *event.Event) json.RawMessage {
	if len(ev.Metadata) == 0 {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ev.Metadata); err != nil {
		panic("table: " + err.Error()) // the values were parsed as JSON before
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// sizeOf returns about how many bytes an event takes in memory.
func sizeOf(ev *event.Event) int {
	n := 256 + len(ev.Prompt) + len(ev.Response) + len(ev.SystemInstructions) + len(ev.InputMessages) + len(ev.OutputMessages) + len(ev.Error)
	if t := ev.Tool; t != nil {
		n += len(t.Arguments) + len(t.Result)
	}
	for k, v := range ev.Metadata {
		n += len(k) + len(v)
	}
	return n
}
