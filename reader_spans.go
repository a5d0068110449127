package audittrail

import (
	"bytes"
	"context"
	"iter"
	"runtime"
	"sync"

	"audittrail/record"
)

// A span is a run of consecutive lines, and the records from them.
type span struct {
	first   uint64
	lines   [][]byte
	bytes   int
	entries [][32]byte // the entries in the tree's file of the first of them

	done    chan struct{} // closed when the records are ready
	records []*record.Record
	err     error // why there are no more records
}

const (
	// Limits of a span. The first span is short, since a caller may read only a
	// few records.
	firstSpan = 16
	spanLines = 256
	spanBytes = 1 << 20
)

// records yields the records from (inclusive) to to (exclusive) that are in the
// log's folder, and returns the sequence number after the last, and whether to
// continue. Spans are decrypted on all processors, and yielded in order.
func (l *reader) records(ctx context.Context, from, to uint64, yield func(*record.Record, error) bool) (uint64, bool) {
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
				working.Go(func() { l.openSpan(ctx, s) })
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

// spans yields the lines from one sequence number to another in pieces. After a
// span with an error it yields no more.
func (l *reader) spans(ctx context.Context, from, to uint64) iter.Seq[*span] {
	return func(yield func(*span) bool) {
		s, limit := &span{first: from, done: make(chan struct{})}, firstSpan
		put := func() bool {
			next := s.first + uint64(len(s.lines))
			if size := l.tree.Files.Size(); s.err == nil && s.first < size {
				s.entries = make([][32]byte, min(next, size)-s.first)
				if l.tree.Files.ReadEntries(s.first, s.entries) != nil {
					s.entries = nil // entries are derived
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
			t, _ := record.ParseChainLink(line) // Lines has checked it
			if t.Seq != s.first+uint64(len(s.lines)) {
				// The records in between have left the log.
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

// openSpan decodes, checks and decrypts a span's lines.
func (l *reader) openSpan(ctx context.Context, s *span) {
	defer close(s.done)
	s.records = make([]*record.Record, 0, len(s.lines))
	for i, line := range s.lines {
		var entry []byte
		if i < len(s.entries) {
			entry = s.entries[i][:]
		}
		r, err := l.view(ctx, line, s.first+uint64(i), entry)
		if err != nil {
			s.err = err
			return
		}
		s.records = append(s.records, r)
	}
}
