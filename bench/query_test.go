package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/loadgen"
	"audittrail/query"
)

// BenchmarkQuery creates a log with an index and an SQLite database of the same
// events, measures that, and runs the same queries on both. Their results must
// agree.
//
// The time to generate the events is part of the time that each takes to build:
// SQLite has a processor for itself meanwhile, AuditTrail shares both.
func BenchmarkQuery(b *testing.B) {
	n := records(b)
	dir := b.TempDir()
	c := loadgen.New(1, n)
	peer, ours := filepath.Join(dir, "sqlite"), filepath.Join(dir, "audittrail")
	b.Run("build/sqlite", func(b *testing.B) { buildSQLite(b, peer, n, c) })
	b.Run("build/audittrail", func(b *testing.B) { buildIndexed(b, ours, n, c) })
	for _, q := range questions(c, n) {
		var theirs float64
		b.Run(q.name+"/sqlite", func(b *testing.B) {
			l, err := openSQLite(peer)
			if err != nil {
				b.Fatal(err)
			}
			theirs = asks(b, l.db.Close, func(i int) (int64, error) {
				sql, args := q.sql(i)
				return l.ask(b.Context(), sql, args...)
			}, q.found)
		})
		b.Run(q.name+"/audittrail", func(b *testing.B) {
			log, err := audittrail.Open(ours, audittrail.Options{ReadOnly: true})
			if err != nil {
				b.Fatal(err)
			}
			e := query.New(log)
			took := asks(b, log.Close, func(i int) (int64, error) {
				return q.ours(b.Context(), e, i)
			}, q.found)
			if theirs > 0 {
				b.ReportMetric(took/theirs, "x-sqlite-p50")
			}
		})
	}
}

