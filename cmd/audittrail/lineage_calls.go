package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

func (e *env) lineageCallsCmd() *cobra.Command {
	var when span
	var unregistered bool
	cmd := &cobra.Command{
		Use:   "calls",
		Short: "List which registered version answered which calls",
		Long: `Calls counts the recorded calls by the model, version and deployment that they
name, and shows which registered model version answered them: exactly, inferred
(the only version active at that time), ambiguous (one of several versions), or
unregistered.

` + whenHelp + exits(ends0, ends1, ends2, ends3, ends4),
		Example: `  audittrail lineage calls
  audittrail lineage calls --unregistered -o csv`,
		Args: takes(),
	}
	when.flags(cmd)
	e.left.requireFlag(cmd)
	cmd.Flags().BoolVar(&unregistered, "unregistered", false, "only calls that no registered version answered")
	cmd.RunE = func(*cobra.Command, []string) error {
		q, err := when.query(e.now())
		if err == nil {
			err = e.lineageCalls(q, unregistered)
		}
		if err != nil {
			return fmt.Errorf("lineage calls: %w", err)
		}
		return nil
	}
	return cmd
}

func (e *env) lineageCalls(q query.Query, unregistered bool) error {
	return e.reading(func(s *service.Session) error {
		calls, err := s.Calls(e.ctx, service.CallsRequest{Query: q})
		if err != nil {
			return err
		}
		e.noteFaults(calls.Graph)
		e.left.LeftOut = calls.LeftOut
		e.noteUnknownCalls(calls.UnknownCalls)
		streams := calls.Streams
		if unregistered {
			streams = calls.Unregistered
		}
		columns := []column{
			{name: "calls", width: 9, right: true},
			{name: "model", width: 12},
			{name: "version", width: 8},
			{name: "deployment", width: 12},
			{name: "certainty", width: 12},
			{name: "answered by", width: 17},
		}
		return e.list(columns, func(yield func(row, error) bool) {
			for _, s := range streamsJSON(streams) {
				cells := []string{strconv.FormatUint(s.Calls, 10), s.ModelID, s.ModelVersion, s.DeploymentID, string(s.Certainty), s.answeredBy()}
				if !yield(row{cells, s}, nil) {
					return
				}
			}
		})
	})
}

// answeredBy returns the version that answered calls, or the candidates.
func (s streamJSON) answeredBy() string {
	if s.Model != "" {
		return s.Model
	}
	return strings.Join(s.Candidates, " or ")
}

func (e *env) lineageExplainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain " + recordArg,
		Short: "Show which model version answered one recorded call",
		Long: `Explain shows which model version answered one record, with what certainty, and
the deployment, prompt templates, training runs and datasets upstream of that
version.` + recordArgHelp + exits("0  success, also if the model is not registered", ends1, ends2, ends4),
		Example: `  audittrail lineage explain 17
  audittrail lineage explain 17 -o json`,
		Args: takes(recordArg),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.reading(func(s *service.Session) error {
				x, err := s.ExplainAnswer(e.ctx, service.AnswerRequest{Record: service.ParseRef(args[0])})
				if err != nil {
					return fmt.Errorf("lineage explain %s: %w", args[0], err)
				}
				e.noteFaults(x.Graph)
				return e.explainCall(x.Record, x.Explanation)
			})
		},
	}
}

// An explanationJSON is an explanation in JSON.
type explanationJSON struct {
	Seq          uint64           `json:"seq"`
	Type         string           `json:"type"`
	Time         time.Time        `json:"time"`
	ModelID      string           `json:"model_id,omitempty"`
	ModelVersion string           `json:"model_version,omitempty"`
	DeploymentID string           `json:"deployment_id,omitempty"`
	Certainty    usage.Certainty  `json:"certainty"`
	Reason       string           `json:"reason"`
	Model        string           `json:"model,omitempty"`
	Deployment   string           `json:"deployment,omitempty"`
	Candidates   []string         `json:"candidates,omitempty"`
	Up           []descendantJSON `json:"up"` // the entities upstream of the version
}

func (e *env) explainCall(r *record.Record, x usage.Explanation) error {
	out := explanationJSON{
		Seq: r.Seq, Type: string(r.Event.Type), Time: x.Call.Time.UTC(),
		ModelID: x.Call.ModelID, ModelVersion: x.Call.ModelVersion, DeploymentID: x.Call.DeploymentID,
		Certainty: x.Match.Certainty, Reason: x.Match.Reason,
		Model: idOf(x.Match.Model), Deployment: idOf(x.Match.Deployment), Candidates: idsOf(x.Match.Candidates),
		Up: []descendantJSON{},
	}
	var s sheetBuilder
	s.add("record", strconv.FormatUint(r.Seq, 10))
	s.add("type", out.Type)
	s.add("time", display.Time(out.Time))
	s.add("names", streamJSON{ModelID: out.ModelID, ModelVersion: out.ModelVersion, DeploymentID: out.DeploymentID}.called())
	s.add("certainty", string(out.Certainty)+": "+out.Reason)
	s.add("candidates", strings.Join(out.Candidates, "\n"))
	s.add("answered by", out.Model)
	if m := x.Match.Model; m != nil {
		v := m.Entity.(*lineage.ModelVersion)
		s.add("risk tier", v.RiskTier)
		s.add("intended use", v.IntendedUse)
	}
	s.add("deployment", out.Deployment)
	for _, reach := range x.Upstream {
		out.Up = append(out.Up, descendantJSON{reach.ID, reach.Kind, reach.Depth})
		if reach.Depth > 0 && reach.ID != out.Model { // the model is in the sheet already
			s.add(kindNames[reach.Kind].one, upstreamText(reach.Node))
		}
	}
	if x.Match.Certainty == usage.Unregistered && e.output == asTable {
		s.add("to do", "register it: 'audittrail lineage add model --help'")
	}
	return e.sheet(out, s.fields)
}

// upstreamText describes an entity upstream of an answer.
func upstreamText(n *lineage.Node) string {
	text := n.ID
	d, ok := n.Entity.(*lineage.Dataset)
	if !ok {
		return text
	}
	if d.PersonalData != nil && *d.PersonalData {
		text += ", personal data"
	}
	if d.Licence != "" {
		text += ", " + d.Licence
	}
	return text
}
