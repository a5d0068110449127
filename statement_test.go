package audittrail_test

import (
	"errors"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/tlog"
)

func TestSignStatement(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true, Origin: "example.com/log"})
	logtest.Append(t, log, event.Event{Type: event.Prompt})
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as the writer, then as a reader
		signed, err := log.SignStatement("report", "1", "two")
		if err != nil {
			t.Fatal(err)
		}
		s, err := tlog.OpenStatement("report", signed, []string{keys[1].VKey}, "example.com/log")
		if err != nil || len(s.Lines) != 2 || s.Lines[1] != "two" {
			t.Errorf("OpenStatement = %v, %v", s, err)
		}
		if _, err := tlog.OpenStatement("report", signed, []string{keys[0].VKey}, ""); !errors.Is(err, tlog.ErrUnknownKey) {
			t.Errorf("OpenStatement with the retired key: error is %v, want ErrUnknownKey", err)
		}
		head, err := log.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := tlog.ReadCheckpoint(head)
		if err != nil {
			t.Fatal(err)
		}
		if root, err := log.Root(c.Size); err != nil || root != c.Root {
			t.Errorf("Root(%d) = %v, %v; want %v", c.Size, root, err, c.Root)
		}
		if _, err := log.Root(c.Size + 9); !errors.Is(err, audittrail.ErrNoRecord) {
			t.Errorf("Root beyond the tree: error is %v, want ErrNoRecord", err)
		}
		logtest.Close(t, log)
		if log, err = audittrail.Open(dir, audittrail.Options{ReadOnly: true}); err != nil {
			t.Fatal(err)
		}
	}
	logtest.Close(t, log)
	if _, err := log.SignStatement("report", "1"); !errors.Is(err, audittrail.ErrClosed) {
		t.Errorf("SignStatement of a closed log: error is %v, want ErrClosed", err)
	}
}
