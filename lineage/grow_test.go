package lineage_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/logtest"
	"audittrail/lineage"
)

// TestRunGrows adds to a run in steps: each addition counts, also after the log is
// read again, and inputs still come before outputs.
func TestRunGrows(t *testing.T) {
	ctx := t.Context()
	log := logtest.New(t)
	tr := openTracker(t, log)
	register(t, tr,
		&lineage.TrainingRun{ID: "run:r", Name: "r", Start: day(1)},
		&lineage.Dataset{ID: "dataset:out", Name: "out", Run: "run:r"},
		&lineage.Dataset{ID: "dataset:a", Name: "a"},
	)
	var conflict *lineage.ConflictError
	if _, err := tr.Register(ctx, &lineage.TrainingRun{ID: "run:r", Name: "r", Start: day(1), End: day(2)}); !errors.As(err, &conflict) {
		t.Errorf("Register of one that says more = %v, want a ConflictError: that is for RegisterAll", err)
	}
	grow := func(datasets []string, end time.Time) error {
		_, err := tr.RegisterAll(ctx, []lineage.Entity{&lineage.TrainingRun{ID: "run:r", Name: "r", Start: day(1), Datasets: datasets, End: end}})
		return err
	}
	if err := grow([]string{"dataset:a"}, day(2)); err != nil {
		t.Fatal(err)
	}
	for _, less := range []struct {
		name string
		err  error
	}{
		{"fewer inputs", grow(nil, day(2))},
		{"another end", grow([]string{"dataset:a"}, day(3))},
	} {
		if !errors.As(less.err, &conflict) {
			t.Errorf("%s: %v, want a ConflictError", less.name, less.err)
		}
	}
	var cycle *lineage.CycleError
	if err := grow([]string{"dataset:a", "dataset:out"}, day(2)); !errors.As(err, &cycle) {
		t.Errorf("its own output as an input: %v, want a CycleError", err)
	}
	if err := grow([]string{"dataset:a"}, day(2)); err != nil {
		t.Errorf("the same again: %v", err)
	}
	for _, tracker := range []*lineage.Tracker{tr, openTracker(t, log)} {
		g := graphOf(t, tracker)
		var ids []string
		for n := range g.Nodes() {
			ids = append(ids, n.ID)
		}
		if diff := cmp.Diff([]string{"dataset:a", "run:r", "dataset:out"}, ids); diff != "" {
			t.Errorf("nodes (-want +got):\n%s", diff)
		}
		n, _ := g.Node("run:r")
		if run, ok := n.Entity.(*lineage.TrainingRun); !ok || !run.End.Equal(day(2)) || !slices.Equal(run.Datasets, []string{"dataset:a"}) || n.Seq != 3 {
			t.Errorf("the run is %+v, of record %d", n.Entity, n.Seq)
		}
		a, _ := g.Node("dataset:a")
		out, _ := g.Node("dataset:out")
		if len(g.Path(a, out)) != 2 || g.EdgeCount() != 2 || len(g.InvalidRecords()) != 0 {
			t.Errorf("path %v, %d edges, faults %v", g.Path(a, out), g.EdgeCount(), g.InvalidRecords())
		}
	}
}
