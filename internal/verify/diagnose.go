package verify

import (
	"context"
	"fmt"
	"slices"

	"audittrail/finding"
	"audittrail/record"
)

// diagnose names what differs between the log and its heads.
func (l *Log) diagnose(ctx context.Context, found *Findings) (Result, error) {
	tree, err := l.findLeaves(ctx)
	if err != nil {
		return Result{}, err
	}
	defer tree.source.close()
	first := l.start()
	s := &survey{Log: l, leaves: tree, found: found}
	if err := s.take(ctx, first); err != nil {
		return Result{}, err
	}
	if err := s.part(ctx); err != nil {
		return Result{}, err
	}
	d := &diagnosis{survey: s, chosen: align(s.items, tree.head.Size), limit: l.signed()}
	if first > 0 {
		d.size = l.Files[first].First
	}
	if err := d.walk(ctx); err != nil {
		return Result{}, err
	}
	d.checkNames()
	d.checkHeads()
	if err := l.compareFiles(ctx, tree, max(d.size, l.signed()), found); err != nil {
		return Result{}, err
	}
	return Result{
		Records: d.records, Unsigned: d.unsigned, Left: d.left, Newer: s.newer, Bytes: s.read,
		Erased: s.contents.erased, Expired: s.contents.expired,
		Blind: len(tree.open) > 0 && s.found.Altered(),
	}, nil
}

// A diagnosis goes over the items of a survey and gives names to what is
// between those that are in their order.
type diagnosis struct {
	*survey
	chosen    []bool
	limit     uint64 // size of the newest head
	inOrder   spans  // what the chosen items hold
	elsewhere spans  // what only items hold that are not chosen

	size    uint64          // the walk has come up to this record
	last    *item           // chosen item in front of it, if any
	pending []int           // items since then that are not sound
	begins  map[int]uint64  // first record in its order of each file
	told    map[uint64]bool // records elsewhere that were reported, by the first of their run
	stray   uint64          // lines beyond the signed ones that do not count
	first   finding.Finding // about the first of them

	records, unsigned, left uint64
}

// sortOut says which records are in their place, and which are elsewhere.
func (d *diagnosis) sortOut() {
	var in, out []span
	for i := range d.items {
		if it := &d.items[i]; d.chosen[i] {
			in = append(in, span{it.seq, it.seq + it.n})
		}
	}
	d.inOrder = union(in)
	for i := range d.items {
		it := &d.items[i]
		switch {
		case it.form != sound || d.chosen[i]:
		case it.seq >= d.end():
			it.form = forged // it calls itself a record that the log does not reach
		default:
			out = append(out, span{it.seq, it.seq + it.n})
		}
	}
	for _, x := range union(out) {
		d.elsewhere = append(d.elsewhere, spans{x}.less(d.inOrder)...)
	}
	d.begins = make(map[int]uint64)
	d.told = make(map[uint64]bool)
}

