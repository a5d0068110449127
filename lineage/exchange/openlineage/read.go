package openlineage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Read reads events: one, an array of them, or one a line. Things that are
// known already tell which version of a dataset a run has read where the
// events do not. It returns what the events tell of, and notes on what was
// passed over.
func Read(data []byte, known *lineage.Graph) ([]document.Item, []string, error) {
	values, err := document.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	place := "event "
	if list, ok := values[0].([]any); ok && len(values) == 1 {
		values = list
	}
	x := newReader(known)
	for i, v := range values {
		r := document.NewReader(fmt.Sprint(place, i+1), v)
		x.event(r)
		if err := r.Err(); err != nil {
			return nil, nil, err
		}
	}
	if err := x.finish(); err != nil {
		return nil, nil, err
	}
	x.notes = append(x.notes, document.ZoneNote("eventTime", x.zoneless)...)
	return x.items, x.notes, nil
}

// A key names an entity.
type key struct{ namespace, name, version string }

// seen is what events say of an entity.
type seen struct {
	place string
	at    time.Time
	about document.Object // its members, without what concerns a run alone
	run   string          // that wrote it
	thing lineage.Entity
}

// A use is an entity that an event names.
type use struct {
	reader *document.Reader
	at     time.Time
	key    key
}

// A run is all that events say of one.
type run struct {
	id, place       string
	about           document.Object // of its last event
	extension       document.Object
	begin, last     time.Time
	end             time.Time
	inputs, outputs []use
}

type reader struct {
	runs     map[string]*run
	order    []*run // of runs, as they stand
	jobs     []*run // jobs without a run
	entities map[key]*seen
	keys     []key                // of entities, as they stand
	written  map[[2]string][]*run // who wrote a namespace and name without a version
	known    *lineage.Graph
	knownAs  map[key]*lineage.Node         // of registered entities that the document does not describe again
	told     map[string]bool               // of them: an item is there
	byName   map[[2]string][]*lineage.Node // of what is known
	items    []document.Item
	notes    []string
	zoneless int // times without an offset
}

func newReader(known *lineage.Graph) *reader {
	return &reader{
		runs: make(map[string]*run), entities: make(map[key]*seen), written: make(map[[2]string][]*run),
		known: known, knownAs: make(map[key]*lineage.Node), told: make(map[string]bool),
	}
}

func (x *reader) event(r *document.Reader) {
	checkVersion(r)
	at, noted, err := document.ParseTime(r.Need("eventTime"))
	if err != nil {
		r.Fail("eventTime", "%v", err)
	}
	if noted {
		x.zoneless++
	}
	r.Need("producer")
	switch {
	case r.Has("run"):
		x.runEvent(r, at)
	case r.Has("dataset"):
		u := x.use(r.Inner("dataset"), at)
		x.see(u, "")
	case r.Has("job"):
		x.jobEvent(r, at)
	default:
		r.Fail("", "not an OpenLineage event: it has no run, no dataset and no job")
	}
}

func (x *reader) runEvent(r *document.Reader, at time.Time) {
	id := strings.ToLower(r.Inner("run").Need("runId"))
	if !uuid.MatchString(id) {
		r.Inner("run").Fail("runId", "not a UUID")
	}
	j := r.Inner("job")
	j.Need("namespace")
	j.Need("name")
	if r.Err() != nil {
		return
	}
	one := x.runs[id]
	if one == nil {
		one = &run{id: id, place: r.Place, about: document.Object{}}
		x.runs[id] = one
		x.order = append(x.order, one)
	}
	switch kind := r.String("eventType"); kind {
	case "START":
		one.begin = at
	case "COMPLETE", "FAIL", "ABORT":
		one.end = at
		one.place = r.Place
	case "RUNNING", "OTHER", "":
	default:
		r.Fail("eventType", "use START, RUNNING, COMPLETE, ABORT, FAIL or OTHER")
	}
	about := document.Without(r.Object, "eventTime", "inputs", "outputs")
	if facets := r.Inner("run").Inner("facets"); facets.Has(extension) {
		one.extension = facets.Inner(extension).Object
	}
	j.Inner("facets")
	later := !at.Before(one.last)
	document.Merge(one.about, about, later)
	if later {
		one.last = at
	}
	if n := len(r.Array("inputs")); n > lineage.MaxRefs {
		r.Fail("inputs", "%d of them; at most %d are read", n, lineage.MaxRefs)
		return
	}
	for _, in := range r.Each("inputs") {
		one.inputs = append(one.inputs, x.use(in, at))
	}
	for _, out := range r.Each("outputs") {
		one.outputs = append(one.outputs, x.use(out, at))
	}
}

