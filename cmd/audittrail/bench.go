package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/bench"
)

func (e *env) benchCmd() *cobra.Command {
	var o bench.Load
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: how fast a log would be on it",
		Long: `Bench makes a log of its own and measures how fast it is appended to, verified,
opened and read on this machine, and what the machine can do at most: a bare
write and sync of as many bytes, one long write, SHA-256. Figures drift from run
to run; the ratios, both sides measured in one run, tell more.

It works in a new folder within the one of --dir (default the present one),
which must not hold a log, and removes it also when it is interrupted. Choose a
folder on the disk that the log will be on.` +
			exits(ends0, ends1),
		Example: `  audittrail bench
  audittrail bench --events 1000000 --writers 64 --size 4096 --dir /var/lib
  audittrail bench -o json | jq .append.events_per_s`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := e.benchOptions(cmd)
			if err == nil {
				err = bench.Run(e.ctx, to, o)
			}
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Events, "events", 100_000, "how many events to append")
	f.IntVar(&o.Writers, "writers", 512, "how many append at once")
	f.IntVar(&o.Size, "size", 1024, "bytes of one event, as JSON")
	f.BoolVar(&o.Keep, "keep", false, "leave the log there, and say where")
	cmd.AddCommand(e.benchQueryCmd())
	return cmd
}

func (e *env) benchQueryCmd() *cobra.Command {
	var o bench.QueryLoad
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Measure this machine: how fast records are found on it",
		Long: `Bench query makes a log of events of about 1 KB each, with made-up text in which
some words are common and most are rare, of 5,000 users, 20 models and half a
year, and its index. It measures both, and how long queries of several
kinds take: the first time, with nothing in the process's memory, and again.
It compares the results of a query with what is known of the events.

The log is made in audittrail-bench-query within the folder of --dir (default
the present one), which must not hold a log, and removed unless --keep is given.
One that was kept there is used again: so many events need be made only once.
The texts, the seed and so the answers are always the same.` +
			exits(ends0, ends1),
		Example: `  audittrail bench query
  audittrail bench query --events 10000000 --dir /var/lib --keep
  audittrail bench query -o json | jq '.queries[] | {name, p50_ms}'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := e.benchOptions(cmd)
			if err == nil {
				o.Chosen = cmd.Flags().Changed("events")
				err = bench.RunQuery(e.ctx, to, o)
			}
			if err != nil {
				return fmt.Errorf("bench query: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Events, "events", 100_000, "how many events to append")
	f.BoolVar(&o.Keep, "keep", false, "leave the log there, for another run")
	f.BoolVar(&o.Rebuild, "rebuild", false, "also measure how long making the index again from the log takes")
	return cmd
}

// benchOptions say where bench works, and how it prints.
func (e *env) benchOptions(cmd *cobra.Command) (bench.Options, error) {
	for _, name := range []string{"keys", "master"} {
		if cmd.Flags().Changed(name) {
			return bench.Options{}, fmt.Errorf("it has no use for --%s: its log has keys of its own", name)
		}
	}
	if e.output == asCSV {
		return bench.Options{}, errors.New("read -o: it prints a table or json")
	}
	o := bench.Options{Dir: e.dir, Out: e.stdout, JSON: e.output != asTable, Colours: e.colours(), Now: e.now}
	if e.errTerminal {
		o.Stages = e.stderr
	}
	return o, nil
}
