package keyring_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
)

func newMaster(t testing.TB) keyring.Secret {
	t.Helper()
	s, err := keyring.NewMaster(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseMaster(t *testing.T) {
	s := newMaster(t)
	text := string(keyring.FormatMaster(s))
	if got, err := keyring.ParseMaster([]byte(text)); err != nil || got != s {
		t.Fatalf("ParseMaster(FormatMaster) = %v", err)
	}
	other := string(keyring.FormatMaster(newMaster(t)))
	swapped := text[:len(text)-9] + other[len(other)-9:]
	for _, bad := range []string{
		"", "\n", text + "\n", text + text, " " + text, strings.ToUpper(text), strings.TrimSuffix(text, "\n"),
		strings.Replace(text, "\n", "\r\n", 1), strings.Replace(text, "v1", "v2", 1), swapped,
		"-----BEGIN PRIVATE KEY-----\n", strings.Repeat("A", 85), text[:40] + "\n" + text[41:],
	} {
		if _, err := keyring.ParseMaster([]byte(bad)); !errors.Is(err, keyring.ErrMasterFormat) {
			t.Errorf("ParseMaster(%.30q) = %v, want ErrMasterFormat", bad, err)
		} else if key := text[21:60]; strings.Contains(err.Error(), key[:8]) {
			t.Errorf("%q holds a part of the key", err)
		}
	}
	for n := range text {
		if _, err := keyring.ParseMaster([]byte(text[:n])); !errors.Is(err, keyring.ErrMasterFormat) {
			t.Errorf("ParseMaster of %d bytes = %v, want ErrMasterFormat", n, err)
		}
		bad := []byte(text)
		bad[n] ^= 1
		if _, err := keyring.ParseMaster(bad); !errors.Is(err, keyring.ErrMasterFormat) {
			t.Errorf("ParseMaster with byte %d changed = %v, want ErrMasterFormat", n, err)
		}
	}
}

func FuzzParseMaster(f *testing.F) {
	f.Add(keyring.FormatMaster(keyring.Secret{1}))
	f.Add([]byte("audittrail-master/v1 AAAA"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := keyring.ParseMaster(in); err == nil && !bytes.Equal(keyring.FormatMaster(s), in) {
			t.Errorf("ParseMaster accepts %d bytes that FormatMaster does not give", len(in))
		}
	})
}

func TestMasters(t *testing.T) {
	ctx := context.Background()
	s := newMaster(t)
	text := string(keyring.FormatMaster(s))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYRING_TEST_PRINTS", text)
	command := func(what string) keyring.Master {
		return keyring.MasterCommand([]string{self, "-test.run=^TestMasterProgram$", "--", what})
	}
	disk := vfs.NewMem()
	write := func(name, text string) {
		if err := vfs.WriteFile(disk, name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", text)
	write("empty", "")
	write("huge", strings.Repeat("x", 5000))
	write("truncated", text[:30])
	for _, test := range []struct {
		name   string
		master keyring.Master
		want   error
	}{
		{"file", keyring.MasterFile(disk, "good"), nil},
		{"missing file", keyring.MasterFile(disk, "missing"), keyring.ErrNoMaster},
		{"empty file", keyring.MasterFile(disk, "empty"), keyring.ErrMasterFormat},
		{"huge file", keyring.MasterFile(disk, "huge"), keyring.ErrMasterFormat},
		{"truncated file", keyring.MasterFile(disk, "truncated"), keyring.ErrMasterFormat},
		{"text", keyring.MasterText(text), nil},
		{"text without line end", keyring.MasterText(strings.TrimSpace(text)), nil},
		{"text of Windows", keyring.MasterText(strings.TrimSpace(text) + "\r\n"), nil},
		{"empty text", keyring.MasterText(""), keyring.ErrNoMaster},
		{"other text", keyring.MasterText("hunter2"), keyring.ErrMasterFormat},
		{"command", command("key"), nil},
		{"command that fails", command("fail"), keyring.ErrNoMaster},
		{"command that prints too much", command("flood"), keyring.ErrMasterFormat},
		{"command that prints something else", command("else"), keyring.ErrMasterFormat},
		{"no command", keyring.MasterCommand(nil), keyring.ErrNoMaster},
		{"command that does not exist", keyring.MasterCommand([]string{"/does/not/exist"}), keyring.ErrNoMaster},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.master.MasterKey(ctx)
			if !errors.Is(err, test.want) {
				t.Fatalf("MasterKey = %v, want %v", err, test.want)
			}
			if test.want == nil && got != s {
				t.Error("MasterKey gives another key")
			}
		})
	}
	if _, err := command("fail").MasterKey(ctx); !strings.Contains(err.Error(), "the vault is shut") {
		t.Errorf("MasterKey = %v, want it to say what the command said", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := command("key").MasterKey(canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("MasterKey = %v, want context.Canceled", err)
	}
}

// TestMasterProgram is the command of TestMasters.
func TestMasterProgram(*testing.T) {
	if len(os.Args) < 3 || os.Args[len(os.Args)-2] != "--" {
		return
	}
	switch os.Args[len(os.Args)-1] {
	case "key":
		fmt.Print(os.Getenv("KEYRING_TEST_PRINTS"))
	case "fail":
		fmt.Fprintln(os.Stderr, "the vault is shut")
		os.Exit(3)
	case "flood":
		fmt.Print(os.Getenv("KEYRING_TEST_PRINTS"), strings.Repeat("x", 1<<20))
	case "else":
		fmt.Println("hello")
	}
	os.Exit(0)
}

// TestWrongMaster opens a ring with everything that is not its master key.
func TestWrongMaster(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	closeRing(t, create(t, disk))
	text := files(t, disk)["master.key"]
	for _, test := range []struct {
		name string
		text []byte
		want error
	}{
		{"none", nil, keyring.ErrNoMaster},
		{"truncated", text[:50], keyring.ErrMasterFormat},
		{"foreign", []byte("AGE-SECRET-KEY-1QQQQ\n"), keyring.ErrMasterFormat},
		{"another", keyring.FormatMaster(newMaster(t)), keyring.ErrWrongMaster},
	} {
		d := disk.Clone()
		if err := d.Remove(filepath.Join(dir, "master.key")); err != nil {
			t.Fatal(err)
		}
		if test.text != nil {
			overwrite(t, d, "master.key", test.text)
		}
		for _, readOnly := range []bool{false, true} {
			_, err := keyring.Open(ctx, dir, keyring.Options{FS: d, ReadOnly: readOnly})
			if !errors.Is(err, test.want) {
				t.Errorf("Open with master key %s = %v, want %v", test.name, err, test.want)
			}
		}
	}
	_, err := keyring.Open(ctx, dir, keyring.Options{FS: disk, Master: keyring.MasterText(string(keyring.FormatMaster(newMaster(t))))})
	if !errors.Is(err, keyring.ErrWrongMaster) {
		t.Errorf("Open with the text of another master key = %v, want ErrWrongMaster", err)
	}
	if got := len(files(t, disk)); got != 4 {
		t.Errorf("%d files after attempts to open, want 4", got)
	}
}

func TestRotateMaster(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 3)
	before := files(t, disk)
	if err := r.RotateMaster(ctx, nil); err != nil {
		t.Fatal(err)
	}
	after := files(t, disk)
	if bytes.Equal(before["master.key"], after["master.key"]) || len(after) != 4 {
		t.Errorf("the file is the same, or %d files are there", len(after))
	}
	checkAll(t, r, all)
	closeRing(t, r)
	closeRing(t, open(t, disk))

	// To a key in a text, which remains there.
	next := newMaster(t)
	text := keyring.MasterText(string(keyring.FormatMaster(next)))
	r = open(t, disk)
	if err := r.RotateMaster(ctx, text); err != nil {
		t.Fatal(err)
	}
	if err := r.RotateMaster(ctx, text); err == nil {
		t.Error("RotateMaster to the same key = nil")
	}
	if err := r.RotateMaster(ctx, nil); err == nil {
		t.Error("RotateMaster of a text without a new one = nil")
	}
	if err := r.RotateMaster(ctx, keyring.MasterText("")); !errors.Is(err, keyring.ErrNoMaster) {
		t.Errorf("RotateMaster to nothing = %v, want ErrNoMaster", err)
	}
	checkAll(t, r, all)
	closeRing(t, r)
	if _, err := keyring.Open(ctx, dir, keyring.Options{FS: disk}); !errors.Is(err, keyring.ErrWrongMaster) {
		t.Errorf("Open with the old master key = %v, want ErrWrongMaster", err)
	}
	r, err := keyring.Open(ctx, dir, keyring.Options{FS: disk, Master: text})
	if err != nil {
		t.Fatal(err)
	}
	// And to a file that does not exist yet.
	elsewhere := keyring.MasterFile(disk, "elsewhere.key")
	if err := r.RotateMaster(ctx, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := r.RotateMaster(ctx, nil); err != nil {
		t.Fatal(err)
	}
	closeRing(t, r)
	r, err = keyring.Open(ctx, dir, keyring.Options{FS: disk, Master: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, all)
	closeRing(t, r)
}

// TestOldMasterIsOverwritten checks that the file is overwritten before it is
// replaced.
func TestOldMasterIsOverwritten(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	size := len(files(t, disk)["master.key"])
	var did []string
	disk.Inject(func(op vfs.Op) error {
		if filepath.Base(op.Name) == "master.key" && op.Kind != vfs.OpOpen {
			did = append(did, fmt.Sprint(op.Kind, " ", op.Off, " ", op.Len))
		}
		return nil
	})
	if err := r.RotateMaster(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	disk.Inject(nil)
	want := fmt.Sprintf("write 0 %d, sync 0 0", size)
	if got := strings.Join(did, ", "); !strings.Contains(got, want) {
		t.Errorf("the old master key's file saw %q, want %q", got, want)
	}
}

// TestNextMasterIsNotWipedBlindly has a rotation fail at its end, and the only
// copy of the master key be unreadable for a moment.
func TestNextMasterIsNotWipedBlindly(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 1)
	fail := vfs.OpRename
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == fail && strings.HasSuffix(op.Name, "master.key.next") {
			return errDisk
		}
		return nil
	})
	for _, fail = range []vfs.OpKind{vfs.OpRename, vfs.OpRead, vfs.OpOpen} {
		if err := r.RotateMaster(context.Background(), nil); !errors.Is(err, errDisk) {
			t.Fatalf("RotateMaster = %v, want the disk's error", err)
		}
	}
	disk.Inject(nil)
	closeRing(t, r)
	r = open(t, disk)
	checkAll(t, r, all)
	closeRing(t, r)
	if got := len(files(t, disk)); got != 4 {
		t.Errorf("%d files, want 4", got)
	}
}

// TestRotateMasterAgain has a rotation fail at its very end, so that the only
// copy of the master key is the file that is to become master.key, and crashes
// in the next one.
func TestRotateMasterAgain(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		r := create(t, disk)
		all := fill(t, r, 2)
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, "master.key.next") {
				return errDisk
			}
			return nil
		})
		if err := r.RotateMaster(context.Background(), nil); !errors.Is(err, errDisk) {
			t.Fatalf("RotateMaster = %v, want the disk's error", err)
		}
		disk.Inject(nil)
		disk.FailAfter(disk.Ops() + n)
		err := r.RotateMaster(context.Background(), nil)
		for _, after := range []*vfs.Mem{disk.KillOnly(), disk.Crash(nil)} {
			r := open(t, after)
			checkAll(t, r, all)
			closeRing(t, r)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("RotateMaster after %d operations = %v", n, err)
		}
	}
}
