package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"audittrail/record"
)

// resealed makes the hash of a line fit that has none or another one.
func resealed(line []byte, from, to string) []byte {
	changed := bytes.Replace(bytes.TrimSuffix(line, []byte("\n")), []byte(from), []byte(to), 1)
	covered, _ := record.HashedBytes(changed)
	sum := sha256.Sum256(covered)
	return fmt.Appendf(nil, "%s,\"hash\":\"%s\"}\n", covered, hex.EncodeToString(sum[:]))
}

// behinds are damages after the signed lines that an attacker without keys, or a
// disk, can cause, and an interrupted write cannot.
var behinds = map[string]func(f *forger){
	"the last line again":   func(f *forger) { f.lines = append(f.lines, f.lines[len(f.lines)-1]) },
	"the first line again":  func(f *forger) { f.lines = append(f.lines, f.lines[0]) },
	"two lines again":       func(f *forger) { f.lines = append(f.lines, f.lines[1:3]...) },
	"a forged line":         func(f *forger) { f.put(f.like(bobSeq, "", "")) },
	"a copy":                func(f *forger) { f.put(f.lines[bobSeq]) },
	"a gap":                 func(f *forger) { f.put(f.lines[bobSeq]); f.put(f.lines[carolSeq]); f.lines = cutOut(f.lines, -2) },
	"another number":        func(f *forger) { f.put(f.lines[bobSeq]); f.last(`"seq":6,`, `"seq":11,`) },
	"another hash before":   func(f *forger) { f.put(f.lines[bobSeq]); f.last(`"prev":"`, `"prev":"0123456789abcdef`) },
	"logged earlier":        func(f *forger) { f.put(f.lines[bobSeq]); f.last(`"logged":"2`, `"logged":"1`) },
	"half a line, then one": func(f *forger) { f.put(f.lines[bobSeq]); f.before(f.lines[bobSeq][:100:100]) },
	"junk, then a line":     func(f *forger) { f.put(f.lines[bobSeq]); f.before([]byte("junk")) },
	"a line, then junk":     func(f *forger) { f.put(f.lines[bobSeq]); f.lines = append(f.lines, []byte("junk\n")) },
	"a newer format":        func(f *forger) { f.put(bytes.Replace(f.lines[bobSeq], []byte(`{"v":2,`), []byte(`{"v":99,`), 1)) },
}

func cutOut(lines [][]byte, at int) [][]byte {
	at += len(lines)
	return append(lines[:at:at], lines[at+1:]...)
}

// last changes the last line and makes its hash fit.
func (f *forger) last(from, to string) {
	n := len(f.lines) - 1
	line := f.lines[n]
	if strings.HasPrefix(from, `"prev"`) { // keep its length
		at := bytes.Index(line, []byte(from)) + len(from)
		from += string(line[at : at+len(to)-len(`"prev":"`)])
	}
	f.lines[n] = resealed(line, from, to)
}

// before puts a line before the last one.
func (f *forger) before(line []byte) {
	n := len(f.lines) - 1
	f.lines = append(f.lines[:n:n], append(line, '\n'), f.lines[n])
}

