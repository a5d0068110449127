package query_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/internal/logtest"
	"audittrail/query"
	"audittrail/record"
)

// A way is one in which queries are answered. It opens the log in a folder for
// writing, and returns it with what answers queries about it from then on, and
// what ends both.
type way struct {
	name string
	open func(t *testing.T, dir string, o audittrail.Options) (log *audittrail.Log, engine *query.Engine, end func() error)
}

// ways are all of them: whichever it is, the answers are the same.
var ways = []way{
	{"scan", func(t *testing.T, dir string, o audittrail.Options) (*audittrail.Log, *query.Engine, func() error) {
		o.NoIndex = true
		log := logtest.Open(t, dir, o)
		return log, query.New(log), log.Close
	}},
	{"scan beside the writer", func(t *testing.T, dir string, o audittrail.Options) (*audittrail.Log, *query.Engine, func() error) {
		log := logtest.Open(t, dir, o)
		reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true, NoIndex: true})
		return log, query.New(reader), func() error { return errors.Join(reader.Close(), log.Close()) }
	}},
	{"index", indexed(32, func(log *audittrail.Log, _ string) (*query.Engine, func() error, error) {
		return query.New(log), func() error { return nil }, nil
	})},
	{"index beside the writer", indexed(16, beside(index.Options{}))},
	{"half an index beside the writer", indexed(16, beside(index.Options{InMemory: 4}))},
	{"index that nobody keeps", func(t *testing.T, dir string, o audittrail.Options) (*audittrail.Log, *query.Engine, func() error) {
		o.NoIndex = true
		log := logtest.Open(t, dir, o)
		e, end, err := beside(index.Options{})(log, dir)
		if err != nil {
			t.Fatal(err)
		}
		return log, e, func() error { return errors.Join(end(), log.Close()) }
	}},
}

// indexed opens a log with an index that it keeps, in blocks of so many
// records.
func indexed(rows int, engine func(*audittrail.Log, string) (*query.Engine, func() error, error)) func(*testing.T, string, audittrail.Options) (*audittrail.Log, *query.Engine, func() error) {
	return func(t *testing.T, dir string, o audittrail.Options) (*audittrail.Log, *query.Engine, func() error) {
		t.Helper()
		index.Tune(&o, index.Options{BlockRows: rows})
		log := logtest.Open(t, dir, o)
		e, end, err := engine(log, dir)
		if err != nil {
			t.Fatal(err)
		}
		return log, e, func() error { return errors.Join(end(), log.Close()) }
	}
}

// beside makes an engine as another process would.
func beside(tuned index.Options) func(*audittrail.Log, string) (*query.Engine, func() error, error) {
	return func(_ *audittrail.Log, dir string) (*query.Engine, func() error, error) {
		o := audittrail.Options{ReadOnly: true}
		index.Tune(&o, tuned)
		reader, err := audittrail.Open(dir, o)
		if err != nil {
			return nil, nil, err
		}
		return query.New(reader), reader.Close, nil
	}
}

// TestAgainstModel appends, erases and expires records at random, and runs
// random queries in between. It compares each answer with one that is computed
// from the opened records in the simplest way. AUDITTRAIL_EXPLORE is for how
// many minutes it continues with other seeds.
func TestAgainstModel(t *testing.T) {
	seeds, until := []uint64{1, 2}, time.Time{}
	if minutes, err := strconv.ParseFloat(os.Getenv("AUDITTRAIL_EXPLORE"), 64); err == nil {
		until = time.Now().Add(time.Duration(minutes * float64(time.Minute)))
	}
	for !until.IsZero() && time.Now().Before(until) || seeds != nil {
		if seeds == nil {
			seeds = []uint64{rand.Uint64()}
		}
		for _, seed := range seeds {
			for _, w := range ways {
				t.Run(fmt.Sprintf("%s/seed %d", w.name, seed), func(t *testing.T) { newWorld(t, w, seed).walk() })
			}
		}
		if seeds = nil; t.Failed() {
			return
		}
	}
}

// A fact is a record, with what is known of it from when it was appended.
type fact struct {
	*record.Record
	user    string // "" is nobody
	erased  bool   // the user was, since then
	session string

	cut []piece // the pieces of the content
}

