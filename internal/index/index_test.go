package index_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/index/block"
	"audittrail/internal/index/text"
	"audittrail/internal/logtest"
	"audittrail/keyring"
	"audittrail/record"
)

// A pair is a log and its index.
type pair struct {
	*audittrail.Log
	x *index.Index
}

// close closes the index without a limit of time, so that all blocks are
// written.
func (p *pair) close(t *testing.T) {
	t.Helper()
	finished := p.x.Finish(context.Background(), func(uint64, uint64) {})
	if err := errors.Join(finished, p.Close()); err != nil {
		t.Fatal(err)
	}
}

// openPair opens a log with its index, in small blocks.
func openPair(t *testing.T, dir string, o audittrail.Options, io index.Options) *pair {
	t.Helper()
	if io.BlockRows == 0 {
		io.BlockRows = 64
	}
	index.Tune(&o, io)
	log := logtest.Open(t, dir, o)
	return &pair{log, index.Of(log)}
}

func (p *pair) append(t *testing.T, from, n int) {
	t.Helper()
	events := make([]event.Event, 0, n)
	for i := from; i < from+n; i++ {
		events = append(events, sample(i))
	}
	for len(events) > 0 {
		k := min(len(events), 37)
		logtest.AppendBatch(t, p.Log, events[:k]...)
		events = events[k:]
	}
}

var words = strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron")

func sample(i int) event.Event {
	r := rand.New(rand.NewPCG(1, uint64(i)))
	var b strings.Builder
	for range 8 {
		b.WriteString(words[r.IntN(len(words))] + " ")
	}
	fmt.Fprintf(&b, "number%d", i)
	return event.Event{
		Type: event.Types()[r.IntN(3)], ModelID: fmt.Sprintf("m%d", r.IntN(4)),
		UserID: fmt.Sprintf("user-%d", r.IntN(9)), Prompt: b.String(),
	}
}

// truth returns the result of a scan of the log: the records with a word, and
// those of a model.
func truth(t *testing.T, log *audittrail.Log, word, model string) (found, ofModel []uint64) {
	t.Helper()
	for r, err := range log.Records(t.Context(), 0, record.MaxSeq) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.ModelID == model {
			ofModel = append(ofModel, r.Seq)
		}
		if r.State != record.Readable {
			continue
		}
		has := false
		for _, s := range text.Of(&r.Event) {
			for w := range text.Words(s) {
				has = has || w.Term == word
			}
		}
		if has {
			found = append(found, r.Seq)
		}
	}
	return found, ofModel
}

// answers returns the result of a snapshot, where the chunks without an index
// are read from the log.
func answers(ctx context.Context, p *pair, word, model string) (found, ofModel []uint64, indexed int, err error) {
	s, err := p.x.Snapshot(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	next := uint64(0)
	for _, c := range s.Chunks() {
		if c.First != next {
			return nil, nil, 0, fmt.Errorf("a chunk begins with %d, want %d", c.First, next)
		}
		next += uint64(c.Rows)
		if !c.Indexed() {
			for r, err := range p.Records(ctx, c.First, next) {
				if err != nil {
					return nil, nil, 0, err
				}
				if r.Event.ModelID == model {
					ofModel = append(ofModel, r.Seq)
				}
				if strings.Contains(r.Event.Prompt+" ", word+" ") {
					found = append(found, r.Seq)
				}
			}
			continue
		}
		indexed += c.Rows
		set, err := c.Term(text.Any, word)
		if err != nil {
			return nil, nil, 0, err
		}
		for _, row := range set.ToArray() {
			found = append(found, c.First+uint64(row))
		}
		col, err := c.Texts(block.Model)
		if err != nil {
			return nil, nil, 0, err
		}
		code, ok := col.Find(model)
		for row := range c.Rows {
			if ok && col.Code(row) == code {
				ofModel = append(ofModel, c.First+uint64(row))
			}
		}
	}
	if next != s.Size() {
		return nil, nil, 0, fmt.Errorf("the chunks end with %d of %d records", next, s.Size())
	}
	return found, ofModel, indexed, nil
}

// hold compares the results of an index with those of the log.
func hold(t *testing.T, p *pair) (indexed int) {
	t.Helper()
	for _, word := range []string{"alpha", "number7"} {
		want, wantModel := truth(t, p.Log, word, "m2")
		var got, gotModel []uint64
		var err error
		for range 9 { // a damaged block is given up, and the question asked again
			got, gotModel, indexed, err = answers(t.Context(), p, word, "m2")
			if !errors.Is(err, block.ErrDamaged) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(gotModel) != fmt.Sprint(wantModel) {
			t.Fatalf("%q: found %v, want %v; of the model %v, want %v", word, got, want, gotModel, wantModel)
		}
	}
	return indexed
}

func blockFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "index", "*.block"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestFollow finds every record at once, in the process that writes, in one
// that reads concurrently, and in the next.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{})
	for i := range 5 {
		p.append(t, 300*i, 300)
		hold(t, p)
		hold(t, reader)
	}
	p.close(t)
	hold(t, reader)
	reader.close(t)
	reader = openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{})
	if n := hold(t, reader); n != 1500 {
		t.Errorf("%d of 1,500 records are indexed", n)
	}
	reader.close(t)
}