// All commands agree on lines beyond the newest checkpoint: nothing was altered,
// and the lines are unauthenticated.
func TestOneVerdictBeyond(t *testing.T) {
	plain := forgedLog(t)
	key := strings.TrimSpace(mustRun(t, "--dir", plain, "keys", "show", "--vkey"))
	kept := filepath.Join(t.TempDir(), "report.json")
	mustRun(t, "--dir", plain, "report", "--type", "integrity", "--format", "json", "--no-record", "--out", kept)
	for name, add := range behinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyLog(t, plain)
			f := readLines(t, dir)
			add(f)
			f.write(t, dir)
			nowhere := filepath.Join(t.TempDir(), "nowhere")
			n := strconv.Itoa(forgedLogSize)
			for _, c := range [][]string{
				{"verify"},
				{"verify", "--keys", nowhere, "--key", key},
				{"report", "--type", "integrity", "--format", "md", "--no-record"},
				{"doctor"},
				{"query", "--count-only", "--require-complete"},
				{"show", n},
				{"prove", n},
				{"log", "-t", "prompt", "-p", "next"},
			} {
				if out, errs, status := runIn(t, dir, c...); status != exitLimited {
					t.Errorf("%v: exit status %d, %s%s; want 3", c, status, out, errs)
				}
			}
			if out, errs, status := runIn(t, dir, "query", "--count-only"); status != exitOK || out != n+"\n" || !strings.Contains(errs, "unauthenticated") {
				t.Errorf("query --count-only: exit status %d, %s%s; want %s records, and a word on what follows", status, out, errs, n)
			}
			// An older report is about less than what was added.
			if out, errs, status := runIn(t, dir, "report", "verify", kept); status != exitOK {
				t.Errorf("report verify: exit status %d, %s%s; want 0", status, out, errs)
			}
			repair := []string{"doctor", "--repair"}
			if name == "a newer format" {
				repair = append(repair, "--newer")
			}
			if _, errs, _ := runIn(t, dir, repair...); !strings.Contains(errs, "cut off lines that are unauthenticated") {
				t.Errorf("doctor --repair says %s; it cut off no incomplete write", errs)
			}
			mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "next")
			mustRun(t, "--dir", dir, "verify")
		})
	}
}

// segmentedLog is a log of several segments that nothing has left.
func segmentedLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte("segment_bytes = 8192\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "--dir", dir, "init")
	name := filepath.Join(t.TempDir(), "events.jsonl")
	for i := range 4 { // each is a batch, which is not cut
		var events strings.Builder
		for j := range 12 {
			fmt.Fprintf(&events, `{"type":"prompt","user_id":"user-%d","prompt":"prompt %d"}`+"\n", j%3, i)
		}
		if err := os.WriteFile(name, []byte(events.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRun(t, "--dir", dir, "import", name)
	}
	if segments, err := filepath.Glob(filepath.Join(dir, "log", "*.jsonl")); err != nil || len(segments) < 3 {
		t.Fatalf("the log has the segments %v, %v; want some", segments, err)
	}
	return dir
}

// A tombstone of records whose lines are here is of nothing: readers pass it over,
// verify and doctor name it, and the next writer puts it aside.
func TestTombstoneBesideLines(t *testing.T) {
	plain := segmentedLog(t)
	segments, err := filepath.Glob(filepath.Join(plain, "log", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	whole := []byte(readFile(t, segments[1]))
	first, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(segments[1]), ".jsonl"))
	key := strings.TrimSpace(mustRun(t, "--dir", plain, "keys", "show", "--vkey"))
	_, of := tombstoneOf(t, whole)
	for name, b := range map[string][]byte{"junk": []byte("junk"), "empty": nil, "that of another segment": of} {
		for _, at := range []int{1, first - 1, first + 2} {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				t.Parallel()
				dir := copyLog(t, plain)
				path := filepath.Join(dir, "log", fmt.Sprintf("%020d.remnant", at))
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				for _, c := range [][]string{{"verify"}, {"verify", "--keys", filepath.Join(dir, "nowhere"), "--key", key}, {"doctor"}} {
					out, errs, status := runIn(t, dir, c...)
					if status != exitLimited || !strings.Contains(out, filepath.Base(path)) || strings.Contains(out, "ALTERED") {
						t.Errorf("%v: exit status %d, %s%s; want 3, and the file named", c, status, out, errs)
					}
				}
				for _, c := range []string{"query --count-only", "query --user user-1 --limit 1", "hold list", "stat", "show 1", "export", "gdpr status user-1", "archive verify"} {
					if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitOK {
						t.Errorf("%s: exit status %d, %s%s; want 0", c, status, out, errs)
					}
				}
				runIn(t, dir, "doctor", "--repair")
				if _, err := os.Stat(path); !os.IsNotExist(err) {
					t.Errorf("%s is still there: %v", path, err)
				}
				if aside, err := filepath.Glob(filepath.Join(dir, "log", "torn-*")); err != nil || len(aside) != 1 {
					t.Errorf("put aside are %v, %v; want one file", aside, err)
				}
				mustRun(t, "--dir", dir, "verify")
			})
		}
	}
}

