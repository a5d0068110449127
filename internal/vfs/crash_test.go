package vfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/vfs"
)

// seeds is how many crashes of one state are looked at.
const seeds = 300

// crashes calls f with states of the disk after a power loss, first the one
// without any unsynced data.
func crashes(m *vfs.Mem, f func(disk *vfs.Mem)) {
	f(m.Crash(nil))
	for seed := range uint64(seeds) {
		f(m.Crash(rand.New(rand.NewPCG(seed, 0))))
	}
}

// outcomes returns how often each description of a disk occurred.
func outcomes(m *vfs.Mem, describe func(disk *vfs.Mem) string) map[string]int {
	seen := make(map[string]int)
	crashes(m, func(disk *vfs.Mem) { seen[describe(disk)]++ })
	return seen
}

func wantOutcomes(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	var keys []string
	for k := range got {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.Sort(want)
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// tree lists all names, files with their content.
func tree(t *testing.T, fsys vfs.FS, dir string) string {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		fi, err := fsys.Stat(path.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.IsDir() {
			out = append(out, name+"{"+tree(t, fsys, path.Join(dir, name))+"}")
			continue
		}
		data, err := vfs.ReadFile(fsys, path.Join(dir, name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name+"="+string(data))
	}
	return strings.Join(out, " ")
}

func TestCrashKeepsSynced(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "synced")
	crashes(m, func(disk *vfs.Mem) { wantContent(t, disk, "f", "synced") })

	writeAt(t, f, " and not", 6)
	crashes(m, func(disk *vfs.Mem) {
		got, err := vfs.ReadFile(disk, "f", 100)
		if err != nil || !bytes.HasPrefix(got, []byte("synced")) {
			t.Errorf("f holds %q, %v; want synced…", got, err)
		}
	})

	syncFile(t, f)
	crashes(m, func(disk *vfs.Mem) { wantContent(t, disk, "f", "synced and not") })
}

func TestCrashTearsWrites(t *testing.T) {
	const size = 3 * 512
	m := vfs.NewMem()
	f := newFile(t, m, "f", strings.Repeat("o", size))
	writeAt(t, f, strings.Repeat("n", size-200), 100)
	const (
		lost = 1 << iota
		kept
		midSector // cut where no sector ends
		zeroSector
		oldSector // before a new one
	)
	seen := 0
	crashes(m, func(disk *vfs.Mem) {
		got, err := vfs.ReadFile(disk, "f", 1<<20)
		if err != nil || len(got) != size {
			t.Fatalf("f: %d bytes, %v; want %d", len(got), err, size)
		}
		outside := append(got[:100:100], got[size-100:]...)
		if strings.Trim(string(outside), "o") != "" {
			t.Fatal("the crash changed synced bytes that no write touched")
		}
		body := string(got[100 : size-100])
		if strings.Trim(body, "on\x00") != "" {
			t.Fatalf("the crash made up bytes: %q", body)
		}
		cut := strings.LastIndexAny(body, "n\x00") + 1
		switch {
		case cut == 0:
			seen |= lost
		case strings.Trim(body, "n") == "":
			seen |= kept
		case (cut+100)%512 != 0 && cut != len(body):
			seen |= midSector
		}
		if strings.Contains(body, strings.Repeat("\x00", 512)) {
			seen |= zeroSector
		}
		if strings.Contains(body, strings.Repeat("o", 512)+"n") {
			seen |= oldSector
		}
	})
	if want := lost | kept | midSector | zeroSector | oldSector; seen != want {
		t.Errorf("kinds of damage seen: %05b, want %05b", seen, want)
	}
}

func TestCrashWritesAreIndependent(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "____")
	for i, c := range []string{"a", "b", "c"} {
		writeAt(t, f, c, int64(i))
	}
	seen := outcomes(m, func(disk *vfs.Mem) string { return tree(t, disk, "/") })
	for _, want := range []string{"f=____", "f=abc_", "f=a___", "f=__c_", "f=_b__", "f=a_c_"} {
		if seen[want] == 0 {
			t.Errorf("never saw %q", want)
		}
	}
}

func TestCrashSizes(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "12")
	writeAt(t, f, "345", 2)
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	sizes := make(map[int]bool)
	crashes(m, func(disk *vfs.Mem) {
		got, err := vfs.ReadFile(disk, "f", 100)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(got)] = true
		for i, b := range got {
			if b != "12345"[i] && (b != 0 || i < 2) {
				t.Errorf("f holds %q", got)
			}
		}
	})
	if diff := cmp.Diff(map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}

	syncFile(t, f)
	crashes(m, func(disk *vfs.Mem) { wantContent(t, disk, "f", "1") })
	// Bytes that were cut off never reappear, not even when the file grows
	// again.
	if err := f.Truncate(5); err != nil {
		t.Fatal(err)
	}
	crashes(m, func(disk *vfs.Mem) {
		got, err := vfs.ReadFile(disk, "f", 100)
		if err != nil || !strings.HasPrefix("1\x00\x00\x00\x00", string(got)) {
			t.Errorf("f holds %q, %v", got, err)
		}
	})
}

