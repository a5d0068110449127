package query

import (
	"audittrail"
	"audittrail/internal/index/block"
	"audittrail/query/internal/predicate"
	"audittrail/record"
)

// A coder numbers the values of a dimension in the order in which it meets
// them.
type coder struct {
	*dimension
	values  []string
	byText  map[string]uint32
	numbers []int64 // the first is for absentCode, and not a value
	byNum   map[int64]uint32

	from, to int64 // the bucket of the latest value
	last     uint32

	known    *block.Texts // the dictionary of the latest codes
	fromFile []uint32     // the codes of this coder plus one; 0 is not known yet
}

// absentCode is the code of an absent value.
const absentCode = 0

func newCoder(d *dimension) *coder {
	return &coder{
		dimension: d,
		values:    []string{""}, byText: map[string]uint32{"": absentCode},
		numbers: []int64{0}, byNum: make(map[int64]uint32),
	}
}

// code numbers the value of a record.
func (c *coder) code(r *record.Record) uint32 {
	if c.isText() {
		return c.textCode(c.text(r))
	}
	n, ok := c.number(r)
	if !ok {
		return absentCode
	}
	return c.numberCode(n)
}

func (c *coder) textCode(s string) uint32 {
	code, ok := c.byText[s]
	if !ok {
		code = uint32(len(c.values))
		c.values = append(c.values, s)
		c.byText[s] = code
	}
	return code
}

// numberCode numbers a number, or the time bucket that contains it.
func (c *coder) numberCode(n int64) uint32 {
	if c.span == "" {
		return c.exactCode(n)
	}
	if n < c.from || n >= c.to {
		start, end := c.bucket(n)
		c.from, c.to = block.Nanos(start), block.Nanos(end)
		c.last = c.exactCode(c.from)
	}
	return c.last
}

func (c *coder) exactCode(n int64) uint32 {
	code, ok := c.byNum[n]
	if !ok {
		code = uint32(len(c.numbers))
		c.numbers = append(c.numbers, n)
		c.byNum[n] = code
	}
	return code
}

// codesOf numbers the values of the rows of a window; out has space for them.
func (c *coder) codesOf(w *predicate.Window, out []uint32) error {
	if !c.isText() {
		which, values, err := w.Numbers(c.field, nil, nil)
		clear(out)
		for i, n := range values {
			out[which[i]] = c.numberCode(n)
		}
		return err
	}
	d, codes, err := c.texts(w)
	if err != nil {
		return err
	}
	defer w.Release()
	if c.known != d.Texts {
		c.known, c.fromFile = d.Texts, make([]uint32, d.Values())
	}
	for i, code := range codes {
		mine := c.fromFile[code]
		if mine == 0 {
			mine = c.textCode(d.Value(code)) + 1
			c.fromFile[code] = mine
		}
		out[i] = mine - 1
	}
	return nil
}

// merged translates the codes of another coder of the same dimension into codes
// of this one.
func (c *coder) merged(other *coder) []uint32 {
	if c.isText() {
		codes := make([]uint32, len(other.values))
		for i, s := range other.values {
			codes[i] = c.textCode(s)
		}
		return codes
	}
	codes := make([]uint32, len(other.numbers))
	for i, n := range other.numbers {
		if i != absentCode {
			codes[i] = c.exactCode(n)
		}
	}
	return codes
}

// value is the value of a code.
func (c *coder) value(log *audittrail.Log, code uint32) (Value, error) {
	if code == absentCode {
		return Value{}, nil
	}
	if c.isText() {
		return c.textValue(log, c.values[code])
	}
	return c.numberValue(c.numbers[code]), nil
}
