package interop

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const origin = "interop.example/log"

// programs are the paths of the programs under test, built once.
type programs struct{ audittrail, fsck string }

var built programs

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the programs:", err)
		return 1
	}
	code := 1
	err = errors.Join(
		build(&built.audittrail, dir, "..", "./cmd/audittrail"),
		build(&built.fsck, dir, ".", "github.com/transparency-dev/tessera/cmd/fsck"),
	)
	if err == nil {
		code = m.Run()
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return code
}

func build(program *string, dir, module, pkg string) error {
	*program = filepath.Join(dir, filepath.Base(pkg))
	if runtime.GOOS == "windows" {
		*program += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", *program, pkg)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// audittrail runs the command on the log in dir and returns what it printed.
func audittrail(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built.audittrail, append(args, "--dir", dir)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("audittrail %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// newLog makes a log of at least n records out of the corpus, again and again
// without its ids, and exports its tree.
func newLog(t *testing.T, n int) (dir, tree string) {
	t.Helper()
	dir, tree = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "tree")
	audittrail(t, dir, "init", "--origin", origin)
	audittrail(t, dir, "import", events(t, n))
	audittrail(t, dir, "tree", "export", tree)
	return dir, tree
}

// events writes n events, a line each, and returns the file's name. They are
// the corpus, then lines of it again: short ones, so that a hundred thousand
// do not take long, and without the id that was used already.
func events(t *testing.T, n int) string {
	t.Helper()
	corpus, err := os.ReadFile(filepath.Join("..", "testdata", "corpus", "traffic.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(corpus), []byte("\n"))
	var again [][]byte
	for _, line := range lines {
		var event map[string]json.RawMessage
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		delete(event, "id")
		short, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		if len(short) < 800 {
			again = append(again, append(short, '\n'))
		}
	}
	name := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		line := again[i%len(again)]
		if i < len(lines)-1 { // the last line lacks its line feed
			line = lines[i]
		}
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmp.Or(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

// vkey returns the key that the log's checkpoints are signed with.
func vkey(t *testing.T, dir string) string {
	t.Helper()
	var v struct {
		VKey string `json:"vkey"`
	}
	out := audittrail(t, dir, "keys", "show", "-o", "json")
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("keys show -o json: %v\n%s", err, out)
	}
	return v.VKey
}

// entries reads the log's segments as anybody can: the hash of a record is the
// SHA-256 of its line up to its last member. The tree must have these entries.
func entries(t *testing.T, dir string) [][sha256.Size]byte {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(segments)
	var all [][sha256.Size]byte
	for _, name := range segments {
		segment, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(segment) {
			all = append(all, sha256.Sum256(line[:bytes.LastIndex(line, []byte(`,"hash":"`))]))
		}
	}
	return all
}
