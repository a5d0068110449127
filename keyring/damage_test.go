package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
)

// A specimen is a ring of two pages of subjects and one of users, with two
// frames in the journal after them.
type specimen struct {
	disk   *vfs.Mem
	base   []held    // one of each page
	frames [2][]held // of the journal
	name   string
	ring   []byte
	ends   [2]int // where the frames of the journal end
	start  int    // where the first one begins
}

func newSpecimen(t *testing.T, signed bool) *specimen {
	t.Helper()
	s := &specimen{disk: vfs.NewMem()}
	r := create(t, s.disk)
	for i := range 90 {
		s.base = append(s.base, seal(t, r, fmt.Sprintf("user-%d@example.com", i), class))
	}
	slices.SortFunc(s.base, func(a, b held) int { return bytes.Compare(a.subject[:], b.subject[:]) })
	s.base = []held{s.base[0], s.base[len(s.base)-1]}
	// A new generation has everything in its base.
	if err := r.RotateMaster(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s.name = ringFile(r)
	s.start = len(files(t, s.disk)[s.name])
	for i := range s.frames {
		s.frames[i] = []held{seal(t, r, fmt.Sprintf("in the journal %d", i), other)}
		flush(t, r)
		s.ends[i] = len(files(t, s.disk)[s.name])
	}
	if signed {
		if err := r.SetSigned(1, [32]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	closeRing(t, r)
	s.ring = files(t, s.disk)[s.name]
	return s
}

// with returns the specimen's disk with another ring.
func (s *specimen) with(t *testing.T, ring []byte) *vfs.Mem {
	t.Helper()
	disk := s.disk.Clone()
	overwrite(t, disk, s.name, ring)
	return disk
}

// clear reports whether an error says that a file is damaged, and nothing else.
func clear(err error) bool {
	return errors.Is(err, keyring.ErrDamaged) && !errors.Is(err, keyring.ErrWrongMaster)
}

// probe opens a damaged ring. It returns whether the damage was noticed, and
// how many frames were cut off its end.
func (s *specimen) probe(t *testing.T, disk *vfs.Mem, readOnly bool) (noticed bool, cut int) {
	t.Helper()
	r, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk, ReadOnly: readOnly})
	if err != nil {
		if !clear(err) && !errors.Is(err, keyring.ErrNewerFormat) {
			t.Fatalf("Open = %v, want ErrDamaged", err)
		}
		return true, 0
	}
	defer closeRing(t, r)
	for _, h := range s.base {
		if err := h.check(r); err != nil {
			if !clear(err) {
				t.Fatalf("%v, want ErrDamaged", err)
			}
			noticed = true
		}
	}
	for _, frame := range s.frames {
		for _, h := range frame {
			err := h.check(r)
			switch {
			case errors.Is(err, keyring.ErrLost):
				cut++
			case err != nil && !clear(err):
				t.Fatalf("%v, want ErrDamaged or ErrLost", err)
			case err != nil:
				noticed = true
			case cut > 0:
				t.Fatal("a frame behind one that was cut off is there")
			}
		}
	}
	return noticed, cut
}

func step() int {
	if testing.Short() {
		return 23
	}
	return 1
}

func TestEveryByteOfTheRing(t *testing.T) {
	for _, signed := range []bool{false, true} {
		s := newSpecimen(t, signed)
		for off := 0; off < len(s.ring); off += step() {
			ring := bytes.Clone(s.ring)
			ring[off] ^= 1 << (off % 8)
			noticed, cut := s.probe(t, s.with(t, ring), off%2 == 0)
			torn := off >= s.ends[0] && !signed
			if noticed == torn || cut > 0 != torn || cut > 1 {
				t.Fatalf("signed %v: byte %d changed: noticed %v, cut off %d frames", signed, off, noticed, cut)
			}
		}
	}
}

func TestEveryLengthOfTheRing(t *testing.T) {
	for _, signed := range []bool{false, true} {
		s := newSpecimen(t, signed)
		for n := 0; n < len(s.ring); n += step() {
			noticed, cut := s.probe(t, s.with(t, s.ring[:n]), n%2 == 0)
			// Without a signed state, an end between two frames is an end.
			want := 0
			if !signed && n >= s.start {
				want = 2
			}
			if !signed && n >= s.ends[0] {
				want = 1
			}
			if noticed == (want > 0) || cut != want {
				t.Fatalf("signed %v: cut off at byte %d: noticed %v, cut off %d frames", signed, n, noticed, cut)
			}
		}
	}
}

func TestGarbageBehindTheRing(t *testing.T) {
	s := newSpecimen(t, true)
	for _, garbage := range [][]byte{
		{0}, []byte("x"), make([]byte, 4096), bytes.Repeat([]byte{0xff}, 100), s.ring[:200], s.ring[s.ends[0]:],
	} {
		disk := s.with(t, append(bytes.Clone(s.ring), garbage...))
		if noticed, cut := s.probe(t, disk, false); noticed || cut > 0 {
			t.Errorf("%d bytes behind the ring: noticed %v, cut %d", len(garbage), noticed, cut)
		}
		all := files(t, disk)
		if !bytes.Equal(all[s.name], s.ring) {
			t.Errorf("%d bytes behind the ring were not cut off", len(garbage))
		}
		aside := fmt.Sprintf("torn-%s-%016x", strings.TrimPrefix(s.name, "ring-"), len(s.ring))
		if !bytes.Equal(all[aside], garbage) {
			t.Errorf("%d bytes behind the ring were not copied aside", len(garbage))
		}
		r := open(t, disk)
		if err := r.RotateMaster(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		closeRing(t, r)
		if _, ok := files(t, disk)[aside]; ok {
			t.Error("what was copied aside outlives the generation that it is of")
		}
	}
	// More bytes than one frame can have are not a torn write.
	disk := s.with(t, append(bytes.Clone(s.ring), make([]byte, 1<<20+9)...))
	if noticed, _ := s.probe(t, disk, false); !noticed {
		t.Error("a megabyte behind the ring was taken for a torn write")
	}
}

// TestDamageBeforeAFrame distinguishes damage from a crash.
func TestDamageBeforeAFrame(t *testing.T) {
	s := newSpecimen(t, false)
	ring := bytes.Clone(s.ring)
	ring[s.ends[0]-1] ^= 1 // the last frame but one
	_, err := keyring.Open(context.Background(), dir, keyring.Options{FS: s.with(t, ring)})
	var damaged *keyring.DamagedError
	if !errors.As(err, &damaged) || filepath.Base(damaged.File) != s.name {
		t.Fatalf("Open = %v, want a DamagedError about %s", err, s.name)
	}
	if !strings.Contains(err.Error(), "a whole one follows") {
		t.Errorf("Open = %v, want it to say that a whole frame follows", err)
	}
}

func TestEveryByteOfTheSignedState(t *testing.T) {
	s := newSpecimen(t, true)
	text := files(t, s.disk)["signed"]
	open := func(text []byte, forget bool) error {
		disk := s.disk.Clone()
		overwrite(t, disk, "signed", text)
		r, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk, ResetSigned: forget})
		if err == nil {
			if size, _ := r.Signed(); size != 0 && forget {
				t.Errorf("Signed = %d of a state to be forgotten", size)
			}
			err = r.Close()
		}
		return err
	}
	for off := range text {
		bad := bytes.Clone(text)
		bad[off] ^= 1
		if err := open(bad, false); !clear(err) {
			t.Fatalf("byte %d of the signed state changed: Open = %v, want ErrDamaged", off, err)
		}
		if err := open(text[:off], false); !clear(err) {
			t.Fatalf("signed state cut off at byte %d: Open = %v, want ErrDamaged", off, err)
		}
		if err := open(bad, true); err != nil {
			t.Fatalf("ForgetSigned: Open = %v", err)
		}
	}
	disk := s.disk.Clone()
	if err := disk.Remove(filepath.Join(dir, "signed")); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk}); !clear(err) {
		t.Errorf("Open without a signed state = %v, want ErrDamaged", err)
	}
}

