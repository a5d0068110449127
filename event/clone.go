package event

import (
	"bytes"
	"maps"
)

// Clone returns a copy of e that shares no mutable data with it.
func Clone(e *Event) Event {
	c := *e
	c.InputMessages, c.OutputMessages = bytes.Clone(e.InputMessages), bytes.Clone(e.OutputMessages)
	if c.Tool = clone(e.Tool); c.Tool != nil {
		c.Tool.Arguments, c.Tool.Result = bytes.Clone(e.Tool.Arguments), bytes.Clone(e.Tool.Result)
	}
	c.Latency, c.Cost = clone(e.Latency), clone(e.Cost)
	c.InputTokens, c.OutputTokens = clone(e.InputTokens), clone(e.OutputTokens)
	c.CachedTokens, c.ReasoningTokens = clone(e.CachedTokens), clone(e.ReasoningTokens)
	if c.Producer = clone(e.Producer); c.Producer != nil {
		c.Producer.Seq = clone(e.Producer.Seq)
	}
	c.Labels, c.Metadata = maps.Clone(e.Labels), maps.Clone(e.Metadata)
	for k, v := range c.Metadata {
		c.Metadata[k] = bytes.Clone(v)
	}
	return c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
