package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"audittrail/cmd/audittrail/internal/display"
)

const about = `AuditTrail is a flight recorder for AI systems. It records every prompt,
response and tool call, proves that nothing was altered, and erases a person's
data on request without breaking the proof.

  audittrail demo          show everything in ten seconds
  audittrail log -t prompt -m gpt-4 -p "Hello"
                           record an event (this creates a log in ./audit)
  audittrail verify        check every record

The log is the folder of --dir, or else of $AUDITTRAIL_DIR, or else ./audit.`

// rootCmd is the whole command line.
func (e *env) rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "audittrail",
		Short:         "Record what AI systems do, and prove that nothing was altered",
		Long:          about,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := checkEmpty(cmd)
			if err == nil {
				err = e.checkOutput()
			}
			if err == nil {
				err = e.checkVariables(cmd)
			}
			if err == nil {
				err = e.checkToken(cmd)
			}
			return err
		},
	}
	// Wrapped so that the help fits a terminal.
	root.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages", ".FlagUsagesWrapped 80", " for more information about a command.", " for more.",
	).Replace(root.UsageTemplate()))
	f := root.PersistentFlags()
	f.StringVar(&e.dir, "dir", "", "`folder` of the log (default $AUDITTRAIL_DIR, or else ./audit)")
	f.StringVar(&e.keys, "keys", "", "`folder` of the log's keyring (default keys in the log's folder)")
	f.StringVar(&e.master, "master", "", "where the master key is: file:PATH, env:NAME, exec:COMMAND, or its passphrase, passphrase:env:NAME or passphrase:file:PATH (default $AUDITTRAIL_MASTER, or else master.key in the keyring's folder)")
	f.StringVarP(&e.output, "output", "o", asTable, "`form` of the result: table, json, jsonl or csv")
	f.BoolVar(&e.noColor, "no-color", false, "print no colours, as with $NO_COLOR")
	root.AddGroup(
		&cobra.Group{ID: groupRecord, Title: "Record:"},
		&cobra.Group{ID: groupRead, Title: "Read:"},
		&cobra.Group{ID: groupProve, Title: "Prove:"},
		&cobra.Group{ID: groupPeople, Title: "Access and data protection:"},
		&cobra.Group{ID: groupKeep, Title: "Maintenance:"},
	)
	root.SetHelpCommandGroupID(groupKeep)
	root.SetCompletionCommandGroupID(groupKeep)
	root.AddCommand(
		e.demoCmd(), e.initCmd(), e.logCmd(), e.importCmd(),
		e.showCmd(), e.queryCmd(), e.exportCmd(), e.tailCmd(), e.statCmd(), e.lineageCmd(),
		e.verifyCmd(), e.reportCmd(), e.proveCmd(), e.checkCmd(), e.checkpointCmd(), e.consistencyCmd(), e.discloseCmd(), e.treeCmd(),
		e.accessCmd(), e.gdprCmd(), e.holdCmd(),
		e.retentionCmd(), e.archiveCmd(), e.rebuildCmd(), e.reindexCmd(), e.keysCmd(), e.doctorCmd(), e.benchCmd(), e.manCmd(), e.versionCmd(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; '%s --help' lists the flags", flagError(err), cmd.CommandPath())
	})
	root.SetArgs(e.args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	return root
}

// refuseOthers refuses the name of an unknown command after that of a group of
// commands, for which cobra would print help and succeed.
func (e *env) refuseOthers(root *cobra.Command) error {
	cmd, rest, err := root.Find(e.args)
	if err != nil || cmd.Runnable() || !cmd.HasParent() {
		return nil // the command itself checks its arguments
	}
	for _, arg := range rest {
		if !strings.HasPrefix(arg, "-") {
			return subcommands(cmd, []string{arg})
		}
		if arg == "-h" || arg == "--help" || !strings.Contains(arg, "=") {
			return nil // the next argument may be the value of the flag
		}
	}
	return nil
}

// flagError describes what is wrong with the value of a flag.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	use := map[string]string{
		"bool":   "true or false",
		"int":    "a whole number that is not too large",
		"uint64": "a whole number from 0 on that is not too large",
	}[bad.GetFlag().Value.Type()]
	if use == "" {
		return err
	}
	return fmt.Errorf("read --%s: invalid value %q: use %s", bad.GetFlag().Name, bad.GetValue(), use)
}

// The groups of commands in the help.
const (
	groupRecord = "record"
	groupRead   = "read"
	groupProve  = "prove"
	groupPeople = "people"
	groupKeep   = "keep"
)

// run runs the command line and returns its exit status.
func (e *env) run() int {
	if e.ctx == nil {
		e.ctx = context.Background()
	}
	root := e.rootCmd()
	err := e.refuseOthers(root)
	if err == nil {
		err = root.ExecuteContext(e.ctx)
	}
	if err == nil {
		return exitOK
	}
	if text := explain(err); text != "" {
		e.note("%s", text)
	}
	return statusOf(err)
}

// takes returns a check that a command gets the arguments with these names.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		need := "no argument"
		if len(names) > 0 {
			need = strings.Join(names, " and ")
		}
		return fmt.Errorf("%s takes %s: %s given; see '%[1]s --help'", cmd.CommandPath(), need, display.Count(len(args), "was", "were"))
	}
}

// must panics on an error that only a mistake in the program's own tables can
// cause.
func must(err error) {
	if err != nil {
		panic("audittrail: " + err.Error())
	}
}

// defaultLockWait is how long a command waits for the writer's lock.
const defaultLockWait = time.Minute

// writerFlags adds the flags of commands that write to the log.
func (e *env) writerFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&e.acceptClock, "accept-clock", false, "record although the clock is far ahead of the last record")
	cmd.Flags().DurationVar(&e.lockWait, "lock-wait", defaultLockWait, "`time` to wait for other commands that write; a process that keeps the log open is not waited for")
}
