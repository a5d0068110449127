package verify

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"audittrail/finding"
	"audittrail/record"
)

// The forms of a line by itself.
type form byte

const (
	// sound: a whole record that belongs to the log. Where the tree is known,
	// it is the leaf of the place that it claims; elsewhere, its hash is right
	// and, if the keys are available, its content is authentic.
	sound  form = iota
	forged      // its own hash is right, but it is not sound
	broken      // it ends as a record does, but its hash is wrong
	junk        // it is not a record
	cut         // not a record, and the end of a file
)

// An item is a line, or a run of consecutive lines of one form in one file.
type item struct {
	form   form
	gone   bool     // a tombstone of a segment whose lines have left
	sum    [32]byte // of the tombstone
	frayed bool     // its line does not begin or end as it should
	open   bool     // its line has no end
	file   int
	from   int64 // where its bytes begin in the file
	to     int64 // and end

	// Not of junk:
	seq  uint64 // the number that the first line claims
	n    uint64 // lines, or 1
	prev record.Hash
	hash record.Hash // of the last line
	// When the first was logged, and the last.
	since, until time.Time
}

// maxItems bounds the memory for items that are out of order. An intact log has
// one item for each file.
const maxItems = 1 << 20

// A survey describes the contents of the files, line by line.
type survey struct {
	*Log
	ctx      context.Context // while the survey is taken
	leaves   *leaves
	found    *Findings
	contents contents

	items   []item
	unread  spans  // sequence numbers of records that could not be read
	blind   uint64 // the end of the last file that could not be read; 0 if all could
	said    said
	newer   uint64
	read    uint64
	judge   Judge
	end     *record.ChainLink // of the last line that is in its place or counts
	over    string            // why no later line counts: an earlier one did not
	crowded bool              // there were more items than maxItems; the rest was not read
	err     error
}

