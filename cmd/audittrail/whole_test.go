package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWriteWhole checks that no file that appears meanwhile is overwritten, and
// that no file remains if the disk is full or the write is interrupted.
func TestWriteWhole(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(t *testing.T, name string, f *os.File) error
		says  string
		left  string // the content of the file afterwards
	}{
		{"done", func(*testing.T, string, *os.File) error { return nil }, "", "half"},
		{"appears", func(t *testing.T, name string, _ *os.File) error {
			return os.WriteFile(name, []byte("somebody else's"), 0o600)
		}, "the file exists already", "somebody else's"},
		{"full disk", func(*testing.T, string, *os.File) error { return syscall.ENOSPC }, "no space left", ""},
		{"interrupted", func(*testing.T, string, *os.File) error { return context.Canceled }, "canceled", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "out")
			err := writeWhole(name, func(f *os.File) error {
				_, err := f.WriteString("half")
				return errors.Join(err, c.write(t, name, f))
			})
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("writeWhole = %v, want %q", err, c.says)
			}
			got, err := os.ReadFile(name)
			if string(got) != c.left || errors.Is(err, os.ErrNotExist) != (c.left == "") {
				t.Errorf("the file holds %q, %v, want %q", got, err, c.left)
			}
			names, err := os.ReadDir(dir)
			if want := min(1, len(c.left)); len(names) != want || err != nil {
				t.Errorf("%d files are left, %v, want %d", len(names), err, want)
			}
		})
	}
}
