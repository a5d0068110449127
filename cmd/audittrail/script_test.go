package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"audittrail"
	"audittrail/event"
	"audittrail/record"
)

// TestMain makes this test binary the program itself where a script, or a test
// that needs a process of its own, runs it under the program's name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"audittrail": func() {
			for _, v := range os.Environ() {
				if name, ok := strings.CutSuffix(v, "="+isUnset); ok {
					if err := os.Unsetenv(name); err != nil {
						panic(err)
					}
				}
			}
			os.Exit(process())
		},
	})
}

func TestScript(t *testing.T) {
	corpus, err := filepath.Abs("../../testdata/corpus/traffic.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CORPUS", corpus)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" { // whom permissions do not hold back
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":   statusCmd,
			"unset":    unsetCmd,
			"hidden":   hiddenCmd,
			"capture":  captureCmd,
			"flipbit":  flipBitCmd,
			"cut":      cutCmd,
			"line":     lineCmd,
			"swap":     swapCmd,
			"mode":     modeCmd,
			"sumcalls": sumCallsCmd,
			"generate": generateCmd,
			"segments": segmentsCmd,
			"drop":     dropCmd,
			"forge":    forgeCmd,
			"replace":  replaceCmd,
			"damage":   damageCmd,
			"search":   searchCmd,
			"entry":    entryCmd,
			"copyline": copyLineCmd,
		},
	})
}

// isUnset is the value of a variable that is not set for the program: scripts
// can but make one empty.
const isUnset = "(unset)"

// unsetCmd: unset NAME removes a variable from the environment of the program.
func unsetCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unset NAME")
	}
	ts.Setenv(args[0], isUnset)
}

// hiddenCmd: [!] hidden FILE fails, or with ! succeeds, if there is no character
// in the file that acts on a terminal or cannot be seen, line feeds and tabs
// aside. The file may be stdout or stderr.
func hiddenCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] hidden FILE")
	}
	text := ts.ReadFile(args[0])
	at := strings.IndexFunc(text, func(r rune) bool {
		return r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || slices.Contains(unseen, r))
	})
	if found := at >= 0; found == neg {
		ts.Fatalf("hidden characters: %v, at %d of %q", found, at, text)
	}
}

// unseen are characters of every kind that nobody sees.
var unseen = []rune("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")

// statusCmd: status N COMMAND ARG... runs a command, which must end with exit
// status N.
func statusCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND ARG...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := atoi(ts, args[0]); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// captureCmd: capture NAME REGEXP sets a variable to what the group in REGEXP
// matches in the output of the last command.
func captureCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %s in stdout", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// sumCallsCmd: sumcalls N adds up the calls by how well their version is known,
// in the report that the last command printed as JSON.
func sumCallsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sumcalls N")
	}
	sum := 0
	for _, m := range regexp.MustCompile(`"id":"lineage\.calls_[a-z]+",[^}]*"value":\{"count":([0-9]+)\}`).FindAllStringSubmatch(ts.ReadFile("stdout"), -1) {
		sum += atoi(ts, m[1])
	}
	if want := atoi(ts, args[0]); sum != want {
		ts.Fatalf("the section lineage has %d calls, want %d", sum, want)
	}
}

// edit replaces what a file holds.
func edit(ts *testscript.TestScript, name string, change func([]byte) []byte) {
	path := ts.MkAbs(name)
	data, err := os.ReadFile(path)
	ts.Check(err)
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, change(data), info.Mode()))
}

// flipBitCmd: flipbit FILE OFFSET changes the lowest bit of a byte.
func flipBitCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flipbit FILE OFFSET")
	}
	edit(ts, args[0], func(data []byte) []byte {
		at := atoi(ts, args[1])
		if at < 0 {
			at += len(data)
		}
		data[at] ^= 1
		return data
	})
}

// cutCmd: cut FILE N cuts N bytes off the end.
func cutCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE N")
	}
	edit(ts, args[0], func(data []byte) []byte { return data[:len(data)-atoi(ts, args[1])] })
}

// lineCmd: line FILE N remove | line FILE N twice | line FILE N with TEXT
// removes a line, counted from 0, doubles it, or puts a text in its place.
func lineCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: line FILE N remove|twice|with TEXT")
	}
	edit(ts, args[0], func(data []byte) []byte {
		lines := bytes.SplitAfter(data, []byte("\n"))
		n := atoi(ts, args[1])
		switch args[2] {
		case "remove":
			lines[n] = nil
		case "twice":
			lines[n] = bytes.Repeat(lines[n], 2)
		case "with":
			lines[n] = []byte(args[3] + "\n")
		default:
			ts.Fatalf("line: %s is none of remove, twice and with", args[2])
		}
		return bytes.Join(lines, nil)
	})
}

// swapCmd: swap FILE N M swaps two lines, counted from 0.
func swapCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: swap FILE N M")
	}
	edit(ts, args[0], func(data []byte) []byte {
		lines := bytes.SplitAfter(data, []byte("\n"))
		n, m := atoi(ts, args[1]), atoi(ts, args[2])
		lines[n], lines[m] = lines[m], lines[n]
		return bytes.Join(lines, nil)
	})
}

// modeCmd: mode FILE PERM checks the permissions of a file.
func modeCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE PERM")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// generateCmd: generate FILE N writes N events.
func generateCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: generate FILE N")
	}
	var out bytes.Buffer
	for i := range atoi(ts, args[1]) {
		n := strconv.Itoa(i)
		out.WriteString(`{"type":"prompt","model_id":"gpt-4","user_id":"user-` + strconv.Itoa(i%7) + `","prompt":"event ` + n + `"}` + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o644))
}

