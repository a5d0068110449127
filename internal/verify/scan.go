package verify

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"audittrail/finding"
	"audittrail/internal/tree"
	"audittrail/internal/verify/lines"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// partLen is how much of a file one worker takes at a time.
const partLen = 4 << 20

// A part is a piece of a file: the lines that begin in [start, end).
type part struct {
	file       int
	start, end int64
	aligned    bool // a line begins at start
}

// A scan reads the log once, on all processors. Workers take part after part
// and check each by itself; their results are then put together in the order of
// the parts.
type scan struct {
	log   *Log
	parts []part
	cuts  []uint64 // sizes of heads, ascending: subtrees end there
	found *Findings
	files *tree.Comparison // of the tree
	pages *tree.Pages      // for subtrees that place completes

	next atomic.Int64 // part to be taken
	over atomic.Bool  // the scan has ended

	mu      sync.Mutex // guards all below
	done    map[int]*partResult
	turn    int // the part to be placed next
	started bool
	end     record.ChainLink // of the last line
	size    uint64           // one more than its sequence number
	rng     tlog.Range
	heads   []Head // not reached yet, ascending by size
	said    said
	left    []partResult // the tombstones of segments
	tail    *place       // where the first line beyond the signed ones begins
	read    uint64
	result  Result
	doubt   *doubt
	err     error
}

// A partResult is the result of checking the lines of a part.
type partResult struct {
	lines       uint64
	first, last record.ChainLink
	nodes       []node
	newer       uint64
	erased      uint64
	expired     uint64
	lost        []finding.Finding
	said        said
	gone        bool     // it is a tombstone
	sum         [32]byte // of the tombstone
	tail        *place   // of the first line beyond the signed ones
	doubt       *doubt
	err         error
}

// A place is where a line begins.
type place struct {
	file   int
	offset int64
}

// scan checks that lines, chain, tree and heads agree. It stops at the first
// doubt.
func (l *Log) scan(ctx context.Context, lost *Findings) (Result, *doubt, error) {
	s := &scan{log: l, found: lost, done: make(map[int]*partResult), files: tree.Compare(l.FS, l.Tree)}
	defer s.files.Close()
	s.pages = s.files.Pages()
	if d := s.begin(ctx); d != nil {
		return Result{}, d, ctx.Err()
	}
	var wg sync.WaitGroup
	for range max(1, min(cmp.Or(l.Workers, runtime.GOMAXPROCS(0)), len(s.parts))) {
		wg.Go(func() { s.work(ctx) })
	}
	wg.Wait()
	s.judge(ctx)
	s.finish()
	s.result.Bytes = s.read
	if ctx.Err() != nil {
		return Result{}, nil, ctx.Err()
	}
	if s.doubt == nil && s.err == nil {
		l.derived(s.files, s.size, lost)
	}
	return s.result, s.doubt, s.err
}

// begin lays out the parts, and reads the tree below From from its files.
func (s *scan) begin(ctx context.Context) *doubt {
	l := s.log
	s.heads = slices.Clone(l.Heads)
	slices.SortStableFunc(s.heads, bySize)
	s.heads = slices.DeleteFunc(s.heads, func(h Head) bool { return h.Size == 0 })
	for _, h := range s.heads {
		s.cuts = append(s.cuts, h.Size)
	}
	first := l.start()
	var offset int64
	if l.From > 0 {
		if d := s.below(); d != nil {
			return d
		}
		var d *doubt
		if offset, d = l.locate(first); d != nil {
			return d
		}
	} else if len(l.Files) > 0 && l.Files[0].First != 0 {
		return &doubt{file: l.Files[0].Name, detail: "the first segment does not begin with record 0"}
	}
	s.size = l.From
	for i := first; i < len(l.Files); i++ {
		f := l.Files[i]
		if f.Err != nil {
			return &doubt{seq: f.First, file: f.Name, detail: f.Err.Error()}
		}
		if f.Gone != nil {
			s.parts = append(s.parts, part{i, 0, f.Size, true})
			continue
		}
		length := cmp.Or(l.part, partLen)
		for start := offset; start < f.Size || start == offset; start += length {
			s.parts = append(s.parts, part{i, start, min(start+length, f.Size), start == offset})
		}
		offset = 0
	}
	return nil
}

// work takes parts until there are none.
func (s *scan) work(ctx context.Context) {
	w := &worker{log: s.log, cuts: s.cuts, signed: s.log.signed(), open: -1, lines: s.log.reader(), hash: tlog.NewHasher(), files: s.files.Pages()}
	w.contents.keys = s.log.Keys
	if s.log.Sides != nil {
		w.side = s.log.Sides.Comparer()
		defer w.side.Close()
	}
	defer w.close()
	for !s.over.Load() {
		n := int(s.next.Add(1)) - 1
		if n >= len(s.parts) {
			return
		}
		s.put(n, w.check(ctx, s.parts[n]))
	}
}

