package audittrail_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"audittrail"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// TestCheckTree compares the root of a tree's files with the one that was signed,
// in full and by the hashes of its largest subtrees alone.
func TestCheckTree(t *testing.T) {
	const size = 5
	files, err := tree.Open(vfs.NewMem(), "tree", false)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([][32]byte, size)
	var r tlog.Range
	for i := range entries {
		entries[i] = sha256.Sum256([]byte{byte(i)})
		r.Append(tlog.LeafHash(entries[i]), func(int, tlog.Hash) {})
	}
	if err := files.Append(entries); err != nil {
		t.Fatal(err)
	}
	for _, full := range []bool{false, true} {
		for _, c := range []struct {
			name string
			size uint64
			root tlog.Hash
			want bool
		}{
			{"the root", size, r.Root(), true},
			{"another root", size, tlog.Hash{1}, false},
			{"more than there is", size + 1, r.Root(), false},
		} {
			if good, err := audittrail.CheckTree(t.Context(), files, c.size, c.root, full); good != c.want || err != nil {
				t.Errorf("%s, full %t: CheckTree() = %t, %v, want %t", c.name, full, good, err, c.want)
			}
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointErrorSays names whichever is to be replaced: the keyring, or the
// checkpoint.
func TestCheckpointErrorSays(t *testing.T) {
	const repair = "'doctor --repair'"
	for want, err := range map[string]*audittrail.CheckpointError{
		"name this log's own keyring":                 {Claimed: 5, Signed: 9, Err: tlog.ErrOrigin},
		"signers of the log that it does not know":    {Claimed: 5, Signed: 3, Older: true, Err: tlog.ErrUnknownKey},
		"it covers record 3, which does not open":     {Claimed: 5, Signed: 3, Unopened: 4, Err: tlog.ErrBadSignature},
		repair + " checks the log against what":       {Claimed: 5, Signed: 3, Err: tlog.ErrBadSignature},
		"it covers 5 records, and this keyring knows": {Claimed: 5, Signed: 3, Err: tlog.ErrBadSignature},
	} {
		got := err.Error()
		if !strings.Contains(got, want) {
			t.Errorf("%+v says %q, want %q", *err, got, want)
		}
		if (err.Older || errors.Is(err, tlog.ErrOrigin)) && strings.Contains(got, repair) {
			t.Errorf("%+v says %q: it is the keyring that is to be replaced", *err, got)
		}
	}
}
