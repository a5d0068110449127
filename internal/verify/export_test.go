package verify

import (
	"context"

	"audittrail/record"
	"audittrail/tlog"
)

// Tune makes a check read in pieces of given lengths.
func (l *Log) Tune(part, block int64) { l.part, l.block = part, block }

// A Run is an item of consecutive records, for tests of their alignment.
type Run struct{ Seq, N uint64 }

// Align reports which of the runs are in their order.
func Align(runs []Run) []bool {
	items := make([]item, len(runs))
	for i, r := range runs {
		items[i] = item{form: sound, seq: r.Seq, n: r.N}
		items[i].hash[0], items[i].hash[1] = byte(i), 1 // no links
	}
	return align(items, 0)
}

// Fold folds the entries [from, to) into subtrees that end at cuts, and appends
// these to a range over the leaves before them.
func Fold(rng *tlog.Range, entries [][32]byte, from, to uint64, cuts []uint64, at func(size uint64)) {
	t := subtrees{hash: tlog.NewHasher(), cuts: cuts}
	t.start(from)
	for _, entry := range entries[from:to] {
		t.add(entry)
	}
	for _, n := range t.nodes {
		rng.AppendSubtree(n.level, n.hash, nil)
		at(rng.Size())
	}
}

// Covered returns which of the numbers below limit lie in a union of spans,
// less others, within bounds.
func Covered(in, less [][2]uint64, from, to, limit uint64) []bool {
	conv := func(list [][2]uint64) spans {
		var s []span
		for _, x := range list {
			s = append(s, span{x[0], x[1]})
		}
		return union(s)
	}
	s := conv(in).less(conv(less)).within(span{from, to})
	out := make([]bool, limit)
	for n := range limit {
		out[n] = s.has(n)
	}
	return out
}

// Cut cuts the lines of a file, which are one run of n from seq on, at some of
// their numbers.
func (l *Log) Cut(ctx context.Context, file int, seq, n uint64, cuts []uint64) ([]Run, error) {
	s := &survey{Log: l}
	items, err := s.cut(ctx, &item{form: sound, file: file, to: l.Files[file].Size, seq: seq, n: n}, cuts)
	var runs []Run
	for _, it := range items {
		runs = append(runs, Run{Seq: it.seq, N: it.n})
	}
	return runs, err
}

// StateOf returns the state of the key to a line's content.
func StateOf(keys Keys, line []byte) (record.State, error) {
	c := contents{keys: keys}
	return c.state(line)
}
