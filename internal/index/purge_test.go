package index_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/keyring"
)

// TestPurgeUnknown has an index that does not know its blocks: Purge must not
// claim to have purged them.
func TestPurgeUnknown(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, p *pair, dir string){
		"before it is attached": func(*testing.T, *pair, string) {},
		"it could not be attached": func(t *testing.T, p *pair, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "index"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.x.Attach(); err == nil {
				t.Error("Attach = nil, of a folder that is a file")
			}
		},
		"it is closed": func(t *testing.T, p *pair, _ string) {
			if err := p.x.Attach(); err != nil {
				t.Fatal(err)
			}
			if err := p.x.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := openPair(t, dir, audittrail.Options{Create: true, NoIndex: true}, index.Options{})
			end(t, p, dir)
			if drop, err := p.x.Purge(t.Context(), keyring.Destruction{}); err == nil {
				t.Errorf("Purge = %v, want an error, so that all keys go", drop)
			}
			p.close(t)
		})
	}
}

// TestPurgeGivenUp has a block that is damaged, and was dropped: its key is
// destroyed with the next erasure, since somebody may have an intact copy of
// the block.
func TestPurgeGivenUp(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	p.append(t, 0, 2000)
	p.close(t)
	name := blockFiles(t, dir)[0]
	raw, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(name), ".block"))
	if err != nil {
		t.Fatal(err)
	}
	p = openPair(t, dir, audittrail.Options{}, index.Options{})
	damaged, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 64; i < len(damaged)-64; i += 16 {
		damaged[i] ^= 1
	}
	if err := os.WriteFile(name, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	hold(t, p) // which finds it
	if _, err := os.Stat(name); err == nil {
		t.Fatal("the damaged block is still there: this test looks at nothing")
	}
	if _, err := p.x.FileKey(keyring.FileID(raw)); err != nil {
		t.Fatalf("the key of the damaged block: %v; this test looks at nothing", err)
	}
	drop, err := p.x.Purge(t.Context(), keyring.Destruction{})
	if err != nil || !slices.Contains(drop, keyring.FileID(raw)) {
		t.Errorf("Purge = %d keys, %v, without that of the block that was given up", len(drop), err)
	}
	p.close(t)
}
