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
		Short: "Measure the speed of a log on this machine",
		Long: `Bench creates a temporary log and measures how fast it is appended to, verified,
opened and read on this machine, and the limits of the machine: a write and sync
of as many bytes without a log, one long write, and SHA-256. Absolute figures
vary from run to run; the ratios of two figures of one run vary less.

It works in a new folder within that of --dir (default the current folder),
which must not contain a log, and removes it at the end or when interrupted.
Choose a folder on the disk of the future log.` +
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
	f.IntVar(&o.Events, "events", 100_000, "`number` of events to append")
	f.IntVar(&o.Writers, "writers", 512, "`number` of concurrent writers")
	f.IntVar(&o.Size, "size", 1024, "bytes of one event, as JSON")
	f.BoolVar(&o.Keep, "keep", false, "keep the log, and print where it is")
	cmd.AddCommand(e.benchQueryCmd())
	return cmd
}

func (e *env) benchQueryCmd() *cobra.Command {
	var o bench.QueryLoad
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Measure the speed of queries on this machine",
		Long: `Bench query creates a log with its index. The events have about 1 KB each, with
generated text of common and rare words, and come from 5,000 users and 20 models
in half a year. It measures the creation, and queries of several kinds: the
first time, with no index in memory, and again. It checks each result against
the known events.

The log is created in audittrail-bench-query within the folder of --dir (default
the current folder), which must not contain a log, and removed unless --keep is
given. A kept log is used again, so that the events are generated only once. The
texts and the seed, and so the results, are the same in every run.` +
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
	f.IntVar(&o.Events, "events", 100_000, "`number` of events to append")
	f.BoolVar(&o.Keep, "keep", false, "keep the log for another run")
	f.BoolVar(&o.Rebuild, "rebuild", false, "also measure how long rebuilding the index from the log takes")
	return cmd
}

// benchOptions returns where bench works, and how it prints.
func (e *env) benchOptions(cmd *cobra.Command) (bench.Options, error) {
	for _, name := range []string{"keys", "master"} {
		if cmd.Flags().Changed(name) {
			return bench.Options{}, fmt.Errorf("--%s is not valid here, since the temporary log has its own keys; leave it out", name)
		}
	}
	if e.output == asCSV {
		return bench.Options{}, errors.New("read -o: unsupported form; use table or json")
	}
	o := bench.Options{Dir: e.dir, Out: e.stdout, JSON: e.output != asTable, Colours: e.colours(), Now: e.now}
	if e.errTerminal {
		o.Stages = e.stderr
	}
	return o, nil
}
