package cjson

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// A Decoder reads one JSON text value by value. Its methods read the next value
// and fail with an [*Error] if it is of another kind. After an error only
// [Decoder.Offset] may be called.
//
// The decoder never changes its input and keeps no reference to it: strings are
// copies. Short strings share blocks of memory, so a caller that keeps a few of
// very many should clone them.
type Decoder struct {
	in    []byte
	pos   int
	depth int

	keys    []string // keys of the open objects, the innermost last
	members []member // members of the open objects, while a canonical form is written
	scratch []byte
	short   strings.Builder // the current block of memory for short strings
}

// NewDecoder returns a decoder of the one JSON value in b.
func NewDecoder(b []byte) *Decoder {
	return &Decoder{in: b}
}

// Offset returns how many bytes have been read.
func (d *Decoder) Offset() int { return d.pos }

func (d *Decoder) fail(offset int, msg string) error {
	return &Error{Offset: offset, Msg: msg}
}

// Kind returns the kind of the next value without reading it: '{', '[', '"',
// '0' for any number, 't', 'f', 'n', 0 at the end, or '?' if the next byte does
// not begin a value.
func (d *Decoder) Kind() byte {
	d.space()
	if d.pos == len(d.in) {
		return 0
	}
	switch c := d.in[d.pos]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return '?'
}

func kindName(kind byte) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case 0:
		return "the end"
	}
	return "no value"
}

// mismatch returns the error for a value of another kind than the expected one.
func (d *Decoder) mismatch(want string) error {
	if msg := d.notJSON(); msg != "" {
		return d.fail(d.pos, msg)
	}
	return d.fail(d.pos, "expected "+want+", found "+kindName(d.Kind()))
}

const notFinite = ", which JSON does not have: write null, or leave the member out"

// notJSON describes the next word, if programs write it for a value and JSON
// does not have it.
func (d *Decoder) notJSON() string {
	for _, w := range notJSON {
		if bytes.HasPrefix(d.in[d.pos:], []byte(w.text)) {
			return w.msg
		}
	}
	return ""
}

var notJSON = []struct{ text, msg string }{
	{"NaN", "NaN" + notFinite},
	{"nan", "nan" + notFinite},
	{"Infinity", "Infinity" + notFinite},
	{"-Infinity", "-Infinity" + notFinite},
	{"inf", "inf" + notFinite},
	{"-inf", "-inf" + notFinite},
	{"undefined", "undefined" + notFinite},
	{"None", "None, which JSON writes as null: this is Python's form of a value; write it with json.dumps"},
	{"True", "True, which JSON writes as true: this is Python's form of a value; write it with json.dumps"},
	{"False", "False, which JSON writes as false: this is Python's form of a value; write it with json.dumps"},
	{"'", "single quotes, where JSON has double ones"},
}

