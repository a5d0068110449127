package query_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/index"
	"audittrail/internal/logtest"
	"audittrail/query"
	"audittrail/record"
)

// A store is a log with what answers queries about it.
type store struct {
	*audittrail.Log
	*query.Engine
}

func openStore(t *testing.T, dir string, o audittrail.Options) store {
	t.Helper()
	log := logtest.Open(t, dir, o)
	return store{log, query.New(log)}
}

// reading makes an engine that reads the log of a folder, and asks no index.
func reading(t *testing.T, dir string) *query.Engine {
	t.Helper()
	return openStore(t, dir, audittrail.Options{ReadOnly: true, NoIndex: true}).Engine
}

// letters are events, of which every tenth is about cheese and every user has
// the same number.
func letters(n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{
			Type: event.Prompt, Time: day.Add(time.Duration(i) * time.Minute), UserID: fmt.Sprint("user-", i%5),
			ModelID: fmt.Sprint("m", i%3), Prompt: fmt.Sprint("letter number ", i), InputTokens: new(int64(i)),
		}
		if i%10 == 0 {
			events[i].Prompt += " is about cheese"
		}
	}
	return events
}

// TestStore finds appended records at once, in a log that is reopened, and from
// another process.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, audittrail.Options{Create: true})
	beside := openStore(t, dir, audittrail.Options{ReadOnly: true})
	for n := 1; n <= 50; n++ {
		logtest.AppendBatch(t, s.Log, letters(n * 10)[n*10-10:]...)
		for name, e := range map[string]*query.Engine{"writer": s.Engine, "reader": beside.Engine} {
			if got, err := e.Count(t.Context(), query.Query{Text: "cheese"}); err != nil || got != uint64(n) {
				t.Fatalf("%s: Count = %d, %v, want %d", name, got, err, n)
			}
		}
	}
	if _, err := audittrail.Open(filepath.Join(dir, "none"), audittrail.Options{}); !errors.Is(err, audittrail.ErrNoLog) {
		t.Errorf("Open of nothing = %v, want %v", err, audittrail.ErrNoLog)
	}
}

// A folder that cannot be an index costs the index, and nothing else.
func TestStoreWithoutIndex(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, audittrail.Options{Create: true})
	logtest.AppendBatch(t, s.Log, letters(20)...)
	if n, err := s.Engine.Count(t.Context(), query.Query{Text: "cheese"}); err != nil || n != 2 {
		t.Errorf("Count = %d, %v, want 2", n, err)
	}
}

// indexedLog is a log of letters that blocks cover, of which nothing is kept in
// memory.
func indexedLog(t *testing.T, n, rows int) (log *audittrail.Log, e *query.Engine, dir string) {
	t.Helper()
	dir = t.TempDir()
	o := audittrail.Options{Create: true, NoIndex: true}
	index.Tune(&o, index.Options{BlockRows: rows, CacheBytes: 1})
	log = logtest.Open(t, dir, o)
	logtest.AppendBatch(t, log, letters(n)...)
	if _, err := log.Reindex(t.Context(), func(uint64) {}); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	o.Create, o.NoIndex = false, false
	s := openStore(t, dir, o)
	return s.Log, s.Engine, dir
}

