package lineage

import (
	"encoding/json"
	"time"

	"audittrail/event"
)

// A Kind says what sort of thing stands in the graph.
type Kind string

// The kinds of things, in the order in which one leads to another.
const (
	KindDataset    Kind = "dataset"
	KindPrompt     Kind = "prompt"
	KindRun        Kind = "run"
	KindModel      Kind = "model"
	KindEvaluation Kind = "evaluation"
	KindDeployment Kind = "deployment"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{KindDataset, KindPrompt, KindRun, KindModel, KindEvaluation, KindDeployment}
}

// An Entity is a *[Dataset], *[PromptTemplate], *[TrainingRun], *[ModelVersion],
// *[Evaluation] or *[Deployment].
type Entity interface {
	// Kind says which.
	Kind() Kind
	// Identity returns the thing's id, derived from what it is if it has none,
	// once it is complete.
	Identity() string
	// Label names the thing for people: "tickets@2026-10".
	Label() string

	fields() []field
	complete()    // gives it the form that it is kept in
	check() error // what its fields alone do not show
}

// A Dataset is data that something was, or can be, made of.
//
// In all things an empty field means that nothing is known. Fields that name
// other things hold their ids.
type Dataset struct {
	ID          string // derived if empty: dataset:NAME@VERSION
	Name        string
	Version     string
	Description string
	// Digest is "ALGORITHM:HEX": "sha256:…" of a file, "dir-sha256:…" of a
	// folder, as docs/format/lineage.md says.
	Digest       string
	Format       string
	RecordCount  *int64
	Location     string
	Licence      string
	Owner        string
	PersonalData *bool    // whether it holds personal data
	Sources      []string // datasets that it was made from
	Run          string   // the run that made it
	Created      time.Time
	Attributes   map[string]json.RawMessage // what no field is for
}

// A TrainingRun is one execution that made something out of data.
type TrainingRun struct {
	ID          string // derived if empty: run:NAME, or run: and a hash
	Name        string
	Description string
	Model       string   // the name of the model that it trains
	Datasets    []string // what it was fed
	BaseModel   string   // the model version that it began with
	Code        string   // a commit, an image, a notebook
	Owner       string
	Parameters  map[string]json.RawMessage
	Metrics     map[string]json.RawMessage
	Environment map[string]json.RawMessage
	Start, End  time.Time
	Attributes  map[string]json.RawMessage
}

// A ModelVersion is one version of a model. Its name and version stand in the
// clear in the log, since calls carry them.
type ModelVersion struct {
	ID          string // derived if empty: model:NAME@VERSION
	Name        string
	Version     string
	Description string
	Run         string   // the training run that it came from
	Datasets    []string // what it was trained on, beside what the run names
	Parent      string   // the model version that it was made from
	Digest      string   // as in Dataset
	Format      string
	Location    string
	Licence     string
	Owner       string
	RiskTier    string // such as "high", as a law or the organisation has it
	IntendedUse string
	Created     time.Time
	Attributes  map[string]json.RawMessage
}

// A Deployment is a model version that answers, somewhere, for some time. Its
// id stands in the clear in the log, since calls carry it.
type Deployment struct {
	ID          string // derived if empty: deployment:NAME@VERSION/ENVIRONMENT
	Model       string // the id of the model version
	Environment string
	Endpoint    string
	Prompts     []string // prompt templates that it is used with
	Owner       string
	// From (inclusive) and To (exclusive) bound when it answers. Without From,
	// it is known to from when it was registered on; without To, it does until
	// it is retired.
	From, To   time.Time
	Attributes map[string]json.RawMessage
}

// A PromptTemplate is text that is sent to a model around what the user says.
type PromptTemplate struct {
	ID          string // derived if empty: prompt:NAME@VERSION
	Name        string
	Version     string
	Description string
	Text        string
	Digest      string
	Owner       string
	Parent      string   // the template that it was made from
	Datasets    []string // where its examples are from
	Attributes  map[string]json.RawMessage
}

// An Evaluation is a measurement of a model version.
type Evaluation struct {
	ID          string // derived if empty: evaluation:NAME and a hash
	Name        string
	Description string
	Model       string   // the id of the model version
	Datasets    []string // what it was measured on
	Prompts     []string // prompt templates that it was measured with
	Metrics     map[string]json.RawMessage
	Result      string // such as "passed"
	Evaluator   string
	Report      string // where the report is
	Digest      string // of the report
	Start, End  time.Time
	Attributes  map[string]json.RawMessage
}

// A Retirement ends a deployment, or a model version with all its deployments.
type Retirement struct {
	Entity     string // the id of the model version or deployment
	At         time.Time
	Reason     string
	Attributes map[string]json.RawMessage
}

// Kind returns [KindDataset].
func (*Dataset) Kind() Kind { return KindDataset }

// Kind returns [KindRun].
func (*TrainingRun) Kind() Kind { return KindRun }

// Kind returns [KindModel].
func (*ModelVersion) Kind() Kind { return KindModel }

// Kind returns [KindDeployment].
func (*Deployment) Kind() Kind { return KindDeployment }

// Kind returns [KindPrompt].
func (*PromptTemplate) Kind() Kind { return KindPrompt }

// Kind returns [KindEvaluation].
func (*Evaluation) Kind() Kind { return KindEvaluation }

// New returns an empty thing of a kind, or nil if there is no such kind.
func New(k Kind) Entity {
	switch k {
	case KindDataset:
		return new(Dataset)
	case KindRun:
		return new(TrainingRun)
	case KindModel:
		return new(ModelVersion)
	case KindDeployment:
		return new(Deployment)
	case KindPrompt:
		return new(PromptTemplate)
	case KindEvaluation:
		return new(Evaluation)
	}
	return nil
}

// forms says for each kind by which event a thing is registered, and under
// which key of its metadata. It is part of the format.
var forms = map[Kind]struct {
	event event.Type
	key   string
}{
	KindDataset:    {event.DatasetRegistered, "dataset"},
	KindRun:        {event.TrainingRunRegistered, "training_run"},
	KindModel:      {event.ModelVersionRegistered, "model_version"},
	KindDeployment: {event.ModelDeployed, "deployment"},
	KindPrompt:     {event.PromptRegistered, "prompt"},
	KindEvaluation: {event.EvaluationRegistered, "evaluation"},
}

// retirementKey is where a model_retired event has its details. It is part of
// the format.
const retirementKey = "retirement"

// eventTypes are those of all events of lineage.
var eventTypes = []event.Type{
	event.DatasetRegistered, event.TrainingRunRegistered, event.ModelVersionRegistered, event.ModelDeployed,
	event.ModelRetired, event.PromptRegistered, event.EvaluationRegistered,
}

// kindOf is the kind of thing that an event registers.
func kindOf(t event.Type) (Kind, bool) {
	for kind, form := range forms {
		if form.event == t {
			return kind, true
		}
	}
	return "", false
}
