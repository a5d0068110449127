package display_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"audittrail/cmd/audittrail/internal/display"
)

// TestTexts lists what people read.
func TestTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{display.Number(0), "0"},
		{display.Number(-1234567), "-1,234,567"},
		{display.Number(uint64(999)), "999"},
		{display.Count(1, "record", "records"), "1 record"},
		{display.Count(2000, "record", "records"), "2,000 records"},
		{display.Bytes(999), "999 B"},
		{display.Bytes(1_234_567), "1.2 MB"},
		{display.Time(time.Time{}), ""},
		{display.Time(time.Date(2026, 3, 1, 9, 0, 0, 5e6, time.FixedZone("", 3600))), "2026-03-01 08:00:00.005Z"},
		{display.Fit("short", 5), "short"},
		{display.Fit("shorter", 5), "shor…"},
		{display.Fit("日本語の文", 5), "日本…"},
		{display.Visible("a\x1b[31m\n"), "a\\u001b[31m\n"},
		{display.OneLine("a\n\tb"), "a b"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if n := display.Columns("日本é" + string(display.MarkStart) + "e\u0301"); n != 6 {
		t.Errorf("Columns = %d, want 6", n)
	}
	if got := display.Wrap("one two three", 7); !slices.Equal(got, []string{"one two", "three"}) {
		t.Errorf("Wrap = %q", got)
	}
	var b bytes.Buffer
	if err := display.JSON(&b, map[string]string{"a": "<\u202e>"}); err != nil || b.String() != `{"a":"<\u202e>"}`+"\n" {
		t.Errorf("JSON = %s, %v", b.String(), err)
	}
}
