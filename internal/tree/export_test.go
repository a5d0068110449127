package tree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// newDisk returns a tree of n entries on a real disk.
func newDisk(t *testing.T, n int) *tree.Tree {
	t.Helper()
	tr, err := tree.Open(vfs.OS, filepath.Join(t.TempDir(), "tree"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTree(t, tr) })
	fill(t, tr, n)
	return tr
}

// readExport reads an export as any client would, and compares it.
func readExport(t *testing.T, out string, n int) {
	t.Helper()
	client, err := torchwood.NewTileFS(os.DirFS(out))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := client.ReadEndpoint(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	_, vkey := signer(t)
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := torchwood.VerifyCheckpoint(signed,
		torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(v)))
	if err != nil || c.N != int64(n) || c.Hash != newModel(t, n).roots[n] {
		t.Fatalf("checkpoint is %v, %v", c, err)
	}
	checkClient(t, client, c.Tree)
}

// checkClient has torchwood fetch and authenticate every entry.
func checkClient(t *testing.T, tiles torchwood.TileReader, at xtlog.Tree) {
	t.Helper()
	client, err := torchwood.NewClient(tiles)
	if err != nil {
		t.Fatal(err)
	}
	want := entries(0, int(at.N))
	next := int64(0)
	for i, e := range client.AllEntries(t.Context(), at, 0) {
		if i != next || !bytes.Equal(e, want[i][:]) {
			t.Fatalf("entry %d is %x", i, e)
		}
		next++
	}
	if err := client.Err(); err != nil || next != at.N {
		t.Fatalf("read %d of %d entries: %v", next, at.N, err)
	}
	if at.N == 0 {
		return
	}
	e, proof, err := client.Entry(t.Context(), at, at.N/2)
	if err != nil || xtlog.CheckRecord(proof, at.N, at.Hash, at.N/2, xtlog.RecordHash(e)) != nil {
		t.Errorf("entry %d: %v, or its proof does not hold", at.N/2, err)
	}
}

func TestExport(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 512, 1000, 65793} {
		fsys, tr := vfs.OS, newDisk(t, n)
		out := filepath.Join(t.TempDir(), "export")
		var calls, done, total uint64
		err := tree.Export(t.Context(), fsys, out, sign(t, n), tr.Entries(tr.Size()), func(d, of uint64) { calls, done, total = calls+1, d, of })
		if err != nil {
			t.Fatal(err)
		}
		if done != total || calls != total {
			t.Errorf("%d entries: progress ends with %d of %d after %d calls", n, done, total, calls)
		}
		readExport(t, out, n)
	}
}

// The layout of tlog-tiles' own example, and of the path of its index 1234067.
func TestExportLayout(t *testing.T) {
	fsys, tr := vfs.OS, newDisk(t, 70_000)
	out := t.TempDir()
	if err := tree.Export(t.Context(), fsys, out, sign(t, 70_000), tr.Entries(tr.Size()), nil); err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	err := fs.WalkDir(os.DirFS(out), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		sizes[name] = info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"tile/0/273.p/112": 112 * 32, "tile/entries/273.p/112": 112 * 34, "tile/1/000": 8192, "tile/1/001.p/17": 17 * 32, "tile/2/000.p/1": 32}
	for i := range 273 {
		want[fmt.Sprintf("tile/0/%03d", i)] = 8192
		want[fmt.Sprintf("tile/entries/%03d", i)] = 256 * 34
	}
	want["checkpoint"] = int64(len(sign(t, 70_000)))
	if len(sizes) != len(want) {
		t.Errorf("%d files, want %d", len(sizes), len(want))
	}
	for name, size := range want {
		if sizes[name] != size {
			t.Errorf("%s has %d bytes, want %d", name, sizes[name], size)
		}
	}
}

