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

// imported is the metadata key under which ParsePlain keeps what a line says
// beyond the fields of an event.
const imported = "imported"

// ParsePlain reads one line of a plain hash-chained logger and reports whether
// data is such a line: whether it has event_type, previous_hash, hash or
// event_hash. Where it is not, nothing else is said; ask [ParseJSON].
//
// The fields are those of the edge form, save that event_type, timestamp and
// event_id stand for type, time and id. A type may be in capitals; one that is
// not known, or that only a log itself records, becomes a custom one. A
// timestamp may lack an offset, and then is UTC, or be a number of seconds
// since 1970. The event is made to [Fit]. The old id, the old
// hashes (an event_hash as "hash") and all fields that are not known are kept
// as the sealed metadata "imported": they were part of what that logger hashed.
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

// isPlain reports whether one of the members that only a plain logger writes
// is there, as far as data can be read.
func isPlain(data []byte) bool {
	// Nearly all other lines are told apart without parsing them. A backslash
	// may hide one of the names.
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

// errPlain ends the search for a member that tells.
var errPlain = errors.New("a plain logger's line")

// A plainReader reads the members of a plain logger's line.
type plainReader struct {
	edgeReader
	seen []string // of the names that have two spellings, those that were there
	kept []byte   // the members to keep, each behind a comma
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
	if key != "actor" { // such a logger's own field of that name was always kept as it was
		if known, err := r.edgeReader.member(key); known {
			return err
		}
	}
	return r.store(key)
}

// aliased reads the member key, which says the same as name.
func (r *plainReader) aliased(key, name string) error {
	if slices.Contains(r.seen, name) {
		return problem(key, "stands twice, under two names")
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

// readPlainType reads the type, which such loggers write as they like: PROMPT
// and EventType.PROMPT are prompt, and a type that is none of ours, or that only
// a log itself records, is a custom one. Where more changes than the case, the
// type as it was is kept.
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

// customName makes a name for a custom type of any text.
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

// readPlainTime reads a time that a logger wrote without much thought.
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
		return problem(key, "seconds since 1970 beyond what a time can hold")
	}
	r.e.Time = time.Unix(0, nanos).UTC()
	return nil
}

// readEventID reads the old id, which may be a number, and keeps it as it is.
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

// store keeps a member that no field is for. A null says nothing.
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

// keep puts the members that were stored into the metadata.
func (r *plainReader) keep() error {
	if len(r.kept) == 0 {
		return nil
	}
	v, err := cjson.AppendCanonical(nil, closeObject(r.kept, 0))
	if err != nil {
		return inField(imported, err)
	}
	if _, ok := r.e.Metadata[imported]; ok {
		return problem("metadata", "has a key %q, which is where the old hashes would go", imported)
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
