package bench

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/loadgen"
	"audittrail/query"
)

// A question is one kind of query. Where it can, it asks for something else
// each time.
type question struct {
	name, asks string
	// run asks for the i-th time, and returns how much was found.
	run func(e *query.Engine, i int) (uint64, error)
	// right tells whether as much was found as there is.
	right func(found uint64) bool
}

// How often a query is asked when it has been asked before.
const (
	askFor  = 400 * time.Millisecond
	askMost = 1000
	askFew  = 3
)

// ask measures queries of all kinds.
func (q *queryBench) ask() error {
	q.result.Asked = nil
	debug.FreeOSMemory()
	resetPeak()
	for _, kind := range q.questions() {
		q.stage("queries: " + kind.name)
		b := queryTimes{Name: kind.name, Asks: kind.asks}
		// A new index has nothing in memory.
		err := q.with(audittrail.Options{ReadOnly: true}, func(log *audittrail.Log) error {
			return q.measure(query.New(log), kind, &b)
		})
		if err != nil {
			return fmt.Errorf("query, %s: %w", kind.name, err)
		}
		q.result.Asked = append(q.result.Asked, b)
	}
	q.result.Memory = peakMemory()
	return nil
}

func (q *queryBench) measure(e *query.Engine, kind question, b *queryTimes) error {
	var warm latencies
	began := q.Now()
	for i := 0; i <= askFew || i <= askMost && q.Now().Sub(began) < askFor; i++ {
		start := q.Now()
		n, err := kind.run(e, i)
		took := q.Now().Sub(start)
		if err == nil {
			err = q.ctx.Err()
		}
		if err != nil {
			return err
		}
		if !kind.right(n) {
			return fmt.Errorf("it found %s, which is wrong", display.Count(n, "record", "records"))
		}
		if i == 0 {
			b.First = milliseconds(took)
			continue
		}
		warm.add(took)
		b.Results, b.Runs = n, i
	}
	b.latency = warm.summary()
	return nil
}

// questions are the kinds of queries.
func (q *queryBench) questions() []question {
	n := q.result.Events
	exactly := func(want int) func(uint64) bool { return func(got uint64) bool { return got == uint64(want) } }
	some := func(got uint64) bool { return got > 0 }
	find := func(of func(i int) query.Query) func(*query.Engine, int) (uint64, error) {
		return func(e *query.Engine, i int) (found uint64, err error) {
			for _, err := range e.Find(q.ctx, of(i)) {
				if err != nil {
					return 0, err
				}
				found++
			}
			return found, nil
		}
	}
	newest := func(asked query.Query) func(*query.Engine, int) (uint64, error) {
		asked.Limit = newestHits
		return find(func(int) query.Query { return asked })
	}
	group := func(g query.Grouping) func(*query.Engine, int) (uint64, error) {
		return func(e *query.Engine, _ int) (uint64, error) {
			t, err := e.Group(q.ctx, query.Query{}, g)
			if err != nil {
				return 0, err
			}
			return uint64(len(t.Rows)), nil
		}
	}
	// Another event to begin from, each time.
	event := func(i int) int { return int(uint64(i+1) * 7_368_787 % uint64(n)) }
	return []question{
		{"rare word", "the newest 50 with a word that one record of 10,000 has", newest(query.Query{Text: loadgen.Rare.Word}), exactly(min(loadgen.Rare.In(n), newestHits))},
		{"user and time", "the newest 50 of a user (another each time) within 30 days", find(func(i int) query.Query {
			at := q.generator.Time(event(i))
			return query.Query{Users: []string{q.generator.User(event(i))}, Start: at.AddDate(0, 0, -15), End: at.AddDate(0, 0, 15), Limit: newestHits}
		}), some},
		{"common word", "how many have a word that most have", func(e *query.Engine, _ int) (uint64, error) {
			return e.Count(q.ctx, query.Query{Text: q.generator.Common()})
		}, func(got uint64) bool { return got > uint64(n)/2 && got < uint64(n) }},
		{"by model", "for each model: count, and sums of tokens and cost", group(query.Grouping{
			By: []string{"model_id"}, Aggregates: []string{"count", "sum(input_tokens)", "sum(output_tokens)", "sum(cost)"},
		}), exactly(loadgen.Models)},
		{"by model and day", "for each model and day: count and p95 of the latency", group(query.Grouping{
			By: []string{"model_id", "day"}, Aggregates: []string{"count", "p95(latency_ms)"},
		}), some},
		{"trace", "what belongs to a trace (another each time)", find(func(i int) query.Query {
			return query.Query{Traces: []string{q.generator.Trace(event(i))}}
		}), some},
		{"phrase", "the newest 50 with three words in a row", newest(query.Query{Text: `"` + loadgen.Phrase.Word + `"`}), exactly(min(loadgen.Phrase.In(n), newestHits))},
		{"prefix", "the newest 50 with a word that begins so", newest(query.Query{Text: loadgen.Stem.Word + "*"}), exactly(min(loadgen.Stem.In(n), newestHits))},
		{"filter", "the newest 50 slow ones of a team, in CEL", newest(query.Query{Filter: `latency_ms > 2000.0 && labels["team"] == "search"`}), some},
		{"label", "the newest 50 with a label", newest(query.Query{Labels: map[string]string{"team": loadgen.Teams[0]}}), some},
		{"oldest first", "a page of 50 of a model, from the oldest on", q.paging(), exactly(newestHits)},
	}
}

const newestHits = 50

// paging asks for page after page.
func (q *queryBench) paging() func(*query.Engine, int) (uint64, error) {
	cursor := ""
	return func(e *query.Engine, _ int) (found uint64, err error) {
		page := query.Query{Models: []string{loadgen.Model}, OldestFirst: true, Limit: newestHits, Cursor: cursor}
		cursor = ""
		for hit, err := range e.Find(q.ctx, page) {
			if err != nil {
				return 0, err
			}
			if found++; found == newestHits {
				cursor = hit.Cursor()
			}
		}
		if found < newestHits { // the first page follows the last whole one
			return q.paging()(e, 0)
		}
		return found, nil
	}
}

// resetPeak resets the most memory that the process had, on Linux. Elsewhere,
// peakMemory is about the whole run.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}