func TestCrashTruncated(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "12345")
	for _, size := range []int64{1, 6} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	seen := outcomes(m, func(disk *vfs.Mem) string { return tree(t, disk, "/") })
	wantOutcomes(t, seen, "f=12345", "f=1", "f=1\x00\x00\x00\x00\x00")
}

func TestCrashNames(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, m *vfs.Mem) // on d/f=F, e, all durable
		want []string
	}{
		{"create", func(t *testing.T, m *vfs.Mem) {
			syncFile(t, create(t, m, "d/g"))
			syncFile(t, create(t, m, "d/h"))
		}, []string{"d{f=F} e{}", "d{f=F g=} e{}", "d{f=F g= h=} e{}"}},
		{"create, synced", func(t *testing.T, m *vfs.Mem) {
			syncFile(t, create(t, m, "d/g"))
			syncDir(t, m, "d")
		}, []string{"d{f=F g=} e{}"}},
		{"other folder synced", func(t *testing.T, m *vfs.Mem) {
			syncFile(t, create(t, m, "d/g"))
			syncDir(t, m, "e")
			syncDir(t, m, ".")
		}, []string{"d{f=F} e{}", "d{f=F g=} e{}"}},
		{"folder not synced itself", func(t *testing.T, m *vfs.Mem) {
			mkdir(t, m, "x/y")
			newFile(t, m, "x/y/z", "Z")
			syncDir(t, m, "x")
		}, []string{"d{f=F} e{}", "d{f=F} e{} x{y{z=Z}}"}},
		{"rename", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "d/g")
		}, []string{"d{f=F} e{}", "d{g=F} e{}"}},
		{"rename, synced", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "d/g")
			syncDir(t, m, "d")
		}, []string{"d{g=F} e{}"}},
		{"replace", func(t *testing.T, m *vfs.Mem) {
			newFile(t, m, "d/g", "G")
			rename(t, m, "d/g", "d/f")
		}, []string{"d{f=F g=G} e{}", "d{f=G} e{}"}},
		{"replace by what is not synced", func(t *testing.T, m *vfs.Mem) {
			create(t, m, "d/g")
			rename(t, m, "d/g", "d/f")
		}, []string{"d{f=F} e{}", "d{f=F g=} e{}", "d{f=} e{}"}},
		{"remove", func(t *testing.T, m *vfs.Mem) {
			remove(t, m, "d/f")
		}, []string{"d{f=F} e{}", "d{} e{}"}},
		{"remove and create again", func(t *testing.T, m *vfs.Mem) {
			remove(t, m, "d/f")
			syncFile(t, create(t, m, "d/f"))
		}, []string{"d{f=F} e{}", "d{} e{}", "d{f=} e{}"}},
		{"move", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
		}, []string{"d{f=F} e{}", "d{} e{g=F}"}},
		{"move, old folder synced", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
			syncDir(t, m, "d")
		}, []string{"d{} e{g=F}"}},
		{"move, new folder synced", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
			syncDir(t, m, "e")
		}, []string{"d{} e{g=F}"}},
		{"move there and back", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
			rename(t, m, "e/g", "d/h")
		}, []string{"d{f=F} e{}", "d{} e{g=F}", "d{h=F} e{}"}},
		{"move out and remove the folder", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
			remove(t, m, "d")
		}, []string{"d{f=F} e{}", "d{} e{g=F}", "e{g=F}"}},
		{"move out and remove the folder, synced", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d/f", "e/g")
			remove(t, m, "d")
			syncDir(t, m, "/")
		}, []string{"e{g=F}"}},
		{"move a folder", func(t *testing.T, m *vfs.Mem) {
			rename(t, m, "d", "e/d")
		}, []string{"d{f=F} e{}", "e{d{f=F}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := vfs.NewMem()
			mkdir(t, m, "d")
			mkdir(t, m, "e")
			syncDir(t, m, "/")
			newFile(t, m, "d/f", "F")
			tt.run(t, m)
			seen := outcomes(m, func(disk *vfs.Mem) string { return tree(t, disk, "/") })
			wantOutcomes(t, seen, tt.want...)
			// A copy may crash in the same ways.
			seen = outcomes(m.Clone(), func(disk *vfs.Mem) string { return tree(t, disk, "/") })
			wantOutcomes(t, seen, tt.want...)
		})
	}
}

