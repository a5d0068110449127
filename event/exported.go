package event

import (
	"bytes"
	"slices"

	"audittrail/internal/cjson"
)

// exported are the members of an export before those of the event.
var exported = []string{"seq", "uuid", "hash", "logged", "class", "subject", "state"}

// perhaps are further members that an export may have: values that the log
// derived from the event, or added.
var perhaps = []string{"parts", "source", "actor_subject", "domain", "withheld", "call", "matches"}

// ParseExported reads one line of JSON that an export of a log, or a query of
// it, wrote, and reports whether data is such a line: whether it has seq, uuid,
// hash, logged, class, subject and state. If it is not, the error is nil; ask
// [ParseJSON].
//
// The event is read from the other members, except those that the log added. If
// it had no id, its id is the record's UUID, so that it is not appended twice.
// A record whose content was not readable is refused, since its event would be
// empty.
func ParseExported(data []byte) (e Event, isExport bool, err error) {
	if !isExported(data) {
		return Event{}, false, nil
	}
	r := edgeReader{d: cjson.NewDecoder(data), size: len(data), fit: true}
	var uuid string
	err = r.read(func(key string) error {
		switch {
		case key == "uuid":
			return readString(r.d, key, &uuid)
		case key == "state":
			var state string
			if err := readString(r.d, key, &state); err != nil {
				return err
			}
			if state != "readable" {
				return problem(key, "%.40q: the content of this record was not readable when it was exported", state)
			}
			return nil
		case slices.Contains(perhaps, key), slices.Contains(exported, key):
			return r.d.Skip()
		}
		known, err := r.member(key)
		if !known {
			return unknownField("", key, edgeFields)
		}
		return err
	})
	if err != nil {
		return Event{}, true, nameDuplicate(data, err)
	}
	if r.e.ID == "" {
		r.e.ID = uuid
	}
	return r.e, true, checkText("uuid", uuid, MaxID)
}

// isExported reports whether data has all members that only an export has.
func isExported(data []byte) bool {
	if !bytes.Contains(data, []byte(`"uuid"`)) {
		return false
	}
	n := 0
	d := cjson.NewDecoder(data)
	err := d.Object(func(key string) error {
		if slices.Contains(exported, key) {
			n++
		}
		return d.Skip()
	})
	return err == nil && n == len(exported)
}
