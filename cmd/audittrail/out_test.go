package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestOutIsNotReplaced writes results to a device and through a link: neither
// becomes another file.
func TestOutIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", filepath.Join(dir, "audit"), "log", "-t", "prompt", "-p", "x")
	link := func(name, to string) string {
		name = filepath.Join(dir, name)
		if err := os.Symlink(to, name); err != nil {
			t.Skipf("a link cannot be made here: %v", err)
		}
		return name
	}
	device, toFile, dangling := link("device", os.DevNull), link("link", "target"), link("dangling", "nowhere")
	if err := os.WriteFile(filepath.Join(dir, "target"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{device, toFile} {
		mustRun(t, "--dir", filepath.Join(dir, "audit"), "checkpoint", "--out", name)
		if fi, err := os.Lstat(name); err != nil || fi.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s is a %v now, %v", filepath.Base(name), fi.Mode(), err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "target")); err != nil || string(text) == "old" {
		t.Errorf("the file that the link names has %q, %v", text, err)
	}
	if fi, err := os.Stat(os.DevNull); err != nil || fi.Mode().IsRegular() {
		t.Errorf("%s is a file now: %v, %v", os.DevNull, fi.Mode(), err)
	}
	mustRun(t, "--dir", filepath.Join(dir, "audit"), "checkpoint", "--out", dangling)
}
