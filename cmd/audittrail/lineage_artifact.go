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
		Short: "Compare a dataset or a model on disk with its digest",
		Long: `Verify-artifact computes the digest of a file or a folder, and compares it with
the registered digest. docs/format/lineage.md defines the digest of a folder.` + thingHelp + exits(
			"0  the digests agree", "1  it could not be checked, or no digest was registered",
			"2  the digests differ, or the log was altered", ends4),
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
		return fmt.Errorf("no digest of %s was registered, and a registered entity does not change; register a new version with --digest-of", n.ID)
	}
	algorithm, _, _ := strings.Cut(want, ":")
	progress, finish := e.ticks("reading", true)
	got, err := artifact.Digest(e.ctx, path, algorithm, progress)
	finish()
	var wrong *artifact.KindError
	if errors.As(err, &wrong) && wrong.Algorithm != "" {
		// A file in the place of a registered folder is a difference, too.
		return &exitError{exitAltered, fmt.Errorf("%s differs from the registered digest of %s: %w", path, n.ID, err)}
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
		return e.sheet(found, append(fields, field{"result", e.paint(good, "the digests agree")}))
	}
	if err := e.sheet(found, append(fields, field{"result", e.paint(bad, "the digests DIFFER")})); err != nil {
		return err
	}
	return &exitError{exitAltered, fmt.Errorf("the digest of %s differs from the one that record %[3]d registered for %[2]s", path, n.ID, n.Seq)}
}

// digestOf returns the digest of an entity, if it has one.
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