// put stores the result of a part, and places all results whose turn it is.
func (s *scan) put(n int, r *partResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[n] = r
	for s.doubt == nil && s.err == nil {
		r := s.done[s.turn]
		if r == nil {
			return
		}
		delete(s.done, s.turn)
		s.place(s.parts[s.turn], r)
		s.turn++
	}
	s.over.Store(true)
}

// place appends a part to the parts before it.
func (s *scan) place(p part, r *partResult) {
	f := &s.log.Files[p.file]
	if r.err != nil || r.doubt != nil {
		s.err, s.doubt = r.err, r.doubt
		return
	}
	s.read += uint64(p.end - p.start)
	if s.log.Progress != nil {
		s.log.Progress(s.read, s.log.total(s.parts[0].file))
	}
	wrong, taken := "", false
	switch {
	case p.start == 0 && f.First != s.size && (!r.gone || r.first.Seq != s.size):
		wrong = fmt.Sprintf("the file's name says %d", f.First)
	case p.end == 0 && p.file != len(s.log.Files)-1:
		wrong = "the file is empty"
	case r.lines == 0 && !r.gone:
	case r.gone && s.started && r.first.Logged.Before(s.end.Logged) && s.log.From <= f.First:
		wrong = "the record was logged earlier than the record before it"
	case !r.gone && (r.first.Seq != s.size || s.started && !follows(&s.end, &r.first)):
		wrong = "the record does not continue the chain"
	case !s.grow(r):
		wrong = "the root of the records is not the one that was signed"
		// The part of the tree before From was read from its files. If only
		// that part is wrong, a diagnosis finds nothing else.
		taken = s.log.From > 0
	}
	if wrong != "" {
		s.doubt = &doubt{seq: s.size, file: f.Name, offset: p.start, detail: wrong, derived: taken}
	}
}

// grow appends the records of a part to the tree, and compares its root with
// the heads of all sizes that the tree passes.
func (s *scan) grow(r *partResult) bool {
	s.started, s.end, s.size = true, r.last, r.last.Seq+1
	s.result.Records += r.lines
	s.result.Newer += r.newer
	s.result.Erased += r.erased
	s.result.Expired += r.expired
	s.said = append(s.said, r.said...)
	if s.tail == nil {
		s.tail = r.tail
	}
	if r.gone {
		s.result.Left += r.last.Seq + 1 - r.first.Seq
		s.left = append(s.left, partResult{first: r.first, last: r.last, sum: r.sum})
	}
	for _, p := range r.lost {
		s.found.Add(p)
	}
	for _, n := range r.nodes {
		size := s.rng.Size() + 1<<n.level
		s.rng.AppendSubtree(n.level, n.hash, func(level int, h tlog.Hash) { s.pages.Subtree(level, size, h) })
		for len(s.heads) > 0 && s.heads[0].Size == s.rng.Size() {
			if s.heads[0].Root != s.rng.Root() {
				return false
			}
			s.heads = s.heads[1:]
		}
	}
	return true
}

// judge passes the lines beyond the signed ones, all of which are in order, to
// the Judge.
func (s *scan) judge(ctx context.Context) {
	if s.doubt != nil || s.err != nil || s.tail == nil {
		return
	}
	b := bench{ctx: ctx}
	if s.log.Judge != nil {
		b.judge = s.log.Judge.Fresh()
	}
	for n := s.tail.file; n < len(s.log.Files); n++ {
		from := int64(0)
		if n == s.tail.file {
			from = s.tail.offset
		}
		err := s.log.eachLine(ctx, n, from, func(raw rawLine) error { return b.add(place{n, raw.from}, raw.text) })
		if err == nil {
			err = b.flush()
		}
		switch {
		case b.why != "":
			s.doubt = &doubt{seq: s.log.signed(), file: s.log.Files[n].Name, offset: b.at.offset, detail: b.why}
			return
		case err != nil:
			s.doubt = &doubt{seq: s.log.signed(), file: s.log.Files[n].Name, offset: from, detail: err.Error()}
			if b.err != nil {
				s.doubt, s.err = nil, b.err
			}
			return
		}
	}
}

// A bench collects lines beyond the signed ones for a judge. Without a judge,
// all lines of a known format count.
type bench struct {
	ctx    context.Context
	judge  Judge
	lines  [][]byte
	places []place

	why string // why the first line does not count that does not; or empty
	at  place  // of that line
	err error  // of the judge
}

const benchLines = 256

func (b *bench) add(at place, line []byte) error {
	b.lines, b.places = append(b.lines, bytes.Clone(line)), append(b.places, at)
	if len(b.lines) < benchLines {
		return nil
	}
	return b.flush()
}

func (b *bench) flush() error {
	n, why := 0, ""
	if b.judge != nil {
		n, why, b.err = b.judge.Reject(b.ctx, b.lines)
	} else {
		for n < len(b.lines) && record.KnownVersion(b.lines[n]) {
			n++
		}
		why = notKnown
	}
	if b.err == nil && n < len(b.lines) {
		b.why, b.at = why, b.places[n]
	}
	b.lines, b.places = b.lines[:0], b.places[:0]
	if b.why != "" {
		return errEnough
	}
	return b.err
}

