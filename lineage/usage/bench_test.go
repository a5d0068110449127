package usage_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
)

// BenchmarkImpact measures what came of a dataset of which half of 4,000
// versions of 500 models descend, over 20,000 things and 4,000 calls that name
// their version, their deployment, or the model alone.
func BenchmarkImpact(b *testing.B) {
	log := logtest.New(b)
	tr := openTracker(b, log)
	things := []lineage.Entity{&lineage.Dataset{Name: "data", Version: "0"}, &lineage.Dataset{Name: "data", Version: "1"}}
	for i := range 4_000 {
		model := &lineage.ModelVersion{Name: fmt.Sprintf("model-%d", i%500), Version: fmt.Sprint(i / 500), Datasets: []string{fmt.Sprintf("dataset:data@%d", i/500%2)}}
		things = append(things, model)
		for d := range 4 {
			things = append(things, &lineage.Deployment{
				ID: fmt.Sprintf("deployment-%d-%d", i, d), Model: fmt.Sprintf("model:%s@%s", model.Name, model.Version),
				From: day(1).Add(time.Duration(i/500) * time.Hour), To: day(1).Add(time.Duration(i/500+2) * time.Hour),
			})
		}
	}
	if _, err := tr.RegisterAll(b.Context(), things); err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < 4_000; i += 64 {
				e := event.Event{Type: event.Response, ModelID: fmt.Sprintf("model-%d", i%500), UserID: fmt.Sprintf("user-%d", i%1000), Time: day(1).Add(time.Duration(i/500) * time.Hour)}
				switch i % 3 {
				case 0:
					e.ModelVersion = fmt.Sprint(i / 500)
				case 1:
					e.DeploymentID = fmt.Sprintf("deployment-%d-1", i)
				}
				if _, err := log.Append(b.Context(), e); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	g := graphOf(b, tr)
	data := []*lineage.Node{find(b, g, "data@1")}
	engine := query.New(log)
	var u *usage.Usage
	b.Run("of", func(b *testing.B) {
		var err error
		for b.Loop() {
			if u, err = usage.Compute(b.Context(), g, engine, query.Query{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(u.Groups)), "streams")
	})
	b.Run("impact", func(b *testing.B) {
		for b.Loop() {
			if _, err := u.Impact(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
