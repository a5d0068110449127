package audittrail_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// exchanges are changes to a log and its keyring while a writer has them open.
var exchanges = map[string]func(t *testing.T, dir, keys string){
	"lock removed": func(t *testing.T, dir, _ string) {
		if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
			t.Fatal(err)
		}
	},
	"keyring's lock removed": func(t *testing.T, _, keys string) {
		if err := os.Remove(filepath.Join(keys, "LOCK")); err != nil {
			t.Fatal(err)
		}
	},
	"log exchanged":     func(t *testing.T, dir, _ string) { exchange(t, dir) },
	"keyring exchanged": func(t *testing.T, _, keys string) { exchange(t, keys) },
	"both exchanged": func(t *testing.T, dir, keys string) {
		exchange(t, dir)
		exchange(t, keys)
	},
	"log exchanged, with the lock": func(t *testing.T, dir, _ string) {
		// As a restore does that overwrites existing files in place.
		text, err := os.ReadFile(filepath.Join(dir, "LOCK"))
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "LOCK"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	},
}

// exchange moves a folder away and puts a copy in its place.
func exchange(t *testing.T, dir string) {
	t.Helper()
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(dir+"-moved")); err != nil {
		t.Fatal(err)
	}
}

// contents reads all files below some folders.
func contents(t *testing.T, dirs ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && d.Name() != "LOCK" {
				files[name], err = os.ReadFile(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// wantSame checks that files are as they were.
func wantSame(t *testing.T, was, is map[string][]byte) {
	t.Helper()
	if !maps.EqualFunc(was, is, bytes.Equal) {
		for _, name := range slices.Sorted(maps.Keys(was)) {
			if !bytes.Equal(was[name], is[name]) {
				t.Errorf("%s was changed", name)
			}
		}
		t.Errorf("files are %q, were %q", slices.Sorted(maps.Keys(is)), slices.Sorted(maps.Keys(was)))
	}
}

// A writer whose log or keyring was exchanged acknowledges, signs and destroys
// nothing more, neither in the files that it has open nor in those that
// replaced them.
func TestLockLost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open there cannot be moved or removed")
	}
	for what, happen := range exchanges {
		for _, next := range slices.Sorted(maps.Keys(asked)) {
			t.Run(what+"/"+next, func(t *testing.T) {
				parent := t.TempDir()
				dir, keys := filepath.Join(parent, "log"), filepath.Join(parent, "keys")
				o := audittrail.Options{KeysDir: keys}
				first := o
				first.Create = true
				log := logtest.Open(t, dir, first)
				logtest.Append(t, log, about("ann", "one"))
				logtest.Append(t, log, about("bob", "two"))
				if _, err := log.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
				happen(t, dir, keys)
				was := contents(t, dir, keys)
				for range 2 {
					if err := asked[next](t.Context(), log); !errors.Is(err, audittrail.ErrLockLost) {
						t.Errorf("%s = %v, want ErrLockLost", next, err)
					}
				}
				// Records that were acknowledged before can still be read.
				if r, err := log.Get(t.Context(), 0); err != nil || r.State != record.Readable {
					t.Errorf("Get(0) = %v, %v", r, err)
				}
				_ = log.Close() // what it can say is that the lock is lost
				wantSame(t, was, contents(t, dir, keys))

				again := logtest.Open(t, dir, o)
				wantStates(t, again, map[uint64]record.State{0: record.Readable, 1: record.Readable})
				logtest.Append(t, again, about("ann", "three"))
				wantIntact(t, again)
			})
		}
	}
}

// asked are the calls of a writer that must fail.
var asked = map[string]func(context.Context, *audittrail.Log) error{
	"append": func(ctx context.Context, log *audittrail.Log) error {
		_, err := log.Append(ctx, about("ann", "lost"))
		return err
	},
	"append about somebody new": func(ctx context.Context, log *audittrail.Log) error {
		_, err := log.Append(ctx, about("cid", "lost"))
		return err
	},
	"erase": func(ctx context.Context, log *audittrail.Log) error {
		_, err := log.Erase(ctx, audittrail.Erasure{Users: []string{"ann"}, Reason: "r"})
		return err
	},
	"rotate the master key": func(ctx context.Context, log *audittrail.Log) error {
		return log.RotateMaster(ctx, nil)
	},
}

// Of two writers, since the lock was removed under the first, only the second
// writes, and no record of it is overwritten.
func TestSecondWriterWithoutLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open there cannot be removed")
	}
	t.Run("OS", func(t *testing.T) { testSecondWriter(t, vfs.OS, t.TempDir()) })
	t.Run("Mem", func(t *testing.T) { testSecondWriter(t, vfs.NewMem(), "dir") })
}

