package audittrail_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A specimen is a log of several segments under one checkpoint, to be tampered
// with.
type specimen struct {
	disk  *vfs.Mem
	names []string            // of the segments, in order
	lines map[string][][]byte // of each segment, with their LFs
	first map[string]int      // sequence number of each segment's first line
	n     int
	vkey  string

	signedAtFirst []byte // what the keyring remembered of the empty log
}

const specimenSize = 40

// newSpecimen makes a log whose records are all different in length.
func newSpecimen(t *testing.T) *specimen {
	t.Helper()
	s := &specimen{disk: vfs.NewMem(), lines: map[string][][]byte{}, first: map[string]int{}, n: specimenSize}
	log := logtest.Open(t, "dir", s.options(5500))
	s.signedAtFirst = s.read(t, "keys/signed")
	for i := range s.n {
		logtest.Append(t, log, event.Event{
			Type: event.Prompt, UserID: fmt.Sprintf("user-%d", i%3), Prompt: strings.Repeat("word ", 3*i),
			Labels: map[string]string{"v": fmt.Sprintf(`{"v":2,%d`, i)},
		})
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	s.vkey = keys[0].VKey
	logtest.Close(t, log)
	names, err := s.disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, name := range names {
		if filepath.Ext(name) != ".jsonl" {
			continue
		}
		s.names = append(s.names, name)
		s.lines[name] = lines(s.read(t, "log/"+name))
		s.first[name] = at
		at += len(s.lines[name])
	}
	if at != s.n || len(s.names) < 4 {
		t.Fatalf("the specimen has %d records in %d segments, want %d in 4 or more", at, len(s.names), s.n)
	}
	return s
}

func (s *specimen) options(roll int64) audittrail.Options {
	return audittrail.Options{Create: true}.With(audittrail.Seams{FS: s.disk, Roll: roll})
}

func (s *specimen) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(s.disk, filepath.Join("dir", name), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// home returns the segment of a record, and its place there.
func (s *specimen) home(seq int) (name string, at int) {
	name = s.names[0]
	for _, other := range s.names {
		if s.first[other] <= seq {
			name = other
		}
	}
	return name, seq - s.first[name]
}

func (s *specimen) line(seq int) []byte {
	name, at := s.home(seq)
	return s.lines[name][at]
}

// end returns the sequence number after a segment's last record.
func (s *specimen) end(name string) int { return s.first[name] + len(s.lines[name]) }

// A forgery is the lines of the segments after somebody has altered them.
type forgery map[string][][]byte

// forge returns the segments as they are, to be changed.
func (s *specimen) forge() forgery {
	f := forgery{}
	for name, l := range s.lines {
		f[name] = slices.Clone(l)
	}
	return f
}

// put returns the segments with the line of a record replaced.
func (s *specimen) put(seq int, with ...[]byte) forgery {
	f := s.forge()
	name, at := s.home(seq)
	f[name] = slices.Concat(f[name][:at], with, f[name][at+1:])
	return f
}

// verdict is the first finding of a verification.
type verdict struct {
	kind finding.Kind
	seq  int
}

// A conditions says under which circumstances a log is verified.
type conditions struct {
	name    string
	some    bool // not at every record, only at some and where segments meet
	keyless bool
	gone    []string // files of the tree
	checks  [][]byte
	from    uint64
}

// verify writes a forgery into a copy of the log, and verifies that.
func (s *specimen) verify(t *testing.T, f forgery, c conditions) *audittrail.Verification {
	t.Helper()
	disk := s.disk.Clone()
	for _, name := range s.names {
		if _, ok := f[name]; !ok {
			remove(t, disk, "log/"+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		edit(t, disk, "log/"+name, func([]byte) []byte { return bytes.Join(f[name], nil) })
	}
	for _, name := range c.gone {
		remove(t, disk, name)
	}
	o := audittrail.Options{}.With(audittrail.Seams{FS: disk})
	vo := audittrail.VerifyOptions{Checkpoints: c.checks, From: c.from}
	if c.keyless {
		o.KeysDir = "nowhere"
		vo.VKeys = []string{s.vkey}
	}
	before := disk.Ops()
	v, err := audittrail.VerifyDir(context.Background(), "dir", o, vo)
	if err != nil {
		t.Fatalf("VerifyDir() = %v", err)
	}
	if wrote := disk.Ops() - before; wrote != 0 {
		t.Errorf("VerifyDir changed the disk %d times", wrote)
	}
	return v
}

func remove(t *testing.T, disk *vfs.Mem, name string) {
	t.Helper()
	if err := disk.Remove(filepath.Join("dir", name)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// expect compares the first finding with the expected one.
func expect(t *testing.T, v *audittrail.Verification, want verdict) {
	t.Helper()
	if v.Valid() || v.Altered() != (want.kind != finding.Unauthenticated) {
		t.Fatalf("not found: Valid() = %t, Altered() = %t, problems %v", v.Valid(), v.Altered(), v.Findings)
	}
	first := v.Findings[0]
	if got := (verdict{first.Kind, int(first.Seq)}); got != want {
		t.Errorf("first problem = %v, want %v; all: %+v", got, want, v.Findings)
	}
	for _, k := range []finding.Kind{finding.Torn, finding.Unreadable, finding.Lost} {
		if n := v.Count(k); n != 0 {
			t.Errorf("%d problems are %s: %+v", n, k, v.Findings)
		}
	}
}

// flip returns a line with a bit flipped in the byte after the given text.
func flip(line []byte, text string) []byte {
	i := bytes.LastIndex(line, []byte(text))
	if i < 0 {
		panic("no " + text)
	}
	return flipAt(line, i+len(text))
}

func flipAt(line []byte, i int) []byte {
	out := bytes.Clone(line)
	out[i] ^= 1
	return out
}

// retail gives a line another place in the chain and another hash, so that it
// is consistent with itself and with the line before it.
func retail(line []byte, seq int, prev record.Hash) []byte {
	t := tailOf(line)
	out := line[:bytes.LastIndex(line, []byte(`,"seq":`))]
	logged := t.Logged.Format("2006-01-02T15:04:05.000000000Z")
	out = fmt.Appendf(bytes.Clone(out), `,"seq":%d,"logged":%q,"prev":%q,"hash":"%064d"}`+"\n", seq, logged, prev, 0)
	return rehash(out, "", "")
}

func tailOf(line []byte) record.ChainLink {
	t, ok := record.ParseChainLink(bytes.TrimSuffix(line, []byte("\n")))
	if !ok {
		panic("no record")
	}
	return t
}

// A tampering is one way to tamper with record i: it returns the altered
// segments and the first finding that is expected, or nil where it does not
// apply.
type tampering struct {
	name string
	do   func(s *specimen, i int) (forgery, verdict)
}

// atEnd returns the kind of the finding if all records from one on are missing.
func (s *specimen) absent(from, to int) verdict {
	if to == s.n {
		return verdict{finding.Truncated, from}
	}
	return verdict{finding.Missing, from}
}

var tamperings = slices.Concat(changes, moves, cuts)

// changes alter the bytes of one line.
var changes = []tampering{
	{"flip a bit of the brace", flipped(func(l []byte) []byte { return flipAt(l, 0) })},
	{"flip a bit of the version", flipped(func(l []byte) []byte { return flip(l, `{"v":`) })},
	{"flip a bit of the id", flipped(func(l []byte) []byte { return flip(l, `"id":"`) })},
	{"flip a bit of the time", flipped(func(l []byte) []byte { return flip(l, `"time":"`) })},
	{"flip a bit of a clear field", flipped(func(l []byte) []byte { return flip(l, `"type":"`) })},
	{"flip a bit of the class", flipped(func(l []byte) []byte { return flip(l, `"class":"`) })},
	{"flip a bit of the subject", flipped(func(l []byte) []byte { return flip(l, `"subject":"`) })},
	{"flip a bit of the key", flipped(func(l []byte) []byte { return flip(l, `"key":"`) })},
	{"flip a bit of the body", flipped(func(l []byte) []byte { return flip(l, `"body":"`) })},
	{"flip a bit of the number", flipped(func(l []byte) []byte { return flip(l, `,"seq":`) })},
	{"flip a bit of the field's name", flipped(func(l []byte) []byte { return flip(l, `,"`) })},
	{"flip a bit of logged", flipped(func(l []byte) []byte { return flip(l, `,"logged":"`) })},
	{"flip a bit of prev", flipped(func(l []byte) []byte { return flip(l, `","prev":"`) })},
	{"flip a bit of the hash", flipped(func(l []byte) []byte { return flip(l, `","hash":"`) })},
	{"flip a bit of the last brace", flipped(func(l []byte) []byte { return flipAt(l, len(l)-2) })},
	{"flip a bit of the line's end", flipped(func(l []byte) []byte { return flipAt(l, len(l)-1) })},
	{"empty the line", flipped(func([]byte) []byte { return []byte("\n") })},
	{"fill the line with zeros", flipped(func(l []byte) []byte { return append(make([]byte, len(l)-1), '\n') })},
	{"remove the line's end", flipped(func(l []byte) []byte { return l[:len(l)-1] })},
	{"make the line's end that of Windows", flipped(func(l []byte) []byte { return append(l[:len(l)-1:len(l)-1], "\r\n"...) })},
	{"remove the line's end and bytes in front of it", func(s *specimen, i int) (forgery, verdict) {
		want := verdict{finding.Modified, i}
		if name, at := s.home(i); at == len(s.lines[name])-1 {
			want = s.absent(i, i+1) // nothing tells that it was not cut off
		}
		l := s.line(i)
		return s.put(i, l[:len(l)-20]), want
	}},
	{"add bytes in front of the line", flipped(func(l []byte) []byte { return append([]byte("x"), l...) })},
	{"cut the line in two", func(s *specimen, i int) (forgery, verdict) {
		l := s.line(i)
		return s.put(i, append(bytes.Clone(l[:100]), '\n'), l[100:]), verdict{finding.Modified, i}
	}},
	{"make its hash anew", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, rehash(s.line(i), `"type":"prompt"`, `"type":"x.other"`)), verdict{finding.Rewritten, i}
	}},
	{"rewrite the chain to the end", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		s.rewrite(f, i)
		return f, verdict{finding.Rewritten, i}
	}},
}

func flipped(f func([]byte) []byte) func(*specimen, int) (forgery, verdict) {
	return func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, f(s.line(i))), verdict{finding.Modified, i}
	}
}

// rewrite changes a record and computes the chain from there on again.
func (s *specimen) rewrite(f forgery, from int) {
	var prev record.Hash
	for seq := range s.n {
		name, at := s.home(seq)
		line := f[name][at]
		if seq == from {
			line = []byte(strings.Replace(string(line), `"type":"prompt"`, `"type":"x.other"`, 1))
		}
		if seq >= from {
			line = retail(line, seq, prev)
		}
		f[name][at] = line
		prev = tailOf(line).Hash
	}
}

// madeUp is a forged line that could precede record i: whole, and chained.
func (s *specimen) madeUp(i int) []byte {
	var prev record.Hash
	if i > 0 {
		prev = tailOf(s.line(min(i, s.n) - 1)).Hash
	}
	return retail(rehash(s.line(0), `"type":"prompt"`, `"type":"x.made-up"`), i, prev)
}

// moves add lines, or put them elsewhere.
var moves = []tampering{
	{"swap with the next", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n {
			return nil, verdict{}
		}
		f := s.put(i, s.line(i+1))
		name, at := s.home(i + 1)
		f[name][at] = s.line(i)
		return f, verdict{finding.Reordered, i}
	}},
	{"swap with one far off", func(s *specimen, i int) (forgery, verdict) {
		j := (i + s.n/2) % s.n
		f := s.put(i, s.line(j))
		name, at := s.home(j)
		f[name][at] = s.line(i)
		return f, verdict{finding.Reordered, min(i, j)}
	}},
	{"write it twice", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n { // records after the newest checkpoint were not signed
			return s.put(i, s.line(i), s.line(i)), verdict{finding.Unauthenticated, s.n}
		}
		return s.put(i, s.line(i), s.line(i)), verdict{finding.Inserted, i + 1}
	}},
	{"write it over the next", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n {
			return nil, verdict{}
		}
		return s.put(i+1, s.line(i)), s.absent(i+1, i+2)
	}},
	{"write it at the end again", func(s *specimen, i int) (forgery, verdict) {
		return s.put(s.n-1, s.line(s.n-1), s.line(i)), verdict{finding.Unauthenticated, s.n}
	}},
	{"insert a line that is made up", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, s.madeUp(i), s.line(i)), verdict{finding.Inserted, i}
	}},
	{"insert a line that is made up, of another place", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, s.madeUp(s.n-1), s.line(i)), verdict{finding.Inserted, i}
	}},
	{"replace by a line that is made up", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, s.madeUp(i)), verdict{finding.Rewritten, i}
	}},
	{"insert junk", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, []byte("junk\n"), s.line(i)), verdict{finding.Inserted, i}
	}},
	{"insert an empty line", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, []byte("\n"), s.line(i)), verdict{finding.Inserted, i}
	}},
	{"move to the end of the segment in front", func(s *specimen, i int) (forgery, verdict) {
		name, _ := s.home(i)
		k := slices.Index(s.names, name)
		if k == 0 {
			return nil, verdict{}
		}
		f := s.put(i)
		f[s.names[k-1]] = append(f[s.names[k-1]], s.line(i))
		return f, verdict{finding.Reordered, s.first[name]}
	}},
	{"move to the start of the next segment", func(s *specimen, i int) (forgery, verdict) {
		name, _ := s.home(i)
		k := slices.Index(s.names, name)
		if k+1 == len(s.names) {
			return nil, verdict{}
		}
		f := s.put(i)
		f[s.names[k+1]] = slices.Insert(f[s.names[k+1]], 0, s.line(i))
		return f, verdict{finding.Reordered, i}
	}},
	{"move to the end", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n {
			return nil, verdict{}
		}
		f := s.put(i)
		last := s.names[len(s.names)-1]
		f[last] = append(f[last], s.line(i))
		return f, verdict{finding.Reordered, i}
	}},
	{"rename its segment", func(s *specimen, i int) (forgery, verdict) {
		name, _ := s.home(i)
		f := s.forge()
		other := fmt.Sprintf("%020d.jsonl", s.first[name]+1)
		f[other] = f[name]
		delete(f, name)
		return f, verdict{finding.Reordered, s.first[name]}
	}},
	{"copy its segment", func(s *specimen, i int) (forgery, verdict) {
		name, _ := s.home(i)
		f := s.forge()
		f[fmt.Sprintf("%020d.jsonl", s.n+i)] = f[name]
		return f, verdict{finding.Unauthenticated, s.n}
	}},
}

