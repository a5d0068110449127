package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write down what is said of the kept logs now, for a reason to be added to each difference")

// keptLogs is the folder of logs that older versions made, each with what they
// said of it: see its README.
const keptLogs = "../../testdata/logs"

// A saying is a command and what was printed and returned, as say.sh writes it.
type saying struct {
	command string
	lines   []string
}

func (s saying) status() string {
	status := ""
	for _, l := range s.lines {
		if n, ok := strings.CutPrefix(l, "= "); ok {
			status = n
		}
	}
	return status
}

func parseSayings(t *testing.T, text []byte) []saying {
	t.Helper()
	var all []saying
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSuffix(l, "\n")
		if c, ok := strings.CutPrefix(l, "$ "); ok {
			if slices.ContainsFunc(all, func(s saying) bool { return s.command == c }) {
				t.Fatalf("%q is asked twice: differences are found by their command", c)
			}
			all = append(all, saying{command: c})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("%q is before the first command", l)
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, l)
	}
	return all
}

// unpackKept unpacks a kept log into a new folder, which becomes the working
// directory of the process, and returns what was said of it.
func unpackKept(t *testing.T, dir string) []saying {
	t.Helper()
	said, err := os.ReadFile(filepath.Join(dir, "said.txt"))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(dir, "log.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !filepath.IsLocal(h.Name) {
			t.Fatalf("%s has a file %q", dir, h.Name)
		}
		at, mode := filepath.Join(to, h.Name), h.FileInfo().Mode().Perm()
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(at, 0o700)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(at, data, mode)
			}
		}
		if err == nil {
			err = os.Chmod(at, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(to)
	return parseSayings(t, said)
}

// keptTime is when the commands ran that say what is kept.
var keptTime = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// unsteady is what say.sh leaves out too, since it differs each time.
var unsteady = []struct {
	is *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`, in [0-9.]+ s$`), ", in _ s"},
	{regexp.MustCompile(`("check":"clock",.*"detail":)"[^"]*"`), `$1"_"`},
	{regexp.MustCompile(`[0-9.]+ [kMGT]?B left`), "_ left"},
}

// say runs a line of a file of commands.
func say(t *testing.T, command string) saying {
	t.Helper()
	words, into, token := shellWords(t, command), "", ""
	if words[0] == "as" {
		text, err := os.ReadFile(words[1])
		if err != nil {
			t.Fatal(err)
		}
		token, words = strings.TrimSpace(string(text)), words[2:]
	}
	if n := len(words); n > 2 && words[n-2] == ">" {
		into, words = words[n-1], words[:n-2]
	}
	e, stdout, stderr := newEnv(t, words...)
	e.now = func() time.Time { return keptTime }
	e.getenv = func(name string) string {
		if name == "AUDITTRAIL_TOKEN" {
			return token
		}
		return ""
	}
	status := e.run()
	if into != "" {
		if err := os.WriteFile(into, stdout.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		stdout.Reset()
	}
	s := saying{command: command}
	for mark, out := range map[string]*bytes.Buffer{"> ": stdout, "! ": stderr} {
		var lines []string
		for l := range strings.Lines(out.String()) {
			l = strings.TrimSuffix(l, "\n")
			for _, u := range unsteady {
				l = u.is.ReplaceAllString(l, u.as)
			}
			lines = append(lines, mark+l)
		}
		if mark == "> " {
			s.lines = slices.Concat(lines, s.lines)
		} else {
			s.lines = append(s.lines, lines...)
		}
	}
	s.lines = append(s.lines, "= "+strconv.Itoa(status))
	return s
}

var shellWord = regexp.MustCompile(`'([^']*)'|"\$\(cat ([^)]+)\)"|(\S+)`)

// shellWords splits a command at its spaces, with the two ways of quoting that
// the files of commands have: 'text' and "$(cat FILE)".
func shellWords(t *testing.T, command string) []string {
	t.Helper()
	var words []string
	for _, m := range shellWord.FindAllStringSubmatch(command, -1) {
		word := m[1] + m[3]
		if m[2] != "" {
			text, err := os.ReadFile(m[2])
			if err != nil {
				t.Fatal(err)
			}
			word = strings.TrimRight(string(text), "\n")
		}
		words = append(words, word)
	}
	return words
}

// changes lists what must be taken from the lines a and put in for them to be
// b, in runs without a line that stays between.
func changes(a, b []string) [][]string {
	// common[i][j] is the length of the longest sequence of lines that a[i:] and b[j:] share.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var runs [][]string
	var out, in []string
	end := func() {
		if run := slices.Concat(out, in); len(run) > 0 {
			runs = append(runs, run)
		}
		out, in = nil, nil
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			end()
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			in = append(in, "+ "+b[j])
			j++
		}
	}
	end()
	return runs
}

