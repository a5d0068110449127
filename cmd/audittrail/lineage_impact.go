package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
	"audittrail/service"
)

// A span bounds the time of the calls that count.
type span struct{ start, end, zone string }

func (s *span) flags(cmd *cobra.Command) { timeFlags(cmd.Flags(), &s.start, &s.end, &s.zone) }

func (s *span) query(now time.Time) (q query.Query, err error) {
	zone, err := zoneOf(s.zone)
	if err == nil {
		q.Start, err = parseWhen("start", s.start, now, zone)
	}
	if err == nil {
		q.End, err = parseWhen("end", s.end, now, zone)
	}
	return q, err
}

func (e *env) lineageImpactCmd() *cobra.Command {
	var when span
	cmd := &cobra.Command{
		Use:   "impact DATASET[@VERSION]",
		Short: "List what a dataset affected, down to calls and users",
		Long: `Impact lists the model versions and deployments downstream of a dataset, or of
any other entity, the recorded calls that these answered, the users concerned
and the days. Calls are assigned to a model version by the model, version and
deployment recorded with them; calls that one of several versions may have
answered are counted separately. Calls of unregistered models are listed, too,
since their lineage is not known.

A NAME without a version selects all versions. With a token that does not permit
read_content, the output has the number of users, and not their names.

` + whenHelp + exits(ends0, ends1, ends2, ends3, ends4),
		Example: `  audittrail lineage impact tickets@2026-10
  audittrail lineage impact tickets --start 2026-11-01 -o json`,
		Args: takes("DATASET[@VERSION]"),
	}
	when.flags(cmd)
	e.left.requireFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		q, err := when.query(e.now())
		if err == nil {
			err = e.lineageImpact(args[0], q)
		}
		if err != nil {
			return fmt.Errorf("lineage impact: %w", err)
		}
		return nil
	}
	return cmd
}

func (e *env) lineageImpact(name string, q query.Query) error {
	return e.reading(func(s *service.Session) error {
		im, err := s.Impact(e.ctx, service.ImpactRequest{Name: name, Query: q})
		if err != nil {
			return err
		}
		e.noteFaults(im.Graph)
		e.left.LeftOut = im.LeftOut
		e.noteUnknownCalls(im.UnknownCalls)
		if im.Users == nil {
			e.note("the token does not permit read_content: the names of the users are left out")
		}
		return e.showImpact(im)
	})
}

// An impactJSON is an impact in JSON.
type impactJSON struct {
	Of           []string          `json:"of"`
	Models       []string          `json:"models"`
	Deployments  []string          `json:"deployments"`
	Descendants  []descendantJSON  `json:"descendants"`
	Calls        uint64            `json:"calls"`
	Possible     uint64            `json:"possible"`
	Subjects     int               `json:"subjects"`
	Users        []usage.UserCalls `json:"users"` // null if the token does not permit them
	Days         []usage.DayCalls  `json:"days"`
	Streams      []streamJSON      `json:"streams"`
	Unregistered []streamJSON      `json:"unregistered"`
	LeftOut      *service.LeftOut  `json:"left_out,omitempty"`
}

type descendantJSON struct {
	ID    string       `json:"id"`
	Kind  lineage.Kind `json:"kind"`
	Depth int          `json:"depth"`
}

// A streamJSON is a call group: calls that carry the same names.
type streamJSON struct {
	ModelID      string            `json:"model_id,omitempty"`
	ModelVersion string            `json:"model_version,omitempty"`
	DeploymentID string            `json:"deployment_id,omitempty"`
	Calls        uint64            `json:"calls"`
	Types        map[string]uint64 `json:"types"`
	First        time.Time         `json:"first"`
	Last         time.Time         `json:"last"`
	Certainty    usage.Certainty   `json:"certainty"`
	Model        string            `json:"model,omitempty"`
	Deployment   string            `json:"deployment,omitempty"`
	Candidates   []string          `json:"candidates,omitempty"`
	Reason       string            `json:"reason"`
}

func streamsJSON(streams []usage.CallGroup) []streamJSON {
	out := make([]streamJSON, len(streams))
	for i, s := range streams {
		out[i] = streamJSON{
			ModelID: s.ModelID, ModelVersion: s.ModelVersion, DeploymentID: s.DeploymentID,
			Calls: s.Calls, Types: s.Types, First: s.First.UTC(), Last: s.Last.UTC(),
			Certainty: s.Match.Certainty, Model: idOf(s.Match.Model), Deployment: idOf(s.Match.Deployment),
			Candidates: idsOf(s.Match.Candidates), Reason: s.Match.Reason,
		}
	}
	return out
}

