package index_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"audittrail"
	"audittrail/internal/index"
)

// TestGaps removes some blocks, each of too few records to be worth one, but
// together more than a snapshot indexes in memory: they are written again.
func TestGaps(t *testing.T) {
	dir := t.TempDir()
	const rows, blocks = 600, 5
	o := index.Options{BlockRows: rows}
	for i := range blocks {
		p := openPair(t, dir, audittrail.Options{Create: true}, o)
		p.append(t, i*rows, rows)
		hold(t, p)
		p.close(t)
	}
	text, err := os.ReadFile(filepath.Join(dir, "index", "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		V      int    `json:"v"`
		Origin string `json:"origin"`
		Blocks []struct {
			ID    string `json:"id"`
			First uint64 `json:"first"`
			Rows  int    `json:"rows"`
		} `json:"blocks"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Blocks) < 3 || m.Blocks[0].Rows != rows || m.Blocks[2].Rows != rows {
		t.Fatalf("there are other blocks than are wanted: %+v", m.Blocks)
	}
	for _, i := range []int{0, 2} {
		remove(t, filepath.Join(dir, "index", m.Blocks[i].ID+".block"))
	}
	p := openPair(t, dir, audittrail.Options{}, o)
	for end := time.Now().Add(5 * time.Minute); hold(t, p) != rows*blocks; {
		if time.Now().After(end) {
			t.Fatal("the blocks that are gone are not made anew")
		}
	}
	p.close(t)
}
