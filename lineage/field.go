package lineage

import (
	"encoding/json"
	"slices"
	"time"
)

// A field is one named value of an entity: how it is written, checked, compared
// and shown, and which edges of the graph it makes.
type field struct {
	name  string
	value any   // points into the entity; the types are those of the cases below
	as    shape // of text
	edge  *reference
}

// A shape is the form that a text must have.
type shape uint8

const (
	line    shape = iota // one line
	text                 // anything
	ident                // an id
	digest               // ALGORITHM:HEX
	clearly              // one line that the log stores in cleartext
)

// A reference is a field that names other entities.
type reference struct {
	role  string // the role of those entities for this one
	kinds []Kind // the kinds that they may have
}

func refers(role string, kinds ...Kind) *reference { return &reference{role, kinds} }

// The roles of references: the upstream entity of an edge has this role for the
// downstream one.
var (
	isSource   = refers("source", KindDataset)
	isProducer = refers("producer", KindRun)
	isInput    = refers("input", KindDataset)
	isBase     = refers("base", KindModel)
	isRun      = refers("run", KindRun)
	isParent   = refers("parent", KindModel)
	isModel    = refers("model", KindModel)
	isPrompt   = refers("prompt", KindPrompt)
	isOlder    = refers("parent", KindPrompt)
	isExamples = refers("examples", KindDataset)
	isRetired  = refers("retired", KindModel, KindDeployment)
)

// The fields of each kind are sorted by name, the order in which they are
// written.

func (d *Dataset) fields() []field {
	return []field{
		{name: "attributes", value: &d.Attributes},
		{name: "created", value: &d.Created},
		{name: "description", value: &d.Description, as: text},
		{name: "digest", value: &d.Digest, as: digest},
		{name: "format", value: &d.Format},
		{name: "id", value: &d.ID, as: ident},
		{name: "licence", value: &d.Licence},
		{name: "location", value: &d.Location},
		{name: "name", value: &d.Name, as: clearly},
		{name: "owner", value: &d.Owner},
		{name: "personal_data", value: &d.PersonalData},
		{name: "record_count", value: &d.RecordCount},
		{name: "run", value: &d.Run, as: ident, edge: isProducer},
		{name: "sources", value: &d.Sources, edge: isSource},
		{name: "version", value: &d.Version, as: clearly},
	}
}

func (r *TrainingRun) fields() []field {
	return []field{
		{name: "attributes", value: &r.Attributes},
		{name: "base_model", value: &r.BaseModel, as: ident, edge: isBase},
		{name: "code", value: &r.Code},
		{name: "datasets", value: &r.Datasets, edge: isInput},
		{name: "description", value: &r.Description, as: text},
		{name: "end", value: &r.End},
		{name: "environment", value: &r.Environment},
		{name: "id", value: &r.ID, as: ident},
		{name: "metrics", value: &r.Metrics},
		{name: "model", value: &r.Model, as: clearly},
		{name: "name", value: &r.Name, as: clearly},
		{name: "owner", value: &r.Owner},
		{name: "parameters", value: &r.Parameters},
		{name: "start", value: &r.Start},
	}
}

func (m *ModelVersion) fields() []field {
	return []field{
		{name: "attributes", value: &m.Attributes},
		{name: "created", value: &m.Created},
		{name: "datasets", value: &m.Datasets, edge: isInput},
		{name: "description", value: &m.Description, as: text},
		{name: "digest", value: &m.Digest, as: digest},
		{name: "format", value: &m.Format},
		{name: "id", value: &m.ID, as: ident},
		{name: "intended_use", value: &m.IntendedUse, as: text},
		{name: "licence", value: &m.Licence},
		{name: "location", value: &m.Location},
		{name: "name", value: &m.Name, as: clearly},
		{name: "owner", value: &m.Owner},
		{name: "parent", value: &m.Parent, as: ident, edge: isParent},
		{name: "risk_tier", value: &m.RiskTier},
		{name: "run", value: &m.Run, as: ident, edge: isRun},
		{name: "version", value: &m.Version, as: clearly},
	}
}