// idOf returns the id of a node, or an empty one for nil.
func idOf(n *lineage.Node) string {
	if n == nil {
		return ""
	}
	return n.ID
}

func idsOf(nodes []*lineage.Node) []string {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	return ids
}

// mostNamed is how many entities of a kind an answer names on a terminal.
const mostNamed = 10

func (e *env) showImpact(im *service.Impact) error {
	out := impactJSON{
		Of: idsOf(im.Roots), Models: []string{}, Deployments: []string{}, Descendants: []descendantJSON{},
		Calls: im.Calls, Possible: im.Possible, Subjects: im.Subjects, Users: im.Users, Days: im.Days,
		Streams: streamsJSON(im.Groups), Unregistered: streamsJSON(im.Unregistered),
		LeftOut: e.omitted(),
	}
	if out.Days == nil {
		out.Days = []usage.DayCalls{}
	}
	for _, r := range im.Descendants {
		switch r.Kind {
		case lineage.KindModel:
			out.Models = append(out.Models, r.ID)
		case lineage.KindDeployment:
			out.Deployments = append(out.Deployments, r.ID)
		}
		if r.Depth > 0 {
			out.Descendants = append(out.Descendants, descendantJSON{r.ID, r.Kind, r.Depth})
		}
	}
	unregistered := uint64(0)
	for _, s := range im.Unregistered {
		unregistered += s.Calls
	}
	days := display.Number(len(out.Days))
	if n := len(out.Days); n > 0 && e.output == asTable {
		days += fmt.Sprintf(", from %s to %s", out.Days[0].Day, out.Days[n-1].Day)
	}
	fields := []field{
		{"of", e.several(out.Of)},
		{"model versions", e.several(out.Models)},
		{"deployments", e.several(out.Deployments)},
		{"calls", display.Number(im.Calls)},
		{"possible", display.Number(im.Possible)},
		{"users", display.Number(out.Subjects)},
		{"days", days},
		{"unregistered", display.Number(unregistered)},
	}
	if e.output == asTable {
		fields = append(fields, e.impactDetails(out)...)
	}
	return e.sheet(out, fields)
}

// several lists names one a line, and in a table at most mostNamed of them.
func (e *env) several(names []string) string {
	if e.output != asTable || len(names) == 0 {
		return strconv.Itoa(len(names))
	}
	var text strings.Builder
	text.WriteString(display.Number(len(names)) + ": " + names[0])
	for _, name := range names[1:min(len(names), mostNamed)] {
		text.WriteString("\n   " + name)
	}
	if more := len(names) - mostNamed; more > 0 {
		text.WriteString("\n   and " + display.Number(more) + " more")
	}
	return text.String()
}

// impactDetails adds the users with the most calls, and the calls whose model is
// not registered.
func (e *env) impactDetails(im impactJSON) []field {
	var fields []field
	for i, u := range im.Users[:min(len(im.Users), mostNamed)] {
		name := ""
		if i == 0 {
			name = "most calls"
		}
		fields = append(fields, field{name, display.OneLine(u.User) + ": " + display.Number(u.Calls)})
	}
	unknown := slices.Clone(im.Unregistered)
	slices.SortStableFunc(unknown, func(a, b streamJSON) int { return cmp.Compare(b.Calls, a.Calls) })
	for i, s := range unknown[:min(len(unknown), mostNamed)] {
		name := ""
		if i == 0 {
			name = "not known"
		}
		fields = append(fields, field{name, fmt.Sprintf("%s: %s, %s", display.OneLine(s.called()), display.Count(s.Calls, "call", "calls"), s.Certainty)})
	}
	if len(unknown) > mostNamed {
		fields = append(fields, field{"", "'audittrail lineage calls --unregistered' lists all"})
	}
	return fields
}

// called returns the model, version and deployment that calls name.
func (s streamJSON) called() string {
	text := strings.TrimSpace(s.ModelID + " " + s.ModelVersion)
	if s.DeploymentID != "" {
		text = strings.TrimSpace(text + " at " + s.DeploymentID)
	}
	return text
}
