package retention

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"audittrail"
	"audittrail/event"
)

// A Policy decides which retention class an event gets when it is accepted, and
// how long the records of each class are kept, and where.
type Policy struct {
	Classes []Class `json:"class" toml:"class"`
	Rules   []Rule  `json:"rule,omitempty" toml:"rule"`
}

// A Class says how long records are kept, and where. An action without a period
// does not happen.
type Class struct {
	Name string `json:"name" toml:"name"`
	// KeepFor is how long contents can be read, from the end of the month in
	// which they were accepted. Then the class's key for that month is
	// destroyed.
	KeepFor Period `json:"keep_for,omitzero" toml:"keep_for"`
	// ArchiveAfter is when a segment moves to the folder ArchiveTo, counted
	// from when its last record was logged.
	ArchiveAfter Period `json:"archive_after,omitzero" toml:"archive_after"`
	ArchiveTo    string `json:"archive_to,omitempty" toml:"archive_to"`
	// DropAfter is when a segment, or its archive, is deleted.
	DropAfter Period `json:"drop_after,omitzero" toml:"drop_after"`
}

// A Rule gives a class to the events that meet all of its conditions. The first
// rule that matches decides; without one, the class is audittrail.DefaultClass.
type Rule struct {
	Class  string            `json:"class" toml:"class"`
	Types  []string          `json:"types,omitempty" toml:"types"`
	Models []string          `json:"models,omitempty" toml:"models"` // "gpt-4*" matches all names with this beginning
	Labels map[string]string `json:"labels,omitempty" toml:"labels"`
}

// Limits of a policy.
const (
	maxClasses = 256
	maxRules   = 4096
	maxPolicy  = 1 << 20 // bytes, as JSON
)

// A PolicyError reports why a policy is invalid.
type PolicyError struct {
	Where   string // "class standard", "rule 3"
	Problem string
}

func (e *PolicyError) Error() string { return e.Where + ": " + e.Problem }

func refuse(where, format string, args ...any) error {
	return &PolicyError{where, fmt.Sprintf(format, args...)}
}

// Check reports contradictions in a policy, as a *PolicyError.
func (p *Policy) Check() error {
	if len(p.Classes) > maxClasses || len(p.Rules) > maxRules {
		return refuse("policy", "%d classes and %d rules; use at most %d and %d", len(p.Classes), len(p.Rules), maxClasses, maxRules)
	}
	seen := map[string]bool{}
	for i := range p.Classes {
		c := &p.Classes[i]
		if !event.ValidClass(c.Name) {
			return refuse(fmt.Sprintf("class %d", i+1), "invalid class name %.64q: use a lower-case name of at most 32 characters", c.Name)
		}
		where := "class " + c.Name
		if seen[c.Name] {
			return refuse(where, "the class is defined twice")
		}
		seen[c.Name] = true
		if err := c.check(where); err != nil {
			return err
		}
	}
	for i := range p.Rules {
		if err := p.Rules[i].check(fmt.Sprintf("rule %d", i+1), seen); err != nil {
			return err
		}
	}
	if b, err := json.Marshal(p); err != nil || len(b) > maxPolicy {
		return refuse("policy", "the policy is longer than %d bytes", maxPolicy)
	}
	return nil
}

func (c *Class) check(where string) error {
	archived, dropped := !c.ArchiveAfter.IsZero(), !c.DropAfter.IsZero()
	switch {
	case c.Name == audittrail.GovernanceClass:
		return refuse(where, "governance records are kept permanently, and no policy applies to them")
	case archived && c.ArchiveTo == "":
		return refuse(where, "archive_after is %s, and archive_to is missing: name the folder", c.ArchiveAfter)
	case !archived && c.ArchiveTo != "":
		return refuse(where, "archive_to is given, and archive_after is missing: say when")
	case archived && (!filepath.IsAbs(c.ArchiveTo) || strings.ContainsFunc(c.ArchiveTo, func(r rune) bool { return r < ' ' })):
		return refuse(where, "archive_to %.80q is not an absolute path", c.ArchiveTo)
	case archived && dropped && !c.ArchiveAfter.shorter(c.DropAfter):
		return refuse(where, "drop_after %s is not later than archive_after %s: records would be dropped before they are archived", c.DropAfter, c.ArchiveAfter)
	case dropped && c.KeepFor.IsZero():
		return refuse(where, "drop_after is %s, and keep_for is missing: contents that are kept permanently cannot be dropped", c.DropAfter)
	case dropped && c.DropAfter.shorter(c.KeepFor):
		return refuse(where, "drop_after %s is shorter than keep_for %s: records would be dropped while they must be kept", c.DropAfter, c.KeepFor)
	}
	return nil
}

