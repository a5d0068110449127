package query_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/query"
)

// TestAxis goes over every span once, also where clocks are changed.
func TestAxis(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		span, from, to string
		zone           *time.Location
		want           []string
	}{
		{"day", "2026-02-27T23:59:59Z", "2026-03-01T00:00:00Z", nil, []string{"2026-02-27", "2026-02-28", "2026-03-01"}},
		{"week", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z", nil, []string{"2026-W53", "2027-W01"}},
		{"month", "2025-12-31T00:00:00Z", "2026-02-01T00:00:00Z", nil, []string{"2025-12", "2026-01", "2026-02"}},
		{"hour", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z", berlin, []string{"2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"}},
		{"hour", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z", nil, []string{"2026-10-25T00:00Z"}},
		{"day", "2026-02-02T00:00:00Z", "2026-02-01T00:00:00Z", nil, nil},
		{"year", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z", nil, nil},
	} {
		var got []string
		for _, v := range query.TimeBuckets(c.span, at(c.from), at(c.to), c.zone, 10) {
			got = append(got, v.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Axis(%s, %s, %s) = %q, want %q", c.span, c.from, c.to, got, c.want)
		}
	}
	if got := query.TimeBuckets("hour", at("0001-01-01T00:00:00Z"), at("9999-12-31T00:00:00Z"), nil, 100); got != nil {
		t.Errorf("Axis of more than its limit has %d spans, want none", len(got))
	}
	if got := len(query.TimeBuckets("day", at("2026-02-01T00:00:00Z"), at("2026-02-10T00:00:00Z"), nil, 10)); got != 10 {
		t.Errorf("Axis of its limit has %d spans, want 10", got)
	}
}

// TestDistinctUsers counts people, of whom the log's own subject is none. Which
// subject that is, the keyring says, and without it there is no number.
func TestDistinctUsers(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	for _, user := range []string{"ann", "", "bob", "ann"} {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: user})
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"bob"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	people := query.Grouping{Aggregates: []string{"distinct(user)", "distinct(subject)"}}
	table, err := query.New(log).Group(t.Context(), query.Query{}, people)
	if err != nil || table.Rows[0][0].Int() != 2 || table.Rows[0][1].Int() != 3 {
		t.Errorf("with the keyring: %v, %v, want 2 people and 3 subjects", table, err)
	}
	logtest.Close(t, log)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	log = logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	if table, err := query.New(log).Group(t.Context(), query.Query{}, people); !errors.Is(err, audittrail.ErrNoKeys) {
		t.Errorf("without the keyring: %v, %v, want ErrNoKeys", table, err)
	}
}
