package segment_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A writer appends records to a store, as the log does.
type writer struct {
	t     testing.TB
	store *segment.Store
	prev  record.Hash
	lines [][]byte // without LF
}

func idOf(n uint64) (id record.ID) {
	binary.BigEndian.PutUint64(id[:], n*0x9e3779b97f4a7c15)
	return id
}

// write appends n records in one batch.
func (w *writer) write(n int) error {
	var b segment.Batch
	prev, lines := w.prev, w.lines
	for range n {
		seq := uint64(len(lines))
		kind := event.Prompt
		if seq%10 == 3 {
			kind = event.LogRepaired
		}
		d, err := record.Seal(&record.SealParams{
			LogMetadata: record.LogMetadata{Source: record.SourceApp},
			ID:          idOf(seq), Event: &event.Event{Type: kind, Time: time.Unix(0, 0), Prompt: strings.Repeat("x", int(seq%50))}, Class: "standard/2026-11",
		})
		if err != nil {
			w.t.Fatal(err)
		}
		from := len(b.Lines)
		b.Lines, prev = d.Finish(b.Lines, seq, time.Unix(0, int64(seq)), prev)
		b.Marks = append(b.Marks, segment.Mark{End: len(b.Lines), ID: d.ID, Admin: d.Governance})
		lines = append(lines, bytes.Clone(b.Lines[from:len(b.Lines)-1]))
		d.Free()
	}
	if _, err := w.store.Append(&b); err != nil {
		return err
	}
	w.prev, w.lines = prev, lines
	return nil
}

func (w *writer) must(n int) {
	w.t.Helper()
	if err := w.write(n); err != nil {
		w.t.Fatal(err)
	}
}

const dir = "log"

var key = segment.Key{1, 2, 3}

// create makes a store in a new folder, ready for writing.
func create(t testing.TB, fsys vfs.FS, dir string, roll int64) *writer {
	t.Helper()
	if err := vfs.MakeDir(fsys, dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(fsys, dir, roll)
	if err != nil {
		t.Fatal(err)
	}
	s.Authenticate(key)
	if err := s.OpenTail(context.Background(), segment.Pos{}, 0); err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, store: s}
}

// check reads everything in every way and compares it with what was written.
func (w *writer) check(s *segment.Store) {
	w.t.Helper()
	ctx := context.Background()
	if s.Size() != uint64(len(w.lines)) {
		w.t.Fatalf("Size() = %d, want %d", s.Size(), len(w.lines))
	}
	i := 0
	for line, err := range s.Lines(ctx, 0, record.MaxSeq) {
		if err != nil {
			w.t.Fatalf("Lines: %v", err)
		}
		if !bytes.Equal(line, w.lines[i]) {
			w.t.Fatalf("line %d is %q, want %q", i, line, w.lines[i])
		}
		i++
	}
	if i != len(w.lines) {
		w.t.Fatalf("%d lines, want %d", i, len(w.lines))
	}
	var admin []uint64
	for i, want := range w.lines {
		seq := uint64(i)
		if got, err := s.Line(seq); err != nil || !bytes.Equal(got, want) {
			w.t.Fatalf("Line(%d) = %q, %v, want %q", i, got, err, want)
		}
		if got, err := s.FindID(ctx, idOf(seq)); err != nil || !slices.Equal(got, []uint64{seq}) {
			w.t.Fatalf("FindID(%d) = %v, %v", i, got, err)
		}
		if seq%10 == 3 {
			admin = append(admin, seq)
		}
	}
	if got, err := s.FindID(ctx, idOf(1<<40)); err != nil || len(got) != 0 {
		w.t.Fatalf("FindID of no record = %v, %v", got, err)
	}
	if got, err := s.Administrative(0); err != nil || !slices.Equal(got, admin) {
		w.t.Fatalf("Administrative(0) = %v, %v, want %v", got, err, admin)
	}
	if _, err := s.Line(uint64(len(w.lines))); !errors.Is(err, segment.ErrBeyond) {
		w.t.Fatalf("Line behind the end: %v, want ErrBeyond", err)
	}
}

