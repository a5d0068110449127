package document_test

import (
	"testing"

	"audittrail/lineage/exchange/document"
)

func TestFinite(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		n        int
	}{
		{`{"a":1}`, `{"a":1}`, 0},
		{`{"a":NaN,"b":[Infinity,-Infinity],"c":-1}`, `{"a":null,"b":[null,null],"c":-1}`, 3},
		{`{"NaN":"NaN, \"Infinity, \\","b":NaN}`, `{"NaN":"NaN, \"Infinity, \\","b":null}`, 1},
		{`"NaN`, `"NaN`, 0},
		{`"\`, `"\`, 0},
		{`Nothing`, `Nothing`, 0},
	} {
		got, n := document.Finite([]byte(tt.in))
		if string(got) != tt.want || n != tt.n {
			t.Errorf("Finite(%s) = %s, %d, want %s, %d", tt.in, got, n, tt.want, tt.n)
		}
	}
}
