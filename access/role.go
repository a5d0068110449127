package access

import (
	"fmt"
	"maps"
	"slices"

	"audittrail/event"
)

// The built-in roles.
const (
	Admin   = "admin"   // runs the log
	Auditor = "auditor" // reads and checks everything, and changes nothing
	Viewer  = "viewer"  // sees that something happened, and not what was said
	Writer  = "writer"  // an application that records
	Privacy = "privacy" // the data protection officer
)

// A Role is a name for permissions.
type Role struct {
	Name        string
	Description string
	Permissions []Permission
	Custom      bool // from the configuration
}

// builtIn is the table of roles; docs/access.md says why each cell is as it is.
var builtIn = []struct {
	name, description string
	permissions       set
}{
	{Admin, "runs the log", setOf(permissions[:]...)},
	{Auditor, "reads and checks everything, and changes nothing", setOf(ReadEvents, ReadContent, ExportData, Verify, ViewReports)},
	{Viewer, "sees that something happened, and not what was said", setOf(ReadEvents, Verify, ViewReports)},
	{Writer, "an application that records", setOf(WriteEvents)},
	{Privacy, "the data protection officer", setOf(ReadEvents, ReadContent, ExportData, Verify, ViewReports, ManageRetention, DeleteData)},
}

// Rules are the configuration that decisions follow besides the grants.
type Rules struct {
	// Custom are additional roles and their permissions.
	Custom map[string]CustomRole
	// SeparateDuties takes access to content from those who administer access,
	// and administration from all others who read content; no user can have two
	// roles that together have both.
	SeparateDuties bool
}

// A CustomRole is a role that the organisation has defined.
type CustomRole struct {
	Description string
	Permissions []Permission
}

// A roleTable tells what each role permits.
type roleTable struct {
	roles    []Role
	sets     map[string]set
	separate bool
}

// resolve checks the rules and makes a table of them.
func (r *Rules) resolve() (*roleTable, error) {
	t := &roleTable{sets: map[string]set{}, separate: r.SeparateDuties}
	add := func(name, description string, s set, custom bool) {
		if r.SeparateDuties {
			s = separate(s)
		}
		t.sets[name] = s
		t.roles = append(t.roles, Role{name, description, s.list(), custom})
	}
	for _, b := range builtIn {
		add(b.name, b.description, b.permissions, false)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Custom)) {
		c := r.Custom[name]
		if !event.ValidClass(name) {
			return nil, fmt.Errorf("invalid role name %q: use 1 to 32 lower-case letters, digits, hyphens and underscores", clip(name))
		}
		if _, taken := t.sets[name]; taken {
			return nil, fmt.Errorf("role %q is built in; choose another name", name)
		}
		if len(c.Permissions) == 0 {
			return nil, fmt.Errorf("role %q has no permissions; the permissions are %s", name, join(permissions[:]))
		}
		for _, p := range c.Permissions {
			if _, err := ParsePermission(string(p)); err != nil {
				return nil, fmt.Errorf("role %q: %w", name, err)
			}
		}
		add(name, c.Description, setOf(c.Permissions...), true)
	}
	return t, nil
}

// of returns the permissions of a role.
func (t *roleTable) of(name string) (set, error) {
	s, ok := t.sets[name]
	if !ok {
		var names []string
		for _, r := range t.roles {
			names = append(names, r.Name)
		}
		return 0, fmt.Errorf("unknown role %q: use %s, or a role of the configuration", clip(name), join(names))
	}
	return s, nil
}
