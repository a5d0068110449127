package governance_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// A vector has the details of one record, and the type of the record.
type vector struct {
	Type    event.Type                 `json:"type"`
	Details map[string]json.RawMessage `json:"metadata"`
}

// read reads details of a type and returns them encoded again.
func read(kind event.Type, m map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	switch kind {
	case event.SubjectErased:
		e, err := governance.ReadErasure(m)
		if err != nil {
			return nil, err
		}
		return e.Metadata()
	case event.ClassExpired:
		e, err := governance.ReadExpiry(m)
		if err != nil {
			return nil, err
		}
		return e.Metadata()
	case event.HoldPlaced:
		h, err := governance.ReadHold(m)
		if err != nil {
			return nil, err
		}
		return h.Metadata()
	default:
		r, err := governance.ReadRelease(m)
		if err != nil {
			return nil, err
		}
		return r.Metadata()
	}
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "administration.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Accepted, Refused []vector }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Accepted) < 4 || len(all.Refused) < 4 {
		t.Fatalf("%d and %d vectors", len(all.Accepted), len(all.Refused))
	}
	for _, v := range all.Accepted {
		again, err := read(v.Type, v.Details)
		if diff := cmp.Diff(v.Details, again); err != nil || diff != "" {
			t.Errorf("%s %s: %v\n%s", v.Type, v.Details, err, diff)
		}
	}
	for _, v := range all.Refused {
		if _, err := read(v.Type, v.Details); !errors.Is(err, governance.ErrFormat) {
			t.Errorf("%s %s: %v, want ErrForm", v.Type, v.Details, err)
		}
	}
}

var members = map[event.Type]string{
	event.SubjectErased: "erasure", event.ClassExpired: "expiry", event.HoldPlaced: "hold", event.HoldReleased: "release",
}

func FuzzDetails(f *testing.F) {
	types := []event.Type{event.SubjectErased, event.ClassExpired, event.HoldPlaced, event.HoldReleased}
	for i, s := range []string{
		`{"reason":"r","subjects":["00000000000000000000000000000001"]}`,
		`{"classes":["standard/2026-11"],"reason":"r"}`,
		`{"end":"2026-12-01T00:00:00.000000000Z","reason":"r"}`,
		`{"hold":"0192d5e0-7e2a-7cc3-98c4-dc0c0c07398f"}`,
	} {
		f.Add(byte(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		typ := types[int(kind)%len(types)]
		again, err := read(typ, map[string]json.RawMessage{members[typ]: in})
		if err == nil && string(again[members[typ]]) != string(in) {
			t.Errorf("%s: read accepts %q, writing gives %q", typ, in, again[members[typ]])
		}
	})
}

func TestHoldMatches(t *testing.T) {
	noon := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	r := &record.Record{Class: "standard/2026-11"}
	r.Event.ModelID, r.Event.Time = "gpt-4", noon
	ann := func(u string) bool { return u == "ann" }
	for name, test := range map[string]struct {
		hold governance.Hold
		want bool
	}{
		"no condition":     {governance.Hold{}, true},
		"user":             {governance.Hold{User: "ann"}, true},
		"another user":     {governance.Hold{User: "bob"}, false},
		"model":            {governance.Hold{Model: "gpt-4"}, true},
		"part of a model":  {governance.Hold{Model: "gpt"}, false},
		"class":            {governance.Hold{Class: "standard"}, true},
		"month":            {governance.Hold{Class: "standard/2026-11"}, true},
		"another month":    {governance.Hold{Class: "standard/2026-12"}, false},
		"part of a class":  {governance.Hold{Class: "stand"}, false},
		"start, inclusive": {governance.Hold{Start: noon}, true},
		"start later":      {governance.Hold{Start: noon.Add(1)}, false},
		"end, exclusive":   {governance.Hold{End: noon}, false},
		"end later":        {governance.Hold{End: noon.Add(1)}, true},
		"one of two":       {governance.Hold{User: "ann", Model: "other"}, false},
		"both":             {governance.Hold{User: "ann", Model: "gpt-4"}, true},
		"unreadable":       {governance.Hold{Unreadable: true, User: "bob"}, true},
	} {
		if got := test.hold.Matches(r, ann); got != test.want {
			t.Errorf("%s: Matches = %v, want %v", name, got, test.want)
		}
	}
}

func TestHoldCheck(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	for name, h := range map[string]governance.Hold{
		"no reason":         {},
		"blank reason":      {Reason: " \n"},
		"a class":           {Reason: "r", Class: "Standard"},
		"a month":           {Reason: "r", Class: "standard/2026-13"},
		"an empty span":     {Reason: "r", Start: now, End: now},
		"a long model":      {Reason: "r", Model: string(make([]byte, 200))},
		"a user of no text": {Reason: "r", User: "\xff"},
		"a far year":        {Reason: "r", End: now.AddDate(9000, 0, 0)},
	} {
		var field *event.FieldError
		if err := h.Check(); !errors.As(err, &field) {
			t.Errorf("%s: Check = %v, want a FieldError", name, err)
		}
	}
	if err := (&governance.Hold{Reason: "r", User: "u", Model: "m", Class: "standard/2026-11", Start: now, End: now.Add(1)}).Check(); err != nil {
		t.Error(err)
	}
}

// TestHoldsOfNewerForm applies holds and releases with a member that this
// program does not know: a hold keeps everything, and a release releases
// nothing.
func TestHoldsOfNewerForm(t *testing.T) {
	var holds governance.Holds
	take := func(seq uint64, kind event.Type, name, details string) {
		t.Helper()
		r := &record.Record{ID: record.ID{6: 0x40, 8: 0x80, 15: byte(seq)}}
		r.Seq, r.Event.Type = seq, kind
		r.Event.Metadata = map[string]json.RawMessage{name: json.RawMessage(details)}
		if err := holds.Take(r, true); err != nil {
			t.Fatal(err)
		}
	}
	take(0, event.HoldPlaced, "hold", `{"model_id":"gpt-4","reason":"r"}`)
	take(1, event.HoldPlaced, "hold", `{"model_id":"gpt-4","reason":"r","region":"eu"}`)
	all := holds.Active()
	if len(all) != 2 || all[0].Unreadable || !all[1].Unreadable {
		t.Fatalf("Active() = %+v, want the second to be unreadable", all)
	}
	other := &record.Record{Class: "standard/2026-11"}
	other.Event.ModelID = "another"
	if nobody := func(string) bool { return false }; all[0].Matches(other, nobody) || !all[1].Matches(other, nobody) {
		t.Error("the unreadable hold does not keep everything, or the other one does")
	}
	take(2, event.HoldReleased, "release", `{"hold":"`+all[0].ID+`","until":"x"}`)
	if n := len(holds.Active()); n != 2 {
		t.Errorf("%d holds after a release that is not understood, want 2", n)
	}
	take(3, event.HoldReleased, "release", `{"hold":"`+all[0].ID+`"}`)
	if n := len(holds.Active()); n != 1 {
		t.Errorf("%d holds after a release, want 1", n)
	}
}
