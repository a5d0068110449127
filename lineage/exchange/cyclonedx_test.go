package exchange_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

// bill is a bill of materials whose members may be replaced.
func bill(members string) string {
	return replaced(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"data","name":"d"}]}`, members)
}

// hub is a bill as a hub of models writes it.
var hub = bill(`"specVersion":"1.7","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
	"metadata":{"timestamp":"2026-11-02T08:00:00Z","component":{"type":"machine-learning-model","bom-ref":"m","group":"acme","name":"bot","version":"3",
		"description":"answers","licenses":[{"license":{"id":"Apache-2.0"}}],"purl":"pkg:huggingface/acme/bot@3",
		"hashes":[{"alg":"MD5","content":"d41d8cd98f00b204e9800998ecf8427e"},{"alg":"SHA-256","content":"` + strings.Repeat("AB", 32) + `"}],
		"modelCard":{"modelParameters":{"task":"chat","datasets":[{"ref":"d"},{"type":"dataset","name":"inline","contents":{"url":"https://x/y"}}]},
			"considerations":{"users":["all"],"useCases":["answers tickets","greets"]}}}},
	"components":[{"type":"data","bom-ref":"d","name":"tickets","version":"2","data":[{"type":"dataset","governance":{"owners":[{"organization":{"name":"support"}}]}}]},
		{"type":"machine-learning-model","bom-ref":"base","name":"base"},{"type":"library","bom-ref":"torch","name":"torch","components":[{"type":"data","name":"nested"}]}],
	"dependencies":[{"ref":"m","dependsOn":["d","base","torch"]},{"ref":"torch"}]`)

func TestCycloneDXOfOthers(t *testing.T) {
	tr := openTracker(t)
	d, _ := read(t, tr, exchange.CycloneDX, []byte(hub))
	var got []string
	for _, item := range d.Items {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(lineage.Encode(item.Entity), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "attributes")
		line, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line)+" kept "+strings.Join(item.Kept, " "))
	}
	want := []string{
		`{"datasets":["dataset:inline","dataset:tickets@2"],"description":"answers","digest":"sha256:` + strings.Repeat("ab", 32) +
			`","id":"model:acme/bot@3","intended_use":"answers tickets\ngreets","licence":"Apache-2.0","name":"acme/bot","parent":"model:base","version":"3"}` +
			` kept bom.components bom.dependencies bom.metadata bom.serialNumber bom.specVersion bom-ref group hashes licenses modelCard.considerations modelCard.modelParameters name purl`,
		`{"id":"dataset:tickets@2","name":"tickets","owner":"support","version":"2"} kept bom-ref`,
		`{"id":"model:base","name":"base"} kept bom-ref`,
		`{"id":"dataset:nested","name":"nested"} kept `,
		`{"id":"dataset:inline","location":"https://x/y","name":"inline"} kept data`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	_, done := read(t, tr, exchange.CycloneDX, []byte(hub))
	for _, r := range done {
		if !r.Duplicate {
			t.Errorf("the second time, %s is another thing", r.ID)
		}
	}
	out := write(t, exchange.CycloneDX, exchange.Select(graphOf(t, tr), nil))
	for _, kept := range []string{`"purl":"pkg:huggingface/acme/bot@3"`, `"id":"Apache-2.0"`, `"task":"chat"`, `"alg":"MD5"`} {
		if !bytes.Contains(out, []byte(kept)) {
			t.Errorf("what is written again lacks %s", kept)
		}
	}
}

// The standard's own library reads what we write as it was meant.
func TestCycloneDXLibrary(t *testing.T) {
	_, g := register(t, whole()...)
	var b cdx.BOM
	data := write(t, exchange.CycloneDX, exchange.Select(g, nil))
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	i := 0
	for i = range *b.Components {
		if (*b.Components)[i].BOMRef == "model:bot@3" {
			break
		}
	}
	m := (*b.Components)[i]
	if m.Type != cdx.ComponentTypeMachineLearningModel || m.Version != "3" || (*m.Hashes)[0].Algorithm != cdx.HashAlgoSHA256 {
		t.Errorf("the library reads the model as %+v", m)
	}
	card := m.ModelCard
	if got := (*card.ModelParameters.Datasets)[0].Ref; got != "dataset:crawl" {
		t.Errorf("its dataset is %q", got)
	}
	if got := (*card.QuantitativeAnalysis.PerformanceMetrics)[0]; got.Type != "refused" || got.Value != "0.98" || got.Slice != "red-team" {
		t.Errorf("what was measured is %+v", got)
	}
	flows := *(*b.Formulation)[0].Workflows
	if len(flows) != 6 {
		t.Errorf("%d workflows, want 6", len(flows))
	}
	// The output of the library gives the same entities.
	var again bytes.Buffer
	if err := cdx.NewBOMEncoder(&again, cdx.BOMFileFormatJSON).SetPretty(true).Encode(&b); err != nil {
		t.Fatal(err)
	}
	tr := openTracker(t)
	read(t, tr, exchange.CycloneDX, again.Bytes())
	if diff := cmp.Diff(encoded(completeThings(t)), encoded(things(exchange.Select(graphOf(t, tr), nil)))); diff != "" {
		t.Errorf("came back otherwise (-want +got):\n%s", diff)
	}
}

