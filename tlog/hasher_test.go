package tlog_test

import (
	"math/rand/v2"
	"testing"

	"audittrail/tlog"
)

// TestHasher compares a Hasher with the functions that it replaces, also where
// it falls back on them.
func TestHasher(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	for name, h := range map[string]*tlog.Hasher{"new": tlog.NewHasher(), "fallen back": {}} {
		for range 200 {
			var left, right tlog.Hash
			if _, err := rng.Read(left[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := rng.Read(right[:]); err != nil {
				t.Fatal(err)
			}
			if got, want := h.Leaf(left), tlog.LeafHash(left); got != want {
				t.Fatalf("%s: Leaf(%v) = %v, want %v", name, left, got, want)
			}
			if got, want := h.Node(left, right), tlog.NodeHash(left, right); got != want {
				t.Fatalf("%s: Node(%v, %v) = %v, want %v", name, left, right, got, want)
			}
		}
	}
}

// BenchmarkTreeHashes computes what one more leaf costs: its hash, and that of
// a node.
func BenchmarkTreeHashes(b *testing.B) {
	b.Run("Hasher", func(b *testing.B) {
		h, sum := tlog.NewHasher(), tlog.Hash{}
		for b.Loop() {
			sum = h.Node(h.Leaf(sum), sum)
		}
	})
	b.Run("functions", func(b *testing.B) {
		var sum tlog.Hash
		for b.Loop() {
			sum = tlog.NodeHash(tlog.LeafHash(sum), sum)
		}
	})
}
