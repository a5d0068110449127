package audittrail

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/segment"
	"audittrail/keyring"
	"audittrail/record"
)

var destructions = []event.Type{event.SubjectErased, event.ClassExpired}

// A toll is what orders destroyed.
type toll struct {
	subjects map[record.Subject]struct{}
	classes  map[string]struct{}
	last     *content.Record // the newest order
}

// take adds what a record orders.
func (t *toll) take(r *content.Record, system record.Subject) error {
	if r.Subject != system || r.State != Readable {
		return fmt.Errorf("record %d orders a destruction, and is not the log's own: run verify", r.Seq)
	}
	if t.subjects == nil {
		t.subjects, t.classes = map[record.Subject]struct{}{}, map[string]struct{}{}
	}
	t.last = r
	if r.Event.Type == event.SubjectErased {
		e, err := barrier.ReadErasure(r.Event.Metadata)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		for _, s := range e.Subjects {
			t.subjects[s] = struct{}{}
		}
		return nil
	}
	e, err := barrier.ReadExpiry(r.Event.Metadata)
	if err != nil {
		return fmt.Errorf("record %d: %w", r.Seq, err)
	}
	for _, c := range e.Classes {
		t.classes[c] = struct{}{}
	}
	return nil
}

// ordered adds to a toll what was ordered from a sequence number on.
func (l *Log) ordered(ctx context.Context, from uint64, t *toll) error {
	return l.records.EachOwn(ctx, from, destructions, func(r *content.Record) error { return t.take(r, l.ring.System()) })
}

// salvaged is ordered for a log that is damaged: it goes over all lines, in
// whatever place they stand, and goes by those that are whole and authentic.
func (l *Log) salvaged(ctx context.Context, t *toll) error {
	take := func(line []byte) {
		_, kind, ok := record.Glance(line)
		if end, whole := record.ParseTail(line); !ok || !whole || !slices.Contains(destructions, event.Type(kind)) || !record.Intact(line, &end) {
			return
		}
		if r, err := record.Decode(slices.Clone(line)); err == nil {
			if prk, err := l.ring.ForOpening(r.Subject, r.Class); err == nil && r.Open(prk) == nil {
				_ = t.take(&content.Record{Record: *r}, l.ring.System()) // of what is not authentic nothing is believed
			}
		}
	}
	for line, err := range l.store.Kept(ctx) {
		if err != nil {
			return err
		}
		take(line)
	}
	for raw, err := range l.store.Scan(ctx, segment.Pos{}) {
		if err != nil {
			return err
		}
		take(raw.Line)
	}
	return nil
}

// unapplied returns the number of the first record whose order the keyring may
// not have carried out.
func (l *Log) unapplied() uint64 {
	seq, hash := l.ring.Applied()
	if hash == (record.Hash{}) || seq >= l.store.Size() {
		return 0
	}
	// Where it is not known, everything is carried out again, which changes
	// nothing that is done.
	line, err := l.store.Line(seq)
	if t, ok := record.ParseTail(line); err != nil || !ok || t.Hash != hash {
		return 0
	}
	return seq + 1
}

// finishDestructions carries out what was ordered and is not done: a crash came
// in between, or an older keyring was brought back.
func (l *Log) finishDestructions(ctx context.Context) error {
	var t toll
	from := l.unapplied()
	if err := l.ordered(ctx, from, &t); err != nil {
		return err
	}
	if t.last == nil {
		l.advanceApplied(from)
	} else {
		d := &doom{late: true, hash: t.last.Hash, Doomed: Doomed{
			Subjects: slices.SortedFunc(maps.Keys(t.subjects), compareSubjects),
			Classes:  slices.Sorted(maps.Keys(t.classes)), Seq: t.last.Seq,
		}}
		if _, err := l.destroy(ctx, d); err != nil {
			return err
		}
	}
	return l.settleEscrows(ctx)
}

// manyRecords is how many administrative records are looked at again at every
// Open, rather than to write down that there is no order among them.
const manyRecords = 500

// advanceApplied tells the keyring that nothing up to the log's last
// administrative record is left to carry out.
func (l *Log) advanceApplied(from uint64) {
	seqs, err := l.store.Administrative(from)
	if err != nil || len(seqs) < manyRecords {
		return
	}
	last := seqs[len(seqs)-1]
	line, err := l.store.Line(last)
	if t, ok := record.ParseTail(line); err == nil && ok {
		err = l.ring.Destroy(keyring.Destruction{Seq: last, Hash: t.Hash})
	}
	if err != nil { // it is looked at again, then
		l.opts.Logger.Warn("write down what was carried out", slog.Any("error", err))
	}
}

// A guard keeps a reader from what its keyring still has and should not: it is
// older than the log, or a writer was stopped between order and deed.
type guard struct {
	mu         sync.RWMutex // guards what follows
	generation uint64       // of the keyring, when it was looked at
	next       uint64       // records in front of this one were looked at
	toll
}

// refused tells whether an order that the keyring has not heard of destroyed
// the keys of a subject or of a class.
func (l *Log) refused(s record.Subject, class string) (State, error) {
	if l.lock != nil {
		return Readable, nil
	}
	generation, err := l.ring.Follow()
	if err != nil {
		return Readable, err
	}
	g := &l.guard
	size := l.store.Size()
	g.mu.RLock()
	current := g.generation == generation && g.next >= size
	state := g.state(s, class)
	g.mu.RUnlock()
	if current {
		return state, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := l.look(g, generation, size); err != nil {
		return Readable, fmt.Errorf("look for what was ordered to be destroyed: %w", err)
	}
	return g.state(s, class), nil
}

func (g *guard) state(s record.Subject, class string) State {
	if _, ok := g.subjects[s]; ok {
		return Erased
	}
	if _, ok := g.classes[class]; ok {
		return Expired
	}
	return Readable
}

// guardAll looks once, at all lines of a log that may be damaged.
func (l *Log) guardAll(ctx context.Context) (err error) {
	g := &l.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation, err = l.ring.Follow(); err != nil {
		return err
	}
	g.next = record.MaxSeq + 1
	return l.salvaged(ctx, &g.toll)
}

// look brings a guard up to the log and its keyring.
func (l *Log) look(g *guard, generation, size uint64) error {
	from := g.next
	if g.generation != generation {
		g.toll = toll{}
		from = l.unapplied()
	}
	ctx := context.Background()
	if err := l.ordered(ctx, from, &g.toll); err != nil {
		l.opts.Logger.Warn("the log is damaged; going over all of it for what was ordered to be destroyed", slog.Any("error", err))
		if err := l.salvaged(ctx, &g.toll); err != nil {
			return err
		}
	}
	g.generation, g.next = generation, size
	return nil
}
