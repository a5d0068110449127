package drawing_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/lineage"
	"audittrail/record"
)

// A memory is a log in memory, whose records have the same times and hashes in
// every run.
type memory struct{ records []*record.Record }

func (m *memory) AppendGovernance(_ context.Context, e event.Event) (audittrail.Receipt, error) {
	r := &record.Record{Event: e}
	r.Seq = uint64(len(m.records))
	r.Hash = sha256.Sum256([]byte(e.ID))
	r.Logged = day(1).Add(time.Duration(len(m.records)) * time.Minute)
	r.Event.Time = r.Logged
	m.records = append(m.records, r)
	return audittrail.Receipt{Seq: r.Seq, Hash: r.Hash}, nil
}

func (m *memory) AppendGovernanceBatch(ctx context.Context, events []event.Event) (receipts []audittrail.Receipt, err error) {
	for _, e := range events {
		receipt, err := m.AppendGovernance(ctx, e)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, receipt)
	}
	return receipts, nil
}

func (m *memory) GovernanceRecords(_ context.Context, from uint64, _ ...event.Type) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		for _, r := range m.records[min(from, uint64(len(m.records))):] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

// graphOf registers things and retires some of them.
func graphOf(t testing.TB, things []lineage.Entity, retired ...string) *lineage.Graph {
	t.Helper()
	tr, err := lineage.Open(t.Context(), &memory{})
	if err != nil {
		t.Fatal(err)
	}
	for _, thing := range things {
		if _, err := tr.Register(t.Context(), thing); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range retired {
		if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: id, At: day(20), Reason: "a better one"}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := tr.Graph(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(g.InvalidRecords()) > 0 {
		t.Fatal(g.InvalidRecords())
	}
	return g
}

// bot is a support bot in two versions.
func bot() []lineage.Entity {
	return []lineage.Entity{
		&lineage.Dataset{Name: "crawl", Version: "1", RecordCount: new(int64(48_000_000)), Licence: "CC-BY-4.0", Digest: "sha256:" + strings.Repeat("ab", 32)},
		&lineage.Dataset{Name: "tickets", Version: "2026-10", RecordCount: new(int64(120_400)), PersonalData: new(true)},
		&lineage.Dataset{Name: "instructions", Version: "3", RecordCount: new(int64(52_000)), Sources: []string{"dataset:crawl@1", "dataset:tickets@2026-10"}},
		&lineage.TrainingRun{Name: "base-1", Model: "base", Datasets: []string{"dataset:crawl@1"}, End: day(2), Metrics: map[string]json.RawMessage{"loss": json.RawMessage("1.92")}},
		&lineage.ModelVersion{Name: "base", Version: "1", Run: "run:base-1", Format: "safetensors", Licence: "Apache-2.0"},
		&lineage.TrainingRun{Name: "bot-3", Model: "bot", Datasets: []string{"dataset:instructions@3"}, BaseModel: "model:base@1", Code: "git:5f1c2aa", End: day(3)},
		&lineage.ModelVersion{Name: "bot", Version: "3", Run: "run:bot-3", RiskTier: "limited", IntendedUse: "First answers to customers.\nNever on health."},
		&lineage.TrainingRun{Name: "bot-4", Model: "bot", Datasets: []string{"dataset:instructions@3"}, BaseModel: "model:base@1", End: day(9)},
		&lineage.ModelVersion{Name: "bot", Version: "4", Run: "run:bot-4", Parent: "model:bot@3", RiskTier: "limited"},
		&lineage.PromptTemplate{Name: "polite", Version: "1", Text: "Be polite."},
		&lineage.Dataset{Name: "red team", Version: "7", RecordCount: new(int64(900))},
		&lineage.Evaluation{ID: "evaluation:manners", Model: "model:bot@3", Datasets: []string{"dataset:red team@7"}, Result: "passed"},
		&lineage.Evaluation{ID: "evaluation:manners-4", Model: "model:bot@4", Datasets: []string{"dataset:red team@7"}, Result: "passed", End: day(10)},
		&lineage.Deployment{ID: "bot@3/production", Model: "model:bot@3", Environment: "production", From: day(4), Prompts: []string{"prompt:polite@1"}},
		&lineage.Deployment{ID: "bot@4/staging", Model: "model:bot@4", Environment: "staging", From: day(10), Prompts: []string{"prompt:polite@1"}},
		&lineage.Deployment{ID: "bot@4/production", Model: "model:bot@4", Environment: "production", From: day(12), Prompts: []string{"prompt:polite@1"}},
	}
}

// hostile are names by which somebody tries to be more than a name.
func hostile() []lineage.Entity {
	names := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `a" ]; n0 -> n1 [label="`, `back\slash\`,
		`\N \G \n`, `&lt;b&gt; &amp;`, "`**markdown**`", `1. a list`, `- a list`, `#quot; #35;`, `]]>`, `--></svg></style>`,
		"\u202egnp.exe\u202c", "\u200fمرحبا\u200f", "a\u200bb\ufeffc\u00ad", "日本語のデータセット、とても長い名前", "👩‍👩‍👧‍👦 family 🇩🇪",
		"e\u0301\u0301\u0301\u0301", `%% comment`, `end`, `{{braces}} {} []()`, `$(x) ; | > <`, `'quotes'`,
		strings.Repeat("long ", 25) + "end",
	}
	var things []lineage.Entity
	for i, n := range names {
		things = append(things, &lineage.Dataset{ID: fmt.Sprintf("d%d %s", i, n), Name: n, Version: `"v<1>`, Licence: n})
	}
	run := &lineage.TrainingRun{Name: `</title><script>x</script>`, End: day(1), Description: "two\nlines\u0001 \x1b[31m and </script>", Parameters: map[string]json.RawMessage{`<p>`: json.RawMessage(`"<script>"`)}}
	for _, d := range things {
		run.Datasets = append(run.Datasets, d.(*lineage.Dataset).ID)
	}
	return append(things, run, &lineage.ModelVersion{Name: `javascript:alert(1)`, Version: `"`, Run: `run:</title><script>x</script>`})
}

// organisation is what a company has after some years: about so many things.
func organisation(n int) []lineage.Entity {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	var things []lineage.Entity
	var data, models, prompts, runs []string
	pick := func(from []string) string { return from[len(from)-1-min(rng.IntN(len(from)), rng.IntN(len(from)))] }
	teams := []string{"support", "search", "credit", "claims", "fraud", "hiring", "translate", "summaries"}
	add := func(t lineage.Entity) string {
		if err := lineage.Complete(t); err != nil {
			panic(err)
		}
		things = append(things, t)
		return t.Identity()
	}
	for i := 0; len(things) < n; i++ {
		team := teams[i%len(teams)]
		version := fmt.Sprint(i/len(teams) + 1)
		d := &lineage.Dataset{Name: team + "-cases", Version: version, RecordCount: new(int64(rng.IntN(1_000_000))), PersonalData: new(rng.IntN(2) == 0)}
		data = append(data, add(d))
		if i >= len(teams) && rng.IntN(2) == 0 {
			data = append(data, add(&lineage.Dataset{Name: team + "-clean", Version: version, Sources: []string{d.ID, pick(data)}}))
		}
		r := &lineage.TrainingRun{Name: team + "-" + version, Datasets: []string{data[len(data)-1]}, End: day(1).AddDate(0, 0, i)}
		if rng.IntN(2) == 0 {
			r.Datasets = append(r.Datasets, pick(data))
		}
		if len(models) > 0 && rng.IntN(3) == 0 {
			r.BaseModel = pick(models)
		}
		runs = append(runs, add(r))
		m := &lineage.ModelVersion{Name: team, Version: version, Run: runs[len(runs)-1], RiskTier: []string{"", "limited", "high"}[rng.IntN(3)]}
		models = append(models, add(m))
		if i%5 == 0 {
			prompts = append(prompts, add(&lineage.PromptTemplate{Name: team + "-tone", Version: version}))
		}
		if rng.IntN(2) == 0 {
			add(&lineage.Evaluation{ID: fmt.Sprintf("evaluation:%s-%s bias", team, version), Model: m.ID, Result: "passed"})
		}
		for _, e := range []string{"staging", "production"}[:1+rng.IntN(2)] {
			dep := &lineage.Deployment{ID: fmt.Sprintf("%s@%s/%s", team, version, e), Model: m.ID, Environment: e, From: day(1).AddDate(0, 0, i+2)}
			if rng.IntN(3) == 0 {
				dep.Prompts = []string{pick(prompts)}
			}
			add(dep)
		}
	}
	return things[:n]
}