// spoil changes a bit in the middle of every block.
func spoil(t *testing.T, dir string) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "index", "*.block"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("blocks %v, %v", blocks, err)
	}
	for _, name := range blocks {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{0}
		// All of the middle third: whichever part a query reads next.
		for at := s.Size() / 3; at < 2*s.Size()/3; at++ {
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedMidway damages the index while a query is under way: nothing is
// missing, and nothing comes twice.
func TestDamagedMidway(t *testing.T) {
	for _, oldest := range []bool{false, true} {
		_, e, dir := indexedLog(t, 3000, 512)
		q := query.Query{Models: []string{"m1"}, Filter: "input_tokens >= 0", OldestFirst: oldest}
		var want, got []uint64
		for i := range uint64(1000) {
			want = append(want, 3*i+1)
		}
		if !oldest {
			for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
				want[i], want[j] = want[j], want[i]
			}
		}
		var how query.Explanation
		for h, err := range e.WithExplanation(&how).Find(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, h.Seq); len(got) == 300 {
				spoil(t, dir)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("oldest first %v: found (-want +got):\n%s", oldest, diff)
		}
		if len(how.Notes) == 0 {
			t.Errorf("oldest first %v: no word about the damage", oldest)
		}
		if n, err := e.Count(t.Context(), q); err != nil || n != 1000 {
			t.Errorf("oldest first %v: Count = %d, %v, want 1000", oldest, n, err)
		}
	}
}

// TestManyQueries asks very many queries at once. They take turns.
func TestManyQueries(t *testing.T) {
	s := openStore(t, t.TempDir(), audittrail.Options{Create: true})
	logtest.AppendBatch(t, s.Log, letters(2000)...)
	e := s.Engine
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	before := heap[0].Value.Uint64()
	var all sync.WaitGroup
	failures := make(chan error, atOnce)
	for i := range atOnce {
		all.Go(func() {
			n := uint64(0)
			var err error
			switch i % 3 {
			case 0:
				n, err = e.Count(t.Context(), query.Query{Text: "cheese"})
			case 1:
				for _, ferr := range e.Find(t.Context(), query.Query{Text: "cheese", Limit: 2}) {
					n, err = n+100, ferr
				}
			default:
				var table *query.Table
				if table, err = e.Group(t.Context(), query.Query{Text: "cheese"}, query.Grouping{}); err == nil {
					n = uint64(table.Rows[0][0].Int())
				}
			}
			if err != nil || n != 200 {
				failures <- fmt.Errorf("query %d: %d, %w", i, n, err)
			}
		})
	}
	most := uint64(0)
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	for ended := false; !ended; {
		metrics.Read(heap)
		most = max(most, heap[0].Value.Uint64())
		select {
		case <-done:
			ended = true
		default:
			runtime.Gosched()
		}
	}
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if limit := before + 256<<20; most > limit {
		t.Errorf("%d bytes of memory at the most, want at most %d", most, limit)
	}
}

// TestNested asks within the answer of as many queries as may work at once.
func TestNested(t *testing.T) {
	_, e, _ := indexedLog(t, 200, 64)
	var all sync.WaitGroup
	for range 20 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for h, err := range e.Find(t.Context(), query.Query{Text: "cheese", Limit: 2}) {
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := e.Count(t.Context(), query.Query{From: h.Seq}); err != nil || n != 200-h.Seq {
					t.Errorf("Count = %d, %v, want %d", n, err, 200-h.Seq)
				}
			}
		})
	}
	all.Wait()
}

