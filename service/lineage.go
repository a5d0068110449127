package service

import (
	"context"

	"audittrail"
	"audittrail/access"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
	"audittrail/record"
)

const (
	asImpact  = "lineage impact"
	asCalls   = "lineage calls"
	asAnswers = "lineage explain"
)

// A LineageRequest asks for the lineage in a log.
type LineageRequest struct {
	// Export asks for it to take along.
	Export bool
}

// A Lineage is what was registered in a log.
type Lineage struct {
	Origin string // of the log
	// Graph has the structure alone, without texts, values, owners and places, if
	// the caller may not read content.
	Graph *lineage.Graph
}

// Lineage returns the lineage in the log. It needs read_events, or to export it
// export_data, without a scope.
func (s *Session) Lineage(ctx context.Context, q LineageRequest) (*Lineage, error) {
	p := access.ReadEvents
	if q.Export {
		p = access.ExportData
	}
	log, _, err := s.v.log(ctx, p)
	if err != nil {
		return nil, err
	}
	l := &Lineage{Origin: log.Origin()}
	l.Graph, err = s.v.graph(ctx, log)
	return l, err
}

// graph reads the lineage of a log, as the caller may see it.
func (v *view) graph(ctx context.Context, log *audittrail.Log) (*lineage.Graph, error) {
	t, err := lineage.Open(ctx, log)
	if err != nil {
		return nil, err
	}
	g, err := t.Graph(ctx)
	if err != nil {
		return nil, err
	}
	opens, err := v.opens(ctx)
	if err == nil && !opens {
		g = g.Structure()
	}
	return g, err
}

// A CallsRequest asks which registered model versions answered which calls.
type CallsRequest struct {
	Query query.Query // which calls
}

// Calls are calls with the model versions that answered them.
type Calls struct {
	Graph   *lineage.Graph
	Streams []usage.CallGroup
	// Unregistered are those of Streams that no registered version answered.
	Unregistered []usage.CallGroup
	LeftOut
}

// Calls tells which registered model versions answered which calls. It needs
// read_events, without a scope.
func (s *Session) Calls(ctx context.Context, q CallsRequest) (*Calls, error) {
	u, err := s.v.usage(ctx, asCalls, q.Query)
	if err != nil {
		return nil, err
	}
	return &Calls{u.graph, u.Groups, u.Unregistered(), u.left}, nil
}

// An ImpactRequest asks what came of a dataset, or of another entity.
type ImpactRequest struct {
	// Name is that of the entity, with or without its version.
	Name  string
	Query query.Query // which calls count
}

// An Impact is what came of an entity.
type Impact struct {
	Graph *lineage.Graph
	// Impact has no Users.
	usage.Impact
	Subjects int // how many users there are
	// Users are whom the calls concern, those who have asked for it to be
	// restricted by their subject ids; nil if the caller may not read content.
	Users []usage.UserCalls
	LeftOut
}

// Impact tells which model versions and deployments descend from an entity, and
// which calls they answered. It needs read_events, without a scope.
func (s *Session) Impact(ctx context.Context, q ImpactRequest) (*Impact, error) {
	u, err := s.v.usage(ctx, asImpact, q.Query)
	if err != nil {
		return nil, err
	}
	of, err := u.graph.Find(q.Name, lineage.KindDataset)
	if err != nil {
		if of, err = u.graph.Find(q.Name); err != nil {
			return nil, err
		}
	}
	im, err := u.Impact(ctx, of)
	if err != nil {
		return nil, err
	}
	out := &Impact{Graph: u.graph, Impact: *im, Subjects: len(im.Users), LeftOut: u.left}
	out.Impact.Users = nil
	opens, err := s.v.opens(ctx)
	if err != nil || !opens {
		return out, err
	}
	names := make([]string, len(im.Users))
	for i, c := range im.Users {
		names[i] = c.User
	}
	if names, err = u.r.users(ctx, names); err != nil {
		return nil, err
	}
	out.Users = make([]usage.UserCalls, len(im.Users))
	for i, c := range im.Users {
		out.Users[i] = c
		out.Users[i].User = names[i]
	}
	return out, nil
}

// An AnswerRequest asks what is upstream of one recorded answer.
type AnswerRequest struct{ Record Ref }

// An Answer is one recorded answer with what is upstream of it.
type Answer struct {
	Record *record.Record // without its content
	Graph  *lineage.Graph
	usage.Explanation
}

// ExplainAnswer tells which model version answered a call, and what is upstream of
// that. It needs read_events, without a scope.
func (s *Session) ExplainAnswer(ctx context.Context, q AnswerRequest) (*Answer, error) {
	r, err := s.v.read(ctx, purpose{command: asAnswers, whole: true})
	if err != nil {
		return nil, err
	}
	rec, err := r.line(ctx, q.Record)
	if err != nil {
		return nil, err
	}
	log, _, err := s.v.log(ctx, access.ReadEvents)
	if err != nil {
		return nil, err
	}
	g, err := s.v.graph(ctx, log)
	if err != nil {
		return nil, err
	}
	return &Answer{rec, g, usage.Explain(g, rec)}, nil
}

// usages are who answered which calls, while that is told.
type usages struct {
	*usage.Usage
	r     *reading
	graph *lineage.Graph
	left  LeftOut
}

// usage finds out who answered the calls that match a query, and what is left out
// of that.
func (v *view) usage(ctx context.Context, command string, q query.Query) (*usages, error) {
	r, err := v.read(ctx, purpose{command: command, whole: true})
	if err != nil {
		return nil, err
	}
	if err := r.asks(ctx, &q); err != nil {
		return nil, err
	}
	log, _, err := v.log(ctx, access.ReadEvents)
	if err != nil {
		return nil, err
	}
	u := &usages{r: r}
	if u.graph, err = v.graph(ctx, log); err != nil {
		return nil, err
	}
	engine := r.engine()
	if u.Usage, err = usage.Compute(ctx, u.graph, engine, q); err != nil {
		return nil, err
	}
	q.Calls = true // as Of asks
	unknown, err := r.unknownCalls(ctx, &q)
	if err != nil {
		return nil, err
	}
	u.left, err = r.leaves(ctx, engine, &q)
	u.left.UnknownCalls = unknown
	return u, err
}
