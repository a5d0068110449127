package access

import (
	"fmt"
	"slices"
	"strings"
)

// A Permission is a kind of action that a grant can allow.
type Permission string

// The permissions.
const (
	WriteEvents     Permission = "write_events"     // append events
	ReadEvents      Permission = "read_events"      // see, count and filter cleartext fields
	ReadContent     Permission = "read_content"     // open prompts, responses, and who they are about
	ExportData      Permission = "export_data"      // export records in bulk
	Verify          Permission = "verify"           // check the log, get proofs and checkpoints
	ViewReports     Permission = "view_reports"     // make and read reports
	ManageLineage   Permission = "manage_lineage"   // register datasets, models, deployments
	ManageAccess    Permission = "manage_access"    // grant and revoke
	ManageRetention Permission = "manage_retention" // set policies, expire, archive, drop
	ManageHolds     Permission = "manage_holds"     // place and release holds
	DeleteData      Permission = "delete_data"      // erase a person, restrict, approve either
	ManageKeys      Permission = "manage_keys"      // rotate and back up keys
)

// Permissions returns all permissions.
func Permissions() []Permission { return slices.Clone(permissions[:]) }

var permissions = [...]Permission{
	WriteEvents, ReadEvents, ReadContent, ExportData, Verify, ViewReports,
	ManageLineage, ManageAccess, ManageRetention, ManageHolds, DeleteData, ManageKeys,
}

// ParsePermission parses the name of a permission.
func ParsePermission(s string) (Permission, error) {
	if p := Permission(s); p.bit() != 0 {
		return p, nil
	}
	return "", fmt.Errorf("unknown permission %q: use one of %s", clip(s), join(permissions[:]))
}

// clip shortens a value that a caller gave, for an error.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func join[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, ", ")
}

// A set is a set of permissions.
type set uint16

func (p Permission) bit() set {
	switch p {
	case WriteEvents:
		return 1 << 0
	case ReadEvents:
		return 1 << 1
	case ReadContent:
		return 1 << 2
	case ExportData:
		return 1 << 3
	case Verify:
		return 1 << 4
	case ViewReports:
		return 1 << 5
	case ManageLineage:
		return 1 << 6
	case ManageAccess:
		return 1 << 7
	case ManageRetention:
		return 1 << 8
	case ManageHolds:
		return 1 << 9
	case DeleteData:
		return 1 << 10
	case ManageKeys:
		return 1 << 11
	}
	return 0
}

func setOf(all ...Permission) set {
	var s set
	for _, p := range all {
		s |= p.bit()
	}
	return s
}

func (s set) list() []Permission {
	var all []Permission
	for _, p := range permissions {
		if s&p.bit() != 0 {
			all = append(all, p)
		}
	}
	return all
}

var (
	// content has the permissions that show what people wrote.
	content = setOf(ReadContent, ExportData)
	// administration has the permissions that govern the log itself.
	administration = setOf(ManageAccess, ManageRetention, ManageHolds, ManageKeys)
	// scopable are the permissions that can be limited to some records, or that
	// show only hashes of the other records. All other permissions concern the
	// whole log, so a grant with a scope does not have them.
	scopable = setOf(WriteEvents, ReadEvents, ReadContent, ExportData, Verify)
)

// separate removes from a role what it must not have together with its other
// permissions where duties are separate: access to content from those who
// administer access, and administration from all others who read content.
func separate(s set) set {
	switch {
	case s&ManageAccess.bit() != 0:
		return s &^ content
	case s&content != 0:
		return s &^ administration
	}
	return s
}
