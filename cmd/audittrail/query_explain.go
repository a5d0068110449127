package main

import (
	"fmt"
	"strconv"
	"time"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
	"audittrail/service"
)

// An explanation is the result of query --explain in JSON.
type explanation struct {
	Hits     uint64           `json:"hits"`
	Took     float64          `json:"took_ms"`
	Snapshot float64          `json:"snapshot_ms"`
	Opened   uint64           `json:"opened"`
	Chunks   []explainedChunk `json:"chunks"`
	Notes    []string         `json:"notes"`
}

type explainedChunk struct {
	First     uint64  `json:"first"`
	Records   int     `json:"records"`
	Source    string  `json:"source"`
	Skipped   string  `json:"skipped,omitempty"`
	Left      uint64  `json:"left"`
	Read      uint64  `json:"read"`
	Matched   uint64  `json:"matched"`
	Opens     bool    `json:"opens"`
	Looking   float64 `json:"looking_ms"`
	Filtering float64 `json:"filtering_ms"`
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// queryExplain runs a query, and prints how it was answered instead of its
// result.
func (e *env) queryExplain(s *service.Session, q query.Query, o *queryOptions, g query.Grouping) error {
	q.Limit = o.limit
	x, err := s.Explain(e.ctx, service.ExplainRequest{Query: q, CountOnly: o.count, Grouping: g, SkipAltered: e.skip.wanted})
	if err != nil {
		return queryDenied(err)
	}
	e.noteUnknown(x.Unknown)
	e.noteUnknownCalls(x.UnknownCalls)
	e.left.UnknownCalls = x.UnknownCalls
	e.skip.add(x.Skipped)
	return e.printExplanation(&x.How, x.Hits, x.Took)
}

func (e *env) printExplanation(how *query.Explanation, hits uint64, took time.Duration) error {
	x := explanation{
		Hits: hits, Took: millis(took), Snapshot: millis(how.Snapshot), Opened: how.Opened,
		Chunks: []explainedChunk{}, Notes: append([]string{}, how.Notes...),
	}
	s := sheetBuilder{}
	s.add("result", display.Count(hits, "record or row", "records or rows"))
	s.add("took", fmt.Sprintf("%.1f ms, of which %.1f ms to open a snapshot", x.Took, x.Snapshot))
	s.add("opened", display.Count(how.Opened, "record of the log", "records of the log"))
	for _, c := range how.Chunks {
		y := explainedChunk{
			First: c.First, Records: c.Records, Source: "log", Skipped: c.Skipped, Left: c.Rows, Read: c.Read,
			Matched: c.Matched, Opens: c.Opens, Looking: millis(c.LookupTime), Filtering: millis(c.FilterTime),
		}
		if c.Indexed {
			y.Source = "index"
		}
		x.Chunks = append(x.Chunks, y)
		s.add("from "+strconv.FormatUint(c.First, 10), y.String())
	}
	for _, n := range how.Notes {
		s.add("note", n)
	}
	return e.sheet(x, s.fields)
}

func (c explainedChunk) String() string {
	text := display.Count(uint64(c.Records), "record", "records")
	switch {
	case c.Source == "log":
		return text + " not in the index: read from the log, and decrypted"
	case c.Skipped != "":
		return text + ", skipped: " + c.Skipped
	}
	text += fmt.Sprintf(", %s left by the index (%.1f ms)", display.Number(c.Left), c.Looking)
	if c.Read > 0 {
		text += fmt.Sprintf(", %s looked at, %s left (%.1f ms)", display.Number(c.Read), display.Number(c.Matched), c.Filtering)
	}
	if c.Opens {
		text += ", which have to be decrypted"
	}
	return text
}
