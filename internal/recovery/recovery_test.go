package recovery_test

import (
	"crypto/sha256"
	"testing"

	"audittrail/internal/recovery"
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
			if good, err := recovery.CheckTree(t.Context(), files, c.size, c.root, full); good != c.want || err != nil {
				t.Errorf("%s, full %t: CheckTree() = %t, %v, want %t", c.name, full, good, err, c.want)
			}
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
}
