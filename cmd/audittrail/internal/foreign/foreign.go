// Package foreign reads lines that other programs wrote about calls of models,
// and recognizes further kinds of lines, which it does not read.
//
// Tables define how a line becomes an event: which member becomes which field.
// Members that no table mentions are kept, encrypted, as the metadata
// "imported"; "imported_from" names the program.
package foreign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/cjson"
)

// An Error reports that a line has another form than expected, and says what to
// do with it.
type Error struct {
	What string // "LiteLLM's spend log"
	Do   string
}

func (e *Error) Error() string { return "this is " + e.What + ": " + e.Do }

// Formats returns the names of the formats that Parse accepts.
func Formats() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// Name returns the kind of a line as an *Error, or nil for an unknown kind.
func Name(line []byte) error {
	keys := members(line)
	for _, t := range tables {
		if hasAll(keys, t.has) {
			return &Error{What: "a line of " + t.what, Do: "import it with --from " + t.name}
		}
	}
	for _, k := range kinds {
		if hasAll(keys, k.has) && (!k.only || onlyThese(keys, k.has, k.may)) {
			return &Error{What: k.what, Do: k.do}
		}
	}
	return nil
}

// IsRecord reports whether a line is a record as a log stores it, with encrypted
// content.
func IsRecord(line []byte) bool {
	// Nearly all other lines are excluded without parsing them.
	return bytes.Contains(line, []byte(`"prev"`)) && hasAll(members(line), recordLine.has)
}

// members returns the names of the members of the object that line is.
func members(line []byte) []string {
	var keys []string
	d := cjson.NewDecoder(line)
	if err := d.Object(func(key string) error {
		keys = append(keys, key)
		return d.Skip()
	}); err != nil {
		return nil
	}
	return keys
}

func hasAll(keys, want []string) bool {
	for _, w := range want {
		if !slices.ContainsFunc(strings.Split(w, "|"), func(k string) bool { return slices.Contains(keys, k) }) {
			return false
		}
	}
	return true
}

func onlyThese(keys, has, may []string) bool {
	for _, k := range keys {
		if !slices.Contains(has, k) && !slices.Contains(may, k) {
			return false
		}
	}
	return true
}

