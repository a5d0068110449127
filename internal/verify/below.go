package verify

import (
	"fmt"
	"io"
	"math/bits"

	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/tree"
	"audittrail/record"
	"audittrail/tlog"
)

// below reads the tree over the records before From from its files. The files
// need not be trusted: if they are wrong, so is the root that is computed from
// them.
func (s *scan) below() *doubt {
	t, err := tree.Open(s.log.FS, s.log.Tree, true)
	if err == nil {
		err = s.takeBelow(t)
		_ = t.Close() // only read from: nothing to lose
	}
	if err != nil {
		return &doubt{seq: s.log.From, detail: err.Error(), derived: true}
	}
	return nil
}

func (s *scan) takeBelow(t *tree.Tree) error {
	for len(s.heads) > 0 && s.heads[0].Size <= s.log.From {
		h := s.heads[0]
		root, err := t.Root(h.Size)
		if err != nil {
			return err
		}
		if root != h.Root {
			return fmt.Errorf("the root of the tree's files for size %d is not that of %s", h.Size, h.Name)
		}
		s.heads = s.heads[1:]
	}
	if len(s.heads) == 0 {
		return nil // none of the lines that are read is signed
	}
	from := s.log.From
	var indexes []int64
	for level := bits.Len64(from) - 1; level >= 0; level-- {
		if from>>level&1 == 1 {
			indexes = append(indexes, xtlog.StoredHashIndex(level, int64(from>>level)-1))
		}
	}
	hashes, err := t.HashReader().ReadHashes(indexes)
	if err != nil {
		return err
	}
	rng, err := tlog.NewRange(from, hashes)
	if err != nil {
		return err
	}
	s.rng = *rng
	return nil
}

// locate finds where in a file the line of record From begins, or where the
// file ends if it contains only earlier ones, by bisection: the lines have
// their numbers in order, as the scan from there on checks.
func (l *Log) locate(n int) (int64, *doubt) {
	if n >= len(l.Files) {
		return 0, nil
	}
	f := &l.Files[n]
	if f.First >= l.From || f.Err != nil || f.Gone != nil {
		return 0, nil
	}
	file, err := l.FS.Open(f.Path)
	if err != nil {
		return 0, &doubt{seq: f.First, file: f.Name, detail: err.Error()}
	}
	defer func() { _ = file.Close() }() // only read from: nothing to lose
	r := l.reader()
	// The line of From begins in [lo, hi].
	lo, hi := int64(0), f.Size
	for lo < hi {
		mid := lo + (hi-lo)/2
		r.Reset(file, max(mid-1, 0), mid, f.Size)
		if mid > 0 {
			if _, _, err := r.Next(); err != nil {
				return 0, &doubt{seq: f.First, file: f.Name, offset: mid, detail: err.Error()}
			}
		}
		start := r.At()
		line, whole, err := r.Next()
		if err == io.EOF || start >= hi {
			hi = mid
			continue
		}
		tail, ok := record.ParseChainLink(line)
		switch {
		case err != nil:
			return 0, &doubt{seq: f.First, file: f.Name, offset: start, detail: err.Error()}
		case !whole || !ok:
			return 0, &doubt{seq: f.First, file: f.Name, offset: start, detail: "the line is not a record"}
		case tail.Seq == l.From:
			return start, nil
		case tail.Seq < l.From:
			lo = r.At()
		default:
			hi = mid
		}
	}
	return lo, nil
}
