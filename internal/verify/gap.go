package verify

import (
	"context"
	"fmt"

	"audittrail/finding"
)

// A claim assigns places to lines that are not sound.
type claim struct {
	item   *item
	i, n   uint64 // lines of the item
	seq    uint64 // place of the first
	placed bool   // these places have no other line
}

// gap reports the differences between the record that the walk has reached and
// the next record that is in its place. The lines in between are assigned to
// the places without a line, first to the places that they claim; lines that
// remain were inserted, and places that remain are missing.
func (d *diagnosis) gap(ctx context.Context, to uint64, end bool) {
	free := union([]span{{d.size, to}}).less(d.elsewhere)
	var claims []claim
	var severed *item
	for _, i := range d.pending {
		it := &d.items[i]
		if it.form == cut {
			severed = it
			continue
		}
		claims = append(claims, own(it, &free)...)
	}
	d.pending = nil
	d.report(ctx, claims, &free)
	if severed != nil && len(free) == 0 {
		p := d.at(severed, to)
		p.Kind, p.Detail = finding.Inserted, "bytes that are not a record, where a file should end"
		d.found.Add(p)
	}
	for _, x := range free.less(d.unread) {
		d.missing(x, end && x.to == to, severed)
	}
}

// own assigns the lines of an item to the places that they claim, as far as
// these are free.
func own(it *item, free *spans) []claim {
	if it.form == junk {
		return []claim{{item: it, n: it.n}}
	}
	var out []claim
	mine := span{it.seq, it.seq + it.n}
	at := it.seq
	for _, x := range free.within(mine) {
		if at < x.from {
			out = append(out, claim{item: it, i: at - it.seq, n: x.from - at})
		}
		out = append(out, claim{item: it, i: x.from - it.seq, n: x.to - x.from, seq: x.from, placed: true})
		at = x.to
	}
	if at < mine.to {
		out = append(out, claim{item: it, i: at - it.seq, n: mine.to - at})
	}
	*free = free.less(spans{mine})
	return out
}

// report reports the lines of a gap, in their order in the file.
func (d *diagnosis) report(ctx context.Context, claims []claim, free *spans) {
	at := d.size // the place that the next line would have
	for _, c := range claims {
		for !c.placed && c.n > 0 && len(*free) > 0 {
			// The first free place after the line before it, or any.
			k := free.after(at)
			if k == len(*free) {
				k = 0
			}
			x := (*free)[k]
			x.to = min(x.to, x.from+c.n)
			d.name(ctx, claim{item: c.item, i: c.i, n: x.to - x.from, seq: x.from, placed: true})
			*free = free.less(spans{x})
			at = x.to
			c.i += x.to - x.from
			c.n -= x.to - x.from
		}
		if c.n == 0 {
			continue
		}
		if !c.placed {
			c.seq = at
		} else {
			at = c.seq + c.n
		}
		d.name(ctx, c)
	}
}

// name reports lines that were assigned to places.
func (d *diagnosis) name(ctx context.Context, c claim) {
	d.each(ctx, c.item, c.i, c.n, func(i uint64, p finding.Finding) finding.Finding {
		p.Seq = c.seq
		if c.placed {
			p.Seq += i - c.i
		}
		switch {
		case !c.placed && c.item.form == junk:
			p.Kind, p.Detail = finding.Inserted, "a line that is not a record"
		case !c.placed:
			p.Kind, p.Detail = finding.Inserted, fmt.Sprintf("a line that claims to be record %d, and is not", c.item.seq+i)
		case c.item.form == forged:
			p.Kind, p.Detail = finding.Rewritten, "a whole line whose hash is right, but not the one that was signed"
			if p.Seq >= d.limit {
				p.Detail = "a whole line whose hash is right, but not written with the log's keys"
			}
		case c.item.form == broken:
			p.Kind, p.Detail = finding.Modified, "the line does not match its own hash"
		default:
			p.Kind, p.Detail = finding.Modified, "the line is no longer a record"
		}
		return p
	})
}

// missing reports places without a line.
func (d *diagnosis) missing(x span, end bool, severed *item) {
	if x.from = max(x.from, d.From); x.from >= x.to {
		return
	}
	p := finding.Finding{Seq: x.from, Kind: finding.Missing, File: d.place().Name}
	if d.last != nil {
		p.Offset = d.last.to
	}
	p.Detail = fmt.Sprintf("record %d is missing", x.from)
	if x.to-x.from > 1 {
		p.Detail = fmt.Sprintf("records %d to %d are missing, %d in all", x.from, x.to-1, x.to-x.from)
	}
	if end {
		p.Kind = finding.Truncated
		p.Detail = fmt.Sprintf("the log ends here, but %d records were signed: the last %d are missing", d.limit, x.to-x.from)
	}
	if severed != nil {
		p.File, p.Offset = d.Files[severed.file].Name, severed.from
		p.Detail += "; the file ends in the middle of a line"
	}
	d.found.Add(p)
}
