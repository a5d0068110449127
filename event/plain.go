package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"audittrail/internal/cjson"
)

// imported is the metadata key under which ParsePlain keeps the members of a
// line that an event has no field for.
const imported = "imported"

// ParsePlain reads one line of a plain hash-chained logger and reports whether
// data is such a line: whether it has event_type, previous_hash, hash or
// event_hash. If it is not, the error is nil; use [ParseJSON].
//
// The fields are those of the edge form, but event_type, timestamp and event_id
// are other names of type, time and id. A type may be in capitals; an unknown
// type, or one that only a log itself records, becomes a custom one. A
// timestamp without an offset is in UTC; it may also be a number of seconds
// since 1970. [Fit] is applied to the event. The old id, the old hashes (an
// event_hash as "hash") and all unknown fields are kept as the encrypted
// metadata "imported", since that logger's hashes covered them.
func ParsePlain(data []byte) (e Event, plain bool, err error) {
	if !isPlain(data) {
		return Event{}, false, nil
	}
	r := plainReader{edgeReader: edgeReader{d: cjson.NewDecoder(data), size: len(data), fit: true}}
	if err := r.read(r.member); err != nil {
		return Event{}, true, nameDuplicate(data, err)
	}
	if err := r.keep(); err != nil {
		return Event{}, true, err
	}
	return r.e, true, nil
}

// isPlain reports whether data, as far as it can be read, has a member that
// only a plain logger writes.
func isPlain(data []byte) bool {
	// Nearly all other lines are recognised without parsing them. With \u
	// escapes a name may be written differently.
	if !bytes.Contains(data, []byte(`hash"`)) && !bytes.Contains(data, []byte(`event_type"`)) &&
		!bytes.Contains(data, []byte(`\u`)) {
		return false
	}
	d := cjson.NewDecoder(data)
	err := d.Object(func(key string) error {
		switch key {
		case "event_type", "previous_hash", "hash", "event_hash":
			return errPlain
		}
		return d.Skip()
	})
	return err == errPlain
}

// errPlain ends the search when such a member was found.
var errPlain = errors.New("a plain logger's line")

// A plainReader reads the members of a plain logger's line.
type plainReader struct {
	edgeReader
	seen []string // the fields with two names that were read
	kept []byte   // the members to keep, each after a comma
}

func (r *plainReader) member(key string) error {
	switch key {
	case "type", "time", "id":
		return r.aliased(key, key)
	case "event_type":
		return r.aliased(key, "type")
	case "timestamp":
		return r.aliased(key, "time")
	case "event_id":
		return r.aliased(key, "id")
	case "hash", "event_hash":
		return r.aliased(key, "hash")
	}
	if key != "actor" { // a plain logger's own field "actor" is kept as metadata
		if known, err := r.edgeReader.member(key); known {
			return err
		}
	}
	return r.store(key)
}

// aliased reads the member key, which is another name of name.
func (r *plainReader) aliased(key, name string) error {
	if slices.Contains(r.seen, name) {
		return problem(key, "given twice, under two names")
	}
	r.seen = append(r.seen, name)
	switch {
	case name == "hash":
		return r.store(name)
	case r.d.Kind() == 'n':
		return inField(key, r.d.Null())
	case name == "time":
		return r.readPlainTime(key)
	case key == "event_id":
		return r.readEventID()
	case name == "type":
		return r.readPlainType(key)
	}
	_, err := r.edgeReader.member(key)
	return err
}

// readPlainType reads the type, which such loggers write in different ways:
// PROMPT and EventType.PROMPT are prompt. An unknown type, or one that only a
// log itself records, becomes a custom one. If more than the case changes, the
// original type is kept in the metadata.
func (r *plainReader) readPlainType(key string) error {
	var old string
	if err := readString(r.d, key, &old); err != nil {
		return err
	}
	name := strings.TrimPrefix(strings.ToLower(old), "eventtype.") // as Python's str shows an enumeration
	r.e.Type = Type(name)
	if r.e.Type.Valid() && !r.e.Type.Reserved() || name == "" {
		return nil
	}
	if r.e.Type = Type(customPrefix + customName(name)); string(r.e.Type[len(customPrefix):]) != name {
		r.append("event_type", cjson.AppendString(nil, old))
	}
	return nil
}

// customName makes the name of a custom type from any text.
func customName(s string) string {
	const limit = 63
	b := make([]byte, 0, limit)
	for i := 0; i < len(s) && len(b) < limit; i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		switch {
		case letter, len(b) > 0 && (c == '.' || c == '-'):
			b = append(b, c)
		case len(b) > 0:
			b = append(b, '_')
		}
	}
	if len(b) == 0 {
		return "unknown"
	}
	return string(b)
}

// readPlainTime reads a time in one of the forms that loggers write.
func (r *plainReader) readPlainTime(key string) error {
	if r.d.Kind() != '0' {
		return r.readTime(key, zoneOrUTC)
	}
	s, err := r.d.Number()
	if err != nil {
		return inField(key, err)
	}
	nanos, ok := decimal(s, 9)
	if !ok {
		return problem(key, "more seconds since 1970 than a time can express")
	}
	r.e.Time = time.Unix(0, nanos).UTC()
	return nil
}

// readEventID reads the old id, which may be a number, and keeps it unchanged.
func (r *plainReader) readEventID() error {
	raw, err := r.d.Raw()
	if err != nil {
		return inField("event_id", err)
	}
	r.append("event_id", raw)
	d := cjson.NewDecoder(raw)
	if d.Kind() == '0' {
		r.e.ID = string(raw)
		return nil
	}
	return readString(d, "event_id", &r.e.ID)
}

// store keeps a member that an event has no field for. A null is dropped.
func (r *plainReader) store(key string) error {
	if r.d.Kind() == 'n' {
		return r.d.Null()
	}
	raw, err := r.d.Raw()
	if err != nil {
		return inField(imported, err)
	}
	r.append(key, raw)
	return nil
}

func (r *plainReader) append(key string, raw []byte) {
	r.kept = append(r.kept, ',')
	r.kept = cjson.AppendString(r.kept, key)
	r.kept = append(r.kept, ':')
	r.kept = append(r.kept, raw...)
}

// keep adds the stored members to the metadata.
func (r *plainReader) keep() error {
	if len(r.kept) == 0 {
		return nil
	}
	v, err := cjson.AppendCanonical(nil, closeObject(r.kept, 0))
	if err != nil {
		return inField(imported, err)
	}
	if _, ok := r.e.Metadata[imported]; ok {
		return problem("metadata", "has a key %q, which import needs for the old hashes", imported)
	}
	if r.e.Metadata == nil {
		r.e.Metadata = make(map[string]json.RawMessage, 1)
	}
	r.e.Metadata[imported] = v
	if n := len(r.e.Metadata); n > MaxMetadata {
		return tooManyKeys(n)
	}
	return nil
}
