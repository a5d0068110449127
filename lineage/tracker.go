package lineage

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/record"
)

// A Log has the methods of an [audittrail.Log] that a tracker needs.
type Log interface {
	AppendGovernance(context.Context, event.Event) (audittrail.Receipt, error)
	AppendGovernanceBatch(context.Context, []event.Event) ([]audittrail.Receipt, error)
	GovernanceRecords(context.Context, uint64, ...event.Type) iter.Seq2[*record.Record, error]
}

// A Tracker registers entities in a log and keeps their graph. Its methods may
// be called from many goroutines. The process that writes to a log has one
// tracker; readers may have any number.
type Tracker struct {
	log Log

	mu    sync.Mutex // held while entities are registered; guards all below
	graph *Graph
	next  uint64 // the first record that is not in the graph yet
	view  *Graph // a copy for callers, until the graph changes
}

// A Registered is the id and the record of a registered entity.
type Registered struct {
	ID   string      `json:"id"`
	Seq  uint64      `json:"seq"`
	Hash record.Hash `json:"hash"`
	// Duplicate is true if the same entity was registered before.
	Duplicate bool `json:"-"`
}

// Open reads the graph from a log.
func Open(ctx context.Context, log Log) (*Tracker, error) {
	t := &Tracker{log: log, graph: newGraph()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open lineage: %w", err)
	}
	return t, nil
}

// Graph returns the current graph, including what other processes have
// registered. While nothing is registered, it returns the same graph; the time
// to make a new one grows with the graph.
func (t *Tracker) Graph(ctx context.Context) (*Graph, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("read lineage: %w", err)
	}
	if t.view == nil {
		t.view = t.graph.clone()
	}
	return t.view, nil
}

// refresh adds the records since the last call to the graph. The caller holds
// mu.
func (t *Tracker) refresh(ctx context.Context) error {
	for r, err := range t.log.GovernanceRecords(ctx, t.next, eventTypes...) {
		if err != nil {
			return err
		}
		if err := t.take(r); err != nil {
			return err
		}
		t.next = r.Seq + 1
	}
	return nil
}

// take adds a record to the graph.
func (t *Tracker) take(r *record.Record) error {
	kind, ok := kindOf(r.Event.Type)
	if !ok && r.Event.Type != event.ModelRetired {
		return nil
	}
	t.view = nil
	var err error
	switch {
	case r.State == record.Sealed:
		return audittrail.ErrNoKeys // no content can be read
	case r.State != record.Readable:
		err = fmt.Errorf("the content is %s", r.State)
	case ok:
		err = t.takeThing(r, kind)
	default:
		err = t.takeRetirement(r)
	}
	if err != nil {
		t.graph.faults = append(t.graph.faults, InvalidRecord{r.Seq, err.Error()})
	}
	return nil
}

func (t *Tracker) takeThing(r *record.Record, kind Kind) error {
	thing, err := Decode(kind, r.Event.Metadata[forms[kind].key])
	if err != nil {
		return err
	}
	if _, more := r.Event.Metadata[continuesKey]; more {
		n, err := t.graph.extend(thing)
		if n != nil {
			t.graph.put(n, thing)
			n.Seq, n.Hash = r.Seq, r.Hash
			return nil
		}
		if err != nil {
			return err
		}
	}
	known, err := t.graph.admit(thing, r.Event.Time)
	if err == nil && known == nil {
		t.graph.add(&Node{
			ID: thing.Identity(), Kind: kind, Entity: thing,
			Seq: r.Seq, Hash: r.Hash, Registered: r.Event.Time,
		})
	}
	return err
}

func (t *Tracker) takeRetirement(r *record.Record) error {
	retirement, err := decodeRetirement(r.Event.Metadata[retirementKey])
	if err != nil {
		return err
	}
	n, same, err := t.graph.retirable(retirement, r.Event.Time)
	if err == nil && !same {
		n.Retired = retirement
	}
	return err
}

// RegisterDataset registers a dataset.
func (t *Tracker) RegisterDataset(ctx context.Context, d Dataset) (Registered, error) {
	return t.Register(ctx, &d)
}

// RegisterTrainingRun registers a training run.
func (t *Tracker) RegisterTrainingRun(ctx context.Context, r TrainingRun) (Registered, error) {
	return t.Register(ctx, &r)
}

