package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
)

// A selection has the flags that select the records for a command.
type selection struct {
	query      query.Query
	types      []string
	subjects   []string
	labels     []string
	start, end string
	zone       string
	ranges     map[string]*string
	flags      *pflag.FlagSet
}

// rangeFlags are the flags of ranges of numbers.
var rangeFlags = []struct {
	name, usage string
	scale       int // decimal places
	field       func(*query.Query) *query.Range
}{
	{"input-tokens", "tokens of the input, a `range`: 10..20, 10.. or ..20", 0, func(q *query.Query) *query.Range { return &q.InputTokens }},
	{"output-tokens", "tokens of the output, a `range`", 0, func(q *query.Query) *query.Range { return &q.OutputTokens }},
	{"cached-tokens", "tokens of the input that were cached, a `range`", 0, func(q *query.Query) *query.Range { return &q.CachedTokens }},
	{"reasoning-tokens", "tokens of the output that were reasoning, a `range`", 0, func(q *query.Query) *query.Range { return &q.ReasoningTokens }},
	{"latency-ms", "duration in milliseconds, a `range`: 150.5..", 3, func(q *query.Query) *query.Range { return &q.Latency }},
	{"cost", "cost in any currency, a `range`: ..0.05", 9, func(q *query.Query) *query.Range { return &q.Cost }},
}

// selectionFlags adds the flags of a selection.
func selectionFlags(cmd *cobra.Command) *selection {
	s := &selection{ranges: map[string]*string{}, flags: cmd.Flags()}
	f, q := cmd.Flags(), &s.query
	f.SortFlags = false
	f.StringSliceVarP(&s.types, "type", "t", nil, "type of event: prompt, response, tool_call, …, or x.NAME; may be repeated like the next flags, and one of the values must match")
	f.StringArrayVarP(&q.Models, "model", "m", nil, "model")
	f.StringArrayVar(&q.Versions, "model-version", nil, "version of the model")
	f.StringArrayVar(&q.Providers, "provider", nil, "organisation that runs the model")
	f.StringArrayVar(&q.Deployments, "deployment", nil, "deployment of the model")
	f.StringArrayVarP(&q.Users, "user", "u", nil, "person whom the data is about")
	f.StringArrayVar(&q.Actors, "actor", nil, "person who acted, such as the reviewer of a decision")
	f.StringArrayVar(&s.subjects, "subject", nil, "subject id of a user in the log: 32 hexadecimal digits")
	f.StringArrayVar(&q.Sessions, "session", nil, "session or conversation")
	f.StringArrayVar(&q.Traces, "trace", nil, "trace id")
	f.StringSliceVar(&q.Sources, "source", nil, "way in which the event reached the log: app, telemetry, gateway, mcp, import or log")
	f.StringArrayVar(&q.Producers, "producer", nil, "program that sent the event")
	f.StringSliceVar(&q.Outcomes, "outcome", nil, "success, error, partial, blocked, refused, timeout or cancelled")
	f.StringSliceVar(&q.Severities, "severity", nil, "info, low, medium, high or critical")
	f.StringArrayVar(&q.Categories, "category", nil, "category of your own")
	f.StringArrayVar(&q.Tools, "tool", nil, "name of the tool")
	f.StringArrayVar(&q.Classes, "class", nil, "retention class (standard), or one of its months (standard/2026-11)")
	f.StringArrayVar(&s.labels, "label", nil, "label, `KEY=VALUE`; all labels must match")
	timeFlags(f, &s.start, &s.end, &s.zone)
	for _, r := range rangeFlags {
		s.ranges[r.name] = f.String(r.name, "", r.usage)
	}
	f.StringVar(&q.Text, "text", "", "`words` in the content: refund \"credit card\" -test prompt:order* (a OR b) substring:\"x-\"")
	f.StringVar(&q.Filter, "filter", "", "`expression` in CEL over the cleartext fields: latency_ms > 100.0 && labels[\"team\"] == \"x\"")
	for name, values := range map[string][]string{
		"type": typeNames(), "outcome": event.Outcomes(), "severity": event.Severities(), "source": sourceNames(),
	} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	return s
}

func sourceNames() []string {
	var names []string
	for _, s := range record.Sources() {
		names = append(names, string(s))
	}
	return names
}

// callsFlag adds the flag that asks for calls.
func (s *selection) callsFlag() {
	s.flags.BoolVar(&s.query.Calls, "calls", false, "only records that count as calls of models, each call once: see docs/query.md")
}

// timeFlags adds the flags of a span of time.
func timeFlags(f *pflag.FlagSet, start, end, zone *string) {
	f.StringVar(start, "start", "", "earliest `time` of the event: 2026-11-02T15:04:05Z, 2026-11-02, yesterday, 7d (7 days ago)")
	f.StringVar(end, "end", "", "`time` before which the event happened")
	f.StringVar(zone, "zone", "", "time `zone` of dates and of printed times: Europe/Berlin, local (default UTC)")
}

// read returns the query that the flags describe.
func (s *selection) read(now time.Time) (query.Query, *time.Location, error) {
	q := s.query
	if err := emptyFlag(s.flags); err != nil { // an unset variable of a script would select everything
		return q, nil, err
	}
	zone, err := zoneOf(s.zone)
	if err == nil {
		q.Start, err = parseWhen("start", s.start, now, zone)
	}
	if err == nil {
		q.End, err = parseWhen("end", s.end, now, zone)
	}
	if err != nil {
		return q, nil, err
	}
	for _, t := range s.types {
		q.Types = append(q.Types, event.Type(t))
	}
	for _, text := range s.subjects {
		subject, err := record.ParseSubject(text)
		if err != nil {
			return q, nil, fmt.Errorf("read --subject: %w", err)
		}
		q.Subjects = append(q.Subjects, subject)
	}
	for _, label := range s.labels {
		k, v, ok := strings.Cut(label, "=")
		if !ok || k == "" {
			return q, nil, fmt.Errorf("read --label: invalid label %q: use KEY=VALUE", label)
		}
		if had, ok := q.Labels[k]; ok && had != v {
			return q, nil, fmt.Errorf("read --label: two values are given for %s, and no record has both; give one", k)
		}
		if q.Labels == nil {
			q.Labels = map[string]string{}
		}
		q.Labels[k] = v
	}
	for _, r := range rangeFlags {
		if *r.field(&q), err = parseRange(r.name, *s.ranges[r.name], r.scale); err != nil {
			return q, nil, err
		}
	}
	return q, zone, nil
}

// parseRange parses A..B, A.., ..B or A.
func parseRange(flag, text string, scale int) (query.Range, error) {
	if text == "" {
		return query.Range{}, nil
	}
	low, high, ok := strings.Cut(text, "..")
	if !ok {
		high = low
	}
	var r query.Range
	for _, end := range []struct {
		text string
		to   **int64
	}{{low, &r.Min}, {high, &r.Max}} {
		if end.text == "" {
			continue
		}
		n, err := strconv.ParseFloat(end.text, 64)
		n *= math.Pow10(scale)
		if err != nil || math.IsNaN(n) || math.Abs(n) > event.MaxInt || scale == 0 && n != math.Trunc(n) {
			return r, fmt.Errorf("read --%s: invalid range %q: use 10..20, 10.. or ..20", flag, text)
		}
		*end.to = new(int64(math.Round(n)))
	}
	if r.Min == nil && r.Max == nil {
		return r, fmt.Errorf("read --%s: invalid range %q: use 10..20, 10.. or ..20", flag, text)
	}
	return r, nil
}
