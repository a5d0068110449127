package tlog_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"audittrail/tlog"
)

func statement(t testing.TB) ([]byte, string) {
	t.Helper()
	s, vkey := key(t, origin, 1)
	signed, err := tlog.SignStatement(tlog.Statement{Kind: "report", Origin: origin, Lines: []string{"300", "full report"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed, vkey
}

func TestStatement(t *testing.T) {
	signed, vkey := statement(t)
	golden(t, "statement", signed)
	s, err := tlog.OpenStatement("report", signed, []string{vkey}, origin)
	if err != nil || s.Origin != origin || !slices.Equal(s.Lines, []string{"300", "full report"}) {
		t.Errorf("OpenStatement = %v, %v", s, err)
	}
	_, other := key(t, origin, 2)
	for name, c := range map[string]struct {
		kind   string
		signed []byte
		vkey   string
		origin string
		want   error
	}{
		"other kind":    {"certificate", signed, vkey, origin, tlog.ErrMalformed},
		"other key":     {"report", signed, other, origin, tlog.ErrUnknownKey},
		"other log":     {"report", signed, vkey, "example.com/other", tlog.ErrOrigin},
		"changed":       {"report", bytes.Replace(signed, []byte("300"), []byte("301"), 1), vkey, origin, tlog.ErrBadSignature},
		"no line":       {"report", bytes.Replace(signed, []byte("300\nfull report\n"), nil, 1), vkey, origin, tlog.ErrMalformed},
		"carriage":      {"report", bytes.Replace(signed, []byte("300\n"), []byte("300\r\n"), 1), vkey, origin, tlog.ErrMalformed},
		"two signers":   {"report", append(signed, signed[bytes.LastIndex(signed, []byte("—")):]...), vkey, origin, tlog.ErrMalformed},
		"long":          {"report", bytes.Repeat(signed, 1000), vkey, origin, tlog.ErrMalformed},
		"no statement":  {"report", nil, vkey, origin, tlog.ErrMalformed},
		"foreign signs": {"report", bytes.Replace(signed, []byte("— "+origin), []byte("— example.com/w"), 1), vkey, origin, tlog.ErrMalformed},
	} {
		if _, err := tlog.OpenStatement(c.kind, c.signed, []string{c.vkey}, c.origin); !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
	}
}

// A statement that could be taken for another signed text is not signed.
func TestSignStatementRefuses(t *testing.T) {
	s, _ := key(t, origin, 1)
	for name, st := range map[string]tlog.Statement{
		"rotation":   {Kind: "signer-rotation", Origin: origin, Lines: []string{"x"}},
		"no kind":    {Origin: origin, Lines: []string{"x"}},
		"kind":       {Kind: "Report\n", Origin: origin, Lines: []string{"x"}},
		"no lines":   {Kind: "report", Origin: origin},
		"line break": {Kind: "report", Origin: origin, Lines: []string{"x\ny"}},
		"empty line": {Kind: "report", Origin: origin, Lines: []string{""}},
		"many":       {Kind: "report", Origin: origin, Lines: make([]string, 99)},
		"long":       {Kind: "report", Origin: origin, Lines: []string{strings.Repeat("x", tlog.MaxStatement)}},
		"other log":  {Kind: "report", Origin: "example.com/other", Lines: []string{"x"}},
		"namesake":   {Kind: "report", Origin: "audittrail.report/v1", Lines: []string{"x"}},
	} {
		if signed, err := tlog.SignStatement(st, s); err == nil {
			t.Errorf("%s: signed %q", name, signed)
		}
	}
}

func TestSince(t *testing.T) {
	eras := tlog.KeyPeriods{{VKey: "a", Until: 10}, {VKey: "b", From: 10, Until: 20}, {VKey: "c", From: 20, Until: math.MaxUint64}}
	for size, want := range map[uint64][]string{0: {"a", "b", "c"}, 10: {"a", "b", "c"}, 11: {"b", "c"}, 21: {"c"}} {
		if got := eras.Since(size); !slices.Equal(got, want) {
			t.Errorf("Since(%d) = %v, want %v", size, got, want)
		}
	}
}

func FuzzReadStatement(f *testing.F) {
	signed, vkey := statement(f)
	f.Add(signed)
	k, _ := key(f, origin, 1)
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := tlog.OpenStatement("report", in, []string{vkey}, "")
		if err != nil {
			return
		}
		// Ed25519 signatures are deterministic.
		if again, err := tlog.SignStatement(s, k); err != nil || !bytes.Equal(again, in) {
			t.Errorf("OpenStatement accepted %q, which is %q, %v", in, again, err)
		}
	})
}
