package verify

import (
	"context"
	"errors"
	"slices"

	"audittrail/record"
)

// Weights of a line: a line that the signed tree contains counts more than any
// number of lines that only claim their place, and these count more than a link
// of the chain.
const (
	signedWeight = 1 << 30
	lineWeight   = 2
	linkWeight   = 1
)

// align reports which of the sound items are in their order: the runs with the
// largest total weight. All other items are at a wrong place, or are copies.
// The signed tree contains the items below the size that is given. If two lines
// claim one place, which happens only at or after that size, align prefers the
// line that is linked into the chain.
func align(items []item, vouched uint64) []bool {
	var (
		runs []int // the sound items
		ends []uint64
	)
	for i := range items {
		if items[i].form == sound {
			runs = append(runs, i)
			ends = append(ends, items[i].last())
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	// best[i] is the weight of the best sequence of runs that ends with run i,
	// and before[i] the run that precedes i in it.
	best, before := make([]uint64, len(runs)), make([]int, len(runs))
	top := newMaxTree(len(ends), best)
	byHash := make(map[record.Hash]int, len(runs))
	for i, at := range runs {
		it := &items[at]
		rank, _ := slices.BinarySearch(ends, it.seq)
		prev := top.below(rank) // of those that end before it
		var weight uint64
		if prev >= 0 {
			weight = best[prev]
		}
		if j, ok := byHash[it.prev]; ok && items[runs[j]].last()+1 == it.seq && best[j]+linkWeight > weight {
			prev, weight = j, best[j]+linkWeight
		}
		if it.seq < vouched {
			weight += signedWeight * it.n
		} else {
			weight += lineWeight * it.n
		}
		best[i], before[i] = weight, prev
		rank, _ = slices.BinarySearch(ends, it.last())
		top.put(rank, i)
		if j, ok := byHash[it.hash]; !ok || best[i] > best[j] {
			byHash[it.hash] = i
		}
	}
	chosen := make([]bool, len(items))
	for i := top.below(len(ends)); i >= 0; i = before[i] {
		chosen[runs[i]] = true
	}
	return chosen
}

// last returns the sequence number of the last line of a run.
func (r *item) last() uint64 { return r.seq + r.n - 1 }

// A maxTree finds the best of the runs whose rank is below a bound: a binary
// indexed tree (Fenwick, 1994) of maxima.
type maxTree struct {
	at   []int // run, or -1
	best []uint64
}

func newMaxTree(n int, best []uint64) *maxTree {
	t := &maxTree{at: make([]int, n+1), best: best}
	for i := range t.at {
		t.at[i] = -1
	}
	return t
}

// put enters a run under its rank.
func (t *maxTree) put(rank, run int) {
	for i := rank + 1; i < len(t.at); i += i & -i {
		if t.at[i] < 0 || t.best[run] > t.best[t.at[i]] {
			t.at[i] = run
		}
	}
}

// below returns the best run of a rank below the given one, or -1.
func (t *maxTree) below(rank int) int {
	best := -1
	for i := rank; i > 0; i -= i & -i {
		if j := t.at[i]; j >= 0 && (best < 0 || t.best[j] > t.best[best]) {
			best = j
		}
	}
	return best
}

// part cuts the sound runs where another run begins or ends, so that each part
// of two overlapping runs can be chosen by itself.
func (s *survey) part(ctx context.Context) error {
	var cuts []uint64
	for i := range s.items {
		if it := &s.items[i]; it.form == sound {
			cuts = append(cuts, it.seq, it.seq+it.n)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []item
	for i := range s.items {
		it := &s.items[i]
		if it.form != sound {
			out = append(out, *it)
			continue
		}
		lo, _ := slices.BinarySearch(cuts, it.seq+1)
		hi, _ := slices.BinarySearch(cuts, it.seq+it.n)
		if lo == hi || it.gone || len(out) > maxItems {
			out = append(out, *it)
			continue
		}
		parts, err := s.cut(ctx, it, cuts[lo:hi])
		if err != nil {
			return err
		}
		out = append(out, parts...)
	}
	s.items = out
	return nil
}

var errEnough = errors.New("enough")

// cut reads a run again to cut it before some of its lines.
func (s *survey) cut(ctx context.Context, it *item, cuts []uint64) ([]item, error) {
	out := []item{*it}
	out[0].n = 0
	var tail record.ChainLink
	err := s.eachLine(ctx, it.file, it.from, func(raw rawLine) error {
		last := &out[len(out)-1]
		if raw.from >= it.to {
			return errEnough
		}
		next, ok := record.ParseChainLink(raw.text)
		if !ok {
			return errEnough // the file has changed meanwhile: the run stays one part
		}
		if len(cuts) > 0 && next.Seq == cuts[0] {
			last.to, last.hash, last.until = raw.from, tail.Hash, tail.Logged
			out = append(out, item{
				form: sound, file: it.file, from: raw.from, seq: next.Seq,
				prev: next.Prev, since: next.Logged,
			})
			last = &out[len(out)-1]
			cuts = cuts[1:]
		}
		last.n++
		tail = next
		return nil
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && err != errEnough || len(cuts) > 0 {
		return []item{*it}, nil
	}
	last := &out[len(out)-1]
	last.to, last.hash, last.until = it.to, it.hash, it.until
	return out, nil
}