func TestCrashAfterFailedSync(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "old")
	writeAt(t, f, "NEW and more", 0)
	failures := 1
	m.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && failures > 0 {
			failures--
			return syscall.EIO
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync: %v, want EIO", err)
	}
	wantContent(t, m, "f", "NEW and more")
	crashes(m, func(disk *vfs.Mem) {
		if s := tree(t, disk, "/"); strings.ContainsAny(s, "NEW") {
			t.Errorf("after a failed Sync: %q", s)
		}
	})
	writeAt(t, f, "later", 12)
	syncFile(t, f) // succeeds, and saves what came later
	wantContent(t, m, "f", "NEW and morelater")
	wantContent(t, m.KillOnly(), "f", "NEW and morelater")
	crashes(m, func(disk *vfs.Mem) {
		wantContent(t, disk, "f", "old\x00\x00\x00\x00\x00\x00\x00\x00\x00later")
	})
	writeAt(t, f, "NEW", 0) // written again, it is as any other write
	syncFile(t, f)
	crashes(m, func(disk *vfs.Mem) {
		wantContent(t, disk, "f", "NEW\x00\x00\x00\x00\x00\x00\x00\x00\x00later")
	})
}

func TestCrashIsRepeatable(t *testing.T) {
	m := vfs.NewMem()
	randomOps(t, m, rand.New(rand.NewPCG(1, 2)), 200)
	before := tree(t, m, "/")
	for seed := range uint64(20) {
		disk := m.Crash(rand.New(rand.NewPCG(seed, 0)))
		a := tree(t, disk, "/")
		b := tree(t, m.Crash(rand.New(rand.NewPCG(seed, 0))), "/")
		c := tree(t, m.Clone().Crash(rand.New(rand.NewPCG(seed, 0))), "/")
		if a != b || a != c {
			t.Fatalf("seed %d gives different disks", seed)
		}
		// The state after the crash is durable.
		if again := tree(t, disk.Crash(nil), "/"); again != a {
			t.Fatalf("a second crash without any operation changed the disk: %q, was %q", again, a)
		}
		if disk.Ops() != 0 {
			t.Errorf("Ops after the crash = %d, want 0", disk.Ops())
		}
	}
	if after := tree(t, m, "/"); after != before {
		t.Error("Crash changed the file system itself")
	}
}

// TestCrashModel does random operations and checks the invariants.
func TestCrashModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := vfs.NewMem()
		for range 5 {
			randomOps(t, m, rng, 30)
			if got, want := tree(t, m.KillOnly(), "/"), tree(t, m, "/"); got != want {
				t.Fatalf("seed %d: KillOnly shows %q, want %q", seed, got, want)
			}
			for range 5 {
				tree(t, m.Crash(rng), "/") // readable, whatever it shows
			}
			// Once all is synced, there is nothing to lose.
			synced := m.Clone()
			syncAll(t, synced, "/")
			if got, want := tree(t, synced.Crash(rng), "/"), tree(t, m, "/"); got != want {
				t.Fatalf("seed %d: all synced, the crash shows %q, want %q", seed, got, want)
			}
			if got, want := tree(t, synced.Crash(nil), "/"), tree(t, m, "/"); got != want {
				t.Fatalf("seed %d: all synced, the worst crash shows %q, want %q", seed, got, want)
			}
			if rng.IntN(2) == 0 {
				m = m.Crash(rng)
			}
		}
	}
}

// randomOps does n operations on a few names. Those that cannot be done fail,
// which does not matter.
func randomOps(t *testing.T, m *vfs.Mem, rng *rand.Rand, n int) {
	t.Helper()
	name := func() string {
		return strings.Repeat("d/", rng.IntN(3)) + string(rune('d'+rng.IntN(4)))
	}
	for i := range n {
		switch rng.IntN(9) {
		case 0:
			_ = m.MkdirAll(name(), 0o755)
		case 1:
			_ = m.Remove(name())
		case 2, 3:
			_ = m.Rename(name(), name())
		case 4:
			_ = m.SyncDir(path.Dir(name()))
		default:
			f, err := m.OpenFile(name(), os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				continue
			}
			writeAt(t, f, strings.Repeat(string(rune('A'+i%26)), rng.IntN(700)), int64(rng.IntN(600)))
			if rng.IntN(3) == 0 {
				if err := f.Truncate(int64(rng.IntN(900))); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(3) == 0 {
				syncFile(t, f)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func syncAll(t *testing.T, fsys vfs.FS, dir string) {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = path.Join(dir, name)
		fi, err := fsys.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if fi.IsDir() {
			syncAll(t, fsys, name)
			continue
		}
		syncFile(t, create(t, fsys, name))
	}
	syncDir(t, fsys, dir)
}

func TestKillOnlyIsNotSynced(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "")
	writeAt(t, f, "x", 0)
	killed := m.KillOnly()
	wantContent(t, killed, "f", "x")
	wantOutcomes(t, outcomes(killed, func(disk *vfs.Mem) string { return tree(t, disk, "/") }), "f=", "f=x", "f=\x00")
	syncFile(t, create(t, killed, "f")) // by the next process
	wantOutcomes(t, outcomes(killed, func(disk *vfs.Mem) string { return tree(t, disk, "/") }), "f=x")
}
