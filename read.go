package audittrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"

	"audittrail/keyring"
	"audittrail/record"
)

// A State says whether the content of a record can be read, and why not.
type State int

const (
	// Readable content is there.
	Readable State = iota
	// Sealed content cannot be read here: the log is open without its keyring.
	Sealed
	// Erased content is gone because its data subject was forgotten.
	Erased
	// Expired content is gone because its retention class's month has ended.
	Expired
	// Lost content cannot be read because a key is absent that no recorded
	// destruction explains.
	Lost
	// Archived and Dropped records have left the log, and their content with
	// them: see ArchivedError and DroppedError.
	Archived
	Dropped
	// Restricted content is there, and is not shown to the one who asks: the
	// person whom it is about has asked for that, or the asker has no permission.
	// The log itself does not use this state; who shows records does.
	Restricted
)

var stateNames = [...]string{"readable", "sealed", "erased", "expired", "lost", "archived", "dropped", "restricted"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return stateNames[s]
}

// MarshalText gives what String gives.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// stateOf reads the state from a keyring's error.
func stateOf(err error) (State, bool) {
	switch {
	case errors.Is(err, keyring.ErrErased):
		return Erased, true
	case errors.Is(err, keyring.ErrExpired):
		return Expired, true
	case errors.Is(err, keyring.ErrLost):
		return Lost, true
	}
	return Readable, false
}

// A Record is one record as its reader sees it. Where State is Readable, Event has
// the content; otherwise only the clear fields.
type Record struct {
	record.Record
	State State
}

// Get returns a record. Its line is checked against its hash, and against the
// tree as far as that goes; a disagreement is a *TamperError. A record that is
// not in the log any more is an *ArchivedError or a *DroppedError.
func (l *Log) Get(ctx context.Context, seq uint64) (*Record, error) {
	r, err := l.get(ctx, seq)
	var gone *ArchivedError
	if errors.As(err, &gone) && l.lock == nil {
		return l.get(ctx, seq) // it may have come back, and that was seen now
	}
	return r, err
}

func (l *Log) get(ctx context.Context, seq uint64) (*Record, error) {
	if seq >= l.store.Size() {
		if err := l.refresh(ctx); err != nil {
			return nil, err
		}
	}
	line, want, err := l.lineOf(seq)
	if err != nil {
		return nil, l.whereGone(ctx, err)
	}
	return l.view(line, seq, want)
}

// lineOf returns the line of a record, and the hash that the tree has of it, if
// it has one.
func (l *Log) lineOf(seq uint64) (line, want []byte, err error) {
	if line, err = l.store.Line(seq); err != nil || seq >= l.tree.Size() {
		return line, nil, err
	}
	var entry [1][32]byte
	if err := l.tree.ReadEntries(seq, entry[:]); err != nil {
		return nil, nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	return line, entry[0][:], nil
}

// view decodes, checks and opens a line, which it keeps. want is the hash that
// the tree has, if it has one.
func (l *Log) view(line []byte, seq uint64, want []byte) (*Record, error) {
	out, err := checked(line, seq, want)
	if err != nil {
		return nil, err
	}
	key, state, err := l.keyOf(&out.Record)
	if err == nil && state == Readable {
		err = out.OpenWith(key)
	}
	if err != nil {
		return nil, fmt.Errorf("open record %d: %w", seq, err)
	}
	out.State = state
	return out, nil
}

// checked decodes a line and checks its hash.
func checked(line []byte, seq uint64, want []byte) (*Record, error) {
	r, err := record.Decode(line)
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	covered, _ := record.Covered(line) // Decode has seen the end
	got := record.HashOf(covered)
	if got != r.Hash {
		return nil, &TamperError{Seq: seq, Want: r.Hash, Got: got}
	}
	if want != nil && !bytes.Equal(got[:], want) {
		return nil, &TamperError{Seq: seq, Want: record.Hash(want), Got: got}
	}
	return &Record{Record: *r, State: Sealed}, nil
}

// Find returns the record that has an id: a UUID, or the id that the client
// gave in another form. The error is ErrNoRecord if there is none.
func (l *Log) Find(ctx context.Context, id string) (*Record, error) {
	want, err := record.ParseID(id)
	if err != nil {
		if l.ring == nil {
			return nil, fmt.Errorf("find an id that is not a UUID: %w", ErrNoKeys)
		}
		want = l.ring.ClientID(id)
	}
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	seqs, err := l.store.FindID(ctx, want)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		r, err := l.Get(ctx, seq)
		if err != nil {
			if same, serr := l.store.HasID(seq, want); serr == nil && !same {
				continue
			}
			return nil, err
		}
		if r.ID == want {
			return r, nil
		}
	}
	return nil, fmt.Errorf("find record %s: %w", want, ErrNoRecord)
}

