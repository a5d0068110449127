package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"audittrail/internal/cjson"
)

// A FieldError names the invalid field of a refused event, as in the edge form,
// and says what is wrong with it. It never quotes encrypted content.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

func problem(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// Validate returns the first thing wrong with e as a [*FieldError], or nil.
func Validate(e *Event) error {
	c := *e
	return Canonicalize(&c)
}

// Canonicalize validates e, and gives it the form in which a reader gets it:
// JSON values canonical, and absent if null; the latency in whole microseconds;
// the time in UTC; empty maps and structs nil. Values that e points to are
// replaced if they have to change, never changed in place, since the caller may
// share them. After an error e is unchanged.
func Canonicalize(e *Event) error {
	if err := e.check(); err != nil {
		return err
	}
	if err := e.canonicalizeJSON(); err != nil {
		return err
	}
	if !e.Time.IsZero() {
		e.Time = e.Time.Round(0).UTC() // Round drops the monotonic clock
	}
	if e.Latency != nil && *e.Latency%time.Microsecond != 0 {
		l := e.Latency.Round(time.Microsecond)
		e.Latency = &l
	}
	e.dropEmpty()
	return nil
}

// dropEmpty sets empty maps and structs to nil.
func (e *Event) dropEmpty() {
	if t := e.Tool; t != nil && t.Name == "" && t.CallID == "" && t.Arguments == nil && t.Result == nil {
		e.Tool = nil
	}
	if p := e.Producer; p != nil && p.ID == "" && p.Seq == nil {
		e.Producer = nil
	}
	if len(e.Labels) == 0 {
		e.Labels = nil
	}
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
}

func (e *Event) canonicalizeJSON() (err error) {
	size := len(e.InputMessages) + len(e.OutputMessages)
	if e.Tool != nil {
		size += len(e.Tool.Arguments) + len(e.Tool.Result)
	}
	for _, v := range e.Metadata {
		size += max(len(v), len("null"))
	}
	var w jsonWriter
	if size > 0 {
		w.buf = make([]byte, 0, size) // the canonical form is never longer
	}
	if e.InputMessages, err = w.canonical("input_messages", e.InputMessages); err != nil {
		return err
	}
	if e.OutputMessages, err = w.canonical("output_messages", e.OutputMessages); err != nil {
		return err
	}
	if e.Tool != nil && (e.Tool.Arguments != nil || e.Tool.Result != nil) {
		t := *e.Tool
		if t.Arguments, err = w.canonical("tool.arguments", t.Arguments); err != nil {
			return err
		}
		if t.Result, err = w.canonical("tool.result", t.Result); err != nil {
			return err
		}
		e.Tool = &t
	}
	e.Metadata, err = w.metadata(e.Metadata)
	return err
}

// A jsonWriter writes canonical JSON values one after another.
type jsonWriter struct{ buf []byte }

// canonical returns the canonical form of v, or nil if v is empty or null.
func (w *jsonWriter) canonical(field string, v json.RawMessage) (json.RawMessage, error) {
	if len(v) == 0 {
		return nil, nil
	}
	c, err := w.value(field, v)
	if err != nil {
		return v, err
	}
	if string(c) == "null" {
		return nil, nil
	}
	return c, nil
}

func (w *jsonWriter) value(field string, v json.RawMessage) (json.RawMessage, error) {
	from := len(w.buf)
	var err error
	if w.buf, err = cjson.AppendCanonical(w.buf, v); err != nil {
		return nil, &FieldError{Field: field, Problem: err.Error()}
	}
	return w.buf[from:len(w.buf):len(w.buf)], nil
}

// metadata returns m with canonical values, or m itself if they are canonical.
// Unlike elsewhere a null is kept, since its key is information.
func (w *jsonWriter) metadata(m map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	var changed map[string]json.RawMessage
	for k, v := range m {
		if len(v) == 0 {
			v = json.RawMessage("null")
		}
		c, err := w.value("metadata", v)
		if err != nil {
			return m, err
		}
		if !bytes.Equal(c, m[k]) {
			if changed == nil {
				changed = maps.Clone(m)
			}
			changed[k] = c
		}
	}
	if changed != nil {
		return changed, nil
	}
	return m, nil
}
