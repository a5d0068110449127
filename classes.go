package audittrail

import (
	"fmt"
	"slices"

	"audittrail/event"
)

// classes are the retention classes of a log, and the function that chooses one
// for an event.
type classes struct {
	names  []string
	choose func(*event.Event) string
}

// SetClasses sets the retention classes that events may name besides
// DefaultClass. Unless choose is nil, it chooses the class of an event that
// names none: if it returns "", that is DefaultClass. The setting applies to
// events that are appended from then on. choose is called from many goroutines,
// and must not keep or change the event.
func (l *Log) SetClasses(names []string, choose func(*event.Event) string) error {
	if err := checkClasses(names); err != nil {
		return fmt.Errorf("set retention classes: %w", err)
	}
	l.classes.Store(newClasses(names, choose))
	return nil
}

func newClasses(names []string, choose func(*event.Event) string) *classes {
	c := &classes{names: slices.Clone(names), choose: choose}
	if !slices.Contains(c.names, DefaultClass) {
		c.names = append(c.names, DefaultClass)
	}
	return c
}

func checkClasses(names []string) error {
	for _, name := range names {
		if !event.ValidClass(name) {
			return fmt.Errorf("retention class %q is not a lower-case name of at most 32 characters", name)
		}
		if name == GovernanceClass {
			return fmt.Errorf("retention class %q is reserved for governance records", name)
		}
	}
	return nil
}

// place gives an event its class, or refuses the one that it names.
func (c *classes) place(e *event.Event, reserved bool) error {
	named := e.RetentionClass != ""
	switch {
	case reserved:
		e.RetentionClass = GovernanceClass
		return nil
	case named:
	case c.choose != nil:
		e.RetentionClass = c.choose(e)
	}
	if e.RetentionClass == "" {
		e.RetentionClass = DefaultClass
	}
	if slices.Contains(c.names, e.RetentionClass) {
		return nil
	}
	if !named {
		return fmt.Errorf("the retention policy gives the event the class %q, which this log does not have; it has %q", e.RetentionClass, c.names)
	}
	return &event.FieldError{Field: "retention_class", Problem: fmt.Sprintf("%q is unknown; this log has %q", e.RetentionClass, c.names)}
}
