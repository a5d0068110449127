package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
	"audittrail/tlog"
)

// A layout is a log without its keyring, made of the lines of a real one, and
// signed with keys of the test.
type layout struct {
	t      *testing.T
	dir    string // of the log
	origin string
	signer note.Signer
	vkey   string

	lines       [][]byte // each with its LF
	checkpoints []string // to be given
}

// realLines returns the lines of a log with n records, each of its own batch.
func realLines(t *testing.T, n int) [][]byte {
	t.Helper()
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	for i := range n {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprint("user ", i%3), Prompt: strings.Repeat("word ", 3*i)})
	}
	logtest.Close(t, log)
	text, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	return lines[:len(lines)-1]
}

const firstSegment = "00000000000000000000.jsonl"

func newKey(t *testing.T, origin string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

func (l *layout) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l *layout) write(name string, b []byte) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *layout) read(name string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *layout) remove(name string) {
	l.t.Helper()
	if err := os.RemoveAll(l.path(name)); err != nil {
		l.t.Fatal(err)
	}
}

// checkpoint signs what the first so many lines are now.
func (l *layout) checkpoint(size int) []byte {
	l.t.Helper()
	var rng tlog.Range
	for _, line := range l.lines[:size] {
		tail, _ := record.ParseChainLink(bytes.TrimSuffix(line, []byte("\n")))
		rng.Append(tlog.LeafHash(tail.Hash), nil)
	}
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: l.origin, Size: uint64(size), Root: rng.Root()}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// sign publishes a checkpoint of the first so many lines.
func (l *layout) sign(size int) { l.t.Helper(); l.write("tree/checkpoint", l.checkpoint(size)) }