// RegisterModelVersion registers a version of a model.
func (t *Tracker) RegisterModelVersion(ctx context.Context, m ModelVersion) (Registered, error) {
	return t.Register(ctx, &m)
}

// DeployModel registers a deployment of a model version.
func (t *Tracker) DeployModel(ctx context.Context, d Deployment) (Registered, error) {
	return t.Register(ctx, &d)
}

// RegisterPrompt registers a prompt template.
func (t *Tracker) RegisterPrompt(ctx context.Context, p PromptTemplate) (Registered, error) {
	return t.Register(ctx, &p)
}

// RegisterEvaluation registers an evaluation of a model version.
func (t *Tracker) RegisterEvaluation(ctx context.Context, e Evaluation) (Registered, error) {
	return t.Register(ctx, &e)
}

// Register registers an entity of any kind, and completes it. Registering the
// same entity again changes nothing. An entity is refused with a *[FieldError],
// a *[ConflictError], a *[ReferenceError], a *[CycleError] or a
// *[RetiredError].
func (t *Tracker) Register(ctx context.Context, thing Entity) (Registered, error) {
	fail := func(err error) (Registered, error) {
		return Registered{}, fmt.Errorf("register %s: %w", thing.Kind(), err)
	}
	if err := Complete(thing); err != nil {
		return fail(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return fail(err)
	}
	now := time.Now()
	known, err := t.graph.admit(thing, now)
	if err != nil {
		return fail(err)
	}
	if known != nil {
		return Registered{ID: known.ID, Seq: known.Seq, Hash: known.Hash, Duplicate: true}, nil
	}
	receipt, err := t.log.AppendGovernance(ctx, eventOf(thing, t.graph, now))
	if err != nil {
		return fail(err)
	}
	if err := t.refresh(ctx); err != nil {
		return fail(err)
	}
	return Registered{ID: thing.Identity(), Seq: receipt.Seq, Hash: receipt.Hash}, nil
}

// eventOf returns the event that registers an entity, which was admitted to a
// graph at that time.
func eventOf(thing Entity, g *Graph, now time.Time) event.Event {
	form := forms[thing.Kind()]
	e := event.Event{
		Type:     form.event,
		Time:     now,
		ID:       "lineage " + thing.Identity(),
		Metadata: map[string]json.RawMessage{form.key: Encode(thing)},
	}
	switch v := thing.(type) {
	case *ModelVersion:
		e.ModelID, e.ModelVersion = v.Name, v.Version
	case *Deployment:
		e.DeploymentID = v.ID
		g.nameModel(&e, v.Model)
	}
	return e
}

// nameModel gives an event the name and version of a model version in the
// graph.
func (g *Graph) nameModel(e *event.Event, id string) {
	if n, ok := g.Node(id); ok {
		if m, ok := n.Entity.(*ModelVersion); ok {
			e.ModelID, e.ModelVersion = m.Name, m.Version
		}
	}
}

// RetireModel ends a model version with all its deployments, or one deployment,
// at the given time or, if it is zero, now.
func (t *Tracker) RetireModel(ctx context.Context, r Retirement) (Registered, error) {
	fail := func(err error) (Registered, error) {
		return Registered{}, fmt.Errorf("retire: %w", err)
	}
	normalize(r.fields())
	if err := r.check(); err != nil {
		return fail(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return fail(err)
	}
	now := time.Now().UTC()
	n, same, err := t.graph.retirable(&r, now)
	if err != nil {
		return fail(err)
	}
	if same {
		return Registered{ID: n.ID, Seq: n.Seq, Hash: n.Hash, Duplicate: true}, nil
	}
	if r.At.IsZero() {
		r.At = now
	}
	e := event.Event{
		Type: event.ModelRetired, Time: now, ID: "lineage retirement of " + n.ID,
		Metadata: map[string]json.RawMessage{retirementKey: encode(r.fields())},
	}
	if d, ok := n.Entity.(*Deployment); ok {
		e.DeploymentID = d.ID
		t.graph.nameModel(&e, d.Model)
	} else {
		t.graph.nameModel(&e, n.ID)
	}
	receipt, err := t.log.AppendGovernance(ctx, e)
	if err != nil {
		return fail(err)
	}
	if err := t.refresh(ctx); err != nil {
		return fail(err)
	}
	return Registered{ID: n.ID, Seq: receipt.Seq, Hash: receipt.Hash}, nil
}
