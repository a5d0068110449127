package retention

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed minimums.json
var minimumsFile []byte

// A StatutoryMinimum is the least time for which a law requires records to be
// kept. The minimums are data, in minimums.json, since laws change.
type StatutoryMinimum struct {
	ID        string `json:"id"`
	Framework string `json:"framework"`
	Rule      string `json:"rule"`
	Source    string `json:"source"`
	// Of says what must be kept: logs, or documents about the system. The
	// documents in a log are its governance records, which are kept
	// permanently.
	Of      string `json:"of"`
	AtLeast Period `json:"at_least"`
	// Applies is the date from which the minimum applies, YYYY-MM-DD; if empty,
	// see its source.
	Applies string `json:"applies,omitempty"`
	Note    string `json:"note,omitempty"`
}

// The values of Of.
const (
	ForLogs      = "logs"
	ForDocuments = "documents"
)

// StatutoryMinimums returns all known statutory minimums.
func StatutoryMinimums() []StatutoryMinimum {
	var file struct {
		Floors []StatutoryMinimum `json:"floors"`
	}
	d := json.NewDecoder(bytes.NewReader(minimumsFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		panic("retention: minimums.json: " + err.Error()) // the file is compiled in, and a test reads it
	}
	return file.Floors
}

// Frameworks returns the names of the frameworks that have statutory minimums.
func Frameworks() []string {
	var names []string
	for _, f := range StatutoryMinimums() {
		if !slices.Contains(names, f.Framework) {
			names = append(names, f.Framework)
		}
	}
	return names
}

// A MinimumViolation is a class that is kept for less than a statutory minimum.
type MinimumViolation struct {
	Class   string           `json:"class"`
	Keeps   Period           `json:"keeps"`
	Minimum StatutoryMinimum `json:"floor"`
}

func (s *MinimumViolation) String() string {
	return fmt.Sprintf("class %s is kept for %s; %s requires at least %s (%s)", s.Class, s.Keeps, s.Minimum.Rule, s.Minimum.AtLeast, s.Minimum.Source)
}

// MinimumViolations returns the classes of a policy that are kept for less than
// a statutory minimum of some frameworks.
func (p *Policy) MinimumViolations(frameworks []string) []MinimumViolation {
	var out []MinimumViolation
	for _, c := range p.Classes {
		if c.KeepFor.IsZero() {
			continue
		}
		for _, f := range StatutoryMinimums() {
			if f.Of == ForLogs && slices.Contains(frameworks, f.Framework) && c.KeepFor.shorter(f.AtLeast) {
				out = append(out, MinimumViolation{c.Name, c.KeepFor, f})
			}
		}
	}
	return out
}