func (x *reader) jobEvent(r *document.Reader, at time.Time) {
	r.Inner("job").Need("name")
	facets := r.Inner("job").Inner("facets")
	one := &run{place: r.Place, about: document.Without(r.Object, "eventTime", "inputs", "outputs"), last: at}
	if facets.Object[extension] == nil {
		x.notes = append(x.notes, r.Place+": a job without a run describes what could be made, not what was made, and was skipped")
		return
	}
	one.extension = facets.Inner(extension).Object
	for _, in := range r.Each("inputs") {
		one.inputs = append(one.inputs, x.use(in, at))
	}
	x.jobs = append(x.jobs, one)
}

func (x *reader) use(r *document.Reader, at time.Time) use {
	version := r.Inner("facets").Inner("version").String("datasetVersion")
	return use{r, at, key{r.Need("namespace"), r.Need("name"), version}}
}

// see notes what an event says of an entity. Later events take precedence.
func (x *reader) see(u use, run string) {
	s := x.entities[u.key]
	if s == nil {
		s = &seen{place: u.reader.Place, about: document.Object{}}
		x.entities[u.key] = s
		x.keys = append(x.keys, u.key)
	}
	about := document.Without(u.reader.Object, "inputFacets", "outputFacets")
	later := !u.at.Before(s.at)
	document.Merge(s.about, about, later)
	if later {
		s.at = u.at
	}
	if run != "" {
		s.run = run
	}
}

// finish makes things of what was seen: the entities first.
func (x *reader) finish() error {
	var done []*run
	for _, one := range x.order {
		if one.end.IsZero() && one.extension == nil {
			x.notes = append(x.notes, fmt.Sprintf("%s: the run %s has not ended and is registered as far as it is known; import its later events to add to it", one.place, one.id))
		}
		done = append(done, one)
	}
	slices.SortStableFunc(done, func(a, b *run) int {
		if a.end.IsZero() != b.end.IsZero() { // what goes on is last
			return b.end.Compare(a.end)
		}
		return a.end.Compare(b.end)
	})
	for _, one := range done {
		x.outputs(one)
	}
	for _, one := range done {
		for i := range one.inputs {
			in := &one.inputs[i]
			if !x.isKnown(one, &in.key) {
				x.see(*in, "")
			} else if n := x.knownAs[in.key]; !x.told[n.ID] {
				x.told[n.ID] = true
				x.add(n.Entity, in.reader.Place)
			}
		}
	}
	for _, one := range x.jobs {
		for _, in := range one.inputs {
			x.see(in, "")
		}
	}
	for _, k := range x.keys {
		if err := x.entity(k); err != nil {
			return err
		}
	}
	for _, one := range append(done, x.jobs...) {
		if err := x.run(one); err != nil {
			return err
		}
	}
	return nil
}

// outputs notes what a run wrote. An output without a version is the version
// that this run made.
func (x *reader) outputs(one *run) {
	for i := range one.outputs {
		k := &one.outputs[i].key
		if k.version == "" && !x.isOwn(*k) {
			name := [2]string{k.namespace, k.name}
			if w := x.written[name]; !one.end.IsZero() && (len(w) == 0 || w[len(w)-1] != one) {
				x.written[name] = append(w, one)
			}
			k.version = one.id
		}
		x.see(one.outputs[i], runPrefix+one.id)
	}
}
