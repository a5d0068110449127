//go:build !race

package tlog_test

import (
	"testing"

	"audittrail/tlog"
)

// TestHasherAllocates counts what the race detector adds to.
func TestHasherAllocates(t *testing.T) {
	h := tlog.NewHasher()
	if n := testing.AllocsPerRun(100, func() { h.Node(h.Leaf([32]byte{1}), tlog.Hash{2}) }); n != 0 {
		t.Errorf("%v allocations for two hashes, want none", n)
	}
}
