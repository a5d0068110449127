package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	result "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

// tame are the things of whole without numbers that no computer can hold.
func tame(t *testing.T) *lineage.Graph {
	t.Helper()
	all := whole()
	for _, thing := range all {
		switch v := thing.(type) {
		case *lineage.ModelVersion:
			v.Attributes = nil
		case *lineage.Dataset:
			v.Attributes = values("n", "1")
		}
	}
	tr, _ := register(t, all...)
	if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "model:bot@3", At: day(20)}); err != nil {
		t.Fatal(err)
	}
	return graphOf(t, tr)
}

// The standard's own library takes every statement, and reads what was meant.
func TestInToto(t *testing.T) {
	g := tame(t)
	var b bytes.Buffer
	left, err := exchange.Write(&b, exchange.InToto, exchange.Select(g, nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range bytes.Lines(b.Bytes()) {
		var s intoto.Statement
		if err := protojson.Unmarshal(line, &s); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		subject := s.GetSubject()[0]
		got = append(got, fmt.Sprint(subject.GetName(), " ", slices.Collect(maps.Keys(subject.GetDigest())), " ", s.GetPredicateType()))
		predicate, err := protojson.Marshal(s.GetPredicate())
		if err != nil {
			t.Fatal(err)
		}
		switch s.GetPredicateType() {
		case "https://slsa.dev/provenance/v1":
			var p provenance.Provenance
			if err := protojson.Unmarshal(predicate, &p); err != nil {
				t.Fatal(err)
			}
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
			if d := p.GetBuildDefinition().GetResolvedDependencies(); len(d) != 3 || d[0].GetName() != "model:base" || d[1].GetDigest()["dirHash"] == "" || d[1].GetUri() != "s3://bucket/tickets" {
				t.Errorf("the model was built of %v", d)
			}
			if !p.GetRunDetails().GetMetadata().GetFinishedOn().AsTime().Equal(day(3)) {
				t.Error("the run ended at another time")
			}
		case "https://in-toto.io/attestation/test-result/v0.1":
			var r result.TestResult
			if err := protojson.Unmarshal(predicate, &r); err != nil {
				t.Fatal(err)
			}
			if r.GetResult() != "PASSED" || len(r.GetConfiguration()) != 3 {
				t.Errorf("the result is %v", &r)
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"dataset:tickets & more@2 [dirHash] urn:audittrail:lineage:thing:1",
		"model:bot@3 [sha256] https://in-toto.io/attestation/test-result/v0.1",
		"model:bot@3 [sha256] https://slsa.dev/provenance/v1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	all := strings.Join(left, "\n")
	for _, want := range []string{"dataset:crawl: no digest", "p2: the standard's library refuses the statement", "run:bot-3: no digest", "e: no digest"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among what was left out:\n%s", want, all)
		}
	}
}

// qualified is a name as PROV has it, of a prefix that is there.
var qualified = regexp.MustCompile(`^audittrail:([A-Za-z0-9_/@.-]|%[0-9A-F]{2})+$`)

// TestPROV checks a document by the rules of PROV-JSON.
func TestPROV(t *testing.T) {
	g := tame(t)
	var d struct {
		Prefix                  map[string]string
		Entity, Activity, Agent map[string]map[string]any
		Used, WasGeneratedBy    map[string]map[string]any
		WasDerivedFrom          map[string]map[string]any
		WasAttributedTo         map[string]map[string]any
		WasAssociatedWith       map[string]map[string]any
		WasInvalidatedBy        map[string]map[string]any
	}
	dec := json.NewDecoder(bytes.NewReader(write(t, exchange.PROV, exchange.Select(g, nil))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Prefix["audittrail"] == "" || len(d.Entity) != 6 || len(d.Activity) != 6 || len(d.Agent) != 5 {
		t.Errorf("%d entities, %d activities, %d agents", len(d.Entity), len(d.Activity), len(d.Agent))
	}
	elements := map[string]map[string]map[string]any{"entity": d.Entity, "activity": d.Activity, "agent": d.Agent}
	for kind, all := range elements {
		for id := range all {
			if !qualified.MatchString(id) {
				t.Errorf("the %s %q has no qualified name", kind, id)
			}
		}
	}
	ends := map[string]string{
		"prov:entity": "entity", "prov:generatedEntity": "entity", "prov:usedEntity": "entity", "prov:activity": "activity", "prov:agent": "agent",
	}
	for name, tt := range map[string]struct {
		relations map[string]map[string]any
		n         int
		must      []string
	}{
		"used":              {d.Used, 10, []string{"prov:activity", "prov:entity"}},
		"wasGeneratedBy":    {d.WasGeneratedBy, 2, []string{"prov:entity", "prov:activity"}},
		"wasDerivedFrom":    {d.WasDerivedFrom, 5, []string{"prov:generatedEntity", "prov:usedEntity"}},
		"wasAttributedTo":   {d.WasAttributedTo, 3, []string{"prov:entity", "prov:agent"}},
		"wasAssociatedWith": {d.WasAssociatedWith, 3, []string{"prov:activity", "prov:agent"}},
		"wasInvalidatedBy":  {d.WasInvalidatedBy, 1, []string{"prov:entity", "prov:time"}},
	} {
		if len(tt.relations) != tt.n {
			t.Errorf("%d of %s, want %d", len(tt.relations), name, tt.n)
		}
		for id, r := range tt.relations {
			for _, must := range tt.must {
				end, _ := r[must].(string)
				if kind := ends[must]; end == "" || kind != "" && elements[kind][end] == nil {
					t.Errorf("%s %s: its %s is %q, which is not there", name, id, must, end)
				}
			}
		}
	}
	run := d.Activity["audittrail:run%3Abot-3"]
	if run["prov:startTime"] != "2026-11-02T08:00:00.123456789Z" || run["audittrail:parameters"] != `{"epochs":3,"grid":[1,2],"note":"slow"}` {
		t.Errorf("the run is %v", run)
	}
}
