package ringfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"audittrail/internal/vfs"
	"audittrail/record"
)

func testMeta() *Meta {
	return &Meta{
		Created: time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC),
		System:  HexSubject{1},
		Secret:  bytes.Repeat([]byte{2}, 32),
		Signers: []Signer{
			{VKey: "a+1+b", Until: new(uint64(9))},
			{VKey: "a+2+c", From: 9, Note: []byte("note"), Seed: bytes.Repeat([]byte{3}, 32)},
		},
		Applied: Applied{Seq: 4, Hash: HexHash{4}},
		Backups: []Backup{{ID: "x"}},
	}
}

func testEntries() []Entry {
	return []Entry{
		{Kind: ClassLive, Class: []byte("standard/2026-11"), Key: Key{1}},
		{Kind: ClassExpired, Class: []byte("short/2026-10"), Seq: 7},
		{Kind: SubjectLive, Subject: record.Subject{5}, User: []byte("user"), Key: Key{2}},
		{Kind: SubjectLive, Subject: record.Subject{6}, User: []byte("Ünï"), Key: Key{3}},
		{Kind: SubjectErased, Subject: record.Subject{7}, Seq: 1 << 60},
		{Kind: FileLive, File: PageKey{8}, Key: Key{4}},
		{Kind: FileLive, File: PageKey{9}, Key: Key{5}},
		{Kind: FileGone, File: PageKey{9}},
		{Kind: EscrowLive, Class: []byte("short/2026-10"), File: PageKey{10}, Key: Key{6}, Seq: 8},
		{Kind: EscrowLive, Class: []byte("other/2026-10"), File: PageKey{11}, Key: Key{7}, Seq: 9},
		{Kind: EscrowGone, Class: []byte("other/2026-10"), Seq: 10},
	}
}

func FuzzEntries(f *testing.F) {
	var all []byte
	for _, e := range testEntries() {
		all = AppendEntry(all, &e)
	}
	f.Add(all)
	f.Add([]byte{ClassLive, 255})
	f.Add([]byte{SubjectLive})
	f.Add([]byte{FileLive})
	f.Add([]byte{EscrowLive, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		err := DecodeEntries(in, func(e *Entry) error {
			again = AppendEntry(again, e)
			return nil
		})
		if err == nil && !bytes.Equal(again, in) {
			t.Errorf("DecodeEntries accepts %x, AppendEntry gives %x", in, again)
		}
		_, _, _ = findSubject(in, record.Subject{6})
		_, _, _ = findUser(in, PageKey{6})
	})
}

func FuzzMeta(f *testing.F) {
	b, err := testMeta().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"created":"2026-11-23T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseMeta(in)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, in) {
			t.Errorf("parseMeta accepts %q, Encode gives %q, %v", in, again, err)
		}
	})
}

func testHeader(t testing.TB) []byte {
	t.Helper()
	h := header{Generation: 7, Origin: "example.com/log", Directory: 400, Journal: 500}
	if err := h.wrap(&Key{1}, &Key{2}); err != nil {
		t.Fatal(err)
	}
	return h.encode()
}

func FuzzHeader(f *testing.F) {
	f.Add(testHeader(f))
	f.Add([]byte("audittrail-keyring/v1\n{}\n"))
	f.Add([]byte("audittrail-keyring/v9\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := parseHeader(in)
		if err != nil {
			return
		}
		if !bytes.Equal(h.encode(), in[:n]) {
			t.Errorf("parseHeader accepts %q, encode gives %q", in[:n], h.encode())
		}
	})
}

func testDirectory() *directory {
	return &directory{
		subjects: []pageRef{{first: PageKey{1}, off: 300, size: 100}, {first: PageKey{2}, off: 400, size: 200}},
		users:    []pageRef{{first: PageKey{1}, off: 600, size: 50}},
		live:     3,
	}
}

