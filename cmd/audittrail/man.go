package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (e *env) manCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "man",
		Short:   "Write the manual pages",
		Long:    "Man writes a manual page for every command to a folder." + exits(ends0, ends1),
		Example: "  audittrail man --out /usr/local/share/man/man1",
		Args:    takes(),
		GroupID: groupKeep,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return fmt.Errorf("man: give the folder with --out")
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // it would hold today's date
			header := &doc.GenManHeader{Section: "1", Source: "AuditTrail", Manual: "AuditTrail"}
			if err := doc.GenManTree(root, header, out); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`folder` to write to")
	return cmd
}
