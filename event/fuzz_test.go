package event_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

// FuzzClear reads cleartext parts, and writes those that are not refused again:
// the bytes must be the same. Records make this comparison; so does this test.
func FuzzClear(f *testing.F) {
	e, small := full(), kilobyte()
	f.Add(event.AppendClear(nil, &e))
	f.Add(event.AppendClear(nil, &small))
	f.Add([]byte(`"type":"x.a","labels":{"a":"","b":"\\"}`))
	f.Add([]byte(`"type":"prompt","cost_nano":0,"currency":"EUR","producer_seq":0`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := decodeClear(in)
		if err != nil || !bytes.Equal(event.AppendClear(nil, &e), in) {
			return
		}
		// An event that was read from a record can be written to one.
		before := e
		if err := event.Canonicalize(&e); err != nil {
			t.Fatalf("%q was accepted, but: %v", in, err)
		}
		if diff := cmp.Diff(before, e); diff != "" {
			t.Fatalf("%q was accepted, but is not canonical:\n%s", in, diff)
		}
	})
}

func FuzzDecodeContent(f *testing.F) {
	e, small := full(), kilobyte()
	digest := event.Digest(&e)
	f.Add(event.AppendContent(nil, &e, &digest))
	f.Add(event.AppendContent(nil, &small, nil))
	f.Add([]byte(`{"tool":{"arguments":[1e5],"result":{}},"metadata":{"":null}}`))
	f.Add([]byte(`{"id":"\u0000","prompt":"\"\\"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var e event.Event
		digest, err := event.DecodeContent(in, &e)
		if err != nil {
			return
		}
		if out := event.AppendContent(nil, &e, digest); !bytes.Equal(out, in) {
			t.Fatalf("DecodeContent accepted %q, AppendContent gives %q", in, out)
		}
		e.Type = event.Prompt
		before := e
		if err := event.Canonicalize(&e); err != nil {
			t.Fatalf("%q was accepted, but: %v", in, err)
		}
		if diff := cmp.Diff(before, e); diff != "" {
			t.Fatalf("%q was accepted, but is not canonical:\n%s", in, diff)
		}
	})
}

// roundTrip checks that e, which a parser returned, is canonical, and survives
// its edge form and both parts of a record.
func roundTrip(t *testing.T, e event.Event) {
	t.Helper()
	canonical := e
	if err := event.Canonicalize(&canonical); err != nil {
		t.Fatalf("parsed, but invalid: %v", err)
	}
	if diff := cmp.Diff(e, canonical); diff != "" {
		t.Fatalf("parsed, but not canonical:\n%s", diff)
	}
	text := event.AppendJSON(nil, &e)
	back, err := event.ParseJSON(text)
	if err != nil {
		t.Fatalf("ParseJSON(%s): %v", text, err)
	}
	if diff := cmp.Diff(e, back); diff != "" {
		t.Fatalf("through %s (-want +got):\n%s", text, diff)
	}
	stored, err := decodeClear(event.AppendClear(nil, &e))
	if err != nil {
		t.Fatal(err)
	}
	digest := event.Digest(&e)
	if _, err := event.DecodeContent(event.AppendContent(nil, &e, &digest), &stored); err != nil {
		t.Fatal(err)
	}
	if event.IsUUID(e.ID) {
		stored.ID = e.ID
	}
	stored.Time, stored.RetentionClass = e.Time, e.RetentionClass
	if diff := cmp.Diff(e, stored); diff != "" {
		t.Fatalf("through a record's parts (-want +got):\n%s", diff)
	}
	if event.Digest(&stored) != digest {
		t.Fatal("the event read back has another digest")
	}
}

func FuzzParseJSON(f *testing.F) {
	e, small := full(), kilobyte()
	f.Add(event.AppendJSON(nil, &e))
	f.Add(event.AppendJSON(nil, &small))
	f.Add([]byte(`{"type":"prompt","latency_ms":1.5e2,"cost":{"amount":0.1,"currency":"EUR"},"time":"2026-11-23t12:00:00.5+01:00"}`))
	f.Add([]byte(`{"type":"prompt","tool":{},"metadata":{"a":null},"labels":{},"producer":{"seq":1},"input_messages":[1, {"b":1,"a":2}]}`))
	f.Add([]byte(`{"type":"prompt","prompt":"\ud83c\udf0d\u0000","id":"` + sealedUUID + `"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := event.ParseJSON(in)
		if err != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("ParseJSON accepted %q, which is no JSON", in)
		}
		roundTrip(t, e)
	})
}

