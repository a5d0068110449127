package predicate

import (
	"cmp"
	"encoding/hex"
	"hash/maphash"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/index/block"
	"audittrail/record"
)

// Calls is the condition that a record counts a call: see event.Call.
type Calls struct {
	// Told reports whether another record counts the call. It is set before the
	// condition is evaluated.
	Told func(seq uint64) bool
	// Unknown selects the records that may or may not count a call instead.
	Unknown bool
	// Begun selects the records that begin a call instead.
	Begun bool
}

// Holds decides for one record.
func (c *Calls) Holds(r *record.Record) bool {
	parts, known := r.KnownParts()
	return c.is(event.Call(&r.Event, parts, known), r.Seq)
}

func (c *Calls) is(part event.CallPart, seq uint64) bool {
	switch {
	case c.Unknown:
		return part == event.CallUnknown
	case c.Begun:
		return part == event.CallRequest
	case part == event.CallResponse:
		return true
	}
	return (part == event.CallComplete || part == event.CallFailed) && !c.Told(seq)
}

func (c *Calls) narrow(v *View, n *narrowing) error {
	rows, err := NewCallRows(v.chunk)
	if err != nil {
		return err
	}
	if !rows.any {
		n.none = "no record is a part of a call"
		return nil
	}
	n.tests = append(n.tests, func(w *Window) error {
		var e event.Event
		w.keep(func(i int) bool {
			row := w.Rows[i]
			return rows.has(int(row)) && c.is(rows.part(&e, int(row)), v.chunk.First+uint64(row))
		})
		return nil
	})
	return nil
}

// CallRows tells which parts of calls the rows of an indexed chunk are.
type CallRows struct {
	chunk *index.Chunk
	any   bool // some row may be a part of a call
	half  bool // or may belong to a call in another chunk: see Half

	types, parts, models, tools, finish, outcomes *block.Texts
	latency, output                               *block.Numbers
	kinds                                         []event.Type // by code of types; empty: a type that Each skips
	lists                                         []partList   // by code of parts

	domains, traces, spans, calls *block.Texts // loaded when first needed
}

type partList struct {
	parts event.Parts
	known bool
}

// NewCallRows reads the columns of a chunk that is indexed.
func NewCallRows(c *index.Chunk) (*CallRows, error) {
	r := &CallRows{chunk: c}
	var err error
	if r.types, err = c.Texts(block.Type); err != nil {
		return nil, err
	}
	r.kinds = make([]event.Type, r.types.Values())
	for code := range r.kinds {
		switch t := event.Type(r.types.Value(uint32(code))); {
		case t == event.Prompt, t == event.Response, t == event.Embedding, t == event.Failure:
			r.any, r.half = true, true
			r.kinds[code] = t
		case t.OfTool(), t == event.Guardrail:
			r.half = true
			r.kinds[code] = t
		}
	}
	if !r.half {
		return r, nil
	}
	for col, to := range map[block.TextColumn]**block.Texts{
		block.Parts: &r.parts, block.Model: &r.models, block.Tool: &r.tools, block.FinishReason: &r.finish, block.Outcome: &r.outcomes,
	} {
		if *to, err = c.Texts(col); err != nil {
			return nil, err
		}
	}
	if r.latency, err = c.Numbers(block.Latency); err != nil {
		return nil, err
	}
	if r.output, err = c.Numbers(block.OutputTokens); err != nil {
		return nil, err
	}
	r.lists = make([]partList, r.parts.Values())
	for code := range r.lists {
		r.lists[code] = parseParts(r.parts.Value(uint32(code)))
	}
	return r, nil
}

// parseParts parses a value of the column Parts.
func parseParts(s string) partList {
	if s == block.NoParts {
		return partList{known: true}
	}
	p, err := event.ParseParts([]byte(`["` + strings.ReplaceAll(s, ",", `","`) + `"]`))
	return partList{p, err == nil}
}

// blocks reports whether an outcome of a guardrail says that there is no
// response.
func blocks(t event.Type, outcome string) bool {
	return t == event.Guardrail && (outcome == event.OutcomeBlocked || outcome == event.OutcomeRefused)
}

// has reports whether a row can be a half of a call.
func (r *CallRows) has(row int) bool { return r.kinds[r.types.Code(row)] != "" }

// These represent a value that is present, whatever it is.
var (
	someNumber  int64
	someLatency time.Duration
	someTool    = event.Tool{Name: "some"}
)

// part returns which part of a call a row is. It writes to e.
func (r *CallRows) part(e *event.Event, row int) event.CallPart {
	e.Type, e.ModelID, e.FinishReason, e.OutputTokens, e.Latency, e.Tool = r.kinds[r.types.Code(row)], "", "", nil, nil, nil
	var list partList
	switch e.Type {
	case event.Prompt:
		list = r.lists[r.parts.Code(row)]
		if r.finish.Code(row) != 0 {
			e.FinishReason = "some"
		}
		if _, ok := r.output.At(row); ok {
			e.OutputTokens = &someNumber
		}
		if _, ok := r.latency.At(row); ok {
			e.Latency = &someLatency
		}
	case event.Failure:
		if r.models.Code(row) != 0 {
			e.ModelID = "some"
		}
		if r.tools.Code(row) != 0 {
			e.Tool = &someTool
		}
	}
	return event.Call(e, list.parts, list.known)
}

