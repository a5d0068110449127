package text

import (
	"iter"
	"maps"
	"slices"

	"audittrail/event"
)

// A Field is one of the places in an event that contain text.
type Field uint8

// The fields. Their numbers are part of the index's format. Any is not a field,
// but stands for all of them.
const (
	Any Field = iota
	Prompt
	Response
	System
	Input
	Output
	Arguments
	Result
	Error
	Metadata

	fields // the number of fields, including Any
)

var fieldNames = [fields]string{
	"", "prompt", "response", "system", "input", "output", "arguments", "result", "error", "metadata",
}

// String returns the name of the field in queries.
func (f Field) String() string {
	if f >= fields {
		return "?"
	}
	return fieldNames[f]
}

// ParseField returns the field with a name.
func ParseField(name string) (Field, bool) {
	i := slices.Index(fieldNames[1:], name)
	return Field(i + 1), i >= 0
}

// Fields returns all fields, without Any.
func Fields() []Field {
	all := make([]Field, 0, fields-1)
	for f := Any + 1; f < fields; f++ {
		all = append(all, f)
	}
	return all
}

// Of yields the pieces of text of an event that can be searched, field by
// field. A phrase does not reach from one piece into the next. In a JSON value,
// each string, number and boolean is a piece, and so is each name in an object,
// except in messages, where names are the protocol's own.
func Of(e *event.Event) iter.Seq2[Field, string] {
	return func(yield func(Field, string) bool) {
		for _, t := range [...]struct {
			field Field
			text  string
		}{
			{Prompt, e.Prompt},
			{Response, e.Response},
			{System, e.SystemInstructions},
			{Error, e.Error},
		} {
			if t.text != "" && !yield(t.field, t.text) {
				return
			}
		}
		ok := jsonPieces(e.InputMessages, Input, false, yield) && jsonPieces(e.OutputMessages, Output, false, yield)
		if t := e.Tool; ok && t != nil {
			ok = jsonPieces(t.Arguments, Arguments, true, yield) && jsonPieces(t.Result, Result, true, yield)
		}
		if !ok || len(e.Metadata) == 0 {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
			if !yield(Metadata, key) || !jsonPieces(e.Metadata[key], Metadata, true, yield) {
				return
			}
		}
	}
}