func testSecondWriter(t *testing.T, disk vfs.FS, dir string) {
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk})
	first := logtest.Open(t, dir, o)
	logtest.Append(t, first, about("ann", "one"))
	for _, name := range []string{"LOCK", "keys/LOCK"} {
		if err := disk.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	second := logtest.Open(t, dir, o)
	kept := logtest.Append(t, second, about("bob", "the second writer's"))
	for range 3 {
		if r, err := first.Append(t.Context(), about("ann", "overwrites it")); !errors.Is(err, audittrail.ErrLockLost) {
			t.Errorf("Append() = %+v, %v; want ErrLockLost", r, err)
		}
	}
	_ = first.Close() // what it can say is that the lock is lost
	wantStates(t, second, map[uint64]record.State{0: record.Readable, kept.Seq: record.Readable})
	logtest.Append(t, second, about("ann", "goes on"))
	wantIntact(t, second)
}

// A lock that is lost between the write and the sync is noticed before the
// record is acknowledged.
func TestLockLostBetweenWriteAndSync(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, about("ann", "one"))
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".jsonl") {
			return disk.Remove("dir/LOCK")
		}
		return nil
	})
	if _, err := log.Append(t.Context(), about("ann", "two")); !errors.Is(err, audittrail.ErrLockLost) {
		t.Errorf("Append() = %v, want ErrLockLost", err)
	}
	_ = log.Close() // what it can say is that the lock is lost
}

// writerEnv makes this test binary a process that writes to the log in the
// folder named there, one change for each line that it reads.
const writerEnv = "AUDITTRAIL_TEST_WRITER"

func TestWriterProcess(t *testing.T) {
	dir := os.Getenv(writerEnv)
	if dir == "" {
		t.Skip("it is a process of another test")
	}
	log, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch err := asked[in.Text()](context.Background(), log); {
		case err == nil:
			fmt.Println("done")
		case errors.Is(err, audittrail.ErrLockLost):
			fmt.Println("lost")
		default:
			fmt.Println(err)
		}
	}
	_ = log.Close()
}

// The same between processes: the folder was replaced by a copy while another
// process has it open.
func TestLockLostProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open there cannot be moved")
	}
	dir := filepath.Join(t.TempDir(), "log")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestWriterProcess$")
	cmd.Env = append(os.Environ(), writerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	want := func(command, want string) {
		t.Helper()
		if command != "" {
			if _, err := fmt.Fprintln(in, command); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := said.ReadString('\n'); strings.TrimSpace(got) != want {
			t.Fatalf("%s: the process says %q, %v; want %q", command, got, err, want)
		}
	}
	want("", "open")
	want("append", "done")
	want("append about somebody new", "done")
	exchange(t, dir)
	was := contents(t, dir)
	want("append", "lost")
	want("erase", "lost")
	want("rotate the master key", "lost")
	// The copy has a writer of its own meanwhile.
	wantSame(t, was, contents(t, dir))
	log := logtest.Open(t, dir, audittrail.Options{LockWait: -1})
	kept := logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "ann", Prompt: "kept"})
	want("append", "lost")
	want("erase", "lost")
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ends with %v", err)
	}
	wantStates(t, log, map[uint64]record.State{0: record.Readable, 1: record.Readable, kept.Seq: record.Readable})
	wantIntact(t, log)
}
