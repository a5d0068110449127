package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// damages are what can become of a file b, where other is the file of the same
// name in another log.
var damages = []struct {
	name string
	do   func(b, other []byte) []byte
}{
	{"zeroed", func(b, _ []byte) []byte { return make([]byte, len(b)) }},
	{"truncated", func(b, _ []byte) []byte { return b[:len(b)/2] }},
	{"empty", func([]byte, []byte) []byte { return nil }},
	{"garbage", func(b, _ []byte) []byte {
		g := make([]byte, len(b))
		for i := range g {
			g[i] = byte(i*7 + 3)
		}
		return g
	}},
	{"bit", func(b, _ []byte) []byte {
		g := append([]byte(nil), b...)
		g[len(g)/2] ^= 1
		return g
	}},
	{"another's", func(_, other []byte) []byte { return other }},
	{"folder", nil}, // a folder takes the file's place, so that it cannot be read
}

func damageLog(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	log := logtest.Open(t, dir, audittrail.Options{Create: true, SegmentBytes: 8 << 10})
	for i := range 60 {
		if _, err := log.Append(context.Background(), event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user-%d", i%7), Prompt: fmt.Sprintf("prompt %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.DropSegments(t.Context(), []uint64{0}, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	mustRun(t, "--dir", dir, "keys", "rotate-signer")
	mustRun(t, "--dir", dir, "reindex")
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte("segment_bytes = 8192\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damaged says what four commands make of damages to files: verify, verify with
// the log's key, doctor, and log, the writer, by their exit statuses. The first
// row counts whose names match.
var damaged = []struct {
	file, damage string // patterns
	statuses     string
	verify, log  string // what the third and the last say, if not empty
}{
	{`^config\.toml$`, `empty|another`, "0030", "is intact", ""},
	{`^config\.toml$`, `.`, "0031", "is intact", "config.toml"},
	{`LOCK$`, `garbage`, "0030", "is intact", ""},
	{`LOCK$`, `folder`, "0031", "is intact", "LOCK"},
	{`^index/`, `.`, "0030", "is intact", ""}, // made again without a word, or with one
	{`^keys/master\.key$`, `another`, "1311", "missing +the keyring: ", "wrong master key"},
	{`^keys/master\.key$`, `folder`, "1311", "missing +the keyring: ", "is a folder"},
	{`^keys/master\.key$`, `.`, "1311", "missing +the keyring: ", "not a master key"},
	{`^keys/`, `folder`, "1311", "missing +the keyring: ", "is a"},
	{`^keys/`, `.`, "1311", "missing +the keyring: ", "damaged at byte|wrong master key"},
	{`\.jsonl$`, `folder`, "1111", "cannot be read", "is a folder"},
	{`\.jsonl$`, `bit`, "2230", "ALTERED", ""}, // the writer looks at what is not signed yet
	{`\.jsonl$`, `.`, "22[23][12]", "ALTERED", ""},
	{`\.remnant$`, `folder`, "1111", "cannot be read", "is a folder"},
	{`\.remnant$`, `bit`, "2230", "tombstone is damaged", ""},
	{`\.remnant$`, `.`, "2222", "tombstone is damaged", "tombstone is damaged"},
	{`\.side$`, `folder`, "3330", "is a folder", ""},
	{`\.side$`, `truncated|empty`, "(00|33)30", "is intact", ""}, // as a crash leaves it
	{`\.side$`, `.`, "3330", "derived", ""},
	{`\.tab$`, `.`, "3330", "derived", ""},
	{`^tree/(0|entries)$`, `folder`, "1110", "is a folder", "rebuilt a damaged file of the tree"},
	{`^tree/(0|entries)$`, `.`, "3330", "derived", "rebuilt a damaged file of the tree"},
	{`^tree/`, `folder`, "1111", "is a folder", "is a folder"},
	{`^tree/checkpoint$`, `bit|another`, "3330", "not signed by the log's keys", "put aside a published checkpoint"},
	{`^tree/checkpoint$`, `.`, "3330", "published checkpoint is damaged", "is made again"},
	{`^tree/signers$`, `empty`, "0030", "is intact", ""},
	{`^tree/signers$`, `.`, "3330", "derived", "are made again"},
}

// TestDamage damages one file of a log after the other, in every way, and holds
// what is said against the table: only lines and signatures are altered, damage is
// not another log, nobody is told to remove keys, and what a writer makes again
// of the tree is right.
func TestDamage(t *testing.T) {
	dir, other := damageLog(t), damageLog(t)
	key := strings.TrimSpace(mustRun(t, "--dir", dir, "keys", "show", "--vkey"))
	names, err := filesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		others, oerr := os.ReadFile(filepath.Join(other, name))
		for _, d := range damages {
			if len(file) == 0 && d.name != "garbage" && d.name != "folder" || d.name == "another's" && (oerr != nil || bytes.Equal(file, others)) {
				continue
			}
			t.Run(name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				c := copyLog(t, dir)
				path := filepath.Join(c, name)
				err := os.Remove(path)
				if d.do == nil {
					err = errors.Join(err, os.Mkdir(path, 0o700))
				} else {
					err = errors.Join(err, os.WriteFile(path, d.do(file, others), 0o600))
				}
				if err != nil {
					t.Fatal(err)
				}
				checkDamage(t, c, key, filepath.ToSlash(name), d.name)
			})
		}
	}
}

func checkDamage(t *testing.T, dir, key, name, damage string) {
	t.Helper()
	var said [4]string
	var statuses strings.Builder
	for i, cmd := range [][]string{{"verify"}, {"verify", "--key", key}, {"doctor"}, {"log", "-t", "prompt", "-p", "x"}} {
		out, errs, status := runIn(t, dir, cmd...)
		said[i] = out + errs
		statuses.WriteString(strconv.Itoa(status))
	}
	for _, row := range damaged {
		if !regexp.MustCompile(row.file).MatchString(name) || !regexp.MustCompile(row.damage).MatchString(damage) {
			continue
		}
		if !regexp.MustCompile("^"+row.statuses+"$").MatchString(statuses.String()) || !regexp.MustCompile(row.verify).MatchString(said[1]) || !regexp.MustCompile(row.log).MatchString(said[3]) {
			t.Errorf("exit statuses %s; verify --key says\n%s\nlog says\n%s\nwant %s, %q and %q", statuses.String(), said[1], said[3], row.statuses, row.verify, row.log)
		}
		if statuses.String()[3] == '0' && regexp.MustCompile(`^tree/(0|entries|checkpoint)$|\.side$|\.tab$`).MatchString(name) {
			if out, _, status := runIn(t, dir, "verify"); status != exitOK {
				t.Errorf("verify after a writer: exit status %d, %s", status, out)
			}
		}
		break
	}
	all := strings.Join(said[:], "\n")
	if strings.HasPrefix(name, "keys/") && damage != "folder" && strings.Contains(all, "remove it") {
		t.Errorf("somebody is told to remove a key: %s", all)
	}
	if damage != "another's" && strings.Contains(all, "another log") {
		t.Errorf("damage is taken for another log: %s", all)
	}
}

func filesOf(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, strings.TrimPrefix(p, dir+string(filepath.Separator)))
		}
		return err
	})
	return names, err
}

// copyLog copies a log, with its keys as private as they were.
func copyLog(t *testing.T, dir string) string {
	t.Helper()
	c := filepath.Join(t.TempDir(), "log")
	err := os.CopyFS(c, os.DirFS(dir))
	if err == nil {
		err = filepath.WalkDir(c, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(p, 0o700)
			}
			return errors.Join(err, os.Chmod(p, 0o600))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}