// A difference is a run of lines that one command says otherwise now, and why
// this is right.
type difference struct {
	reason string
	lines  []string
}

// noReason is what -update writes, for somebody to replace.
const noReason = "?"

// readDifferences reads the differences of each command.
func readDifferences(t *testing.T, file string) map[string][]difference {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	all := make(map[string][]difference)
	command := ""
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSuffix(l, "\n")
		of := all[command]
		switch {
		case l == "":
		case strings.HasPrefix(l, "$ "):
			command = l[2:]
			continue
		case strings.HasPrefix(l, "# "):
			of = append(of, difference{reason: l[2:]})
		case len(of) > 0:
			of[len(of)-1].lines = append(of[len(of)-1].lines, l)
		default:
			t.Fatalf("%s: no reason is before %q", file, l)
		}
		all[command] = of
	}
	return all
}

// TestKeptLogsSayTheSame checks that every command prints about a log of an older
// version what that version printed, except for the differences that the file
// differences.txt in the log's folder lists with their reasons.
func TestKeptLogsSayTheSame(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the archive of the kept logs is found through /proc/self/cwd")
	}
	for _, dir := range keptFolders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			file := filepath.Join(dir, "differences.txt")
			known := readDifferences(t, file)
			var now strings.Builder
			for _, said := range unpackKept(t, dir) {
				differ := changes(said.lines, say(t, said.command).lines)
				if len(differ) > 0 {
					fmt.Fprintf(&now, "$ %s\n", said.command)
				}
				unused := slices.Clone(known[said.command])
				for _, lines := range differ {
					i := slices.IndexFunc(unused, func(d difference) bool { return slices.Equal(d.lines, lines) })
					reason := noReason
					if i >= 0 {
						reason = unused[i].reason
						unused = slices.Delete(unused, i, i+1)
					}
					if reason == noReason && !*update {
						t.Errorf("audittrail %s says otherwise than the version that made the log, and %s has no reason for it (-update adds it):\n%s", said.command, filepath.Base(file), clip(lines))
					}
					fmt.Fprintf(&now, "# %s\n%s\n", reason, strings.Join(lines, "\n"))
				}
				for _, d := range unused {
					if !*update {
						t.Errorf("audittrail %s no longer differs as %s says (-update removes it):\n%s", said.command, filepath.Base(file), clip(d.lines))
					}
				}
				if len(differ) > 0 {
					now.WriteString("\n")
				}
				delete(known, said.command)
			}
			for command := range known {
				if !*update {
					t.Errorf("%s has differences of %q, which is no command of said.txt", filepath.Base(file), command)
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(now.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// clip is lines for a message, not longer than can be read.
func clip(lines []string) string {
	text := strings.Join(lines, "\n")
	if len(text) > 4000 {
		text = text[:4000] + " …"
	}
	return text
}

// keptFolders lists the folders of kept logs, by paths that do not depend on
// the folder that the process is in.
func keptFolders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(keptLogs, "*", "said.txt"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no kept logs in %s: %v", keptLogs, err)
	}
	for i, f := range found {
		if found[i], err = filepath.Abs(filepath.Dir(f)); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestKeptLogsGoOn checks that this version continues a log that an older one
// made: it records, erases, rotates keys and begins segments, the log verifies
// as it did, records that were there already are not recorded twice, and the
// proofs, certificates, reports and key backups of before hold as they did.
func TestKeptLogsGoOn(t *testing.T) {
	for _, dir := range keptFolders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			known := readDifferences(t, filepath.Join(dir, "differences.txt"))
			all := unpackKept(t, dir)
			sound := "0"
			if runtime.GOOS != "linux" {
				sound = "3" // the archive is not found
			}
			verify := func() {
				t.Helper()
				if got := say(t, "verify"); got.status() != sound {
					t.Fatalf("verify ends with %s, want %s:\n%s", got.status(), sound, clip(got.lines))
				}
			}
			must := func(command string) string {
				t.Helper()
				got := say(t, command)
				if got.status() != "0" {
					t.Fatalf("audittrail %s:\n%s", command, clip(got.lines))
				}
				return strings.Join(got.lines, "\n")
			}
			verify()
			for _, said := range all { // what writes a file that is checked below
				if strings.HasPrefix(said.command, "prove ") || strings.HasPrefix(said.command, "show --raw ") {
					must(said.command)
				}
			}
			must("log --accept-clock -t prompt -m model-1 -u newcomer -p hello")
			must("log -t prompt -m model-1 -u stays -p 'told to nobody else'")
			verify()
			must("gdpr erase newcomer --reason 'asked by letter' --basis 'GDPR 17(1)(b)'")
			must("keys rotate-signer")
			must("keys rotate-master")
			verify()

			var lines bytes.Buffer
			for i := range 60 {
				fmt.Fprintf(&lines, `{"type":"prompt","model_id":"model-1","user_id":"user-%d","prompt":"new event %d"}`+"\n", i%7, i)
			}
			if err := os.WriteFile("new.jsonl", lines.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("audit/config.toml", []byte("segment_bytes = 4096\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := must("archive list -o csv")
			must("import new.jsonl --source new")
			must("log -t prompt -m model-1 -p last")
			if after := must("archive list -o csv"); strings.Count(after, "\n") < strings.Count(before, "\n")+2 {
				t.Errorf("no segments were begun:\n%s", after)
			}
			verify()
			if got := must("import new.jsonl --source new -o json"); !strings.Contains(got, `"recorded":0,"duplicates":60`) {
				t.Errorf("the second import of what this version imported: %s", got)
			}
			for _, q := range []string{"query -u stays -o jsonl", `query --text '"told to nobody else"' -o jsonl`} {
				if got := must(q); strings.Count(got, `"prompt":"told to nobody else"`) != 1 {
					t.Errorf("%s:\n%s", q, clip(strings.Split(got, "\n")))
				}
			}
			if got := say(t, "gdpr status newcomer -o json"); got.status() != "3" || !strings.Contains(strings.Join(got.lines, "\n"), `"held":false`) {
				t.Errorf("of a user who was erased: %s", clip(got.lines))
			}

			size := must("query --count-only -o json")
			again := 0
			for _, said := range all {
				holds := slices.ContainsFunc([]string{"gdpr certificate ", "check ", "report verify ", "keys restore ", "consistency ", "import "},
					func(p string) bool { return strings.HasPrefix(said.command, p) })
				if !holds {
					continue
				}
				again++
				want := said.status()
				for _, d := range known[said.command] {
					for _, l := range d.lines {
						if status, ok := strings.CutPrefix(l, "+ = "); ok {
							want = status
						}
					}
				}
				if got := say(t, said.command); got.status() != want {
					t.Errorf("audittrail %s ends with %s, and %s before the log went on:\n%s", said.command, got.status(), want, clip(got.lines))
				}
			}
			if again == 0 {
				t.Error("said.txt has nothing that should hold again")
			}
			if got := must("query --count-only -o json"); got != size {
				t.Errorf("what was imported before was recorded again:\n%s", cmp.Diff(size, got))
			}
			verify()
		})
	}
}
