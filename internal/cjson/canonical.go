package cjson

import (
	"bytes"
	"slices"
)

// AppendCanonical appends the canonical form of the one JSON value in raw. On
// an error, which is an [*Error], it returns dst as it was.
func AppendCanonical(dst, raw []byte) ([]byte, error) {
	d := Decoder{in: raw}
	out, err := d.AppendCanonical(dst)
	if err == nil {
		err = d.End()
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendCanonical reads a value of any kind and appends its canonical form.
// The depth counts as in [Decoder.Skip].
func (d *Decoder) AppendCanonical(dst []byte) ([]byte, error) {
	outer := d.depth
	d.depth = 0
	out, err := d.appendValue(dst)
	d.depth = outer
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (d *Decoder) appendValue(dst []byte) ([]byte, error) {
	switch d.Kind() {
	case '{':
		return d.appendObject(dst)
	case '[':
		return d.appendArray(dst)
	case '"':
		raw, escaped, err := d.scanString()
		if err == nil && escaped {
			d.scratch, err = d.unescape(d.scratch[:0], raw)
			raw = d.scratch
		}
		if err != nil {
			return nil, err
		}
		return appendText(dst, raw, escaped), nil
	case '0':
		raw, err := d.number()
		return append(dst, raw...), err
	}
	start := d.pos
	err := d.skip() // a literal, or an error
	return append(dst, d.in[start:d.pos]...), err
}

// appendText appends a decoded string. One without escapes is already in
// canonical form.
func appendText(dst, s []byte, escaped bool) []byte {
	if escaped {
		return appendString(dst, s)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func (d *Decoder) appendArray(dst []byte) ([]byte, error) {
	dst = append(dst, '[')
	empty, err := d.open('[')
	for more := !empty; more && err == nil; {
		if dst, err = d.appendValue(dst); err != nil {
			break
		}
		if more, err = d.more('['); more {
			dst = append(dst, ',')
		}
	}
	return append(dst, ']'), err
}

// A member is one key of an object whose canonical form is being written, and
// where in the output the key and its value are.
type member struct {
	key      []byte // decoded
	at       int    // where the key begins in the input
	from, to int
}

func (d *Decoder) appendObject(dst []byte) ([]byte, error) {
	dst = append(dst, '{')
	empty, err := d.open('{')
	if err != nil {
		return nil, err
	}
	base := len(d.members)
	sorted := true
	for more := !empty; more; {
		d.space()
		m := member{at: d.pos, from: len(dst)}
		var escaped bool
		if m.key, escaped, err = d.rawKey(); err != nil {
			return nil, err
		}
		if n := len(d.members); n > base && bytes.Compare(d.members[n-1].key, m.key) >= 0 {
			sorted = false
		}
		dst = append(appendText(dst, m.key, escaped), ':')
		if dst, err = d.appendValue(dst); err != nil {
			return nil, err
		}
		m.to = len(dst)
		d.members = append(d.members, m)
		if more, err = d.more('{'); err != nil {
			return nil, err
		}
		if more {
			dst = append(dst, ',')
		}
	}
	if !sorted {
		if dst, err = d.reorder(dst, d.members[base:]); err != nil {
			return nil, err
		}
	}
	d.members = d.members[:base]
	return append(dst, '}'), nil
}

// reorder puts the members at the end of dst in the order of their keys, and
// refuses equal ones.
func (d *Decoder) reorder(dst []byte, members []member) ([]byte, error) {
	start := members[0].from
	slices.SortFunc(members, func(a, b member) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return a.at - b.at
	})
	for i := 1; i < len(members); i++ {
		if bytes.Equal(members[i-1].key, members[i].key) {
			return nil, d.fail(members[i].at, ErrDuplicate.Error())
		}
	}
	d.scratch = append(d.scratch[:0], dst[start:]...)
	dst = dst[:start]
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, d.scratch[m.from-start:m.to-start]...)
	}
	return dst, nil
}
