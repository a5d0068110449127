package index_test

import (
	"context"
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

// openFollowed opens a log, and an index that is not attached to it yet.
func openFollowed(t *testing.T, dir string) (*pair, func(context.Context, audittrail.Doomed) ([]keyring.FileID, error)) {
	t.Helper()
	x := index.New(filepath.Join(dir, "index"), index.Options{Write: true, BlockRows: 64})
	o := x.Options(audittrail.Options{Create: true})
	log, err := audittrail.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{log, x}, o.Purge
}

// TestPurgeUnknown has an index that does not know what blocks there are: it
// must not say that it has purged them.
func TestPurgeUnknown(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, p *pair, dir string){
		"before it is attached": func(*testing.T, *pair, string) {},
		"it could not be attached": func(t *testing.T, p *pair, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "index"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.x.Attach(p.Log); err == nil {
				t.Error("Attach = nil, of a folder that is a file")
			}
		},
		"it is closed": func(t *testing.T, p *pair, _ string) {
			if err := p.x.Attach(p.Log); err != nil {
				t.Fatal(err)
			}
			if err := p.x.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, purge := openFollowed(t, dir)
			end(t, p, dir)
			if drop, err := purge(t.Context(), audittrail.Doomed{}); err == nil {
				t.Errorf("Purge = %v, want an error, so that all keys go", drop)
			}
			p.close(t)
		})
	}
}

// TestPurgeGivenUp has a block that is damaged, and was given up: its key goes
// with the next who is forgotten, since there may be a whole copy of it.
func TestPurgeGivenUp(t *testing.T) {
	dir := t.TempDir()
	p, _ := openFollowed(t, dir)
	if err := p.x.Attach(p.Log); err != nil {
		t.Fatal(err)
	}
	p.append(t, 0, 2000)
	p.close(t)
	name := blockFiles(t, dir)[0]
	raw, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(name), ".block"))
	if err != nil {
		t.Fatal(err)
	}
	p, purge := openFollowed(t, dir)
	if err := p.x.Attach(p.Log); err != nil {
		t.Fatal(err)
	}
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
	if _, err := p.FileKey(keyring.FileID(raw)); err != nil {
		t.Fatalf("the key of the damaged block: %v; this test looks at nothing", err)
	}
	drop, err := purge(t.Context(), audittrail.Doomed{})
	if err != nil || !slices.Contains(drop, keyring.FileID(raw)) {
		t.Errorf("Purge = %d keys, %v, without that of the block that was given up", len(drop), err)
	}
	p.close(t)
}