// TestRenew builds an index from nothing: with few blocks, and not one for each
// 64 records.
func TestRenew(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true, NoIndex: true}, index.Options{})
	p.append(t, 0, 1500)
	last := uint64(0)
	err := p.x.Renew(t.Context(), func(records uint64) {
		if records <= last {
			t.Errorf("progress %d after %d", records, last)
		}
		last = records
	})
	if err != nil || last != 1500 {
		t.Errorf("Renew after %d records = %v", last, err)
	}
	p.close(t)
	if n := len(blockFiles(t, dir)); n == 0 || n > 12 {
		t.Errorf("%d blocks of 1,500 records, want some, and not one for each 64", n)
	}
	reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{InMemory: 1})
	if n := hold(t, reader); n != 1500 {
		t.Errorf("%d of 1,500 records are indexed", n)
	}
	reader.close(t)
}

// TestShortProcesses leave few records out of the index, however many there
// are.
func TestShortProcesses(t *testing.T) {
	dir := t.TempDir()
	o := audittrail.Options{Create: true}
	for i := range 60 {
		p := openPair(t, dir, o, index.Options{BlockRows: 256})
		p.append(t, 50*i, 50)
		p.close(t)
	}
	if n := len(blockFiles(t, dir)); n == 0 || n > 16 {
		t.Errorf("%d blocks after 60 processes", n)
	}
	reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{})
	hold(t, reader)
	reader.close(t)
}

// TestMadeAnew damages, removes and exchanges files of an index. The results
// stay the same, and a message is logged.
func TestMadeAnew(t *testing.T) {
	fill := func(t *testing.T) string {
		dir := t.TempDir()
		p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
		p.append(t, 0, 1200)
		p.close(t)
		return dir
	}
	foreign := fill(t)
	for name, harm := range map[string]func(t *testing.T, dir string){
		"missing":       func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "index")) },
		"no manifest":   func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "index", "manifest")) },
		"bad manifest":  func(t *testing.T, dir string) { change(t, filepath.Join(dir, "index", "manifest"), 3) },
		"missing block": func(t *testing.T, dir string) { remove(t, blockFiles(t, dir)[0]) },
		"flipped bit":   func(t *testing.T, dir string) { change(t, blockFiles(t, dir)[0], -20) },
		"cut off": func(t *testing.T, dir string) {
			if err := os.Truncate(blockFiles(t, dir)[0], 100); err != nil {
				t.Fatal(err)
			}
		},
		"foreign": func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "index"))
			if err := os.CopyFS(filepath.Join(dir, "index"), os.DirFS(filepath.Join(foreign, "index"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t)
			harm(t, dir)
			var said syncBuffer
			logger := slog.New(slog.NewTextHandler(&said, nil))
			reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{Logger: logger})
			hold(t, reader)
			reader.close(t)
			p := openPair(t, dir, audittrail.Options{}, index.Options{Logger: logger})
			hold(t, p)
			p.close(t)
			if name != "missing" && name != "no manifest" && !strings.Contains(said.String(), "built again") {
				t.Errorf("nothing was said: %s", said.String())
			}
			p = openPair(t, dir, audittrail.Options{}, index.Options{})
			p.append(t, 1200, 1100)
			hold(t, p)
			p.close(t)
			reader = openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{})
			if n := hold(t, reader); n != 2300 {
				t.Errorf("%d of 2,300 records are indexed", n)
			}
			reader.close(t)
		})
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, name string, at int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[(len(b)+at)%len(b)] ^= 4
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestErase removes a data subject from blocks, tables and blocks being built,
// while others read.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{})
	p.append(t, 0, 2000)
	hold(t, reader)
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() {
		for i := 2000; ; i += 10 {
			select {
			case <-stop:
				return
			default:
			}
			var events []event.Event
			for j := range 10 {
				events = append(events, sample(i+j))
			}
			if _, err := p.AppendBatch(context.Background(), events); err != nil {
				t.Error(err)
				return
			}
		}
	})
	beside.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, _, _, err := answers(context.Background(), reader, "alpha", "m1"); err != nil && !errors.Is(err, block.ErrDamaged) {
				t.Error(err)
				return
			}
		}
	})
	old := map[string]bool{}
	for ; len(old) == 0; runtime.Gosched() { // while another goroutine writes them
		for _, name := range blockFiles(t, dir) {
			old[name] = true
		}
	}
	if _, err := p.Erase(t.Context(), audittrail.Erasure{Users: []string{"user-3"}, Reason: "asked", Basis: "GDPR 17(1)(b)"}); err != nil {
		t.Fatal(err)
	}
	close(stop)
	beside.Wait()
	hold(t, p)
	hold(t, reader)
	if err := p.x.Finish(t.Context(), func(uint64, uint64) {}); err != nil {
		t.Fatal(err)
	}
	// The keys of blocks that were written again or merged are destroyed:
	// nobody can read copies of these blocks.
	anew := 0
	for name := range old {
		if _, err := os.Stat(name); err == nil {
			continue
		}
		anew++
		id, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(name), ".block"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.x.FileKey(keyring.FileID(id)); !errors.Is(err, keyring.ErrLost) {
			t.Errorf("the key of a block from before the erasure: %v, want ErrLost", err)
		}
	}
	if anew == 0 {
		t.Error("no block was written anew")
	}
	p.close(t)
	reader.close(t)
	p = openPair(t, dir, audittrail.Options{}, index.Options{})
	hold(t, p)
	p.close(t)
}

