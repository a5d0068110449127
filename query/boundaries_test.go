package query_test

import (
	"strings"
	"testing"
	"time"

	"audittrail/internal/logtest"
	"audittrail/query"
)

// TestCuts divides time at boundaries: a boundary belongs to the bucket that it
// begins.
func TestCuts(t *testing.T) {
	log := newLog(t)
	logtest.AppendBatch(t, log, some()...)
	e := query.New(log)
	at := func(hours int) time.Time { return day.Add(time.Duration(hours) * time.Hour) }
	span := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, c := range []struct {
		name string
		cuts []time.Time
		want string
	}{
		{"at two of them, in any order, one twice", []time.Time{at(26), at(1), at(26)}, `[["1677-09-21T00:12:43.145224192Z",1],["` + span(at(1)) + `",2],["` + span(at(26)) + `",2]]`},
		{"just after one", []time.Time{at(1).Add(1)}, `[["1677-09-21T00:12:43.145224192Z",2],["` + span(at(1))[:19] + `.000000001Z",3]]`},
		{"before all", []time.Time{at(-1)}, `[["` + span(at(-1)) + `",5]]`},
		{"after all", []time.Time{at(1000)}, `[["1677-09-21T00:12:43.145224192Z",5]]`},
	} {
		if got := table(t, e, query.Query{}, query.Grouping{By: []string{"cut"}, Boundaries: c.cuts}); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, g := range []query.Grouping{
		{By: []string{"cut"}},
		{Aggregates: []string{"distinct(cut)"}, Boundaries: []time.Time{at(1)}},
	} {
		if _, err := e.Group(t.Context(), query.Query{}, g); err == nil || !strings.Contains(err.Error(), "cut: there are no boundaries") {
			t.Errorf("Group(%+v): %v", g, err)
		}
	}
}