// give has a checkpoint given to the verifiers.
func (l *layout) give(signed []byte) {
	l.t.Helper()
	name := filepath.Join(l.t.TempDir(), "kept")
	if err := os.WriteFile(name, signed, 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.checkpoints = append(l.checkpoints, name)
}

// put writes the lines to segments that begin with the records named.
func (l *layout) put(firsts ...int) {
	l.t.Helper()
	names, err := filepath.Glob(l.path("log/*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			l.t.Fatal(err)
		}
	}
	firsts = append(firsts, len(l.lines))
	for i, first := range firsts[:len(firsts)-1] {
		l.write(fmt.Sprintf("log/%020d.jsonl", first), bytes.Join(l.lines[first:firsts[i+1]], nil))
	}
}

// change changes a line and makes its hash fit again.
func (l *layout) change(seq int, from, to string) {
	l.t.Helper()
	line := bytes.TrimSuffix(l.lines[seq], []byte("\n"))
	changed := bytes.Replace(line, []byte(from), []byte(to), 1)
	if bytes.Equal(changed, line) {
		l.t.Fatalf("record %d has no %s", seq, from)
	}
	covered, _ := record.HashedBytes(changed)
	sum := sha256.Sum256(covered)
	l.lines[seq] = fmt.Appendf(nil, "%s,\"hash\":\"%s\"}\n", covered, hex.EncodeToString(sum[:]))
}

// chain makes the lines from one on continue each other again.
func (l *layout) chain(from int) {
	l.t.Helper()
	for seq := from; seq < len(l.lines); seq++ {
		tail, _ := record.ParseChainLink(bytes.TrimSuffix(l.lines[seq], []byte("\n")))
		prev, _ := record.ParseChainLink(bytes.TrimSuffix(l.lines[seq-1], []byte("\n")))
		if tail.Prev != prev.Hash {
			l.change(seq, `"prev":"`+tail.Prev.String(), `"prev":"`+prev.Hash.String())
		}
	}
}

// A verifyCase is a log, and what is to be said of it without its keyring.
type verifyCase struct {
	name   string
	make   func(l *layout) // of a log of 12 records in segments of 0, 5 and 9, all signed
	status int
	seq    int // of the first finding; -1 for none

	// Where docs/verify.py says something else, and why. A pySeq of unnamed is a
	// record that it does not name.
	pyStatus, pySeq int
	why             string
}

const unnamed = -2

var verifyCases = []verifyCase{
	{name: "intact", make: func(*layout) {}, seq: -1},
	{name: "intact, and continues a checkpoint", make: func(l *layout) { l.give(l.checkpoint(7)) }, seq: -1},
	{name: "empty", make: func(l *layout) { l.lines = nil; l.put(); l.entries(); l.sign(0) }, seq: -1},
	{name: "empty, with an empty segment", make: func(l *layout) { l.lines = nil; l.put(0); l.entries(); l.sign(0) }, seq: -1},
	{name: "nothing signed", make: func(l *layout) { l.sign(0) }, status: 3, seq: -1},
	{name: "nothing signed, torn", make: func(l *layout) { l.sign(0); l.add(`{"v":1,"id":"`) }, status: 3, seq: 12},
	{name: "nothing signed, and one line torn alone", make: func(l *layout) { l.lines = nil; l.put(0); l.entries(); l.sign(0); l.add(`{"v":1,"id":"`) }, status: 3, seq: 0},
	{name: "unsigned records", make: func(l *layout) { l.sign(10) }, status: 3, seq: -1},
	{name: "torn", make: func(l *layout) { l.add(`{"v":1,"id":"`) }, status: 3, seq: 12},
	{name: "torn, with zeros", make: func(l *layout) { l.add(strings.Repeat("\x00", 700)) }, status: 3, seq: 12},
	{name: "torn, of two lines", make: func(l *layout) { l.add("{\"v\":1\x00\x00\n\x00\x00") }, status: 3, seq: 12},
	{name: "torn behind unsigned records", make: func(l *layout) { l.sign(10); l.add(`{"v":1,"id":"`) }, status: 3, seq: 12},
	{name: "torn, and a later line of the batch whole", make: func(l *layout) { l.hole(10, 11, 1) }, status: 3, seq: 10},
	{name: "a hole, and a whole line of another batch", make: func(l *layout) { l.hole(10, 11, 0) }, status: 3, seq: 10},
	{name: "a hole, and a whole line of a place that is not told", make: func(l *layout) { l.hole(10, 11, 999) }, status: 3, seq: 10},
	{name: "modified", make: func(l *layout) { l.flip(6, 30) }, status: 2, seq: 6},
	{name: "the first modified", make: func(l *layout) { l.flip(0, 30) }, status: 2, seq: 0},
	{name: "the last modified", make: func(l *layout) { l.flip(11, 30) }, status: 2, seq: 11},
	{name: "two modified", make: func(l *layout) { l.flip(10, 30); l.flip(3, 30) }, status: 2, seq: 3},
	{name: "modified and torn", make: func(l *layout) { l.flip(6, 30); l.add(`{"v":1,"id":"`) }, status: 2, seq: 6},
	{name: "its hash modified", make: func(l *layout) { l.flip(6, -10) }, status: 2, seq: 6},
	{name: "a line end modified", make: func(l *layout) { l.flip(6, -1) }, status: 2, seq: 6},
	{name: "missing", make: func(l *layout) { l.drop(6) }, status: 2, seq: 6},
	{name: "the first missing", make: func(l *layout) { l.drop(0) }, status: 2, seq: 0},
	{name: "inserted", make: func(l *layout) { l.insert(6, "not a record\n") }, status: 2, seq: 6},
	{name: "a line twice", make: func(l *layout) { l.insert(6, string(l.lines[5])) }, status: 2, seq: 6},
	{name: "a blank line", make: func(l *layout) { l.insert(6, "\n") }, status: 2, seq: 6},
	{name: "blank lines behind the signed ones", make: func(l *layout) { l.add("\n\n") }, status: 3, seq: 12},
	{name: "line ends of another system", make: func(l *layout) { l.crlf(0) }, status: 2, seq: 0},
	{name: "one line end of another system", make: func(l *layout) { l.crlf(7) }, status: 2, seq: 7},
	{name: "a byte order mark", make: func(l *layout) { l.insert(0, "\xef\xbb\xbf") }, status: 2, seq: 0},
	{name: "reordered", make: func(l *layout) { l.lines[6], l.lines[7] = l.lines[7], l.lines[6]; l.put(0, 5, 9) }, status: 2, seq: 6},
	{name: "truncated at a line", make: func(l *layout) { l.lines = l.lines[:11]; l.put(0, 5, 9) }, status: 2, seq: 11},
	{name: "truncated within a line", make: func(l *layout) { l.lines[11] = l.lines[11][:100]; l.put(0, 5, 9) }, status: 2, seq: 11},
	{name: "truncated at a segment", make: func(l *layout) { l.remove("log/00000000000000000009.jsonl") }, status: 2, seq: 9},
	{name: "truncated to nothing", make: func(l *layout) { l.write("log/"+firstSegment, nil) }, status: 2, seq: 0},
	{name: "all lines missing", make: func(l *layout) { l.remove("log"); l.mkdir("log") }, status: 2, seq: 0},
	{name: "the folder of the lines missing", make: func(l *layout) { l.remove("log") }, status: 2, seq: 0},
	{name: "a segment in the middle missing", make: func(l *layout) { l.remove("log/00000000000000000005.jsonl") }, status: 2, seq: 5},
	{name: "the first segment missing", make: func(l *layout) { l.remove("log/" + firstSegment) }, status: 2, seq: 0},
	{name: "put back, with the checkpoint, against a kept one", make: func(l *layout) {
		l.give(l.checkpoint(12))
		l.lines = l.lines[:8]
		l.put(0, 5)
		l.sign(8)
	}, status: 2, seq: 8},
	{name: "rewritten", make: func(l *layout) { l.change(6, `"type":"prompt"`, `"type":"x.other"`); l.chain(7); l.put(0, 5, 9) }, status: 2, seq: 6, pyStatus: 2, pySeq: unnamed, why: "the chain is whole: only the root differs"},
	{name: "rewritten and signed again, against a kept checkpoint", make: func(l *layout) {
		l.give(l.checkpoint(4))
		l.give(l.checkpoint(10))
		l.change(6, `"type":"prompt"`, `"type":"x.other"`)
		l.chain(7)
		l.put(0, 5, 9)
		l.sign(12)
		l.remove("tree/entries")
	}, status: 2, seq: 4, pyStatus: 2, pySeq: unnamed, why: "the chain is whole: only the root differs"},
	{name: "a line that does not continue, signed", make: func(l *layout) {
		l.change(6, `"type":"prompt"`, `"type":"x.other"`)
		l.put(0, 5, 9)
		l.sign(12)
		l.entries()
	}, status: 2, seq: 7},
	{name: "logged before the one in front of it, signed", make: func(l *layout) {
		l.change(6, `"logged":"2`, `"logged":"1`)
		l.chain(7)
		l.put(0, 5, 9)
		l.sign(12)
		l.entries()
	}, status: 2, seq: 6},
	{name: "unsigned, and does not continue", make: func(l *layout) { l.sign(5); l.change(9, `"type":"prompt"`, `"type":"x.other"`); l.put(0, 5, 9) }, status: 3, seq: 10},
	{name: "unsigned, and not what its hash says", make: func(l *layout) { l.sign(5); l.flip(9, 30) }, status: 3, seq: 9},
	{name: "unsigned, and one missing", make: func(l *layout) { l.sign(5); l.drop(9) }, status: 3, seq: 9},
	{name: "a signed line behind the signed ones again", make: func(l *layout) { l.add(string(l.lines[3])) }, status: 3, seq: 12},
	{name: "the last line again", make: func(l *layout) { l.add(string(l.lines[11])) }, status: 3, seq: 12},
	{name: "a signed line moved behind the signed ones", make: func(l *layout) { line := string(l.lines[3]); l.drop(3); l.add(line) }, status: 2, seq: 3},
	{name: "half a line, and whole ones", make: func(l *layout) { l.sign(9); l.insert(9, string(l.lines[9][:100])+"\n") }, status: 3, seq: 9},
	{name: "a gap behind the signed ones", make: func(l *layout) { l.sign(8); l.drop(10) }, status: 3, seq: 10},
	{name: "a segment far behind the signed ones", make: func(l *layout) {
		l.sign(9)
		l.rename("log/00000000000000000009.jsonl", "log/00000000000000000099.jsonl")
	}, status: 3, seq: 9},
	{name: "remains behind the end", make: func(l *layout) { l.write("log/00000000000000000012.remnant", []byte("anything")) }, status: 3, seq: 12},
	{name: "remains far behind the end", make: func(l *layout) { l.write("log/00000000000000000060.remnant", []byte("anything")) }, status: 3, seq: 60},
	{name: "remains within a segment", make: func(l *layout) { l.write("log/00000000000000000007.remnant", []byte("anything")) }, status: 3, seq: 7},
	{name: "remains within a segment, modified", make: func(l *layout) { l.flip(8, 30); l.write("log/00000000000000000007.remnant", []byte("anything")) }, status: 2, seq: 8},
	{name: "remains within the unsigned lines", make: func(l *layout) { l.sign(9); l.write("log/00000000000000000010.remnant", []byte("anything")) }, status: 3, seq: 10},
	{name: "a name that is not its first record's", make: func(l *layout) {
		l.rename("log/00000000000000000005.jsonl", "log/00000000000000000006.jsonl")
	}, status: 2, seq: 5},
	{name: "an empty segment between others", make: func(l *layout) { l.write("log/00000000000000000007.jsonl", nil) }, seq: -1},
	{name: "an empty last segment", make: func(l *layout) { l.put(0, 5, 9, 12) }, seq: -1},
	{name: "files that are not the log's", make: func(l *layout) {
		l.write("log/notes.txt", []byte("x"))
		l.write("log/1.jsonl", []byte("x"))
		l.write("log/00000000000000000003.jsonl.bak", []byte("x"))
	}, seq: -1},
	{name: "newer format, signed", make: func(l *layout) { l.newer(6); l.sign(12); l.entries() }, status: 3, seq: -1},
	{name: "newer format, not signed", make: func(l *layout) { l.sign(10); l.newer(11) }, status: 3, seq: 11, pyStatus: 3, pySeq: -1, why: "it counts such lines, and does not name them"},
	{name: "no tree but the checkpoint", make: func(l *layout) { l.remove("tree/entries"); l.remove("tree/0") }, status: 3, seq: 0, pySeq: -1, why: "it does not look at what is derived from the lines"},
	{name: "entries that are not the log's", make: func(l *layout) { l.write("tree/entries", bytes.Repeat([]byte{7}, 12*32)) }, status: 3, seq: 0, pySeq: -1, why: "it does not look at what is derived from the lines"},
	{name: "no checkpoint", make: func(l *layout) { l.remove("tree/checkpoint") }, status: 1, seq: -1},
	{name: "no checkpoint, and one that was kept", make: func(l *layout) { l.give(l.checkpoint(12)); l.remove("tree/checkpoint") }, status: 3, seq: -1},
	{name: "no checkpoint, modified against one that was kept", make: func(l *layout) { l.give(l.checkpoint(12)); l.remove("tree/checkpoint"); l.flip(6, 30) }, status: 2, seq: 6},
	{name: "checkpoint empty", make: func(l *layout) { l.write("tree/checkpoint", nil) }, status: 1, seq: -1},
	{name: "checkpoint zeroed", make: func(l *layout) { l.write("tree/checkpoint", make([]byte, 200)) }, status: 1, seq: -1},
	{name: "checkpoint cut off, and one that was kept", make: func(l *layout) { l.give(l.checkpoint(12)); l.write("tree/checkpoint", l.checkpoint(12)[:60]) }, status: 3, seq: 0, pyStatus: 3, pySeq: -1, why: "it says so without a record"},
	{name: "checkpoint too long, and one that was kept", make: func(l *layout) {
		l.give(l.checkpoint(12))
		l.write("tree/checkpoint", bytes.Repeat([]byte("x"), 2<<20))
	}, status: 3, seq: 0, pyStatus: 3, pySeq: -1, why: "it says so without a record"},
	{name: "checkpoint of another size", make: func(l *layout) {
		l.write("tree/checkpoint", bytes.Replace(l.checkpoint(12), []byte("\n12\n"), []byte("\n10\n"), 1))
	}, status: 2, seq: 10},
	{name: "checkpoint with a wrong signature", make: func(l *layout) {
		l.write("tree/checkpoint", unsigned(l.checkpoint(12)))
	}, status: 2, seq: 12},
	{name: "checkpoint with a wrong signature, and one that was kept", make: func(l *layout) {
		l.give(l.checkpoint(12))
		l.write("tree/checkpoint", unsigned(l.checkpoint(12)))
	}, status: 3, seq: 0, pyStatus: 3, pySeq: -1, why: "it says so without a record"},
	{name: "checkpoint with a wrong signature, and an older one that was kept", make: func(l *layout) {
		l.give(l.checkpoint(9))
		l.write("tree/checkpoint", unsigned(l.checkpoint(12)))
	}, status: 2, seq: 12},
	{name: "checkpoint with a wrong signature, one that was kept, and modified", make: func(l *layout) {
		l.give(l.checkpoint(12))
		l.write("tree/checkpoint", unsigned(l.checkpoint(12)))
		l.flip(6, 30)
	}, status: 2, seq: 6},
	{name: "checkpoint of another log", make: func(l *layout) {
		l.signer, _ = newKey(l.t, "example.com/other")
		l.origin = "example.com/other"
		l.sign(12)
	}, status: 1, seq: -1},
	{name: "checkpoint by another key", make: func(l *layout) { l.signer, _ = newKey(l.t, l.origin); l.sign(12) }, status: 1, seq: -1},
	{name: "kept checkpoint by another key", make: func(l *layout) { l.signer, _ = newKey(l.t, l.origin); l.give(l.checkpoint(12)) }, status: 1, seq: -1},
	{name: "kept checkpoint that is none", make: func(l *layout) { l.give([]byte("nothing")) }, status: 1, seq: -1},
	{name: "a key that is none", make: func(l *layout) { l.vkey = "nonsense" }, status: 1, seq: -1},
	{name: "no log", make: func(l *layout) { l.remove("log"); l.remove("tree") }, status: 1, seq: -1},
	{name: "rotated, the new key given", make: func(l *layout) { l.rotate(8, true) }, seq: -1},
	{name: "rotated, the old key given", make: func(l *layout) { l.rotate(8, false) }, seq: -1},
	{name: "rotated, and a kept checkpoint of the old key", make: func(l *layout) { l.give(l.checkpoint(6)); l.rotate(8, true) }, seq: -1},
	{name: "rotated, and the old key signs on", make: func(l *layout) { l.rotate(8, true); l.sign(12) }, status: 2, seq: 12},
	{name: "rotated, the notes gone, the old key given", make: func(l *layout) { l.rotate(8, false); l.remove("tree/signers") }, status: 1, seq: -1},
	{name: "rotated, the notes gone, the new key given", make: func(l *layout) { l.rotate(8, true); l.remove("tree/signers") }, seq: -1},
	{name: "rotated, the notes cut off, the new key given", make: func(l *layout) { l.rotate(8, true); l.write("tree/signers", l.read("tree/signers")[:90]) }, status: 3, seq: 0, pyStatus: 3, pySeq: -1, why: "it says so without a record"},
	{name: "rotated, the notes zeroed, the old key given", make: func(l *layout) { l.rotate(8, false); l.write("tree/signers", make([]byte, 90)) }, status: 1, seq: -1},
	{name: "rotated, a note altered, the old key given", make: func(l *layout) { l.rotate(8, false); l.alterFirst(l.path("tree"), "signers") }, status: 2, seq: 0},
	{name: "rotated, a note altered, the new key given", make: func(l *layout) { l.rotate(8, true); l.alterFirst(l.path("tree"), "signers") }, status: 2, seq: 0},
	{name: "archived", make: func(l *layout) { l.real(false, "") }, seq: -1},
	{name: "archived, and cannot be reached", make: func(l *layout) { l.removeAll(l.real(false, "")) }, status: 3, seq: -1},
	{name: "archived, and the archive altered", make: func(l *layout) { l.alterFirst(l.real(false, ""), "*.zst") }, status: 2, seq: 0},
	{name: "archived, and its manifest altered", make: func(l *layout) { l.alterFirst(l.real(false, ""), "*.archive") }, status: 2, seq: 0},
	{name: "archived, and the archive a link", make: func(l *layout) { l.linked(l.real(false, ""), "*.zst") }, status: 3, seq: -1},
	{name: "archived, and its manifest a link", make: func(l *layout) { l.linked(l.real(false, ""), "*.archive") }, status: 3, seq: -1},
	{name: "archived, and the archive a folder", make: func(l *layout) { l.instead(l.real(false, ""), "*.zst", "mkdir") }, status: 3, seq: -1},
	{name: "archived, and the archive a pipe", make: func(l *layout) { l.instead(l.real(false, ""), "*.zst", "mkfifo") }, status: 3, seq: -1},
	{name: "archived, and its manifest a pipe", make: func(l *layout) { l.instead(l.real(false, ""), "*.archive", "mkfifo") }, status: 3, seq: -1},
	{name: "a segment that is a pipe", make: func(l *layout) { l.instead(l.path("log"), "*5.jsonl", "mkfifo") }, status: 1, seq: 5, pyStatus: 1, pySeq: -1, why: "it ends at the file"},
	{name: "dropped", make: func(l *layout) { l.real(true, "") }, seq: -1},
	{name: "dropped, and what remains altered", make: func(l *layout) { l.real(true, ""); l.alterFirst(l.path("log"), "*.remnant") }, status: 2, seq: 0},
	{name: "dropped, and what remains gone", make: func(l *layout) { l.real(true, ""); l.remove("log/00000000000000000000.remnant") }, status: 2, seq: 0},
	{name: "remains of a segment that never left", make: func(l *layout) { l.real(true, "never") }, status: 2, seq: 0},
	{name: "a segment that is a link", make: func(l *layout) {
		l.rename("log/00000000000000000005.jsonl", "elsewhere")
		if err := os.Symlink(l.path("elsewhere"), l.path("log/00000000000000000005.jsonl")); err != nil {
			l.t.Skip(err)
		}
	}, status: 1, seq: 5, pyStatus: 1, pySeq: -1, why: "it ends at the file"},
	{name: "remains beside lines", make: func(l *layout) { l.write("log/00000000000000000005.remnant", []byte("anything")) }, seq: -1},
}

// unsigned makes the signature of a checkpoint wrong, and leaves it one.
func unsigned(b []byte) []byte {
	if at := len(b) - 20; b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return b
}

// add appends bytes to the last segment.
func (l *layout) add(text string) {
	l.t.Helper()
	names, err := filepath.Glob(l.path("log/*.jsonl"))
	if err != nil || len(names) == 0 {
		l.t.Fatal(names, err)
	}
	name := "log/" + filepath.Base(names[len(names)-1])
	l.write(name, append(l.read(name), text...))
}

// hole leaves the records from at on unsigned, damages record at, and changes the
// place of a later record in its batch.
func (l *layout) hole(at, behind, place int) {
	l.t.Helper()
	l.sign(at)
	tail, _ := record.ParseChainLink(bytes.TrimSuffix(l.lines[behind], []byte("\n")))
	is := string(event.AppendTime(nil, tail.Logged))
	want := string(event.AppendTime(nil, tail.Logged.Truncate(time.Microsecond).Add(time.Duration(place))))
	if is != want {
		l.change(behind, `"logged":"`+is, `"logged":"`+want)
	}
	l.flip(at, 30)
}

func (l *layout) flip(seq, at int) {
	l.t.Helper()
	line := bytes.Clone(l.lines[seq])
	if at < 0 {
		at += len(line)
	}
	line[at] ^= 1
	l.lines[seq] = line
	l.put(0, 5, 9)
}

func (l *layout) drop(seq int) {
	l.t.Helper()
	l.insert(seq, "")
}

// insert puts text before a line, or replaces an empty line by it.
func (l *layout) insert(seq int, text string) {
	l.t.Helper()
	line := l.lines[seq]
	l.lines[seq] = append([]byte(text), line...)
	if text == "" {
		l.lines[seq] = nil
	}
	l.put(0, 5, 9)
	l.lines[seq] = line
}

func (l *layout) crlf(from int) {
	l.t.Helper()
	for seq := from; seq < len(l.lines) && (from == 0 || seq == from); seq++ {
		l.lines[seq] = append(bytes.TrimSuffix(l.lines[seq], []byte("\n")), "\r\n"...)
	}
	l.put(0, 5, 9)
}

func (l *layout) newer(seq int) {
	l.t.Helper()
	l.change(seq, fmt.Sprintf(`{"v":%d,`, record.Version), `{"v":9,`)
	l.chain(seq + 1)
	l.put(0, 5, 9)
}

func (l *layout) mkdir(name string) {
	l.t.Helper()
	if err := os.MkdirAll(l.path(name), 0o755); err != nil {
		l.t.Fatal(err)
	}
}

func (l *layout) rename(from, to string) {
	l.t.Helper()
	if err := os.Rename(l.path(from), l.path(to)); err != nil {
		l.t.Fatal(err)
	}
}

// entries writes the tree's files of hashes: up to 256 leaves are in two.
func (l *layout) entries() {
	l.t.Helper()
	var entries, leaves []byte
	for _, line := range l.lines {
		tail, _ := record.ParseChainLink(bytes.TrimSuffix(line, []byte("\n")))
		leaf := tlog.LeafHash(tail.Hash)
		entries, leaves = append(entries, tail.Hash[:]...), append(leaves, leaf[:]...)
	}
	l.write("tree/entries", entries)
	l.write("tree/0", leaves)
}

// rotate has another key take over at a size. The new key's checkpoint is
// published, and the new one or the old one is what the verifier trusts.
func (l *layout) rotate(size int, trustNew bool) {
	l.t.Helper()
	old, vkey := l.signer, l.vkey
	next, nextVKey := newKey(l.t, l.origin)
	c, err := tlog.ReadCheckpoint(l.checkpoint(size))
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := tlog.SignRotation(tlog.Rotation{Origin: l.origin, Size: c.Size, Root: c.Root, Old: vkey, New: nextVKey}, old, next)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write("tree/signers", append(fmt.Appendf(nil, "%d\n", len(signed)), signed...))
	l.signer = next
	l.sign(12)
	l.signer = old
	if trustNew {
		l.vkey = nextVKey
	}
}

// real creates the log again, and archives its first segment in the folder that
// it returns, or drops it. With "never", the log is as before, except that the
// first segment is replaced by a tombstone that no record mentions.
func (l *layout) real(drop bool, what string) (archive string) {
	l.t.Helper()
	t := l.t
	l.remove("")
	log := logtest.Open(t, l.dir, audittrail.Options{Create: true, Origin: l.origin, SegmentBytes: 8 << 10})
	for i := range 40 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: fmt.Sprint(i)})
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	l.vkey = keys[0].VKey
	archive = t.TempDir()
	before := t.TempDir()
	if err := errors.Join(log.Close(), os.CopyFS(before, os.DirFS(l.dir))); err != nil {
		t.Fatal(err)
	}
	if log, err = audittrail.Open(l.dir, audittrail.Options{SegmentBytes: 8 << 10}); err != nil {
		t.Fatal(err)
	}
	if drop {
		err = log.DropSegments(t.Context(), []uint64{0}, "a test")
	} else {
		err = log.ArchiveSegments(t.Context(), []uint64{0}, archive, "a test")
	}
	if err = errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
	if what == "never" {
		remains := l.read("log/00000000000000000000.remnant")
		l.remove("")
		if err := os.CopyFS(l.dir, os.DirFS(before)); err != nil {
			t.Fatal(err)
		}
		l.remove("log/" + firstSegment)
		l.write("log/00000000000000000000.remnant", remains)
	}
	l.remove("keys")
	return archive
}

