package main

import (
	"bytes"
	"encoding/json"

	"audittrail/query"
)

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