// segmentsCmd: segments DIR N makes a log of N events in short segments.
func segmentsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: segments DIR N")
	}
	log, err := audittrail.Open(ts.MkAbs(args[0]), audittrail.Options{Create: true, SegmentBytes: 8 << 10})
	ts.Check(err)
	for i := range atoi(ts, args[1]) {
		_, err := log.Append(context.Background(), event.Event{
			ID: fmt.Sprintf("event %d", i), Type: event.Prompt, UserID: fmt.Sprintf("user-%d", i%7), Prompt: fmt.Sprintf("prompt %d", i),
		})
		ts.Check(err)
	}
	ts.Check(log.Close())
}

// dropCmd: drop DIR drops the first segment of a log.
func dropCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: drop DIR")
	}
	log, err := audittrail.Open(ts.MkAbs(args[0]), audittrail.Options{})
	ts.Check(err)
	ts.Check(log.DropSegments(context.Background(), []uint64{0}, "old"))
	ts.Check(log.Close())
}

// forgeCmd: forge FILE N changes what record N says of its key, and makes every hash from
// there on fit again, as somebody would who can write to the log.
func forgeCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: forge FILE N")
	}
	edit(ts, args[0], func(data []byte) []byte {
		lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
		n := atoi(ts, args[1])
		head, rest, _ := bytes.Cut(lines[n], []byte(`,"key":"`))
		digit := byte('0')
		if rest[0] == digit {
			digit = '1'
		}
		lines[n] = slices.Concat(head, []byte(`,"key":"`), []byte{digit}, rest[1:])
		for i := n; i < len(lines); i++ {
			if i > n {
				before, _ := record.ParseChainLink(lines[i-1])
				own, _ := record.ParseChainLink(lines[i])
				lines[i] = bytes.Replace(lines[i], []byte(own.Prev.String()), []byte(before.Hash.String()), 1)
			}
			covered, _ := record.HashedBytes(lines[i])
			own, _ := record.ParseChainLink(lines[i])
			lines[i] = bytes.Replace(lines[i], []byte(own.Hash.String()), []byte(record.HashOf(covered).String()), 1)
		}
		return append(bytes.Join(lines, []byte("\n")), '\n')
	})
}

// searchCmd: search DIR TEXT looks for a text in every file below a folder. The
// text has a character that base64 has not: else it is there by chance some day.
func searchCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: search DIR TEXT")
	}
	if !strings.ContainsAny(args[1], " _-.@") {
		ts.Fatalf("search %s: base64 may have it by chance", args[1])
	}
	found := ""
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if bytes.Contains(data, []byte(args[1])) {
			found = name
		}
		return err
	})
	ts.Check(err)
	if (found == "") != neg {
		ts.Fatalf("%q found in: %q", args[1], found)
	}
}

// damageCmd: damage DIR changes a bit in the middle of each index block in a
// folder, of which there must be one.
func damageCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	blocks, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.block"))
	if ts.Check(err); len(blocks) == 0 {
		ts.Fatalf("no blocks in %s", args[0])
	}
	for _, name := range blocks {
		edit(ts, name, func(data []byte) []byte {
			data[len(data)/2] ^= 1
			return data
		})
	}
}

// replaceCmd: replace FILE OLD NEW puts another text in the place of one, which
// must be there.
func replaceCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	edit(ts, args[0], func(data []byte) []byte {
		if !bytes.Contains(data, []byte(args[1])) {
			ts.Fatalf("%s does not have %s", args[0], args[1])
		}
		return bytes.Replace(data, []byte(args[1]), []byte(args[2]), 1)
	})
}

func atoi(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// entryCmd: entry FILE N flag|id changes what the entry of the Nth line in a side
// file says of whether it governs the log, or of its id, and makes the check of
// the entry right, as anybody can.
func entryCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || args[2] != "flag" && args[2] != "id" {
		ts.Fatalf("usage: entry FILE N flag|id")
	}
	edit(ts, args[0], func(data []byte) []byte {
		n := atoi(ts, args[1])
		e := data[32+16*n:][:16]
		if args[2] == "flag" {
			e[4] ^= 1
		} else {
			e[12] ^= 0x55
		}
		sum := binary.BigEndian.AppendUint64(nil, uint64(n))
		c := crc32.Checksum(append(append(sum, e[:5]...), e[8:]...), crc32.MakeTable(crc32.Castagnoli))
		e[5], e[6], e[7] = byte(c>>16), byte(c>>8), byte(c)
		return data
	})
}

// copyLineCmd: copyline FILE N appends the Nth line again, as the next record.
func copyLineCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copyline FILE N")
	}
	edit(ts, args[0], func(data []byte) []byte {
		lines := bytes.SplitAfter(data, []byte("\n"))
		lines = lines[:len(lines)-1]
		line := bytes.TrimSuffix(lines[atoi(ts, args[1])], []byte("\n"))
		own, _ := record.ParseChainLink(line)
		last, ok := record.ParseChainLink(bytes.TrimSuffix(lines[len(lines)-1], []byte("\n")))
		if !ok {
			ts.Fatalf("%s has no records", args[0])
		}
		old := bytes.LastIndex(line, fmt.Appendf(nil, `,"seq":%d,`, own.Seq))
		covered := event.AppendTime(fmt.Appendf(line[:old:old], `,"seq":%d,"logged":"`, last.Seq+1), last.Logged)
		covered = fmt.Appendf(covered, `","prev":"%v"`, last.Hash)
		return fmt.Appendf(data, `%s,"hash":"%x"}`+"\n", covered, sha256.Sum256(covered))
	})
}
