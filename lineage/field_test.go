package lineage_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"audittrail/lineage"
)

// TestFields writes a thing of each kind by what Fields says of it.
func TestFields(t *testing.T) {
	for _, k := range lineage.Kinds() {
		members := map[string]any{}
		for _, f := range lineage.Fields(k) {
			switch f.Type {
			case lineage.TypeIDs:
				members[f.Name] = []string{"a", "b"}
			case lineage.TypeCount:
				members[f.Name] = 7
			case lineage.TypeBool:
				members[f.Name] = true
			case lineage.TypeTime:
				members[f.Name] = "2026-11-25"
			case lineage.TypeValues:
				members[f.Name] = map[string]int{"x": 1}
			case lineage.TypeText, lineage.TypeID:
				members[f.Name] = "x"
				if f.Name == "digest" {
					members[f.Name] = "sha256:" + strings.Repeat("0", 64)
				}
			default:
				t.Errorf("%s: %s is of type %q", k, f.Name, f.Type)
			}
			if (f.Type == lineage.TypeID || f.Type == lineage.TypeIDs) != (len(f.Refers) > 0) {
				t.Errorf("%s: %s is of type %s and refers to %v", k, f.Name, f.Type, f.Refers)
			}
		}
		data, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		thing, err := lineage.ParseJSON(k, data)
		if err == nil {
			err = lineage.Complete(thing)
		}
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		var kept map[string]any
		if err := json.Unmarshal(lineage.Encode(thing), &kept); err != nil || len(kept) != len(members) {
			t.Errorf("%s: %d fields are kept, %v; want %d", k, len(kept), err, len(members))
		}
	}
	if f := lineage.Fields("house"); f != nil {
		t.Errorf("fields of no kind: %v", f)
	}
}

func TestUpdate(t *testing.T) {
	d := &lineage.Dataset{Name: "a", Version: "1", Sources: []string{"x", "y"}}
	if err := lineage.Update(d, []byte(`{"sources":["z"],"version":"2"}`)); err != nil {
		t.Fatal(err)
	}
	if d.Name != "a" || d.Version != "2" || !slices.Equal(d.Sources, []string{"z"}) {
		t.Errorf("it is %+v; want a, 2 and z", d)
	}
	if err := lineage.Update(d, []byte(`{"nmae":"b"}`)); err == nil || !strings.Contains(err.Error(), `read a dataset: "nmae": unknown`) {
		t.Errorf("an unknown field: %v", err)
	}
}
