package tree_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

const (
	origin = "audittrail/test"
	dir    = "log/tree"
)

// entries returns those from index from to before index to.
func entries(from, to int) [][32]byte {
	e := make([][32]byte, 0, to-from)
	for i := from; i < to; i++ {
		e = append(e, sha256.Sum256([]byte(strconv.Itoa(i))))
	}
	return e
}

// A model is what the tree must be: all its hashes as x/mod computes them, and
// the root at each size.
type model struct {
	hashes []xtlog.Hash
	roots  []xtlog.Hash
}

func (m *model) ReadHashes(indexes []int64) ([]xtlog.Hash, error) {
	hashes := make([]xtlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = m.hashes[x]
	}
	return hashes, nil
}

var models = map[int]*model{}

// newModel returns the model of a tree of n leaves; it is not to be changed.
func newModel(t testing.TB, n int) *model {
	t.Helper()
	if m := models[n]; m != nil {
		return m
	}
	m := new(model)
	for i, e := range entries(0, n) {
		m.addRoot(t, i)
		hashes, err := xtlog.StoredHashes(int64(i), e[:], m)
		if err != nil {
			t.Fatal(err)
		}
		m.hashes = append(m.hashes, hashes...)
	}
	m.addRoot(t, n)
	models[n] = m
	return m
}

func (m *model) addRoot(t testing.TB, n int) {
	t.Helper()
	root, err := xtlog.TreeHash(int64(n), m)
	if err != nil {
		t.Fatal(err)
	}
	m.roots = append(m.roots, root)
}

// newFS returns an empty file system with the folder of a log.
func newFS(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	if err := m.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, fsys vfs.FS) *tree.Tree {
	t.Helper()
	tr, err := tree.Open(fsys, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTree(t, tr) })
	return tr
}

func closeTree(t testing.TB, tr *tree.Tree) {
	t.Helper()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// fill appends to tr up to size n, in batches of any size.
func fill(t testing.TB, tr *tree.Tree, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for at := int(tr.Size()); at < n; {
		to := min(n, at+1+rng.IntN(max(1, n/7)))
		if err := tr.Append(entries(at, to)); err != nil {
			t.Fatal(err)
		}
		at = to
	}
}

// checkTree compares the whole of tr with the model of n leaves.
func checkTree(t testing.TB, tr *tree.Tree, n int) {
	t.Helper()
	m := newModel(t, n)
	if tr.Size() != uint64(n) {
		t.Fatalf("size is %d, want %d", tr.Size(), n)
	}
	if got, err := tr.Root(uint64(n)); err != nil || got != m.roots[n] {
		t.Fatalf("Root(%d) = %v, %v; want %v", n, got, err, m.roots[n])
	}
	if err := checkAll(t.Context(), tr); err != nil {
		t.Fatalf("Check at %d: %v", n, err)
	}
	got := make([][32]byte, n)
	if err := tr.ReadEntries(0, got); err != nil || !slices.Equal(got, entries(0, n)) {
		t.Fatalf("ReadEntries at %d: %v, or other entries", n, err)
	}
}

func TestRoots(t *testing.T) {
	const n = 65800
	m := newModel(t, n)
	tr := open(t, newFS(t))
	fill(t, tr, n)
	checkTree(t, tr, n)
	for size := range m.roots {
		if size > 700 && size < 65500 && size%509 != 0 {
			continue
		}
		if got, err := tr.Root(uint64(size)); err != nil || got != m.roots[size] {
			t.Fatalf("Root(%d) = %v, %v; want %v", size, got, err, m.roots[size])
		}
	}
	if _, err := tr.Root(n + 1); !errors.Is(err, tree.ErrBeyond) {
		t.Errorf("Root(%d): error is %v, want ErrBeyond", n+1, err)
	}
}

func TestSmallSizes(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	for n := range 601 {
		if n > 0 {
			if err := tr.Append(entries(n-1, n)); err != nil {
				t.Fatal(err)
			}
		}
		again := open(t, fsys)
		if n%50 < 2 || n > 250 && n < 260 {
			checkTree(t, again, n)
		}
		want := newModel(t, 600).roots[n]
		for _, tr := range []*tree.Tree{tr, again} {
			if got, err := tr.Root(uint64(n)); err != nil || got != want {
				t.Fatalf("Root(%d) = %v, %v; want %v", n, got, err, want)
			}
		}
	}
}

func TestReadHashes(t *testing.T) {
	for _, n := range []int{1, 2, 255, 256, 257, 600, 65800} {
		tr := open(t, newFS(t))
		fill(t, tr, n)
		m := newModel(t, n)
		var indexes []int64
		for i := range m.hashes {
			if i < 2000 || i > len(m.hashes)-2000 || i%97 == 0 {
				indexes = append(indexes, int64(i))
			}
		}
		got, err := tr.HashReader().ReadHashes(indexes)
		want, _ := m.ReadHashes(indexes)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ReadHashes of a tree of %d: %v, or other hashes", n, err)
		}
		for _, x := range []int64{-1, int64(len(m.hashes)), 1 << 60} {
			if _, err := tr.HashReader().ReadHashes([]int64{x}); !errors.Is(err, tree.ErrBeyond) {
				t.Errorf("ReadHashes(%d) of a tree of %d: error is %v, want ErrBeyond", x, n, err)
			}
		}
	}
}

