package lineage

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// MaxBatch is how many things RegisterAll takes at once.
const MaxBatch = 200_000

// A ThingError names the thing for which several are refused.
type ThingError struct {
	ID  string
	Err error
}

func (e *ThingError) Error() string { return e.ID + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *ThingError) Unwrap() error { return e.Err }

// RegisterAll registers things that may refer to each other, in whatever order
// they stand. All of them are checked before the first is recorded, and a
// *[ThingError] names what is refused. If it is interrupted, do it again: what
// was registered is there already.
func (t *Tracker) RegisterAll(ctx context.Context, things []Thing) ([]Registered, error) {
	waves, err := arrange(things)
	if err != nil {
		return nil, fmt.Errorf("register things: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("register things: %w", err)
	}
	now := time.Now()
	done, waves, err := t.rehearse(waves, now)
	if err != nil {
		return nil, fmt.Errorf("register things: %w", err)
	}
	for _, wave := range waves {
		if err := t.record(ctx, wave, now, done); err != nil {
			return nil, fmt.Errorf("register things: %w", err)
		}
	}
	out := make([]Registered, len(things))
	for i, thing := range things {
		out[i] = done[thing.Identity()]
	}
	return out, nil
}

// CheckAll says what RegisterAll would do, and records nothing: things that are
// not registered yet have no record.
func (t *Tracker) CheckAll(ctx context.Context, things []Thing) ([]Registered, error) {
	waves, err := arrange(things)
	if err != nil {
		return nil, fmt.Errorf("check things: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("check things: %w", err)
	}
	done, _, err := t.rehearse(waves, time.Now())
	if err != nil {
		return nil, fmt.Errorf("check things: %w", err)
	}
	out := make([]Registered, len(things))
	for i, thing := range things {
		out[i] = done[thing.Identity()]
		out[i].ID = thing.Identity()
	}
	return out, nil
}

// arrange completes things and sorts them into waves.
func arrange(things []Thing) ([][]Thing, error) {
	if len(things) > MaxBatch {
		return nil, fmt.Errorf("%d of them: at most %d are possible at once", len(things), MaxBatch)
	}
	for _, thing := range things {
		if err := Complete(thing); err != nil {
			return nil, &ThingError{nameOf(thing), err}
		}
	}
	return order(things)
}

func nameOf(t Thing) string {
	if id := t.Identity(); id != "" {
		return id
	}
	return "a " + string(t.Kind())
}

// order sorts things into waves: what one of them refers to, of these things,
// is in an earlier wave. Things that stand there twice are there once.
func order(things []Thing) ([][]Thing, error) {
	byID := make(map[string]Thing, len(things))
	for _, thing := range things {
		id := thing.Identity()
		if other, ok := byID[id]; ok {
			n := &Node{ID: id, Kind: other.Kind(), Thing: other}
			if err := (*Graph)(nil).compare(n, thing); err != nil {
				return nil, &ThingError{id, fmt.Errorf("it stands there twice, and the two differ")}
			}
			continue
		}
		byID[id] = thing
	}
	depth := make(map[string]int, len(things)) // in waves, from 1; -1 while it is looked at
	var waves [][]Thing
	for _, thing := range things {
		if err := place(thing, byID, depth, &waves); err != nil {
			return nil, err
		}
	}
	return waves, nil
}

// place puts a thing into its wave, after those that it refers to. It keeps its
// own stack, since references may be as deep as there are things.
func place(begin Thing, byID map[string]Thing, depth map[string]int, waves *[][]Thing) error {
	type frame struct {
		thing Thing
		refs  []string
	}
	enter := func(t Thing) frame {
		depth[t.Identity()] = -1
		var refs []string
		for _, f := range t.fields() {
			f.references(func(id string) { refs = append(refs, id) })
		}
		return frame{t, refs}
	}
	if depth[begin.Identity()] != 0 {
		return nil
	}
	stack := []frame{enter(begin)}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		id := top.thing.Identity()
		if len(top.refs) > 0 {
			ref := top.refs[0]
			top.refs = top.refs[1:]
			other, ours := byID[ref]
			switch {
			case !ours || depth[ref] > 0:
			case depth[ref] == 0:
				stack = append(stack, enter(other))
			default:
				var path []string
				for i := len(stack) - 1; i >= 0; i-- {
					path = append(path, stack[i].thing.Identity())
					if stack[i].thing.Identity() == ref {
						break
					}
				}
				return &CycleError{append([]string{ref}, path...)}
			}
			continue
		}
		wave := 1
		for _, f := range top.thing.fields() {
			f.references(func(ref string) { wave = max(wave, depth[ref]+1) })
		}
		depth[id] = wave
		for len(*waves) < wave {
			*waves = append(*waves, nil)
		}
		(*waves)[wave-1] = append((*waves)[wave-1], top.thing)
		stack = stack[:len(stack)-1]
	}
	return nil
}

// rehearse admits all things to a copy of the graph. It returns those that are
// there already, and the waves without them; called with mu held.
func (t *Tracker) rehearse(waves [][]Thing, now time.Time) (map[string]Registered, [][]Thing, error) {
	done := make(map[string]Registered)
	trial := t.graph.clone()
	var left [][]Thing
	for _, wave := range waves {
		var fresh []Thing
		for _, thing := range wave {
			known, err := trial.admit(thing, now)
			if err != nil {
				return nil, nil, &ThingError{nameOf(thing), err}
			}
			if known != nil {
				done[known.ID] = Registered{ID: known.ID, Seq: known.Seq, Hash: known.Hash, Duplicate: true}
				continue
			}
			trial.add(&Node{ID: thing.Identity(), Kind: thing.Kind(), Thing: thing, Registered: now})
			fresh = append(fresh, thing)
		}
		if len(fresh) > 0 {
			left = append(left, fresh)
		}
	}
	return done, left, nil
}

// together is how many records of a wave are under way at a time, to share
// their syncs.
const together = 256

// record records things that do not refer to each other; called with mu held.
func (t *Tracker) record(ctx context.Context, wave []Thing, now time.Time, done map[string]Registered) error {
	receipts := make([]Registered, len(wave))
	errs := make([]error, len(wave))
	for begin := 0; begin < len(wave); begin += together {
		var wg sync.WaitGroup
		end := min(begin+together, len(wave))
		for i := begin; i < end; i++ {
			e := t.eventOf(wave[i], now)
			wg.Go(func() {
				receipt, err := t.log.Administer(ctx, e)
				receipts[i], errs[i] = Registered{ID: wave[i].Identity(), Seq: receipt.Seq, Hash: receipt.Hash}, err
			})
		}
		wg.Wait()
		for i := begin; i < end; i++ {
			if errs[i] != nil {
				return &ThingError{wave[i].Identity(), errs[i]}
			}
			done[receipts[i].ID] = receipts[i]
		}
	}
	return t.refresh(ctx)
}
