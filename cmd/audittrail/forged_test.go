package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"audittrail/event"
	"audittrail/internal/tombstone"
	"audittrail/record"
)

// runIn runs a command on a log, and returns all that it says.
func runIn(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	e, out, errs := newEnv(t, append([]string{"--dir", dir}, args...)...)
	status = e.run()
	return out.String(), errs.String(), status
}

const onlySegment = "log/00000000000000000000.jsonl"

// A forger can write to a log's folder and has no keys.
type forger struct {
	lines [][]byte // of the log
}

func readLines(t *testing.T, dir string) *forger {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, onlySegment))
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.SplitAfter(b, []byte("\n"))
	return &forger{all[:len(all)-1]}
}

// put makes a line the next record of the log, as anybody can.
func (f *forger) put(line []byte) {
	last, ok := record.ParseChainLink(bytes.TrimSuffix(f.lines[len(f.lines)-1], []byte("\n")))
	if !ok {
		panic("no record")
	}
	s := string(line[:bytes.LastIndex(line, []byte(`,"seq":`))])
	s += `,"seq":` + strconv.Itoa(len(f.lines)) + `,"logged":"` + string(event.AppendTime(nil, last.Logged)) + `","prev":"` + last.Hash.String() + `"`
	sum := sha256.Sum256([]byte(s))
	f.lines = append(f.lines, []byte(s+`,"hash":"`+hex.EncodeToString(sum[:])+"\"}\n"))
}

func (f *forger) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, onlySegment), bytes.Join(f.lines, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	idPart      = regexp.MustCompile(`"id":"[0-9a-f-]{36}"`)
	subjectPart = regexp.MustCompile(`"subject":"([0-9a-f]{32})"`)
	typePart    = regexp.MustCompile(`"type":"[a-z_.]*"`)
)

const freshID = `"id":"0a0b0c0d-0000-4000-8000-00000000beef"`

// like is the line of a record under another id, of another type, about another
// subject.
func (f *forger) like(seq int, kind, subject string) []byte {
	s := idPart.ReplaceAllString(string(f.lines[seq]), freshID)
	if kind != "" {
		s = typePart.ReplaceAllString(s, `"type":"`+kind+`"`)
	}
	if subject != "" {
		s = subjectPart.ReplaceAllString(s, `"subject":"`+subject+`"`)
	}
	return []byte(s)
}

func (f *forger) subject(seq int) string { return string(subjectPart.FindSubmatch(f.lines[seq])[1]) }

// The records of the log that forgedLog makes.
const (
	aliceSeq = iota // erased
	bobSeq
	carolSeq // under a hold
	holdSeq
	lineageSeq
	erasedSeq
	forgedLogSize
)

func forgedLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "init", "--origin", "example.com/forged")
	for _, user := range []string{"alice", "bob", "carol"} {
		mustRun(t, "--dir", dir, "log", "-t", "prompt", "-m", "gpt-4", "-u", user, "-p", "SECRET of "+user)
	}
	mustRun(t, "--dir", dir, "hold", "place", "--user", "carol", "--reason", "court order")
	mustRun(t, "--dir", dir, "lineage", "add", "dataset", "--name", "faq", "--version", "1")
	mustRun(t, "--dir", dir, "gdpr", "erase", "alice", "--reason", "r", "--basis", "b", "--out", filepath.Join(t.TempDir(), "certificate"))
	return dir
}

