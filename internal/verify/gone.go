package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"audittrail/finding"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// said collects the statements of the log's records about segments that have
// left it.
type said []tombstone.Statement

// take adds the statement of a line, if it has one. A line that no head covers
// counts only if its writer is known to have the keys.
func (s *said) take(line []byte) {
	if !record.HasTypePrefix(line, "segments_") {
		return
	}
	r, err := record.Decode(line)
	if err != nil {
		return
	}
	if st, ok := tombstone.ParseStatement(r); ok {
		*s = append(*s, st)
	}
}

// of reports whether the log says that a segment has left with this tombstone.
func (s said) of(m *tombstone.Tombstone, sum [32]byte) bool {
	for _, st := range s {
		if st.First == m.First && st.Records == m.Records && st.Tombstone == sum {
			return true
		}
	}
	return false
}

// A left is a tombstone that was checked.
type left struct {
	*tombstone.Tombstone
	file vfs.File
	sum  [32]byte
}

// openGone opens the tombstone of a segment and checks it by itself.
func (l *Log) openGone(f *File) (*left, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	file, err := l.FS.Open(f.Path)
	if err != nil {
		return nil, err
	}
	m, sum, err := tombstone.Check(file, f.Size)
	if err == nil && m.First != f.First {
		err = fmt.Errorf("%w: it is of the segment of record %d", tombstone.ErrDamaged, m.First)
	}
	if err == nil && m.Next() > l.signed() {
		err = fmt.Errorf("%w: it is of records that no checkpoint covers", tombstone.ErrDamaged)
	}
	if err != nil {
		_ = file.Close() // only read from: nothing to lose
		return nil, err
	}
	return &left{m, file, sum}, nil
}

func (x *left) close() { _ = x.file.Close() } // only read from: nothing to lose

// eachHash calls f for the hashes of the records from one on.
func (x *left) eachHash(ctx context.Context, from uint64, f func(seq uint64, h [32]byte) error) error {
	buf := make([][32]byte, 1<<12)
	for n := from - x.First; n < x.Records; {
		part := buf[:min(uint64(len(buf)), x.Records-n)]
		if err := errors.Join(ctx.Err(), x.Hashes(x.file, n, part)); err != nil {
			return err
		}
		for i, h := range part {
			if err := f(x.First+n+uint64(i), h); err != nil {
				return err
			}
		}
		n += uint64(len(part))
	}
	return nil
}

// gone checks the tombstone of a segment.
func (w *worker) gone(ctx context.Context, f *File) *partResult {
	r := &partResult{gone: true}
	x, err := w.log.openGone(f)
	if err != nil {
		r.doubt = &doubt{seq: f.First, file: f.Name, detail: err.Error()}
		return r
	}
	defer x.close()
	from := max(x.First, w.log.From)
	t := subtrees{hash: w.hash, cuts: w.cuts, files: w.files}
	t.start(from)
	r.first = record.ChainLink{Seq: from, Logged: x.FirstLogged}
	r.last = record.ChainLink{Seq: x.Next() - 1, Logged: x.LastLogged}
	err = x.eachHash(ctx, from, func(_ uint64, h [32]byte) error {
		t.add(h)
		r.last.Hash = h
		return nil
	})
	for line, lerr := range x.Lines(x.file) {
		if lerr != nil {
			err = errors.Join(err, lerr)
			break
		}
		r.said.take(line)
	}
	if err != nil {
		r.doubt = &doubt{seq: f.First, file: f.Name, detail: err.Error()}
	}
	r.nodes, r.sum = t.nodes, x.sum
	return r
}

// takeGone adds the segment of a tombstone to the survey.
func (s *survey) takeGone(ctx context.Context, n int) error {
	f := &s.Files[n]
	end := s.signed()
	if n+1 < len(s.Files) {
		end = s.Files[n+1].First
	}
	x, err := s.openGone(f)
	if err != nil && !errors.Is(err, tombstone.ErrDamaged) {
		s.unreadable(n, err)
		return nil
	}
	altered := func(detail string) {
		s.unread = union(append(s.unread, span{f.First, end})) // nothing more is reported about them
		s.found.Add(finding.Finding{Seq: f.First, Kind: finding.Modified, File: f.Name, Detail: detail})
	}
	if err != nil {
		altered(err.Error())
		return nil
	}
	defer x.close()
	it := item{form: sound, gone: true, file: n, to: f.Size, seq: x.First, n: x.Records, since: x.FirstLogged, until: x.LastLogged}
	err = x.eachHash(ctx, x.First, func(seq uint64, h [32]byte) error {
		it.hash = h
		if seq >= s.leaves.head.Size {
			return nil
		}
		ok, err := s.leaves.is(seq, h)
		if err == nil && !ok {
			err = fmt.Errorf("%w: its hash of record %d is not the one that was signed", tombstone.ErrDamaged, seq)
		}
		return err
	})
	for line, lerr := range x.Lines(x.file) {
		if lerr != nil {
			err = errors.Join(err, lerr)
			break
		}
		s.said.take(line)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, tombstone.ErrDamaged):
		altered(err.Error())
	case err != nil:
		s.unreadable(n, err)
	default:
		it.sum = x.sum
		s.add(it)
	}
	return nil
}

// dismiss removes the segments for which no record says that they have left.
// Such a record comes later, and may be in a file that cannot be read.
func (s *survey) dismiss() {
	kept := s.items[:0]
	for _, it := range s.items {
		f := &s.Files[it.file]
		if it.gone && !s.said.of(f.Gone, it.sum) {
			s.unread = union(append(s.unread, span{it.seq, it.seq + it.n}))
			p := finding.Finding{Seq: it.seq, Kind: finding.Missing, File: f.Name}
			p.Detail = fmt.Sprintf("records %d to %d are missing, and no record says that they were archived or dropped", it.seq, it.seq+it.n-1)
			if s.blind > it.seq+it.n {
				p.Kind = finding.Unreadable
				p.Detail += " among those that can be read: a file that cannot be read may contain such a record"
			}
			if slices.ContainsFunc(s.said, func(st tombstone.Statement) bool { return st.First == it.seq && st.Records == it.n }) {
				p.Kind, p.Detail = finding.Modified, "the tombstone of the segment is not the one that the record of its removal names"
			}
			s.found.Add(p)
			continue
		}
		kept = append(kept, it)
	}
	s.items = kept
}
