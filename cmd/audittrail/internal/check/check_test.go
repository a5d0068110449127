package check_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"audittrail"
	"audittrail/cmd/audittrail/internal/check"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/tlog"
)

// A line is checked with a proof and a key, and fails with another of each.
func TestInclusion(t *testing.T) {
	log := logtest.Open(t, t.TempDir(), audittrail.Options{Create: true, Origin: "example.com/log"})
	var lines, proofs [2][]byte
	for i := range lines {
		logtest.Append(t, log, event.Event{Type: event.Feedback, Category: fmt.Sprint(i)})
	}
	for i := range lines {
		r, err := log.Get(t.Context(), uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = append(r.Line(), '\n')
		if proofs[i], err = log.Prove(t.Context(), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	vkeys := []string{keys[0].VKey}
	line, tail, err := check.Line(lines[1])
	if err == nil {
		err = check.Hash(line, &tail)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := check.Inclusion(vkeys, &tail, proofs[1])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := check.InLog(tail.Seq, p), "this is record 1 of the log example.com/log,\nas its signed checkpoint over 2 records has it"; got != want {
		t.Errorf("InLog = %q, want %q", got, want)
	}
	if _, err := check.Inclusion(vkeys, &tail, proofs[0]); err == nil {
		t.Error("Inclusion with the proof of another record: no error")
	}
	if _, err := check.Inclusion(nil, &tail, proofs[1]); !errors.Is(err, tlog.ErrUnknownKey) {
		t.Errorf("Inclusion without a key: %v, want ErrUnknownKey", err)
	}
	changed, tail, err := check.Line(bytes.Replace(lines[1], []byte("feedback"), []byte("Feedback"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := check.Hash(changed, &tail); !errors.Is(err, check.ErrAltered) {
		t.Errorf("Hash of a changed line: %v, want ErrAltered", err)
	}
	for _, bad := range []string{"", "nothing", string(lines[0]) + string(lines[1])} {
		if _, _, err := check.Line([]byte(bad)); !errors.Is(err, check.ErrLine) {
			t.Errorf("Line(%.20q): %v, want ErrLine", bad, err)
		}
	}
}
