package lineage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"audittrail"
	"audittrail/event"
)

// MaxBatch is how many entities RegisterAll takes at once.
const MaxBatch = 200_000

// An EntityError names the entity for which a batch is refused.
type EntityError struct {
	ID  string
	Err error
}

func (e *EntityError) Error() string { return e.ID + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *EntityError) Unwrap() error { return e.Err }

// RegisterAll registers entities that may refer to each other, in any order:
// each is registered after those that it refers to, and otherwise in the given
// order. All of them are checked before the first is recorded, and an
// *[EntityError] names the one that is refused. A training run that is already
// registered is recorded again if the new entity only adds to it, since runs
// become known step by step. The entities are recorded together, or in batches
// of thousands if there are many. After an interruption, call it again:
// entities that were registered stay registered.
func (t *Tracker) RegisterAll(ctx context.Context, things []Entity) ([]Registered, error) {
	ordered, err := arrange(things)
	if err != nil {
		return nil, fmt.Errorf("register entities: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("register entities: %w", err)
	}
	r, err := t.rehearse(ordered, time.Now())
	if err == nil {
		err = t.record(ctx, r)
	}
	if err != nil {
		return nil, fmt.Errorf("register entities: %w", err)
	}
	out := make([]Registered, len(things))
	for i, thing := range things {
		out[i] = r.done[thing.Identity()]
	}
	return out, nil
}

// CheckAll returns the result of RegisterAll without recording anything:
// entities that are not registered yet have no record.
func (t *Tracker) CheckAll(ctx context.Context, things []Entity) ([]Registered, error) {
	ordered, err := arrange(things)
	if err != nil {
		return nil, fmt.Errorf("check entities: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("check entities: %w", err)
	}
	r, err := t.rehearse(ordered, time.Now())
	if err != nil {
		return nil, fmt.Errorf("check entities: %w", err)
	}
	out := make([]Registered, len(things))
	for i, thing := range things {
		out[i] = r.done[thing.Identity()]
		out[i].ID = thing.Identity()
	}
	return out, nil
}

// arrange completes entities and sorts them.
func arrange(things []Entity) ([]Entity, error) {
	if len(things) > MaxBatch {
		return nil, fmt.Errorf("%d entities; register at most %d at once", len(things), MaxBatch)
	}
	for _, thing := range things {
		if err := Complete(thing); err != nil {
			return nil, &EntityError{nameOf(thing), err}
		}
	}
	return order(things)
}

func nameOf(t Entity) string {
	if id := t.Identity(); id != "" {
		return id
	}
	return "a " + string(t.Kind())
}

// order sorts entities so that each comes after those of them that it refers
// to. An entity that is given twice is returned once.
func order(things []Entity) ([]Entity, error) {
	o := &ordering{byID: make(map[string]Entity, len(things)), met: make(map[string]bool, len(things))}
	for _, thing := range things {
		id := thing.Identity()
		if other, ok := o.byID[id]; ok {
			n := &Node{ID: id, Kind: other.Kind(), Entity: other}
			if err := (*Graph)(nil).compare(n, thing); err != nil {
				return nil, &EntityError{id, fmt.Errorf("the id is given twice, with different fields")}
			}
			continue
		}
		o.byID[id] = thing
	}
	for _, thing := range things {
		if err := o.place(thing); err != nil {
			return nil, err
		}
	}
	return o.out, nil
}

// An ordering is the state of order.
type ordering struct {
	byID map[string]Entity
	met  map[string]bool // whether the entity has its place; false while its place is searched
	out  []Entity
}

// A waiting entity has references that have no place yet.
type waiting struct {
	thing Entity
	refs  []string
}

func (o *ordering) meet(t Entity) waiting {
	o.met[t.Identity()] = false
	var refs []string
	for _, f := range t.fields() {
		f.references(func(id string) { refs = append(refs, id) })
	}
	return waiting{t, refs}
}

// place puts an entity after those that it refers to. It keeps its own stack,
// since references may be nested as deeply as there are entities.
func (o *ordering) place(begin Entity) error {
	if _, met := o.met[begin.Identity()]; met {
		return nil
	}
	stack := []waiting{o.meet(begin)}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.refs) == 0 {
			o.met[top.thing.Identity()] = true
			o.out = append(o.out, top.thing)
			stack = stack[:len(stack)-1]
			continue
		}
		ref := top.refs[0]
		top.refs = top.refs[1:]
		other, ours := o.byID[ref]
		placed, met := o.met[ref]
		switch {
		case !ours || placed:
		case !met:
			stack = append(stack, o.meet(other))
		default:
			return cycleOf(stack, ref)
		}
	}
	return nil
}