// TestCancelledMidway ends queries that would read the whole log, and looks for
// what they leave running.
func TestCancelledMidway(t *testing.T) {
	log, indexed, _ := indexedLog(t, 5000, 1024)
	before := runtime.NumGoroutine()
	for name, e := range map[string]*query.Engine{"scan": query.New(log), "index": indexed} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var last error
		for _, err := range e.Find(ctx, query.Query{Text: "substring:etter", OldestFirst: true}) {
			if n++; n == 10 {
				cancel()
			}
			last = err
		}
		cancel()
		if !errors.Is(last, context.Canceled) || n > 5000 {
			t.Errorf("%s: ended with %v after %d hits, want %v", name, last, n, context.Canceled)
		}
		last = nil
		for attempt := 0; last == nil && attempt < 100; attempt++ { // it may end before it is cancelled
			ctx, cancel = context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := e.Group(ctx, query.Query{Text: "/e/"}, query.Grouping{By: []string{"input_tokens"}})
				ended <- err
			}()
			cancel()
			last = <-ended
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("%s: Group = %v, want %v", name, last, context.Canceled)
		}
	}
	for deadline := time.Now().Add(5 * time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestErasedMeanwhile erases a user while blocks are built and others read.
func TestErasedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, audittrail.Options{Create: true})
	beside := openStore(t, dir, audittrail.Options{ReadOnly: true})
	logtest.AppendBatch(t, s.Log, letters(100)...)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				for h, err := range beside.Engine.Find(t.Context(), query.Query{Text: "letter -cheese"}) {
					if err != nil {
						t.Errorf("meanwhile: %v", err)
						return
					}
					if h.State != record.Readable || !strings.Contains(h.Event.Prompt, "letter") {
						t.Errorf("record %d is %v, and shown for its words", h.Seq, h.State)
					}
				}
			}
		})
	}
	for round := range 5 {
		user := fmt.Sprint("user-", round)
		if _, err := s.Log.Erase(t.Context(), audittrail.Erasure{Users: []string{user}, Reason: "asked", Basis: "GDPR art. 17"}); err != nil {
			t.Fatal(err)
		}
		want := uint64(0)
		for _, e := range letters(100) {
			if e.UserID > user {
				want++
			}
		}
		for name, e := range map[string]*query.Engine{"writer": s.Engine, "reader": beside.Engine} {
			if n, err := e.Count(t.Context(), query.Query{Text: "letter"}); err != nil || n != want {
				t.Errorf("%s: %d of those that are left, %v, want %d", name, n, err, want)
			}
		}
		logtest.AppendBatch(t, s.Log, event.Event{Type: event.Prompt, UserID: "else", Prompt: "nothing"})
	}
	cancel()
	readers.Wait()
}

// TestLargeTerms looks for words of a megabyte, and for everything at once.
func TestLargeTerms(t *testing.T) {
	log, e, _ := indexedLog(t, 100, 64)
	long := strings.Repeat("x", 1<<20)
	logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, Prompt: long + " end"}, event.Event{Type: event.Prompt, Prompt: long + "y"})
	for text, want := range map[string]uint64{
		strings.Repeat("x", 1000): 2, // as far as words are told apart
		"xx* end":                 1,
		strings.Repeat("x", 30):   0,
		"/x{90}y$/":               1,
		"/./":                     102,
		"/^/ -cheese":             92,
		"l* OR x*":                102,
	} {
		for name, e := range map[string]*query.Engine{"scan": query.New(log), "index": e} {
			if n, err := e.Count(t.Context(), query.Query{Text: text}); err != nil || n != want {
				t.Errorf("%s: Count(%.20q) = %d, %v, want %d", name, text, n, err, want)
			}
		}
	}
	var bad *query.Error
	if _, err := e.Count(t.Context(), query.Query{Text: long}); !errors.As(err, &bad) {
		t.Errorf("Count of a text of a megabyte = %v, want a *query.Error", err)
	}
}

func TestExplaining(t *testing.T) {
	log, e, _ := indexedLog(t, 1000, 256)
	logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, Prompt: "cheese", Time: day.AddDate(1, 0, 0)})
	var how query.Explanation
	q := query.Query{Text: "cheese", Models: []string{"m0"}, End: day.Add(time.Hour)}
	n, err := e.WithExplanation(&how).Count(t.Context(), q)
	if err != nil || n != 2 { // letters 0 and 30
		t.Fatalf("Count = %d, %v, want 2", n, err)
	}
	records, passed, matched := 0, 0, uint64(0)
	for _, c := range how.Chunks {
		records += c.Records
		matched += c.Matched
		if c.Skipped == "time is out of range" || c.Skipped == "model_id has none of the values" {
			passed += c.Records
		}
		if !c.Indexed || c.Opens {
			t.Errorf("chunk %+v, want one of the index, which decides", c)
		}
	}
	if records != 1001 || passed != 1001-256 || matched != 2 || how.Opened != 0 {
		t.Errorf("%d records, %d passed over, %d matched, %d opened, want 1001, 745, 2, 0: %+v", records, passed, matched, how.Opened, how.Chunks)
	}
}