// Records yields the records from (inclusive) to to (exclusive) in order, each
// checked as Get does. It ends where the log ended when it began. After an
// error it yields no more.
//
// It passes over the records that were archived or dropped, but for those that
// govern the log or tell what was done with it, which stay: a gap in the
// sequence numbers shows that, Segments says which ranges they are, and Get of
// one where it is.
func (l *Log) Records(ctx context.Context, from, to uint64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := l.refresh(ctx); err != nil {
			yield(nil, err)
			return
		}
		l.records(ctx, from, to, yield)
	}
}

// A span is consecutive lines, and what is made of them.
type span struct {
	first   uint64
	lines   [][]byte
	bytes   int
	entries [][32]byte // the hashes of the first of them that the tree has

	done    chan struct{} // closed when the records are there
	records []*Record
	err     error // why there are no more records
}

const (
	// A span ends at whichever comes first. The first one is short, for who
	// reads only a few records.
	firstSpan = 16
	spanLines = 256
	spanBytes = 1 << 20
)

// records yields what there is, and returns the sequence number behind it, and
// whether to go on. Spans are opened on all processors, and yielded in order.
func (l *Log) records(ctx context.Context, from, to uint64, yield func(*Record, error) bool) (uint64, bool) {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan *span, 2*runtime.GOMAXPROCS(0))
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() {
		defer close(queue)
		for s := range l.spans(ctx, from, to) {
			select {
			case queue <- s:
				working.Go(func() { l.openSpan(s) })
			case <-ctx.Done():
				return
			}
		}
	})
	seq := from
	for s := range queue {
		<-s.done
		for _, r := range s.records {
			if !yield(r, nil) {
				return seq, false
			}
			seq = r.Seq + 1
		}
		if s.err != nil {
			yield(nil, s.err)
			return seq, false
		}
	}
	return seq, true
}

// spans yields the lines from one sequence number to another in pieces. After
// one with an error it yields no more.
func (l *Log) spans(ctx context.Context, from, to uint64) iter.Seq[*span] {
	return func(yield func(*span) bool) {
		treeSize := l.tree.Size()
		s, limit := &span{first: from, done: make(chan struct{})}, firstSpan
		put := func() bool {
			next := s.first + uint64(len(s.lines))
			if s.err == nil && s.first < treeSize {
				s.entries = make([][32]byte, min(next, treeSize)-s.first)
				if err := l.tree.ReadEntries(s.first, s.entries); err != nil {
					s.lines, s.err = nil, fmt.Errorf("read record %d: %w", s.first, err)
				}
			}
			last := s.err != nil
			if !yield(s) || last {
				return false
			}
			s, limit = &span{first: next, done: make(chan struct{})}, spanLines
			return true
		}
		for line, err := range l.store.Lines(ctx, from, to) {
			if err != nil {
				if len(s.lines) > 0 && !put() {
					return
				}
				s.err = err
				put()
				return
			}
			t, _ := record.ParseTail(line) // Lines has looked at it
			if t.Seq != s.first+uint64(len(s.lines)) {
				// Those between have left the log.
				if len(s.lines) > 0 && !put() {
					return
				}
				s.first = t.Seq
			}
			s.lines = append(s.lines, bytes.Clone(line))
			s.bytes += len(line)
			if (len(s.lines) >= limit || s.bytes >= spanBytes) && !put() {
				return
			}
		}
		if len(s.lines) > 0 {
			put()
		}
	}
}

// openSpan makes records of a span's lines.
func (l *Log) openSpan(s *span) {
	defer close(s.done)
	s.records = make([]*Record, 0, len(s.lines))
	for i, line := range s.lines {
		var want []byte
		if i < len(s.entries) {
			want = s.entries[i][:]
		}
		r, err := l.view(line, s.first+uint64(i), want)
		if err != nil {
			s.err = err
			return
		}
		s.records = append(s.records, r)
	}
}

// followPoll is how often a reader looks whether a writer in another process
// has come further.
const followPoll = 50 * time.Millisecond

// Follow yields the records from a sequence number on, and then every new one
// as it becomes durable, until ctx ends or the log is closed.
func (l *Log) Follow(ctx context.Context, from uint64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		poll := time.NewTicker(followPoll)
		defer poll.Stop()
		for {
			changed := l.changed.wait()
			if err := l.refresh(ctx); err != nil {
				yield(nil, err)
				return
			}
			next, ok := l.records(ctx, from, record.MaxSeq, yield)
			if !ok {
				return
			}
			from = next
			l.mu.Lock()
			closed := l.closed
			l.mu.Unlock()
			if closed {
				return
			}
			// The writer itself is told; a reader has to look.
			tick := poll.C
			if l.lock != nil {
				tick = nil
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-tick:
			}
		}
	}
}