// cuts remove lines.
var cuts = []tampering{
	{"remove it", func(s *specimen, i int) (forgery, verdict) { return s.put(i), s.absent(i, i+1) }},
	{"remove it and change the next", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n {
			return nil, verdict{}
		}
		f := s.put(i+1, flip(s.line(i+1), `"body":"`))
		name, at := s.home(i)
		f[name] = slices.Delete(f[name], at, at+1)
		return f, verdict{finding.Missing, i}
	}},
	{"remove it and insert one that is made up", func(s *specimen, i int) (forgery, verdict) {
		return s.put(i, s.madeUp(s.n+1)), verdict{finding.Rewritten, i}
	}},
	{"remove it from the chain", func(s *specimen, i int) (forgery, verdict) {
		if i+1 == s.n {
			return s.put(i), verdict{finding.Truncated, i}
		}
		// All later records move up by one, and the chain is whole again.
		f := s.forge()
		for seq := i; seq+1 < s.n; seq++ {
			var prev record.Hash
			if seq > 0 {
				name, at := s.home(seq - 1)
				prev = tailOf(f[name][at]).Hash
			}
			name, at := s.home(seq)
			f[name][at] = retail(s.line(seq+1), seq, prev)
		}
		last := s.names[len(s.names)-1]
		f[last] = f[last][:len(f[last])-1]
		return f, verdict{finding.Rewritten, i}
	}},
	{"cut its segment in front of it", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		name, at := s.home(i)
		f[name] = f[name][:at]
		return f, s.absent(i, s.end(name))
	}},
	{"cut its segment within it", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		name, at := s.home(i)
		f[name] = append(f[name][:at], s.line(i)[:200])
		return f, s.absent(i, s.end(name))
	}},
	{"cut its segment within it, and remove all later ones", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		name, at := s.home(i)
		f[name] = append(f[name][:at], s.line(i)[:200])
		for _, other := range s.names {
			if s.first[other] > i {
				delete(f, other)
			}
		}
		return f, verdict{finding.Truncated, i}
	}},
	{"delete its segment", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		name, _ := s.home(i)
		delete(f, name)
		return f, s.absent(s.first[name], s.end(name))
	}},
	{"empty its segment", func(s *specimen, i int) (forgery, verdict) {
		f := s.forge()
		name, _ := s.home(i)
		f[name] = nil
		return f, s.absent(s.first[name], s.end(name))
	}},
	{"delete all but its segment", func(s *specimen, i int) (forgery, verdict) {
		name, _ := s.home(i)
		f := forgery{name: s.lines[name]}
		if s.first[name] == 0 {
			return f, verdict{finding.Truncated, s.end(name)}
		}
		return f, verdict{finding.Missing, 0}
	}},
}

