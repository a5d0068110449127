package audittrail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

func size(t *testing.T, log *audittrail.Log) uint64 {
	t.Helper()
	n, err := log.Size()
	if err != nil {
		t.Fatalf("Size() = %v", err)
	}
	return n
}

func TestAppendTwice(t *testing.T) {
	log := logtest.New(t)
	for _, id := range []string{"order 17", "0192d5e0-7e2a-7cc3-98c4-dc0c0c07398f", "Straße/7"} {
		e := event.Event{ID: id, Type: event.Prompt, UserID: "u", Prompt: "hello", Metadata: map[string]json.RawMessage{"a": []byte(`{"b":1.0,"a":2}`)}}
		first := logtest.Append(t, log, e)
		if first.Duplicate {
			t.Errorf("%s: the first is a duplicate", id)
		}
		e.Metadata = map[string]json.RawMessage{"a": []byte(` {"a":2, "b":1.0} `)} // the same value, not in canonical form
		again := logtest.Append(t, log, e)
		if want := (audittrail.Receipt{Seq: first.Seq, ID: first.ID, Hash: first.Hash, Duplicate: true}); again != want {
			t.Errorf("%s: again = %+v, want %+v", id, again, want)
		}
		e.Prompt = "hello!"
		var conflict *audittrail.IDConflictError
		if _, err := log.Append(t.Context(), e); !errors.As(err, &conflict) || conflict.Seq != first.Seq {
			t.Errorf("%s: another event: %v, want a conflict with record %d", id, err, first.Seq)
		}
		got, err := log.Find(t.Context(), id)
		if err != nil || got.Seq != first.Seq || got.Event.ID != id {
			t.Errorf("Find(%q) = %+v, %v, want record %d", id, got, err, first.Seq)
		}
	}
}

func TestAppendTwiceAtOnce(t *testing.T) {
	log := logtest.New(t)
	var mu sync.Mutex
	seqs := make(map[uint64]int)
	conflicts := 0
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			r, err := log.Append(context.Background(), event.Event{ID: "one", Type: event.Prompt, Prompt: fmt.Sprint(i % 2)})
			mu.Lock()
			defer mu.Unlock()
			var conflict *audittrail.IDConflictError
			switch {
			case err == nil:
				seqs[r.Seq]++
			case errors.As(err, &conflict):
				conflicts++
			default:
				t.Errorf("Append() = %v", err)
			}
		})
	}
	wg.Wait()
	if n := size(t, log); n != 1 || len(seqs) != 1 || seqs[0] != 32 || conflicts != 32 {
		t.Errorf("%d records, receipts %v, %d conflicts, want one record with 32 receipts and 32 conflicts", n, seqs, conflicts)
	}
}

func TestAppendBatch(t *testing.T) {
	log := logtest.New(t)
	batch := []event.Event{
		{ID: "a", Type: event.Prompt, Prompt: "1"},
		{Type: event.Response, Response: "2"},
		{ID: "a", Type: event.Prompt, Prompt: "1"},
	}
	receipts, err := log.AppendBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if receipts[0].Seq != 0 || receipts[1].Seq != 1 || receipts[2].Seq != 0 || !receipts[2].Duplicate {
		t.Errorf("receipts %+v, want records 0, 1 and 0 again", receipts)
	}
	for name, bad := range map[string]event.Event{
		"invalid":        {Type: "nonsense"},
		"conflict":       {ID: "a", Type: event.Prompt, Prompt: "other"},
		"in the batch":   {ID: "b", Type: event.Prompt, Prompt: "other"},
		"administrative": {Type: event.LogRepaired},
		"class":          {Type: event.Prompt, RetentionClass: "unheard-of"},
	} {
		_, err := log.AppendBatch(t.Context(), []event.Event{{ID: "b", Type: event.Prompt, Prompt: "fine"}, bad})
		var refused *audittrail.BatchError
		if !errors.As(err, &refused) || refused.Index != 1 {
			t.Errorf("%s: %v, want event 1 refused", name, err)
		}
	}
	if n := size(t, log); n != 2 {
		t.Errorf("%d records, want 2: a refused batch left something behind", n)
	}
	if receipts, err := log.AppendBatch(t.Context(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("AppendBatch(nil) = %v, %v", receipts, err)
	}
}

func TestAppendLimit(t *testing.T) {
	log := logtest.New(t)
	prompt := strings.Repeat("x", 16<<20)
	r := logtest.Append(t, log, event.Event{Type: event.Prompt, ModelID: "gpt-4", UserID: "u", Prompt: prompt})
	got, err := log.Get(t.Context(), r.Seq)
	if err != nil || got.Event.Prompt != prompt {
		t.Errorf("Get() = %d bytes, %v, want the prompt", len(got.Event.Prompt), err)
	}
	_, err = log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: prompt + "x"})
	if !errors.Is(err, audittrail.ErrTooLarge) || !strings.Contains(err.Error(), "16777217 bytes, the limit is 16777216") {
		t.Errorf("one byte more: %v, want ErrTooLarge with both figures", err)
	}
}

