package audittrail_test

import (
	"testing"

	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// TestStatBesideWriter has the writer continue whenever a reader opens the
// checkpoint, one opening after the other: no record is ever reported as
// missing.
func TestStatBesideWriter(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		log := logtest.Open(t, "dir", rolling(disk))
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "first"})
		if _, err := log.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		reader := logtest.Open(t, "dir", o)
		opened, went := 0, false
		disk.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpOpen || op.Name != "dir/tree/checkpoint" || went {
				return nil
			}
			if opened++; opened <= n {
				return nil
			}
			went = true
			for range 12 { // and rolls
				logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "while it looks"})
			}
			if _, err := log.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
			return nil
		})
		s, err := reader.Stat(t.Context())
		disk.Inject(nil)
		if err != nil || s.Beyond.Behind > 0 || s.Signed.Size > s.Records || len(s.Empty) > 0 || len(s.Beyond.Missing) > 0 {
			t.Errorf("opening %d: Stat = %+v, %v; want no record missing", n, s, err)
		}
		logtest.Close(t, reader)
		logtest.Close(t, log)
		if !went {
			if n == 0 {
				t.Error("Stat opened no checkpoint")
			}
			return
		}
	}
}
