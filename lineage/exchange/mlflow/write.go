package mlflow

import (
	"io"
	"slices"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Write writes the runs and the model versions among things, and the datasets
// that these runs read, and returns what it left out.
func Write(w io.Writer, nodes []*lineage.Node) (left []string, err error) {
	there := make(map[string]lineage.Entity, len(nodes))
	read := make(map[string]bool)
	for _, n := range nodes {
		there[n.ID] = n.Entity
		if run, ok := n.Entity.(*lineage.TrainingRun); ok {
			for _, id := range run.Datasets {
				read[id] = true
			}
		}
	}
	runs, models := []any{}, []any{}
	names := make(map[string]int) // where in models one of a name is
	for _, n := range nodes {
		switch t := n.Entity.(type) {
		case *lineage.TrainingRun:
			o, err := writeRun(t, there)
			if err != nil {
				return left, err
			}
			runs = append(runs, o)
		case *lineage.ModelVersion:
			o, err := writeVersion(t)
			if err != nil {
				return left, err
			}
			at, ok := names[t.Name]
			if !ok {
				at = len(models)
				names[t.Name] = at
				models = append(models, document.Object{"name": t.Name, "latest_versions": []any{}})
			}
			if model, ok := models[at].(document.Object); ok {
				versions, _ := model["latest_versions"].([]any)
				model["latest_versions"] = append(versions, o)
			}
		case *lineage.Dataset:
			if !read[n.ID] {
				left = append(left, n.ID+": MLflow has datasets as inputs of runs alone")
			}
		default:
			left = append(left, n.ID+": MLflow has no "+string(n.Kind)+"s")
		}
	}
	raw, err := document.Encode(document.Object{"runs": runs, "registered_models": models})
	if err != nil {
		return left, err
	}
	_, err = w.Write(append(raw, '\n'))
	return left, err
}

// tagged are tags with the extension among them.
func tagged(tags document.Object, t lineage.Entity) ([]any, error) {
	raw, err := document.Encode(document.Extension(t))
	if err != nil {
		return nil, err
	}
	return listed(document.Overlay(tags, document.Object{extension: string(raw)}), pair), nil
}

func writeRun(t *lineage.TrainingRun, there map[string]lineage.Entity) (document.Object, error) {
	o := runOf(t)
	data := document.Overlay(inner(o, "data"), nil)
	tags, err := tagged(inner(data, "tags"), t)
	if err != nil {
		return nil, err
	}
	data["tags"] = tags
	data["params"] = listed(inner(data, "params"), pair)
	data["metrics"] = listed(inner(data, "metrics"), func(key string, v any) document.Object {
		m, _ := v.(document.Object)
		return document.Overlay(m, document.Object{"key": key})
	})
	inputs := []any{}
	for _, id := range slices.Sorted(slices.Values(t.Datasets)) {
		d := there[id]
		if d == nil {
			continue
		}
		tags, err := tagged(nil, d)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, document.Object{"dataset": datasetOf(d), "tags": tags})
	}
	o = document.Overlay(o, document.Object{"inputs": document.Object{"dataset_inputs": inputs}})
	o["data"] = data
	return o, nil
}

func writeVersion(t *lineage.ModelVersion) (document.Object, error) {
	o := versionOf(t)
	tags, err := tagged(inner(o, "tags"), t)
	if err != nil {
		return nil, err
	}
	o["tags"] = tags
	return o, nil
}