func (l *layout) removeAll(dir string) {
	l.t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		l.t.Fatal(err)
	}
}

// alterFirst alters a byte in the middle of the first file of a pattern.
func (l *layout) alterFirst(dir, pattern string) {
	l.t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		l.t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		l.t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// linked puts a link to the first file of a pattern in its place.
func (l *layout) linked(dir, pattern string) {
	l.t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		l.t.Fatal(names, err)
	}
	to := filepath.Join(l.t.TempDir(), "elsewhere")
	if err := os.Rename(names[0], to); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Symlink(to, names[0]); err != nil {
		l.t.Skip(err)
	}
}

// instead has a command make something else in the place of the first file of a
// pattern.
func (l *layout) instead(dir, pattern, command string) {
	l.t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		l.t.Fatal(names, err)
	}
	if err := os.Remove(names[0]); err != nil {
		l.t.Fatal(err)
	}
	if err := exec.CommandContext(l.t.Context(), command, names[0]).Run(); err != nil {
		l.t.Skip(err) // there are systems without these
	}
}

// verifiers runs audittrail verify and docs/verify.py, and returns the exit
// status of each, the first record that it names, and all that it says.
func (l *layout) byProgram() (status, seq int, said string) {
	args := []string{"verify", "--dir", l.dir, "--keys", l.path("nowhere"), "--key", l.vkey, "-o", "json"}
	for _, c := range l.checkpoints {
		args = append(args, "--checkpoint", c)
	}
	var stdout, stderr bytes.Buffer
	e := &env{
		ctx: l.t.Context(), args: args, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(string) string { return "" }, now: time.Now,
	}
	status, seq = e.run(), -1
	var v struct{ Errors []struct{ Seq int } }
	if json.Unmarshal(stdout.Bytes(), &v) == nil && len(v.Errors) > 0 {
		seq = v.Errors[0].Seq
	}
	return status, seq, stdout.String() + stderr.String()
}

