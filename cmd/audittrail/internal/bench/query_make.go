package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/vfs"
)

const (
	queryBatch    = 512 // events that one writer appends at once
	queryWriters  = 4
	queryCompared = 200_000 // events that are appended with and without an index
)

// with opens the log, hands it to use, and closes it.
func (q *queryBench) with(o audittrail.Options, use func(*audittrail.Log) error) error {
	log, err := audittrail.Open(q.logDir(), o)
	if err != nil {
		return err
	}
	return errors.Join(use(log), log.Close())
}

var queryNew = audittrail.Options{Create: true, Origin: "audittrail.bench.example"}

// make makes the log, and measures that.
func (q *queryBench) make() error {
	if err := os.MkdirAll(q.dir, 0o755); err != nil {
		return err
	}
	free, err := vfs.OS.Free(q.dir)
	if err != nil {
		return err
	}
	if need := uint64(q.o.Events)*queryRoom + 64<<20; free < need {
		return fmt.Errorf("%s free on that disk, and some %s needed; take fewer events, or another disk with --dir",
			display.Bytes(int64(free)), display.Bytes(int64(need)))
	}
	m := &q.result.Made
	m.Compared = min(queryCompared, q.o.Events)
	q.stage("how fast events are generated")
	if err := q.making(); err != nil {
		return err
	}
	q.stage("appends without an index")
	plain := filepath.Join(q.dir, "plain")
	without := queryNew
	without.NoIndex = true
	log, err := audittrail.Open(plain, without)
	if err != nil {
		return err
	}
	took, err := q.append(log, 0, m.Compared)
	m.Plain = perSecond(m.Compared, took)
	if err := errors.Join(err, log.Close(), os.RemoveAll(plain)); err != nil {
		return err
	}
	resetPeak()
	var closing time.Time
	err = q.with(queryNew, func(log *audittrail.Log) error {
		defer func() { closing = q.Now() }()
		return q.appendAll(log)
	})
	if err != nil {
		return err
	}
	m.Closing = milliseconds(q.Now().Sub(closing))
	m.Memory = peakMemory()
	return q.weigh()
}

// making measures the maker of the events alone.
func (q *queryBench) making() error {
	m := &q.result.Made
	n := min(20_000, q.o.Events)
	began := q.Now()
	var size atomic.Int64
	_, err := q.each4(0, n, func(events []event.Event) error {
		for i := range events {
			size.Add(int64(len(event.AppendJSON(nil, &events[i]))))
		}
		return nil
	})
	m.Maker, m.EventBytes = perSecond(n, q.Now().Sub(began)), figure(size.Load())/figure(n)
	return err
}

// appendAll appends all events to a log with an index, and waits for the index.
func (q *queryBench) appendAll(log *audittrail.Log) error {
	m := &q.result.Made
	n := q.o.Events
	q.stage("appends with an index")
	began := q.Now()
	took, err := q.append(log, 0, m.Compared)
	if err != nil {
		return err
	}
	m.Beside = perSecond(m.Compared, took)
	tenth := max(m.Compared, n-n/10)
	const some = 100_000
	var last time.Time
	for at := m.Compared; at < n; {
		if last.IsZero() && at >= tenth {
			last = q.Now()
		}
		to := min(at+some, n)
		if at < tenth {
			to = min(to, tenth)
		}
		q.stage(fmt.Sprintf("appends with an index: %s of %s", display.Number(at), display.Number(n)))
		if _, err := q.append(log, at, to); err != nil {
			return err
		}
		at = to
	}
	ended := q.Now()
	m.All, m.LastTenth = perSecond(n, ended.Sub(began)), m.Beside
	if !last.IsZero() {
		m.LastTenth = perSecond(n-tenth, ended.Sub(last))
	}
	q.stage("how far the index lags")
	if err := q.caughtUp(log); err != nil {
		return err
	}
	m.Lag, m.Indexed = milliseconds(q.Now().Sub(ended)), perSecond(n, q.Now().Sub(began))
	return nil
}

// append appends events from one number to another, in batches, from some
// goroutines.
func (q *queryBench) append(log *audittrail.Log, from, to int) (time.Duration, error) {
	return q.each4(from, to, func(events []event.Event) error {
		_, err := log.AppendBatch(q.ctx, events)
		return err
	})
}

// each4 makes the events from one number to another in batches, and hands them
// out in some goroutines.
func (q *queryBench) each4(from, to int, use func([]event.Event) error) (time.Duration, error) {
	var next atomic.Int64
	next.Store(int64(from))
	var group sync.WaitGroup
	errs := make([]error, queryWriters)
	ctx, cancel := context.WithCancel(q.ctx)
	defer cancel()
	began := q.Now()
	for w := range queryWriters {
		group.Go(func() {
			events := make([]event.Event, 0, queryBatch)
			for ctx.Err() == nil {
				end := int(next.Add(queryBatch))
				events = events[:0]
				for i := end - queryBatch; i < min(end, to); i++ {
					events = append(events, q.generator.Event(i))
				}
				if len(events) == 0 {
					return
				}
				if errs[w] = use(events); errs[w] != nil {
					cancel()
					return
				}
			}
		})
	}
	group.Wait()
	return q.Now().Sub(began), errors.Join(append(errs, q.ctx.Err())...)
}

// caughtUp waits until everything can be found by the index.
func (q *queryBench) caughtUp(log *audittrail.Log) error {
	const every = 2 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		s, err := index.Of(log).Snapshot(q.ctx)
		if err != nil {
			return err
		}
		behind := slices.ContainsFunc(s.Chunks(), func(c *index.Chunk) bool { return !c.Indexed() })
		if err := s.Close(); err != nil || !behind {
			return err
		}
		select {
		case <-q.ctx.Done():
			return q.ctx.Err()
		case <-ticker.C:
		}
	}
}

// weigh looks how much there is on the disk.
func (q *queryBench) weigh() error {
	m := &q.result.Made
	for _, of := range []struct {
		dir string
		per *figure
	}{{q.logDir(), &m.Log}, {q.indexDir(), &m.Index}} {
		size := int64(0)
		err := filepath.WalkDir(of.dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				size += info.Size()
			}
			return err
		})
		if err != nil {
			return err
		}
		*of.per = figure(size) / figure(q.o.Events)
	}
	m.Log -= m.Index
	return nil
}

// rebuild removes the index and measures how long it takes to be there again.
func (q *queryBench) rebuild() error {
	q.stage("how long making the index again takes")
	if err := os.RemoveAll(q.indexDir()); err != nil {
		return err
	}
	began := q.Now()
	return q.with(audittrail.Options{}, func(log *audittrail.Log) error {
		err := q.caughtUp(log)
		took := q.Now().Sub(began)
		q.result.Anew = &rebuildRate{perSecond(q.result.Events, took), took}
		return err
	})
}

// opening measures how long it takes until log and index can be asked.
func (q *queryBench) opening() error {
	q.stage("opening")
	for _, how := range []struct {
		o    audittrail.Options
		took *figure
	}{{audittrail.Options{ReadOnly: true}, &q.result.Open.Read}, {audittrail.Options{}, &q.result.Open.Write}} {
		var all []time.Duration
		for range opens {
			began := q.Now()
			err := q.with(how.o, func(log *audittrail.Log) error {
				s, err := index.Of(log).Snapshot(q.ctx)
				all = append(all, q.Now().Sub(began))
				if err != nil {
					return err
				}
				return s.Close()
			})
			if err != nil {
				return err
			}
		}
		slices.Sort(all)
		*how.took = milliseconds(all[len(all)/2])
	}
	return nil
}
