package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// edited changes a file of a log.
func edited(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b := change([]byte(readFile(t, name)))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A published checkpoint with any bit flipped is damaged, if the keyring has
// signed as many records as it claims to cover: the log continues, and the file is
// kept. If it claims more records, the user has to confirm that there is no newer
// keyring.
func TestCheckpointBits(t *testing.T) {
	plain := forgedLog(t)
	key := strings.TrimSpace(mustRun(t, "--dir", plain, "keys", "show", "--vkey"))
	b := []byte(readFile(t, filepath.Join(plain, "tree", "checkpoint")))
	size := strings.Index(string(b), "\n"+strconv.Itoa(forgedLogSize)+"\n") + 1
	type bit struct{ at, n int }
	bits := []bit{{size, 3}, {size, 0}, {size, 2}} // no digit; 7; 2
	for at := range b {
		if at%11 == 0 {
			bits = append(bits, bit{at, at % 7})
		}
	}
	for _, f := range bits {
		t.Run(strconv.Itoa(f.at)+"/"+strconv.Itoa(f.n), func(t *testing.T) {
			t.Parallel()
			dir := copyLog(t, plain)
			edited(t, filepath.Join(dir, "tree", "checkpoint"), func(b []byte) []byte { b[f.at] ^= 1 << f.n; return b })
			more := f == bit{size, 0} // it covers 7 records
			want := exitLimited
			if more {
				want = exitAltered
			}
			for _, c := range [][]string{{"verify"}, {"verify", "--key", key}, {"doctor"}} {
				if out, errs, status := runIn(t, dir, c...); status != want {
					t.Errorf("%v: exit status %d, %s%s; want %d", c, status, out, errs, want)
				}
			}
			if out, errs, status := runIn(t, dir, "query", "--count-only"); status != exitOK || out != strconv.Itoa(forgedLogSize)+"\n" {
				t.Errorf("query --count-only: exit status %d, %s%s", status, out, errs)
			}
			_, errs, status := runIn(t, dir, "log", "-t", "prompt", "-p", "next")
			if more {
				if status != exitAltered || !strings.Contains(errs, "newest keyring") || !strings.Contains(errs, "doctor --repair") {
					t.Errorf("log: exit status %d, %s; want 2, and what to do", status, errs)
				}
				if _, errs, status := runIn(t, dir, "doctor", "--repair"); status == exitAltered || status == exitFailed {
					t.Errorf("doctor --repair: exit status %d, %s", status, errs)
				}
				mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "next")
			} else if status != exitOK {
				t.Errorf("log: exit status %d, %s; want 0", status, errs)
			}
			mustRun(t, "--dir", dir, "verify", "--key", key)
			aside, err := filepath.Glob(filepath.Join(dir, "tree", "torn-checkpoint-*"))
			parsed := !strings.Contains(errs, "is damaged, and is made again")
			if err != nil || (len(aside) == 1) != parsed {
				t.Errorf("kept are %v, %v; want the checkpoint kept: %t", aside, err, parsed)
			}
			if out := mustRun(t, "--dir", dir, "query", "--type", "log_repaired", "--count-only"); (out == "1\n") != parsed {
				t.Errorf("%s repairs are recorded; want one: %t", out, parsed)
			}
		})
	}
}

// A change of a line as well as of the checkpoint is an alteration of the log.
func TestCheckpointBitAndLine(t *testing.T) {
	dir := forgedLog(t)
	edited(t, filepath.Join(dir, "tree", "checkpoint"), unsigned)
	edited(t, filepath.Join(dir, onlySegment), func(b []byte) []byte { b[bytes.IndexByte(b, '\n')+60] ^= 1; return b })
	for _, c := range []string{"verify", "show 1"} {
		if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitAltered {
			t.Errorf("%s: exit status %d, %s%s; want 2", c, status, out, errs)
		}
	}
	runIn(t, dir, "doctor", "--repair")
	if out, _, status := runIn(t, dir, "verify", "-o", "json"); status != exitAltered || !strings.Contains(out, `"seq":1,"kind":"modified"`) {
		t.Errorf("verify after doctor --repair: exit status %d, %s; want record 1 modified", status, out)
	}
}

// A keyring that is older than the log takes nothing for damage that it cannot know
// of: it neither signs again nor cuts off.
func TestCheckpointAndOlderKeyring(t *testing.T) {
	plain := forgedLog(t)
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(filepath.Join(plain, "keys"))); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "--dir", plain, "log", "-t", "prompt", "-u", "dave", "-p", "of somebody new")
	rotated := copyLog(t, plain)
	mustRun(t, "--dir", rotated, "keys", "rotate-signer")
	for name, c := range map[string]struct {
		dir    string
		flip   bool
		status int
		says   string
	}{
		"a bit flipped":     {plain, true, exitAltered, "older than the log"},
		"signed by another": {rotated, false, exitFailed, "older than the log"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyLog(t, c.dir)
			if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(old)); err != nil {
				t.Fatal(err)
			}
			dir = copyLog(t, dir) // for the permissions
			if c.flip {
				edited(t, filepath.Join(dir, "tree", "checkpoint"), unsigned)
			}
			before := readFile(t, filepath.Join(dir, onlySegment))
			for _, cmd := range []string{"log -t prompt -p next", "doctor --repair"} {
				if _, errs, status := runIn(t, dir, strings.Fields(cmd)...); status != c.status || !strings.Contains(errs, c.says) {
					t.Errorf("%s: exit status %d, %s; want %d, and %q", cmd, status, errs, c.status, c.says)
				}
			}
			if readFile(t, filepath.Join(dir, onlySegment)) != before {
				t.Error("the log was changed")
			}
		})
	}
}