func (w *writer) reader(fsys vfs.FS, live bool) *segment.Store {
	w.t.Helper()
	s, err := segment.Open(fsys, dir, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Authenticate(key)
	if err := s.Refresh(context.Background(), live, 0); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestAppendAndRead(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 8_000)
	for i := range 120 {
		w.must(1 + i%4)
	}
	w.check(w.store)
	w.check(w.reader(disk, true)) // concurrently with the writer
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.check(w.reader(disk, false))
	if infos, err := w.store.Segments(); err != nil || len(infos) < 5 || infos[1].Size > 8_000 {
		t.Errorf("Segments() = %+v, %v, want several of at most 8,000 bytes", infos, err)
	}
}

// TestDerivedIsDisposable damages and deletes what is derived from the lines.
func TestDerivedIsDisposable(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 8_000)
	for range 30 {
		w.must(3)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".jsonl") {
			continue
		}
		if strings.HasSuffix(name, ".tab") {
			tables++
		}
		gone := disk.Clone()
		if err := gone.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		w.check(w.reader(gone, false))
		f, err := disk.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		for at := int64(0); at < size; at += 1 + size/12 {
			damaged := disk.Clone()
			flip(t, damaged, filepath.Join(dir, name), at)
			w.check(w.reader(damaged, false))
		}
		cut := disk.Clone()
		truncate(t, cut, filepath.Join(dir, name), size/2)
		w.check(w.reader(cut, false))
	}
	if tables == 0 {
		t.Error("no id table was made")
	}
}

