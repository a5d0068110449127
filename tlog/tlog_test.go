package tlog_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/tlog"
)

const origin = "audittrail/test"

// entry returns the entry at index i of the trees in these tests.
func entry(i int) [32]byte { return sha256.Sum256([]byte(strconv.Itoa(i))) }

// memory is a HashReader over hashes in memory, filled by x/mod.
type memory []xtlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]xtlog.Hash, error) {
	hashes := make([]xtlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(m)) {
			return nil, fmt.Errorf("no hash %d", x)
		}
		hashes[i] = m[x]
	}
	return hashes, nil
}

// grow returns a memory with the tree of n leaves.
func grow(t testing.TB, n int) memory {
	t.Helper()
	var m memory
	for i := range n {
		e := entry(i)
		hashes, err := xtlog.StoredHashes(int64(i), e[:], m)
		if err != nil {
			t.Fatal(err)
		}
		m = append(m, hashes...)
	}
	return m
}

// root returns the root that x/mod computes.
func root(t testing.TB, m memory, n int) tlog.Hash {
	t.Helper()
	h, err := xtlog.TreeHash(int64(n), m)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// key returns a signer and its verifier key, made from the name and a number.
func key(t testing.TB, name string, n byte) (note.Signer, string) {
	t.Helper()
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, n))
	priv := ed25519.NewKeyFromSeed(seed[:])
	vkey, err := note.NewEd25519VerifierKey(name, priv.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...))
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

// sizes returns the sizes to try: all small ones, and those around a full tile
// of tiles.
func sizes() []int {
	var s []int
	for n := range 601 {
		s = append(s, n)
	}
	return append(s, 65535, 65536, 65537, 65791, 65792, 65793)
}

func TestRange(t *testing.T) {
	m := grow(t, 65800)
	want := map[int]bool{}
	for _, n := range sizes() {
		want[n] = true
	}
	var r tlog.Range
	for n := range 65794 {
		if want[n] {
			checkRange(t, &r, n, root(t, m, n))
		}
		level := 0
		r.Append(tlog.LeafHash(entry(n)), func(l int, h tlog.Hash) {
			level++
			if l != level {
				t.Fatalf("leaf %d: node of level %d emitted, want %d", n, l, level)
			}
			if stored := m[xtlog.StoredHashIndex(l, int64(n>>l))]; h != stored {
				t.Fatalf("leaf %d: node of level %d is %v, want %v", n, l, h, stored)
			}
		})
		if n := uint64(n + 1); n>>level&1 != 1 {
			t.Fatalf("%d leaves: %d levels completed", n, level)
		}
	}
}

// checkRange compares r with the tree of n leaves.
func checkRange(t *testing.T, r *tlog.Range, n int, want tlog.Hash) {
	t.Helper()
	if r.Size() != uint64(n) || r.Root() != want {
		t.Fatalf("range has size %d, root %v; want %d, %v", r.Size(), r.Root(), n, want)
	}
	again, err := tlog.NewRange(r.Size(), r.Hashes())
	if err != nil {
		t.Fatal(err)
	}
	if *again != *r && again.Root() != want {
		t.Fatalf("size %d: NewRange has root %v, want %v", n, again.Root(), want)
	}
	if _, err := tlog.NewRange(r.Size(), append(r.Hashes(), want)); err == nil {
		t.Fatalf("NewRange(%d) with a hash too many: no error", n)
	}
}

func TestSubtrees(t *testing.T) {
	m := grow(t, 3000)
	var leaves []tlog.Hash
	for i := range 3000 {
		leaves = append(leaves, tlog.LeafHash(entry(i)))
	}
	for _, n := range []int{0, 1, 2, 63, 64, 65, 127, 128, 1000, 1024, 2048, 2999, 3000} {
		if got := tlog.RootOf(leaves[:n]); got != root(t, m, n) {
			t.Errorf("RootOf(%d leaves) = %v", n, got)
		}
		for _, level := range []int{0, 3, 6, 8} {
			var r tlog.Range
			width := 1 << level
			i := 0
			for ; i+width <= n; i += width {
				r.AppendSubtree(level, tlog.RootOf(leaves[i:i+width]), nil)
			}
			for ; i < n; i++ {
				r.Append(leaves[i], nil)
			}
			if r.Size() != uint64(n) || r.Root() != root(t, m, n) {
				t.Errorf("%d leaves in runs of %d: size %d, root %v", n, width, r.Size(), r.Root())
			}
		}
	}
}

func TestSubtreeOutOfPlace(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("AppendSubtree(1) after one leaf: no panic")
		}
	}()
	var r tlog.Range
	r.Append(tlog.Hash{}, nil)
	r.AppendSubtree(1, tlog.Hash{}, nil)
}

