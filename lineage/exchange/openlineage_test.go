package exchange_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

const aRun, bRun = "01890c5e-0000-7000-8000-00000000000a", "01890c5e-0000-7000-8000-00000000000b"

// event is a complete event whose members may be replaced.
func event(members string) string {
	return replaced(`{"eventType":"COMPLETE","eventTime":"2026-11-02T08:00:00Z","producer":"urn:x","schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent","run":{"runId":"`+aRun+`"},"job":{"namespace":"n","name":"j"}}`, members)
}

// replaced is an object some of whose members are replaced.
func replaced(object, members string) string {
	all := map[string]json.RawMessage{}
	for _, text := range []string{object, "{" + members + "}"} {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			panic(err)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// sparks are events as an engine sends them: two runs, and what the first wrote
// the second reads and writes.
func sparks(n int) string {
	facet := func(members string) string { return `{"_producer":"urn:spark","_schemaURL":"urn:s",` + members + `}` }
	events := []string{
		event(`"eventType":"START","eventTime":"2026-11-02T07:00:00Z"`),
		event(`"inputs":[{"namespace":"s3://b","name":"raw","facets":{"schema":` + facet(`"fields":[{"name":"a","type":"int"}]`) + `,"version":` + facet(`"datasetVersion":"7"`) + `},"inputFacets":{"q":` + facet(`"rows":1`) + `}}],
			"outputs":[{"namespace":"s3://b","name":"clean","facets":{"documentation":` + facet(`"description":"clean rows","contentType":"text/plain"`) + `},"outputFacets":{"outputStatistics":` + facet(`"rowCount":12`) + `}}],
			"run":{"runId":"` + aRun + `","facets":{"jobRunParameters":` + facet(`"parameters":[{"key":"day","value":"2026-11-02"}]`) + `}},
			"job":{"namespace":"n","name":"j","facets":{"sourceCodeLocation":` + facet(`"type":"git","url":"https://g/x.py","version":"8f1b"`) + `}}`),
		event(`"eventTime":"2026-11-02T09:00:00Z","run":{"runId":"` + bRun + `"},"job":{"namespace":"n","name":"k"},
			"inputs":[{"namespace":"s3://b","name":"clean"},{"namespace":"hub","name":"base","facets":{"datasetType":` + facet(`"datasetType":"MODEL"`) + `}}],
			"outputs":[{"namespace":"s3://b","name":"clean"},{"namespace":"hub","name":"bot","facets":{"datasetType":` + facet(`"datasetType":"MODEL"`) + `,"version":` + facet(`"datasetVersion":"1"`) + `}}]`),
		event(`"eventTime":"2026-11-02T10:00:00Z","eventType":"RUNNING","run":{"runId":"01890c5e-0000-7000-8000-00000000000c"}`),
	}
	return strings.Join(events[:n], "\n")
}

func TestOpenLineageOfOthers(t *testing.T) {
	tr := openTracker(t)
	d, _ := read(t, tr, exchange.OpenLineage, []byte(sparks(4)))
	var got []string
	for _, item := range d.Items {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(lineage.Encode(item.Entity), &fields); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, name := range []string{"name", "version", "description", "run", "datasets", "base_model", "code", "parameters", "start", "end"} {
			if fields[name] != nil {
				names = append(names, name+"="+string(fields[name]))
			}
		}
		got = append(got, item.Entity.Identity()+": "+strings.Join(names, " "), "  kept "+strings.Join(item.Kept, " "))
	}
	want := strings.NewReplacer("AAA", aRun, "BBB", bRun, "CCC", "01890c5e-0000-7000-8000-00000000000c").Replace(`dataset:s3://b/clean@AAA: name="clean" version="AAA" description="clean rows" run="run:AAA"
  kept facets.documentation name namespace
dataset:s3://b/clean@BBB: name="clean" version="BBB" run="run:BBB"
  kept name namespace
model:hub/bot@1: name="bot" version="1" run="run:BBB"
  kept facets.datasetType facets.version name namespace
dataset:s3://b/raw@7: name="raw" version="7"
  kept facets.schema facets.version name namespace
model:hub/base: name="base"
  kept facets.datasetType name namespace
run:AAA: name="j" datasets=["dataset:s3://b/raw@7"] code="https://g/x.py@8f1b" parameters={"day":"2026-11-02"} start="2026-11-02T07:00:00.000000000Z" end="2026-11-02T08:00:00.000000000Z"
  kept inputFacets.dataset:s3://b/raw@7 job.facets job.namespace outputFacets.dataset:s3://b/clean@AAA producer run.facets
run:BBB: name="k" datasets=["dataset:s3://b/clean@AAA"] base_model="model:hub/base" end="2026-11-02T09:00:00.000000000Z"
  kept job.namespace producer
run:CCC: name="j"
  kept job.namespace producer`)
	if diff := cmp.Diff(strings.Split(want, "\n"), got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "has not ended") {
		t.Errorf("notes = %q", d.Notes)
	}
	again, done := read(t, tr, exchange.OpenLineage, []byte(sparks(4)))
	if slices.ContainsFunc(done, func(r lineage.Registered) bool { return !r.Duplicate }) {
		t.Errorf("the same events are other things: %v", cmp.Diff(encoded(d.Entities()), encoded(again.Entities())))
	}
}

// A document before may have what this one leaves open.
func TestOpenLineageAcrossDocuments(t *testing.T) {
	tr := openTracker(t)
	all := strings.Split(sparks(3), "\n")
	read(t, tr, exchange.OpenLineage, []byte(strings.Join(all[:2], "\n")))
	for range 2 {
		read(t, tr, exchange.OpenLineage, []byte(all[2]))
		n, ok := graphOf(t, tr).Node("run:" + bRun)
		if !ok {
			t.Fatal("the second run is not there")
		}
		run, ok := n.Entity.(*lineage.TrainingRun)
		if want := []string{"dataset:s3://b/clean@" + aRun}; !ok || !slices.Equal(run.Datasets, want) {
			t.Errorf("the second run was made of %v, want %v", run.Datasets, want)
		}
	}
	// A third document with another run that reads what the second wrote.
	third := strings.NewReplacer(bRun, "01890c5e-0000-7000-8000-00000000000d", "T09", "T11", `"datasetVersion":"1"`, `"datasetVersion":"2"`).Replace(all[2])
	read(t, tr, exchange.OpenLineage, []byte(third))
	n, ok := graphOf(t, tr).Node("run:01890c5e-0000-7000-8000-00000000000d")
	if !ok {
		t.Fatal("the third run is not there")
	}
	if run, ok := n.Entity.(*lineage.TrainingRun); !ok || !slices.Equal(run.Datasets, []string{"dataset:s3://b/clean@" + bRun}) {
		t.Errorf("the third run was made of %v", run.Datasets)
	}
}

// TestOpenLineageRules checks the output by the rules of the specification for
// each event and each facet.
func TestOpenLineageRules(t *testing.T) {
	_, g := register(t, whole()...)
	uuid := regexp.MustCompile("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
	type facets map[string]struct {
		Producer string `json:"_producer"`
		Schema   string `json:"_schemaURL"`
	}
	type dataset struct {
		Namespace, Name string
		Facets          facets
	}
	ended := map[string]int{}
	n := 0
	for line := range strings.Lines(string(write(t, exchange.OpenLineage, exchange.Select(g, nil)))) {
		var e struct {
			EventType, EventTime, Producer, SchemaURL string
			Run                                       *struct {
				RunID  string
				Facets facets
			}
			Job             *dataset
			Dataset         *dataset
			Inputs, Outputs []dataset
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		absolute := func(what, s string) {
			if u, err := url.Parse(s); err != nil || !u.IsAbs() {
				t.Errorf("%s is %q, and no URI:\n%s", what, s, line)
			}
		}
		check := func(all facets) {
			for name, f := range all {
				n++
				absolute(name+"._producer", f.Producer)
				absolute(name+"._schemaURL", f.Schema)
			}
		}
		absolute("producer", e.Producer)
		if _, err := time.Parse(time.RFC3339, e.EventTime); err != nil {
			t.Error(err)
		}
		wanted := "JobEvent"
		sets := append(e.Inputs, e.Outputs...)
		switch {
		case e.Run != nil:
			wanted = "RunEvent"
			if !uuid.MatchString(e.Run.RunID) || e.Job == nil || !slices.Contains([]string{"START", "COMPLETE"}, e.EventType) {
				t.Errorf("it is no event of a run:\n%s", line)
			}
			if e.EventType == "COMPLETE" {
				ended[e.Run.RunID]++
			}
			check(e.Run.Facets)
		case e.Dataset != nil:
			wanted = "DatasetEvent"
			sets = append(sets, *e.Dataset)
		}
		if e.Job != nil {
			sets = append(sets, *e.Job)
		}
		if want := "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/" + wanted; e.SchemaURL != want {
			t.Errorf("schemaURL is %s, want %s", e.SchemaURL, want)
		}
		for _, d := range sets {
			if d.Namespace == "" || d.Name == "" {
				t.Errorf("something lacks its namespace or name:\n%s", line)
			}
			check(d.Facets)
		}
	}
	if len(ended) != 4 || n < 30 {
		t.Errorf("%d runs ended, and there are %d facets", len(ended), n)
	}
	for id, times := range ended {
		if times != 1 {
			t.Errorf("the run %s ended %d times", id, times)
		}
	}
}
