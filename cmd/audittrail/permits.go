package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/access"
	"audittrail/service"
)

// permits has the permission that a token needs for a command. The longest name
// that is a prefix of the command's counts. Commands that are not listed read no
// log, or check the token themselves: see asks.
var permits = map[string]access.Permission{
	"log":            access.WriteEvents,
	"import":         access.WriteEvents,
	"reindex":        access.ManageKeys,
	"report verify":  access.ViewReports, // checked before the file is read
	"verify":         access.Verify,
	"checkpoint":     access.Verify,
	"consistency":    access.Verify,
	"tree":           access.Verify,
	"lineage add":    access.ManageLineage,
	"lineage import": access.ManageLineage,
	"lineage retire": access.ManageLineage,
	"retention":      access.ManageRetention,
	"archive":        access.ManageRetention,
	"archive list":   access.Verify,
	"archive verify": access.Verify,
	"rebuild":        access.ManageKeys,
	"keys":           access.ManageKeys,
	"keys show":      access.Verify,
	"doctor":         access.Verify,
}

// asks are the commands that check a token themselves.
var asks = []string{
	"show", "query", "export", "tail", "disclose", "lineage", "stat", "prove", "access", "gdpr", "hold", "report", // these check the token in package service
}

// free are the commands that need no token.
var free = []string{
	"keys restore", "init", "check", "demo", "bench", "man", "version", "completion", "help", // these read no existing log
	"gdpr certificate verify",
}

// permissionOf returns the permission that a command needs; empty if the command
// checks the token itself.
func permissionOf(cmd *cobra.Command) (p access.Permission, known bool) {
	name := nameOf(cmd)
	within := func(group string) bool { return name == group || strings.HasPrefix(name, group+" ") }
	longest := ""
	for group, permission := range permits {
		if within(group) && len(group) > len(longest) {
			longest, p = group, permission
		}
	}
	for _, group := range slices.Concat(asks, free) {
		if within(group) && len(group) > len(longest) {
			longest, p = group, ""
		}
	}
	return p, longest != ""
}

// asksForToken reports whether a command checks the token itself.
func asksForToken(cmd *cobra.Command) bool {
	within := func(group string) bool { return strings.HasPrefix(cmd.CommandPath()+" ", "audittrail "+group+" ") }
	return slices.ContainsFunc(asks, within) && !slices.ContainsFunc(free, within)
}

// checkToken refuses a command that the token in the environment does not
// permit.
func (e *env) checkToken(cmd *cobra.Command) error {
	p, _ := permissionOf(cmd)
	if repair := cmd.Flags().Lookup("repair"); repair != nil && repair.Changed {
		p = access.ManageKeys // --repair changes files
	}
	if p == "" || e.getenv(tokenVar) == "" {
		return nil
	}
	err := e.reading(func(s *service.Session) error {
		_, err := s.Permit(e.ctx, service.PermitRequest{Permission: p})
		return err
	})
	if absent(err) {
		return nil // the command reports the missing log itself
	}
	return err
}
