package document

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/lineage"
)

// A Draft is a thing that is being read.
type Draft struct {
	Kind   lineage.Kind
	Place  string
	Fields Object
}

// NewDraft returns an empty draft.
func NewDraft(k lineage.Kind, place string) *Draft {
	return &Draft{Kind: k, Place: place, Fields: Object{}}
}

// Set gives a field a value. Empty ones say nothing.
func (d *Draft) Set(name string, v any) {
	switch x := v.(type) {
	case string:
		if x == "" {
			return
		}
	case []any:
		if len(x) == 0 {
			return
		}
	case Object:
		if len(x) == 0 {
			return
		}
	case nil:
		return
	}
	d.Fields[name] = v
}

// SetLine gives a field a text that must be one line: another text
// remains in the attributes.
func (d *Draft) SetLine(name, s string) {
	if len(s) <= lineage.MaxLine && s == Short(s, lineage.MaxLine) {
		d.Set(name, s)
	}
}

// Refer adds ids to a field.
func (d *Draft) Refer(name string, ids ...string) {
	for _, id := range ids {
		list, _ := d.Fields[name].([]any)
		if len(list) > lineage.MaxRefs {
			return // it is refused for that
		}
		if !slices.Contains(list, any(id)) {
			d.Fields[name] = append(list, id)
		}
	}
}

// Entity makes the thing.
func (d *Draft) Entity() (lineage.Entity, error) {
	raw, err := Encode(d.Fields)
	if err != nil {
		return nil, err
	}
	t, err := lineage.ParseJSON(d.Kind, raw)
	if err == nil {
		err = lineage.Complete(t)
	}
	if err != nil {
		return nil, &Error{Place: d.Place, Err: err}
	}
	return t, nil
}

// Details are the fields of a complete thing.
func Details(t lineage.Entity) Object {
	v, err := decode(lineage.Encode(t))
	o, ok := v.(Object)
	if err != nil || !ok {
		panic("document: a complete entity is not an object")
	}
	return o
}

// Kept returns what a thing keeps of a format.
func Kept(t lineage.Entity, format string) Object {
	attributes, _ := Details(t)["attributes"].(Object)
	kept, _ := attributes[format].(Object)
	return kept
}

// Keep returns a thing that keeps this of a format, too, as attributes.
func Keep(t lineage.Entity, place, format string, more Object) (lineage.Entity, error) {
	if len(more) == 0 {
		return t, nil
	}
	d := &Draft{t.Kind(), place, Details(t)}
	attributes, _ := d.Fields["attributes"].(Object)
	kept, _ := attributes[format].(Object)
	d.Fields["attributes"] = Overlay(attributes, Object{format: Overlay(kept, more)})
	return d.Entity()
}

// Extension is a thing as it stands whole in a document.
func Extension(t lineage.Entity) Object {
	return Object{"kind": string(t.Kind()), "details": Details(t)}
}

// FromExtension reads a thing that stands whole in a document.
func FromExtension(place string, v any) (lineage.Entity, error) {
	r := NewReader(place, v)
	d := NewDraft(lineage.Kind(r.Need("kind")), r.Inner("details").Place)
	d.Fields = r.Inner("details").Object
	if id, _ := d.Fields["id"].(string); id == "" {
		r.Fail("details", "the id is missing")
	}
	for name := range r.Object {
		if name != "kind" && name != "details" {
			r.Fail(name, "unknown; this extension has a kind and details")
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return d.Entity()
}

// An Item is a thing that a document tells of.
type Item struct {
	Entity lineage.Entity
	Place  string
	Kept   []string // what of it is kept as attributes
}

// Names tells what is kept of a format.
func Names(kept Object) []string {
	var names []string
	for _, k := range slices.Sorted(maps.Keys(kept)) {
		inner, ok := kept[k].(Object)
		if !ok || len(inner) > 8 {
			names = append(names, k)
			continue
		}
		for _, n := range slices.Sorted(maps.Keys(inner)) {
			names = append(names, k+"."+n)
		}
	}
	return names
}

// nameDomain precedes the text whose hash a short name ends with.
const nameDomain = "audittrail/v1 lineage name\x00"

// Short returns a text of at most limit bytes that is a name: one that is
// longer ends with a hash of all of it. Characters that a name cannot have
// become blanks.
func Short(s string, limit int) string {
	clean := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s))
	if clean == s && len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(nameDomain + s))
	end := "~" + hex.EncodeToString(sum[:8])
	cut := min(len(clean), limit-len(end))
	for cut > 0 && !utf8.RuneStart(clean[min(cut, len(clean)-1)]) {
		cut--
	}
	return strings.TrimSpace(clean[:cut]) + end
}

// ID makes an id of a name from outside.
func ID(k lineage.Kind, name, version string) string {
	if version != "" {
		name += "@" + version
	}
	return Short(string(k)+":"+name, lineage.MaxID)
}

// Name makes a name, or a version, of one from outside.
func Name(s string) string { return Short(s, event.MaxClear) }

// Number makes a JSON number.
func Number(s string) json.Number { return json.Number(s) }

// ParseTime reads a time as [lineage.ParseTime] does, and one without an offset
// from UTC, as Python's isoformat writes it, as UTC; then zoneless is true.
func ParseTime(s string) (at time.Time, zoneless bool, err error) {
	at, err = lineage.ParseTime(s)
	if err == nil {
		return at, false, nil
	}
	if at, utcErr := lineage.ParseTime(strings.Replace(s, " ", "T", 1) + "Z"); utcErr == nil {
		return at, true, nil
	}
	return at, false, err
}

// ZoneNote says that times of a document were taken as UTC.
func ZoneNote(member string, n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s has no offset from UTC in %d places: taken as UTC", member, n)}
}