// A segment that is not there, with a tombstone that no record names, is missing:
// all say so who notice, and none fails without a reason.
func TestTombstoneThatNoRecordNames(t *testing.T) {
	plain := segmentedLog(t)
	segments, err := filepath.Glob(filepath.Join(plain, "log", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(segments[1]), ".jsonl")
	_, b := tombstoneOf(t, []byte(readFile(t, segments[1])))
	for _, sides := range []bool{true, false} {
		t.Run(fmt.Sprintf("with side files %v", sides), func(t *testing.T) {
			dir := copyLog(t, plain)
			if err := os.WriteFile(filepath.Join(dir, "log", name+".remnant"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "log", name+".jsonl")); err != nil {
				t.Fatal(err)
			}
			if !sides {
				if err := os.Remove(filepath.Join(dir, "log", name+".side")); err != nil {
					t.Fatal(err)
				}
			}
			first, _ := strconv.Atoi(name)
			said := fmt.Sprintf("%d to ", first)
			for _, c := range []string{"verify", "doctor", "show " + strconv.Itoa(first+1), "report --type integrity --format md --no-record"} {
				if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitAltered {
					t.Errorf("%s: exit status %d, %s%s; want 2", c, status, out, errs)
				}
			}
			out, errs, status := runIn(t, dir, "stat")
			if status != exitOK || !strings.Contains(out, said) || !strings.Contains(errs, said) {
				t.Errorf("stat: exit status %d, %s%s; want the missing records named", status, out, errs)
			}
			if out, _, _ := runIn(t, dir, "doctor"); !strings.Contains(out, "records "+said) {
				t.Errorf("doctor says %s; want the missing records named", out)
			}
			for _, c := range []string{"query --count-only", "hold list"} {
				if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitOK && status != exitAltered || !strings.Contains(errs, said) {
					t.Errorf("%s: exit status %d, %s%s; want the missing records named", c, status, out, errs)
				}
			}
		})
	}
}

// A forged checkpoint that claims to be newer does not make verify run without
// end: it repeats the check only as long as more is signed.
func TestVerifyEnds(t *testing.T) {
	dir := forgedLog(t)
	key := strings.TrimSpace(mustRun(t, "--dir", dir, "keys", "show", "--vkey"))
	kept := filepath.Join(t.TempDir(), "checkpoint")
	mustRun(t, "--dir", dir, "checkpoint", "--out", kept)
	f := readLines(t, dir)
	f.lines = append(f.lines, f.lines[0]) // unauthenticated, with keys and without
	f.write(t, dir)
	edited(t, filepath.Join(dir, "tree", "checkpoint"), func(b []byte) []byte {
		return bytes.Replace(b, []byte("\n"+strconv.Itoa(forgedLogSize)+"\n"), []byte("\n1000\n"), 1)
	})
	for _, flags := range [][]string{{}, {"--keys", filepath.Join(dir, "nowhere"), "--key", key, "--checkpoint", kept}} {
		if out, errs, status := runIn(t, dir, append([]string{"verify"}, flags...)...); status != exitAltered || !strings.Contains(out, "tree/checkpoint") {
			t.Errorf("verify %v: exit status %d, %s%s; want 2, and the checkpoint named", flags, status, out, errs)
		}
	}
}

// The name of a file after the end has no effect, not even on the number of
// records left out.
func TestSegmentFarBehind(t *testing.T) {
	dir := forgedLog(t)
	f := readLines(t, dir)
	f.put(f.lines[bobSeq])
	name := filepath.Join(dir, "log", fmt.Sprintf("%020d.jsonl", 999))
	if err := os.WriteFile(name, f.lines[forgedLogSize], 0o600); err != nil {
		t.Fatal(err)
	}
	n := strconv.Itoa(forgedLogSize)
	if out, errs, status := runIn(t, dir, "query", "--count-only"); status != exitOK || out != n+"\n" || !strings.Contains(errs, "1 record beyond") {
		t.Errorf("query --count-only: exit status %d, %s%s; want %s records, and 1 left out", status, out, errs, n)
	}
	for _, c := range []string{"verify", "show " + n, "prove " + n, "log -t prompt -p next", "doctor --repair"} {
		if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitLimited {
			t.Errorf("%s: exit status %d, %s%s; want 3", c, status, out, errs)
		}
	}
	mustRun(t, "--dir", dir, "verify")
}
