package retention

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed floors.json
var floorsFile []byte

// A Floor is a time for which a law wants records kept, at least. They are data,
// in floors.json: law moves.
type Floor struct {
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
	OfLogs      = "logs"
	OfDocuments = "documents"
)

// Floors returns the legal floors that are known.
func Floors() []Floor {
	var file struct {
		Floors []Floor `json:"floors"`
	}
	d := json.NewDecoder(bytes.NewReader(floorsFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		panic("retention: floors.json: " + err.Error()) // it is compiled in, and a test reads it
	}
	return file.Floors
}

// Frameworks returns the names of the frameworks that have floors.
func Frameworks() []string {
	var names []string
	for _, f := range Floors() {
		if !slices.Contains(names, f.Framework) {
			names = append(names, f.Framework)
		}
	}
	return names
}

// A Shortfall is a class that is kept for less than a law wants.
type Shortfall struct {
	Class string `json:"class"`
	Keeps Period `json:"keeps"`
	Floor Floor  `json:"floor"`
}

func (s *Shortfall) String() string {
	return fmt.Sprintf("class %s is kept for %s; %s wants %s at least (%s)", s.Class, s.Keeps, s.Floor.Rule, s.Floor.AtLeast, s.Floor.Source)
}

// Shortfalls holds a policy against the floors of some frameworks.
func (p *Policy) Shortfalls(frameworks []string) []Shortfall {
	var out []Shortfall
	for _, c := range p.Classes {
		if c.KeepFor.IsZero() {
			continue
		}
		for _, f := range Floors() {
			if f.Of == OfLogs && slices.Contains(frameworks, f.Framework) && c.KeepFor.shorter(f.AtLeast) {
				out = append(out, Shortfall{c.Name, c.KeepFor, f})
			}
		}
	}
	return out
}