// TestTampering tampers with every record of a log in every way: each tampering
// is found and named.
func TestTampering(t *testing.T) {
	s := newSpecimen(t)
	for _, c := range []conditions{
		{name: "with keys"},
		{name: "without keys", some: true, keyless: true},
		{name: "with an older checkpoint", some: true, keyless: true, checks: [][]byte{s.checkpoint(t, 5)}},
		{name: "without entries", some: true, gone: []string{"tree/entries"}},
		{name: "without the tree", some: true, gone: []string{"tree/entries", "tree/0"}},
		{name: "without the tree and keys", some: true, keyless: true, gone: []string{"tree/entries", "tree/0"}},
	} {
		for _, tamper := range tamperings {
			t.Run(c.name+"/"+tamper.name, func(t *testing.T) {
				t.Parallel()
				for i := range s.n {
					if c.some && i%9 != 4 && !s.atBorder(i) {
						continue
					}
					f, want := tamper.do(s, i)
					if f == nil {
						continue
					}
					want = s.lessKnown(c, tamper.name, i, want)
					t.Run(fmt.Sprint(i), func(t *testing.T) { expect(t, s.verify(t, f, c), want) })
				}
			})
		}
	}
}

// atBorder reports whether a record is next to the end of the third segment, or
// of the log.
func (s *specimen) atBorder(i int) bool {
	third := s.first[s.names[3]]
	return i == third-1 || i == third || i == 0 || i == s.n-1
}

