package query

import (
	"context"
	"errors"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"audittrail"
	"audittrail/query/internal/predicate"
	"audittrail/record"
)

// A finder finds the records of a query one after the other.
type finder struct {
	engine  *Engine
	plan    *plan
	cursors cursors
	forward bool
	yield   func(*Hit, error) bool

	begun    bool   // from and to are known
	from, to uint64 // the records that remain to be examined
	left     int    // how many hits remain of the limit, if
	limited  bool
	piece    int // how many records are opened at once
}

// Records are opened in batches of at most so many records and bytes. The first
// batch is small, for a caller that reads only the first few hits.
const (
	firstPiece = 64
	mostPiece  = 1024
	pieceBytes = 8 << 20
)

var errEnough = errors.New("the caller stopped reading")

// find examines the records that remain.
func (f *finder) find(ctx context.Context, s *asked) error {
	views := s.views(f.plan, f.from, f.to)
	if !f.forward {
		slices.Reverse(views)
	}
	f.piece = firstPiece
	var w predicate.Window
	for _, v := range views {
		for {
			more, err := f.next(ctx, s, v, &w)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if err := f.see(ctx, s, &w); err != nil {
				if errors.Is(err, errEnough) {
					return nil
				}
				return err
			}
		}
	}
	return ctx.Err()
}

// next takes a window of a view.
func (f *finder) next(ctx context.Context, s *asked, v *predicate.View, w *predicate.Window) (more bool, err error) {
	leave, err := f.engine.take(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if err := s.prepare(v); err != nil {
		return false, err
	}
	if !v.Next(w, !f.forward) {
		return false, nil
	}
	return true, s.filter(v, w)
}

// see opens the records of a window, and yields those that match.
func (f *finder) see(ctx context.Context, s *asked, w *predicate.Window) error {
	for seqs := w.Seqs(); len(seqs) > 0; {
		n := min(f.piece, len(seqs))
		if f.limited && !w.Unsure {
			n = min(n, f.left)
		}
		piece, rest := seqs[:n], seqs[n:]
		if !f.forward {
			rest, piece = seqs[:len(seqs)-n], seqs[len(seqs)-n:]
		}
		records, err := f.open(ctx, s, piece)
		if errors.Is(err, errTooMuch) {
			f.piece = max(1, n/4)
			continue
		}
		if err != nil {
			return err
		}
		if err := f.hand(records); err != nil {
			return err
		}
		f.piece, seqs = min(4*f.piece, mostPiece), rest
	}
	return ctx.Err()
}

func (f *finder) open(ctx context.Context, s *asked, seqs []uint64) ([]*record.Record, error) {
	leave, err := f.engine.take(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	records, err := s.fetch(ctx, seqs)
	if !f.forward {
		slices.Reverse(records)
	}
	return records, err
}

// hand yields records that match.
func (f *finder) hand(records []*record.Record) error {
	for _, r := range records {
		h, ok := f.plan.hit(r, f.cursors)
		if !ok {
			continue
		}
		if !f.yield(h, nil) {
			return errEnough
		}
		if f.forward {
			f.from = r.Seq + 1
		} else {
			f.to = r.Seq
		}
		if f.left--; f.limited && f.left == 0 {
			return errEnough
		}
	}
	return nil
}

// errTooMuch reports that records have too many bytes to be in memory at once.
var errTooMuch = errors.New("too many bytes")

const (
	// nearby is how far apart records may be to be read in one pass, which
	// needs at least runLen of them.
	nearby = 3
	runLen = 16
	// mostAlone is how many of the other records are opened concurrently.
	mostAlone = 256
)

// fetch opens the records of sequence numbers, without removed ones. For
// several records of more than pieceBytes in all, it returns errTooMuch.
func (s *asked) fetch(ctx context.Context, seqs []uint64) ([]*record.Record, error) {
	s.opened.Add(uint64(len(seqs)))
	most := pieceBytes
	if len(seqs) == 1 {
		most = math.MaxInt
	}
	var out []*record.Record
	bytes := 0
	for len(seqs) > 0 {
		n := 1
		for n < len(seqs) && seqs[n]-seqs[n-1] <= nearby {
			n++
		}
		var records []*record.Record
		var err error
		if n >= runLen {
			records, err = s.read(ctx, seqs[:n], most)
		} else {
			for n < min(mostAlone, len(seqs)) && seqs[n]-seqs[n-1] > nearby {
				n++
			}
			records, err = s.get(ctx, seqs[:n])
		}
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			bytes += r.Size
		}
		if bytes > most {
			return nil, errTooMuch
		}
		out, seqs = append(out, records...), seqs[n:]
	}
	return out, nil
}

// read opens records that are near each other.
func (s *asked) read(ctx context.Context, seqs []uint64, most int) (records []*record.Record, err error) {
	bytes := 0
	for r, err := range s.log.Records(ctx, seqs[0], seqs[len(seqs)-1]+1) {
		if s.altered != nil && isAltered(err) {
			if n := len(records); n > 0 && len(seqs) > 0 && seqs[0] == records[n-1].Seq {
				seqs = seqs[1:]
			}
			rest, err := s.get(ctx, seqs) // one by one, without those
			return append(records, rest...), err
		}
		if err != nil {
			return nil, err
		}
		for len(seqs) > 0 && seqs[0] < r.Seq {
			seqs = seqs[1:]
		}
		if len(seqs) == 0 || seqs[0] != r.Seq {
			continue
		}
		records = append(records, r)
		if bytes += r.Size; bytes > most {
			return nil, errTooMuch
		}
	}
	return records, ctx.Err()
}

// get opens records one by one.
func (s *asked) get(ctx context.Context, seqs []uint64) ([]*record.Record, error) {
	all := make([]*record.Record, len(seqs))
	one := func(i int) error {
		r, err := s.log.Get(ctx, seqs[i])
		var archived *audittrail.ArchivedError
		var dropped *audittrail.DroppedError
		if errors.As(err, &archived) || errors.As(err, &dropped) {
			return nil
		}
		if s.altered != nil && isAltered(err) {
			s.altered(seqs[i], err)
			return nil
		}
		all[i] = r
		return err
	}
	var err error
	if len(seqs) <= 2 {
		for i := range seqs {
			err = errors.Join(err, one(i))
		}
	} else {
		var g errgroup.Group
		g.SetLimit(workers())
		for i := range seqs {
			g.Go(func() error { return one(i) })
		}
		err = g.Wait()
	}
	return slices.DeleteFunc(all, func(r *record.Record) bool { return r == nil }), err
}
