package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fsck runs Tessera's checker over an exported tree. Its exit status is always
// zero, so the result is read from its output.
func fsck(t *testing.T, tree, vkey string) (ok bool, output string) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "vkey")
	if err := os.WriteFile(key, []byte(vkey), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "file://" + filepath.ToSlash(tree) + "/"
	out, err := exec.CommandContext(t.Context(), built.fsck, "--storage_url", url, "--public_key", key, "--origin", origin, "--ui=false", "--N=2").CombinedOutput()
	output = string(out)
	if err != nil {
		t.Fatalf("fsck: %v\n%s", err, output)
	}
	good, bad := strings.Contains(output, "Successfully fsck'd log"), strings.Contains(output, "fsck failed")
	if good == bad {
		t.Fatalf("fsck said neither or both of good and bad:\n%s", output)
	}
	return good, output
}

func TestFsck(t *testing.T) {
	for _, n := range []int{1, 256, 257, 100_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir, tree := newLog(t, n)
			ok, output := fsck(t, tree, vkey(t, dir))
			if !ok {
				t.Errorf("fsck refuses a log of %d records:\n%s", n, output)
			}
			size := fmt.Sprintf("size %d ", len(entries(t, dir)))
			if !strings.Contains(output, size) {
				t.Errorf("fsck has not checked a log of %s:\n%s", size, output)
			}
		})
	}
}

// TestFsckSeesTampering shows that TestFsck would fail if the tree were wrong.
func TestFsckSeesTampering(t *testing.T) {
	dir, tree := newLog(t, 600)
	key := vkey(t, dir)
	for _, file := range []string{"checkpoint", "tile/0/000", "tile/entries/001"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			name := filepath.Join(tree, filepath.FromSlash(file))
			sound, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			altered := append([]byte(nil), sound...)
			altered[len(altered)/2] ^= 1
			if err := os.WriteFile(name, altered, 0o600); err != nil {
				t.Fatal(err)
			}
			if ok, output := fsck(t, tree, key); ok {
				t.Errorf("fsck accepts an altered %s:\n%s", file, output)
			}
			if err := os.WriteFile(name, sound, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}
