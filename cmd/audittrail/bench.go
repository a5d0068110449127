package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"audittrail"
)

type benchOptions struct {
	events  int
	writers int
	size    int
	keep    bool
}

func (e *env) benchCmd() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: how fast a log would be on it",
		Long: `Bench makes a log of its own and measures how fast it is appended to, verified,
opened and read on this machine, beside what the machine can do at most: a bare
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
			for _, name := range []string{"keys", "master"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("bench: it has no use for --%s: its log has keys of its own", name)
				}
			}
			if err := e.bench(o); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.events, "events", 100_000, "how many events to append")
	f.IntVar(&o.writers, "writers", 512, "how many append at once")
	f.IntVar(&o.size, "size", 1024, "bytes of one event, as JSON")
	f.BoolVar(&o.keep, "keep", false, "leave the log there, and say where")
	cmd.AddCommand(e.benchQueryCmd())
	return cmd
}

// The limits of what bench can be asked for.
const (
	maxBenchEvents  = 100_000_000
	maxBenchWriters = 100_000
	minBenchSize    = 64
	maxBenchSize    = audittrail.DefaultMaxEventBytes / 2
)

func (o benchOptions) check(form string) error {
	for _, n := range []struct {
		name          string
		got, min, max int
	}{
		{"events", o.events, 1, maxBenchEvents},
		{"writers", o.writers, 1, maxBenchWriters},
		{"size", o.size, minBenchSize, maxBenchSize},
	} {
		if n.got < n.min || n.got > n.max {
			return fmt.Errorf("read --%s: it is %d, want %s to %s", n.name, n.got, number(n.min), number(n.max))
		}
	}
	if form == asCSV {
		return errors.New("read -o: it prints a table or json")
	}
	return nil
}

func (e *env) bench(o benchOptions) error {
	if err := o.check(e.output); err != nil {
		return err
	}
	dir, remove, err := e.benchFolder()
	if err != nil {
		return err
	}
	b := &bench{env: e, o: o, dir: dir, result: benchResult{
		Events: o.events, Writers: o.writers, Size: o.size,
		Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}}
	err = b.run(e.ctx)
	b.stage("")
	if o.keep && err == nil {
		b.result.Kept = b.logDir()
		return e.printBench(&b.result)
	}
	removed := remove()
	switch {
	case removed != nil:
		return errors.Join(err, fmt.Errorf("remove what it made: %w", removed))
	case e.ctx.Err() != nil:
		return errors.New("interrupted; what it made is removed")
	case err != nil:
		return err
	}
	return e.printBench(&b.result)
}

// benchFolder makes the folder that bench works in, and returns what removes
// it again.
func (e *env) benchFolder() (dir string, remove func() error, err error) {
	parent := cmp.Or(e.dir, ".")
	if err := holdsNoLog(parent); err != nil {
		return "", nil, err
	}
	_, err = os.Stat(parent)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", nil, err
	}
	dir, err = os.MkdirTemp(parent, "audittrail-bench-")
	return dir, func() error {
		err := os.RemoveAll(dir)
		if made && err == nil {
			err = os.Remove(parent)
		}
		return err
	}, err
}

// holdsNoLog refuses to work in the folder of a log.
func holdsNoLog(dir string) error {
	for _, part := range []string{"log/*.jsonl", "tree/checkpoint", "keys/ring-*"} {
		found, err := fs.Glob(os.DirFS(dir), part)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("work in %s: it holds a log; name another folder on its disk with --dir", dir)
		}
	}
	return nil
}
