package main

import (
	"bytes"
	"encoding/json"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
)

// matchJSON is a place where text was found.
type matchJSON struct {
	Field string `json:"field"`
	Start int    `json:"start"` // bytes of the field; of JSON, of the string in which it stands
	End   int    `json:"end"`
	Text  string `json:"text"` // what stands there
}

// withMatches adds the places of a hit to the object that is the record.
func withMatches(object json.RawMessage, matches []query.Match) json.RawMessage {
	list := make([]matchJSON, 0, len(matches))
	for _, m := range matches {
		list = append(list, matchJSON{m.Field, m.Start, m.End, m.Text[m.Start:m.End]})
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(object, []byte("}")))
	b.WriteString(`,"matches":`)
	must(display.JSON(&b, list)) // it is made of texts and numbers
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