func (d *Deployment) fields() []field {
	return []field{
		{name: "attributes", value: &d.Attributes},
		{name: "endpoint", value: &d.Endpoint},
		{name: "environment", value: &d.Environment, as: clearly},
		{name: "from", value: &d.From},
		{name: "id", value: &d.ID, as: clearly},
		{name: "model", value: &d.Model, as: ident, edge: isModel},
		{name: "owner", value: &d.Owner},
		{name: "prompts", value: &d.Prompts, edge: isPrompt},
		{name: "to", value: &d.To},
	}
}

func (p *PromptTemplate) fields() []field {
	return []field{
		{name: "attributes", value: &p.Attributes},
		{name: "datasets", value: &p.Datasets, edge: isExamples},
		{name: "description", value: &p.Description, as: text},
		{name: "digest", value: &p.Digest, as: digest},
		{name: "id", value: &p.ID, as: ident},
		{name: "name", value: &p.Name, as: clearly},
		{name: "owner", value: &p.Owner},
		{name: "parent", value: &p.Parent, as: ident, edge: isOlder},
		{name: "text", value: &p.Text, as: text},
		{name: "version", value: &p.Version, as: clearly},
	}
}

func (e *Evaluation) fields() []field {
	return []field{
		{name: "attributes", value: &e.Attributes},
		{name: "datasets", value: &e.Datasets, edge: isInput},
		{name: "description", value: &e.Description, as: text},
		{name: "digest", value: &e.Digest, as: digest},
		{name: "end", value: &e.End},
		{name: "evaluator", value: &e.Evaluator},
		{name: "id", value: &e.ID, as: ident},
		{name: "metrics", value: &e.Metrics},
		{name: "model", value: &e.Model, as: ident, edge: isModel},
		{name: "name", value: &e.Name, as: clearly},
		{name: "prompts", value: &e.Prompts, edge: isPrompt},
		{name: "report", value: &e.Report},
		{name: "result", value: &e.Result},
		{name: "start", value: &e.Start},
	}
}

func (r *Retirement) fields() []field {
	return []field{
		{name: "at", value: &r.At},
		{name: "attributes", value: &r.Attributes},
		{name: "reason", value: &r.Reason, as: text},
		{name: "thing", value: &r.Entity, as: ident, edge: isRetired},
	}
}

// A FieldType is the type of a field's value, and so its form in JSON.
type FieldType string

// The types of fields.
const (
	TypeText   FieldType = "text"
	TypeID     FieldType = "id"     // of another entity
	TypeIDs    FieldType = "ids"    // of other entities, an array
	TypeCount  FieldType = "count"  // a number
	TypeBool   FieldType = "bool"   // true or false
	TypeTime   FieldType = "time"   // a text
	TypeValues FieldType = "values" // an object with any values
)

// A Field describes one of the fields of a kind.
type Field struct {
	Name   string
	Type   FieldType
	Refers []Kind // the kinds of the entities whose ids the field contains
}

// Fields describes the fields of a kind, in the order of their names.
func Fields(k Kind) []Field {
	t := New(k)
	if t == nil {
		return nil
	}
	var out []Field
	for _, f := range t.fields() {
		d := Field{Name: f.name}
		if f.edge != nil {
			d.Refers = slices.Clone(f.edge.kinds)
		}
		switch f.value.(type) {
		case *string:
			d.Type = TypeText
			if f.edge != nil {
				d.Type = TypeID
			}
		case *[]string:
			d.Type = TypeIDs
		case **int64:
			d.Type = TypeCount
		case **bool:
			d.Type = TypeBool
		case *time.Time:
			d.Type = TypeTime
		case *map[string]json.RawMessage:
			d.Type = TypeValues
		}
		out = append(out, d)
	}
	return out
}

// absent reports whether a field is empty.
func (f field) absent() bool {
	switch v := f.value.(type) {
	case *string:
		return *v == ""
	case *[]string:
		return len(*v) == 0
	case **int64:
		return *v == nil
	case **bool:
		return *v == nil
	case *time.Time:
		return v.IsZero()
	case *map[string]json.RawMessage:
		return len(*v) == 0
	}
	panic("lineage: a field of an unknown type")
}

// references calls use for each id that a field names.
func (f field) references(use func(id string)) {
	if f.edge == nil {
		return
	}
	switch v := f.value.(type) {
	case *string:
		if *v != "" {
			use(*v)
		}
	case *[]string:
		for _, id := range *v {
			use(id)
		}
	}
}
