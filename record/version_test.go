package record_test

import (
	"errors"
	"strings"
	"testing"

	"audittrail/record"
)

// A version has one canonical form, and only a line of a later one is of an
// unknown format.
func TestVersionOf(t *testing.T) {
	for start, want := range map[string]struct {
		version int64
		newer   bool
	}{
		`{"v":1,`:                    {1, false},
		`{"v":99,`:                   {99, true},
		`{"v":9007199254740991,`:     {9007199254740991, true},
		`{"v":9007199254740992,`:     {0, false},
		`{"v":99999999999999999999,`: {0, false},
		`{"v":0,`:                    {0, false},
		`{"v":-0,`:                   {0, false},
		`{"v":-2,`:                   {0, false},
		`{"v":02,`:                   {0, false},
		`{"v":1e0,`:                  {0, false},
		`{"v":2.0,`:                  {0, false},
		`{"v":"2",`:                  {0, false},
		`{"v": 2,`:                   {0, false},
		`{"v":2}`:                    {0, false},
		`{"v":`:                      {0, false},
		`{"id":1,"v":2,`:             {0, false},
		``:                           {0, false},
	} {
		line := []byte(start)
		if strings.HasSuffix(start, ",") {
			line = append(line, `"x":1}`...)
		}
		if v, ok := record.VersionOf(line); ok != (want.version > 0) || ok && v != want.version {
			t.Errorf("VersionOf(%s) = %d, %t, want %d", line, v, ok, want.version)
		}
		if got := record.NewerVersion(line); got != want.newer {
			t.Errorf("Newer(%s) = %t, want %t", line, got, want.newer)
		}
		_, err := record.Decode(line)
		var version *record.VersionError
		if errors.As(err, &version) != want.newer || !want.newer && !errors.Is(err, record.ErrFormat) {
			t.Errorf("Decode(%s) = %v, want a VersionError: %t", line, err, want.newer)
		}
	}
}