// forgeries are lines that somebody without keys appends to a log.
var forgeries = map[string]func(*forger) []byte{
	"about an erased subject":  func(f *forger) []byte { return f.like(aliceSeq, "", "") },
	"about an unknown subject": func(f *forger) []byte { return f.like(bobSeq, "", strings.Repeat("ab", 16)) },
	"about a living subject":   func(f *forger) []byte { return f.like(bobSeq, "", "") },
	"a copy":                   func(f *forger) []byte { return f.lines[bobSeq] },
	"a copy of an erased one":  func(f *forger) []byte { return f.lines[aliceSeq] },
	"a copy of an erasure":     func(f *forger) []byte { return f.lines[erasedSeq] },
	"a copy of a hold":         func(f *forger) []byte { return f.lines[holdSeq] },
	"a grant":                  func(f *forger) []byte { return f.like(bobSeq, "access_granted", f.subject(erasedSeq)) },
	"a grant to the erased":    func(f *forger) []byte { return f.like(aliceSeq, "access_granted", "") },
	"a hold":                   func(f *forger) []byte { return f.like(holdSeq, "", "") },
	"a hold for the erased":    func(f *forger) []byte { return f.like(holdSeq, "", f.subject(aliceSeq)) },
	"a release":                func(f *forger) []byte { return f.like(erasedSeq, "hold_released", "") },
	"an erasure":               func(f *forger) []byte { return f.like(erasedSeq, "", "") },
	"an erasure by the erased": func(f *forger) []byte { return f.like(erasedSeq, "", f.subject(aliceSeq)) },
	"a restriction":            func(f *forger) []byte { return f.like(bobSeq, "subject_restricted", "") },
	"a dataset":                func(f *forger) []byte { return f.like(lineageSeq, "", f.subject(aliceSeq)) },
	"a newer format": func(f *forger) []byte {
		return bytes.Replace(f.lines[bobSeq], []byte(`{"v":2,`), []byte(`{"v":99,`), 1)
	},
	"a format 1e0": func(f *forger) []byte {
		return bytes.Replace(f.lines[bobSeq], []byte(`{"v":2,`), []byte(`{"v":1e0,`), 1)
	},
	"a format -0": func(f *forger) []byte {
		return bytes.Replace(f.lines[bobSeq], []byte(`{"v":2,`), []byte(`{"v":-0,`), 1)
	},
	"a format of 20 nines": func(f *forger) []byte {
		return bytes.Replace(f.lines[bobSeq], []byte(`{"v":2,`), []byte(`{"v":99999999999999999999,`), 1)
	},
	"an archived segment": func(f *forger) []byte { return f.gone("segments_archived", `,"to":"/tmp"`) },
	"a dropped segment":   func(f *forger) []byte { return f.gone("segments_dropped", "") },
}

// gone is a statement under the erased subject that the first two records have
// left.
func (f *forger) gone(kind, to string) []byte {
	s := string(f.like(erasedSeq, kind, f.subject(aliceSeq)))
	labels := `,"labels":{"first":"0","records":"2","remnant":"` + strings.Repeat("ab", 32) + `"` + to + `}`
	return []byte(strings.Replace(s, `,"source":`, labels+`,"source":`, 1))
}

// answers are commands whose results unauthenticated lines do not change, with
// the keyring and without.
var answers, answersWithoutKeys = []string{
	"query", "query -o json", "query -o csv --oldest-first", "query --count-only", "query --group-by type,model_id -o json",
	"query --group-by user", "query --text secret", "tail", "tail -n 1", "tail -o jsonl", "export", "export --format csv",
	"export --metadata-only", "hold list", "access list", "access history", "gdpr status bob", "gdpr status carol",
	"archive list", "archive verify", "lineage", "lineage -o json", "lineage calls", "retention plan", "checkpoint", "keys show", "show 1",
	"prove 1",
}, []string{
	"query", "query -o json", "query --count-only", "query --group-by type -o json", "tail", "export", "export --metadata-only", "checkpoint", "show 1", "prove 1",
	"archive list", "lineage",
}

