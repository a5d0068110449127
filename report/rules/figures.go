package rules

import (
	"fmt"
	"slices"
	"strings"
)

// submitted counts the events that producers submitted. Records by the
// log itself, such as that a report was made, are not counted: they would be
// evidence of themselves.
const submitted = "scope.submitted"

// reports counts the reports that were made, which decide nothing.
const reports = "access.reports"

// sectionNames are the sections of a report that a control can cite.
var sectionNames = []string{
	"scope", "integrity", "completeness", "retention", "inventory", "lineage", "usage", "oversight", "safety", "incidents", "privacy", "access",
}

// stateFigures are the figures that are states, and not numbers.
var stateFigures = []string{"integrity.state"}

// figureNames are the figures that a test can be about, by section: numbers and
// states. Package report tests that a report has these and no others.
var figureNames = map[string][]string{
	"scope":        {"events", "submitted", "models", "providers", "deployments", "producers", "subjects"},
	"integrity":    {"state", "records", "unwitnessed", "alterations", "keys"},
	"completeness": {"numbered", "missing", "repeated", "begun", "unanswered", "untraced", "partial", "ahead", "late"},
	"retention":    {"policies", "shortfalls", "shortfalls_ai-act", "shortfalls_hipaa", "shortfalls_colorado", "holds", "expirations", "archived"},
	"inventory":    {"models", "registered", "unregistered", "after_retirement", "unused"},
	"lineage":      {"datasets", "runs", "versions", "evaluations", "prompts", "deployments", "versions_without_data", "datasets_unused", "calls_exact", "calls_inferred", "calls_ambiguous", "calls_unregistered", "calls_unnamed", "faults"},
	"usage":        {"calls", "calls_unknown", "people", "about_nobody", "failed", "failure_rate", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "p50", "p95", "p99"},
	"oversight":    {"reviews", "reviewers", "reviews_by_nobody", "overrides", "override_rate", "wait_median", "wait_p95", "decisions", "feedback", "evaluations"},
	"safety":       {"checks", "blocked", "block_rate", "refusals", "tool_calls", "denied_tools", "incidents"},
	"incidents":    {"incidents", "reported", "running", "overdue", "due", "grave", "unclassified"},
	"privacy":      {"subjects", "actors", "erasures", "erasures_without_basis", "forgotten", "access_answers", "restrictions", "approvals", "expirations"},
	"access":       {"grants", "in_force", "revocations", "denials", "reads", "exports", "reports"},
}

// Figures returns the figures that a test can be about, by the ids that the JSON
// form of a report gives them.
func Figures() []string {
	var all []string
	for _, s := range sectionNames {
		for _, f := range figureNames[s] {
			all = append(all, s+"."+f)
		}
	}
	return all
}

// knownFigure refuses a figure that no report has.
func knownFigure(id string) error {
	section, name, _ := strings.Cut(id, ".")
	switch names, ok := figureNames[section]; {
	case !ok:
		return fmt.Errorf("unknown figure %q: allowed are figures of the sections %s, as %q", id, strings.Join(sectionNames, ", "), submitted)
	case !slices.Contains(names, name):
		return fmt.Errorf("unknown figure %q: allowed are %s.%s", id, section, strings.Join(names, ", "+section+"."))
	}
	return nil
}
