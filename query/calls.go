package query

import (
	"context"
	"fmt"
	"sync"

	"audittrail/event"
	"audittrail/query/internal/predicate"
)

// callPart selects which records of calls a query asks for.
type callPart uint8

const (
	unknownParts callPart = iota + 1
	begunParts
)

// maxHalves bounds the memory for joining halves of calls: if there are more,
// the log is read several times, each time for a share of them.
const maxHalves = 1 << 20

// joined caches which records do not count a call because another record counts
// it, for the log as the latest query found it.
type joined struct {
	mu   sync.Mutex
	log  string // identifies the state of the log
	told *predicate.Seqs

	testOnlyMost int // if not 0, instead of maxHalves
}

func (j *joined) most() uint64 {
	if j.testOnlyMost > 0 {
		return uint64(j.testOnlyMost)
	}
	return maxHalves
}

// join finds the records that tell of a call without counting it, if a plan
// asks for calls.
func (e *Engine) join(ctx context.Context, s *asked, p *plan) error {
	if p.calls == nil || p.calls.Unknown || p.calls.Begun || p.nothing {
		return nil
	}
	j := e.joined
	j.mu.Lock()
	defer j.mu.Unlock()
	log := fmt.Sprint(s.size, " ", e.x.Version())
	if j.told == nil || j.log != log {
		told, err := s.told(ctx, j.most())
		if err != nil {
			return err
		}
		j.told, j.log = told, log
	}
	p.calls.Told = j.told.Has
	return nil
}

