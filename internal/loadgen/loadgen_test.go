package loadgen_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/loadgen"
)

// textOf returns all text of an event, in lower case.
func textOf(e *event.Event) string {
	s := e.Prompt + "\n" + e.Response + "\n" + e.Error
	if e.Tool != nil {
		s += "\n" + string(e.Tool.Arguments) + "\n" + string(e.Tool.Result)
	}
	return strings.ToLower(s)
}

// TestEventsAreWhatTheyAreToBe looks at many events.
func TestEventsAreWhatTheyAreToBe(t *testing.T) {
	const n = 20_000
	c := loadgen.New(1, n)
	users, models, traces, words := map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]int{}
	bytes, common, wide := 0, 0, 0
	for i := range n {
		e := c.Event(i)
		if err := event.Validate(&e); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if e.UserID != c.User(i) || e.TraceID != c.Trace(i) || !e.Time.Equal(c.Time(i)) {
			t.Fatalf("event %d is not of the user, the trace and the time that are said of it", i)
		}
		if e.Time.Before(loadgen.Start.Add(-loadgen.Span/n-1e12)) || e.Time.After(loadgen.Start.Add(loadgen.Span)) {
			t.Fatalf("event %d is at %v", i, e.Time)
		}
		users[e.UserID], models[e.ModelID+e.ModelVersion] = true, true
		traces[e.TraceID]++
		bytes += len(event.AppendJSON(nil, &e))
		text := textOf(&e)
		has := map[string]bool{}
		for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" .,\n\"{}:", r) }) {
			has[w] = true
		}
		for w := range has {
			words[w]++
		}
		if has[c.Common()] {
			common++
		}
		if utf8.RuneCountInString(text) < len(text) {
			wide++
		}
		for _, m := range []*loadgen.Mark{loadgen.Rare, loadgen.Phrase, loadgen.Stem} {
			if want := m.In(i+1) - m.In(i); strings.Count(text, m.Word) != want {
				t.Fatalf("event %d has %q %d times, want %d", i, m.Word, strings.Count(text, m.Word), want)
			}
		}
	}
	if mean := bytes / n; mean < 960 || mean > 1090 {
		t.Errorf("an event has %d bytes on average, want about 1024", mean)
	}
	if len(users) < 1500 || len(models) != 20 || len(words) < 12_000 || wide < n/2 {
		t.Errorf("%d users, %d models, %d words; %d events with more than ASCII", len(users), len(models), len(words), wide)
	}
	if part := float64(common) / n; part < 0.6 || part > 0.95 {
		t.Errorf("the common word is in %.2f of all events", part)
	}
	for trace, n := range traces {
		if n != 4 {
			t.Fatalf("trace %s has %d events, want 4", trace, n)
		}
	}
	counts := []int{}
	for _, k := range words {
		counts = append(counts, k)
	}
	slices.Sort(counts)
	if middle := counts[len(counts)/2]; math.Abs(math.Log(float64(middle)/20)) > 2 {
		t.Errorf("half of all words stand in fewer than %d of %d events: that is not how words are", middle, n)
	}
}

// TestEventsAreTheSameAgain generates events twice, and with another seed.
func TestEventsAreTheSameAgain(t *testing.T) {
	a, b, other := loadgen.New(7, 100), loadgen.New(7, 100), loadgen.New(8, 100)
	for _, i := range []int{99, 0, 50} {
		if diff := cmp.Diff(a.Event(i), b.Event(i)); diff != "" {
			t.Errorf("event %d differs:\n%s", i, diff)
		}
		if cmp.Equal(a.Event(i), other.Event(i)) {
			t.Errorf("event %d is the same with another seed", i)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	c := loadgen.New(1, 1_000_000)
	for i := 0; b.Loop(); i++ {
		c.Event(i)
	}
}