// notKnown is the reason for which a line of another format does not count.
const notKnown = "its format is not known to this program"

// finish checks that all heads were reached.
func (s *scan) finish() {
	if s.doubt != nil || s.err != nil {
		return
	}
	if len(s.heads) > 0 {
		s.doubt = &doubt{seq: s.size, detail: "the log has fewer records than were signed"}
		return
	}
	for i := range s.log.Files {
		f := &s.log.Files[i]
		if f.Gone == nil || i < s.log.start() {
			continue
		}
		of := func(r partResult) bool { return r.last.Seq+1 == f.Gone.Next() }
		if n := slices.IndexFunc(s.left, of); n < 0 || !s.said.of(f.Gone, s.left[n].sum) {
			s.doubt = &doubt{seq: f.First, file: f.Name, detail: "no record says that the segment's lines have left the log"}
			return
		}
	}
	if signed := max(s.log.signed(), s.log.From); s.size > signed {
		s.result.Unsigned = s.size - signed
	}
}

// follows reports whether the record of t may come directly after that of last.
func follows(last, t *record.ChainLink) bool {
	return t.Seq == last.Seq+1 && t.Prev == last.Hash && !t.Logged.Before(last.Logged)
}

// A worker checks the lines of one part after another.
type worker struct {
	log      *Log
	cuts     []uint64
	signed   uint64
	file     vfs.File
	open     int // index of the open file; -1 for none
	lines    lines.Reader
	chain    record.Chain
	hash     *tlog.Hasher
	files    *tree.Pages
	contents contents
	side     Comparer // nil if side files are not compared
}

func (w *worker) close() {
	if w.open >= 0 {
		_ = w.file.Close() // only read from: nothing to lose
	}
	w.open = -1
}

// check checks the lines that begin in a part.
func (w *worker) check(ctx context.Context, p part) *partResult {
	r := new(partResult)
	f := &w.log.Files[p.file]
	if f.Gone != nil {
		return w.gone(ctx, f)
	}
	if w.open != p.file {
		w.close()
		file, err := w.log.FS.Open(f.Path)
		if err != nil {
			r.doubt = &doubt{seq: f.First, file: f.Name, detail: err.Error()}
			return r
		}
		w.file, w.open = file, p.file
	}
	from := p.start
	if !p.aligned {
		from-- // a line begins at start only if an LF precedes it
	}
	w.lines.Reset(w.file, from, p.end, f.Size)
	if from != p.start {
		if _, _, err := w.lines.Next(); err != nil && err != io.EOF {
			r.doubt = &doubt{seq: f.First, file: f.Name, offset: from, detail: err.Error()}
			return r
		}
	}
	t := subtrees{hash: w.hash, cuts: w.cuts, files: w.files}
	w.contents.erased, w.contents.expired = 0, 0
	for w.lines.At() < p.end && r.doubt == nil && r.err == nil {
		if r.lines%1024 == 0 && ctx.Err() != nil {
			r.err = ctx.Err()
			break
		}
		at := w.lines.At()
		line, whole, err := w.lines.Next()
		if err == io.EOF {
			break
		}
		detail := "the end of the line is missing"
		if err != nil {
			detail = err.Error()
		} else if whole {
			detail = w.line(r, &t, line, at, p.file)
		}
		if detail != "" {
			r.doubt = &doubt{seq: f.First, file: f.Name, offset: at, detail: detail}
		}
	}
	r.nodes, r.erased, r.expired = t.nodes, w.contents.erased, w.contents.expired
	if r.lines > 0 {
		r.last = w.chain.Last()
	}
	return r
}

// line checks one line, and returns what is wrong with it.
func (w *worker) line(r *partResult, t *subtrees, line []byte, at int64, n int) string {
	f := &w.log.Files[n]
	if r.lines == 0 {
		tail, ok := record.ParseChainLink(line)
		if !ok {
			return "the line is not a record"
		}
		if !record.VerifyHash(line, &tail) {
			return "the line does not match its own hash"
		}
		r.first = tail
		t.start(tail.Seq)
		w.chain.Start(tail)
	} else if !w.chain.Next(line) {
		return "the line is not the next record"
	}
	r.lines++
	seq := w.chain.Seq()
	if seq < w.signed {
		t.add(w.chain.Hash())
	}
	if seq >= w.signed && r.tail == nil {
		r.tail = &place{n, at}
	}
	if w.side != nil {
		w.side.Line(f.First, seq, line, at+int64(len(line))+1)
	}
	known := record.KnownVersion(line)
	switch {
	case known:
	case !record.NewerVersion(line):
		return "the line is not in canonical form"
	case seq < w.signed:
		r.newer++
	}
	if seq < w.signed || w.log.Keys != nil {
		r.said.take(line)
	}
	if w.log.Keys == nil || !known {
		return ""
	}
	lost, err := w.contents.take(line)
	if lost {
		r.lost = append(r.lost, lostProblem(seq, f, at))
	}
	r.err = err
	return ""
}
