package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"audittrail/event"
)

// Limits on a scope.
const (
	maxScopeItems = 64
	maxScopeText  = event.MaxClear
)

// A Scope limits a grant to some records: those of one of the models, of one of
// the types, with one of the values for each of the labels, and from a time
// range. An empty field sets no limit.
type Scope struct {
	Models []string
	Types  []event.Type
	Labels map[string][]string
	From   time.Time // inclusive
	Until  time.Time // exclusive
}

// Empty reports whether the scope sets no limit.
func (s *Scope) Empty() bool {
	return len(s.Models) == 0 && len(s.Types) == 0 && len(s.Labels) == 0 && s.From.IsZero() && s.Until.IsZero()
}

// ParseScope parses limits in the form of the command line: model=NAME,
// type=TYPE, label:KEY=VALUE, from=TIME, until=TIME. Several limits of a kind
// widen the scope, several kinds narrow it.
func ParseScope(terms []string) (Scope, error) {
	var s Scope
	for _, term := range terms {
		kind, value, ok := strings.Cut(term, "=")
		if !ok || value == "" {
			return Scope{}, fmt.Errorf("read scope %q: use model=NAME, type=TYPE, label:KEY=VALUE, from=TIME or until=TIME", clip(term))
		}
		if err := s.add(kind, value); err != nil {
			return Scope{}, fmt.Errorf("read scope %q: %w", clip(term), err)
		}
	}
	return s, s.normalize()
}

func (s *Scope) add(kind, value string) error {
	key, label := strings.CutPrefix(kind, "label:")
	switch {
	case kind == "model":
		s.Models = append(s.Models, value)
	case kind == "type":
		s.Types = append(s.Types, event.Type(value))
	case label && key != "":
		if s.Labels == nil {
			s.Labels = map[string][]string{}
		}
		s.Labels[key] = append(s.Labels[key], value)
	case kind == "from", kind == "until":
		t, err := parseTime(value)
		if err != nil {
			return err
		}
		at := &s.From
		if kind == "until" {
			at = &s.Until
		}
		if !at.IsZero() {
			return fmt.Errorf("%s is given twice", kind)
		}
		*at = t
	default:
		return fmt.Errorf("unknown limit %q: use model, type, label:KEY, from or until", clip(kind))
	}
	return nil
}

// parseTime parses a time in RFC 3339 form, or a date, which is its first
// instant in UTC.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("invalid time: use a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
	}
	return t.UTC(), nil
}

// normalize checks the scope, and sorts it into canonical order.
func (s *Scope) normalize() error {
	n := len(s.Models) + len(s.Types) + len(s.Labels)
	for key, values := range s.Labels {
		n += len(values)
		if key == "" || strings.Contains(key, "=") || len(key) > maxScopeText || len(values) == 0 {
			return fmt.Errorf("a label of the scope has no key, no value, a key with =, or more than %d bytes", maxScopeText)
		}
		s.Labels[key] = sorted(values)
	}
	s.Models, s.Types = sorted(s.Models), sorted(s.Types)
	if n > maxScopeItems {
		return fmt.Errorf("the scope has %d parts; use at most %d", n, maxScopeItems)
	}
	for _, t := range s.Types {
		if !t.Valid() {
			return fmt.Errorf("unknown event type %q in the scope", clip(string(t)))
		}
	}
	for text := range s.texts() {
		if len(text) > maxScopeText {
			return fmt.Errorf("a part of the scope has %d bytes; use at most %d", len(text), maxScopeText)
		}
	}
	if !s.From.IsZero() && !s.Until.IsZero() && !s.From.Before(s.Until) {
		return fmt.Errorf("the scope ends %s, not after it begins %s", s.Until.Format(time.RFC3339), s.From.Format(time.RFC3339))
	}
	return nil
}

func (s *Scope) texts() func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, m := range s.Models {
			if !yield(m) {
				return
			}
		}
		for _, values := range s.Labels {
			for _, v := range values {
				if !yield(v) {
					return
				}
			}
		}
	}
}

func sorted[T ~string](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// Terms returns the scope in the form that ParseScope parses.
func (s *Scope) Terms() []string {
	terms := []string{}
	for _, m := range s.Models {
		terms = append(terms, "model="+m)
	}
	for _, t := range s.Types {
		terms = append(terms, "type="+string(t))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		for _, v := range s.Labels[key] {
			terms = append(terms, "label:"+key+"="+v)
		}
	}
	if !s.From.IsZero() {
		terms = append(terms, "from="+s.From.UTC().Format(time.RFC3339Nano))
	}
	if !s.Until.IsZero() {
		terms = append(terms, "until="+s.Until.UTC().Format(time.RFC3339Nano))
	}
	return terms
}

// Covers reports whether an event is within the scope, judged by its cleartext
// fields.
func (s *Scope) Covers(e *event.Event) bool {
	if len(s.Models) > 0 && !slices.Contains(s.Models, e.ModelID) ||
		len(s.Types) > 0 && !slices.Contains(s.Types, e.Type) ||
		!s.From.IsZero() && e.Time.Before(s.From) ||
		!s.Until.IsZero() && !e.Time.Before(s.Until) {
		return false
	}
	for key, values := range s.Labels {
		if v, ok := e.Labels[key]; !ok || !slices.Contains(values, v) {
			return false
		}
	}
	return true
}