func flip(t *testing.T, fsys vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, fsys vfs.FS, name string, size int64) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestReopen continues to write where another process ended, with and without
// the derived files of that one.
func TestReopen(t *testing.T) {
	for _, lose := range []string{"", ".side", ".tab"} {
		disk := vfs.NewMem()
		w := create(t, disk, dir, 8_000)
		for range 10 {
			for range 7 {
				w.must(2)
			}
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			names, err := disk.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if lose != "" && strings.HasSuffix(name, lose) {
					if err := disk.Remove(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, err := segment.Open(disk, dir, 8_000)
			if err != nil {
				t.Fatal(err)
			}
			s.Authenticate(key)
			size := uint64(len(w.lines))
			end, err := s.End(context.Background(), size-1)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.OpenTail(context.Background(), end, size); err != nil {
				t.Fatal(err)
			}
			w.store = s
			w.check(s)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullSideFile(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 0)
	w.must(2)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".side") {
			return syscall.ENOSPC
		}
		return nil
	})
	w.must(1) // durable, and therefore acknowledged
	w.check(w.store)
	if err := w.write(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("append with a side file that lags: %v, want no space left", err)
	}
	disk.Inject(nil)
	w.must(1)
	w.check(w.store)
	w.check(w.reader(disk, true))
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCut(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 0)
	w.must(3)
	end, err := w.store.End(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(disk, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := s.Cut(end, "torn-x")
	if want := append(slices.Clone(w.lines[2]), '\n'); err != nil || !bytes.Equal(cut, want) {
		t.Errorf("Cut() = %q, %v, want %q", cut, err, want)
	}
	after := disk.Crash(nil)
	kept, err := vfs.ReadFile(after, filepath.Join(dir, "torn-x"), 1<<20)
	if err != nil || !bytes.Equal(kept, cut) {
		t.Errorf("kept aside: %q, %v, want what was cut", kept, err)
	}
	w.lines = w.lines[:2]
	w.check(w.reader(after, false))
}

// TestReaderWithoutWriter reads lines that have no entry in a side file, as
// after a power loss, and a torn line.
func TestReaderWithoutWriter(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 0)
	w.must(5)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	infos, err := w.store.Segments()
	if err != nil {
		t.Fatal(err)
	}
	side := strings.TrimSuffix(infos[0].File, ".jsonl") + ".side"
	truncate(t, disk, side, 32+16*2+5)
	f, err := disk.OpenFile(infos[0].File, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(`{"v":1,"id"`), infos[0].Size); err != nil {
		t.Fatal(err)
	}
	for signed, want := range map[uint64]uint64{0: 0, 2: 2, 5: 5, 9: 5} {
		s := w.reader(disk, true)
		if err := s.Refresh(context.Background(), true, signed); err != nil || s.Size() != want {
			t.Errorf("beside a writer that has signed %d: Size() = %d, %v, want %d", signed, s.Size(), err, want)
		}
	}
	w.check(w.reader(disk, false))
}

func TestScanLongLines(t *testing.T) {
	disk := vfs.NewMem()
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var want []string
	var all strings.Builder
	for range 30 {
		line := strings.Repeat("y", rng.IntN(1<<uint(rng.IntN(22))))
		want = append(want, line)
		all.WriteString(line + "\n")
	}
	all.WriteString("no end")
	if err := vfs.WriteFile(disk, filepath.Join(dir, fmt.Sprintf("%020d.jsonl", 0)), []byte(all.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(disk, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	at, i := int64(0), 0
	for raw, err := range s.Scan(context.Background(), segment.Pos{}) {
		if err != nil {
			t.Fatal(err)
		}
		if raw.Pos.Offset != at {
			t.Fatalf("line %d begins at %d, want %d", i, raw.Pos.Offset, at)
		}
		if i == len(want) {
			if raw.Whole || string(raw.Line) != "no end" {
				t.Errorf("the end is %q, whole: %v", raw.Line, raw.Whole)
			}
			i++
			continue
		}
		if !raw.Whole || string(raw.Line) != want[i] {
			t.Fatalf("line %d has %d bytes, whole: %v, want %d", i, len(raw.Line), raw.Whole, len(want[i]))
		}
		at += int64(len(raw.Line)) + 1
		i++
	}
	if i != len(want)+1 {
		t.Errorf("%d lines, want %d", i, len(want)+1)
	}
}

// BenchmarkFindID looks ids up among many, in tables.
func BenchmarkFindID(b *testing.B) {
	w := create(b, vfs.OS, filepath.Join(b.TempDir(), dir), 4<<20)
	for range 100 {
		w.must(1000)
	}
	b.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			b.Error(err)
		}
	})
	ctx := context.Background()
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		if _, err := w.store.FindID(ctx, idOf(n*7919%200_000)); err != nil { // half of them are there
			b.Fatal(err)
		}
	}
}

// A writer acknowledges nothing that went into another file than the one of the
// segment's name: the folder was exchanged, or the file removed, or replaced by a copy.
func TestSegmentExchanged(t *testing.T) {
	for name, exchange := range map[string]func(*vfs.Mem, string) error{
		"removed":  func(disk *vfs.Mem, name string) error { return disk.Remove(name) },
		"moved":    func(disk *vfs.Mem, name string) error { return disk.Rename(name, name+".moved") },
		"replaced": func(disk *vfs.Mem, name string) error { return vfs.WriteFile(disk, name, read(t, disk, name), 0o644) },
		"its folder exchanged": func(disk *vfs.Mem, name string) error {
			b := read(t, disk, name)
			return errors.Join(disk.Rename(dir, dir+".moved"), disk.MkdirAll(dir, 0o755), vfs.WriteFile(disk, name, b, 0o644))
		},
		"added to": func(disk *vfs.Mem, name string) error {
			return vfs.WriteFile(disk, name, append(read(t, disk, name), "x\n"...), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			w := create(t, disk, dir, 0)
			w.must(3)
			if err := exchange(disk, filepath.Join(dir, fmt.Sprintf("%020d.jsonl", 0))); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := w.write(1); !errors.Is(err, segment.ErrFailed) {
					t.Errorf("Append = %v, want ErrFailed", err)
				}
			}
		})
	}
}