// An unauthenticated line is in no result, is marked by show, governs nothing, is
// reported, and is never signed.
func TestForgedBeyondTheCheckpoint(t *testing.T) {
	plain := forgedLog(t)
	nowhere := []string{"--keys", filepath.Join(t.TempDir(), "nowhere")}
	type answer struct {
		stdout string
		status int
	}
	ask := func(dir, command string, flags ...string) (answer, string) {
		out, errs, status := runIn(t, dir, append(strings.Fields(command), flags...)...)
		return answer{strings.ReplaceAll(out, dir, "DIR"), status}, errs
	}
	want, wantWithout := map[string]answer{}, map[string]answer{}
	for _, c := range answers {
		want[c], _ = ask(plain, c)
	}
	for _, c := range answersWithoutKeys {
		wantWithout[c], _ = ask(plain, c, nowhere...)
	}
	for name, forge := range forgeries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "audit")
			if err := os.CopyFS(dir, os.DirFS(plain)); err != nil {
				t.Fatal(err)
			}
			keys, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range append(keys, filepath.Join(dir, "keys")) {
				if err := os.Chmod(name, 0o700); err != nil { // a copy has other permissions
					t.Fatal(err)
				}
			}
			f := readLines(t, dir)
			if len(f.lines) != forgedLogSize {
				t.Fatalf("the log has %d records, want %d", len(f.lines), forgedLogSize)
			}
			f.put(forge(f))
			if _, err := record.Decode(bytes.TrimSuffix(f.lines[forgedLogSize], []byte("\n"))); err != nil && !strings.Contains(name, "format") {
				t.Fatalf("the line is none that a writer makes: %v", err)
			}
			f.write(t, dir)

			for _, c := range answers {
				got, errs := ask(dir, c)
				if got != want[c] {
					t.Errorf("%s: exit status %d, prints\n%s\n%s\nwant, as before, %d and\n%s", c, got.status, got.stdout, errs, want[c].status, want[c].stdout)
				}
				if !strings.Contains(errs, "unauthenticated") {
					t.Errorf("%s: says %q, and nothing of the line that nobody vouches for", c, errs)
				}
			}
			for _, c := range answersWithoutKeys {
				got, errs := ask(dir, c, nowhere...)
				if got != wantWithout[c] || !strings.Contains(errs, "unauthenticated") {
					t.Errorf("%s without keys: exit status %d, prints\n%s\n%s\nwant, as before, %d and\n%s", c, got.status, got.stdout, errs, wantWithout[c].status, wantWithout[c].stdout)
				}
			}

			n := strconv.Itoa(forgedLogSize)
			out, errs, status := runIn(t, dir, "show", n, "-o", "json")
			if status != exitLimited || out != "" && !strings.Contains(out, `"state":"unauthenticated"`) || strings.Contains(out, "SECRET") {
				t.Errorf("show %s: exit status %d, %s%s; want 3, marked", n, status, out, errs)
			}
			for _, c := range []string{"prove", "disclose"} {
				if out, _, status := runIn(t, dir, c, n); status != exitLimited || out != "" {
					t.Errorf("%s %s: exit status %d, %s; want 3 and nothing", c, n, status, out)
				}
			}
			if out, _, status := runIn(t, dir, "query", "--count-only", "-o", "json"); status != exitOK || out != `{"count":`+n+`,"left_out":{"unauthenticated":1}}`+"\n" {
				t.Errorf("query --count-only -o json: %d, %s", status, out)
			}
			for _, c := range [][]string{{"query", "--count-only"}, {"query", "--limit", "0"}, {"export"}, {"tail"}} {
				if out, errs, status := runIn(t, dir, append(c, "--require-complete")...); status != exitLimited || out == "" || !strings.Contains(errs, "left out: 1 unauthenticated record") {
					t.Errorf("%s --require-complete: exit status %d, %s%s; want 3, and what was left out", c, status, out, errs)
				}
			}
			if out, _, status := runIn(t, dir, "stat", "-o", "json"); status != exitOK || !strings.Contains(out, `"records":`+n+`,`) || !strings.Contains(out, `"unauthenticated":1`) {
				t.Errorf("stat: %d, %s", status, out)
			}

			out, errs, status = runIn(t, dir, "verify", "-o", "json")
			if status != exitLimited || !strings.Contains(out, `"altered":false`) || !strings.Contains(out, `"kind":"unauthenticated"`) || !strings.Contains(out, `"records":`+n+`,`) {
				t.Errorf("verify: exit status %d, %s%s; want 3, unauthenticated", status, out, errs)
			}
			_, key, _ := strings.Cut(mustRun(t, "--dir", plain, "keys", "show"), "verifier key")
			out, errs, status = runIn(t, dir, append(nowhere, "verify", "--key", strings.Fields(key)[0], "-o", "json")...)
			if status != exitLimited || !strings.Contains(out, `"altered":false`) {
				t.Errorf("verify without keys: exit status %d, %s%s; want 3", status, out, errs)
			}
			out, _, status = runIn(t, dir, "report", "--type", "integrity", "--format", "md", "--no-record")
			if status != exitLimited || !strings.Contains(out, "beyond its newest checkpoint are unauthenticated") {
				t.Errorf("report: exit status %d, %s; want 3, and that it is said", status, out)
			}
			out, _, status = runIn(t, dir, "doctor")
			if status != exitLimited || !strings.Contains(out, "doctor --repair") {
				t.Errorf("doctor: exit status %d, %s; want 3, and what to do", status, out)
			}

			before := readFile(t, filepath.Join(dir, onlySegment))
			_, errs, status = runIn(t, dir, "log", "-t", "prompt", "-p", "next")
			if status == exitOK || !strings.Contains(errs, "doctor --repair") || readFile(t, filepath.Join(dir, onlySegment)) != before {
				t.Errorf("log: exit status %d, %s; want it refused, with what to do", status, errs)
			}
			repair := []string{"doctor", "--repair"}
			if name == "a newer format" {
				if _, errs, status := runIn(t, dir, repair...); status == exitOK || !strings.Contains(errs, "--newer") {
					t.Errorf("doctor --repair of a newer format: exit status %d, %s; want it refused", status, errs)
				}
				repair = append(repair, "--newer")
			}
			runIn(t, dir, repair...)
			mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "next")
			mustRun(t, "--dir", dir, "verify")
			if torn, err := filepath.Glob(filepath.Join(dir, "log", "torn-*")); err != nil || len(torn) != 1 {
				t.Errorf("copied aside are %v, %v, want one file", torn, err)
			}
			if out := mustRun(t, "--dir", dir, "hold", "list", "-o", "jsonl"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "court order") {
				t.Errorf("after the repair, the holds are %s", out)
			}
		})
	}
}

