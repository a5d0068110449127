package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"unicode/utf8"

	"audittrail/internal/cjson"
)

// FullValues is the metadata key under which [Fit] keeps values that are longer
// than their cleartext fields.
const FullValues = "full_values"

// longDomain separates the hashes of long values from all others. It reaches
// the disk: if it changed, records of one model would have two names.
const longDomain = "audittrail/v1 long value"

// Fit makes e fit the cleartext fields where that loses nothing: it lowers the
// letters of trace and span ids, and shortens values of more than [MaxClear]
// bytes to their [ClearForm]. The whole values go into the metadata, which are
// encrypted, as "full_values".
//
// Programs that take events from elsewhere call it before they validate. The
// log itself does not: it refuses what does not fit with a [*FieldError]. Other
// errors are left for validation. Values that e points to are replaced, never
// changed in place.
func Fit(e *Event) {
	for _, id := range []*string{&e.TraceID, &e.SpanID, &e.ParentSpanID} {
		*id = strings.ToLower(*id)
	}
	if _, taken := e.Metadata[FullValues]; taken {
		return // validation returns the error for the value that is too long
	}
	f := fitter{full: make(map[string]json.RawMessage)}
	f.fit("model_id", &e.ModelID)
	f.fit("model_version", &e.ModelVersion)
	f.fit("provider", &e.Provider)
	f.fit("deployment_id", &e.DeploymentID)
	f.fit("category", &e.Category)
	f.fit("finish_reason", &e.FinishReason)
	if t := e.Tool; t != nil && long(t.Name) {
		c := *t
		f.fit("tool.name", &c.Name)
		e.Tool = &c
	}
	if p := e.Producer; p != nil && long(p.ID) {
		c := *p
		f.fit("producer.id", &c.ID)
		e.Producer = &c
	}
	e.Labels = f.labels(e.Labels)
	if len(f.full) == 0 {
		return
	}
	e.Metadata = maps.Clone(e.Metadata)
	if e.Metadata == nil {
		e.Metadata = make(map[string]json.RawMessage, 1)
	}
	e.Metadata[FullValues] = object(f.full)
}

// ClearForm returns s as a cleartext field has it after [Fit]: s itself, or, if
// it is longer than [MaxClear] bytes, its beginning, a tilde and twelve
// hexadecimal digits of a hash of s, in at most that many bytes.
func ClearForm(s string) string {
	if !long(s) {
		return s
	}
	const digits = 12
	h := sha256.Sum256([]byte(longDomain + "\x00" + s))
	end := MaxClear - 1 - digits
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "~" + hex.EncodeToString(h[:digits/2])
}

// long reports whether s is too long for a cleartext field, but valid
// otherwise.
func long(s string) bool { return len(s) > MaxClear && utf8.ValidString(s) }

// A fitter collects the values that it shortens.
type fitter struct {
	full map[string]json.RawMessage
}

func (f *fitter) fit(field string, s *string) {
	if long(*s) {
		f.full[field] = cjson.AppendString(nil, *s)
		*s = ClearForm(*s)
	}
}

func (f *fitter) labels(labels map[string]string) map[string]string {
	full := make(map[string]json.RawMessage)
	for k, v := range labels {
		if long(k) || long(v) {
			full[k] = cjson.AppendString(nil, v)
		}
	}
	if len(full) == 0 {
		return labels
	}
	f.full["labels"] = object(full)
	short := make(map[string]string, len(labels))
	for k, v := range labels {
		short[ClearForm(k)] = ClearForm(v)
	}
	return short
}

// object writes members, which are canonical values, as a canonical object.
func object(members map[string]json.RawMessage) json.RawMessage {
	var dst []byte
	for _, k := range sortedKeys(nil, members) {
		dst = append(dst, ',')
		dst = append(cjson.AppendString(dst, k), ':')
		dst = append(dst, members[k]...)
	}
	return closeObject(dst, 0)
}
