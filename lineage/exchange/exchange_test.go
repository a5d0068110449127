package exchange_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

func openTracker(t testing.TB) *lineage.Tracker {
	t.Helper()
	log := logtest.New(t)
	tr, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func graphOf(t testing.TB, tr *lineage.Tracker) *lineage.Graph {
	t.Helper()
	g, err := tr.Graph(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func register(t testing.TB, things ...lineage.Entity) (*lineage.Tracker, *lineage.Graph) {
	t.Helper()
	tr := openTracker(t)
	if _, err := tr.RegisterAll(t.Context(), things); err != nil {
		t.Fatal(err)
	}
	return tr, graphOf(t, tr)
}

func values(pairs ...string) map[string]json.RawMessage {
	m := make(map[string]json.RawMessage)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return m
}

func day(n int) time.Time { return time.Date(2026, 11, n, 8, 0, 0, 123456789, time.UTC) }

// whole are things that have all fields, and some that have next to none.
func whole() []lineage.Entity {
	digest := "sha256:" + strings.Repeat("ab", 32)
	odd := values("team", `"support"`, "odd <&>", `{"b":1e400,"a":["\u2028",null,true]}`, "openlineage", `7`, "mlflow", `{"name":"x","run_id":"z","info":{"status":"KILLED"},"data":{"tags":{"a":"b"},"metrics":{"m":7}},"tags":{"c":"d"}}`, "cyclonedx",
		`{"name":"x","type":"file","bom-ref":"r","purl":"pkg:a/b","properties":[{"name":"p","value":"1"}],"modelCard":{"modelParameters":{"datasets":[{"ref":"zz"}],"task":"chat"}}}`)
	return []lineage.Entity{
		&lineage.Dataset{Name: "crawl"},
		&lineage.Dataset{
			Name: "tickets & more", Version: "2", Description: "Tickets\nof all", Digest: "dir-" + digest, Format: "parquet",
			RecordCount: new(int64(120_000)), Location: "s3://bucket/tickets", Licence: "CC-BY-4.0", Owner: "support",
			PersonalData: new(true), Sources: []string{"dataset:crawl"}, Run: "run:clean", Created: day(1), Attributes: odd,
		},
		&lineage.TrainingRun{Name: "clean", Datasets: []string{"dataset:crawl"}},
		&lineage.PromptTemplate{Name: "polite", Version: "1", Text: "Be polite."},
		&lineage.PromptTemplate{
			ID: "p2", Name: "polite", Version: "1", Description: "again", Text: "Be very polite.", Digest: digest, Owner: "o",
			Parent: "prompt:polite@1", Datasets: []string{"dataset:crawl"}, Attributes: odd,
		},
		&lineage.ModelVersion{Name: "base"},
		&lineage.TrainingRun{
			Name: "bot-3", Description: "fine-tuning", Model: "bot", Datasets: []string{"dataset:tickets & more@2"}, BaseModel: "model:base",
			Code: "git@host:repo@8f1b2bb", Owner: "ml", Parameters: values("epochs", "3", "note", `"slow"`, "grid", `[1,2]`),
			Metrics: values("accuracy", "0.930", "text", `"x"`), Environment: values("gpu", "8"), Start: day(2), End: day(3), Attributes: odd,
		},
		&lineage.ModelVersion{
			Name: "bot", Version: "3", Description: "answers", Run: "run:bot-3", Datasets: []string{"dataset:crawl"}, Parent: "model:base",
			Digest: digest, Format: "safetensors", Location: "models/bot", Licence: "Our own", Owner: "ml", RiskTier: "limited",
			IntendedUse: "answers tickets", Created: day(4), Attributes: odd,
		},
		&lineage.Evaluation{
			Name: "red-team", Description: "by hand", Model: "model:bot@3", Datasets: []string{"dataset:crawl"}, Prompts: []string{"p2"},
			Metrics: values("refused", "0.98"), Result: "passed", Evaluator: "us", Report: "report.pdf", Digest: digest,
			Start: day(5), End: day(6), Attributes: odd,
		},
		&lineage.Evaluation{ID: "e", Model: "model:base"},
		&lineage.Deployment{
			Model: "model:bot@3", Environment: "production", Endpoint: "https://bot.example", Prompts: []string{"p2"}, Owner: "ops",
			From: day(7), To: day(8), Attributes: odd,
		},
		&lineage.Deployment{Model: "model:base"},
	}
}

func encoded(things []lineage.Entity) map[string]string {
	m := make(map[string]string)
	for _, t := range things {
		m[t.Identity()] = string(t.Kind()) + " " + string(lineage.Encode(t))
	}
	return m
}

func things(nodes []*lineage.Node) []lineage.Entity {
	var all []lineage.Entity
	for _, n := range nodes {
		all = append(all, n.Entity)
	}
	return all
}

func write(t testing.TB, f exchange.Format, nodes []*lineage.Node) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := exchange.Write(&b, f, nodes); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads a document and registers what it tells of.
func read(t testing.TB, tr *lineage.Tracker, f exchange.Format, data []byte) (*exchange.Document, []lineage.Registered) {
	t.Helper()
	d, err := exchange.Read(f, data, graphOf(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	done, err := tr.RegisterAll(t.Context(), d.Entities())
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return d, done
}

// bothWays are the formats that take everything, out and in.
var bothWays = []exchange.Format{exchange.OpenLineage, exchange.CycloneDX}

func TestRoundTrip(t *testing.T) {
	_, g := register(t, whole()...)
	for _, f := range bothWays {
		t.Run(string(f), func(t *testing.T) {
			nodes := exchange.Select(g, nil)
			data := write(t, f, nodes)
			if got, err := exchange.Detect(data); got != f || err != nil {
				t.Errorf("Detect = %q, %v", got, err)
			}
			tr := openTracker(t)
			read(t, tr, f, data)
			again := graphOf(t, tr)
			if diff := cmp.Diff(encoded(things(nodes)), encoded(things(exchange.Select(again, nil)))); diff != "" {
				t.Errorf("came back otherwise (-want +got):\n%s", diff)
			}
			_, done := read(t, tr, f, data)
			for _, d := range done {
				if !d.Duplicate {
					t.Errorf("the second time, %s is another thing", d.ID)
				}
			}
			if once := string(write(t, f, exchange.Select(again, nil))); len(once) != len(data) {
				t.Errorf("written again it has %d bytes, and had %d", len(once), len(data))
			}
		})
	}
}

// TestAlteredBesideExtension refuses members that disagree with the extension.
func TestAlteredBesideExtension(t *testing.T) {
	_, g := register(t, whole()...)
	for _, f := range bothWays {
		data := write(t, f, exchange.Select(g, nil))
		for _, alter := range [][2]string{{`"answers"`, `"lies"`}, {`s3://bucket/tickets`, `s3://elsewhere`}} {
			at := bytes.Index(data, []byte(alter[0]))
			if at < 0 {
				t.Fatalf("%s: there is no %s", f, alter[0])
			}
			altered := append(append(bytes.Clone(data[:at]), alter[1]...), data[at+len(alter[0]):]...)
			if _, err := exchange.Read(f, altered, nil); err == nil || !strings.Contains(err.Error(), "differs from the extension") {
				t.Errorf("%s: %s for %s: %v", f, alter[1], alter[0], err)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	_, g := register(t, whole()...)
	n, ok := g.Node("model:bot@3")
	if !ok {
		t.Fatal("no model")
	}
	var ids []string
	for _, n := range exchange.Select(g, []*lineage.Node{n}) {
		if n.Kind != lineage.KindEvaluation {
			ids = append(ids, n.ID)
		}
	}
	want := []string{
		"dataset:crawl", "prompt:polite@1", "model:base", "run:clean", "p2", "dataset:tickets & more@2", "run:bot-3", "model:bot@3",
	}
	if diff := cmp.Diff(len(want), len(ids)); diff != "" {
		t.Errorf("an export of model:bot@3 has %v", ids)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		format   exchange.Format
		in, want string
	}{
		{exchange.OpenLineage, "", "read openlineage: the document is empty"},
		{exchange.OpenLineage, "{\n \"a\":1,\n \"a\":2}", "read openlineage: line 3, byte 2: duplicate key"},
		{exchange.OpenLineage, strings.Repeat("[", 100), "nested more than 64 deep"},
		{exchange.OpenLineage, "[]", "read openlineage: the document contains no lineage"},
		{exchange.OpenLineage, `[7]`, "event 1: expected an object, found a number"},
		{exchange.OpenLineage, `{"producer":"x"}`, "event 1.eventTime: missing"},
		{exchange.OpenLineage, event(`"eventTime":"yesterday"`), `event 1.eventTime: invalid time "yesterday"`},
		{exchange.OpenLineage, event(`"schemaURL":"https://openlineage.io/spec/3-0-0/OpenLineage.json#/$defs/RunEvent"`), "event 1.schemaURL: unknown version 3-0-0 of OpenLineage"},
		{exchange.OpenLineage, event(`"schemaURL":"x"`), "event 1.schemaURL: the version of OpenLineage is missing"},
		{exchange.OpenLineage, event(`"run":{"runId":"7"}`), "event 1.run.runId: not a UUID"},
		{exchange.OpenLineage, event(`"run":{}`), "event 1.run.runId: missing"},
		{exchange.OpenLineage, event(`"eventType":"DONE"`), "event 1.eventType: use START"},
		{exchange.OpenLineage, event(`"inputs":{}`), "event 1.inputs: expected an array, found an object"},
		{exchange.OpenLineage, event(`"inputs":[7` + strings.Repeat(",7", lineage.MaxRefs) + `]`), "event 1.inputs: 10001 of them; at most 10000 are read"},
		{exchange.OpenLineage, event(`"inputs":[{"namespace":"n"}]`), "event 1.inputs[0].name: missing"},
		{exchange.OpenLineage, event(`"outputs":[{"namespace":"n","name":"d","facets":{"audittrail_thing":{"kind":"dataset","details":{"name":"d"}}}}]`), "event 1.outputs[0].facets.audittrail_thing.details: the id is missing"},
		{exchange.OpenLineage, event(`"outputs":[{"namespace":"n","name":"d","facets":{"audittrail_thing":{"kind":"cat","details":{"id":"d"}}}}]`), `unknown kind "cat"`},
		{exchange.CycloneDX, bill(`"specVersion":"1.4"`), `specVersion: unknown version "1.4" of CycloneDX; the versions that can be read are 1.5, 1.6 and 1.7`},
		{exchange.CycloneDX, bill(`"specVersion":"2.0"`), `specVersion: unknown version "2.0" of CycloneDX`},
		{exchange.CycloneDX, bill(`"bomFormat":"SPDX"`), "bomFormat: it is not CycloneDX"},
		{exchange.CycloneDX, bill(`"serialNumber":7`), "serialNumber: found a number, which CycloneDX does not have there"},
		{exchange.CycloneDX, bill(`"components":[{"type":"data"}]`), "components[0].name: missing"},
		{exchange.CycloneDX, bill(`"components":[{"type":"library","name":"a"}]`), "the document contains no lineage"},
		{exchange.CycloneDX, bill(`"components":[{"type":"data","name":"a","bom-ref":"1"},{"type":"file","name":"b","bom-ref":"1"}]`), `components[1].bom-ref: "1" is also used by another component`},
		{exchange.CycloneDX, bill(`"components":[{"type":"machine-learning-model","name":"a","modelCard":{"modelParameters":{"datasets":[{"ref":"d"}]}}}]`), `components[0].modelCard.modelParameters.datasets[0].ref: nothing in the bill has the bom-ref "d"`},
		{exchange.CycloneDX, bill(`"components":[{"type":"data","name":"a","hashes":[{"alg":"SHA-256","content":"xyz"}]}]`), `components[0]: digest: "sha256:xyz" is not ALGORITHM:HEX`},
		{exchange.CycloneDX, bill(`"components":[{"type":"data","name":"a","properties":[{"name":"audittrail:thing","value":"{"}]}]`), "components[0].properties: audittrail:thing: line 1"},
		{exchange.CycloneDX, bill("") + "{}", "2 JSON values"},
		{exchange.MLflow, `{"a":1}`, "the object is neither a run nor a registered model"},
		{exchange.MLflow, `[{"run":{"info":{}}},7]`, "value 1.run.info.run_uuid: missing"},
		{exchange.MLflow, run(`"info":{"run_id":"r","start_time":"soon"}`), "info.start_time: not a number of milliseconds"},
		{exchange.MLflow, run(`"data":{"params":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`), `data.params[1].key: "a" is given twice`},
		{exchange.MLflow, run(`"data":{"params":{"a":1}}`), `data.params: the value of "a" is not a string`},
		{exchange.MLflow, run(`"inputs":{"dataset_inputs":[{"dataset":{"digest":"7"}}]}`), "inputs.dataset_inputs[0].dataset.name: missing"},
		{exchange.MLflow, run(`"info":{"run_id":"r","status":"RUNNING"}`), "has not ended"},
		{exchange.MLflow, run(`"data":{"tags":{"audittrail.thing":"[]"}}`), `"audittrail.thing": expected an object`},
		{exchange.Croissant, `{"@type":"Person"}`, "@type: not a Dataset"},
		{exchange.Croissant, titanic(`"conformsTo":null`), "conformsTo: missing"},
		{exchange.Croissant, titanic(`"conformsTo":"http://mlcommons.org/croissant/9.0"`), `conformsTo: unknown version "http://mlcommons.org/croissant/9.0"; the versions that can be read are http://mlcommons.org/croissant/1.0 and http://mlcommons.org/croissant/1.1`},
		{exchange.Croissant, titanic(`"name":""`), "name: missing"},
		{exchange.Croissant, titanic(`"distribution":5`), "distribution: expected an array"},
		{exchange.Croissant, titanic(`"distribution":[{"@id":"a"},{"@id":"a"}]`), `distribution[1].@id: "a" is also used elsewhere`},
		{exchange.Croissant, titanic(`"distribution":[{"@id":"a","containedIn":{"@id":"zip"}}]`), `distribution[0].containedIn: nothing in the description has the @id "zip"`},
		{exchange.Croissant, titanic(`"distribution":[]`), `recordSet[0].field[0].source.fileObject: nothing in the description has the @id "passengers.csv"`},
		{"csv", "{}", `read "csv": unknown format; use`},
	} {
		_, err := exchange.Read(tt.format, []byte(tt.in), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Read(%s, %.80s) = %v, want %s", tt.format, tt.in, err, tt.want)
		}
	}
}

func FuzzOpenLineage(f *testing.F) {
	fuzz(f, exchange.OpenLineage, event(`"inputs":[{"namespace":"n","name":"d"}]`))
}

func FuzzCycloneDX(f *testing.F) { fuzz(f, exchange.CycloneDX, bill(""), hub) }

func FuzzMLflow(f *testing.F) { fuzz(f, exchange.MLflow, tracked, client) }

func FuzzCroissant(f *testing.F) { fuzz(f, exchange.Croissant, titanic("")) }

// fuzz holds that whatever is read can be registered together, or is refused,
// and says the same thing when it is written and read again.
func fuzz(f *testing.F, format exchange.Format, seeds ...string) {
	_, g := register(f, whole()...)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for n := range g.Nodes() {
		var b bytes.Buffer
		if !slices.Contains(exchange.Writable(), format) {
			break
		}
		if _, err := exchange.Write(&b, format, []*lineage.Node{n}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := exchange.Read(format, in, g)
		if err != nil {
			return
		}
		var nodes []*lineage.Node
		seen := make(map[string]bool)
		for _, thing := range d.Entities() {
			if seen[thing.Identity()] {
				return
			}
			seen[thing.Identity()] = true
			if err := lineage.Complete(thing); err != nil {
				t.Fatalf("%s is not complete: %v", thing.Identity(), err)
			}
			nodes = append(nodes, &lineage.Node{ID: thing.Identity(), Kind: thing.Kind(), Entity: thing})
		}
		if !slices.Contains(exchange.Writable(), format) {
			return
		}
		var out bytes.Buffer
		left, err := exchange.Write(&out, format, nodes)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == len(nodes) {
			return
		}
		again, err := exchange.Read(format, out.Bytes(), nil)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, &out)
		}
		want := encoded(d.Entities())
		for _, n := range left {
			for id := range want {
				if strings.HasPrefix(n, id+": MLflow has") {
					delete(want, id)
				}
			}
		}
		if diff := cmp.Diff(want, encoded(again.Entities())); diff != "" {
			t.Errorf("came back otherwise (-want +got):\n%s", diff)
		}
	})
}

// TestNoJSON names documents that are not JSON for what they are.
func TestNoJSON(t *testing.T) {
	for in, want := range map[string]string{
		"\x1f\x8b\x08\x00":                          "the document is a gzip file, not JSON in UTF-8",
		"PK\x03\x04":                                "the document is a zip file, not JSON in UTF-8",
		"\xff\xfe{\x00":                             "the document is UTF-16 text, not JSON in UTF-8",
		"<?xml version=\"1.0\"?><bom/>":             "the document is an XML file, not JSON in UTF-8",
		"bomFormat: CycloneDX":                      "the document is text, not JSON",
		"name,version\n":                            "the document is text, not JSON",
		"{\"bomFormat\":\"CycloneDX\",}":            "line 1, byte 26: expected a key",
		"{\"bomFormat\":\"CycloneDX\"}\nPK\x03\x04": "line 2, byte 1: expected a value, found no value",
		"\ufeff": "the document is empty",
	} {
		if _, err := exchange.Detect([]byte(in)); err == nil || err.Error() != "recognize the document: "+want {
			t.Errorf("Detect(%q) = %v, want %s", in, err, want)
		}
		if _, err := exchange.Read(exchange.CycloneDX, []byte(in), nil); err == nil || err.Error() != "read cyclonedx: "+want {
			t.Errorf("Read(%q) = %v, want %s", in, err, want)
		}
	}
}