func (d *diagnosis) walk(ctx context.Context) error {
	d.sortOut()
	for i := range d.items {
		it := &d.items[i]
		switch {
		case d.size >= d.limit && (d.stray > 0 || !d.continues(i)):
			if d.stray == 0 && d.torn(ctx, i) {
				return ctx.Err()
			}
			d.beyond(ctx, it)
		case d.chosen[i]:
			d.step(ctx, it)
		case it.form == sound:
			d.displaced(ctx, it)
		default:
			d.pending = append(d.pending, i)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	d.gap(ctx, max(d.size, d.limit), true)
	d.reportStray()
	if d.crowded {
		d.found.Add(finding.Finding{
			Seq: d.size, Kind: finding.Rewritten, File: d.place().Name,
			Detail: fmt.Sprintf("the log is altered in more than %d places; the files behind this one were not sorted out", maxItems),
		})
	}
	return ctx.Err()
}

// step goes over a run that is in its order.
func (d *diagnosis) step(ctx context.Context, it *item) {
	d.gap(ctx, it.seq, false)
	p := d.at(it, it.seq)
	if d.last != nil && d.last.last()+1 == it.seq {
		switch {
		case !it.gone && it.prev != d.last.hash:
			p.Kind, p.Detail = finding.Rewritten, "the record does not continue the chain"
			d.found.Add(p)
		case it.since.Before(d.last.until):
			p.Kind, p.Detail = finding.Rewritten, "the record was logged before the one in front of it"
			d.found.Add(p)
		}
	}
	if it.frayed {
		p.Kind, p.Detail = finding.Modified, "the record is there, but its line does not begin or end as it should: bytes were added to it, or its end was changed"
		d.found.Add(p)
	}
	if _, ok := d.begins[it.file]; !ok {
		d.begins[it.file] = it.seq
	}
	d.last, d.size = it, it.seq+it.n
	if it.gone {
		if d.size > d.From {
			d.left += d.size - max(it.seq, d.From)
		}
		return
	}
	if d.size > d.From {
		d.records += d.size - max(it.seq, d.From)
	}
	if d.size > max(d.limit, d.From) {
		d.unsigned += d.size - max(it.seq, d.limit, d.From)
	}
}

// at begins a problem that is found where an item stands.
func (d *diagnosis) at(it *item, seq uint64) finding.Finding {
	return finding.Finding{Seq: seq, File: d.Files[it.file].Name, Offset: it.from}
}

// displaced goes over a run of records that stand where they should not.
func (d *diagnosis) displaced(ctx context.Context, it *item) {
	again := d.told[it.seq]
	d.told[it.seq] = true
	d.each(ctx, it, 0, it.n, func(i uint64, p finding.Finding) finding.Finding {
		seq := it.seq + i
		switch {
		case again || !d.elsewhere.has(seq):
			p.Seq, p.Kind = d.size, finding.Inserted
			p.Detail = fmt.Sprintf("record %d stands here a second time", seq)
		case seq < d.size:
			p.Seq, p.Kind = seq, finding.Reordered
			p.Detail = fmt.Sprintf("record %d stands behind record %d", seq, d.size-1)
		default:
			p.Seq, p.Kind = d.size, finding.Reordered
			p.Detail = fmt.Sprintf("record %d stands where record %d should", seq, d.size)
		}
		return p
	})
}

// continues tells whether an item beyond the signed ones is the next that counts.
func (d *diagnosis) continues(i int) bool {
	it := &d.items[i]
	if !d.chosen[i] || it.frayed || it.seq != d.size {
		return false
	}
	return d.last == nil && d.size == 0 || d.last != nil && d.last.last()+1 == it.seq && it.prev == d.last.hash && !it.since.Before(d.last.until)
}

// beyond goes over lines behind all that was signed, from the first one on that
// does not count. Nothing that was signed differs there: whether somebody forged
// the line, or a genuine one was changed or lost before it was signed, cannot be
// told. But a record may have been moved there from its place.
func (d *diagnosis) beyond(ctx context.Context, it *item) {
	if it.form == sound && it.seq < d.limit && d.elsewhere.has(it.seq) && !d.told[it.seq] {
		d.displaced(ctx, it)
		return
	}
	if d.stray == 0 {
		d.first = d.at(it, d.size)
		d.first.Kind = finding.Unauthenticated
		switch {
		case it.form == forged && it.seq == d.size && d.over != "":
			d.first.Detail = d.over
		case it.form == broken:
			d.first.Detail = "it is not what its own hash says"
		case it.form == junk, it.form == cut:
			d.first.Detail = "it is no record"
		case it.form == sound && it.seq < d.size:
			d.first.Detail = fmt.Sprintf("it is a copy of record %d", it.seq)
		default:
			d.first.Detail = "it does not continue the log"
		}
	}
	d.stray += it.n
}

// reportStray reports the lines that beyond has gone over.
func (d *diagnosis) reportStray() {
	switch {
	case d.stray == 1:
		d.first.Detail = "the line lies beyond the newest checkpoint, and nobody vouches for it: " + d.first.Detail
	case d.stray > 1:
		d.first.Detail = fmt.Sprintf("%d lines lie beyond the newest checkpoint, and nobody vouches for them: of the first, %s", d.stray, d.first.Detail)
	default:
		return
	}
	d.found.Add(d.first)
}

// end returns how far the log goes, or went.
func (d *diagnosis) end() uint64 {
	end := d.limit
	if n := len(d.inOrder); n > 0 {
		end = max(end, d.inOrder[n-1].to)
	}
	return end
}

// each reports a problem for each of n lines of an item, from the ith on. As
// long as problems are kept, it reads the lines again to say where they stand.
func (d *diagnosis) each(ctx context.Context, it *item, i, n uint64, name func(i uint64, p finding.Finding) finding.Finding) {
	if n == 1 && i == 0 {
		d.found.Add(name(0, d.at(it, 0)))
		return
	}
	end := i + n
	var line uint64
	if !d.found.Full() {
		_ = d.eachLine(ctx, it.file, it.from, func(raw rawLine) error { // what cannot be read is counted below
			if line >= i {
				p := d.at(it, 0)
				p.Offset = raw.from
				d.found.Add(name(line, p))
			}
			line++
			if line >= end || d.found.Full() {
				return errEnough
			}
			return nil
		})
	}
	for line = max(line, i); line < end; line++ {
		d.found.Add(name(line, d.at(it, 0)))
	}
}

// torn tells whether what stands from an item on is what an interrupted write
// leaves, and reports it. Whole records may follow in the batch that was being
// written, since a disk does not write in order: their nanoseconds tell their
// place in it, and so whether the damage is in it too. One of a later batch
// means that the damaged one had been durable.
func (d *diagnosis) torn(ctx context.Context, i int) bool {
	it := &d.items[i]
	torn, length := true, int64(0)
	for n := it.file; n < len(d.Files) && torn; n++ {
		from := int64(0)
		if n == it.file {
			from = it.from
		}
		err := d.eachLine(ctx, n, from, func(raw rawLine) error {
			length += raw.to - raw.from
			t, ok := record.ParseChainLink(raw.text)
			if !ok || !raw.whole || !record.VerifyHash(raw.text, &t) {
				return nil
			}
			place := uint64(t.Logged.Nanosecond() % 1000)
			first := n == it.file && raw.from == it.from
			if first || place >= record.MaxPlace || t.Seq <= d.size || t.Seq-place > d.size {
				torn = false
				return errEnough
			}
			return nil
		})
		torn = torn && err == nil
	}
	if !torn {
		return false
	}
	p := d.at(it, d.size)
	p.Kind = finding.Torn
	p.Detail = fmt.Sprintf("the last %d bytes of the log are an incomplete write, which nobody was told is done; the next writer puts it aside", length)
	d.found.Add(p)
	return true
}

// checkNames holds the names of the files against the records in them.
func (d *diagnosis) checkNames() {
	for i := d.start(); i < len(d.Files); i++ {
		f := &d.Files[i]
		begins, ok := d.begins[i]
		p := finding.Finding{Seq: min(begins, f.First), Kind: finding.Reordered, File: f.Name}
		if p.Seq >= d.limit {
			p.Kind = finding.Unauthenticated // nor is its name
		}
		switch {
		case ok && begins < f.First, ok && begins > f.First && d.inOrder.has(f.First):
			p.Detail = fmt.Sprintf("the file begins with record %d, its name says %d", begins, f.First)
			d.found.Add(p)
		case !ok && f.Size == 0 && f.Err == nil && (i+1 < len(d.Files) || f.First != d.size) && (d.inOrder.has(f.First) || f.First > d.end()):
			p.Seq, p.Kind, p.Detail = f.First, finding.Inserted, "an empty file, which is no segment of the log"
			d.found.Add(p)
		}
	}
}

// checkHeads reports the heads that vouch for another log than this one.
func (d *diagnosis) checkHeads() {
	for _, h := range d.leaves.refuted {
		d.found.Add(finding.Finding{
			Seq: max(d.agreed(h), d.From), Kind: finding.Rewritten, File: d.place().Name,
			Detail: fmt.Sprintf("%s covers %d records, and the first %d of the log give another root: this is not the log that it was made of, but one that was put in its place", h.Name, h.Size, h.Size),
		})
	}
	if d.found.Altered() || len(d.unread) > 0 {
		return // that a root differs has its reason
	}
	for _, h := range d.leaves.open {
		d.found.Add(finding.Finding{
			Seq: max(d.agreed(h), d.From), Kind: finding.Rewritten, File: d.place().Name,
			Detail: fmt.Sprintf("%s covers %d records, and the log does not give its root: records were rewritten, with all that is behind them and with the files of the tree, so that where it begins cannot be told", h.Name, h.Size),
		})
	}
}

// agreed returns the size of the largest head below h that the log agrees with:
// what h does not agree with is behind it.
func (d *diagnosis) agreed(h Head) uint64 {
	var size uint64
	for _, other := range d.Heads {
		bad := slices.Contains(d.leaves.refuted, other) || slices.Contains(d.leaves.open, other)
		if !bad && other.Size < h.Size {
			size = max(size, other.Size)
		}
	}
	return size
}

// place returns the file that the walk has come to.
func (d *diagnosis) place() *File {
	switch {
	case d.last != nil:
		return &d.Files[d.last.file]
	case len(d.Files) > 0:
		return &d.Files[0]
	}
	return &File{}
}
