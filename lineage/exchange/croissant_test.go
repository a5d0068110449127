package exchange_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

// titanic is a description of a dataset whose members may be replaced.
func titanic(members string) string {
	return replaced(`{"@context":{"@vocab":"https://schema.org/","cr":"http://mlcommons.org/croissant/","sc":"https://schema.org/"},"@type":"sc:Dataset",
		"conformsTo":"http://mlcommons.org/croissant/1.0","name":"Titanic","version":"1.0.0","description":"Who was aboard.","license":["https://spdx.org/licenses/CC0-1.0"],
		"url":"https://data.example/titanic","datePublished":"2024-03-01","creator":{"@type":"Person","name":"Ada"},"keywords":["ships"],
		"distribution":[{"@type":"cr:FileObject","@id":"passengers.csv","name":"passengers.csv","contentUrl":"data/passengers.csv","encodingFormat":"text/csv","sha256":"`+strings.Repeat("AB", 32)+`"}],
		"recordSet":[{"@type":"cr:RecordSet","@id":"passengers","field":[{"@type":"cr:Field","@id":"passengers/name","dataType":"sc:Text","source":{"fileObject":{"@id":"passengers.csv"},"extract":{"column":"name"}}}]}]}`, members)
}

func TestCroissant(t *testing.T) {
	if got, err := exchange.Detect([]byte(titanic(""))); got != exchange.Croissant || err != nil {
		t.Errorf("Detect = %q, %v", got, err)
	}
	tr := openTracker(t)
	d, _ := read(t, tr, exchange.Croissant, []byte(titanic("")))
	set, ok := d.Items[0].Entity.(*lineage.Dataset)
	if !ok {
		t.Fatal("it is no dataset")
	}
	attributes := set.Attributes
	set.Attributes = nil
	want := `{"created":"2024-03-01T00:00:00.000000000Z","description":"Who was aboard.","digest":"sha256:` + strings.Repeat("ab", 32) +
		`","format":"text/csv","id":"dataset:Titanic@1.0.0","licence":"https://spdx.org/licenses/CC0-1.0","location":"https://data.example/titanic","name":"Titanic","owner":"Ada","version":"1.0.0"}`
	if diff := cmp.Diff(want, string(lineage.Encode(set))); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	for _, kept := range []string{`"keywords":["ships"]`, `"recordSet":[`, `"contentUrl":"data/passengers.csv"`, `"@vocab"`} {
		if !strings.Contains(string(attributes["croissant"]), kept) {
			t.Errorf("it does not keep %s", kept)
		}
	}
	if diff := cmp.Diff(strings.Fields("@context.@vocab @context.cr @context.sc @type conformsTo creator.@type creator.name datePublished distribution keywords license recordSet"), d.Items[0].Kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if _, done := read(t, tr, exchange.Croissant, []byte(titanic(""))); !done[0].Duplicate {
		t.Error("the second time, it is another thing")
	}
}

// TestCroissantForms has what JSON-LD says in more than one form.
func TestCroissantForms(t *testing.T) {
	file := `{"@type":"cr:FileObject","@id":"passengers.csv","encodingFormat":"text/csv","sha256":"` + strings.Repeat("ab", 32) + `"}`
	field := `{"@id":"f","source":{"fileObject":{"@id":"passengers.csv"}}}`
	for name, in := range map[string]string{
		"one file":           titanic(`"distribution":` + file),
		"one record set":     titanic(`"recordSet":{"@id":"r","field":[` + field + `]}`),
		"one field":          titanic(`"recordSet":[{"@id":"r","field":` + field + `}]`),
		"one in an array":    "[" + titanic("") + "]",
		"a prefix":           titanic(`"conformsTo":null,"dct:conformsTo":{"@id":"http://mlcommons.org/croissant/1.1"}`),
		"a file by its name": titanic(`"recordSet":[{"name":"r","field":[{"name":"f","source":{"fileObject":"passengers","extract":{"column":"name"}}}]}]`),
		"a set in an unpacked file": titanic(`"distribution":[` + file + `,{"@type":"cr:FileSet","@id":"s","encodingFormat":"text/csv",
			"containedIn":{"fileObject":{"@id":"passengers.csv"},"transform":{"unArchive":true}}}]`),
		"several specs":     titanic(`"conformsTo":["http://mlcommons.org/croissant/1.0","http://mlcommons.org/croissant/RAI/1.0"]`),
		"a byte order mark": "\ufeff" + titanic(""),
	} {
		if got, err := exchange.Detect([]byte(in)); got != exchange.Croissant || err != nil {
			t.Errorf("%s: Detect = %q, %v", name, got, err)
		}
		d, err := exchange.Read(exchange.Croissant, []byte(in), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		set, ok := d.Items[0].Entity.(*lineage.Dataset)
		if !ok || set.ID != "dataset:Titanic@1.0.0" || set.Format != "text/csv" || string(set.Digest) != "sha256:"+strings.Repeat("ab", 32) {
			t.Errorf("%s: it is %+v", name, d.Items[0].Entity)
		}
	}
	bad := titanic(`"recordSet":{"@id":"r","field":{"@id":"f","source":{"fileObject":{"@id":"gone"}}}}`)
	if _, err := exchange.Read(exchange.Croissant, []byte(bad), nil); err == nil || !strings.Contains(err.Error(), "recordSet.field.source.fileObject") {
		t.Errorf("of one field from a file that is not there: %v", err)
	}
}

// Several files have no one digest, and what is left out says nothing.
func TestCroissantParts(t *testing.T) {
	in := titanic(`"version":null,"creator":null,"license":null,"datePublished":"lately","recordSet":null,"name":{"@value":"Ships","@language":"en"},
		"distribution":[{"@type":"cr:FileObject","@id":"a","encodingFormat":"text/csv","sha256":"x"},{"@type":"cr:FileObject","@id":"b","encodingFormat":"text/plain"},
			{"@type":"cr:FileSet","@id":"c","containedIn":[{"@id":"a"},{"@id":"b"}]}]`)
	d, err := exchange.Read(exchange.Croissant, []byte(in), nil)
	if err != nil {
		t.Fatal(err)
	}
	set, ok := d.Items[0].Entity.(*lineage.Dataset)
	if !ok || set.ID != "dataset:Ships" || set.Digest != "" || set.Format != "" || set.Owner != "" || !set.Created.IsZero() {
		t.Errorf("it is %+v", set)
	}
}
