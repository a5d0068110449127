package usage_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
)

// TestImpactModel compares the impact of every thing of made-up graphs with what
// comes out when each record is asked for by itself.
func TestImpactModel(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			log := logtest.New(t)
			tr := openTracker(t, log)
			madeUp(t, tr, rnd)
			record(t, log, rnd)
			g := graphOf(t, tr)
			u, err := usage.Compute(t.Context(), g, query.New(log), query.Query{})
			if err != nil {
				t.Fatal(err)
			}
			for n := range g.Nodes() {
				im, err := u.Impact(t.Context(), []*lineage.Node{n})
				if err != nil {
					t.Fatalf("impact of %s: %v", n.ID, err)
				}
				got := outcome{im.Calls, im.Possible, map[string]uint64{}, map[string]uint64{}}
				for _, user := range im.Users {
					got.Users[user.User] = user.Calls
				}
				for _, day := range im.Days {
					got.Days[day.Day] = day.Calls
				}
				if diff := gocmp.Diff(oneByOne(t, log, g, n), got); diff != "" {
					t.Errorf("impact of %s: %s", n.ID, diff)
				}
			}
		})
	}
}

// pick returns one of some.
func pick[T any](rnd *rand.Rand, some ...T) T { return some[rnd.IntN(len(some))] }

// madeUp registers six models of some versions, with deployments that begin
// and end, or not.
func madeUp(t *testing.T, tr *lineage.Tracker, rnd *rand.Rand) {
	t.Helper()
	for i := range 3 {
		register(t, tr, &lineage.Dataset{Name: "data", Version: fmt.Sprint(i)})
	}
	for m := range 6 {
		for v := range 1 + rnd.IntN(4) {
			model := &lineage.ModelVersion{Name: fmt.Sprintf("m%d", m), Version: pick(rnd, fmt.Sprint(v), fmt.Sprint(v), fmt.Sprintf("x%d", v))}
			model.Datasets = []string{fmt.Sprintf("dataset:data@%d", rnd.IntN(3))}
			register(t, tr, model)
			for d := range rnd.IntN(4) {
				deployment := &lineage.Deployment{ID: fmt.Sprintf("d%d-%d-%d", m, v, d), Model: model.ID, Environment: pick(rnd, "prod", "test")}
				if rnd.IntN(3) > 0 {
					deployment.From = day(1 + rnd.IntN(8))
					if rnd.IntN(2) > 0 {
						deployment.To = deployment.From.Add(time.Duration(1+rnd.IntN(100)) * time.Hour)
					}
				}
				register(t, tr, deployment)
			}
			if rnd.IntN(4) == 0 {
				if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: model.ID, At: day(9 + rnd.IntN(3))}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// record records calls that name some of it, more or less of it, or something
// else.
func record(t *testing.T, log *audittrail.Log, rnd *rand.Rand) {
	t.Helper()
	for range 600 {
		e := event.Event{
			Type: pick(rnd, event.Response, event.Response, event.Embedding), Time: day(1).Add(time.Duration(rnd.IntN(12*24*60)) * time.Minute),
			ModelID: pick(rnd, "m0", "m1", "m2", "m3", "m4", "m5", "m6", "", "m1@0", "model:m0@1"), UserID: pick(rnd, "ann", "bob", "cy", ""),
			ModelVersion: pick(rnd, "", "", "0", "1", "2", "x1", "9"),
			DeploymentID: pick(rnd, "", "", "prod", "test", "d0-0-0", "d1-0-0", "d2-0-1", "d2-1-0", "gone"),
		}
		logtest.Append(t, log, e)
	}
}

type outcome struct {
	Calls, Possible uint64
	Users, Days     map[string]uint64
}

func oneByOne(t *testing.T, log *audittrail.Log, g *lineage.Graph, of *lineage.Node) outcome {
	t.Helper()
	reached := map[*lineage.Node]bool{}
	for _, r := range g.Walk([]*lineage.Node{of}, lineage.Downstream, 0) {
		reached[r.Node] = true
	}
	out := outcome{Users: map[string]uint64{}, Days: map[string]uint64{}}
	for r, err := range log.Records(t.Context(), 0, math.MaxUint64) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.Type.Reserved() {
			continue
		}
		m := usage.Explain(g, r).Match
		of := m.Candidates
		if m.Model != nil {
			of = []*lineage.Node{m.Model}
		}
		mine := len(slices.DeleteFunc(slices.Clone(of), func(n *lineage.Node) bool { return !reached[n] }))
		switch {
		case len(of) > 0 && mine == len(of), m.Deployment != nil && reached[m.Deployment]:
			out.Calls++
			if r.Event.UserID != "" {
				out.Users[r.Event.UserID]++
			}
			out.Days[r.Event.Time.UTC().Format(time.DateOnly)]++
		case mine > 0:
			out.Possible++
		case m.Model != nil && m.Deployment == nil:
			for edge := range g.Downstream(m.Model) {
				if edge.To.Kind == lineage.KindDeployment && reached[edge.To] {
					out.Possible++
					break
				}
			}
		}
	}
	return out
}

// TestStreams holds what Compute makes of the calls against each record.
func TestStreams(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	log := logtest.New(t)
	tr := openTracker(t, log)
	madeUp(t, tr, rnd)
	record(t, log, rnd)
	g := graphOf(t, tr)
	u, err := usage.Compute(t.Context(), g, query.New(log), query.Query{})
	if err != nil {
		t.Fatal(err)
	}
	key := func(model, version, deployment string, m usage.Match) string {
		var id strings.Builder
		id.WriteString(string(m.Certainty))
		for _, n := range slices.Concat(m.Candidates, []*lineage.Node{m.Model, m.Deployment}) {
			if n != nil {
				id.WriteString(" " + n.ID)
			}
		}
		return fmt.Sprintf("%q %q %q: %s", model, version, deployment, id.String())
	}
	want, got := map[string]uint64{}, map[string]uint64{}
	for r, err := range log.Records(t.Context(), 0, math.MaxUint64) {
		if err != nil {
			t.Fatal(err)
		}
		if e := r.Event; !e.Type.Reserved() && cmp.Or(e.ModelID, e.DeploymentID) != "" {
			want[key(e.ModelID, e.ModelVersion, e.DeploymentID, usage.Explain(g, r).Match)]++
		}
	}
	for _, s := range u.Groups {
		got[key(s.ModelID, s.ModelVersion, s.DeploymentID, s.Match)] += s.Calls
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("streams: %s", diff)
	}
	var sum uint64
	for n := range maps.Values(got) {
		sum += n
	}
	if sum+u.Unnamed != 600 {
		t.Errorf("%d calls and %d without a name, want 600 in all", sum, u.Unnamed)
	}
}
