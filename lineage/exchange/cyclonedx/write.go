package cyclonedx

import (
	"bytes"
	"fmt"
	"io"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Write writes things as one bill of materials.
func Write(w io.Writer, nodes []*lineage.Node) error {
	things := make([]lineage.Entity, len(nodes))
	for i, n := range nodes {
		things[i] = n.Entity
	}
	b := newBOM(things)
	components, workflows := []any{}, []any{}
	for _, t := range things {
		if tasks[t.Kind()] != "" {
			o, err := withExtension(b.workflow(t), t)
			if err != nil {
				return err
			}
			workflows = append(workflows, o)
			continue
		}
		o, err := withExtension(b.component(t), t)
		if err != nil {
			return err
		}
		components = append(components, o)
	}
	o := b.envelope()
	o["components"] = components
	if len(workflows) > 0 {
		o["formulation"] = []any{document.Object{"workflows": workflows}}
	}
	raw, err := document.Encode(o)
	if err != nil {
		return err
	}
	if err := cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(new(cdx.BOM)); err != nil {
		return fmt.Errorf("write CycloneDX: %w", err)
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// envelope returns the members of a bill other than its entities.
func (b *bom) envelope() document.Object {
	o := document.Object{
		"$schema": "http://cyclonedx.org/schema/bom-" + version + ".schema.json", "bomFormat": cdx.BOMFormat,
		"specVersion": version, "version": document.Number("1"),
		"metadata": document.Object{"tools": document.Object{
			"components": []any{document.Object{"type": "application", "name": "audittrail"}},
		}},
	}
	put(o, "dependencies", b.dependencies())
	return o
}

// withExtension adds the property that has a thing whole.
func withExtension(o document.Object, t lineage.Entity) (document.Object, error) {
	raw, err := document.Encode(document.Extension(t))
	if err != nil {
		return nil, err
	}
	properties, _ := o["properties"].([]any)
	properties = append(properties[:len(properties):len(properties)], document.Object{"name": extension, "value": string(raw)})
	return document.Overlay(o, document.Object{"properties": properties}), nil
}

// takeExtension takes the property that has a thing whole out of an object.
func takeExtension(o document.Object) (document.Object, []string) {
	list, _ := o["properties"].([]any)
	var rest []any
	var found []string
	for _, p := range list {
		property, _ := p.(document.Object)
		if property["name"] == extension {
			found = append(found, text(property, "value"))
		} else {
			rest = append(rest, p)
		}
	}
	if len(found) == 0 {
		return o, nil
	}
	o = document.Without(o, "properties")
	put(o, "properties", rest)
	return o, found
}