// halves passes the records that may be parts of calls to use, in order.
func (s *asked) halves(ctx context.Context, use func(*predicate.Half) error) error {
	for _, c := range s.chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.First >= s.size {
			return nil
		}
		if c.Indexed() {
			rows, err := predicate.NewCallRows(c)
			if err != nil {
				return &indexError{err}
			}
			if err := rows.Each(s.size, use); err != nil {
				return &indexError{err}
			}
			continue
		}
		for r, err := range s.log.Records(ctx, c.First, min(c.First+uint64(c.Rows), s.size)) {
			if err != nil {
				return err
			}
			s.opened.Add(1)
			if h, ok := predicate.HalfOf(r); ok {
				if err := use(&h); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// The bits that describe a span.
const (
	hasAnswer uint8 = 1 << iota
	hasWhole
	hasTool
	hasFailed // an error, and one that counts the call was found
)

// told finds the records of calls that another record counts: requests that
// include their response and whose span has a response of its own, and errors
// whose span has another half, an earlier error, or a tool.
//
// Of such requests and of responses, it keeps the spans of the smaller set, and
// those of errors; where these are too many, it takes a share of the spans at a
// time.
func (s *asked) told(ctx context.Context, most uint64) (*predicate.Seqs, error) {
	var whole, answers, failed uint64
	err := s.halves(ctx, func(h *predicate.Half) error {
		switch h.Part {
		case event.CallComplete:
			whole++
		case event.CallResponse:
			answers++
		case event.CallFailed:
			failed++
		}
		return nil
	})
	told := new(predicate.Seqs)
	if err != nil || failed == 0 && (whole == 0 || answers == 0) {
		return told, err
	}
	fewer := event.CallComplete
	if answers < whole {
		fewer = event.CallResponse
	}
	shares := 1 + (failed+min(whole, answers))/most
	for share := range shares {
		if err := s.toldOf(ctx, told, fewer, share, shares); err != nil {
			return nil, err
		}
	}
	return told, nil
}

// toldOf is told for a share of the spans.
func (s *asked) toldOf(ctx context.Context, told *predicate.Seqs, fewer event.CallPart, share, shares uint64) error {
	spans := make(map[uint64]uint8)
	of := func(h *predicate.Half) (uint64, bool) {
		key, ok := h.Span()
		return key, ok && key%shares == share
	}
	what := func(h *predicate.Half) uint8 {
		switch {
		case h.Part == event.CallResponse:
			return hasAnswer
		case h.Part == event.CallComplete:
			return hasWhole
		case h.Type.OfTool():
			return hasTool
		}
		return 0
	}
	err := s.halves(ctx, func(h *predicate.Half) error {
		if h.Part != fewer && h.Part != event.CallFailed {
			return nil
		}
		if key, ok := of(h); ok {
			spans[key] |= what(h)
		}
		return nil
	})
	if err != nil || len(spans) == 0 {
		return err
	}
	err = s.halves(ctx, func(h *predicate.Half) error {
		has := what(h)
		if has == 0 || h.Part == fewer {
			return nil
		}
		if key, ok := of(h); ok {
			if old, ok := spans[key]; ok && old&has == 0 {
				spans[key] = old | has
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.halves(ctx, func(h *predicate.Half) error {
		if h.Part != event.CallComplete && h.Part != event.CallFailed {
			return nil
		}
		key, ok := of(h)
		has, known := spans[key]
		if !ok || !known {
			return nil
		}
		switch {
		case h.Part == event.CallComplete:
			if has&hasAnswer != 0 {
				told.Add(h.Seq)
			}
		case has != 0:
			told.Add(h.Seq)
		default:
			spans[key] |= hasFailed
		}
		return nil
	})
}

// CountUnknownCalls returns how many matching records may or may not count
// calls: prompts of record format 1 whose content cannot be read, and whose
// cleartext fields do not tell whether there was a response.
func (e *Engine) CountUnknownCalls(ctx context.Context, q Query) (uint64, error) {
	q.Calls, q.part = false, unknownParts
	return e.Count(ctx, q)
}

// RequestCounts counts the calls whose requests are records of their own, and
// those without a response.
type RequestCounts struct {
	Requests     uint64 // requests that do not include their response
	Unanswered   uint64 // of these, those without a response in their span or trace
	Uncorrelated uint64 // of these, those that cannot be joined to a response: not known
}

// CountRequests counts the matching requests that are records of their own, and
// those of them that were never answered: the log has no response, embedding,
// error or guardrail's block in the same span, or in the same trace if one of
// the two records names no span.
func (e *Engine) CountRequests(ctx context.Context, q Query) (RequestCounts, error) {
	q.Calls, q.part, q.Limit, q.Cursor, q.OldestFirst = false, begunParts, 0, "", true
	b, err := e.begun(ctx, &q)
	if err != nil {
		return RequestCounts{}, fmt.Errorf("query: %w", err)
	}
	return b, nil
}

func (e *Engine) begun(ctx context.Context, q *Query) (b RequestCounts, err error) {
	p, err := e.plan(ctx, q)
	if err != nil || p.nothing {
		return b, err
	}
	leave, err := e.take(ctx)
	if err != nil {
		return b, err
	}
	defer leave()
	err = e.ask(ctx, q, func(s *asked) (err error) {
		b, err = s.begun(ctx, p, q.From, e.joined.most())
		return err
	})
	return b, err
}

// begun is CountRequests for a prepared query.
func (s *asked) begun(ctx context.Context, p *plan, from uint64, most uint64) (RequestCounts, error) {
	var b RequestCounts
	asked := new(predicate.Seqs)
	sinks, err := s.total(ctx, p, min(from, s.size), s.size, func() (sink, error) { return new(listed), nil })
	for _, sink := range sinks {
		for _, seq := range *sink.(*listed) {
			asked.Add(seq)
			b.Requests++
		}
	}
	if err != nil || b.Requests == 0 {
		return b, err
	}
	shares := 1 + b.Requests/most
	for share := range shares {
		n, loose, err := s.begunOf(ctx, asked, share, shares)
		if err != nil {
			return b, err
		}
		b.Unanswered += n
		if share == 0 {
			b.Uncorrelated = loose
		}
	}
	return b, nil
}

// listed collects the sequence numbers of matching records.
type listed []uint64

func (l *listed) add(some batch) error {
	switch some := some.(type) {
	case rows:
		*l = append(*l, some.Seqs()...)
	case opened:
		for _, r := range some {
			*l = append(*l, r.Seq)
		}
	}
	return nil
}

// A begunTrace counts the requests and responses of a trace that their span
// does not join.
type begunTrace struct {
	asked, spanless       int64 // requests with a span, and without
	answers, spanlessOnes int64 // responses likewise
}

// open returns how many requests can have no response.
func (t *begunTrace) open() int64 {
	left := t.spanless - t.spanlessOnes
	if left < 0 { // responses without a span can answer any request
		return max(0, t.asked+left)
	}
	return t.asked + max(0, left-t.answers)
}

func (s *asked) begunOf(ctx context.Context, asked *predicate.Seqs, share, shares uint64) (open, loose uint64, err error) {
	spans := make(map[uint64]int64) // requests in a span without a response so far
	traces := make(map[uint64]*begunTrace)
	err = s.halves(ctx, func(h *predicate.Half) error {
		if h.Part != event.CallRequest || !asked.Has(h.Seq) {
			return nil
		}
		trace, ok := h.Trace()
		if !ok {
			loose++
			return nil
		}
		if trace%shares != share {
			return nil
		}
		t := traces[trace]
		if t == nil {
			t = new(begunTrace)
			traces[trace] = t
		}
		if span, ok := h.Span(); ok {
			spans[span]++
			t.asked++
		} else {
			t.spanless++
		}
		return nil
	})
	if err != nil || len(traces) == 0 {
		return 0, loose, err
	}
	err = s.halves(ctx, func(h *predicate.Half) error {
		if h.Part != event.CallResponse && h.Type != event.Failure && !h.Blocks {
			return nil
		}
		trace, _ := h.Trace()
		t := traces[trace]
		if t == nil {
			return nil
		}
		span, ok := h.Span()
		if !ok {
			t.spanlessOnes++
			return nil
		}
		switch n, asked := spans[span]; {
		case n > 0:
			spans[span]--
			t.asked--
		case !asked:
			t.answers++
		}
		return nil
	})
	for _, t := range traces {
		open += uint64(t.open())
	}
	return open, loose, err
}
