package audittrail_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

func disclosure(t testing.TB) string {
	t.Helper()
	log := logtest.New(t)
	for _, prompt := range []string{"zero", "one"} {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: prompt})
	}
	d, err := log.Disclose(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	return string(b)
}

func TestDisclosure(t *testing.T) {
	good := disclosure(t)
	r, err := record.CheckDisclosure([]byte(good))
	if err != nil || r.Event.Prompt != "one" || r.Event.UserID != "u" {
		t.Fatalf("CheckDisclosure() = %+v, %v", r, err)
	}
	var parts struct{ Key, Line string }
	if err := json.Unmarshal([]byte(good), &parts); err != nil {
		t.Fatal(err)
	}
	other := parts.Key[:4] + "AAAA" + parts.Key[8:]
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"another key":    {strings.Replace(good, parts.Key, other, 1), record.ErrWrongKey},
		"no JSON":        {"x", record.ErrDisclosure},
		"another field":  {`{"v":1,"kee":""}`, record.ErrDisclosure},
		"another form":   {strings.Replace(good, `"v":1`, `"v":2`, 1), record.ErrDisclosure},
		"key too short":  {strings.Replace(good, parts.Key, parts.Key[:8], 1), record.ErrDisclosure},
		"no record line": {`{"v":1,"key":"` + parts.Key + `","line":"x"}`, record.ErrFormat},
	} {
		if _, err := record.CheckDisclosure([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// One letter of the line is changed: the hash no longer matches.
	forged := strings.Replace(good, `\"seq\":1`, `\"seq\":7`, 1)
	if _, err := record.CheckDisclosure([]byte(forged)); !errors.Is(err, record.ErrHash) {
		t.Errorf("forged: %v, want ErrHash", err)
	}
}

func FuzzDisclosure(f *testing.F) {
	f.Add([]byte(disclosure(f)))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := record.CheckDisclosure(in)
		if err == nil && (r == nil || r.State != record.Readable) {
			t.Errorf("accepted %q as %+v", in, r)
		}
	})
}
