package lineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// idDomain is the prefix of the bytes that are hashed to derive an id. It is
// part of the format.
const idDomain = "audittrail/v1 lineage id\x00"

// hashed returns the end of the id of an entity that has no other: the hash of
// everything that is known about the entity.
func hashed(t Entity) string {
	sum := sha256.Sum256(append([]byte(idDomain+string(t.Kind())+"\x00"), Encode(t)...))
	return hex.EncodeToString(sum[:8])
}

func versioned(name, version string) string {
	if version == "" {
		return name
	}
	return name + "@" + version
}

// Identity returns the dataset's id.
func (d *Dataset) Identity() string { return d.ID }

// Identity returns the run's id.
func (r *TrainingRun) Identity() string { return r.ID }

// Identity returns the model version's id.
func (m *ModelVersion) Identity() string { return m.ID }

// Identity returns the deployment's id.
func (d *Deployment) Identity() string { return d.ID }

// Identity returns the template's id.
func (p *PromptTemplate) Identity() string { return p.ID }

// Identity returns the evaluation's id.
func (e *Evaluation) Identity() string { return e.ID }

// Label names the dataset for people.
func (d *Dataset) Label() string { return versioned(d.Name, d.Version) }

// Label names the run for people.
func (r *TrainingRun) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return strings.TrimPrefix(r.ID, string(KindRun)+":")
}

// Label names the model version for people.
func (m *ModelVersion) Label() string { return versioned(m.Name, m.Version) }

// Label names the deployment for people.
func (d *Deployment) Label() string {
	return strings.TrimPrefix(d.ID, string(KindDeployment)+":")
}

// Label names the template for people.
func (p *PromptTemplate) Label() string { return versioned(p.Name, p.Version) }

// Label names the evaluation for people.
func (e *Evaluation) Label() string {
	if e.Name != "" {
		return e.Name
	}
	return strings.TrimPrefix(e.ID, string(KindEvaluation)+":")
}

func (d *Dataset) complete() {
	normalize(d.fields())
	if d.ID == "" && d.Name != "" {
		d.ID = "dataset:" + d.Label()
	}
}

func (r *TrainingRun) complete() {
	normalize(r.fields())
	switch {
	case r.ID != "":
	case r.Name != "":
		r.ID = "run:" + r.Name
	case r.Model != "":
		r.ID = "run:" + r.Model + "/" + hashed(r)
	default:
		r.ID = "run:" + hashed(r)
	}
}

func (m *ModelVersion) complete() {
	normalize(m.fields())
	if m.ID == "" && m.Name != "" {
		m.ID = "model:" + m.Label()
	}
}

func (d *Deployment) complete() {
	normalize(d.fields())
	if d.ID != "" || d.Model == "" {
		return
	}
	d.ID = "deployment:" + strings.TrimPrefix(d.Model, "model:")
	if d.Environment != "" {
		d.ID += "/" + d.Environment
	}
	if !d.From.IsZero() {
		d.ID += "/" + d.From.Format(time.RFC3339Nano)
	}
}

func (p *PromptTemplate) complete() {
	normalize(p.fields())
	if p.ID == "" && p.Name != "" {
		p.ID = "prompt:" + p.Label()
	}
}

func (e *Evaluation) complete() {
	normalize(e.fields())
	switch {
	case e.ID != "":
	case e.Name != "":
		e.ID = "evaluation:" + e.Name + "/" + hashed(e)
	default:
		e.ID = "evaluation:" + hashed(e)
	}
}

// Complete gives an entity its id, if it has none, and its canonical form, and
// returns what is invalid in it.
func Complete(t Entity) error {
	t.complete()
	if err := need("id", t.Identity()); err != nil {
		return cmp.Or(t.check(), err) // why no id could be derived
	}
	return checkAll(t, t.fields())
}
