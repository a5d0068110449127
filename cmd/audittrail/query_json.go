package main

import (
	"bytes"
	"encoding/json"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
)

// matchJSON is the place of a text match.
type matchJSON struct {
	Field string `json:"field"`
	Start int    `json:"start"` // in bytes of the field, or of the string within a field of JSON
	End   int    `json:"end"`
	Text  string `json:"text"` // the matching text
}

// withMatches adds the matches of a hit to the JSON object of the record.
func withMatches(object json.RawMessage, matches []query.Match) json.RawMessage {
	list := make([]matchJSON, 0, len(matches))
	for _, m := range matches {
		list = append(list, matchJSON{m.Field, m.Start, m.End, m.Text[m.Start:m.End]})
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(object, []byte("}")))
	b.WriteString(`,"matches":`)
	must(display.JSON(&b, list)) // texts and numbers can always be encoded
	b.Truncate(b.Len() - len("\n"))
	b.WriteByte('}')
	return b.Bytes()
}

// groupJSON is a row of a table, as an object in the order of the columns.
type groupJSON struct {
	columns []string
	values  []query.Value
}

// MarshalJSON writes the object.
func (g groupJSON) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, name := range g.columns {
		b.WriteByte("{,"[min(i, 1)])
		for _, v := range []any{name, g.values[i]} {
			enc, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			b.Write(enc)
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
