package query

import (
	"slices"
	"sync"
	"time"

	"audittrail/query/internal/predicate"
)

// An Explanation tells how queries were answered: see Engine.WithExplanation.
type Explanation struct {
	mu sync.Mutex // guards all below, while a query runs

	Chunks   []ExplainedChunk // in the order of the log
	Opened   uint64           // records that were read from the log
	Notes    []string         // what deviated from the normal course
	Snapshot time.Duration    // how long it took to take a snapshot of the index
}

// An ExplainedChunk describes a part of the log, and how the query read it.
type ExplainedChunk struct {
	First   uint64 // the sequence number of its first record
	Records int
	Indexed bool   // otherwise it is read from the log
	Skipped string // why none of its rows was read; empty if some were
	Rows    uint64 // that the index could not rule out
	Read    uint64 // of these, how many were examined
	Matched uint64 // of these, how many matched, as far as the index can tell
	Opens   bool   // matching records have to be opened to be sure

	LookupTime time.Duration // in the index
	FilterTime time.Duration // through its rows, on all processors together
}

// WithExplanation returns an engine that fills x for a query.
func (e *Engine) WithExplanation(x *Explanation) *Engine {
	with := *e
	with.explain = x
	return &with
}

func (x *Explanation) note(text string) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Notes = append(x.Notes, text)
}

// begin begins another attempt.
func (x *Explanation) begin(chunks int, took time.Duration) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Chunks, x.Snapshot = make([]ExplainedChunk, 0, chunks), took
}

func (x *Explanation) end(opened uint64) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Opened += opened
	slices.SortFunc(x.Chunks, func(a, b ExplainedChunk) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
}

// chunk returns the explanation of a view's chunk. The caller holds mu.
func (x *Explanation) chunk(v *predicate.View) *ExplainedChunk {
	for i := range x.Chunks {
		if x.Chunks[i].First == v.First() {
			return &x.Chunks[i]
		}
	}
	x.Chunks = append(x.Chunks, ExplainedChunk{
		First: v.First(), Records: v.Len(), Indexed: v.Indexed(),
		Skipped: v.Nothing(), Rows: v.Left(), Opens: v.Unsure(),
	})
	return &x.Chunks[len(x.Chunks)-1]
}

func (x *Explanation) prepared(v *predicate.View, took time.Duration) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.chunk(v)
	c.LookupTime = max(c.LookupTime, took)
}

func (x *Explanation) filtered(v *predicate.View, read, matched int, took time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.chunk(v)
	c.Read += uint64(read)
	c.Matched += uint64(matched)
	c.FilterTime += took
}