func TestManyWritersOneOrder(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 64 << 10}))
	const writers, each = 16, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := int64(-1)
			for i := range each {
				r, err := log.Append(context.Background(), event.Event{
					Type: event.Prompt, UserID: fmt.Sprint(w), Prompt: fmt.Sprint(i),
				})
				if err != nil {
					t.Errorf("Append() = %v", err)
					return
				}
				if int64(r.Seq) <= last {
					t.Errorf("record %d after record %d", r.Seq, last)
				}
				last = int64(r.Seq)
			}
		})
	}
	wg.Wait()
	next := make(map[string]int)
	for r, err := range log.Records(t.Context(), 0, writers*each) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(next[r.Event.UserID]); r.Event.Prompt != want {
			t.Errorf("record %d: user %s says %s, want %s", r.Seq, r.Event.UserID, r.Event.Prompt, want)
		}
		next[r.Event.UserID]++
	}
	if len(next) != writers {
		t.Errorf("%d users, want %d", len(next), writers)
	}
}

func TestReadersBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 16 << 10}))
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const n = 200
	got := make(chan uint64)
	go func() {
		defer close(got)
		for r, err := range reader.Follow(ctx, 0) {
			if err != nil {
				t.Errorf("Follow: %v", err)
				return
			}
			got <- r.Seq
		}
	}()
	for i := range n {
		r := logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprint(i % 7), Prompt: "p"})
		// Acknowledged, so seen at once.
		seen, err := reader.Get(t.Context(), r.Seq)
		if err != nil || seen.Hash != r.Hash || seen.State != record.Readable {
			t.Fatalf("reader: Get(%d) = %+v, %v", r.Seq, seen, err)
		}
	}
	for i := range uint64(n) {
		if seq := <-got; seq != i {
			t.Fatalf("Follow gave record %d, want %d", seq, i)
		}
	}
	cancel()
	for range got {
		t.Error("Follow went on after its context had ended")
	}
	if _, err := reader.Append(t.Context(), event.Event{Type: event.Prompt}); !errors.Is(err, audittrail.ErrReadOnly) {
		t.Errorf("reader: Append() = %v, want ErrReadOnly", err)
	}
}

func TestFollowInTheWriter(t *testing.T) {
	log := logtest.New(t)
	var seqs []uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for r, err := range log.Follow(context.Background(), 0) {
			if err != nil {
				t.Errorf("Follow: %v", err)
				return
			}
			seqs = append(seqs, r.Seq)
		}
	}()
	for range 5 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "p"})
	}
	logtest.Close(t, log)
	<-done
	if want := []uint64{0, 1, 2, 3, 4}; len(seqs) > 5 || !slices.Equal(seqs, want[:len(seqs)]) {
		t.Errorf("Follow gave %v, want a beginning of %v", seqs, want)
	}
}