// cycleOf returns the cycle that is closed by a reference from the top of a
// stack to an entity in it.
func cycleOf(stack []waiting, ref string) error {
	path := []string{ref}
	for i := len(stack) - 1; i >= 0; i-- {
		path = append(path, stack[i].thing.Identity())
		if stack[i].thing.Identity() == ref {
			break
		}
	}
	return &CycleError{path}
}

// A rehearsal is the state of a batch before it is recorded.
type rehearsal struct {
	graph *Graph // the graph with all entities of the batch
	now   time.Time
	done  map[string]Registered // the entities that are already registered
	fresh []Entity              // the other entities
	more  map[string]*Node      // of these, the nodes of runs of which less was known
}

// rehearse adds entities to a copy of the graph. The caller holds mu.
func (t *Tracker) rehearse(things []Entity, now time.Time) (*rehearsal, error) {
	r := &rehearsal{graph: t.graph.clone(), now: now, done: make(map[string]Registered), more: make(map[string]*Node)}
	for _, thing := range things {
		less, err := r.graph.extend(thing)
		if err != nil {
			return nil, &EntityError{nameOf(thing), err}
		}
		if less != nil {
			was := *less
			r.more[was.ID] = &was
			r.graph.put(less, thing)
			r.fresh = append(r.fresh, thing)
			continue
		}
		known, err := r.graph.admit(thing, now)
		if err != nil {
			return nil, &EntityError{nameOf(thing), err}
		}
		if known != nil {
			r.done[known.ID] = Registered{ID: known.ID, Seq: known.Seq, Hash: known.Hash, Duplicate: true}
			continue
		}
		r.graph.add(&Node{ID: thing.Identity(), Kind: thing.Kind(), Entity: thing, Registered: now})
		r.fresh = append(r.fresh, thing)
	}
	return r, nil
}

const (
	// together is how many entities are recorded at a time.
	together = 4096
	// togetherBytes bounds the size of the entities that are recorded at a
	// time, except for the last of them.
	togetherBytes = 32 << 20
)

// record records the entities of a rehearsal. The caller holds mu.
func (t *Tracker) record(ctx context.Context, r *rehearsal) error {
	for left := r.fresh; len(left) > 0; {
		var events []event.Event
		for bytes := 0; len(events) < min(together, len(left)) && bytes < togetherBytes; {
			thing := left[len(events)]
			e := eventOf(thing, r.graph, r.now)
			if n := r.more[thing.Identity()]; n != nil {
				e = extensionOf(n, thing, r.graph, r.now)
			}
			for _, text := range e.Metadata {
				bytes += len(text)
			}
			events = append(events, e)
		}
		receipts, err := t.log.AppendGovernanceBatch(ctx, events)
		if err != nil {
			if which, ok := errors.AsType[*audittrail.BatchError](err); ok {
				err = &EntityError{left[which.Index].Identity(), which.Err}
			}
			return err
		}
		for i, receipt := range receipts {
			id := left[i].Identity()
			r.done[id] = Registered{ID: id, Seq: receipt.Seq, Hash: receipt.Hash}
		}
		left = left[len(events):]
	}
	return t.refresh(ctx)
}