// A Half is a record that may be a part of a call, or tells why there is none.
type Half struct {
	Seq  uint64
	Type event.Type
	Part event.CallPart
	// Blocks is set if a guardrail kept a request from being answered.
	Blocks bool
	// Span and Trace identify the records that belong together: those with the
	// same key. They are called only if needed.
	Span, Trace func() (key uint64, ok bool)
}

// Each calls use for the rows that have not left the log, in order, up to a
// sequence number. The Half is valid during the call.
func (r *CallRows) Each(to uint64, use func(*Half) error) error {
	if !r.half {
		return nil
	}
	var e event.Event
	row, gone := 0, r.chunk.Gone
	h := new(Half)
	var failed error
	h.Span = func() (uint64, bool) {
		call, domain, trace, span, err := r.ids(row)
		failed = cmp.Or(failed, err)
		return SpanKey(call, domain, trace, span)
	}
	h.Trace = func() (uint64, bool) {
		call, domain, trace, span, err := r.ids(row)
		failed = cmp.Or(failed, err)
		return TraceKey(call, domain, trace, span)
	}
	for ; row < r.chunk.Rows && r.chunk.First+uint64(row) < to; row++ {
		for len(gone) > 0 && row >= gone[0][1] {
			gone = gone[1:]
		}
		if len(gone) > 0 && row >= gone[0][0] || !r.has(row) {
			continue
		}
		h.Seq, h.Type, h.Part = r.chunk.First+uint64(row), r.kinds[r.types.Code(row)], r.part(&e, row)
		h.Blocks = h.Type == event.Guardrail && blocks(h.Type, r.outcomes.Value(r.outcomes.Code(row)))
		if err := use(h); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// ids returns the ids that join a row to others, as bytes.
func (r *CallRows) ids(row int) (call, domain, trace, span string, err error) {
	if r.spans == nil {
		for col, to := range map[block.TextColumn]**block.Texts{
			block.Call: &r.calls, block.Domain: &r.domains, block.Trace: &r.traces, block.Span: &r.spans,
		} {
			if *to, err = r.chunk.Texts(col); err != nil {
				return "", "", "", "", err
			}
		}
	}
	return r.calls.Raw(r.calls.Code(row)), r.domains.Raw(r.domains.Code(row)), r.traces.Raw(r.traces.Code(row)), r.spans.Raw(r.spans.Code(row)), nil
}

// HalfOf returns the half that a record is, if it can be one.
func HalfOf(r *record.Record) (h Half, ok bool) {
	e := &r.Event
	parts, known := r.KnownParts()
	h = Half{Seq: r.Seq, Type: e.Type, Part: event.Call(e, parts, known), Blocks: blocks(e.Type, e.Outcome)}
	if h.Part == event.NoCall && e.Type != event.Failure && !e.Type.OfTool() && !h.Blocks {
		return h, false
	}
	call := ""
	if r.Call != (record.CallID{}) {
		call = string(r.Call[:])
	}
	trace, span := bytesOf(e.TraceID), bytesOf(e.SpanID)
	h.Span = func() (uint64, bool) { return SpanKey(call, r.Domain, trace, span) }
	h.Trace = func() (uint64, bool) { return TraceKey(call, r.Domain, trace, span) }
	return h, true
}

func bytesOf(digits string) string {
	b, err := hex.DecodeString(digits)
	if err != nil {
		return ""
	}
	return string(b)
}

var keySeed = maphash.MakeSeed()

// SpanKey returns a key that is equal for the records of one call: those with
// the same call id or, without one, with the same span in the same trace and
// domain.
func SpanKey(call, domain, trace, span string) (key uint64, ok bool) {
	if call != "" {
		return keyOf("call", call), true
	}
	if span == "" {
		return 0, false
	}
	return keyOf("span", domainOf(domain), trace, span), true
}

// TraceKey returns a key that is equal for the records of one trace in a
// domain; without a trace it is SpanKey.
func TraceKey(call, domain, trace, span string) (key uint64, ok bool) {
	if trace == "" {
		return SpanKey(call, domain, trace, span)
	}
	return keyOf("trace", domainOf(domain), trace), true
}

// localDomain is the domain of records that name none.
const localDomain = "local"

func domainOf(name string) string {
	if name == "" {
		return localDomain
	}
	return name
}

func keyOf(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(keySeed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0) // only the last value may contain a zero byte
	}
	return h.Sum64()
}

// Seqs is a set of sequence numbers.
type Seqs struct{ of map[uint32]*roaring.Bitmap }

// Add adds a sequence number.
func (s *Seqs) Add(seq uint64) {
	if s.of == nil {
		s.of = make(map[uint32]*roaring.Bitmap)
	}
	b := s.of[uint32(seq>>32)]
	if b == nil {
		b = roaring.New()
		s.of[uint32(seq>>32)] = b
	}
	b.Add(uint32(seq))
}

// Has reports whether the set contains a sequence number.
func (s *Seqs) Has(seq uint64) bool {
	b := s.of[uint32(seq>>32)]
	return b != nil && b.Contains(uint32(seq))
}