func completeThings(t *testing.T) []lineage.Entity {
	t.Helper()
	all := whole()
	for _, thing := range all {
		if err := lineage.Complete(thing); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestCycloneDXShapes has bills in the shapes of those that others publish: a
// model handed over with the workflow that made it, and things that are named
// without a reference, with digests that are not taken and several licences.
func TestCycloneDXShapes(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"handed over": {
			`{"$schema":"https://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:2f4c80e1-7e8f-4df7-bdb7-91de6b04c8cf","version":1,"metadata":{"timestamp":"2026-04-28T12:00:00Z","component":{"type":"application","bom-ref":"svc","name":"svc","version":"1.0.0"}},"components":[{"type":"machine-learning-model","bom-ref":"clf","publisher":"Team","name":"clf","version":"1.0.0","purl":"pkg:huggingface/example/clf@1.0.0","externalReferences":[{"type":
			"formulation","url":"urn:cdx:2f4c80e1-7e8f-4df7-bdb7-91de6b04c8cf/1#f"},{"type":"evidence","url":"https://e.example/h.json"}],
			"modelCard":{"bom-ref":"card","modelParameters":{"approach":{"type":"supervised"},"task":"t","architectureFamily":"transformer","modelArchitecture":"enc","datasets":[{"ref":"train"},{"ref":"evald"}],"inputs":[{"format":"text/plain"}],"outputs":[{"format":"application/json"}]},"quantitativeAnalysis":{"performanceMetrics":[{"type":"macro-f1","value":"0.91","slice":"held-out"}]},"considerations":{"users":["u"],"useCases":["c"],"technicalLimitations":["l"],"performanceTradeoffs":["p"],"ethicalConsiderations":[{"name":"n","mitigationStrategy":"m"}],"fairnessAssessments":[{"groupAtRisk":"g","benefits":"b","harms":"h","mitigationStrategy":"m"}]}}},
			{"type":"data","bom-ref":"train","name":"train","version":"2026.04","data":[{"bom-ref":"d1","type":"dataset","name":"T","contents":{"url":"https://e.example/t.jsonl"},"classification":"internal","description":"i"}]},{"type":"data","bom-ref":"evald","name":"evald","version":"2026.04","data":[{"bom-ref":"d2","type":"dataset","name":"T","contents":{"url":"https://e.example/e.jsonl"},"classification":"internal"}]}],
			"dependencies":[{"ref":"svc","dependsOn":["clf"]},{"ref":"clf","dependsOn":["train","evald"]},{"ref":"train"},{"ref":"evald"}],
			"formulation":[{"bom-ref":"f","workflows":[{"bom-ref":"w","uid":"uuid:68b412bb","name":"w","taskTypes":["build","test","release"],"tasks":[{"bom-ref":"t1","uid":"u1","name":"c","taskTypes":["copy"],"inputs":[{"resource":{"ref":"train"}},{"resource":{"ref":"evald"}}]},{"bom-ref":"t2","uid":"u2","name":"t","taskTypes":["build"],"inputs":[{"resource":{"ref":"train"}}],"outputs":[{"type":"artifact","resource":{"ref":"clf"}}],"steps":[{"name":"r","commands":[{"executed":"python train.py"}]}]},{"bom-ref":"t3","uid":"u3","taskTypes":["test"],"outputs":[{"type":"metrics","resource":{"externalReference":{"type":"quality-metrics","url":"https://e.example/m.json"}}}]}],
			"taskDependencies":[{"ref":"t2","dependsOn":["t1"]},{"ref":"t3","dependsOn":["t2"]},{"ref":"t1"}],"trigger":{"bom-ref":"tr","uid":"u9","type":"manual","name":"m"}}]}]}`,
			"dataset:evald@2026.04 dataset:train@2026.04 model:clf@1.0.0",
		},
		"named alone": {
			`{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"manufacturer":{"name":"Noma"}},"components":[
			{"type":"machine-learning-model","supplier":{"name":"OpenAI Inc"},"manufacturer":{"name":"OpenAI"},"publisher":"x","name":"gpt-4o"},
			{"type":"machine-learning-model","name":"bert","version":"cd5e","licenses":[{"license":{"id":"Apache-2.0","name":"Apache License 2.0","url":"https://x"}}],"externalReferences":[{"type":"website","url":"https://hf"}],"hashes":[{"alg":"SHA-1","content":"cd5ef92a9fb2f889e972770a36d4ed042daf221e"}],"tags":["a","b"]},
			{"type":"data","name":"wikipedia","version":"b0","licenses":[{"license":{"id":"CC-BY-SA-3.0","name":"CC"}},{"license":{"id":"GFDL-1.3","name":"G"}}],"hashes":[{"alg":"SHA-1","content":"cd5ef92a9fb2f889e972770a36d4ed042daf221e"}],"tags":["language:ab"]}]}`,
			"dataset:wikipedia@b0 model:bert@cd5e model:gpt-4o",
		},
	} {
		tr := openTracker(t)
		d, _ := read(t, tr, exchange.CycloneDX, []byte(c.in))
		var ids []string
		for _, item := range d.Items {
			ids = append(ids, item.Entity.Identity())
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
