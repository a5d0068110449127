package lineage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
)

// Limits on entities. They are part of the format: a decoder refuses an entity
// that exceeds them.
const (
	MaxID     = 230     // bytes of an id; of a deployment's, event.MaxClear
	MaxLine   = 4096    // bytes of a field of one line
	MaxText   = 1 << 20 // bytes of a description, an intended use, a reason or a template
	MaxRefs   = 10_000  // entities that one field names
	MaxKeys   = 10_000  // keys of attributes, parameters, metrics or environment
	MaxValues = 4 << 20 // bytes of all these values together
)

// A FieldError reports which field of an entity is invalid, and why.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

func problem(name, format string, args ...any) error {
	return &FieldError{Field: name, Problem: fmt.Sprintf(format, args...)}
}

// Encode returns the canonical encoding of a complete entity: canonical JSON of
// its fields that are not empty. See docs/format/lineage.md.
func Encode(t Entity) []byte { return encode(t.fields()) }

func encode(fields []field) []byte {
	out := make([]byte, 0, 512)
	out = append(out, '{')
	for _, f := range fields {
		if f.absent() {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = append(out, f.name...)
		out = append(out, '"', ':')
		out = f.append(out)
	}
	return append(out, '}')
}

func (f field) append(out []byte) []byte {
	switch v := f.value.(type) {
	case *string:
		return cjson.AppendString(out, *v)
	case *[]string:
		out = append(out, '[')
		for i, s := range *v {
			if i > 0 {
				out = append(out, ',')
			}
			out = cjson.AppendString(out, s)
		}
		return append(out, ']')
	case **int64:
		return strconv.AppendInt(out, **v, 10)
	case **bool:
		return strconv.AppendBool(out, **v)
	case *time.Time:
		out = append(out, '"')
		out = event.AppendTime(out, *v)
		return append(out, '"')
	case *map[string]json.RawMessage:
		out = append(out, '{')
		for i, k := range slices.Sorted(maps.Keys(*v)) {
			if i > 0 {
				out = append(out, ',')
			}
			out = cjson.AppendString(out, k)
			out = append(out, ':')
			out = append(out, (*v)[k]...)
		}
		return append(out, '}')
	}
	panic("lineage: a field of an unknown type")
}

// ErrFormat reports that bytes are not the canonical encoding of an entity.
var ErrFormat = errors.New("not the stored form")

// Decode decodes the output of [Encode], and refuses any other encoding.
func Decode(k Kind, data []byte) (Entity, error) {
	t := New(k)
	if t == nil {
		return nil, fmt.Errorf("read an entity: unknown kind %q", k)
	}
	fields := t.fields()
	if err := decode(fields, data); err != nil {
		return nil, fmt.Errorf("read a %s: %w", k, err)
	}
	if t.Identity() == "" {
		return nil, fmt.Errorf("read a %s: %w: the id is missing", k, ErrFormat)
	}
	normalize(fields)
	if err := checkAll(t, fields); err != nil {
		return nil, fmt.Errorf("read a %s: %w", k, err)
	}
	if err := canonical.Check(data, encode(fields)); err != nil {
		return nil, fmt.Errorf("read a %s: %w: %w", k, ErrFormat, err)
	}
	return t, nil
}

// decodeRetirement decodes the details of a model_retired event.
func decodeRetirement(data []byte) (*Retirement, error) {
	r := new(Retirement)
	if err := decode(r.fields(), data); err != nil {
		return nil, fmt.Errorf("read a retirement: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read a retirement: %w", err)
	}
	if err := canonical.Check(data, encode(r.fields())); err != nil {
		return nil, fmt.Errorf("read a retirement: %w: %w", ErrFormat, err)
	}
	return r, nil
}

// ParseJSON parses an entity as people and programs write it: any form of JSON,
// with times in RFC 3339 form or as dates. An unknown field is refused, with
// the advice to put it into the attributes.
func ParseJSON(k Kind, data []byte) (Entity, error) {
	t := New(k)
	if t == nil {
		return nil, fmt.Errorf("read an entity: unknown kind %q: use %s", k, kindNames())
	}
	if err := decode(t.fields(), data); err != nil {
		return nil, fmt.Errorf("read a %s: %w", k, err)
	}
	return t, nil
}

// Update parses fields as [ParseJSON] does, and replaces those of an entity
// that is not complete yet.
func Update(t Entity, data []byte) error {
	if err := decode(t.fields(), data); err != nil {
		return fmt.Errorf("read a %s: %w", t.Kind(), err)
	}
	return nil
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func decode(fields []field, data []byte) error {
	d := cjson.NewDecoder(data)
	err := d.Object(func(key string) error {
		for _, f := range fields {
			if f.name == key {
				if err := f.read(d); err != nil {
					return inField(key, err)
				}
				return nil
			}
		}
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.name
		}
		return problem(quoted(key), "unknown field; use %s, or put it into attributes", strings.Join(names, ", "))
	})
	if err != nil {
		return err
	}
	return d.End()
}

func inField(name string, err error) error {
	var own *FieldError
	if errors.As(err, &own) {
		return err
	}
	return problem(name, "%v", err)
}

// quoted quotes a name from outside, shortened for a message.
func quoted(s string) string {
	const limit = 64
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

func (f field) read(d *cjson.Decoder) (err error) {
	switch v := f.value.(type) {
	case *string:
		*v, err = d.String()
	case *[]string:
		*v = nil
		return d.Array(func() error {
			if len(*v) == MaxRefs {
				return problem(f.name, "more than %d", MaxRefs)
			}
			s, err := d.String()
			*v = append(*v, s)
			return err
		})
	case **int64:
		var n int64
		n, err = d.Int()
		*v = &n
	case **bool:
		var b bool
		b, err = d.Bool()
		*v = &b
	case *time.Time:
		var s string
		if s, err = d.String(); err == nil {
			*v, err = ParseTime(s)
		}
	case *map[string]json.RawMessage:
		*v, err = readValues(f.name, d)
	default:
		panic("lineage: a field of an unknown type")
	}
	return err
}

func readValues(name string, d *cjson.Decoder) (map[string]json.RawMessage, error) {
	values := make(map[string]json.RawMessage)
	err := d.Object(func(key string) error {
		if len(values) == MaxKeys {
			return problem(name, "more than %d keys", MaxKeys)
		}
		raw, err := d.AppendCanonical(nil)
		values[key] = raw
		return err
	})
	return values, err
}

// ParseTime parses a time in RFC 3339 form, or a date, which is its beginning
// in UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if y := t.UTC().Year(); y < 1 || y > 9999 {
			break
		}
		return t.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("invalid time %s: use 2026-11-25T09:00:00Z or 2026-11-25", quoted(s))
}