func (l *layout) byScript() (status, seq int, said string) {
	args := []string{filepath.Join("..", "..", "docs", "verify.py"), "--vkey", l.vkey}
	for _, c := range l.checkpoints {
		args = append(args, "--checkpoint", c)
	}
	cmd := exec.CommandContext(l.t.Context(), "python3", append(args, l.dir)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	seq = -1
	if cmd.ProcessState.ExitCode() == 2 {
		seq = unnamed
	}
	if m := regexp.MustCompile(`\brecord ([0-9]+):`).FindSubmatch(out); m != nil {
		seq, _ = strconv.Atoi(string(m[1]))
	}
	return cmd.ProcessState.ExitCode(), seq, string(out)
}

// TestVerifyCases has audittrail verify and docs/verify.py say the same of the
// same logs, where no keyring is at hand.
func TestVerifyCases(t *testing.T) {
	lines := realLines(t, 12)
	_, noPython := exec.LookPath("python3")
	if noPython != nil && os.Getenv("CI") != "" {
		t.Fatal(noPython)
	}
	_, noZstd := exec.LookPath("zstd")
	for _, c := range verifyCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := &layout{t: t, dir: filepath.Join(t.TempDir(), "audit"), origin: "example.com/test"}
			l.signer, l.vkey = newKey(t, l.origin)
			for _, line := range lines {
				l.lines = append(l.lines, bytes.Clone(line))
			}
			l.mkdir("log")
			l.mkdir("tree")
			l.put(0, 5, 9)
			l.sign(12)
			l.entries()
			c.make(l)
			if status, seq, said := l.byProgram(); status != c.status || seq != c.seq {
				t.Errorf("audittrail verify: status %d, first record %d, want %d and %d: %s", status, seq, c.status, c.seq, said)
			}
			if noPython != nil {
				return
			}
			want, wantSeq := c.status, c.seq
			if c.why != "" {
				want, wantSeq = c.pyStatus, c.pySeq
			}
			if noZstd != nil && c.name == "archived" {
				want = 3 // it says that it cannot read it
			}
			if status, seq, said := l.byScript(); status != want || seq != wantSeq {
				t.Errorf("verify.py: status %d, first record %d, want %d and %d: %s", status, seq, want, wantSeq, said)
			}
		})
	}
}