func (d *Decoder) space() {
	for d.pos < len(d.in) {
		switch d.in[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// next returns the next byte that is not whitespace, or 0 at the end.
func (d *Decoder) next() byte {
	d.space()
	if d.pos == len(d.in) {
		return 0
	}
	return d.in[d.pos]
}

// open enters an array or object. It reports whether that is empty, and then
// leaves it again.
func (d *Decoder) open(bracket byte) (empty bool, err error) {
	if d.next() != bracket {
		return false, d.mismatch(kindName(bracket))
	}
	if d.depth == MaxDepth {
		return false, d.fail(d.pos, "nested more than "+strconv.Itoa(MaxDepth)+" deep")
	}
	d.pos++
	if d.next() == bracket+2 { // ']' is '['+2, '}' is '{'+2
		d.pos++
		return true, nil
	}
	d.depth++
	return false, nil
}

// more reads what follows an element: it reports whether that is a comma, and
// leaves the array or object otherwise.
func (d *Decoder) more(bracket byte) (bool, error) {
	switch d.next() {
	case ',':
		d.pos++
		return true, nil
	case bracket + 2:
		d.pos++
		d.depth--
		return false, nil
	}
	return false, d.fail(d.pos, "expected comma or "+string(rune(bracket+2)))
}

// rawKey reads a key and its colon.
func (d *Decoder) rawKey() (raw []byte, escaped bool, err error) {
	if c := d.next(); c == '\'' {
		return nil, false, d.mismatch("a string")
	} else if c != '"' {
		return nil, false, d.fail(d.pos, "expected a key")
	}
	if raw, escaped, err = d.scanString(); err != nil {
		return nil, false, err
	}
	if escaped {
		// A copy in separate memory: the key is kept until its object ends.
		if raw, err = d.unescape(nil, raw); err != nil {
			return nil, false, err
		}
	}
	if d.next() != ':' {
		return nil, false, d.fail(d.pos, "expected a colon")
	}
	d.pos++
	return raw, escaped, nil
}

// Object reads an object and calls f for each of its keys; f must read the
// value. Keys come in the order of the input. A repeated key is refused,
// however it is escaped.
func (d *Decoder) Object(f func(key string) error) error {
	empty, err := d.open('{')
	if empty || err != nil {
		return err
	}
	seen := keySet{base: len(d.keys)}
	for {
		d.space()
		at := d.pos
		raw, _, err := d.rawKey()
		if err != nil {
			return err
		}
		key := d.text(raw)
		if !d.add(&seen, key) {
			return d.fail(at, ErrDuplicate.Error())
		}
		if err := f(key); err != nil {
			return err
		}
		more, err := d.more('{')
		if err != nil {
			return err
		}
		if !more {
			d.keys = d.keys[:seen.base]
			return nil
		}
	}
}

// A keySet finds repeated keys of one object. Most objects have few keys, and a
// filter of 256 bits spares nearly all comparisons; beyond linearKeys of them a
// map is used, since input may be hostile.
type keySet struct {
	filter [4]uint64
	base   int // the object's first key in Decoder.keys
	many   map[string]struct{}
}

const linearKeys = 32

// add reports whether key is new to s.
func (d *Decoder) add(s *keySet, key string) bool {
	if s.many != nil {
		n := len(s.many)
		s.many[key] = struct{}{}
		return len(s.many) > n
	}
	var h uint8
	if n := len(key); n > 0 {
		h = uint8(n)*37 ^ key[0]*11 ^ key[n/2]*29 ^ key[n-1]*5
	}
	word, bit := &s.filter[h>>6], uint64(1)<<(h&63)
	if *word&bit != 0 {
		if slices.Contains(d.keys[s.base:], key) {
			return false
		}
	}
	*word |= bit
	if d.keys == nil {
		d.keys = make([]string, 0, linearKeys)
	}
	d.keys = append(d.keys, key)
	if n := len(d.keys) - s.base; n > linearKeys {
		s.many = make(map[string]struct{}, 2*n)
		for _, k := range d.keys[s.base:] {
			s.many[k] = struct{}{}
		}
	}
	return true
}

// Array reads an array and calls f for each of its elements; f must read it.
func (d *Decoder) Array(f func() error) error {
	empty, err := d.open('[')
	if empty || err != nil {
		return err
	}
	for {
		if err := f(); err != nil {
			return err
		}
		more, err := d.more('[')
		if !more {
			return err
		}
	}
}

// String reads a string.
func (d *Decoder) String() (string, error) {
	if d.next() != '"' {
		return "", d.mismatch("a string")
	}
	raw, escaped, err := d.scanString()
	if err != nil {
		return "", err
	}
	if escaped {
		if d.scratch, err = d.unescape(d.scratch[:0], raw); err != nil {
			return "", err
		}
		raw = d.scratch
	}
	return d.text(raw), nil
}

// text returns b as a string. Objects have many short ones, whose allocation
// would take most of the time.
func (d *Decoder) text(b []byte) string {
	const (
		limit = 64
		piece = 512
	)
	if len(b) > limit {
		return string(b)
	}
	if d.short.Cap()-d.short.Len() < len(b) {
		d.short.Reset()
		d.short.Grow(len(b) + min(len(d.in)-d.pos, piece))
	}
	from := d.short.Len()
	d.short.Write(b) // never fails
	return d.short.String()[from:]
}

// Number reads a number of any size and precision and returns it as written.
func (d *Decoder) Number() (string, error) {
	raw, err := d.number()
	return string(raw), err
}

func (d *Decoder) number() ([]byte, error) {
	if d.Kind() != '0' {
		return nil, d.mismatch("a number")
	}
	b := d.in[d.pos:]
	i := 0
	if b[0] == '-' {
		i = 1
	}
	n := digits(b[i:])
	if n == 0 {
		if msg := d.notJSON(); msg != "" {
			return nil, d.fail(d.pos, msg)
		}
		return nil, d.fail(d.pos, "invalid number")
	}
	if n > 1 && b[i] == '0' {
		return nil, d.fail(d.pos, "invalid number")
	}
	i += n
	if i < len(b) && b[i] == '.' {
		if n = digits(b[i+1:]); n == 0 {
			return nil, d.fail(d.pos, "invalid number")
		}
		i += 1 + n
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if n = digits(b[i:]); n == 0 {
			return nil, d.fail(d.pos, "invalid number")
		}
		i += n
	}
	d.pos += i
	return b[:i:i], nil
}

// digits returns how many decimal digits b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// Int reads an integer: no fraction, no exponent, no -0, and a magnitude of at
// most [MaxInt].
func (d *Decoder) Int() (int64, error) {
	raw, err := d.number()
	if err != nil {
		return 0, err
	}
	at := d.pos - len(raw)
	digits := raw
	negative := raw[0] == '-'
	if negative {
		digits = raw[1:]
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, d.fail(at, "expected an integer")
		}
		if n = n*10 + int64(c-'0'); n > MaxInt {
			return 0, d.fail(at, "not an integer, or one beyond 2^53-1")
		}
	}
	if negative {
		if n == 0 {
			return 0, d.fail(at, "0 must have no sign")
		}
		n = -n
	}
	return n, nil
}

// Bool reads true or false.
func (d *Decoder) Bool() (bool, error) {
	switch d.Kind() {
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	}
	return false, d.mismatch("a boolean")
}

// Null reads null.
func (d *Decoder) Null() error {
	if d.Kind() != 'n' {
		return d.mismatch("null")
	}
	return d.literal("null")
}

func (d *Decoder) literal(word string) error {
	end := d.pos + len(word)
	if end > len(d.in) || string(d.in[d.pos:end]) != word {
		if msg := d.notJSON(); msg != "" {
			return d.fail(d.pos, msg)
		}
		return d.fail(d.pos, "invalid literal")
	}
	d.pos = end
	return nil
}

// Skip reads a value of any kind and checks it as strictly as the other methods
// do. Its depth is counted from the value itself, not from the objects around
// it, so that a value which is valid alone is valid everywhere.
func (d *Decoder) Skip() error {
	outer := d.depth
	d.depth = 0
	err := d.skip()
	d.depth = outer
	return err
}

func (d *Decoder) skip() error {
	switch d.Kind() {
	case '{':
		return d.Object(func(string) error { return d.skip() })
	case '[':
		return d.Array(d.skip)
	case '"':
		raw, escaped, err := d.scanString()
		if err == nil && escaped {
			d.scratch, err = d.unescape(d.scratch[:0], raw)
		}
		return err
	case '0':
		_, err := d.number()
		return err
	case 't', 'f':
		_, err := d.Bool()
		return err
	case 'n':
		return d.Null()
	}
	return d.mismatch("a value")
}

// Raw reads a value as [Decoder.Skip] does and returns its part of the input,
// without whitespace around it. The result aliases the input.
func (d *Decoder) Raw() ([]byte, error) {
	d.space()
	start := d.pos
	if err := d.Skip(); err != nil {
		return nil, err
	}
	return d.in[start:d.pos:d.pos], nil
}

// End checks that only whitespace is left.
func (d *Decoder) End() error {
	if d.space(); d.pos != len(d.in) {
		return d.fail(d.pos, "more input after the value")
	}
	return nil
}
