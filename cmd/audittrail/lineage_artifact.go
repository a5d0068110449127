package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/lineage"
	"audittrail/lineage/artifact"
	"audittrail/service"
)

func (e *env) lineageArtifactCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify-artifact " + thingArg + " FILE|DIR",
		Short: "Check a dataset or a model on disk against its digest",
		Long: `Verify-artifact computes the digest of a file or a folder again, and compares it
with the one that was registered. How the digest of a folder is made stands in
docs/format/lineage.md.` + thingHelp + exits(
			"0  it is what was registered", "1  it could not be checked, or no digest was registered",
			"2  it is not what was registered, or the log was altered", ends4),
		Example: `  audittrail lineage verify-artifact bot@3 bot.safetensors
  audittrail lineage verify-artifact tickets@2026-10 tickets/`,
		Args: takes(thingArg, "FILE|DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := e.verifyArtifact(args[0], args[1]); err != nil {
				return fmt.Errorf("lineage verify-artifact: %w", err)
			}
			return nil
		},
	}
}

func (e *env) verifyArtifact(name, path string) error {
	var n *lineage.Node
	err := e.readLineage(service.LineageRequest{}, func(l *service.Lineage) (err error) {
		n, err = l.Graph.FindOne(name)
		return err
	})
	if err != nil {
		return err
	}
	want := digestOf(n.Entity)
	if want == "" {
		return fmt.Errorf("no digest of %s was registered: what is registered stays as it is; register a new version with --digest-of", n.ID)
	}
	algorithm, _, _ := strings.Cut(want, ":")
	progress, finish := e.ticks("reading", true)
	got, err := artifact.Digest(e.ctx, path, algorithm, progress)
	finish()
	var wrong *artifact.KindError
	if errors.As(err, &wrong) && wrong.Algorithm != "" {
		// A file where a folder was registered is another thing.
		return &exitError{exitAltered, fmt.Errorf("%s is not what was registered as %s: %w", path, n.ID, err)}
	}
	if err != nil {
		return err
	}
	found := struct {
		ID    string `json:"id"`
		Match bool   `json:"match"`
		Want  string `json:"registered"`
		Got   string `json:"found"`
		Seq   uint64 `json:"seq"`
	}{n.ID, got == want, want, got, n.Seq}
	fields := []field{{"thing", n.ID}, {"registered", want}, {"found", got}}
	if found.Match {
		return e.sheet(found, append(fields, field{"result", e.paint(good, "it is what was registered")}))
	}
	if err := e.sheet(found, append(fields, field{"result", e.paint(bad, "it is NOT what was registered")})); err != nil {
		return err
	}
	return &exitError{exitAltered, fmt.Errorf("%s is not what was registered as %s by record %d", path, n.ID, n.Seq)}
}

// digestOf is the digest of a thing, if it has one.
func digestOf(t lineage.Entity) string {
	switch v := t.(type) {
	case *lineage.Dataset:
		return v.Digest
	case *lineage.ModelVersion:
		return v.Digest
	case *lineage.PromptTemplate:
		return v.Digest
	case *lineage.Evaluation:
		return v.Digest
	}
	return ""
}