// lessKnown returns the finding that is expected if the leaves of the tree are
// known from the lines alone, or the keys are not known.
func (s *specimen) lessKnown(c conditions, name string, i int, want verdict) verdict {
	treeless := len(c.gone) == 2
	switch {
	case treeless && name == "rewrite the chain to the end" && c.keyless:
		want.seq = 0 // where it begins cannot be told
	case treeless && name == "remove it from the chain":
		want = verdict{finding.Truncated, s.n - 1}
	case c.keyless && name == "remove it and insert one that is made up" && i == s.n-1:
		want.kind = finding.Missing // and what follows may be a record
	case treeless && c.keyless && i == s.n-1 && strings.HasPrefix(name, "insert a line that is made up"):
		want.kind = finding.Rewritten // of two last records, either may be the one
	case treeless && c.keyless && i == s.n-1 && name == "make its hash anew":
		want.seq = 0
	}
	return want
}

// checkpoint returns the checkpoint of the specimen when it had fewer records.
func (s *specimen) checkpoint(t *testing.T, size uint64) []byte {
	t.Helper()
	disk := s.disk.Clone()
	log := logtest.Open(t, "dir", audittrail.Options{}.With(audittrail.Seams{FS: disk}))
	defer func() { _ = log.Close() }() // a copy
	return audittrail.SignAt(t, log, size)
}
