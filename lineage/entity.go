package lineage

import (
	"encoding/json"
	"time"

	"audittrail/event"
)

// A Kind is the kind of an entity.
type Kind string

// The kinds of entities, each after those that it can be made from.
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
	// Kind returns the entity's kind.
	Kind() Kind
	// Identity returns the entity's id. Without a given id, it is derived from
	// the other fields when the entity is completed.
	Identity() string
	// Label names the entity for people: "tickets@2026-10".
	Label() string

	fields() []field
	complete()    // brings the entity into canonical form
	check() error // checks what the fields one by one do not show
}

// A Dataset is data that other entities were, or can be, made from.
//
// In all entities the value of an empty field is not known. Fields that
// refer to other entities contain their ids.
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
	PersonalData *bool    // whether the dataset contains personal data
	Sources      []string // datasets that the dataset was made from
	Run          string   // the run that made the dataset
	Created      time.Time
	Attributes   map[string]json.RawMessage // details without a field of their own
}

// A TrainingRun is one execution that made a model version or a dataset from
// data.
type TrainingRun struct {
	ID          string // derived if empty: run:NAME, or run: and a hash
	Name        string
	Description string
	Model       string   // the name of the trained model
	Datasets    []string // the input datasets
	BaseModel   string   // the model version that was trained further
	Code        string   // a commit, an image, a notebook
	Owner       string
	Parameters  map[string]json.RawMessage
	Metrics     map[string]json.RawMessage
	Environment map[string]json.RawMessage
	Start, End  time.Time
	Attributes  map[string]json.RawMessage
}

// A ModelVersion is one version of a model. Its name and version are stored in
// cleartext, as in the calls that carry them.
type ModelVersion struct {
	ID          string // derived if empty: model:NAME@VERSION
	Name        string
	Version     string
	Description string
	Run         string   // the training run that made the model version
	Datasets    []string // training datasets besides those of the run
	Parent      string   // the model version from which this one was made
	Digest      string   // as in Dataset
	Format      string
	Location    string
	Licence     string
	Owner       string
	RiskTier    string // such as "high", as a law or the organisation defines it
	IntendedUse string
	Created     time.Time
	Attributes  map[string]json.RawMessage
}

// A Deployment is a model version that answers calls, in some environment, for
// some time. Its id is stored in cleartext, as in the calls that carry it.
type Deployment struct {
	ID          string // derived if empty: deployment:NAME@VERSION/ENVIRONMENT
	Model       string // the id of the model version
	Environment string
	Endpoint    string
	Prompts     []string // prompt templates of the deployment
	Owner       string
	// From (inclusive) and To (exclusive) bound the time in which the
	// deployment is active. Without From, it is known to be active from its
	// registration on; without To, it is active until it is retired.
	From, To   time.Time
	Attributes map[string]json.RawMessage
}

// A PromptTemplate is text that is sent to a model together with the user's
// input.
type PromptTemplate struct {
	ID          string // derived if empty: prompt:NAME@VERSION
	Name        string
	Version     string
	Description string
	Text        string
	Digest      string
	Owner       string
	Parent      string   // the template from which this one was made
	Datasets    []string // the datasets of its examples
	Attributes  map[string]json.RawMessage
}

// An Evaluation is a measurement of a model version.
type Evaluation struct {
	ID          string // derived if empty: evaluation:NAME and a hash
	Name        string
	Description string
	Model       string   // the id of the model version
	Datasets    []string // the datasets of the measurement
	Prompts     []string // the prompt templates of the measurement
	Metrics     map[string]json.RawMessage
	Result      string // such as "passed"
	Evaluator   string
	Report      string // the place of the report
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

// New returns an empty entity of a kind, or nil for an unknown kind.
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

// forms maps each kind to the type of the event that registers an entity, and
// to the key of the event's metadata. It is part of the format.
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

// retirementKey is the key of the metadata with the details of a model_retired
// event. It is part of the format.
const retirementKey = "retirement"

// eventTypes are the types of all events of lineage.
var eventTypes = []event.Type{
	event.DatasetRegistered, event.TrainingRunRegistered, event.ModelVersionRegistered, event.ModelDeployed,
	event.ModelRetired, event.PromptRegistered, event.EvaluationRegistered,
}

// kindOf returns the kind of the entity that an event registers.
func kindOf(t event.Type) (Kind, bool) {
	for kind, form := range forms {
		if form.event == t {
			return kind, true
		}
	}
	return "", false
}
