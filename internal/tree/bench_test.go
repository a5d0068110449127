package tree_test

import (
	"testing"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

func BenchmarkAppend(b *testing.B) {
	tr, err := tree.Open(vfs.OS, b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	defer closeTree(b, tr)
	batch := entries(0, 256)
	b.SetBytes(256)
	b.ReportAllocs()
	for b.Loop() {
		if err := tr.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/entry")
}

func BenchmarkProve(b *testing.B) {
	tr, err := tree.Open(vfs.OS, b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	defer closeTree(b, tr)
	if err := tr.Append(entries(0, 100_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := tlog.ProveInclusion(tr.Size(), 33_333, tr.HashReader()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	name := b.TempDir()
	tr, err := tree.Open(vfs.OS, name, false)
	if err != nil {
		b.Fatal(err)
	}
	if err := tr.Append(entries(0, 100_000)); err != nil {
		b.Fatal(err)
	}
	closeTree(b, tr)
	for b.Loop() {
		tr, err := tree.Open(vfs.OS, name, true)
		if err != nil {
			b.Fatal(err)
		}
		closeTree(b, tr)
	}
}
