package fileid_test

import (
	"os"
	"path/filepath"
	"testing"

	"audittrail/cmd/audittrail/internal/fileid"
)

func of(t *testing.T, path string) string {
	t.Helper()
	id, err := fileid.Of(path)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func TestOf(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(a, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := of(t, a)
	if err := os.WriteFile(a, []byte("two, in the same file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := of(t, a); got != first {
		t.Errorf("after it was written again: %s, want %s", got, first)
	}
	if err := os.Rename(a, b); err != nil {
		t.Fatal(err)
	}
	if got := of(t, b); got != first {
		t.Errorf("under another name: %s, want %s", got, first)
	}
	if err := os.WriteFile(a, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := of(t, a); got == first {
		t.Errorf("another file under the old name has its ID, %s", got)
	}
	if _, err := fileid.Of(filepath.Join(dir, "c")); err == nil {
		t.Error("Of(no file) succeeded")
	}
}
