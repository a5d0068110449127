package query

import (
	"audittrail"
)

// A coder numbers the values of a dimension in the order in which it meets
// them.
type coder struct {
	*dimension
	texts   []string
	byText  map[string]uint32
	numbers []int64 // 0 is the first of them where there is none
	byNum   map[int64]uint32

	from, to int64 // the span that was met last
	last     uint32
}

// absentCode is the code of what is absent.
const absentCode = 0

func newCoder(d *dimension) *coder {
	return &coder{
		dimension: d,
		texts:     []string{""}, byText: map[string]uint32{"": absentCode},
		numbers: []int64{0}, byNum: make(map[int64]uint32),
	}
}

// code numbers the value of a record.
func (c *coder) code(r *audittrail.Record) uint32 {
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
		code = uint32(len(c.texts))
		c.texts = append(c.texts, s)
		c.byText[s] = code
	}
	return code
}

// numberCode numbers a number, or the span that it is in.
func (c *coder) numberCode(n int64) uint32 {
	if c.span == "" {
		return c.exactCode(n)
	}
	if n < c.from || n >= c.to {
		start, end := c.bucket(n)
		c.from, c.to = nanos(start), nanos(end)
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

// value is the value of a code.
func (c *coder) value(log *audittrail.Log, code uint32) (Value, error) {
	if code == absentCode {
		return Value{}, nil
	}
	if c.isText() {
		return c.textValue(log, c.texts[code])
	}
	return c.numberValue(c.numbers[code]), nil
}
