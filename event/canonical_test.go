package event_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/cjson"
)

// decodeClear reads a clear part as a record does.
func decodeClear(in []byte) (event.Event, error) {
	var e event.Event
	text := append(append([]byte("{"), in...), '}')
	d := cjson.NewDecoder(text)
	err := d.Object(func(key string) error {
		known, err := e.ClearMember(key, d)
		if !known {
			return &event.FieldError{Field: key, Problem: "unknown"}
		}
		return err
	})
	if err == nil {
		err = d.End()
	}
	return e, err
}

func TestRoundTrip(t *testing.T) {
	for _, want := range []event.Event{full(), kilobyte(), {Type: event.Prompt}} {
		if err := event.Canonicalize(&want); err != nil {
			t.Fatal(err)
		}
		got, err := decodeClear(event.AppendClear(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		digest := event.Digest(&want)
		for _, d := range []*[32]byte{nil, &digest} {
			back, err := event.DecodeContent(event.AppendContent(nil, &want, d), &got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d, back); diff != "" {
				t.Errorf("digest (-want +got):\n%s", diff)
			}
		}
		// What neither part has, the record has elsewhere.
		got.Time, got.RetentionClass = want.Time, want.RetentionClass
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
}