// TestRollback replaces a ring by an older one.
func TestRollback(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	fill(t, r, 2)
	before := files(t, disk)
	first := ringFile(r)
	if err := r.RotateMaster(context.Background(), keyring.MasterFile(disk, filepath.Join(dir, "second.key"))); err != nil {
		t.Fatal(err)
	}
	if err := r.SetSigned(1, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	second := ringFile(r)
	closeRing(t, r)
	if err := disk.Remove(filepath.Join(dir, second)); err != nil {
		t.Fatal(err)
	}
	overwrite(t, disk, first, before[first])
	if _, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk}); !clear(err) {
		t.Errorf("Open of an older generation = %v, want ErrDamaged", err)
	}
	// A frame or a file under another generation's name opens nothing.
	overwrite(t, disk, second, before[first])
	if _, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk}); !clear(err) {
		t.Errorf("Open of an older generation under the name of the newer = %v, want ErrDamaged", err)
	}
}

func TestNewerFormat(t *testing.T) {
	s := newSpecimen(t, true)
	ring := bytes.Replace(s.ring, []byte("audittrail-keyring/v1\n"), []byte("audittrail-keyring/v2\n"), 1)
	_, err := keyring.Open(context.Background(), dir, keyring.Options{FS: s.with(t, ring)})
	if !errors.Is(err, keyring.ErrNewerFormat) {
		t.Errorf("Open = %v, want ErrNewer", err)
	}
}

// TestUnreadable has the disk refuse to read: that is not damage.
func TestUnreadable(t *testing.T) {
	s := newSpecimen(t, true)
	r := open(t, s.disk)
	defer closeRing(t, r)
	failOn(s.disk, vfs.OpRead, "ring-", errDisk)
	if _, err := r.DecryptionKey(s.base[0].subject, class); !errors.Is(err, errDisk) || errors.Is(err, keyring.ErrDamaged) {
		t.Errorf("ForOpening = %v, want the disk's error and not ErrDamaged", err)
	}
	_, err := keyring.Open(context.Background(), dir, keyring.Options{FS: s.disk, ReadOnly: true})
	if !errors.Is(err, errDisk) || errors.Is(err, keyring.ErrDamaged) {
		t.Errorf("Open = %v, want the disk's error and not ErrDamaged", err)
	}
	s.disk.Inject(nil)
}
