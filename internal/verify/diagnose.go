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

// A diagnosis walks over the items of a survey and classifies everything
// between the items that are in their order.
type diagnosis struct {
	*survey
	chosen    []bool
	limit     uint64 // size of the newest head
	inOrder   spans  // the records of the chosen items
	elsewhere spans  // the records that only other items have

	size    uint64          // the walk has reached this record
	last    *item           // the chosen item before it, if any
	pending []int           // items since then that are not sound
	begins  map[int]uint64  // first record in its order of each file
	told    map[uint64]bool // records elsewhere that were reported, by the first of their run
	stray   uint64          // lines beyond the signed ones that do not count
	first   finding.Finding // the finding about the first of them

	records, unsigned, left uint64
}

// sortOut finds out which records are in their place, and which are elsewhere.
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
			it.form = forged // it claims a sequence number past the end of the log
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
			Detail: fmt.Sprintf("the log is altered in more than %d places; the files after this one were not classified", maxItems),
		})
	}
	return ctx.Err()
}

// step walks over a run that is in its order.
func (d *diagnosis) step(ctx context.Context, it *item) {
	d.gap(ctx, it.seq, false)
	p := d.at(it, it.seq)
	if d.last != nil && d.last.last()+1 == it.seq {
		switch {
		case !it.gone && it.prev != d.last.hash:
			p.Kind, p.Detail = finding.Rewritten, "the record does not continue the chain"
			d.found.Add(p)
		case it.since.Before(d.last.until):
			p.Kind, p.Detail = finding.Rewritten, "the record was logged earlier than the record before it"
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

// at begins a finding at the place of an item.
func (d *diagnosis) at(it *item, seq uint64) finding.Finding {
	return finding.Finding{Seq: seq, File: d.Files[it.file].Name, Offset: it.from}
}

// displaced walks over a run of records that are at a wrong place.
func (d *diagnosis) displaced(ctx context.Context, it *item) {
	again := d.told[it.seq]
	d.told[it.seq] = true
	d.each(ctx, it, 0, it.n, func(i uint64, p finding.Finding) finding.Finding {
		seq := it.seq + i
		switch {
		case again || !d.elsewhere.has(seq):
			p.Seq, p.Kind = d.size, finding.Inserted
			p.Detail = fmt.Sprintf("record %d is here a second time", seq)
		case seq < d.size:
			p.Seq, p.Kind = seq, finding.Reordered
			p.Detail = fmt.Sprintf("record %d comes after record %d", seq, d.size-1)
		default:
			p.Seq, p.Kind = d.size, finding.Reordered
			p.Detail = fmt.Sprintf("record %d is where record %d should be", seq, d.size)
		}
		return p
	})
}

// continues reports whether an item beyond the signed ones is the next that
// counts.
func (d *diagnosis) continues(i int) bool {
	it := &d.items[i]
	if !d.chosen[i] || it.frayed || it.seq != d.size {
		return false
	}
	return d.last == nil && d.size == 0 || d.last != nil && d.last.last()+1 == it.seq && it.prev == d.last.hash && !it.since.Before(d.last.until)
}

// beyond walks over lines after all signed ones, from the first line on that
// does not count. No signed record differs there: whether somebody forged the
// line, or a genuine line was changed or lost before it was signed, cannot be
// decided. But a signed record may have been moved there from its place.
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
			d.first.Detail = "it does not match its own hash"
		case it.form == junk, it.form == cut:
			d.first.Detail = "it is not a record"
		case it.form == sound && it.seq < d.size:
			d.first.Detail = fmt.Sprintf("it is a copy of record %d", it.seq)
		default:
			d.first.Detail = "it does not continue the log"
		}
	}
	d.stray += it.n
}

