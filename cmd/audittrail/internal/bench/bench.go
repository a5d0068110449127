// Package bench measures how fast a log is on this machine: appends, checks, reads
// and queries, and what the machine can do at most.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
)

// Options say where bench measures, and how it prints results.
type Options struct {
	Dir     string // in which a folder is created; if empty, the current one
	Out     io.Writer
	JSON    bool      // print JSON, and not text
	Colours bool      // Out shows colours
	Stages  io.Writer // a terminal that shows the present measurement; nil for none
	Now     func() time.Time
}

// paint gives text a colour, if the terminal shows colours.
func (o *Options) paint(c shown.Colour, text string) string {
	if !o.Colours {
		return text
	}
	return shown.Paint(c, text)
}

// A Load is the amount of work to measure.
type Load struct {
	Events  int  // number of events to append
	Writers int  // number of concurrent writers
	Size    int  // of an event in bytes, as JSON
	Keep    bool // keep the log
}

// The limits of a Load.
const (
	maxEvents  = 100_000_000
	maxWriters = 100_000
	minSize    = 64
	maxSize    = audittrail.DefaultMaxEventBytes / 2
)

func (o *Load) check() error {
	for _, n := range []struct {
		name          string
		got, min, max int
	}{
		{"events", o.Events, 1, maxEvents},
		{"writers", o.Writers, 1, maxWriters},
		{"size", o.Size, minSize, maxSize},
	} {
		if n.got < n.min || n.got > n.max {
			return fmt.Errorf("read --%s: invalid number %d: use %s to %s", n.name, n.got, display.Number(n.min), display.Number(n.max))
		}
	}
	return nil
}

// Run measures a new log with a load, prints the results, and removes the log,
// unless the load says to keep it.
func Run(ctx context.Context, to Options, o Load) error {
	if err := o.check(); err != nil {
		return err
	}
	dir, remove, err := makeFolder(to.Dir)
	if err != nil {
		return err
	}
	b := &bench{Options: to, ctx: ctx, o: o, dir: dir, result: result{
		Events: o.Events, Writers: o.Writers, Size: o.Size,
		Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}}
	err = b.run(ctx)
	b.stage("")
	if o.Keep && err == nil {
		b.result.Kept = b.logDir()
		return b.print(&b.result)
	}
	removed := remove()
	switch {
	case removed != nil:
		return errors.Join(err, fmt.Errorf("remove the temporary log: %w", removed))
	case ctx.Err() != nil:
		return errors.New("interrupted; the temporary log was removed")
	case err != nil:
		return err
	}
	return b.print(&b.result)
}

// makeFolder creates the working folder, and returns a function that removes it.
func makeFolder(parent string) (dir string, remove func() error, err error) {
	parent = cmp.Or(parent, ".")
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
			return fmt.Errorf("work in %s: the folder contains a log; name another folder on the same disk with --dir", dir)
		}
	}
	return nil
}
