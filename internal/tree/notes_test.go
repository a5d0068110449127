package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

func TestSetCheckpoint(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	if _, err := tr.Checkpoint(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Checkpoint before the first: error is %v, want fs.ErrNotExist", err)
	}
	for _, n := range []int{0, 300, 299} {
		fill(t, tr, n)
		signed := sign(t, n)
		if err := tr.SetCheckpoint(signed); err != nil {
			t.Fatal(err)
		}
		if got, err := tr.Checkpoint(); err != nil || !bytes.Equal(got, signed) {
			t.Errorf("Checkpoint = %q, %v; want %q", got, err, signed)
		}
	}
	if err := tr.SetCheckpoint(sign(t, 301)); !errors.Is(err, tree.ErrBeyond) {
		t.Errorf("SetCheckpoint past the end: error is %v, want ErrBeyond", err)
	}
	s, _ := signer(t)
	other, err := tlog.Sign(tlog.Checkpoint{Origin: origin, Size: 300, Root: tlog.Hash{1}}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.SetCheckpoint(other); err == nil {
		t.Error("SetCheckpoint of another tree: no error")
	}
	if err := tr.SetCheckpoint([]byte("x")); !errors.Is(err, tlog.ErrMalformed) {
		t.Errorf("SetCheckpoint(x): error is %v, want ErrMalformed", err)
	}
}

func TestSigners(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	if got, err := tr.Signers(); err != nil || got != nil {
		t.Errorf("Signers of a new tree = %q, %v", got, err)
	}
	want := [][]byte{[]byte("one\n12\n"), []byte("two"), bytes.Repeat([]byte("3"), tlog.MaxRotation)}
	for _, n := range want {
		for range 2 { // as after a crash between adding it and noting that
			if err := tr.AppendSigner(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := tr.Signers(); err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("Signers = %q, %v; want %q", got, err, want)
	}
	for _, n := range [][]byte{nil, make([]byte, tlog.MaxRotation+1)} {
		if err := tr.AppendSigner(n); err == nil {
			t.Errorf("AppendSigner of %d bytes: no error", len(n))
		}
	}
}

func TestSignersMalformed(t *testing.T) {
	for _, in := range []string{"1", "\n", "0\n", "01\na", "+1\na", "-1\na", " 1\na", "2\na", "1\nab", "8193\n", "99999999999999999999\n"} {
		fsys := newFS(t)
		tr := open(t, fsys)
		writeSigners(t, fsys, []byte(in))
		if got, err := tr.Signers(); !errors.Is(err, tree.ErrMalformed) {
			t.Errorf("Signers of %q = %q, %v; want ErrMalformed", in, got, err)
		}
		if err := tr.AppendSigner([]byte("a")); !errors.Is(err, tree.ErrMalformed) {
			t.Errorf("AppendSigner to %q: error is %v, want ErrMalformed", in, err)
		}
	}
}

func writeSigners(t *testing.T, fsys vfs.FS, b []byte) {
	t.Helper()
	if err := vfs.WriteFile(fsys, filepath.Join(dir, "signers"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzSigners(f *testing.F) {
	f.Add([]byte("3\none3\ntwo"))
	f.Add([]byte("10\n0123456789"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fsys := newFS(t)
		tr := open(t, fsys)
		writeSigners(t, fsys, in)
		notes, err := tr.Signers()
		if err != nil {
			return
		}
		var again []byte
		for _, n := range notes {
			again = fmt.Appendf(again, "%d\n%s", len(n), n)
		}
		if !bytes.Equal(again, in) {
			t.Errorf("Signers accepted %q, which is %q", in, again)
		}
	})
}
