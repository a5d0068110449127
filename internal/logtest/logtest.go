// Package logtest opens, fills and closes logs in tests. A failure ends the test.
package logtest

import (
	"testing"

	"audittrail"
	"audittrail/event"
)

// New creates a log in a folder of its own, and closes it when the test ends.
func New(t testing.TB) *audittrail.Log {
	t.Helper()
	return Open(t, t.TempDir(), audittrail.Options{Create: true})
}

// Open opens the log in dir, and closes it when the test ends, if the test has
// not done so.
func Open(t testing.TB, dir string, o audittrail.Options) *audittrail.Log {
	t.Helper()
	log, err := audittrail.Open(dir, o)
	if err != nil {
		t.Fatalf("Open(%s) = %v", dir, err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return log
}

// Close closes a log.
func Close(t testing.TB, log *audittrail.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
}

// Append appends an event.
func Append(t testing.TB, log *audittrail.Log, e event.Event) audittrail.Receipt {
	t.Helper()
	r, err := log.Append(t.Context(), e)
	if err != nil {
		t.Fatalf("Append() = %v", err)
	}
	return r
}

// AppendBatch appends events together.
func AppendBatch(t testing.TB, log *audittrail.Log, events ...event.Event) []audittrail.Receipt {
	t.Helper()
	r, err := log.AppendBatch(t.Context(), events)
	if err != nil {
		t.Fatalf("AppendBatch() = %v", err)
	}
	return r
}