func FuzzDirectory(f *testing.F) {
	for _, payload := range testDirectory().encode() {
		f.Add(payload)
	}
	f.Add(make([]byte, dirHead))
	f.Fuzz(func(t *testing.T, in []byte) {
		var d directory
		_, left, err := d.decode(in, 300)
		if err != nil || left > 0 {
			return
		}
		if out := d.encode(); len(out) != 1 || !bytes.Equal(out[0], in) {
			t.Errorf("decode accepts %x, encode gives %x", in, out)
		}
		for _, k := range []PageKey{{}, {1}, {255}} {
			if i := find(d.subjects, k); i < -1 || i >= len(d.subjects) {
				t.Errorf("find = %d of %d", i, len(d.subjects))
			}
		}
	})
}

// FuzzFrames reads frames as a journal is read. A frame cannot be made without
// the key, so a frame that decrypts is one that was encrypted.
func FuzzFrames(f *testing.F) {
	seal, err := newSealer(&Key{9}, 7)
	if err != nil {
		f.Fatal(err)
	}
	const at = 321
	whole := seal.appendFrame(nil, at, KindMeta, []byte("payload"))
	f.Add(whole)
	f.Add(whole[:20])
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		kind, payload, _, err := seal.next(bytes.NewReader(in), at)
		bad := (*badFrame)(nil)
		if err != nil {
			if err != io.EOF && !errors.As(err, &bad) {
				t.Errorf("next = %v", err)
			}
			return
		}
		if kind != KindMeta || string(payload) != "payload" {
			t.Errorf("next accepts %x, which was not sealed", in)
		}
		seal.holdsFrame(in, at)
	})
}

