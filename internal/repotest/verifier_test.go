package repotest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// A program that checks lines, checkpoints and proofs depends on these packages of
// ours and modules of others, besides the standard library, and on nothing else.
var (
	verifierPackages = []string{
		"audittrail/event", "audittrail/internal/canonical", "audittrail/internal/cjson", "audittrail/record", "audittrail/tlog",
	}
	verifierModules = []string{
		"filippo.io/torchwood", "github.com/klauspost/compress", "golang.org/x/crypto", "golang.org/x/mod", "golang.org/x/sync",
	}
)

const auditor = "./internal/repotest/testdata/auditor"

// dependencies returns the packages of this module and the modules of others
// that packages need, both sorted.
func dependencies(t *testing.T, packages ...string) (ours, modules []string) {
	t.Helper()
	const form = "{{if not .Standard}}{{.ImportPath}} {{.Module.Path}}{{end}}"
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", form}, packages...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	for line := range strings.Lines(string(out)) {
		name, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		if module == "audittrail" {
			ours = append(ours, name)
		} else {
			modules = append(modules, module)
		}
	}
	slices.Sort(ours)
	slices.Sort(modules)
	return ours, slices.Compact(modules)
}

// TestVerifierNeedsLittle compares the dependencies of a verifier with the list.
func TestVerifierNeedsLittle(t *testing.T) {
	for _, tt := range []struct {
		packages []string
		more     []string
	}{
		{[]string{"./event", "./record", "./tlog"}, nil},
		{[]string{auditor}, []string{"audittrail/" + strings.TrimPrefix(auditor, "./")}},
	} {
		ours, modules := dependencies(t, tt.packages...)
		want := slices.Sorted(slices.Values(append(slices.Clone(verifierPackages), tt.more...)))
		if d := cmp.Diff(want, ours); d != "" {
			t.Errorf("%v need other packages of ours (-want +got):\n%s", tt.packages, d)
		}
		if d := cmp.Diff(verifierModules, modules); d != "" {
			t.Errorf("%v need other modules (-want +got):\n%s", tt.packages, d)
		}
	}
}

// audited is a log on the disk, and what its owner hands an auditor.
type audited struct{ dir, vkey, proof, old, consistency string }

func newAudited(t *testing.T) audited {
	t.Helper()
	dir := t.TempDir()
	a := audited{filepath.Join(dir, "log"), "", filepath.Join(dir, "proof"), filepath.Join(dir, "old"), filepath.Join(dir, "consistency")}
	log := logtest.Open(t, a.dir, audittrail.Options{Create: true, Origin: "example.com/assistant"})
	var old []byte
	for i := range 20 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: strings.Repeat("word ", i)})
		if i == 6 {
			var err error
			if old, err = log.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	proof, err := log.Prove(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	consistency, err := log.ProveConsistency(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	a.vkey = keys[0].VKey
	write(t, a.proof, proof)
	write(t, a.old, old)
	write(t, a.consistency, consistency)
	return a
}

// TestVerifierOfThreePackages builds the auditor's program, and has it check a
// log with its proofs, and then the same altered.
func TestVerifierOfThreePackages(t *testing.T) {
	program := filepath.Join(t.TempDir(), "auditor")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, auditor).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", auditor, err, out)
	}
	run := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return string(out), err
	}
	good := newAudited(t)
	const intact = "example.com/assistant: 20 lines give the signed root, 20 of type prompt\n"
	for _, tt := range []struct {
		files []string
		want  string
	}{
		{nil, intact},
		{[]string{good.proof}, intact + "record 3 is proven\n"},
		{[]string{good.old, good.consistency}, intact + "the log of 20 records begins with the log of 7\n"},
	} {
		if out, err := run(append([]string{good.vkey, good.dir}, tt.files...)...); err != nil || out != tt.want {
			t.Errorf("auditor with %v printed %q, %v, want %q", tt.files, out, err, tt.want)
		}
	}

	other := newAudited(t)
	for name, args := range map[string][]string{
		"the key of another log":         {other.vkey, good.dir},
		"a proof of another log":         {good.vkey, good.dir, other.proof},
		"a checkpoint of another log":    {good.vkey, good.dir, other.old, good.consistency},
		"a consistency proof of another": {good.vkey, good.dir, good.old, other.consistency},
	} {
		if out, err := run(args...); err == nil {
			t.Errorf("with %s, the auditor found nothing and printed %q", name, out)
		}
	}

	segment := filepath.Join(good.dir, "log", "00000000000000000000.jsonl")
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, altered := range map[string][]byte{
		"a byte is altered":          bytes.Replace(whole, []byte(`"type":"prompt"`), []byte(`"type":"tool_call"`), 1),
		"a line is missing":          bytes.Join(slices.Concat(lines[:5], lines[6:]), nil),
		"two lines are exchanged":    bytes.Join(slices.Concat(lines[:5], lines[6:7], lines[5:6], lines[7:]), nil),
		"the last line is missing":   bytes.Join(lines[:19], nil),
		"the last line has no end":   whole[:len(whole)-1],
		"a line is in it once again": bytes.Join(slices.Concat(lines[:5], lines[4:]), nil),
	} {
		write(t, segment, altered)
		if out, err := run(good.vkey, good.dir); err == nil {
			t.Errorf("if %s, the auditor finds nothing and prints %q", name, out)
		}
	}
}
