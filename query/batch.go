package query

import (
	"fmt"

	"audittrail"
	"audittrail/internal/index/block"
	"audittrail/query/internal/predicate"
	"audittrail/record"
)

// A batch is a number of matching records, or of index rows that represent
// them.
type batch interface {
	size() int
	// codes numbers the values of a dimension; out has space for them.
	codes(c *coder, out []uint32) error
	// present appends which records have a field of text.
	present(f *predicate.Field, which []int32) ([]int32, error)
	// numbers appends the numbers of a field, and which records have them.
	numbers(f *predicate.Field, which []int32, values []int64) ([]int32, []int64, error)
	// prints appends numbers that represent the values of a dimension, and
	// which records have them.
	prints(p *printer, which []int32, values []int64) ([]int32, []int64, error)
}

// opened is a batch of records that were read from the log.
type opened []*record.Record

func (b opened) size() int { return len(b) }

func (b opened) codes(c *coder, out []uint32) error {
	for i, r := range b {
		out[i] = c.code(r)
	}
	return nil
}

func (b opened) present(f *predicate.Field, which []int32) ([]int32, error) {
	for i, r := range b {
		if f.Text(r) != "" {
			which = append(which, int32(i))
		}
	}
	return which, nil
}

func (b opened) numbers(f *predicate.Field, which []int32, values []int64) ([]int32, []int64, error) {
	for i, r := range b {
		if n, ok := f.Number(r); ok {
			which, values = append(which, int32(i)), append(values, n)
		}
	}
	return which, values, nil
}

func (b opened) prints(p *printer, which []int32, values []int64) ([]int32, []int64, error) {
	for i, r := range b {
		n, ok, err := p.of(r)
		if err != nil {
			return which, values, err
		}
		if ok {
			which, values = append(which, int32(i)), append(values, n)
		}
	}
	return which, values, nil
}

// rows is a batch of index rows.
type rows struct{ *predicate.Window }

func (b rows) size() int { return len(b.Rows) }

func (b rows) codes(c *coder, out []uint32) error { return c.codesOf(b.Window, out) }

func (b rows) present(f *predicate.Field, which []int32) ([]int32, error) {
	_, codes, err := b.Texts(f)
	for i, code := range codes {
		if code != 0 {
			which = append(which, int32(i))
		}
	}
	b.Release()
	return which, err
}

func (b rows) numbers(f *predicate.Field, which []int32, values []int64) ([]int32, []int64, error) {
	return b.Numbers(f, which, values)
}

func (b rows) prints(p *printer, which []int32, values []int64) ([]int32, []int64, error) {
	if !p.isText() {
		first := len(values)
		which, values, err := b.Numbers(p.field, which, values)
		for i, n := range values[first:] {
			values[first+i] = p.ofNumber(n)
		}
		return which, values, err
	}
	d, codes, err := p.texts(b.Window)
	if err != nil {
		return which, values, err
	}
	defer b.Release()
	p.knows(d)
	for i, code := range codes {
		t := &p.known[code]
		if !t.asked {
			if t.print, t.counts, err = p.ofText(d.Value(code)); err != nil {
				return which, values, err
			}
			t.asked = true
		}
		if t.counts {
			which, values = append(which, int32(i)), append(values, t.print)
		}
	}
	return which, values, nil
}

// A printer represents the values of a dimension by numbers that differ where
// the values do, for counting distinct values.
type printer struct {
	*coder
	log    *audittrail.Log
	nobody string // the subject of records about no user, once it was looked up

	file  *block.Texts // of which these are
	known []print
}

type print struct {
	asked, counts bool
	print         int64
}

func newPrinter(log *audittrail.Log, d *dimension) *printer {
	return &printer{coder: newCoder(d), log: log}
}

// knows makes space for the codes of a column.
func (p *printer) knows(d predicate.Dictionary) {
	if p.file != d.Texts {
		p.file, p.known = d.Texts, make([]print, d.Values())
	}
}

func (p *printer) of(r *record.Record) (n int64, counts bool, err error) {
	if p.isText() {
		return p.ofText(p.text(r))
	}
	n, counts = p.number(r)
	if counts {
		n = p.ofNumber(n)
	}
	return n, counts, nil
}

func (p *printer) ofText(s string) (n int64, counts bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	if p.user && p.nobody == "" {
		// Records about nobody are recorded as about the empty user.
		nobody, _, err := p.log.Subject("")
		if err != nil {
			return 0, false, fmt.Errorf("count different users: %w; distinct(subject) counts them without, and the log's own subject with them", err)
		}
		p.nobody = nobody.String()
	}
	return fingerprint(s), s != p.nobody, nil
}

func (p *printer) ofNumber(n int64) int64 {
	if p.span == "" {
		return n
	}
	return p.numbers[p.numberCode(n)]
}
