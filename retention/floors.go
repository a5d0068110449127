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

// A StatutoryMinimum is a time for which a law wants records kept, at least. They are data,
// in minimums.json: law moves.
type StatutoryMinimum struct {
	ID        string `json:"id"`
	Framework string `json:"framework"`
	Rule      string `json:"rule"`
	Source    string `json:"source"`
	// Of is what is to be kept: logs, or documents about the system. Documents
	// are what governs a log, which is kept for good.
	Of      string `json:"of"`
	AtLeast Period `json:"at_least"`
	// Applies is from when, YYYY-MM-DD; empty if that is for its source to say.
	Applies string `json:"applies,omitempty"`
	Note    string `json:"note,omitempty"`
}

// What a floor can be of.
const (
	ForLogs      = "logs"
	ForDocuments = "documents"
)

// StatutoryMinimums returns the statutory minimums that are known.
func StatutoryMinimums() []StatutoryMinimum {
	var file struct {
		Floors []StatutoryMinimum `json:"floors"`
	}
	d := json.NewDecoder(bytes.NewReader(minimumsFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		panic("retention: minimums.json: " + err.Error()) // it is compiled in, and a test reads it
	}
	return file.Floors
}

// Frameworks returns the names of the frameworks that have floors.
func Frameworks() []string {
	var names []string
	for _, f := range StatutoryMinimums() {
		if !slices.Contains(names, f.Framework) {
			names = append(names, f.Framework)
		}
	}
	return names
}

// A MinimumViolation is a class that is kept for less than a law wants.
type MinimumViolation struct {
	Class   string           `json:"class"`
	Keeps   Period           `json:"keeps"`
	Minimum StatutoryMinimum `json:"floor"`
}

func (s *MinimumViolation) String() string {
	return fmt.Sprintf("class %s is kept for %s; %s wants %s at least (%s)", s.Class, s.Keeps, s.Minimum.Rule, s.Minimum.AtLeast, s.Minimum.Source)
}

// MinimumViolations holds a policy against the statutory minimums of some frameworks.
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