// once runs build repeatedly, like any benchmark, each time in an empty folder.
func once(b *testing.B, dir string, n int, build func() error) {
	b.Helper()
	for b.Loop() {
		b.StopTimer()
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := build(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func buildSQLite(b *testing.B, dir string, n int, c *loadgen.Generator) {
	var all, fts int64
	var settling time.Duration
	once(b, dir, n, func() error {
		l, err := openSQLite(dir)
		if err != nil {
			return err
		}
		err = l.fill(b.Context(), n, c.Event)
		b.StopTimer()
		if err == nil {
			began := time.Now()
			err = l.settle(b.Context())
			settling = time.Since(began)
		}
		if err == nil {
			all, fts, err = l.weight(b.Context())
		}
		err = errors.Join(err, l.db.Close())
		b.StartTimer()
		return err
	})
	b.ReportMetric(settling.Seconds(), "optimize-s")
	b.ReportMetric(float64(fts)/float64(n), "index-B/event")
	b.ReportMetric(float64(all)/float64(n), "B/event")
}

// buildIndexed appends all events, and waits until they are in the index on
// disk.
func buildIndexed(b *testing.B, dir string, n int, c *loadgen.Generator) {
	once(b, dir, n, func() error {
		log, err := audittrail.Open(dir, audittrail.Options{Create: true, Origin: "audittrail.bench.example"})
		if err != nil {
			return err
		}
		err = appendAll(b.Context(), log, n, c.Event)
		if err == nil {
			err = indexed(b.Context(), index.Of(log))
		}
		return errors.Join(err, log.Close())
	})
	b.ReportMetric(float64(sizeOf(b, filepath.Join(dir, "index")))/float64(n), "index-B/event")
	b.ReportMetric(float64(sizeOf(b, dir))/float64(n), "B/event")
}

// indexed waits until all records are in the index.
func indexed(ctx context.Context, x *index.Index) error {
	for range time.Tick(time.Millisecond) {
		s, err := x.Snapshot(ctx)
		if err != nil {
			return err
		}
		behind := slices.ContainsFunc(s.Chunks(), func(c *index.Chunk) bool { return !c.Indexed() })
		if err := s.Close(); err != nil || !behind {
			return err
		}
	}
	return nil
}

func appendAll(ctx context.Context, log *audittrail.Log, n int, made func(i int) event.Event) error {
	const writers, batch = 4, 512
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		group.Go(func() {
			for errs[w] == nil {
				end := int(next.Add(batch))
				var some []event.Event
				for i := end - batch; i < min(end, n); i++ {
					some = append(some, made(i))
				}
				if len(some) == 0 {
					return
				}
				_, errs[w] = log.AppendBatch(ctx, some)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// asks measures a query: the first time after opening, and again. It returns the
// median of the latter, in milliseconds.
func asks(b *testing.B, shut func() error, run func(i int) (int64, error), found *int64) float64 {
	b.Helper()
	began := time.Now()
	n, err := run(0)
	first := time.Since(began)
	if err != nil {
		b.Fatal(err)
	}
	if *found < 0 {
		*found = n
	}
	if n != *found || n == 0 {
		b.Fatalf("it found %d records, the other %d", n, *found)
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := run(len(took) + 1); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	if err := shut(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	p50 := milliseconds(took[len(took)/2])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(first), "first-ms")
	b.ReportMetric(p50, "p50-ms")
	b.ReportMetric(milliseconds(took[len(took)-1]), "max-ms")
	b.ReportMetric(float64(n), "found")
	return p50
}

// A question is a query for both.
type question struct {
	name  string
	found *int64 // by whom was asked first; -1 before
	sql   func(i int) (string, []any)
	ours  func(ctx context.Context, e *query.Engine, i int) (int64, error)
}

const hits = 50

func questions(c *loadgen.Generator, n int) []question {
	event := func(i int) int { return int(uint64(i+1) * 7_368_787 % uint64(n)) }
	var all []question
	ask := func(name string, ours func(ctx context.Context, e *query.Engine, i int) (int64, error), sql func(i int) (string, []any)) {
		found := int64(-1)
		all = append(all, question{name, &found, sql, ours})
	}
	always := func(sql string, args ...any) func(int) (string, []any) {
		return func(int) (string, []any) { return sql, args }
	}
	const matching = "SELECT seq, body FROM texts t JOIN events ON seq = t.rowid WHERE texts MATCH ? ORDER BY t.rowid DESC LIMIT 50"
	newest := func(name, text, fts string) {
		ask(name, find(func(int) query.Query { return query.Query{Text: text, Limit: hits} }), always(matching, fts))
	}
	newest("rare-word", loadgen.Rare.Word, loadgen.Rare.Word)
	newest("phrase", `"`+loadgen.Phrase.Word+`"`, `"`+loadgen.Phrase.Word+`"`)
	newest("prefix", loadgen.Stem.Word+"*", loadgen.Stem.Word+"*")
	ask("common-word-count", func(ctx context.Context, e *query.Engine, _ int) (int64, error) {
		n, err := e.Count(ctx, query.Query{Text: c.Common()})
		return int64(n), err
	}, always("SELECT count(*) AS count FROM texts WHERE texts MATCH ?", c.Common()))
	between := func(i int) (from, to time.Time) {
		at := c.Time(event(i))
		return at.AddDate(0, 0, -15), at.AddDate(0, 0, 15)
	}
	ask("user-and-time", find(func(i int) query.Query {
		from, to := between(i)
		return query.Query{Users: []string{c.User(event(i))}, Start: from, End: to, Limit: hits}
	}), func(i int) (string, []any) {
		from, to := between(i)
		return "SELECT seq, body FROM events WHERE user = ? AND time >= ? AND time < ? ORDER BY seq DESC LIMIT 50",
			[]any{c.User(event(i)), from.UnixNano(), to.UnixNano()}
	})
	ask("trace", find(func(i int) query.Query { return query.Query{Traces: []string{c.Trace(event(i))}} }),
		func(i int) (string, []any) {
			return "SELECT seq, body FROM events WHERE trace = ? ORDER BY seq DESC", []any{c.Trace(event(i))}
		})
	ask("by-model", group("model_id").of("count", "sum(input_tokens)", "sum(output_tokens)", "sum(cost)"),
		always("SELECT model, count(*), sum(input), sum(output), sum(cost) FROM events GROUP BY model"))
	ask("by-model-and-day", group("model_id", "day").of("count", "p95(latency_ms)"),
		always(`SELECT model, day, max(n), max(CASE WHEN latency IS NOT NULL AND rank = (known*95+99)/100 THEN latency END) FROM (
			SELECT model, time/86400000000000 AS day, latency,
				count(*) OVER w AS n, count(latency) OVER w AS known,
				row_number() OVER (PARTITION BY model, time/86400000000000 ORDER BY latency NULLS LAST) AS rank
			FROM events WINDOW w AS (PARTITION BY model, time/86400000000000)) GROUP BY model, day`))
	ask("filter", find(func(int) query.Query {
		return query.Query{Filter: `latency_ms > 2000.0 && labels["team"] == "search"`, Limit: hits}
	}), always("SELECT seq, body FROM events WHERE team = 'search' AND latency > 2000000 ORDER BY seq DESC LIMIT 50"))
	ask("label", find(func(int) query.Query {
		return query.Query{Labels: map[string]string{"team": loadgen.Teams[0]}, Limit: hits}
	}),
		always("SELECT seq, body FROM events WHERE team = ? ORDER BY seq DESC LIMIT 50", loadgen.Teams[0]))
	return all
}

func find(of func(i int) query.Query) func(context.Context, *query.Engine, int) (int64, error) {
	return func(ctx context.Context, e *query.Engine, i int) (n int64, err error) {
		for _, err := range e.Find(ctx, of(i)) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}
}

// by has the values that grouped rows share.
type by []string

func group(names ...string) by { return names }

func (g by) of(aggregates ...string) func(context.Context, *query.Engine, int) (int64, error) {
	return func(ctx context.Context, e *query.Engine, _ int) (int64, error) {
		t, err := e.Group(ctx, query.Query{}, query.Grouping{By: g, Aggregates: aggregates})
		if err != nil {
			return 0, fmt.Errorf("group: %w", err)
		}
		return int64(len(t.Rows)), nil
	}
}
