package signed_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/segment"
	"audittrail/internal/signed"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

const records = 300 // more than a tile of the tree has

// made makes a log and returns its folder, and the hashes of its records.
func made(t *testing.T) (dir string, hashes []record.Hash) {
	t.Helper()
	dir = t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	events := make([]event.Event, records)
	for i := range events {
		events[i] = event.Event{Type: event.Prompt, Prompt: fmt.Sprint(i)}
	}
	logtest.AppendBatch(t, log, events...)
	logtest.Close(t, log)
	for _, line := range lines(t, dir) {
		tail, ok := record.ParseChainLink(line)
		if !ok {
			t.Fatalf("not a record: %s", line)
		}
		hashes = append(hashes, tail.Hash)
	}
	if len(hashes) != records {
		t.Fatalf("the log has %d records, want %d", len(hashes), records)
	}
	return dir, hashes
}

func segmentOf(dir string) string { return filepath.Join(dir, "log", "00000000000000000000.jsonl") }

func lines(t *testing.T, dir string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(segmentOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

// opened opens the parts of a log that a tree answers from.
func opened(t *testing.T, dir string) *signed.Tree {
	t.Helper()
	return openedOn(t, vfs.OS, dir)
}

func openedOn(t *testing.T, fsys vfs.FS, dir string) *signed.Tree {
	t.Helper()
	store, err := segment.Open(fsys, filepath.Join(dir, "log"), 0)
	if err == nil {
		err = store.Refresh(t.Context(), false, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := tree.Open(fsys, filepath.Join(dir, "tree"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	})
	return &signed.Tree{Store: store, Files: files, Logger: slog.New(slog.DiscardHandler), Damaged: make(chan struct{}, 1)}
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func edit(t *testing.T, name string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, how(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// damages are ways to damage the files of a tree.
var damages = map[string]map[string]func([]byte) []byte{
	"none":             nil,
	"a bit of entries": {"entries": flipped},
	"zeros in entries": {"entries": zeros},
	"half of entries":  {"entries": half},
	"a bit of 0":       {"0": flipped},
	"zeros in 0":       {"0": zeros},
	"half of 0":        {"0": half},
	"a bit of 1":       {"1": flipped},
	"a bit of both":    {"entries": flipped, "0": flipped},
	"zeros in all":     {"entries": zeros, "0": zeros, "1": zeros},
	"half of both":     {"entries": half, "0": half},
}

func flipped(b []byte) []byte { b[len(b)/2] ^= 1; return b }
func zeros(b []byte) []byte   { return make([]byte, len(b)) }
func half(b []byte) []byte    { return b[:len(b)/2] }

// TestDamagedFiles asks a tree whose files are damaged in each way about each record:
// the lines and the signed root decide, and the damage is logged.
func TestDamagedFiles(t *testing.T) {
	plain, hashes := made(t)
	other := record.Hash{1}
	for name, files := range damages {
		t.Run(name, func(t *testing.T) {
			dir := copied(t, plain)
			for file, how := range files {
				edit(t, filepath.Join(dir, "tree", file), how)
			}
			tr := opened(t, dir)
			for seq, h := range hashes {
				if ok, want, err := tr.Agrees(t.Context(), uint64(seq), h); !ok || want != h || err != nil {
					t.Errorf("Agrees(%d) = %t, %v, %v; want that it does", seq, ok, want, err)
				}
				if ok, _, err := tr.Proves(t.Context(), uint64(seq), h); !ok || err != nil {
					t.Errorf("Proves(%d) = %t, %v; want that it does", seq, ok, err)
				}
				if ok, want, err := tr.Agrees(t.Context(), uint64(seq), other); ok || want != h || err != nil {
					t.Errorf("Agrees(%d) with another hash = %t, %v, %v; want %v", seq, ok, want, err, h)
				}
			}
			if ok, _, err := tr.Agrees(t.Context(), records, other); !ok || err != nil {
				t.Errorf("Agrees about a record that nobody signed = %t, %v; want that it does", ok, err)
			}
			if ok, _, err := tr.Check(t.Context(), records, other, nil); !ok || err != nil {
				t.Errorf("Check of a record that nobody signed = %t, %v; want that it does", ok, err)
			}
			for _, size := range []uint64{1, 255, 256, 257, records} {
				var rng tlog.Range
				for _, h := range hashes[:size] {
					rng.Append(tlog.LeafHash(h), nil)
				}
				if root, err := tr.Root(t.Context(), size); err != nil || root != rng.Root() {
					t.Errorf("Root(%d) = %v, %v; want %v", size, root, err, rng.Root())
				}
			}
			if told := len(tr.Damaged) > 0; told != (files != nil) {
				t.Errorf("damage was told of: %t, want %t", told, files != nil)
			}
		})
	}
}

// TestAlteredLine asks about a line that was altered, also if the files of the
// tree agree with it, or are damaged: it does not have the signed hash.
func TestAlteredLine(t *testing.T) {
	plain, hashes := made(t)
	const seq = 40
	for name, files := range damages {
		t.Run(name, func(t *testing.T) {
			dir := copied(t, plain)
			for file, how := range files {
				edit(t, filepath.Join(dir, "tree", file), how)
			}
			all := lines(t, dir)
			fake := record.Hash{2}
			all[seq] = bytes.Replace(all[seq], []byte(hashes[seq].String()), []byte(fake.String()), 1)
			edit(t, segmentOf(dir), func([]byte) []byte { return append(bytes.Join(all, []byte("\n")), '\n') })
			edit(t, filepath.Join(dir, "tree", "entries"), func(b []byte) []byte {
				if len(b) >= (seq+1)*len(fake) {
					copy(b[seq*len(fake):], fake[:])
				}
				return b
			})
			tr := opened(t, dir)
			if ok, _, err := tr.Proves(t.Context(), seq, fake); ok || err != nil {
				t.Errorf("Proves(%d) with the hash of the altered line = %t, %v; want that it does not", seq, ok, err)
			}
			// The next line has the hash that was signed.
			if ok, _, err := tr.Proves(t.Context(), seq, hashes[seq]); !ok || err != nil {
				t.Errorf("Proves(%d) = %t, %v; want that it does", seq, ok, err)
			}
		})
	}
}

// TestForgedHead has somebody without keys change the checkpoint: without the
// keyring its signature is not checked, and then neither lines nor files give
// the root.
func TestForgedHead(t *testing.T) {
	dir, hashes := made(t)
	edit(t, filepath.Join(dir, "tree", "checkpoint"), func(b []byte) []byte {
		parts := bytes.SplitN(b, []byte("\n"), 4)
		parts[2] = []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		return bytes.Join(parts, []byte("\n"))
	})
	tr := opened(t, dir)
	if ok, _, err := tr.Proves(t.Context(), 3, hashes[3]); ok || err != nil {
		t.Errorf("Proves = %t, %v; want that nothing is proven", ok, err)
	}
	if ok, want, err := tr.Proves(t.Context(), 3, record.Hash{1}); ok || want != (record.Hash{}) || err != nil {
		t.Errorf("Proves with another hash = %t, %v, %v; want that nothing is known", ok, want, err)
	}
	if known, err := tr.Known(t.Context(), tr.Head()); known || err != nil {
		t.Errorf("Known = %t, %v; want that nothing is", known, err)
	}
	if _, err := tr.Root(t.Context(), 10); !errors.Is(err, signed.ErrRoot) {
		t.Errorf("Root = %v, want ErrRoot", err)
	}
}