func FuzzParsePlain(f *testing.F) {
	f.Add([]byte(`{"event_id":"evt-1","event_type":"response","timestamp":"2026-11-23T12:34:56.789012","previous_hash":"00","hash":"ab"}`))
	f.Add([]byte(`{"event_id":7,"event_type":"prompt","timestamp":1795437296.789012,"zzz":{"b":1,"a":[]},"event_hash":null}`))
	f.Add([]byte(`{"type":"prompt","metadata":{"imported":1},"hash":"x"}`))
	f.Add([]byte(`{"type":"prompt"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, plain, err := event.ParsePlain(in)
		if err != nil && !plain {
			t.Fatalf("ParsePlain(%q): an error, but no plain line: %v", in, err)
		}
		if err != nil || !plain {
			if diff := cmp.Diff(event.Event{}, e); diff != "" {
				t.Fatalf("ParsePlain(%q) returns an event, but %v, %v", in, plain, err)
			}
			return
		}
		roundTrip(t, e)
	})
}

func FuzzTime(f *testing.F) {
	f.Add("2026-11-23T12:34:56.789000001Z")
	f.Add("0001-01-01T00:00:00.000000000Z")
	f.Add("2024-02-29T23:59:59.999999999Z")
	f.Add("2026-02-30T00:00:00.000000000Z")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := event.ParseTime(s)
		// Compared with the standard library, which reads more forms, but
		// writes only one.
		want, stdErr := time.Parse(layout, s)
		valid := stdErr == nil && want.Format(layout) == s && want.Year() >= 1
		if (err == nil) != valid {
			t.Fatalf("ParseTime(%q) = %v, %v; time.Parse = %v, %v", s, got, err, want, stdErr)
		}
		if err != nil {
			return
		}
		if got != want {
			t.Fatalf("ParseTime(%q) = %v, want %v", s, got, want)
		}
		if out := string(event.AppendTime(nil, got)); out != s {
			t.Fatalf("ParseTime accepted %q, AppendTime gives %q", s, out)
		}
	})
}

// FuzzEdgeTime compares times of the edge form with the standard library's,
// where both accept them.
func FuzzEdgeTime(f *testing.F) {
	f.Add("2026-11-23T12:34:56.5+05:45")
	f.Add("2026-11-23T12:34:56Z")
	f.Fuzz(func(t *testing.T, s string) {
		text := append(append([]byte(`{"type":"prompt","time":`), quoteJSON(t, s)...), '}')
		e, err := event.ParseJSON(text)
		if err != nil {
			return
		}
		s = strings.ToUpper(strings.Replace(s, " ", "T", 1))
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || !want.Equal(e.Time) {
			t.Fatalf("time %q is read as %v; time.Parse = %v, %v", s, e.Time, want, err)
		}
	})
}

func quoteJSON(t *testing.T, s string) []byte {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var smallNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)

// FuzzLatency compares the decimal arithmetic with that of math/big.
func FuzzLatency(f *testing.F) {
	for _, s := range []string{"150.5", "0.0005", "1e3", "9007199254740.991", "18446744073709551.617", "12.34567e-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !smallNumber.MatchString(s) {
			return
		}
		e, err := event.ParseJSON([]byte(`{"type":"prompt","latency_ms":` + s + `}`))
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("math/big refuses %s", s)
		}
		// Half away from zero is the floor of twice the number plus one, halved.
		want.Mul(want, big.NewRat(2000, 1)).Add(want, big.NewRat(1, 1))
		us := new(big.Int).Quo(want.Num(), want.Denom())
		us.Rsh(us, 1)
		if us.Cmp(big.NewInt(event.MaxInt)) > 0 {
			if err == nil {
				t.Fatalf("latency_ms %s = %v, want it refused", s, *e.Latency)
			}
			return
		}
		if err != nil || e.Latency.Microseconds() != us.Int64() {
			t.Fatalf("latency_ms %s: %v, %v, want %v us", s, e.Latency, err, us)
		}
	})
}
