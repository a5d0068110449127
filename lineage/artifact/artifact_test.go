package artifact_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"audittrail/lineage/artifact"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree makes a folder whose files are in another order by path than by folder.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/x": "one", "a-b/x": "two", "a.txt": "", "z/é/deep": "four", "B": "five",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFile(t *testing.T) {
	text := strings.Repeat("weights", 300_000)
	name := filepath.Join(t.TempDir(), "model.bin")
	write(t, name, text)
	s256, s384, s512 := sha256.Sum256([]byte(text)), sha512.Sum384([]byte(text)), sha512.Sum512([]byte(text))
	for algorithm, want := range map[string]string{
		"":       "sha256:" + hex.EncodeToString(s256[:]),
		"sha256": "sha256:" + hex.EncodeToString(s256[:]),
		"sha384": "sha384:" + hex.EncodeToString(s384[:]),
		"sha512": "sha512:" + hex.EncodeToString(s512[:]),
	} {
		var last uint64
		got, err := artifact.Digest(t.Context(), name, algorithm, func(done, total uint64) {
			if done < last || done > total || total != uint64(len(text)) {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		})
		if err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", algorithm, got, err, want)
		}
		if last != uint64(len(text)) {
			t.Errorf("progress ended at %d, want %d", last, len(text))
		}
	}
}

// TestFolder compares with the command that the page on the format gives.
func TestFolder(t *testing.T) {
	dir := tree(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.txt", filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "lineage.md"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^cd FOLDER && .*$`).FindString(string(page))
	if _, err := exec.LookPath("sha256sum"); err != nil && os.Getenv("CI") == "" {
		t.Skipf("this test runs what the documentation tells people to run with sha256sum: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "FOLDER", "'"+dir+"'", 1)).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	want := "dir-sha256:" + strings.Fields(string(out))[0]
	for _, name := range []string{dir, link} {
		var done, total uint64
		got, err := artifact.Digest(t.Context(), name, "", func(d, of uint64) { done, total = d, of })
		if err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		if done != 14 || total != 14 {
			t.Errorf("progress ended at %d of %d, want 14", done, total)
		}
	}
	write(t, filepath.Join(dir, "a", "x"), "On")
	if got, err := artifact.Digest(t.Context(), dir, artifact.Folder, nil); err != nil || got == want {
		t.Errorf("after a change: %s, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	dir := tree(t)
	file := filepath.Join(dir, "B")
	with := func(make func(dir string) error) string {
		dir := tree(t)
		if err := make(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct{ what, name, algorithm, want string }{
		{"nothing there", filepath.Join(dir, "nope"), "", "no such file"},
		{"a folder for a file", dir, "sha256", "is a folder, and sha256 is of a file"},
		{"a file for a folder", file, artifact.Folder, "is a file, and dir-sha256 is of a folder"},
		{"another algorithm", file, "md5", "unknown algorithm md5"},
		{"a device", os.DevNull, "", "neither a file nor a folder"},
		{"a link to a folder", with(func(d string) error { return os.Symlink("a", filepath.Join(d, "b")) }), "", "b is a link to a folder"},
		{"a link to nothing", with(func(d string) error { return os.Symlink("gone", filepath.Join(d, "b")) }), "", "no such file"},
		{"a link to itself", with(func(d string) error { return os.Symlink("b", filepath.Join(d, "b")) }), "", "too many"},
		{"a device in it", with(func(d string) error { return os.Symlink(os.DevNull, filepath.Join(d, "b")) }), "", "b is neither"},
		{"a line feed in a name", with(func(d string) error { return os.WriteFile(filepath.Join(d, "a\nb"), nil, 0o644) }), "", `"a\nb" is not allowed in a manifest`},
		{"a backslash in a name", with(func(d string) error { return os.WriteFile(filepath.Join(d, `a\b`), nil, 0o644) }), "", "rename it"},
		{"a name that is no UTF-8", with(func(d string) error { return os.WriteFile(filepath.Join(d, "a\xff"), nil, 0o644) }), "", "rename it"},
	} {
		if got, err := artifact.Digest(t.Context(), c.name, c.algorithm, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v; want %q", c.what, got, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{dir, file} {
		if _, err := artifact.Digest(ctx, name, "", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	}
}
