package lineage

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/internal/cjson"
)

// checkAll returns the first error in a complete entity.
func checkAll(t Entity, fields []field) error {
	size := 0
	var derived error // the id is derived from other fields, whose errors tell more
	for _, f := range fields {
		if err := f.check(); err != nil && f.name == "id" {
			derived = err
		} else if err != nil {
			return err
		}
		if v, ok := f.value.(*map[string]json.RawMessage); ok {
			for key, raw := range *v {
				size += len(key) + len(raw)
			}
		}
	}
	if size > MaxValues {
		return problem("attributes", "%d bytes together with parameters, metrics and environment; use at most %d", size, MaxValues)
	}
	if err := t.check(); err != nil {
		return err
	}
	return derived
}

func (f field) check() error {
	switch v := f.value.(type) {
	case *string:
		return checkString(f.name, *v, f.as)
	case *[]string:
		if len(*v) > MaxRefs {
			return problem(f.name, "%d values; use at most %d", len(*v), MaxRefs)
		}
		for _, s := range *v {
			if s == "" {
				return problem(f.name, "an empty id")
			}
			if err := checkString(f.name, s, ident); err != nil {
				return err
			}
		}
	case **int64:
		if n := *v; n != nil && (*n < 0 || *n > event.MaxInt) {
			return problem(f.name, "%d; use 0 to 2^53-1", *n)
		}
	case *time.Time:
		if y := v.Year(); !v.IsZero() && (y < 1 || y > 9999) {
			return problem(f.name, "outside the years 1 to 9999")
		}
	case *map[string]json.RawMessage:
		if len(*v) > MaxKeys {
			return problem(f.name, "%d keys; use at most %d", len(*v), MaxKeys)
		}
		for key, raw := range *v {
			if !utf8.ValidString(key) {
				return problem(f.name, "a key is not valid UTF-8")
			}
			if _, err := cjson.AppendCanonical(nil, raw); err != nil {
				return problem(f.name, "%s: %v", quoted(key), err)
			}
		}
	}
	return nil
}

func checkString(name, s string, as shape) error {
	limit := MaxLine
	switch as {
	case text:
		limit = MaxText
	case ident:
		limit = MaxID
	case clearly:
		limit = event.MaxClear
	}
	if len(s) > limit {
		return problem(name, "%d bytes; use at most %d", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return problem(name, "not valid UTF-8")
	}
	if as != text {
		if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
			return problem(name, "a control character at byte %d", i)
		}
		if strings.TrimSpace(s) != s {
			return problem(name, "leading or trailing blanks")
		}
	}
	if as == digest && s != "" && !validDigest(s) {
		return problem(name, "%s is not ALGORITHM:HEX, such as sha256: and 64 hexadecimal digits", quoted(s))
	}
	return nil
}

// validDigest reports whether s is ALGORITHM:HEX with an even number of 32 to
// 128 lower-case digits.
func validDigest(s string) bool {
	algorithm, hex, ok := strings.Cut(s, ":")
	if !ok || algorithm == "" || strings.Trim(algorithm, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return false
	}
	return len(hex) >= 32 && len(hex) <= 128 && len(hex)%2 == 0 && strings.Trim(hex, "0123456789abcdef") == ""
}

// NormalDigest returns the digest of a file in canonical form: 64 bare
// hexadecimal digits are SHA-256, and capitals become lower case.
func NormalDigest(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" {
		return "sha256:" + s
	}
	return s
}

// normalize brings the fields of an entity into canonical form. It replaces
// what they point to and never writes to it, since it belongs to the caller.
func normalize(fields []field) {
	for _, f := range fields {
		switch v := f.value.(type) {
		case *string:
			if f.as == digest && *v != "" {
				*v = NormalDigest(*v)
			}
		case *[]string:
			ids := slices.Clone(*v)
			slices.Sort(ids)
			*v = slices.Compact(ids)
			if len(*v) == 0 {
				*v = nil
			}
		case *time.Time:
			if !v.IsZero() {
				*v = v.Round(0).UTC()
			}
		case *map[string]json.RawMessage:
			*v = normalValues(*v)
		}
	}
}

func normalValues(values map[string]json.RawMessage) map[string]json.RawMessage {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]json.RawMessage, len(values))
	for key, raw := range values {
		canonical, err := cjson.AppendCanonical(nil, raw)
		if err != nil {
			canonical = raw // check reports the error
		}
		out[key] = canonical
	}
	return out
}

func checkSpan(fromName, toName string, from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		return problem(toName, "%s is before %s, %s", to.Format(time.RFC3339), fromName, from.Format(time.RFC3339))
	}
	return nil
}

func need(name, value string) error {
	if value == "" {
		return problem(name, "missing")
	}
	return nil
}

func (d *Dataset) check() error { return need("name", d.Name) }

func (r *TrainingRun) check() error {
	if r.Name == "" && r.Model == "" && len(r.Datasets) == 0 {
		return problem("name", "missing, and so are model and datasets")
	}
	return checkSpan("start", "end", r.Start, r.End)
}

func (m *ModelVersion) check() error { return need("name", m.Name) }

func (d *Deployment) check() error {
	if err := need("model", d.Model); err != nil {
		return err
	}
	return checkSpan("from", "to", d.From, d.To)
}

func (p *PromptTemplate) check() error { return need("name", p.Name) }

func (e *Evaluation) check() error {
	if err := need("model", e.Model); err != nil {
		return err
	}
	return checkSpan("start", "end", e.Start, e.End)
}

func (r *Retirement) check() error {
	for _, f := range r.fields() {
		if err := f.check(); err != nil {
			return err
		}
	}
	return need("thing", r.Entity)
}