func TestInclusion(t *testing.T) {
	m := grow(t, 65800)
	for _, size := range sizes() {
		rt := root(t, m, size)
		step := max(1, size/13)
		for i := 0; i < size; i += step {
			leaf := tlog.LeafHash(entry(i))
			p, err := tlog.ProveInclusion(uint64(size), uint64(i), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckInclusion(p, uint64(size), rt, uint64(i), leaf); err != nil {
				t.Fatalf("leaf %d in %d: %v", i, size, err)
			}
			if err := xtlog.CheckRecord(p, int64(size), rt, int64(i), leaf); err != nil {
				t.Fatalf("x/mod: leaf %d in %d: %v", i, size, err)
			}
			other := tlog.LeafHash(entry(size))
			for name, err := range map[string]error{
				"another leaf":  tlog.CheckInclusion(p, uint64(size), rt, uint64(i), other),
				"another root":  tlog.CheckInclusion(p, uint64(size), other, uint64(i), leaf),
				"another index": tlog.CheckInclusion(p, uint64(size), rt, uint64(i)+1, leaf),
				"a hash more":   tlog.CheckInclusion(append(p, rt), uint64(size), rt, uint64(i), leaf),
			} {
				if !errors.Is(err, tlog.ErrProof) {
					t.Fatalf("leaf %d in %d with %s: error is %v", i, size, name, err)
				}
			}
		}
		if _, err := tlog.ProveInclusion(uint64(size), uint64(size), m); err == nil {
			t.Fatalf("leaf %d in %d: no error", size, size)
		}
	}
}

func TestConsistency(t *testing.T) {
	m := grow(t, 65800)
	for _, size := range sizes() {
		rt := root(t, m, size)
		step := max(1, size/13)
		for old := 0; old <= size; old += step {
			oldRoot := root(t, m, old)
			p, err := tlog.ProveConsistency(uint64(size), uint64(old), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckConsistency(p, uint64(size), rt, uint64(old), oldRoot); err != nil {
				t.Fatalf("%d in %d: %v", old, size, err)
			}
			if old > 0 {
				if err := xtlog.CheckTree(p, int64(size), rt, int64(old), oldRoot); err != nil {
					t.Fatalf("x/mod: %d in %d: %v", old, size, err)
				}
			}
			if err := tlog.CheckConsistency(p, uint64(size), rt, uint64(old), tlog.Hash{1}); err == nil {
				t.Fatalf("%d in %d with another root: no error", old, size)
			}
			if err := tlog.CheckConsistency(append(p, rt), uint64(size), rt, uint64(old), oldRoot); err == nil {
				t.Fatalf("%d in %d with a hash more: no error", old, size)
			}
		}
		if err := tlog.CheckConsistency(nil, uint64(size), rt, uint64(size)+1, rt); err == nil {
			t.Fatalf("%d in %d: no error", size+1, size)
		}
	}
}

// Sizes near the end of int64 must end in an error, not in a loop for ever.
func TestHugeSizes(t *testing.T) {
	for _, n := range []uint64{tlog.MaxSize + 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		if _, err := tlog.ProveInclusion(n, 0, memory(nil)); err == nil {
			t.Errorf("ProveInclusion(%d): no error", n)
		}
		if _, err := tlog.ProveConsistency(n, 1, memory(nil)); err == nil {
			t.Errorf("ProveConsistency(%d): no error", n)
		}
		if err := tlog.CheckInclusion(nil, n, tlog.Hash{}, 0, tlog.Hash{}); err == nil {
			t.Errorf("CheckInclusion(%d): no error", n)
		}
		if err := tlog.CheckConsistency(nil, n, tlog.Hash{}, 1, tlog.Hash{}); err == nil {
			t.Errorf("CheckConsistency(%d): no error", n)
		}
		if _, err := tlog.NewRange(n, nil); err == nil {
			t.Errorf("NewRange(%d): no error", n)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var r tlog.Range
	emit := func(int, tlog.Hash) {}
	if n := testing.AllocsPerRun(100, func() { r.Append(tlog.LeafHash([32]byte{}), emit); _ = r.Root() }); n != 0 {
		t.Errorf("Append and Root: %v allocations, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	var r tlog.Range
	e := entry(1)
	for b.Loop() {
		r.Append(tlog.LeafHash(e), nil)
	}
}

func BenchmarkSum256Leaf(b *testing.B) {
	var buf [33]byte
	for b.Loop() {
		_ = sha256.Sum256(buf[:])
	}
}

func BenchmarkSum256Node(b *testing.B) {
	var buf [65]byte
	for b.Loop() {
		_ = sha256.Sum256(buf[:])
	}
}