// reportStray reports the lines that beyond has walked over.
func (d *diagnosis) reportStray() {
	switch {
	case d.stray == 1:
		d.first.Detail = "the line lies beyond the newest checkpoint and is unauthenticated: " + d.first.Detail
	case d.stray > 1:
		d.first.Detail = fmt.Sprintf("%d lines lie beyond the newest checkpoint and are unauthenticated; of the first: %s", d.stray, d.first.Detail)
	default:
		return
	}
	d.found.Add(d.first)
}

// end returns the number of records that the log has, or had when it was
// signed.
func (d *diagnosis) end() uint64 {
	end := d.limit
	if n := len(d.inOrder); n > 0 {
		end = max(end, d.inOrder[n-1].to)
	}
	return end
}

// each reports a finding for each of n lines of an item, from the ith on. As
// long as findings are kept, it reads the lines again to find their offsets.
func (d *diagnosis) each(ctx context.Context, it *item, i, n uint64, name func(i uint64, p finding.Finding) finding.Finding) {
	if n == 1 && i == 0 {
		d.found.Add(name(0, d.at(it, 0)))
		return
	}
	end := i + n
	var line uint64
	if !d.found.Full() {
		_ = d.eachLine(ctx, it.file, it.from, func(raw rawLine) error { // lines that cannot be read are counted below
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

// torn reports whether the log ends with an interrupted write from an item on,
// and adds that to the findings. Whole records of the batch that was being
// written may follow the damage, since a disk does not write in order: their
// nanoseconds give their place in the batch, and thus whether the damaged line
// is in the same batch. A record of a later batch shows that the damaged one
// had been durable.
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
	p.Detail = fmt.Sprintf("the last %d bytes of the log are an incomplete write, which was never acknowledged; the next writer puts it aside", length)
	d.found.Add(p)
	return true
}

// checkNames compares the names of the files with the records in them.
func (d *diagnosis) checkNames() {
	for i := d.start(); i < len(d.Files); i++ {
		f := &d.Files[i]
		begins, ok := d.begins[i]
		p := finding.Finding{Seq: min(begins, f.First), Kind: finding.Reordered, File: f.Name}
		if p.Seq >= d.limit {
			p.Kind = finding.Unauthenticated // its name is not signed either
		}
		switch {
		case ok && begins < f.First, ok && begins > f.First && d.inOrder.has(f.First):
			p.Detail = fmt.Sprintf("the file begins with record %d, its name says %d", begins, f.First)
			d.found.Add(p)
		case !ok && f.Size == 0 && f.Err == nil && (i+1 < len(d.Files) || f.First != d.size) && (d.inOrder.has(f.First) || f.First > d.end()):
			p.Seq, p.Kind, p.Detail = f.First, finding.Inserted, "an empty file, which is not a segment of the log"
			d.found.Add(p)
		}
	}
}

// checkHeads reports the heads that belong to another log than this one.
func (d *diagnosis) checkHeads() {
	for _, h := range d.leaves.refuted {
		d.found.Add(finding.Finding{
			Seq: max(d.agreed(h), d.From), Kind: finding.Rewritten, File: d.place().Name,
			Detail: fmt.Sprintf("%s covers %d records, but the first %d of the log have another root: this is not the log that was signed, but one that was put in its place", h.Name, h.Size, h.Size),
		})
	}
	if d.found.Altered() || len(d.unread) > 0 {
		return // other findings explain why roots differ
	}
	for _, h := range d.leaves.open {
		d.found.Add(finding.Finding{
			Seq: max(d.agreed(h), d.From), Kind: finding.Rewritten, File: d.place().Name,
			Detail: fmt.Sprintf("%s covers %d records, but the log does not have its root: records were rewritten, with all records after them and with the files of the tree, so that the first rewritten record is not known", h.Name, h.Size),
		})
	}
}

// agreed returns the size of the largest head smaller than h that the log
// agrees with: the difference from h lies after it.
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

// place returns the file that the walk has reached.
func (d *diagnosis) place() *File {
	switch {
	case d.last != nil:
		return &d.Files[d.last.file]
	case len(d.Files) > 0:
		return &d.Files[0]
	}
	return &File{}
}
