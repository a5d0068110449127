package audittrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
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
)

var stateNames = [...]string{"readable", "sealed", "erased", "expired", "lost"}

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
// tree as far as that goes; a disagreement is a *TamperError.
func (l *Log) Get(ctx context.Context, seq uint64) (*Record, error) {
	if seq >= l.store.Size() {
		if err := l.refresh(ctx); err != nil {
			return nil, err
		}
	}
	line, err := l.store.Line(seq)
	if err != nil {
		return nil, err
	}
	if seq < l.tree.Size() {
		var want [1][32]byte
		if err := l.tree.ReadEntries(seq, want[:]); err != nil {
			return nil, fmt.Errorf("read record %d: %w", seq, err)
		}
		return l.view(line, seq, want[0][:])
	}
	return l.view(line, seq, nil)
}

// view decodes, checks and opens a line, which it keeps. want is the hash that
// the tree has, if it has one.
func (l *Log) view(line []byte, seq uint64, want []byte) (*Record, error) {
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
	out := &Record{Record: *r, State: Sealed}
	if l.ring == nil {
		return out, nil
	}
	prk, err := l.ring.ForOpening(r.Subject, r.Class)
	if state, ok := stateOf(err); ok {
		out.State = state
		return out, nil
	}
	if err == nil {
		err = out.Open(prk)
	}
	if err != nil {
		return nil, fmt.Errorf("open record %d: %w", seq, err)
	}
	out.State = Readable
	return out, nil
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
func (l *Log) Records(ctx context.Context, from, to uint64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := l.refresh(ctx); err != nil {
			yield(nil, err)
			return
		}
		l.records(ctx, from, to, yield)
	}
}

// records yields what there is, and returns the sequence number behind it, and
// whether to go on.
func (l *Log) records(ctx context.Context, from, to uint64, yield func(*Record, error) bool) (uint64, bool) {
	const ahead = 256
	entries := make([][32]byte, 0, ahead)
	first := from // of entries
	treeSize := l.tree.Size()
	seq := from
	for line, err := range l.store.Lines(ctx, from, to) {
		if err != nil {
			return seq, yield(nil, err) && false
		}
		var want []byte
		if seq < treeSize {
			if at := seq - first; at >= uint64(len(entries)) {
				first, entries = seq, entries[:min(ahead, treeSize-seq)]
				if err := l.tree.ReadEntries(seq, entries); err != nil {
					return seq, yield(nil, fmt.Errorf("read record %d: %w", seq, err)) && false
				}
			}
			want = entries[seq-first][:]
		}
		r, err := l.view(bytes.Clone(line), seq, want)
		if !yield(r, err) || err != nil {
			return seq, false
		}
		seq++
	}
	return seq, true
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
