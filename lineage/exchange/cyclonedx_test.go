package exchange_test

import (
	"bytes"
	"encoding/json"
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
		if err := json.Unmarshal(lineage.Encode(item.Thing), &fields); err != nil {
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
	// What the library writes is read the same.
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

func completeThings(t *testing.T) []lineage.Thing {
	t.Helper()
	all := whole()
	for _, thing := range all {
		if err := lineage.Complete(thing); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
