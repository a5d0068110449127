package archive_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"audittrail/event"
	"audittrail/internal/archive"
	"audittrail/internal/segment"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

var update = flag.Bool("update", false, "write the vectors that are missing; those that exist stay forever")

const (
	vectors = "../../testdata/vectors/archive"
	place   = "/place"
)

// signerOf is a log's key that is the same every time.
func signerOf(t testing.TB, origin string) (note.Signer, string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer{origin, v.KeyHash(), key}, vkey
}

type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s signer) Name() string                    { return s.name }
func (s signer) KeyHash() uint32                 { return s.hash }
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// newKeeper creates the files of a log with three segments of eight records,
// and a mover for them.
func newKeeper(t testing.TB, disk vfs.FS, origin string) *mover {
	t.Helper()
	if err := errors.Join(vfs.MakeDir(disk, "log", 0o755), vfs.MakeDir(disk, place, 0o700), vfs.MakeDir(disk, "/second", 0o700)); err != nil {
		t.Fatal(err)
	}
	store, err := segment.Open(disk, "log", 5000)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.OpenTail(context.Background(), segment.Pos{}, 0); err != nil {
		t.Fatal(err)
	}
	var entries entryList
	var prev record.Hash
	for i := range uint64(24) {
		kind := event.Prompt
		if i%8 == 3 {
			kind = event.HoldPlaced
		}
		d, err := record.Seal(&record.SealParams{
			ID: record.ID{6: 0x40, 8: 0x80, 15: byte(i)}, LogMetadata: record.LogMetadata{Source: record.SourceApp}, Class: "standard/2026-01",
			Event: &event.Event{Type: kind, Time: time.Unix(0, 0), Prompt: "a prompt"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var b segment.Batch
		b.Lines, prev = d.Finish(nil, i, time.Unix(1e9, int64(i)), prev)
		b.Marks = []segment.Mark{{End: len(b.Lines), ID: d.ID, Admin: d.Governance}}
		if _, err := store.Append(&b); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, prev)
	}
	key, vkey := signerOf(t, origin)
	return &mover{
		Keeper: &archive.Keeper{FS: disk, Store: store, Origin: origin, Entries: entries, Keys: []tlog.KeyPeriods{{{VKey: vkey, Until: math.MaxUint64}}}},
		key:    key, signed: 24,
	}
}

// A mover replaces a log whose segments are moved.
type mover struct {
	*archive.Keeper
	key    note.Signer
	signed uint64
	said   []tombstone.Statement
}

func (m *mover) complete(move *archive.Move, err error) error {
	if err != nil || move == nil {
		return err
	}
	if move.Statement != nil {
		m.said = append(m.said, *move.Statement)
	}
	return move.Complete()
}

func (m *mover) archive(ctx context.Context, first uint64, to, reason string) error {
	move, err := m.Archive(ctx, first, to, m.signed)
	if err == nil && move != nil {
		var b []byte
		b, err = tlog.SignStatement(tlog.Statement{Kind: archive.ManifestKind, Origin: m.Origin, Lines: move.Manifest()}, m.key)
		if err == nil {
			err = move.Prove(ctx, b, reason, nil)
		}
	}
	return m.complete(move, err)
}

func (m *mover) drop(ctx context.Context, first uint64) error {
	return m.complete(m.Drop(ctx, first, "", m.signed, nil))
}

// entryList are the entries of a tree.
type entryList [][32]byte

func (e entryList) ReadEntries(_ context.Context, from uint64, dst [][32]byte) error {
	copy(dst, e[from:])
	return nil
}

func read(t testing.TB, disk vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(disk, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors compares the files that are written now with the first ones, and
// reads these.
func TestVectors(t *testing.T) {
	disk := vfs.NewMem()
	k := newKeeper(t, disk, "audittrail/test")
	infos, err := k.Store.Segments()
	if err != nil || len(infos) < 3 {
		t.Fatalf("%d segments, %v", len(infos), err)
	}
	first := infos[1].First
	base := fmt.Sprintf("%020d", first)
	lines := read(t, disk, "log/"+base+".jsonl")
	if err := k.archive(t.Context(), first, place, "old"); err != nil {
		t.Fatal(err)
	}
	_, vkey := signerOf(t, k.Origin)
	written := map[string][]byte{
		base + ".jsonl":     lines,
		base + ".remnant":   read(t, disk, "log/"+base+".remnant"),
		base + ".jsonl.zst": read(t, disk, place+"/"+base+".jsonl.zst"),
		base + ".archive":   read(t, disk, place+"/"+base+".archive"),
		"vkey":              []byte(vkey + "\n"),
	}
	for name, now := range written {
		path := filepath.Join(vectors, name)
		then, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && *update {
			if err := errors.Join(os.MkdirAll(vectors, 0o755), os.WriteFile(path, now, 0o644)); err != nil {
				t.Fatal(err)
			}
			then = now
		} else if err != nil {
			t.Fatal(err)
		}
		// How well it is compressed may change.
		if !strings.HasSuffix(name, ".zst") && !strings.HasSuffix(name, ".archive") && !bytes.Equal(then, now) {
			t.Errorf("%s: %q was written, now %q is", name, then, now)
		}
		if strings.HasPrefix(name, base) && filepath.Ext(name) != ".remnant" && filepath.Ext(name) != ".jsonl" {
			if err := vfs.WriteFile(disk, place+"/"+name, then, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := k.said[0]
	m, sum, err := k.Manifest(place, first)
	if err != nil {
		t.Fatal(err)
	}
	s.Manifest = sum
	if _, err := k.Check(t.Context(), &s); err != nil {
		t.Error(err)
	}
	if err := k.Restore(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	if got := read(t, disk, "log/"+base+".jsonl"); !bytes.Equal(got, lines) || m.Bytes != int64(len(lines)) {
		t.Error("another segment came back than had left")
	}
	if line, err := k.Store.Peek(first); err != nil || !bytes.HasPrefix(lines, line) {
		t.Errorf("Peek(%d) = %q, %v", first, line, err)
	}
}

// TestOlderVectors reads the archive of a segment whose records are of format 1.
func TestOlderVectors(t *testing.T) {
	disk := vfs.NewMem()
	k := newKeeper(t, disk, "audittrail/test")
	const first, base = 9, "00000000000000000009"
	kept := make(map[string][]byte)
	for _, ext := range []string{".jsonl", ".jsonl.zst", ".archive", ".remnant"} {
		b, err := os.ReadFile(filepath.Join(vectors, base+ext))
		if err != nil {
			t.Fatal(err)
		}
		kept[ext] = b
		if err := vfs.WriteFile(disk, place+"/"+base+ext, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, _, err := k.Manifest(place, first)
	if err != nil || m.Bytes != int64(len(kept[".jsonl"])) || !bytes.HasPrefix(kept[".jsonl"], []byte(`{"v":1,`)) {
		t.Errorf("Manifest() = %+v, %v", m, err)
	}
	unpack, err := zstd.NewReader(bytes.NewReader(kept[".jsonl.zst"]))
	if err != nil {
		t.Fatal(err)
	}
	defer unpack.Close()
	if lines, err := io.ReadAll(unpack); err != nil || !bytes.Equal(lines, kept[".jsonl"]) {
		t.Errorf("%d bytes were packed, %v, want those of %s.jsonl", len(lines), err, base)
	}
	left, err := tombstone.Read(bytes.NewReader(kept[".remnant"]), int64(len(kept[".remnant"])))
	if err != nil || left.First != first || left.Records != m.Records || left.Bytes != m.Bytes {
		t.Errorf("the tombstone is %+v, %v", left, err)
	}
}

// TestRefusals tries operations that must be refused, and finds all files
// unchanged.
func TestRefusals(t *testing.T) {
	disk := vfs.NewMem()
	k := newKeeper(t, disk, "audittrail/test")
	infos, err := k.Store.Segments()
	if err != nil {
		t.Fatal(err)
	}
	last := infos[len(infos)-1].First
	if err := k.archive(t.Context(), last, place, ""); !errors.Is(err, archive.ErrNotWhole) {
		t.Errorf("archive the newest: %v", err)
	}
	if err := k.drop(t.Context(), last); !errors.Is(err, archive.ErrNotWhole) {
		t.Errorf("drop the newest: %v", err)
	}
	k.signed = infos[1].First
	if err := k.archive(t.Context(), 0, place, ""); !errors.Is(err, archive.ErrNotWhole) {
		t.Errorf("archive what is not signed: %v", err)
	}
	k.signed = 24
	for _, p := range []string{"", "place", "/nowhere"} {
		if err := k.archive(t.Context(), 0, p, ""); err == nil {
			t.Errorf("archived in %q", p)
		}
	}
	if err := k.archive(t.Context(), 1, place, ""); err == nil {
		t.Error("archived what is no segment")
	}
	other := vfs.NewMem()
	k2 := newKeeper(t, other, "audittrail/other")
	if err := k2.archive(t.Context(), 0, place, ""); err != nil {
		t.Fatal(err)
	}
	name := place + "/00000000000000000000.archive"
	if err := vfs.WriteFile(disk, name, read(t, other, name), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.archive(t.Context(), 0, place, ""); !errors.Is(err, archive.ErrForeign) {
		t.Errorf("archive over another log's: %v", err)
	}
	// A line that was altered does not become an archive.
	line := "log/00000000000000000000.jsonl"
	b := read(t, disk, line)
	b[200] ^= 1
	if err := vfs.WriteFile(disk, line, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := k.archive(t.Context(), 0, "/second", ""); !errors.Is(err, record.ErrHash) {
		t.Errorf("archive an altered record: %v", err)
	}
	if err := k.drop(t.Context(), 0); !errors.Is(err, record.ErrHash) {
		t.Errorf("drop an altered record: %v", err)
	}
	if len(k.said) != 0 {
		t.Errorf("said %+v of what did not happen", k.said)
	}
	for _, g := range infos {
		if _, err := disk.Stat(g.File); err != nil {
			t.Error(err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(vectors, "*.archive"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(bytes.Replace(b, []byte(" 8\n"), []byte(" 08\n"), 1))
		f.Add(bytes.Replace(b, []byte("Z "), []byte("z "), 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := archive.ReadManifest(b)
		if err != nil {
			return
		}
		again := tlog.Statement{Kind: "archive", Origin: m.Origin, Lines: m.Lines()}
		if !bytes.HasPrefix(b, []byte(again.String()+"\n")) {
			t.Errorf("accepted %q, which would be written %q", b, again)
		}
	})
}
