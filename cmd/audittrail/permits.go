package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/access"
	"audittrail/service"
)

// permits says which permission a command needs of whoever gives it a token. The
// longest name that a command begins with counts. Commands that are not here
// read no log, or ask themselves: see asks.
var permits = map[string]access.Permission{
	"log":            access.WriteEvents,
	"import":         access.WriteEvents,
	"reindex":        access.ManageKeys,
	"report verify":  access.ViewReports, // before it reads the file
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
	"show", "query", "export", "tail", "disclose", "lineage", "stat", "prove", "access", "gdpr", "hold", "report", // they do
}

// free are the commands that need no token.
var free = []string{
	"keys restore", "init", "check", "demo", "bench", "man", "version", "completion", "help", // they read no log of anybody
	"gdpr certificate verify",
}

// permissionOf is what a command needs; empty if it asks itself.
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

// asksForToken tells whether a command checks a token itself.
func asksForToken(cmd *cobra.Command) bool {
	within := func(group string) bool { return strings.HasPrefix(cmd.CommandPath()+" ", "audittrail "+group+" ") }
	return slices.ContainsFunc(asks, within) && !slices.ContainsFunc(free, within)
}

// checkToken refuses a command that the token in the environment does not
// permit.
func (e *env) checkToken(cmd *cobra.Command) error {
	p, _ := permissionOf(cmd)
	if repair := cmd.Flags().Lookup("repair"); repair != nil && repair.Changed {
		p = access.ManageKeys // it changes files
	}
	if p == "" || e.getenv(tokenVar) == "" {
		return nil
	}
	err := e.reading(func(s *service.Session) error {
		_, err := s.Permit(e.ctx, service.PermitRequest{Permission: p})
		return err
	})
	if absent(err) {
		return nil // the command says so itself
	}
	return err
}
