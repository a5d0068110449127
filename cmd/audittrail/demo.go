package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/demo"
)

func (e *env) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See all of it in ten seconds",
		Long: `Demo records a day of an AI product, with several models, a dozen customers and
an incident; verifies it; shows a record as it stands on disk and as its reader
sees it; proves that record to a stranger; and alters copies of the log to show
each alteration caught.

It needs no configuration and no network, and works in a temporary folder that
it removes. With --dir it makes the log in that folder and leaves it there, with
what the stranger got and the altered copies in its subfolder demo.` +
			exits("0  everything that it says held", "1  something did not, or could not be done: stderr says what"),
		Example: `  audittrail demo
  audittrail demo --dir /tmp/demo`,
		Args:    takes(),
		GroupID: groupRecord,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"keys", "master", "output"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("demo: it has no use for --%s: it makes its own keys, and prints for people", name)
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
