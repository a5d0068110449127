// Package governance reads and writes the details of the records by which a log
// orders that keys are destroyed or kept: erasures, expiries, legal holds and
// their release (docs/format/administration.md). It accepts one form of each,
// and does not read files or keys.
package governance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
	"audittrail/record"
)

// The metadata keys of the details of such records. They reach the disk.
const (
	erasureKey = "erasure"
	expiryKey  = "expiry"
	holdKey    = "hold"
	releaseKey = "release"
)

// ErrFormat reports details that are not of a form that this program knows.
var ErrFormat = errors.New("not of the form that this program knows")

// An Erasure has the details of a record of type subject_erased.
type Erasure struct {
	Subjects []record.Subject // ascending
	Reason   string
	Basis    string
	Approval string
	By       string
}

type erasure struct {
	Approval string   `json:"approval,omitempty"`
	Basis    string   `json:"basis,omitempty"`
	By       string   `json:"by,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Subjects []string `json:"subjects"`
}

// Metadata returns the erasure as a record's metadata.
func (e *Erasure) Metadata() (map[string]json.RawMessage, error) {
	w := erasure{Approval: e.Approval, Basis: e.Basis, By: e.By, Reason: e.Reason, Subjects: make([]string, len(e.Subjects))}
	for i, s := range e.Subjects {
		w.Subjects[i] = s.String()
	}
	return encode(erasureKey, &w)
}

// ReadErasure reads the one form that Metadata returns, and refuses others.
func ReadErasure(m map[string]json.RawMessage) (*Erasure, error) {
	var w erasure
	if err := Decode(m, erasureKey, &w); err != nil {
		return nil, err
	}
	e := &Erasure{Reason: w.Reason, Basis: w.Basis, Approval: w.Approval, By: w.By}
	for i, text := range w.Subjects {
		s, err := record.ParseSubject(text)
		if err != nil || i > 0 && text <= w.Subjects[i-1] {
			return nil, fmt.Errorf("%s: subject %d: %w", erasureKey, i, ErrFormat)
		}
		e.Subjects = append(e.Subjects, s)
	}
	if len(e.Subjects) == 0 {
		return nil, fmt.Errorf("%s: no subjects: %w", erasureKey, ErrFormat)
	}
	return e, nil
}

// An Expiry has the details of a record of type class_expired.
type Expiry struct {
	Classes []string // ascending
	Reason  string
}

type expiry struct {
	Classes []string `json:"classes"`
	Reason  string   `json:"reason,omitempty"`
}

// Metadata returns the expiry as a record's metadata.
func (e *Expiry) Metadata() (map[string]json.RawMessage, error) {
	return encode(expiryKey, &expiry{e.Classes, e.Reason})
}

// ReadExpiry reads the one form that Metadata returns, and refuses others.
func ReadExpiry(m map[string]json.RawMessage) (*Expiry, error) {
	var w expiry
	if err := Decode(m, expiryKey, &w); err != nil {
		return nil, err
	}
	for i, c := range w.Classes {
		if _, _, err := record.SplitClass(c); err != nil || i > 0 && c <= w.Classes[i-1] {
			return nil, fmt.Errorf("%s: class %d: %w", expiryKey, i, ErrFormat)
		}
	}
	if len(w.Classes) == 0 {
		return nil, fmt.Errorf("%s: no classes: %w", expiryKey, ErrFormat)
	}
	return &Expiry{w.Classes, w.Reason}, nil
}

// A Release has the details of a record of type hold_released.
type Release struct {
	Hold   string // the hold's id
	Reason string
	By     string
}

type release struct {
	By     string `json:"by,omitempty"`
	Hold   string `json:"hold"`
	Reason string `json:"reason,omitempty"`
}

// Metadata returns the release as a record's metadata.
func (r *Release) Metadata() (map[string]json.RawMessage, error) {
	return encode(releaseKey, &release{r.By, r.Hold, r.Reason})
}

// ReadRelease reads the one form that Metadata returns, and refuses others.
func ReadRelease(m map[string]json.RawMessage) (*Release, error) {
	var w release
	if err := Decode(m, releaseKey, &w); err != nil {
		return nil, err
	}
	if _, err := record.ParseID(w.Hold); err != nil {
		return nil, fmt.Errorf("%s: hold: %w", releaseKey, ErrFormat)
	}
	return &Release{Hold: w.Hold, Reason: w.Reason, By: w.By}, nil
}

// encode returns metadata with v under key, in the form of a record's content.
func encode(key string, v any) (map[string]json.RawMessage, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	return map[string]json.RawMessage{key: b}, nil
}

func marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return cjson.AppendCanonical(nil, b)
}

// Decode reads the details of a governance record: its metadata must have one
// member of that name, in the canonical form of v. Every error is ErrFormat. A
// member that v does not have is of a newer program, and may restrict the
// others: so no decision may be based on the record.
func Decode[T any](m map[string]json.RawMessage, key string, v *T) error {
	raw, ok := m[key]
	if !ok || len(m) != 1 {
		return fmt.Errorf("metadata without %s, or with more: %w", key, ErrFormat)
	}
	if err := canonical.Decode(raw, v, func(v *T) ([]byte, error) { return marshal(v) }); err != nil {
		return fmt.Errorf("%s: %w: %w", key, ErrFormat, err)
	}
	return nil
}

// Limits of texts that people write. MaxName is also the limit of user ids.
const (
	maxReason = 4096 // bytes of a reason
	MaxName   = 1024 // bytes of a name, and of a legal basis
)

// CheckReason returns an error for a reason that is missing though it must be
// given, is too long, or is not a text.
func CheckReason(reason string, must bool) error {
	if must && strings.TrimSpace(reason) == "" {
		return &event.FieldError{Field: "reason", Problem: "empty: give the reason, for later readers of the log"}
	}
	return CheckText("reason", reason, maxReason)
}

// CheckText returns an error for a field that is too long or not a text.
func CheckText(field, text string, limit int) error {
	if len(text) > limit {
		return &event.FieldError{Field: field, Problem: fmt.Sprintf("%d bytes; the limit is %d", len(text), limit)}
	}
	if !utf8.ValidString(text) {
		return &event.FieldError{Field: field, Problem: "not valid UTF-8"}
	}
	return nil
}