func TestSecondWriter(t *testing.T) {
	dir := t.TempDir()
	logtest.Open(t, dir, audittrail.Options{Create: true})
	_, err := audittrail.Open(dir, audittrail.Options{LockWait: -1})
	if !errors.Is(err, audittrail.ErrLocked) || !strings.Contains(err.Error(), "pid ") {
		t.Errorf("Open() = %v, want ErrLocked with the holder's pid", err)
	}
}

func TestNoLog(t *testing.T) {
	for _, ro := range []bool{false, true} {
		if _, err := audittrail.Open(t.TempDir(), audittrail.Options{ReadOnly: ro}); !errors.Is(err, audittrail.ErrNoLog) {
			t.Errorf("ReadOnly %v: Open() = %v, want ErrNoLog", ro, err)
		}
	}
}

// A clock is a clock that the test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func TestClock(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := &clock{now: start}
	disk := vfs.NewMem()
	o := audittrail.Options{Create: true}.With(audittrail.Seams{FS: disk, Now: c.Now})
	log := logtest.Open(t, "dir", o)
	append1 := func() (*record.Record, error) {
		r, err := log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: "p"})
		if err != nil {
			return nil, err
		}
		return log.Get(t.Context(), r.Seq)
	}
	first, err := append1()
	if err != nil || !first.Logged.Equal(start) {
		t.Fatalf("first: %+v, %v, want it logged at %v", first, err, start)
	}
	c.set(start.Add(-time.Hour)) // back: time in the log does not follow
	back, err := append1()
	if err != nil || !back.Logged.After(first.Logged) || back.Logged.Sub(first.Logged) > time.Millisecond {
		t.Errorf("after the clock went back: %+v, %v, want it logged just behind the first", back, err)
	}
	c.set(start.Add(23 * time.Hour))
	if _, err := append1(); err != nil {
		t.Errorf("23 hours ahead: %v", err)
	}
	logtest.Close(t, log)

	// A year of idleness is a pause; more is a clock that is wrong.
	for _, far := range []struct {
		ahead time.Duration
		ok    bool
	}{{30 * 24 * time.Hour, true}, {500 * 24 * time.Hour, false}} {
		c.set(start.Add(far.ahead))
		o := audittrail.Options{}.With(audittrail.Seams{FS: disk.Clone(), Now: c.Now})
		log = logtest.Open(t, "dir", o)
		_, err = append1()
		var wrong *audittrail.ClockError
		if far.ok != (err == nil) || !far.ok && !errors.As(err, &wrong) {
			t.Errorf("%v ahead: %v", far.ahead, err)
		}
		logtest.Close(t, log)
		o.AcceptClock = true
		o = o.With(audittrail.Seams{FS: disk.Clone(), Now: c.Now})
		if log, err = audittrail.Open("dir", o); err != nil {
			t.Fatal(err)
		}
		if _, err := append1(); err != nil {
			t.Errorf("%v ahead, accepted: %v", far.ahead, err)
		}
		logtest.Close(t, log)
	}
}

// TestCancelledAppend gives up on an append while it is being synced. The next
// append of the same id then returns its record.
func TestCancelledAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		log := logtest.Open(t, "dir", onDisk(disk))
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "in front"})
		release := make(chan struct{})
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".jsonl") {
				<-release
			}
			return nil
		})
		e := event.Event{ID: "x", Type: event.Prompt, Prompt: "once"}
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan error, 1)
		go func() {
			_, err := log.Append(ctx, e)
			given <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled one: %v, want context.Canceled", err)
		}
		var again audittrail.Receipt
		go func() {
			var err error
			again, err = log.Append(context.Background(), e)
			given <- err
		}()
		synctest.Wait()
		close(release)
		if err := <-given; err != nil || again.Seq != 1 || !again.Duplicate {
			t.Errorf("again: %+v, %v, want a duplicate of record 1", again, err)
		}
		if n := size(t, log); n != 2 {
			t.Errorf("%d records, want 2", n)
		}
		logtest.Close(t, log)
	})
}
