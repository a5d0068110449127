package event_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

// The vectors are permanent: every later version must read and write them in
// the same way. -update fills in what new ones lack.
var update = flag.Bool("update", false, "fill in the golden vectors that have no results yet")

const vectorDir = "../testdata/vectors/event"

// An accepted vector is an event as it was sent, and its canonical forms.
type acceptedVector struct {
	Name    string `json:"name"`
	Edge    string `json:"edge,omitempty"`  // the edge form, as a producer sent it
	Plain   string `json:"plain,omitempty"` // or a plain logger's line
	JSON    string `json:"json"`            // the edge form, as it is written
	Clear   string `json:"clear"`
	Content string `json:"content"`
	Digest  string `json:"digest"` // hexadecimal; not part of content here
}

// A refusedVector has bytes that a decoder must refuse.
type refusedVector struct {
	Name string `json:"name"`
	Form string `json:"form"` // edge, plain, clear, content or time
	In   string `json:"in,omitempty"`
	Hex  string `json:"hex,omitempty"` // instead of In, if that is not UTF-8
}

type timeVector struct {
	Seconds int64  `json:"seconds"` // since 1970
	Nanos   int64  `json:"nanos"`
	Text    string `json:"text"`
}

func readVectors(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func (v *acceptedVector) event(t *testing.T) event.Event {
	t.Helper()
	if v.Edge != "" {
		e, err := event.ParseJSON([]byte(v.Edge))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e, plain, err := event.ParsePlain([]byte(v.Plain))
	if err != nil || !plain {
		t.Fatalf("ParsePlain: %v, %v", plain, err)
	}
	return e
}

func TestVectorsAccepted(t *testing.T) {
	var vectors []acceptedVector
	readVectors(t, "accepted.json", &vectors)
	for i := range vectors {
		v := &vectors[i]
		t.Run(v.Name, func(t *testing.T) {
			e := v.event(t)
			digest := event.Digest(&e)
			got := *v
			got.JSON = string(event.AppendJSON(nil, &e))
			got.Clear = string(event.AppendClear(nil, &e))
			got.Content = string(event.AppendContent(nil, &e, nil))
			got.Digest = hex.EncodeToString(digest[:])
			if *update && v.Digest == "" {
				*v = got
			}
			if diff := cmp.Diff(*v, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			roundTrip(t, e)
		})
	}
	if *update {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(vectors); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(vectorDir, "accepted.json"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVectorsRefused(t *testing.T) {
	var vectors []refusedVector
	readVectors(t, "refused.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Form+"/"+v.Name, func(t *testing.T) {
			in := []byte(v.In)
			if v.Hex != "" {
				var err error
				if in, err = hex.DecodeString(v.Hex); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			switch v.Form {
			case "edge":
				_, err = event.ParseJSON(in)
			case "plain":
				var plain bool
				if _, plain, err = event.ParsePlain(in); !plain {
					t.Fatal("no plain line")
				}
			case "clear":
				var e event.Event
				if e, err = decodeClear(in); err == nil && !bytes.Equal(event.AppendClear(nil, &e), in) {
					return
				}
			case "content":
				_, err = event.DecodeContent(in, new(event.Event))
			case "time":
				_, err = event.ParseTime(v.In)
			default:
				t.Fatalf("unknown form %q", v.Form)
			}
			if err == nil {
				t.Errorf("accepted %q", in)
			}
		})
	}
}

func TestVectorsTime(t *testing.T) {
	var vectors []timeVector
	readVectors(t, "time.json", &vectors)
	for _, v := range vectors {
		want := time.Unix(v.Seconds, v.Nanos).UTC()
		if got := string(event.AppendTime(nil, want)); got != v.Text {
			t.Errorf("AppendTime(%v) = %s, want %s", want, got, v.Text)
		}
		if got, err := event.ParseTime(v.Text); err != nil || got != want {
			t.Errorf("ParseTime(%s) = %v, %v, want %v", v.Text, got, err, want)
		}
	}
}