func TestProofs(t *testing.T) {
	const n = 65800
	m := newModel(t, n)
	tr := open(t, newFS(t))
	fill(t, tr, n)
	for _, size := range []uint64{1, 2, 256, 257, 600, 65535, 65536, 65537, n} {
		for _, i := range []uint64{0, size / 3, size / 2, size - 1} {
			e, err := tr.Entry(i)
			if err != nil {
				t.Fatal(err)
			}
			p, err := tlog.ProveInclusion(size, i, tr.HashReader())
			if err != nil {
				t.Fatal(err)
			}
			if err := xtlog.CheckRecord(p, int64(size), m.roots[size], int64(i), xtlog.RecordHash(e[:])); err != nil {
				t.Errorf("entry %d in %d: %v", i, size, err)
			}
			q, err := tlog.ProveConsistency(size, i+1, tr.HashReader())
			if err != nil {
				t.Fatal(err)
			}
			if err := xtlog.CheckTree(q, int64(size), m.roots[size], int64(i+1), m.roots[i+1]); err != nil {
				t.Errorf("%d in %d: %v", i+1, size, err)
			}
		}
	}
}

// Opening reads at most one piece of each level; appending a batch writes each
// file once.
func TestOperations(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 65800)
	var reads atomic.Int64
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			reads.Add(1)
		}
		return nil
	})
	again := open(t, fsys)
	if got := reads.Load(); got > 3 {
		t.Errorf("opening a tree of 65800 takes %d reads, want 3", got)
	}
	fsys.Inject(nil)
	before := fsys.Ops()
	if err := again.Append(entries(65800, 66300)); err != nil {
		t.Fatal(err)
	}
	if got := fsys.Ops() - before; got != 3 {
		t.Errorf("appending 500 entries takes %d operations, want 3: entries, 0, 1", got)
	}
}

func TestReadOutside(t *testing.T) {
	tr := open(t, newFS(t))
	fill(t, tr, 300)
	_, entryErr := tr.Entry(300)
	_, tileErr := tr.Tile(0, 1, 45)
	_, levelErr := tr.Tile(2, 0, 1)
	_, negativeErr := tr.Tile(-1, 0, 1)
	_, narrowErr := tr.Tile(0, 0, 0)
	_, wideErr := tr.Tile(0, 0, 257)
	_, farErr := tr.Tile(0, 1<<63, 1)
	_, bundleErr := tr.EntryBundle(1, 45)
	for name, err := range map[string]error{
		"entry": entryErr, "tile": tileErr, "level": levelErr, "negative level": negativeErr,
		"width 0": narrowErr, "width 257": wideErr, "far": farErr, "bundle": bundleErr,
		"entries": tr.ReadEntries(299, make([][32]byte, 2)),
		"wrap":    tr.ReadEntries(1<<64-1, make([][32]byte, 2)),
		"cut":     tr.Cut(301),
		"rebuild": tr.Rebuild(t.Context(), 301),
	} {
		if !errors.Is(err, tree.ErrBeyond) {
			t.Errorf("%s: error is %v, want ErrBeyond", name, err)
		}
	}
}

