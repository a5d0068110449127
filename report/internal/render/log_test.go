package render_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/report"
	"audittrail/report/rules"
	"audittrail/retention"
)

var newLog = flag.Bool("new-log", false, "make the log of the golden reports anew; -update writes their files")

// A log has ids, keys and times of its own, so that only a log that was made
// once gives the same report for ever.
const fixedLog = "testdata/log"

// TestFixedLog makes the full report of a log in every form.
func TestFixedLog(t *testing.T) {
	if *newLog {
		writeLog(t)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixedLog)); err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	var packs []*rules.Catalogue
	for _, name := range []string{"ai-act", "gdpr"} {
		p, err := rules.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		packs = append(packs, p)
	}
	r, err := report.Generate(t.Context(), log, report.Options{Rules: packs, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "log.json", written(t, r.WriteJSON))
	golden(t, "log.html", written(t, r.WriteHTML))
	golden(t, "log.md", written(t, r.WriteMarkdown))
	golden(t, "log.csv", written(t, r.WriteCSV))
	golden(t, "log.txt", written(t, func(w io.Writer) error { return r.WriteSummary(w, 80, false) }))
	golden(t, "log.pdf", written(t, r.WritePDF))
}

// writeLog makes the log: a month of a claims assistant, with what a report has
// sections for.
func writeLog(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(fixedLog); err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, fixedLog, audittrail.Options{Create: true, Origin: "example.com/claims"})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	register(t, log)
	m, err := retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	must(m.Set(t.Context(), retention.Policy{Classes: []retention.Class{{Name: "standard", KeepFor: retention.Period{Months: 3}}, {Name: "incidents", KeepFor: retention.Period{Years: 10}}}}, "desk"))
	must(log.AppendBatch(t.Context(), aMonth()))
	must(log.PlaceHold(t.Context(), governance.Hold{Reason: "case 17", Class: "incidents"}))
	must(log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user-3"}, Reason: "asked", Basis: "GDPR 17(1)(a)"}))
	logtest.Close(t, log)
	for _, name := range []string{"LOCK", filepath.Join("keys", "LOCK")} {
		if err := os.Remove(filepath.Join(fixedLog, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// register registers what the models were made of.
func register(t *testing.T, log *audittrail.Log) {
	t.Helper()
	tracker, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	live := func(day int) time.Time { return time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC) }
	if _, err := tracker.RegisterAll(t.Context(), []lineage.Entity{
		&lineage.Dataset{ID: "letters", Name: "letters", Version: "2026-08", Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Owner: "Records office"},
		&lineage.Dataset{ID: "tickets", Name: "tickets", Version: "2026-09", Sources: []string{"letters"}, Owner: "Support"},
		&lineage.Dataset{ID: "spare", Name: "spare", Version: "1"},
		&lineage.TrainingRun{ID: "run-7", Name: "claims-7", Datasets: []string{"letters", "tickets"}},
		&lineage.ModelVersion{ID: "claims-1", Name: "claims", Version: "1", Owner: "Claims", RiskTier: "high"},
		&lineage.ModelVersion{ID: "claims-2", Name: "claims", Version: "2", Run: "run-7", Parent: "claims-1", Owner: "Claims", RiskTier: "high"},
		&lineage.PromptTemplate{ID: "greeting", Name: "greeting", Version: "4", Text: "Dear claimant"},
		&lineage.Evaluation{ID: "eval-2", Name: "letters-held-out", Model: "claims-2", Datasets: []string{"letters"}, Result: "passed"},
		&lineage.Deployment{ID: "old", Model: "claims-1", Environment: "production", From: live(1), To: live(12)},
		&lineage.Deployment{ID: "prod", Model: "claims-2", Environment: "production", Prompts: []string{"greeting"}, From: live(12)},
	}); err != nil {
		t.Fatal(err)
	}
}

// aMonth is what happened: on every day some calls, and now and then what is
// seldom.
func aMonth() []event.Event {
	start := time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)
	var all []event.Event
	number := uint64(0)
	for i := range 90 {
		at := start.Add(time.Duration(i) * 8 * time.Hour)
		add := func(after time.Duration, e event.Event, change func(*event.Event)) {
			e.Time, e.UserID, e.TraceID = at.Add(after), fmt.Sprintf("user-%d", i%7), fmt.Sprintf("%032x", i+1)
			change(&e)
			all = append(all, e)
		}
		call := event.Event{ModelID: "claims", ModelVersion: []string{"1", "2", ""}[i%3], Provider: "example", DeploymentID: []string{"old", "prod", ""}[i%3]}
		if i%10 == 9 {
			call = event.Event{ModelID: "translate", ModelVersion: "9", Provider: "elsewhere"}
		}
		number++
		if i == 40 {
			number += 2 // two events that never arrived
		}
		seq := number
		add(0, call, func(e *event.Event) {
			e.Type, e.Prompt, e.Producer = event.Prompt, "May I see my claim?", &event.Producer{ID: "gateway", Seq: &seq}
		})
		add(time.Second, call, func(e *event.Event) {
			e.Type, e.Outcome, e.Response = event.Response, event.OutcomeSuccess, "You may."
			e.InputTokens, e.OutputTokens, e.Latency = new(int64(10+i)), new(int64(20+2*i)), new(time.Duration(700+9*i)*time.Millisecond)
			e.Cost = &event.Cost{Nano: 12300000 + int64(i), Currency: "EUR"}
			if i%15 == 14 {
				e.Type, e.Outcome = event.Failure, event.OutcomeTimeout
			}
		})
		if i%9 == 0 {
			add(10*time.Minute, event.Event{Type: event.HumanReview}, func(e *event.Event) {
				e.UserID, e.Labels = "reviewer", map[string]string{"review": []string{"approved", "changed"}[i/9%2]}
			})
		}
		if i%20 == 5 {
			add(time.Second, event.Event{Type: event.Guardrail, Category: "injection", Outcome: event.OutcomeBlocked}, func(*event.Event) {})
		}
		if i%30 == 7 {
			add(time.Minute, event.Event{Type: event.SafetyIncident, Category: "privacy", Severity: event.Severities()[1+i/30]}, func(e *event.Event) {
				if i == 67 {
					e.Labels = map[string]string{"incident": "i-1", "serious_incident": "fundamental_rights", "aware_at": "2026-10-24"}
				}
			})
		}
		if i%25 == 0 {
			add(time.Hour, event.Event{Type: event.Decision, Category: "claim", Outcome: event.OutcomeSuccess}, func(e *event.Event) {
				e.Metadata = map[string]json.RawMessage{"by": json.RawMessage(`"desk 4"`)}
			})
		}
	}
	return all
}