func (r *Rule) check(where string, classes map[string]bool) error {
	if !classes[r.Class] && r.Class != audittrail.DefaultClass {
		return refuse(where, "the class %.64q is unknown; the policy has no class of that name", r.Class)
	}
	if len(r.Types) == 0 && len(r.Models) == 0 && len(r.Labels) == 0 {
		return refuse(where, "the rule has no condition; name types, models or labels")
	}
	for _, t := range r.Types {
		switch {
		case !event.Type(t).Valid():
			return refuse(where, "unknown event type %.64q", t)
		case event.Type(t).Reserved():
			return refuse(where, "governance records are kept permanently: a rule cannot choose a class for %s", t)
		}
	}
	for _, m := range r.Models {
		if i := strings.IndexByte(m, '*'); m == "" || len(m) > event.MaxClear || i >= 0 && i != len(m)-1 {
			return refuse(where, "invalid model %.64q: use a name, or the beginning of a name and a *", m)
		}
	}
	for k := range r.Labels {
		if k == "" || len(k) > event.MaxClear {
			return refuse(where, "invalid label key %.64q", k)
		}
	}
	return nil
}

// matches reports whether an event meets the conditions.
func (r *Rule) matches(e *event.Event) bool {
	if len(r.Types) > 0 && !slices.Contains(r.Types, string(e.Type)) {
		return false
	}
	if len(r.Models) > 0 && !slices.ContainsFunc(r.Models, func(m string) bool {
		begin, any := strings.CutSuffix(m, "*")
		return m == e.ModelID || any && strings.HasPrefix(e.ModelID, begin)
	}) {
		return false
	}
	for k, v := range r.Labels {
		if got, ok := e.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Choose returns the class that the policy gives an event.
func (p *Policy) Choose(e *event.Event) string {
	for i := range p.Rules {
		if p.Rules[i].matches(e) {
			return p.Rules[i].Class
		}
	}
	return audittrail.DefaultClass
}

// Class returns the class of a name.
func (p *Policy) Class(name string) (Class, bool) {
	i := slices.IndexFunc(p.Classes, func(c Class) bool { return c.Name == name })
	if i < 0 {
		return Class{Name: name}, false
	}
	return p.Classes[i], true
}

// Put returns the policy with a class that is added, or replaces the class of
// its name.
func (p *Policy) Put(c Class) Policy {
	out := Policy{Classes: slices.Clone(p.Classes), Rules: slices.Clone(p.Rules)}
	if i := slices.IndexFunc(out.Classes, func(o Class) bool { return o.Name == c.Name }); i >= 0 {
		out.Classes[i] = c
	} else {
		out.Classes = append(out.Classes, c)
	}
	return out
}

// Without returns the policy without a class and the rules that choose it.
func (p *Policy) Without(class string) Policy {
	return Policy{
		Classes: slices.DeleteFunc(slices.Clone(p.Classes), func(c Class) bool { return c.Name == class }),
		Rules:   slices.DeleteFunc(slices.Clone(p.Rules), func(r Rule) bool { return r.Class == class }),
	}
}

// String describes the events that a rule matches.
func (r *Rule) String() string {
	var parts []string
	if len(r.Types) > 0 {
		parts = append(parts, "type "+strings.Join(r.Types, " or "))
	}
	if len(r.Models) > 0 {
		parts = append(parts, "model "+strings.Join(r.Models, " or "))
	}
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		parts = append(parts, "label "+k+"="+r.Labels[k])
	}
	return strings.Join(parts, ", ")
}

// names returns the names of all classes.
func (p *Policy) names() []string {
	var names []string
	for _, c := range p.Classes {
		names = append(names, c.Name)
	}
	return names
}