// A reader in another process sees what is appended while it has the tree open.
func TestReadOnly(t *testing.T) {
	fsys := newFS(t)
	none, err := tree.Open(fsys, dir, true)
	if err != nil || none.Size() != 0 {
		t.Errorf("Open without a tree: %v, want an empty one", err)
	}
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	w := open(t, fsys)
	r, err := tree.Open(fsys, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTree(t, r)
	for _, n := range []int{0, 1, 255, 256, 700, 65540} {
		fill(t, w, n)
		ops := fsys.Ops()
		r.Refresh()
		checkTree(t, r, n)
		if fsys.Ops() != ops {
			t.Error("a reader wrote")
		}
	}
	for name, err := range map[string]error{
		"Append":        r.Append(entries(0, 1)),
		"Sync":          r.Sync(),
		"Cut":           r.Cut(0),
		"Rebuild":       r.Rebuild(t.Context(), 0),
		"SetCheckpoint": r.SetCheckpoint(nil),
		"AppendSigner":  r.AppendSigner(nil),
	} {
		if !errors.Is(err, tree.ErrReadOnly) {
			t.Errorf("%s: error is %v, want ErrReadOnly", name, err)
		}
	}
	if err := w.Cut(300); err != nil {
		t.Fatal(err)
	}
	r.Refresh()
	checkTree(t, r, 300)
}

func TestFullDisk(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 300)
	for room := int64(0); ; room += 999 {
		fsys.Capacity(300*64 + 32 + room)
		err := tr.Append(entries(300, 900))
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Append on a full disk: error is %v, want ENOSPC", err)
		}
		checkTree(t, tr, 300)
		again := open(t, fsys)
		if got := again.Size(); got < 300 || got > 900 {
			t.Fatalf("a tree opened after a failed append has size %d", got)
		}
	}
	checkTree(t, tr, 900)
}

func TestFailedSync(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 300)
	signed := sign(t, 300)
	broken := errors.New("broken disk")
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, "0") {
			return broken
		}
		return nil
	})
	if err := tr.Sync(); !errors.Is(err, broken) || !errors.Is(err, tree.ErrFailed) {
		t.Errorf("Sync: error is %v, want that of the disk", err)
	}
	fsys.Inject(nil)
	for name, err := range map[string]error{
		"Append":        tr.Append(entries(300, 301)),
		"Sync":          tr.Sync(),
		"Cut":           tr.Cut(0),
		"SetCheckpoint": tr.SetCheckpoint(signed),
	} {
		if !errors.Is(err, tree.ErrFailed) {
			t.Errorf("%s after a failed sync: error is %v, want ErrFailed", name, err)
		}
	}
	checkTree(t, tr, 300)
}

// signer returns the key of the log in these tests.
func signer(t testing.TB) (note.Signer, string) {
	t.Helper()
	seed := sha256.Sum256([]byte("key"))
	priv := ed25519.NewKeyFromSeed(seed[:])
	vkey, err := note.NewEd25519VerifierKey(origin, priv.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(vkey, "+")[1]
	s, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, hash,
		base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...))))
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

// sign returns the signed checkpoint at size n.
func sign(t testing.TB, n int) []byte {
	t.Helper()
	s, _ := signer(t)
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: origin, Size: uint64(n), Root: newModel(t, n).roots[n]}, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Readers in this process see whole trees only, while the writer continues.
func TestConcurrentReaders(t *testing.T) {
	const n = 3000
	m := newModel(t, n)
	tr := open(t, newFS(t))
	var wg sync.WaitGroup
	var done atomic.Bool
	for range 3 {
		wg.Go(func() {
			for !done.Load() {
				size := tr.Size()
				if got, err := tr.Root(size / 2); err != nil || got != m.roots[size/2] {
					t.Errorf("Root(%d) = %v, %v", size/2, got, err)
					return
				}
				if size == 0 {
					continue
				}
				p, err := tlog.ProveInclusion(size, size/3, tr.HashReader())
				if err != nil {
					t.Error(err)
					return
				}
				e, err := tr.Entry(size / 3)
				if err != nil || tlog.CheckInclusion(p, size, m.roots[size], size/3, tlog.LeafHash(e)) != nil {
					t.Errorf("entry %d in %d: %v, or its proof does not hold", size/3, size, err)
					return
				}
			}
		})
	}
	for int(tr.Size()) < n {
		at := int(tr.Size())
		if err := tr.Append(entries(at, min(n, at+37))); err != nil {
			t.Error(err)
			break
		}
		if err := tr.Sync(); err != nil {
			t.Error(err)
			break
		}
	}
	done.Store(true)
	wg.Wait()
}