// Additional files after the log's end, with lines or empty, keep no reader and no
// writer from the log.
func TestForgedSegments(t *testing.T) {
	dir := forgedLog(t)
	f := readLines(t, dir)
	for range 2 {
		f.put(f.lines[bobSeq])
		n := len(f.lines) - 1
		name := filepath.Join(dir, "log", strings.Repeat("0", 19)+strconv.Itoa(n)+".jsonl")
		if err := os.WriteFile(name, f.lines[n], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "log", strings.Repeat("0", 19)+"9.remnant"), []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := strconv.Itoa(forgedLogSize)
	if out, errs, status := runIn(t, dir, "query", "--count-only"); out != n+"\n" || status != exitOK || !strings.Contains(errs, "2 records beyond") {
		t.Errorf("query --count-only: exit status %d, %s%s; want %s records, and 2 left out", status, out, errs, n)
	}
	out, _, status := runIn(t, dir, "verify", "-o", "json")
	if status != exitLimited || !strings.Contains(out, `"altered":false`) || !strings.Contains(out, "9.remnant") {
		t.Errorf("verify: exit status %d, %s; want 3, and the remnant named", status, out)
	}
	if _, errs, status := runIn(t, dir, "log", "-t", "prompt", "-p", "next"); status == exitOK || !strings.Contains(errs, "doctor --repair") {
		t.Errorf("log: exit status %d, %s; want it refused", status, errs)
	}
	runIn(t, dir, "doctor", "--repair")
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "next")
	mustRun(t, "--dir", dir, "verify")
	if err := os.WriteFile(filepath.Join(dir, "log", strings.Repeat("0", 18)+"99.remnant"), []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The writer renames the file: otherwise later records would follow its name.
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "next")
	if _, err := os.Stat(filepath.Join(dir, "log", strings.Repeat("0", 18)+"99.remnant")); !os.IsNotExist(err) {
		t.Errorf("the remnant behind the end is still there: %v", err)
	}
	mustRun(t, "--dir", dir, "verify")
	if torn, err := filepath.Glob(filepath.Join(dir, "log", "torn-*")); err != nil || len(torn) != 4 {
		t.Errorf("copied aside are %v, %v, want four files", torn, err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A checkpoint that the log's keys did not sign authenticates nothing.
func TestForgedCheckpoint(t *testing.T) {
	dir := forgedLog(t)
	f := readLines(t, dir)
	f.put(f.like(aliceSeq, "", ""))
	f.write(t, dir)
	name := filepath.Join(dir, "tree", "checkpoint")
	lines := strings.SplitN(readFile(t, name), "\n", 3)
	lines[1] = strconv.Itoa(forgedLogSize + 1)
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	out, errs, status := runIn(t, dir, "query", "--count-only")
	if out != strconv.Itoa(forgedLogSize)+"\n" || status != exitOK || !strings.Contains(errs, "not signed by the log's keys") {
		t.Errorf("query --count-only: exit status %d, %s%s; want %d records, and that the checkpoint is forged", status, out, errs, forgedLogSize)
	}
	for _, c := range []string{"checkpoint", "prove 1", "verify"} {
		if out, errs, status := runIn(t, dir, strings.Fields(c)...); status != exitAltered {
			t.Errorf("%s: exit status %d, %s%s; want 2", c, status, out, errs)
		}
	}
	// Without the keyring, the verifier key tells.
	_, key, _ := strings.Cut(mustRun(t, "--dir", dir, "keys", "show"), "verifier key")
	e, stdout, stderr := newEnv(t, "--dir", dir, "--keys", filepath.Join(dir, "nowhere"), "query", "--count-only")
	e.getenv = func(name string) string { return map[string]string{vkeyVar: strings.Fields(key)[0]}[name] }
	if status := e.run(); status != exitOK || stdout.String() != "0\n" || !strings.Contains(stderr.String(), "unauthenticated") {
		t.Errorf("query --count-only under the verifier key: exit status %d, %s%s; want 0 records", status, stdout, stderr)
	}
}

// tombstoneOf makes what remains of a segment with these lines, as anybody can.
func tombstoneOf(t *testing.T, lines []byte) (tombstone.Header, []byte) {
	t.Helper()
	var stays tombstone.Builder
	for _, line := range bytes.SplitAfter(lines, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
			if err := stays.Add(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := stays.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return stays.Header(), b
}

// A signed segment that somebody without keys took out is missing, whatever an
// unsigned line says.
func TestSegmentRemoved(t *testing.T) {
	for _, kind := range []string{"segments_dropped", "segments_archived"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte("segment_bytes = 8192\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			mustRun(t, "--dir", dir, "init", "--origin", "example.com/removed")
			for range 16 {
				for _, user := range []string{"alice", "bob"} {
					mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", user, "-p", "SECRET of "+user)
				}
			}
			mustRun(t, "--dir", dir, "gdpr", "erase", "alice", "--reason", "r", "--basis", "b", "--out", filepath.Join(t.TempDir(), "certificate"))
			_, key, _ := strings.Cut(mustRun(t, "--dir", dir, "keys", "show"), "verifier key")
			key = strings.Fields(key)[0]
			kept := filepath.Join(t.TempDir(), "checkpoint")
			mustRun(t, "--dir", dir, "checkpoint", "--out", kept)
			before := mustRun(t, "--dir", dir, "stat", "-o", "json")

			segments, err := filepath.Glob(filepath.Join(dir, "log", "*.jsonl"))
			if err != nil || len(segments) < 3 {
				t.Fatalf("the log has the segments %v, %v; want some", segments, err)
			}
			// One in the middle, in which nothing governs the log.
			taken, last := segments[1], segments[len(segments)-1]
			h, b := tombstoneOf(t, []byte(readFile(t, taken)))
			if err := os.WriteFile(strings.TrimSuffix(taken, ".jsonl")+".remnant", b, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(taken); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			alice := string(subjectPart.FindStringSubmatch(readFile(t, segments[0]))[1])
			all := bytes.SplitAfter([]byte(readFile(t, last)), []byte("\n"))
			f := &forger{all[:len(all)-1]}
			line := f.like(len(f.lines)-1, kind, alice) // like the erasure
			labels := `,"labels":{"first":"` + strconv.FormatUint(h.First, 10) + `"`
			if kind == "segments_archived" {
				labels += `,"manifest":"` + strings.Repeat("ab", 32) + `"`
			}
			labels += `,"records":"` + strconv.FormatUint(h.Records, 10) + `","remnant":"` + hex.EncodeToString(sum[:]) + `"`
			if kind == "segments_archived" {
				labels += `,"to":"/nowhere"`
			}
			end, _ := record.ParseChainLink(bytes.TrimSuffix(f.lines[len(f.lines)-1], []byte("\n")))
			s := strings.Replace(string(line[:bytes.LastIndex(line, []byte(`,"seq":`))]), `,"source":`, labels+`},"source":`, 1)
			s += `,"seq":` + strconv.FormatUint(end.Seq+1, 10) + `,"logged":"` + string(event.AppendTime(nil, end.Logged)) + `","prev":"` + end.Hash.String() + `"`
			hash := sha256.Sum256([]byte(s))
			f.lines = append(f.lines, []byte(s+`,"hash":"`+hex.EncodeToString(hash[:])+"\"}\n"))
			if _, err := record.Decode(bytes.TrimSuffix(f.lines[len(f.lines)-1], []byte("\n"))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(last, bytes.Join(f.lines, nil), 0o644); err != nil {
				t.Fatal(err)
			}

			missing := `"seq":` + strconv.FormatUint(h.First, 10) + `,"kind":"missing"`
			for _, flags := range [][]string{
				{}, {"--key", key, "--checkpoint", kept}, {"--keys", "nowhere", "--key", key, "--checkpoint", kept}, {"--keys", "nowhere", "--key", key},
			} {
				out, errs, status := runIn(t, dir, append([]string{"verify", "-o", "json"}, flags...)...)
				if status != exitAltered || !strings.Contains(out, missing) {
					t.Errorf("verify %v: exit status %d, %s%s; want 2, and %s", flags, status, out, errs, missing)
				}
			}
			for _, format := range []string{"md", "json"} {
				out, errs, status := runIn(t, dir, "report", "--type", "integrity", "--format", format)
				if status != exitAltered || !strings.Contains(out, "ALTERED") {
					t.Errorf("report as %s: exit status %d, %s%s; want 2, altered", format, status, out, errs)
				}
			}
			seq := strconv.FormatUint(h.First, 10)
			if out, errs, _ := runIn(t, dir, "show", seq); strings.Contains(errs, "was dropped") || strings.Contains(errs, "was archived") || out != "" {
				t.Errorf("show %s believes the line: %s%s", seq, out, errs)
			}
			if out, errs, status := runIn(t, dir, "query", "--count-only"); status != exitOK || !strings.Contains(errs, "no record that counts says") {
				t.Errorf("query --count-only: exit status %d, %s%s; want it said that records are missing", status, out, errs)
			}
			var was, is struct{ Records uint64 }
			out, _, _ := runIn(t, dir, "stat", "-o", "json")
			if err := errors.Join(json.Unmarshal([]byte(before), &was), json.Unmarshal([]byte(out), &is)); err != nil || was != is {
				t.Errorf("stat counts %d records, want %d as before (%v)", is.Records, was.Records, err)
			}
			if _, errs, status := runIn(t, dir, "log", "-t", "prompt", "-p", "next"); status != exitAltered {
				t.Errorf("log: exit status %d, %s; want 2", status, errs)
			}
		})
	}
}