// take surveys the files from the nth on.
func (s *survey) take(ctx context.Context, first int) error {
	s.ctx = ctx
	s.contents.keys = s.Keys
	if s.Judge != nil {
		s.judge = s.Judge.Fresh()
	}
	total := s.total(first)
	for i := first; i < len(s.Files) && !s.crowded; i++ {
		f := &s.Files[i]
		if f.Gone != nil {
			if err := s.takeGone(ctx, i); err != nil {
				return err
			}
			s.read += uint64(f.Size)
			continue
		}
		lines := 0
		err := s.eachLine(ctx, i, 0, func(raw rawLine) error {
			s.line(i, raw)
			if lines++; lines%4096 == 0 && s.Progress != nil {
				// This is the second pass over the log.
				s.Progress(total+s.read+uint64(raw.to), 2*total)
			}
			return s.err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.err != nil:
			return s.err
		case err != nil:
			s.unreadable(i, err)
		}
		s.read += uint64(f.Size)
	}
	s.dismiss()
	return nil
}

// unreadable reports that the rest of a file cannot be read.
func (s *survey) unreadable(n int, err error) {
	f := &s.Files[n]
	next := f.First
	offset := int64(0)
	for i := len(s.items) - 1; i >= 0 && s.items[i].file == n; i-- {
		it := &s.items[i]
		offset = max(offset, it.to)
		if it.form == sound {
			next = max(next, it.seq+it.n)
			break
		}
	}
	end := max(s.signed(), next)
	if n+1 < len(s.Files) {
		end = s.Files[n+1].First
	}
	s.unread = union(append(s.unread, span{next, end}))
	s.blind = max(s.blind, end)
	s.found.Add(finding.Finding{
		Seq: next, Kind: finding.Unreadable, File: f.Name, Offset: offset,
		Detail: fmt.Sprintf("the file cannot be read: %v; its records from here on are unchecked", err),
	})
}

// line adds one physical line to the survey.
func (s *survey) line(file int, raw rawLine) {
	if tail, ok := record.ParseChainLink(raw.text); ok && raw.whole && s.sound(&tail, raw.text) {
		s.end = &tail
		s.add(s.soundItem(file, raw, &tail, raw.text))
		return
	}
	if s.err == nil && !s.joined(file, raw) {
		s.add(s.odd(file, raw))
	}
}

func (s *survey) soundItem(file int, raw rawLine, tail *record.ChainLink, line []byte) item {
	f := &s.Files[file]
	if tail.Seq < s.leaves.head.Size || s.Keys != nil {
		s.said.take(line)
	}
	if !record.KnownVersion(line) {
		s.newer++
	} else if s.Keys != nil {
		lost, err := s.contents.take(line)
		if lost {
			s.found.Add(lostProblem(tail.Seq, f, raw.from))
		}
		s.fail(err)
	}
	return item{
		form: sound, file: file, from: raw.from, to: raw.to, seq: tail.Seq, n: 1,
		prev: tail.Prev, hash: tail.Hash, since: tail.Logged, until: tail.Logged,
	}
}

func (s *survey) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// sound reports whether a line is the record that belongs at the place that it
// claims.
func (s *survey) sound(tail *record.ChainLink, line []byte) bool {
	if !record.VerifyHash(line, tail) {
		return false
	}
	if tail.Seq < s.leaves.head.Size {
		ok, err := s.leaves.is(tail.Seq, tail.Hash)
		s.fail(err)
		return ok && (record.KnownVersion(line) || record.NewerVersion(line))
	}
	if s.over != "" {
		return false
	}
	why := ""
	switch {
	case s.judge != nil:
		var err error
		_, why, err = s.judge.Reject(s.ctx, [][]byte{bytes.Clone(line)})
		s.fail(err)
	case !record.KnownVersion(line):
		why = notKnown
	}
	if why != "" && (s.end == nil && tail.Seq == 0 || s.end != nil && follows(s.end, tail)) {
		s.over = why // lines that continue it do not count either
	}
	return why == ""
}

// odd returns the item of a line that is not sound.
func (s *survey) odd(file int, raw rawLine) item {
	it := item{form: junk, file: file, from: raw.from, to: raw.to, n: 1, open: !raw.whole}
	tail, ok := record.ParseChainLink(raw.text)
	switch {
	case !ok && !raw.whole:
		it.form = cut
	case !ok:
	case record.VerifyHash(raw.text, &tail):
		it.form, it.seq = forged, tail.Seq
	default:
		it.form, it.seq = broken, tail.Seq
	}
	return it
}

// A record of any version begins and ends like this. A digit follows the start.
// No other object in a line has a number there, and quotation marks are escaped
// within strings, so that a line with a second start was two lines.
const (
	recordStart = `{"v":`
	recordEnd   = `"}`
)

// starts returns the offsets in a line at which records may begin.
func starts(line []byte) []int {
	var at []int
	for from := 0; ; {
		i := bytes.Index(line[from:], []byte(recordStart))
		if i < 0 {
			return at
		}
		from += i + len(recordStart)
		if from < len(line) && line[from] >= '0' && line[from] <= '9' {
			at = append(at, from-len(recordStart))
		}
	}
}

// joined adds a line that contains sound records and other bytes: the end of a
// line was removed or changed, or bytes were added to it.
func (s *survey) joined(file int, raw rawLine) bool {
	var items []item
	any := false
	begin := starts(raw.text)
	for i, from := range begin {
		piece := rawLine{raw.text[from:], raw.from + int64(from), raw.to, raw.whole}
		last := i+1 == len(begin)
		if !last {
			piece.text = raw.text[from:begin[i+1]]
			piece.to, piece.whole = raw.from+int64(begin[i+1]), true
		}
		line := piece.text[:bytes.LastIndex(piece.text, []byte(recordEnd))+len(recordEnd)]
		tail, ok := record.ParseChainLink(line)
		frayed := !last || !raw.whole || len(line) < len(piece.text)
		// At the end of the log, where no head covers the record, its write was
		// not complete.
		if !ok || last && frayed && tail.Seq >= s.signed() || !s.sound(&tail, line) {
			it := s.odd(file, piece)
			it.frayed = true // keeps it an item of its own
			items = append(items, it)
			continue
		}
		it := s.soundItem(file, piece, &tail, line)
		it.frayed = frayed || i == 0 && from > 0
		items = append(items, it)
		any = true
	}
	if !any {
		return false
	}
	for _, it := range items {
		s.add(it)
	}
	return true
}

// add appends an item; if it continues the last item, it is merged into that.
func (s *survey) add(it item) {
	if n := len(s.items); n > 0 && s.items[n-1].takes(&it, s.leaves.head.Size) {
		last := &s.items[n-1]
		last.to, last.n = it.to, last.n+1
		last.hash, last.until = it.hash, it.until
		return
	}
	if len(s.items) == maxItems {
		s.crowded = true
		return
	}
	s.items = append(s.items, it)
}

// takes reports whether another line continues the run. A new run begins where
// the signed tree ends.
func (r *item) takes(it *item, vouched uint64) bool {
	if r.form != it.form || r.gone || r.file != it.file || r.to != it.from || r.frayed || it.frayed || it.open {
		return false
	}
	switch r.form {
	case sound:
		return it.seq == r.seq+r.n && it.prev == r.hash && !it.since.Before(r.until) && it.seq != vouched
	case junk:
		return true
	case cut:
		return false
	default:
		return it.seq == r.seq+r.n
	}
}
