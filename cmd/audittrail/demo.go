package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/demo"
)

func (e *env) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show recording, proofs and detection in ten seconds",
		Long: `Demo records a day of an AI product, with several models, a dozen customers and
an incident; verifies it; shows a record as stored on disk and as decrypted;
proves that record to an auditor without the log; and alters copies of the log
to show that each alteration is detected.

It needs no configuration and no network, and works in a temporary folder that
it removes. With --dir it creates the log in that folder and keeps it, with the
auditor's files and the altered copies in its subfolder demo.` +
			exits("0  every step succeeded", "1  a step failed: stderr says which"),
		Example: `  audittrail demo
  audittrail demo --dir /tmp/demo`,
		Args:    takes(),
		GroupID: groupRecord,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"keys", "master", "output"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("demo: --%s is not valid here: demo creates its own keys, and prints only text; leave the flag out", name)
				}
			}
			o := demo.Options{Dir: e.dir, Out: e.stdout, Colours: e.colours(), Now: e.now}
			if err := demo.Run(e.ctx, o); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
}