// TestHeldBeyondClass finds the words of records that a hold keeps when their
// class is gone, and no others of it.
func TestHeldBeyondClass(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, audittrail.Options{Create: true, Classes: []string{"short"}})
	beside := openStore(t, dir, audittrail.Options{ReadOnly: true})
	events := letters(40)
	for i := range events {
		if i%2 == 0 {
			events[i].RetentionClass = "short"
		}
	}
	logtest.AppendBatch(t, s.Log, events...)
	hold, err := s.Log.PlaceHold(t.Context(), governance.Hold{User: "user-0", Reason: "case 17"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Log.SetClasses(nil, nil); err != nil {
		t.Fatal(err)
	}
	classes, err := s.Log.Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range classes {
		if strings.HasPrefix(c, "short/") {
			if _, err := s.Log.Expire(t.Context(), []string{c}, "over"); err != nil {
				t.Fatal(err)
			}
		}
	}
	engines := map[string]*query.Engine{"writer": s.Engine, "reader": beside.Engine, "scan": reading(t, dir)}
	for name, e := range engines {
		for text, want := range map[string][]uint64{
			"cheese":         {0, 10, 20, 30},
			"letter -cheese": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39},
			`"number 10"`:    {10},
			`"number 12"`:    {},
		} {
			got := found(t, e, query.Query{Text: text, OldestFirst: true, Types: event.Types()})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, text, diff)
			}
			if n, err := e.Count(t.Context(), query.Query{Text: text, Types: event.Types()}); err != nil || int(n) != len(want) {
				t.Errorf("%s: Count(%s) = %d, %v, want %d", name, text, n, err, len(want))
			}
		}
		if n, err := e.CountUnsearched(t.Context(), query.Query{Text: "cheese", Types: event.Types()}); n != 16 || err != nil {
			t.Errorf("%s: Unsearched = %d, %v, want the 16 of the class that no hold keeps", name, n, err)
		}
	}
	if _, err := s.Log.ReleaseHold(t.Context(), hold.ID, "settled", ""); err != nil {
		t.Fatal(err)
	}
	for name, e := range engines {
		if got := found(t, e, query.Query{Text: "cheese", Types: event.Types()}); len(got) != 0 {
			t.Errorf("%s: after the release, found %v", name, got)
		}
		if n, err := e.CountUnsearched(t.Context(), query.Query{Text: "cheese", Types: event.Types()}); n != 20 || err != nil {
			t.Errorf("%s: after the release, Unsearched = %d, %v, want 20", name, n, err)
		}
	}
}

// TestOrderedErasure restores the keyring and index of before an erasure next
// to the log: the erasure has not been carried out again, and a reader counts
// no word of that person.
func TestOrderedErasure(t *testing.T) {
	dir, kept := t.TempDir(), t.TempDir()
	open := func(o audittrail.Options) store {
		log := logtest.Open(t, dir, o)
		return store{log, query.New(log)}
	}
	s := open(audittrail.Options{Create: true})
	var all []event.Event
	for i := range 2000 {
		e := event.Event{Type: event.Prompt, UserID: "bob", Prompt: "weather"}
		if i%100 == 0 {
			e.UserID, e.Prompt = "ann", "leukaemia"
		}
		all = append(all, e)
	}
	logtest.AppendBatch(t, s.Log, all...)
	if err := errors.Join(s.FinishIndex(t.Context(), func(uint64, uint64) {}), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(kept, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = open(audittrail.Options{})
	if _, err := s.Log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "asked", Basis: "GDPR art. 17"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keys", "index"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(kept, name))); err != nil {
			t.Fatal(err)
		}
	}
	s = open(audittrail.Options{ReadOnly: true})
	for word, want := range map[string]uint64{"leukaemia": 0, "weather": 1980} {
		if n, err := s.Engine.Count(t.Context(), query.Query{Text: word}); err != nil || n != want {
			t.Errorf("%d records have %q, %v, want %d", n, word, err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
