package audittrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"audittrail/internal/remnant"
	"audittrail/internal/segment"
	"audittrail/record"
)

// A SegmentHeldError means that holds keep a segment from being dropped.
type SegmentHeldError struct {
	First uint64
	Holds []Hold
}

func (e *SegmentHeldError) Error() string {
	ids := make([]string, len(e.Holds))
	for i, h := range e.Holds {
		ids[i] = h.ID
	}
	return fmt.Sprintf("the segment of record %d is held by %s: release the hold first", e.First, strings.Join(ids, ", "))
}

// HoldsOn returns the holds that keep any record of a segment, which is given by
// its first record. One that was archived is read where it is.
func (l *Log) HoldsOn(ctx context.Context, first uint64) ([]Hold, error) {
	found, err := l.holdsOn(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("look for what is held in the segment of record %d: %w", first, err)
	}
	return found, nil
}

func (l *Log) holdsOn(ctx context.Context, first uint64) ([]Hold, error) {
	holds, err := l.Holds(ctx)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	infos, err := l.store.Segments()
	if err != nil {
		return nil, err
	}
	subjects := make(map[string]record.Subject)
	for _, h := range holds {
		if s, ok, err := l.ring.LookupUser(h.User); err != nil {
			return nil, err
		} else if ok && h.User != "" {
			subjects[h.User] = s
		}
	}
	met := make([]bool, len(holds))
	left := len(holds)
	for _, g := range infos {
		if g.First != first {
			continue
		}
		err = l.scan(ctx, g.First, g.First+g.Records, func(_, _ []byte) bool { return left > 0 }, func(r *record.Record) error {
			for i := range holds {
				// What governs the log stays anyway.
				if !met[i] && !r.Event.Type.Reserved() && holds[i].Matches(r, func(u string) bool { s, ok := subjects[u]; return ok && s == r.Subject }) {
					met[i] = true
					left--
				}
			}
			return nil
		})
	}
	var found []Hold
	for i, h := range holds {
		if met[i] {
			found = append(found, h)
		}
	}
	return found, err
}

// everyLine yields the lines of the records from (inclusive) to to (exclusive),
// also of those that were archived, which are read where they are. Those that
// were dropped are passed over. A line is valid until the next one.
func (l *Log) everyLine(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		infos, err := l.store.Segments()
		var said map[uint64]remnant.Statement
		if err == nil {
			said, err = l.statements(ctx)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for _, g := range infos {
			if g.First+g.Records <= from || g.First >= to {
				continue
			}
			lines := l.store.Lines(ctx, max(from, g.First), min(to, g.First+g.Records))
			if s, ok := said[g.First]; ok && g.Gone != nil && !s.Dropped {
				lines = l.fromArchive(ctx, &g, &s)
			}
			for line, err := range lines {
				t, _ := record.ParseTail(line)
				if err == nil && (t.Seq < from || t.Seq >= to) {
					continue
				}
				if !yield(line, err) || err != nil {
					return
				}
			}
		}
	}
}

// fromArchive yields the lines of an archive.
func (l *Log) fromArchive(ctx context.Context, g *segment.Info, s *remnant.Statement) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line, err := range l.keeper().Lines(ctx, s) {
			if err != nil && ctx.Err() == nil {
				err = errors.Join(&ArchivedError{Seq: g.First, First: g.First, Archive: s.To}, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// archivedLines reads lines in ascending order, also such that were archived.
type archivedLines struct {
	log   *Log
	first uint64 // of the segment whose archive is open
	next  func() ([]byte, error, bool)
	stop  func()
}

func (a *archivedLines) close() {
	if a.stop != nil {
		a.stop()
	}
	a.stop = nil
}

func (a *archivedLines) line(ctx context.Context, seq uint64) ([]byte, error) {
	line, err := a.log.store.Line(seq)
	err = a.log.whereGone(ctx, err)
	var archived *ArchivedError
	if !errors.As(err, &archived) {
		return line, err
	}
	if a.stop == nil || a.first != archived.First {
		a.close()
		a.first = archived.First
		a.next, a.stop = iter.Pull2(a.log.everyLine(ctx, archived.First, record.MaxSeq))
	}
	for {
		line, err, ok := a.next()
		if err != nil || !ok {
			return nil, errors.Join(archived, err)
		}
		if t, _ := record.ParseTail(line); t.Seq == seq {
			return bytes.Clone(line), nil
		}
	}
}