// A world is a log, and what is known of it without asking a query.
type world struct {
	*testing.T
	way
	rng *rand.Rand
	dir string

	log     *audittrail.Log
	engine  *query.Engine
	end     func() error
	classes []string // that can be named still

	facts []*fact
	asked int // queries
	found int // records, by all of them
}

func newWorld(t *testing.T, by way, seed uint64) *world {
	w := &world{
		T: t, way: by, rng: rand.New(rand.NewPCG(seed, 9)), dir: t.TempDir(),
		classes: []string{"short", "brief", "long"},
	}
	w.reopen()
	t.Cleanup(func() {
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) reopen() {
	w.Helper()
	if w.end != nil {
		if err := w.end(); err != nil {
			w.Fatal(err)
		}
	}
	w.log, w.engine, w.end = w.open(w.T, w.dir, audittrail.Options{Create: true, Classes: w.classes})
}

// walk does some things, and asks after each of them.
func (w *world) walk() {
	const steps = 12
	for step := range steps {
		switch n := w.rng.IntN(10); {
		case n < 5 || step == 0:
			w.append(1 + w.rng.IntN(60))
		case n < 7:
			w.append(1)
			w.forget()
		case n < 8:
			w.expire()
		default:
			w.reopen()
		}
		w.see()
		for range 5 {
			w.ask()
			w.group()
		}
		if w.Failed() {
			w.Fatalf("in step %d", step)
		}
	}
	if w.found < w.asked {
		w.Errorf("%d queries found %d records: they ask for too little", w.asked, w.found)
	}
}

func (w *world) append(n int) {
	w.Helper()
	events := w.events(n)
	receipts, err := w.log.AppendBatch(w.Context(), events)
	if err != nil {
		w.Fatal(err)
	}
	for i, r := range receipts {
		w.fact(r.Seq).user, w.fact(r.Seq).session = events[i].UserID, events[i].SessionID
	}
}

// fact makes room for what is known of a record.
func (w *world) fact(seq uint64) *fact {
	for uint64(len(w.facts)) <= seq {
		w.facts = append(w.facts, new(fact))
	}
	return w.facts[seq]
}

// forget erases one or two users, some of whom come back later.
func (w *world) forget() {
	var gone []string
	for range 1 + w.rng.IntN(2) {
		if u := w.facts[w.rng.IntN(len(w.facts))].user; u != "" && !slices.Contains(gone, u) {
			gone = append(gone, u)
		}
	}
	if len(gone) == 0 {
		return
	}
	if _, err := w.log.Erase(w.Context(), audittrail.Erasure{Users: gone, Reason: "asked for"}); err != nil {
		w.Fatal(err)
	}
	for _, f := range w.facts {
		f.erased = f.erased || slices.Contains(gone, f.user)
	}
}

// expire ends a class. It is in use no longer, so that its month need not be
// over.
func (w *world) expire() {
	if len(w.classes) == 0 {
		return
	}
	i := w.rng.IntN(len(w.classes))
	name := w.classes[i]
	w.classes = slices.Delete(w.classes, i, i+1)
	if err := w.log.SetClasses(w.classes, nil); err != nil {
		w.Fatal(err)
	}
	months, err := w.log.Classes()
	if err != nil {
		w.Fatal(err)
	}
	months = slices.DeleteFunc(months, func(c string) bool { return !strings.HasPrefix(c, name+"/") })
	if _, err := w.log.Expire(w.Context(), months, "over"); err != nil {
		w.Fatal(err)
	}
}

// see reads the whole log.
func (w *world) see() {
	w.Helper()
	for r, err := range w.log.Records(w.Context(), 0, record.MaxSeq) {
		if err != nil {
			w.Fatal(err)
		}
		f := w.fact(r.Seq)
		if f.Record == nil || f.State != r.State {
			f.cut = pieces(&r.Event)
		}
		f.Record = r
		if f.erased && r.State == record.Readable {
			w.Fatalf("record %d is of an erased user, and readable", r.Seq)
		}
	}
}

// An asked query is one with the answers that it should get.
type asked struct {
	query.Query
	conditions
	hidden map[record.Subject]bool // whose content has no text
}

// ask asks for records: all at once, in pages, and how many they are.
func (w *world) ask() {
	w.Helper()
	q := w.query()
	e := w.engine
	if q.hidden != nil {
		e = e.WithRestrictions(func(s record.Subject) bool { return q.hidden[s] })
	}
	want := w.matching(q)
	if !q.OldestFirst {
		slices.Reverse(want)
	}
	w.asked++
	w.found += len(want)
	if n, err := e.Count(w.Context(), q.Query); err != nil || n != uint64(len(want)) {
		w.Errorf("%s:\nCount = %d, %v, want %d", q, n, err, len(want))
	}
	got := w.pages(e, q, len(want))
	if !slices.Equal(got, seqs(want)) {
		w.Errorf("%s:\nFind = %v, want %v", q, got, seqs(want))
	}
}

func seqs(facts []*fact) []uint64 {
	var list []uint64
	for _, f := range facts {
		list = append(list, f.Seq)
	}
	return list
}

// matching returns the facts for which a query holds, the oldest first.
func (w *world) matching(q *asked) []*fact {
	size := uint64(len(w.facts))
	if q.Size > 0 {
		size = min(size, q.Size)
	}
	var some []*fact
	for _, f := range w.facts[min(q.From, size):size] {
		if q.hold(f, q.hidden) {
			some = append(some, f)
		}
	}
	return some
}

// pages asks for records with the limit of a query until there are no more.
// Meanwhile others are recorded, which are for none of the pages if the newest
// come first.
func (w *world) pages(e *query.Engine, q *asked, most int) []uint64 {
	w.Helper()
	var got []uint64
	next := q.Query
	if next.Limit > 0 {
		next.Limit = max(next.Limit, most/6) // many pages take long
	}
	more := !q.OldestFirst && q.Size == 0 && next.Limit > 0 && w.rng.IntN(4) == 0
	for {
		n := 0
		for h, err := range e.Find(w.Context(), next) {
			if err != nil {
				w.Errorf("%s:\nFind: %v", q, err)
				return got
			}
			w.check(q, h)
			got, next.Cursor = append(got, h.Seq), h.Cursor()
			n++
		}
		if next.Limit == 0 || n < next.Limit {
			break
		}
		if n > next.Limit {
			w.Errorf("%s:\n%d records with a limit of %d", q, n, next.Limit)
		}
		if more {
			more = false
			w.append(3)
		}
	}
	if last := w.facts[len(w.facts)-1]; last.Record == nil {
		w.see()
	}
	return got
}

// check compares a hit with the record.
func (w *world) check(q *asked, h *query.Hit) {
	w.Helper()
	f := w.facts[h.Seq]
	if f.Record == nil {
		w.Fatalf("%s:\nrecord %d is found before it was asked for", q, h.Seq)
	}
	if h.Hash != f.Hash || h.State != f.State || h.Event.Prompt != f.Event.Prompt || h.Event.UserID != f.Event.UserID {
		w.Errorf("%s:\nrecord %d is shown as %v with hash %v, want %v with %v", q, h.Seq, h.State, h.Hash, f.State, f.Hash)
	}
	got := []place{}
	for _, m := range h.Matches {
		got = append(got, place{m.Field, m.Text, m.Start, m.End})
	}
	if want := q.places(f); want != nil && !slices.Equal(got, want) {
		w.Errorf("%s:\nrecord %d matches at %v, want %v", q, h.Seq, got, want)
	}
}

// group asks for a table.
func (w *world) group() {
	w.Helper()
	q, g := w.query(), w.grouping()
	e := w.engine
	if q.hidden != nil {
		e = e.WithRestrictions(func(s record.Subject) bool { return q.hidden[s] })
	}
	want := g.table(w.matching(q))
	got := []string{}
	tab, err := e.Group(context.WithoutCancel(w.Context()), q.Query, g.Grouping)
	if err != nil {
		got = []string{err.Error()}
	} else {
		for _, row := range tab.Rows {
			got = append(got, shown(row))
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s\nby %q, %q in %v:\n%s\nwant\n%s", q, g.By, g.Aggregates, g.Zone, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
