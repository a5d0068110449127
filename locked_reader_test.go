package audittrail_test

import (
	"errors"
	"io/fs"
	"testing"

	"audittrail"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A reader that may not open the lock takes the log as having a writer, and
// reads; so does a reader that finds something else instead of a lock. Where
// locks are impossible, nobody writes.
func TestReaderThatMayNotOpenTheLock(t *testing.T) {
	for _, tt := range []struct {
		what   string
		err    error
		writer bool
	}{
		{"another user's", fs.ErrPermission, true},
		{"a link", &vfs.FileTypeError{Name: "dir/LOCK", Found: fs.ModeSymlink}, true},
		{"no locks", errors.ErrUnsupported, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			disk := vfs.NewMem()
			log := logtest.Open(t, "dir", onDisk(disk))
			logtest.Append(t, log, about("ann", "one"))
			logtest.Close(t, log)
			disk.Inject(func(op vfs.Op) error {
				if op.Kind == vfs.OpLocked {
					return tt.err
				}
				return nil
			})
			reader := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true}.With(audittrail.Seams{FS: disk}))
			defer logtest.Close(t, reader)
			s, err := reader.Stat(t.Context())
			if err != nil || s.Writer != tt.writer {
				t.Errorf("Stat = %+v, %v; want Writer %v", s, err, tt.writer)
			}
			wantStates(t, reader, map[uint64]record.State{0: record.Readable})
			wantIntact(t, reader)
		})
	}
}

func wantIntact(t *testing.T, log *audittrail.Log) {
	t.Helper()
	v, err := log.Verify(t.Context(), audittrail.VerifyOptions{})
	if err != nil || v.FindingCount != 0 {
		t.Errorf("Verify = %+v, %v; want nothing found", v, err)
	}
}