// TestPurgeClass removes the text of a class from the index, up to a record.
func TestPurgeClass(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	p.append(t, 0, 300)
	class := record.ClassOf(audittrail.DefaultClass, time.Now())
	if _, err := p.x.Purge(t.Context(), keyring.Destruction{Classes: []string{class}, Seq: 200}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		word string
		want string
	}{{"number7", "[]"}, {"number199", "[]"}, {"number200", "[200]"}, {"number299", "[299]"}} {
		if got, _, _, err := answers(t.Context(), p, c.word, "m2"); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: found %v, %v, want %s", c.word, got, err, c.want)
		}
	}
	p.close(t)
}

// TestColumns compares numbers and beginnings of words, from blocks and tables,
// with the log.
func TestColumns(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	p.append(t, 0, 500)
	s, err := p.x.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	with := 0
	for _, c := range s.Chunks() {
		if !c.Indexed() {
			continue
		}
		times, err := c.Numbers(block.Time)
		if err != nil {
			t.Fatal(err)
		}
		least, most, known := c.NumberBounds(block.Time)
		set, err := c.Prefix(text.Prompt, "number1")
		if err != nil || !known {
			t.Fatal(known, err)
		}
		for row := range c.Rows {
			seq := c.First + uint64(row)
			r, err := p.Get(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			if n, ok := times.At(row); !ok || n != r.Event.Time.UnixNano() || n < least || n > most {
				t.Errorf("record %d: time %d, %v, of %d to %d", seq, n, ok, least, most)
			}
			if want := strings.HasPrefix(fmt.Sprint(seq), "1"); set.Contains(uint32(row)) != want {
				t.Errorf("record %d has a word that begins with number1: %v, want %v", seq, !want, want)
			}
			with++
		}
	}
	if with == 0 {
		t.Error("nothing was indexed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p.close(t)
}

// TestPurgeWhatComes erases a data subject whose records have not been indexed
// yet: they wait in a queue, or in the log.
func TestPurgeWhatComes(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	class := record.ClassOf(audittrail.DefaultClass, time.Now())
	if _, err := p.x.Purge(t.Context(), keyring.Destruction{Classes: []string{class}, Seq: 1200}); err != nil {
		t.Fatal(err)
	}
	p.append(t, 0, 2300)
	for word, want := range map[string]string{"number7": "[]", "number1199": "[]", "number1200": "[1200]"} {
		var got []uint64
		var err error
		for indexed := 0; indexed < 2300; { // by other goroutines, or by the snapshot
			if got, _, indexed, err = answers(t.Context(), p, word, "m2"); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: found %v, want %s", word, got, want)
		}
	}
	p.close(t)
}

// TestPurgeWhatIsUnderWay erases a data subject whose records have been read to
// be indexed, and are not in the index yet.
func TestPurgeWhatIsUnderWay(t *testing.T) {
	for _, inMemory := range []bool{false, true} {
		dir := t.TempDir()
		unindexed := logtest.Open(t, dir, audittrail.Options{Create: true, NoIndex: true})
		(&pair{Log: unindexed}).append(t, 0, 300)
		if err := unindexed.Close(); err != nil {
			t.Fatal(err)
		}
		p := openPair(t, dir, audittrail.Options{}, index.Options{BlockRows: index.DefaultBlockRows})
		log := p.Log
		publish, insert, err := p.x.Begin(t.Context(), 0, 300)
		if err != nil {
			t.Fatal(err)
		}
		gone, ok, err := log.Subject("user-3")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, err := p.x.Purge(t.Context(), keyring.Destruction{Subjects: []record.Subject{gone}, Seq: 200}); err != nil {
			t.Fatal(err)
		}
		if inMemory {
			insert()
		} else if err := publish(); err != nil {
			t.Fatal(err)
		}
		var want []uint64
		for r, err := range log.Records(t.Context(), 0, 300) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(r.Event.Prompt, "alpha ") && (r.Subject != gone || r.Seq >= 200) {
				want = append(want, r.Seq)
			}
		}
		if got, _, indexed, err := answers(t.Context(), p, "alpha", "m2"); err != nil || indexed != 300 || !slices.Equal(got, want) {
			t.Errorf("in memory %v: found %v in %d that are indexed, %v, want %v", inMemory, got, indexed, err, want)
		}
		p.close(t)
	}
}

// TestSnapshot checks that a snapshot has no records that were appended after
// it was taken.
func TestSnapshot(t *testing.T) {
	p := openPair(t, t.TempDir(), audittrail.Options{Create: true}, index.Options{BlockRows: 1 << 20})
	p.append(t, 0, 50)
	s := snapshotOf(t, p, 50)
	p.append(t, 50, 50)
	later := snapshotOf(t, p, 100)
	for _, c := range s.Chunks() {
		set, err := c.Prefix(text.Any, "number")
		if err != nil || set.GetCardinality() != uint64(c.Rows) || set.Maximum() != uint32(c.Rows-1) {
			t.Errorf("rows %v, %v, want the %d of the snapshot", set, err, c.Rows)
		}
		if set, err = c.Term(text.Prompt, "number77"); err != nil || !set.IsEmpty() {
			t.Errorf("rows %v, %v, of what came later", set, err)
		}
	}
	if err := errors.Join(s.Close(), later.Close()); err != nil {
		t.Fatal(err)
	}
	p.close(t)
}

// snapshotOf returns a snapshot of an index of n records, with all of them
// indexed, however far the goroutine that follows the log is. As they are
// indexed in one table, they are one chunk.
func snapshotOf(t *testing.T, p *pair, n int) *index.Snapshot {
	t.Helper()
	s, err := p.x.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Chunks(); len(c) != 1 || !c[0].Indexed() || c[0].Rows != n {
		t.Fatalf("the snapshot has %d chunks, want one of %d indexed records", len(c), n)
	}
	return s
}

// TestOverflow appends records too fast to index them, so that some are read
// from the log, and finds all.
func TestOverflow(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
	big := sample(1)
	big.Response = strings.Repeat("x", 12<<20)
	for range 4 {
		logtest.AppendBatch(t, p.Log, sample(2), big, sample(3), big, sample(4), big)
	}
	p.append(t, 5, 300)
	hold(t, p)
	p.close(t)
}

// TestSnapshotAhead takes snapshots that cannot wait for records which are
// being indexed concurrently, which is more often so with more threads than
// processors: no record is in two chunks.
func TestSnapshotAhead(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	p := openPair(t, t.TempDir(), audittrail.Options{Create: true}, index.Options{})
	for n := range 300 {
		p.append(t, n, 1)
		s, err := p.x.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := uint64(0)
		for _, c := range s.Chunks() {
			if c.First != at {
				t.Fatalf("after %d records, a chunk begins at %d, want %d", n+1, c.First, at)
			}
			at += uint64(c.Rows)
		}
		if err := s.Close(); err != nil || at != s.Size() {
			t.Fatalf("after %d records, the chunks end at %d of %d: %v", n+1, at, s.Size(), err)
		}
	}
	p.close(t)
}

// TestNothingIsLeftOut appends faster than blocks can be written. Records that
// were left out meanwhile are indexed in the end, without any more being
// appended.
func TestNothingIsLeftOut(t *testing.T) {
	p := openPair(t, t.TempDir(), audittrail.Options{Create: true}, index.Options{BlockRows: 4})
	for i := range 90 {
		p.append(t, 20*i, 20)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; runtime.Gosched() {
		s, err := p.x.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, c := range s.Chunks() {
			if !c.Indexed() {
				left += c.Rows
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records are still to be read from the log", left)
		}
	}
	p.close(t)
}

// TestFinish leaves little to the next process, and may be interrupted.
func TestFinish(t *testing.T) {
	dir := t.TempDir()
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{BlockRows: 128})
	p.append(t, 0, 3000)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.x.Finish(ended, func(uint64, uint64) {}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Finish after its context has ended = %v", err)
	}
	last := uint64(0)
	err := p.x.Finish(t.Context(), func(done, total uint64) {
		if done < last || total != 3000 {
			t.Errorf("progress %d of %d, after %d", done, total, last)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	p.close(t)
	reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{InMemory: 1})
	s, err := reader.x.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, c := range s.Chunks() {
		if !c.Indexed() {
			left += c.Rows
		}
	}
	if err := s.Close(); err != nil || left >= 1024 {
		t.Fatalf("%d records are left to be read from the log: %v", left, err)
	}
	reader.close(t)
}