// testFile returns a file with pages and a journal, on a disk of its own.
func testFile(t testing.TB) (*vfs.Mem, *File) {
	t.Helper()
	disk := vfs.NewMem()
	m := testMeta()
	st := New("example.com/log", m)
	for _, e := range testEntries() {
		if err := st.Note(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Note(&Entry{Kind: SubjectLive, Subject: record.Subject(m.System)}); err != nil {
		t.Fatal(err)
	}
	b := Base{Generation: 3, Origin: "example.com/log", Master: Key{1}, Wrapping: Key{2}, Pages: st.Pages, Meta: m, Classes: st.Entries()}
	if err := b.Write(disk, "ring"); err != nil {
		t.Fatal(err)
	}
	return disk, loadTest(t, disk)
}

func loadTest(t testing.TB, disk *vfs.Mem) *File {
	t.Helper()
	file, err := disk.Open("ring")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Load(file, "ring", 3, func(string) (*Key, error) { return &Key{1}, nil })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func FuzzBackup(f *testing.F) {
	_, file := testFile(f)
	var out bytes.Buffer
	head := BackupHead{ID: "x", Origin: "example.com/log", Generation: 3}
	if err := file.WriteBackup(&out, &head); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(out.Bytes()[:out.Len()-4])
	f.Add([]byte(backupLine + "{}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, b, err := ReadBackup(bytes.NewReader(in))
		if err != nil {
			return
		}
		b.Master, b.Wrapping = Key{1}, Key{2}
		disk := vfs.NewMem()
		if b.Write(disk, "ring") != nil {
			return
		}
		// An accepted backup gives a ring: Load may refuse it, but must not
		// panic.
		file, err := disk.Open("ring")
		if err != nil {
			t.Fatal(err)
		}
		back, err := Load(file, "ring", b.Generation, func(string) (*Key, error) { return &Key{1}, nil })
		if err != nil {
			return
		}
		if _, err := back.Pages(func(byte, PageKey, []byte) error { return nil }); err != nil {
			t.Errorf("a restored ring cannot be read: %v", err)
		}
	})
}

func TestBackupIsWhole(t *testing.T) {
	_, file := testFile(t)
	var out bytes.Buffer
	head := BackupHead{ID: "x", Created: time.Unix(1, 0).UTC(), Expires: time.Unix(2, 0).UTC(), Origin: "o", Generation: 3, Size: 9, Root: HexHash{9}}
	if err := file.WriteBackup(&out, &head); err != nil {
		t.Fatal(err)
	}
	read := func(in []byte) error {
		got, b, err := ReadBackup(bytes.NewReader(in))
		if err != nil {
			return err
		}
		if *got != head {
			t.Errorf("header is %+v, want %+v", *got, head)
		}
		_, err = b.Pages(func(byte, PageKey, []byte) error { return nil })
		return err
	}
	if err := read(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	for n := range out.Len() {
		if err := read(out.Bytes()[:n]); !errors.Is(err, ErrBackup) {
			t.Errorf("backup of %d bytes of %d: %v, want ErrBackup", n, out.Len(), err)
		}
	}
	if err := read(append(out.Bytes(), 0)); !errors.Is(err, ErrBackup) {
		t.Errorf("backup with a byte behind it: %v, want ErrBackup", err)
	}
}

// TestDirectoryOfManyFrames has more pages than one frame of a directory lists.
func TestDirectoryOfManyFrames(t *testing.T) {
	var d directory
	off := int64(300)
	for i := range maxRefs + maxRefs/2 {
		var k PageKey
		binary.BigEndian.PutUint32(k[:], uint32(i+1))
		d.subjects = append(d.subjects, pageRef{first: k, off: off, size: 100 + i%50})
		off += int64(100 + i%50)
	}
	d.live = 12
	out := d.encode()
	if len(out) != 2 {
		t.Fatalf("%d frames, want 2", len(out))
	}
	var back directory
	at := int64(300)
	for i, payload := range out {
		if len(payload) > MaxPayload {
			t.Errorf("frame of %d bytes", len(payload))
		}
		next, left, err := back.decode(payload, at)
		if err != nil || left != int64(1-i) {
			t.Fatalf("decode = %d, %v", left, err)
		}
		at = next
	}
	if at != off || len(back.subjects) != len(d.subjects) || back.live != 12 {
		t.Errorf("the directory comes back with %d pages up to %d", len(back.subjects), at)
	}
	for range 1000 {
		i := rand.IntN(len(d.subjects))
		k := d.subjects[i].first
		if got := find(back.subjects, k); got != i {
			t.Fatalf("find = %d, want %d", got, i)
		}
		k[15] = 1
		if got := find(back.subjects, k); got != i {
			t.Fatalf("find behind it = %d, want %d", got, i)
		}
	}
	if _, _, err := back.decode(out[0], 300); err == nil {
		t.Error("decode takes a directory twice")
	}
}

// TestForeignPages puts pages and entries in wrong places.
func TestForeignPages(t *testing.T) {
	m := testMeta()
	system := Entry{Kind: SubjectLive, Subject: record.Subject(m.System)}
	page := AppendEntry(nil, &system)
	first := PageKey(system.Subject)
	classes := AppendEntry(nil, &testEntries()[0])
	for _, test := range []struct {
		name    string
		classes [][]byte
		pages   func(Emitter) error
		want    string
	}{
		{"nothing wrong", nil, func(e Emitter) error { return e(KindSubjects, first, page) }, ""},
		{"subjects among the classes", [][]byte{page}, func(Emitter) error { return nil }, "base is not complete"},
		{"a class twice", [][]byte{classes, bytes.Clone(classes)}, func(Emitter) error { return nil }, "two keys"},
		{"pages out of order", nil, func(e Emitter) error {
			return errors.Join(e(KindSubjects, PageKey{2}, page), e(KindSubjects, PageKey{1}, page))
		}, "ascending"},
		{"a page of another kind", nil, func(e Emitter) error { return e(KindMeta, first, page) }, "instead of"},
		{"a page of nonsense", nil, func(e Emitter) error { return e(KindSubjects, first, []byte("nonsense")) }, "unknown kind"},
	} {
		disk := vfs.NewMem()
		b := Base{
			Generation: 3, Origin: "o", Master: Key{1}, Wrapping: Key{2}, Meta: m, Classes: test.classes,
			Pages: func(e Emitter) (uint64, error) { return 1, test.pages(e) },
		}
		if err := b.Write(disk, "ring"); err != nil {
			t.Fatal(err)
		}
		file, err := disk.Open("ring")
		if err != nil {
			t.Fatal(err)
		}
		f, err := Load(file, "ring", 3, func(string) (*Key, error) { return &Key{1}, nil })
		if err == nil {
			_, _, err = f.Subject(system.Subject)
		}
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		}
	}
}
