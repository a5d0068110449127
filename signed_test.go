package audittrail_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// withoutTree removes the tree's files of a log of several segments, and alters
// the hash in one of its lines.
func withoutTree(t *testing.T, seq int) *vfs.Mem {
	t.Helper()
	disk, _ := derivedLog(t)
	for _, name := range []string{"entries", "0", "1"} {
		remove(t, disk, "tree/"+name)
	}
	edit(t, disk, "log/"+firstSegment, func(b []byte) []byte {
		l := lines(b)
		digit := bytes.LastIndex(l[seq], []byte(`","hash":"`)) + len(`","hash":"`)
		if l[seq][digit] == '0' {
			l[seq][digit] = '1'
		} else {
			l[seq][digit] = '0'
		}
		return bytes.Join(l, nil)
	})
	return disk
}

// TestReadBesideAlteredHash alters the hash in a line, in a log without a tree:
// the signed hash follows from the next line, and the other records are read
// and proven as before.
func TestReadBesideAlteredHash(t *testing.T) {
	const altered = 3
	disk := withoutTree(t, altered)
	o := derivedOptions(disk)
	o.ReadOnly, o.Create = true, false
	log := logtest.Open(t, "dir", o)
	for _, seq := range []uint64{0, 2, 4, 300, derivedSize - 1} {
		if r, err := log.Get(t.Context(), seq); err != nil || r.State != record.Readable {
			t.Errorf("Get(%d) = %+v, %v, want it readable", seq, r, err)
		}
		if _, err := log.Prove(t.Context(), seq); err != nil {
			t.Errorf("Prove(%d) = %v", seq, err)
		}
	}
	var tamper *record.TamperError
	if _, err := log.Get(t.Context(), altered); !errors.As(err, &tamper) {
		t.Errorf("Get(%d) = %v, want a TamperError", altered, err)
	}
	logtest.Close(t, log)
}

// TestReadErrorBesideAlteredHash fails each read of such a log once: a record
// that was not altered is not called altered because of that.
func TestReadErrorBesideAlteredHash(t *testing.T) {
	start := withoutTree(t, 3)
	for n := int64(1); ; n++ {
		disk := start.Clone()
		o := derivedOptions(disk)
		o.ReadOnly, o.Create = true, false
		var reads atomic.Int64
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasPrefix(op.Name, "dir/log/") && reads.Add(1) == n {
				return syscall.EIO
			}
			return nil
		})
		log, err := audittrail.Open("dir", o)
		if err == nil {
			for _, seq := range []uint64{4, 300} {
				if _, gerr := log.Get(t.Context(), seq); gerr != nil {
					err = errors.Join(err, gerr)
				}
				if _, perr := log.Prove(t.Context(), seq); perr != nil {
					err = errors.Join(err, perr)
				}
			}
			logtest.Close(t, log)
		}
		var tamper *record.TamperError
		if err != nil && !errors.Is(err, syscall.EIO) || errors.As(err, &tamper) {
			t.Errorf("read %d: %v, want that of the disk", n, err)
		}
		if reads.Load() < n {
			return
		}
	}
}

// TestSignedMeanwhile has a writer erase somebody, and sign that, at each
// operation of a reader that looks for the end of the log: a record that
// authenticated before and was signed since is never unauthenticated.
func TestSignedMeanwhile(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, about("bob", "0"))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(disk)
	logtest.Append(t, log, about("ann", "1"))
	logtest.Append(t, log, about("bob", "2"))
	before := disk.KillOnly()
	sign()
	erase(t, log, "ann")
	logtest.Close(t, log)
	var after []func(to *vfs.Mem) error
	for _, dir := range []string{"dir/log", "dir/tree", "dir/keys"} {
		for _, name := range dirNames(t, disk, dir) {
			b, err := vfs.ReadFile(disk, dir+"/"+name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			after = append(after, func(to *vfs.Mem) error { return vfs.WriteFile(to, dir+"/"+name, b, 0o600) })
		}
	}
	for n := int64(1); ; n++ {
		now := before.Clone()
		o := onDisk(now)
		o.ReadOnly, o.Create = true, false
		reader := logtest.Open(t, "dir", o)
		var ops atomic.Int64
		now.Inject(func(vfs.Op) error {
			if ops.Add(1) != n {
				return nil
			}
			for _, put := range after {
				if err := put(now); err != nil {
					return err
				}
			}
			return nil
		})
		b, err := reader.Beyond(t.Context())
		if err != nil || b.Records > 0 || b.Behind > 0 || b.Size < 3 {
			t.Errorf("at operation %d: %+v, %v, want nothing beyond", n, b, err)
		}
		logtest.Close(t, reader)
		if ops.Load() < n {
			return
		}
	}
}