// Parse reads a line of the format of that name as an event that fits.
func Parse(format string, line []byte) (event.Event, error) {
	i := slices.IndexFunc(tables, func(t *table) bool { return t.name == format })
	if i < 0 {
		return event.Event{}, fmt.Errorf("unknown format %q: use one of %s", format, strings.Join(Formats(), ", "))
	}
	t := tables[i]
	// Checked strictly first: encoding/json accepts repeated members, and replaces
	// invalid bytes.
	d := cjson.NewDecoder(line)
	if err := d.Skip(); err != nil {
		return event.Event{}, err
	}
	if err := d.End(); err != nil {
		return event.Event{}, err
	}
	if keys := members(line); !hasAll(keys, t.has) {
		if err := Name(line); err != nil {
			return event.Event{}, err
		}
		for _, want := range t.has {
			if !hasAll(keys, []string{want}) {
				return event.Event{}, fmt.Errorf("not a line of %s: it has no %s", t.what, strings.ReplaceAll(want, "|", " or "))
			}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return event.Event{}, err
	}
	return t.event(root)
}

// event returns the event of a line.
func (t *table) event(root map[string]any) (event.Event, error) {
	out := make(map[string]any)
	for k, v := range t.fixed {
		out[k] = v
	}
	for _, r := range t.types {
		if r.matches(root) {
			out["type"] = r.typ
			if r.outcome != "" {
				out["outcome"] = r.outcome
			}
			break
		}
	}
	var used []string
	for _, r := range t.rules {
		v, from, err := r.read(t, root)
		if err != nil {
			return event.Event{}, err
		}
		if v != nil {
			out[r.field] = v
			used = append(used, from...)
		}
	}
	for _, path := range used {
		remove(root, strings.Split(path, "."))
	}
	metadata := map[string]any{"imported_from": t.name}
	if len(root) > 0 {
		metadata["imported"] = root
	}
	out["metadata"] = metadata
	edge, err := json.Marshal(out)
	if err != nil {
		return event.Event{}, err
	}
	return event.ParseFitting(edge)
}

func (r *typeRule) matches(root map[string]any) bool {
	if r.member == "" {
		return true
	}
	v, ok := at(root, r.member)
	if !ok {
		return false
	}
	s, _ := v.(string)
	return r.values == nil || slices.Contains(r.values, s)
}

// read returns the value of r's field, or nil if there is none, and the members
// whose information the value contains completely.
func (r *rule) read(t *table, root map[string]any) (v any, used []string, err error) {
	if r.as == since {
		return r.readSince(root)
	}
	for _, path := range r.from {
		found, ok := at(root, path)
		if !ok {
			continue
		}
		v, err := r.convert(t, found)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if v == nil {
			continue
		}
		if r.as != amount {
			used = []string{path}
		}
		return v, used, nil
	}
	return nil, nil, nil
}

func (r *rule) convert(t *table, found any) (any, error) {
	switch r.as {
	case text, named:
		s, ok := scalar(found)
		if !ok {
			return nil, fmt.Errorf("neither a string nor a number, which %s needs", r.field)
		}
		if s == "" {
			return nil, nil
		}
		if r.as == named {
			s = t.name + ":" + s
		}
		return s, nil
	case said, unsaid:
		s, is := found.(string)
		switch {
		case is != (r.as == said), s == "" && is:
			return nil, nil
		case is:
			return s, nil
		}
	case count, amount:
		if n, ok := number(found); ok {
			return n, nil
		}
		return nil, fmt.Errorf("not a number, which %s needs", r.field)
	case when:
		return readTime(found)
	}
	if v := structured(found); v != nil {
		b, err := json.Marshal(v) // a copy, which later removals do not affect
		return json.RawMessage(b), err
	}
	return nil, nil
}

// number returns a number, which some databases write as a string.
func number(v any) (json.Number, bool) {
	switch v := v.(type) {
	case json.Number:
		return v, true
	case string:
		d := cjson.NewDecoder([]byte(v))
		if n, err := d.Number(); err == nil && n == v {
			return json.Number(n), true
		}
	}
	return "", false
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// structured returns a value, or the JSON in a string, or nil for an empty one.
func structured(v any) any {
	switch s := v.(type) {
	case string:
		if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
			d := cjson.NewDecoder([]byte(s))
			if d.Skip() == nil && d.End() == nil {
				return json.RawMessage(s)
			}
		}
		if s == "" {
			return nil
		}
	case map[string]any:
		if len(s) == 0 {
			return nil
		}
	case []any:
		if len(s) == 0 {
			return nil
		}
	}
	return v
}

// readTime returns a time in RFC 3339.
func readTime(v any) (any, error) {
	t, err := parseTime(v)
	if err != nil {
		return nil, err
	}
	return t.UTC().Format(time.RFC3339Nano), nil
}

// forms are the forms of a time in programs, besides RFC 3339. A time without an
// offset is in UTC.
var forms = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05"}

// milliseconds is the least number that counts milliseconds since 1970 rather than
// seconds: as seconds, it is in the year 5138.
const milliseconds = 1e11

// parseTime parses a time, or a number of seconds or milliseconds since 1970.
func parseTime(v any) (time.Time, error) {
	if s, ok := v.(string); ok {
		if len(s) > len("2006-01-02") && s[len("2006-01-02")] == ' ' {
			s = s[:len("2006-01-02")] + "T" + s[len("2006-01-02 "):]
		}
		for _, form := range forms {
			if t, err := time.Parse(form, s); err == nil {
				return t, nil
			}
		}
	}
	n, ok := number(v)
	if !ok {
		return time.Time{}, fmt.Errorf("not a time of RFC 3339, nor a number of seconds since 1970")
	}
	since, err := strconv.ParseFloat(n.String(), 64)
	switch {
	case err != nil || since < 0 || since >= 1000*milliseconds:
		return time.Time{}, fmt.Errorf("not a number of seconds or milliseconds since 1970")
	case since >= milliseconds:
		since /= 1000
	}
	return time.UnixMicro(int64(math.Round(since * 1e6))), nil
}

// readSince returns the milliseconds between two times. The later one is kept.
func (r *rule) readSince(root map[string]any) (any, []string, error) {
	var times [2]time.Time
	for i, path := range r.from {
		v, ok := at(root, path)
		if !ok {
			return nil, nil, nil
		}
		var err error
		if times[i], err = parseTime(v); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	took := times[1].Sub(times[0])
	if took < 0 {
		return nil, nil, nil // clocks of two machines; both times are kept
	}
	return json.Number(strconv.FormatFloat(float64(took.Microseconds())/1e3, 'f', 3, 64)), nil, nil
}

// at returns the value at a path, unless it is null.
func at(root map[string]any, path string) (any, bool) {
	var v any = root
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// remove removes the member at a path, and the objects that become empty.
func remove(in map[string]any, path []string) {
	if len(path) == 1 {
		delete(in, path[0])
		return
	}
	if below, ok := in[path[0]].(map[string]any); ok {
		remove(below, path[1:])
		if len(below) == 0 {
			delete(in, path[0])
		}
	}
}
