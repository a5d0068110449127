package escrow_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"audittrail/internal/escrow"
	"audittrail/internal/vfs"
	"audittrail/record"
)

var newVectors = flag.Bool("new-vectors", false, "write the vectors of a new format; those that exist stay forever")

const class = "standard/2026-11"

var fileKey = [32]byte{7, 7, 7}

func keyOf(seq uint64) record.Key { return record.Key{byte(seq), byte(seq >> 8), 3} }

// write makes an escrow of every third record.
func write(t testing.TB, fsys vfs.FS, name string, n int) {
	t.Helper()
	w, err := escrow.Create(fsys, name, class, &fileKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(n) {
		if err := w.Add(3*i+1, keyOf(3*i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// check looks up all entries of an escrow of n records, and records that it
// does not have.
func check(t testing.TB, f *escrow.File, n int) {
	t.Helper()
	for seq := range uint64(3*n + 4) {
		key, ok, err := f.Find(seq)
		want := seq%3 == 1 && seq < uint64(3*n)
		if err != nil || ok != want || ok && key != keyOf(seq) {
			t.Fatalf("of %d: Find(%d) = %v, %v, want it there: %v", n, seq, ok, err, want)
		}
	}
	at := uint64(1)
	err := f.Each(func(seq uint64, key record.Key) error {
		if seq != at || key != keyOf(seq) {
			t.Errorf("of %d: Each gives %d, want %d", n, seq, at)
		}
		at += 3
		return nil
	})
	if err != nil || at != uint64(3*n)+1 {
		t.Errorf("of %d: Each = %v, ended before %d", n, err, at)
	}
}

func TestEscrow(t *testing.T) {
	for _, n := range []int{0, 1, 2, 101, 102, 103, 204, 205, 1000} {
		disk := vfs.NewMem()
		write(t, disk, "e", n)
		f, err := escrow.Open(disk, "e", class, &fileKey)
		if err != nil {
			t.Fatal(err)
		}
		check(t, f, n)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := escrow.Open(disk, "e", "standard/2026-12", &fileKey); !errors.Is(err, escrow.ErrDamaged) {
			t.Errorf("of %d: under another class: %v, want ErrDamaged", n, err)
		}
		if _, err := escrow.Open(disk, "e", class, &[32]byte{1}); !errors.Is(err, escrow.ErrDamaged) {
			t.Errorf("of %d: under another key: %v, want ErrDamaged", n, err)
		}
	}
}

// TestDamage cuts an escrow at every byte, and flips every one.
func TestDamage(t *testing.T) {
	disk := vfs.NewMem()
	write(t, disk, "e", 105)
	whole, err := vfs.ReadFile(disk, "e", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error {
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, "e", b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := escrow.Open(disk, "e", class, &fileKey)
		if err != nil {
			return err
		}
		return errors.Join(f.Each(func(uint64, record.Key) error { return nil }), f.Close())
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := read(whole[:n]); !errors.Is(err, escrow.ErrDamaged) {
			t.Fatalf("cut at %d: %v, want ErrDamaged", n, err)
		}
		b := bytes.Clone(whole)
		b[n] ^= 1
		if err := read(b); !errors.Is(err, escrow.ErrDamaged) {
			t.Fatalf("flipped at %d: %v, want ErrDamaged", n, err)
		}
	}
	if err := read(append(bytes.Clone(whole), 0)); !errors.Is(err, escrow.ErrDamaged) {
		t.Errorf("with a byte more: %v, want ErrDamaged", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	disk := vfs.NewMem()
	w, err := escrow.Create(disk, "e", class, &fileKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(5, record.Key{}); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{5, 4} {
		if err := w.Add(seq, record.Key{}); err == nil {
			t.Errorf("Add(%d) after 5 = nil, want an error", seq)
		}
	}
	if _, err := escrow.Create(disk, "e", class, &fileKey); err == nil {
		t.Error("Create over another = nil, want an error")
	}
	if err := w.Abandon(); err != nil {
		t.Error(err)
	}
	if _, err := disk.Stat("e"); err == nil {
		t.Error("what was abandoned is there")
	}
}

// FuzzOpen reads files that were not encrypted with the key: none of them
// opens, and none crashes the reader.
func FuzzOpen(f *testing.F) {
	disk := vfs.NewMem()
	write(f, disk, "e", 3)
	whole, err := vfs.ReadFile(disk, "e", 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("audittrail-escrow/v1\n0123456789abcdef"))
	f.Fuzz(func(t *testing.T, in []byte) {
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, "e", in, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := escrow.Open(disk, "e", class, &fileKey)
		if err == nil && !bytes.Equal(in, whole) {
			t.Errorf("Open accepts %x, which was not written", in)
		}
		if err == nil {
			check(t, e, 3)
		}
	})
}

func TestVectors(t *testing.T) {
	folder := filepath.Join("..", "..", "testdata", "vectors", "escrow")
	for name, n := range map[string]int{"v1-empty": 0, "v1-three": 3, "v1-pages": 210} {
		if *newVectors {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, vfs.OS, filepath.Join(folder, name), n)
		}
		f, err := escrow.Open(vfs.OS, filepath.Join(folder, name), class, &fileKey)
		if err != nil {
			t.Fatal(err)
		}
		check(t, f, n)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		// The encoding is canonical: the file that is written now equals the
		// one that was written then.
		disk := vfs.NewMem()
		write(t, disk, "e", n)
		want, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := vfs.ReadFile(disk, "e", 1<<20); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: an escrow of the same keys is other bytes, %v", name, err)
		}
	}
}
