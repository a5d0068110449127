// Package rules holds what laws and standards ask for, as far as a log can say
// something about it: files of data, each with its source and the day on which
// it was compared with that. Regulation moves, and a report says which edition
// of a file it used.
//
// A file says what is asked and which figures of a report speak to it;
// [Control.Evaluate] finds the state of a control from them. A state is about the
// evidence in a log. It does not say that anybody complies: most controls are
// also about what no log can see, and say so in "beyond".
package rules

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// A Catalogue is one file of controls.
type Catalogue struct {
	ID     string `toml:"id"`    // how it is selected: "ai-act"
	Title  string `toml:"title"` // what people call it
	Full   string `toml:"full_title"`
	Source string `toml:"source"` // URL of the text
	AsOf   string `toml:"as_of"`  // the day on which the file was compared with it
	Note   string `toml:"note"`

	Controls  []Control  `toml:"control"`
	Deadlines []Deadline `toml:"clock"`

	Digest [sha256.Size]byte `toml:"-"` // of the file
}

// A Control is one thing that is asked for.
type Control struct {
	Place       string   `toml:"place"` // "Art. 12(1)"
	Title       string   `toml:"title"`
	Requirement string   `toml:"asks"`     // in our words; the text is at the source
	AppliesTo   string   `toml:"of"`       // whom it binds
	AppliesFrom string   `toml:"from"`     // the day from which on it applies, if it has one
	Sections    []string `toml:"sections"` // of the report that speak to it
	Tests       []Test   `toml:"test"`     // what the log must show
	State       State    `toml:"state"`    // OutsideLog in the place of tests, or nothing
	NotInLog    string   `toml:"beyond"`   // what remains to be shown otherwise
}

// A Test compares a figure of the report with what is asked.
type Test struct {
	Figure    string `toml:"figure"`
	Condition string `toml:"is"` // "> 0", "= 0", "< 5", ">= 1", "<= 9", or "good"
	// Given is the figure that counts what the test is about: where it is 0, the
	// test decides nothing. See Control.Evaluate for tests without it.
	Given string `toml:"given"`
}

// A Deadline is a time within which incidents must be reported.
type Deadline struct {
	Place string   `toml:"place"`
	Title string   `toml:"title"`
	Days  int      `toml:"days"`
	Kinds []string `toml:"kinds"` // values of the label serious_incident
}

//go:embed catalogues/*.toml
var catalogues embed.FS

// names are the catalogues that come with the program, in the order of reading.
var names = []string{"ai-act", "gdpr", "iso-42001", "nist-ai-rmf", "soc2", "hipaa", "colorado", "owasp-llm"}

// Names returns which catalogues come with the program.
func Names() []string { return slices.Clone(names) }

// Builtin returns the pack of that name.
func Builtin(name string) (*Catalogue, error) {
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("rules: %q is none of %s; a file of your own is given by its path", name, strings.Join(names, ", "))
	}
	text, err := catalogues.ReadFile("catalogues/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, err)
	}
	return Parse(text)
}

// MaxFile bounds a rule file in bytes.
const MaxFile = 1 << 20

// Parse reads a rule file. Its errors name the place in the file, and what is
// allowed there: a rule that was misspelled would be one that nobody checks.
func Parse(text []byte) (*Catalogue, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("rules: the file has more than %d bytes", MaxFile)
	}
	var raw map[string]any
	p := new(Catalogue)
	_, err := toml.Decode(string(text), &raw)
	if err == nil {
		err = checkKeys(raw)
	}
	if err == nil {
		_, err = toml.Decode(string(text), p)
	}
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("rules: line %d: %s", syntax.Position.Line, syntax.Message)
		}
		return nil, fmt.Errorf("rules: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	p.Digest = sha256.Sum256(text)
	return p, nil
}

// The keys of a rule file.
var (
	packKeys    = []string{"id", "title", "full_title", "source", "as_of", "note", "control", "clock"}
	controlKeys = []string{"place", "title", "asks", "of", "from", "sections", "test", "state", "beyond"}
	testKeys    = []string{"figure", "is", "given"}
	clockKeys   = []string{"place", "title", "days", "kinds"}
)

// checkKeys refuses keys that a rule file does not have.
func checkKeys(file map[string]any) error {
	if err := known("the file", file, packKeys); err != nil {
		return err
	}
	for i, c := range tables(file["control"]) {
		where := placeOf("control", i, c["place"])
		if err := known(where, c, controlKeys); err != nil {
			return err
		}
		for j, t := range tables(c["test"]) {
			if err := known(fmt.Sprintf("%s, test %d", where, j+1), t, testKeys); err != nil {
				return err
			}
		}
	}
	for i, c := range tables(file["clock"]) {
		if err := known(placeOf("clock", i, c["place"]), c, clockKeys); err != nil {
			return err
		}
	}
	return nil
}

// known refuses a key that is not allowed.
func known(where string, table map[string]any, allowed []string) error {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(allowed, key) {
			return fmt.Errorf("%s: unknown key %q: allowed are %s", where, key, strings.Join(allowed, ", "))
		}
	}
	return nil
}