// Tiles are those that x/mod cuts from its own storage.
func TestTile(t *testing.T) {
	const n = 65793
	m := newModel(t, n)
	tr := newDisk(t, n)
	for _, tile := range xtlog.NewTiles(8, 0, n) {
		if tile.L == 0 && tile.N%50 != 0 && tile.W == 256 {
			continue
		}
		want, err := xtlog.ReadTileData(tile, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tr.Tile(tile.L, uint64(tile.N), tile.W)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Tile(%d, %d, %d): %v, or other hashes", tile.L, tile.N, tile.W, err)
		}
	}
	b, err := tr.EntryBundle(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range entries(256, 259) {
		var e []byte
		if e, b, err = torchwood.ReadTileEntry(b); err != nil || !bytes.Equal(e, want[:]) {
			t.Fatalf("bundle has %x, %v; want %x", e, err, want)
		}
	}
	if len(b) != 0 {
		t.Errorf("bundle has %d bytes too many", len(b))
	}
}

// An interrupted export can be continued, a larger one extends a smaller one,
// and whole tiles are not written again.
func TestExportAgain(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 1000)
	if err := tree.Export(t.Context(), fsys, "out", sign(t, 700), tr.Entries(tr.Size()), nil); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Remove("out/tile/0/001"); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.OpenFile("out/tile/entries/000", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// As a power loss leaves a file that was not synced: long enough, but empty.
	if _, err := f.WriteAt(make([]byte, 256*34), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var written []string
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpRename {
			written = append(written, filepath.ToSlash(op.To))
		}
		return nil
	})
	if err := tree.Export(t.Context(), fsys, "out", sign(t, 1000), tr.Entries(tr.Size()), nil); err != nil {
		t.Fatal(err)
	}
	const want = "out/tile/entries/000 out/tile/entries/002 out/tile/0/001 out/tile/0/002 " +
		"out/tile/entries/003.p/232 out/tile/0/003.p/232 out/tile/1/000.p/3 out/checkpoint"
	if got := strings.Join(written, " "); got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
}

// An export that stops anywhere is made whole by the next.
func TestExportCrash(t *testing.T) {
	for n := 0; ; n++ {
		fsys := newFS(t)
		tr := open(t, fsys)
		fill(t, tr, 600)
		fsys.FailAfter(fsys.Ops() + n)
		err := tree.Export(t.Context(), fsys, "out", sign(t, 600), tr.Entries(tr.Size()), nil)
		after := fsys.KillOnly()
		if _, statErr := after.Stat("out/checkpoint"); err != nil && statErr == nil {
			// Only what follows the checkpoint's rename may have failed.
			if _, statErr := after.Stat("out/tile/1/000.p/2"); statErr != nil {
				t.Fatalf("operation %d: checkpoint without its tiles", n)
			}
		}
		if err := tree.Export(t.Context(), after, "out", sign(t, 600), open(t, after).Entries(600), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"checkpoint", "tile/0/001", "tile/0/002.p/88", "tile/entries/002.p/88", "tile/1/000.p/2"} {
			if _, err := after.Stat("out/" + name); err != nil {
				t.Fatalf("operation %d: %v", n, err)
			}
		}
		if err == nil {
			return
		}
	}
}

func TestExportRefuses(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 700)
	s, _ := signer(t)
	write := func(name string, c tlog.Checkpoint, signer note.Signer) {
		signed, err := tlog.Sign(c, signer)
		if err == nil {
			err = fsys.MkdirAll(name, 0o755)
		}
		if err == nil {
			err = vfs.WriteFile(fsys, name+"/checkpoint", signed, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("newer", tlog.Checkpoint{Origin: origin, Size: 650, Root: newModel(t, 700).roots[650]}, s)
	write("history", tlog.Checkpoint{Origin: origin, Size: 500, Root: tlog.Hash{1}}, s)
	write("log", tlog.Checkpoint{Origin: "audittrail/other", Size: 500, Root: tlog.Hash{1}}, named{s})
	for _, out := range []string{"newer", "history", "log"} {
		ops := fsys.Ops()
		if err := tree.Export(t.Context(), fsys, out, sign(t, 600), tr.Entries(tr.Size()), nil); err == nil {
			t.Errorf("Export over another %s: no error", out)
		}
		if fsys.Ops() != ops {
			t.Errorf("Export over another %s wrote", out)
		}
	}
	if err := tree.Export(t.Context(), fsys, "out", sign(t, 701), tr.Entries(tr.Size()), nil); !errors.Is(err, tree.ErrBeyond) {
		t.Errorf("Export past the end: error is %v, want ErrBeyond", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tree.Export(ctx, fsys, "out", sign(t, 700), tr.Entries(tr.Size()), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Export, cancelled: error is %v", err)
	}
}

// named is a signer under the name of another log.
type named struct{ note.Signer }

func (named) Name() string { return "audittrail/other" }
