// Package document takes apart and puts together the JSON documents in which
// other programs tell of lineage.
//
// A document is read strictly: in valid UTF-8, of a bounded size and depth, and
// with no key twice. Members of a format become fields of an entity, and those
// without a field its attributes, under the format's name. A document that this
// program wrote has each entity whole in an extension, so that it is read unchanged;
// the other members of the document must then agree with the extension.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"audittrail/internal/cjson"
	"audittrail/internal/filekind"
)

// MaxBytes is the size of the largest document that is read.
const MaxBytes = 32 << 20

// MaxValues is how many values one after the other a document may have.
const MaxValues = 200_000

// An Error says where in a document something is wrong, and what.
type Error struct {
	Place   string // such as components[2].hashes; empty is the whole
	Problem string
	Err     error // the reason, if it is an error of another kind
}

func (e *Error) Error() string {
	problem := e.Problem
	if e.Err != nil {
		problem = e.Err.Error()
	}
	if e.Place == "" {
		return problem
	}
	return e.Place + ": " + problem
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error].
func Errorf(place, format string, args ...any) error {
	return &Error{Place: place, Problem: fmt.Sprintf(format, args...)}
}

// Object is a JSON object. Its values are maps, slices, strings, booleans,
// json.Number and nil.
type Object = map[string]any

// Parse reads the JSON values of a document: one, or several one after the
// other.
func Parse(data []byte) ([]any, error) {
	if len(data) > MaxBytes {
		return nil, Errorf("", "%d bytes; at most %d are read", len(data), MaxBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a mark that it is UTF-8
	var values []any
	for d := cjson.NewDecoder(data); d.Kind() != 0; {
		if len(values) == MaxValues {
			return nil, Errorf("", "more than %d values", MaxValues)
		}
		raw, err := d.AppendCanonical(nil)
		if err != nil {
			return nil, at(data, len(values) == 0, err)
		}
		v, err := decode(raw)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil, Errorf("", "the document is empty")
	}
	return values, nil
}

// at gives the place of an error in lines and columns, or says what the document
// is instead of JSON.
func at(data []byte, first bool, err error) error {
	var e *cjson.Error
	if !errors.As(err, &e) {
		return err
	}
	if first {
		if what := filekind.Name(data); what != "" {
			return Errorf("", "the document is %s, not JSON in UTF-8", what)
		}
		if text := bytes.TrimSpace(data); len(text) == 0 || text[0] != '{' && text[0] != '[' {
			return Errorf("", "the document is text, not JSON")
		}
	}
	before := data[:min(e.Offset, len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return Errorf(fmt.Sprintf("line %d, byte %d", line, column), "%s", e.Msg)
}

// decode reads JSON that is known to be sound.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return v, nil
}

// Encode writes a value in one line.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// A Reader takes an object of a document apart. After the first error it
// returns nothing more; see [Reader.Err].
type Reader struct {
	Place  string
	Object Object
	fail   *error
}

// NewReader returns a reader of what must be an object.
func NewReader(place string, v any) *Reader {
	r := &Reader{Place: place, fail: new(error)}
	r.Object = r.object(place, v)
	return r
}

// Err returns the first error of a reader and of those that it made.
func (r *Reader) Err() error { return *r.fail }

// Fail notes an error at a member.
func (r *Reader) Fail(name, format string, args ...any) {
	r.FailAt(Join(r.Place, name), format, args...)
}

// FailAt notes an error at a place.
func (r *Reader) FailAt(place, format string, args ...any) {
	if *r.fail == nil {
		*r.fail = Errorf(place, format, args...)
	}
}

// Join names a member's place.
func Join(place, name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$@") != "" || len(name) > 64 {
		name = strconv.Quote(name[:min(len(name), 64)])
	}
	if place == "" {
		return name
	}
	return place + "." + name
}

func (r *Reader) object(place string, v any) Object {
	o, ok := v.(Object)
	if !ok {
		r.FailAt(place, "expected an object, found %s", kind(v))
		return Object{}
	}
	return o
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}

// Has reports whether a member is there and is not null.
func (r *Reader) Has(name string) bool { return r.Object[name] != nil }

// String reads a string; it is empty if the member is not there.
func (r *Reader) String(name string) string {
	v := r.Object[name]
	if v == nil || *r.fail != nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.Fail(name, "expected a string, found %s", kind(v))
	}
	return s
}

// Need reads a string that must be there.
func (r *Reader) Need(name string) string {
	s := r.String(name)
	if s == "" {
		r.Fail(name, "missing")
	}
	return s
}

// Inner returns a reader of an object; it is empty if the member is not there.
func (r *Reader) Inner(name string) *Reader {
	in := &Reader{Place: Join(r.Place, name), Object: Object{}, fail: r.fail}
	if v := r.Object[name]; v != nil {
		in.Object = r.object(in.Place, v)
	}
	return in
}

// Array reads an array; it is empty if the member is not there.
func (r *Reader) Array(name string) []any {
	v := r.Object[name]
	if v == nil || *r.fail != nil {
		return nil
	}
	a, ok := v.([]any)
	if !ok {
		r.Fail(name, "expected an array, found %s", kind(v))
	}
	return a
}

// EachOrOne is Each, and takes a single object for an array of it, which is the same in JSON-LD.
func (r *Reader) EachOrOne(name string) []*Reader {
	if o, ok := r.Object[name].(Object); ok {
		return []*Reader{{Place: Join(r.Place, name), Object: o, fail: r.fail}}
	}
	return r.Each(name)
}

// Each returns readers of the objects in an array.
func (r *Reader) Each(name string) []*Reader {
	var all []*Reader
	for i, v := range r.Array(name) {
		in := &Reader{Place: fmt.Sprintf("%s[%d]", Join(r.Place, name), i), fail: r.fail}
		in.Object = r.object(in.Place, v)
		all = append(all, in)
	}
	return all
}

// Without returns a copy of an object that lacks some members.
func Without(o Object, names ...string) Object {
	out := make(Object, len(o))
	for k, v := range o {
		if !slices.Contains(names, k) {
			out[k] = v
		}
	}
	return out
}

// List names things for people: "a, b and c".
func List[S ~string](names []S) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(n))
	}
	return b.String()
}
