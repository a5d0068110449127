package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/loadgen"
	"audittrail/internal/vfs"
)

// A QueryLoad is the amount of work to measure queries with.
type QueryLoad struct {
	Events  int  // of the log
	Chosen  bool // Events were given: a kept log must have as many
	Keep    bool // keep the log for another run
	Rebuild bool // also measure how long rebuilding the index takes
}

// A queryBench is one run of bench query.
type queryBench struct {
	*bench
	o         QueryLoad
	generator *loadgen.Generator
	result    queryResult
}

const (
	queryFolder = "audittrail-bench-query"
	queryMade   = "made.json" // the measurements of making the log, and a mark that it is complete
	querySeed   = 1

	minQueryEvents = 1000
	queryRoom      = 2600 // bytes of a record and its part of the index, at most
)

func (q *queryBench) indexDir() string { return filepath.Join(q.logDir(), "index") }

// RunQuery measures queries of a log, prints the results, and removes the log,
// unless the load says to keep it or it was kept before.
func RunQuery(ctx context.Context, to Options, o QueryLoad) error {
	if o.Events < minQueryEvents || o.Events > maxEvents {
		return fmt.Errorf("read --events: invalid number %d: use %s to %s", o.Events, display.Number(minQueryEvents), display.Number(maxEvents))
	}
	parent := cmp.Or(to.Dir, ".")
	if err := holdsNoLog(parent); err != nil {
		return err
	}
	dir := filepath.Join(parent, queryFolder)
	q := &queryBench{bench: &bench{Options: to, ctx: ctx, dir: dir}, o: o}
	made, err := q.there()
	if err != nil {
		return err
	}
	if !made {
		q.result = queryResult{
			Events: o.Events, Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		}
	}
	q.generator = loadgen.New(querySeed, q.result.Events)
	err = q.run(made)
	q.stage("")
	if !made && (!o.Keep || err != nil) {
		removed := os.RemoveAll(dir)
		switch {
		case removed != nil:
			return errors.Join(err, fmt.Errorf("remove the temporary log: %w", removed))
		case ctx.Err() != nil:
			return errors.New("interrupted; the temporary log was removed")
		}
	} else {
		q.result.Kept = dir
	}
	if err != nil {
		return err
	}
	return q.printQuery(&q.result)
}

// there reads the measurements of a kept log, if there is one.
func (q *queryBench) there() (bool, error) {
	text, err := vfs.ReadFile(vfs.OS, filepath.Join(q.dir, queryMade), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(q.dir); err == nil {
			return false, fmt.Errorf("work in %s: the folder contains an incomplete log of bench query; remove the folder", q.dir)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, &q.result); err != nil {
		return false, fmt.Errorf("read %s: the file was not written by bench query; remove the folder", filepath.Join(q.dir, queryMade))
	}
	if n := q.result.Events; n < minQueryEvents || q.o.Chosen && n != q.o.Events {
		return false, fmt.Errorf("use the log in %s again: the log has %s events, not %s; remove it, or leave --events out",
			q.dir, display.Number(n), display.Number(q.o.Events))
	}
	return true, nil
}

// run makes the log if there is none, and measures.
func (q *queryBench) run(made bool) error {
	if !made {
		if err := q.make(); err != nil {
			return err
		}
		text, err := json.Marshal(&q.result)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(q.dir, queryMade), text, 0o600); err != nil {
			return err
		}
	}
	if q.o.Rebuild {
		if err := q.rebuild(); err != nil {
			return err
		}
	}
	if err := q.opening(); err != nil {
		return err
	}
	return q.ask()
}

// A queryTimes is what was measured of one kind of query.
type queryTimes struct {
	Name    string `json:"name"`
	Asks    string `json:"asks"`
	Results uint64 `json:"results"`
	Runs    int    `json:"runs"`
	First   figure `json:"first_ms"`
	latency
}

// A queryResult is what bench query measured, as it prints it in JSON.
type queryResult struct {
	Events int    `json:"events"`
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`

	Made   makeRates    `json:"made"`
	Anew   *rebuildRate `json:"index_made_anew,omitempty"`
	Open   openTimes    `json:"open"`
	Asked  []queryTimes `json:"queries"`
	Memory memoryUse    `json:"memory"`
	Kept   string       `json:"kept,omitempty"`
}

// A makeRates is what was measured while the log was made. It is kept with it.
type makeRates struct {
	EventBytes figure `json:"event_bytes"`           // as JSON, on average
	Maker      figure `json:"events_made_per_s"`     // without a log
	Plain      figure `json:"append_per_s"`          // the first events, without an index
	Compared   int    `json:"append_compared"`       // how many these are
	Beside     figure `json:"append_beside_per_s"`   // the same, with an index
	All        figure `json:"append_all_per_s"`      // all events, with an index
	Indexed    figure `json:"index_per_s"`           // until all of them were indexed
	LastTenth  figure `json:"append_last_per_s"`     // the last tenth of them
	Lag        figure `json:"index_behind_ms"`       // when the last append had returned
	Closing    figure `json:"close_ms"`              // of index and log
	Log        figure `json:"log_bytes_per_event"`   // on the disk
	Index      figure `json:"index_bytes_per_event"` // on the disk

	Memory memoryUse `json:"memory"`
}

type rebuildRate struct {
	PerSecond figure        `json:"records_per_s"`
	Took      time.Duration `json:"took_ns"`
}

type openTimes struct {
	Read  figure `json:"read_ms"`
	Write figure `json:"write_ms"`
}