// tables returns the tables of an array, in either of TOML's spellings.
func tables(v any) []map[string]any {
	switch v := v.(type) {
	case []map[string]any:
		return v
	case []any:
		var all []map[string]any
		for _, x := range v {
			t, _ := x.(map[string]any) // of another kind is for the decoder to say
			all = append(all, t)
		}
		return all
	}
	return nil
}

// placeOf names an element of an array.
func placeOf(what string, i int, place any) string {
	if s, ok := place.(string); ok && s != "" {
		return fmt.Sprintf("%s %d, %q", what, i+1, s)
	}
	return fmt.Sprintf("%s %d", what, i+1)
}

// DigestText returns the digest of the file in hexadecimal.
func (p *Catalogue) DigestText() string { return hex.EncodeToString(p.Digest[:]) }

func (p *Catalogue) check() error {
	notName := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	u, err := url.Parse(p.Source)
	switch {
	case p.ID == "" || len(p.ID) > 64 || strings.ContainsFunc(p.ID, notName):
		return fmt.Errorf("id is %q: use 1 to 64 lower-case letters, digits and hyphens", p.ID)
	case p.Title == "":
		return errors.New("title is missing")
	case err != nil || u.Scheme == "" || u.Host == "":
		return fmt.Errorf("source is %q: give the address of the text, as https://example.com/rules", p.Source)
	case !isDay(p.AsOf):
		return fmt.Errorf("as_of is %q: give the day on which the file was compared with its source, as 2026-11-25", p.AsOf)
	case len(p.Controls) == 0 && len(p.Deadlines) == 0:
		return errors.New("the file has neither a control nor a clock")
	}
	seen := make(map[string]bool)
	for i := range p.Controls {
		c := &p.Controls[i]
		where := placeOf("control", i, c.Place)
		if err := c.check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if seen[c.Place] {
			return fmt.Errorf("%s: another control before it has this place: each place is there once", where)
		}
		seen[c.Place] = true
	}
	places, kinds := make(map[string]bool), make(map[string]bool)
	for i, c := range p.Deadlines {
		where := placeOf("clock", i, c.Place)
		if c.Place == "" || c.Title == "" || c.Days < 1 || c.Days > 3650 || len(c.Kinds) == 0 {
			return fmt.Errorf("%s: place, title, days (1 to 3650) and kinds must be given", where)
		}
		if places[c.Place] {
			return fmt.Errorf("%s: another clock before it has this place: each place is there once", where)
		}
		places[c.Place] = true
		for _, k := range c.Kinds {
			if k == "" || kinds[k] {
				return fmt.Errorf("%s: kind %q is empty, or in a clock already: each kind has one clock", where, k)
			}
			kinds[k] = true
		}
	}
	return nil
}

func (c *Control) check() error {
	switch {
	case c.Place == "" || c.Title == "" || c.Requirement == "":
		return errors.New("place, title and asks must be given")
	case c.AppliesFrom != "" && !isDay(c.AppliesFrom):
		return fmt.Errorf("from is %q: give a day, as 2026-11-25", c.AppliesFrom)
	case len(c.Sections) == 0:
		return fmt.Errorf("sections is empty: name sections of the report: %s", strings.Join(sectionNames, ", "))
	case c.State != "" && c.State != OutsideLog:
		return fmt.Errorf("state is %q: allowed is %q, in the place of tests; every other state is found by tests, or is in the organisation's file", c.State, OutsideLog)
	case c.State == OutsideLog && len(c.Tests) > 0:
		return fmt.Errorf("a control that is %q has no tests", OutsideLog)
	case c.State == OutsideLog && c.NotInLog == "":
		return fmt.Errorf("state is %q without beyond: say what a log cannot show", OutsideLog)
	case c.State == "" && len(c.Tests) == 0:
		return fmt.Errorf("no tests: give test = [{ figure = \"usage.calls\", is = \"> 0\" }], or state = %q", OutsideLog)
	}
	for i, s := range c.Sections {
		if !slices.Contains(sectionNames, s) {
			return fmt.Errorf("unknown section %q: allowed are %s", s, strings.Join(sectionNames, ", "))
		}
		if slices.Contains(c.Sections[:i], s) {
			return fmt.Errorf("section %q is there twice", s)
		}
	}
	for i, t := range c.Tests {
		if err := t.check(); err != nil {
			return fmt.Errorf("test %d: %w", i+1, err)
		}
		if slices.Contains(c.Tests[:i], t) {
			return fmt.Errorf("test %d: the same test is there before", i+1)
		}
	}
	return nil
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// DeadlineFor returns the deadline of the catalogue for a kind of incident.
func (p *Catalogue) DeadlineFor(kind string) (Deadline, bool) {
	for _, c := range p.Deadlines {
		if slices.Contains(c.Kinds, kind) {
			return c, true
		}
	}
	return Deadline{}, false
}
