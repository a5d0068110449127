// Package rules holds what laws and standards ask for, as far as a log can say
// something about it: files of data, each with its source and the day on which
// it was held against that. Regulation moves, and a report says which edition
// of a file it used.
//
// A file says what is asked and which figures of a report speak to it. It does
// not say that whoever shows these figures complies: most controls are also
// about what no log can see, and say so in "beyond".
package rules

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// A Pack is one rule file.
type Pack struct {
	ID     string `toml:"id"`    // how it is selected: "ai-act"
	Title  string `toml:"title"` // what people call it
	Full   string `toml:"full_title"`
	Source string `toml:"source"` // URL of the text
	AsOf   string `toml:"as_of"`  // the day on which the file was held against it
	Note   string `toml:"note"`

	Controls []Control `toml:"control"`
	Clocks   []Clock   `toml:"clock"`

	Digest [sha256.Size]byte `toml:"-"` // of the file
}

// A Control is one thing that is asked for.
type Control struct {
	Place    string   `toml:"place"` // "Art. 12(1)"
	Title    string   `toml:"title"`
	Asks     string   `toml:"asks"`     // in our words; the text is at the source
	Of       string   `toml:"of"`       // whom it binds
	From     string   `toml:"from"`     // the day from which on it applies, if it has one
	Sections []string `toml:"sections"` // of the report that speak to it
	Tests    []Test   `toml:"test"`     // what the log must show
	AtMost   Verdict  `toml:"at_most"`  // where the log alone cannot evidence more
	Beyond   string   `toml:"beyond"`   // what remains to be shown otherwise
}

// A Test holds a figure of the report against a wish.
type Test struct {
	Figure string `toml:"figure"`
	Is     string `toml:"is"` // "> 0", "= 0", "< 5", ">= 1", "<= 9", or "good"
}

// A Clock is a time within which incidents must be reported.
type Clock struct {
	Place string   `toml:"place"`
	Title string   `toml:"title"`
	Days  int      `toml:"days"`
	Kinds []string `toml:"kinds"` // values of the label serious_incident
}

// A Verdict is what a report says of a control.
type Verdict string

// The verdicts.
const (
	Evidenced    Verdict = "evidenced"
	Partial      Verdict = "partial"
	NotEvidenced Verdict = "not evidenced"
)

//go:embed packs/*.toml
var packs embed.FS

// names are the packs that come with the program, in the order of reading.
var names = []string{"ai-act", "gdpr", "iso-42001", "nist-ai-rmf", "soc2", "hipaa", "colorado", "owasp-llm"}

// Names returns which packs come with the program.
func Names() []string { return slices.Clone(names) }

// Builtin returns the pack of that name.
func Builtin(name string) (*Pack, error) {
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("rules: %q is none of %s; a file of your own is given by its path", name, strings.Join(names, ", "))
	}
	text, err := packs.ReadFile("packs/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, err)
	}
	return Parse(text)
}

// MaxFile bounds a rule file in bytes.
const MaxFile = 1 << 20

// Parse reads a rule file.
func Parse(text []byte) (*Pack, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("rules: the file has more than %d bytes", MaxFile)
	}
	p := new(Pack)
	meta, err := toml.Decode(string(text), p)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("rules: %s is nothing that a rule file has", unknown[0])
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	p.Digest = sha256.Sum256(text)
	return p, nil
}

// DigestText returns the digest of the file in hexadecimal.
func (p *Pack) DigestText() string { return hex.EncodeToString(p.Digest[:]) }

func (p *Pack) check() error {
	notName := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	u, err := url.Parse(p.Source)
	switch {
	case p.ID == "" || len(p.ID) > 64 || strings.ContainsFunc(p.ID, notName):
		return fmt.Errorf("id is %q; 1 to 64 lower-case letters, digits and hyphens are wanted", p.ID)
	case p.Title == "":
		return errors.New("title is missing")
	case err != nil || u.Scheme == "" || u.Host == "":
		return fmt.Errorf("source is %q; the address of the text is wanted", p.Source)
	case !isDay(p.AsOf):
		return fmt.Errorf("as_of is %q; the day on which the file was held against its source is wanted, as 2026-11-25", p.AsOf)
	case len(p.Controls) == 0 && len(p.Clocks) == 0:
		return errors.New("neither a control nor a clock")
	}
	seen := make(map[string]bool)
	for i := range p.Controls {
		c := &p.Controls[i]
		if err := c.check(); err != nil {
			return fmt.Errorf("control %d, %q: %w", i+1, c.Place, err)
		}
		if seen[c.Place] {
			return fmt.Errorf("control %d: %q was there before", i+1, c.Place)
		}
		seen[c.Place] = true
	}
	for i, c := range p.Clocks {
		if c.Place == "" || c.Title == "" || c.Days < 1 || c.Days > 3650 || len(c.Kinds) == 0 {
			return fmt.Errorf("clock %d: place, title, days (1 to 3650) and kinds are wanted", i+1)
		}
	}
	return nil
}

func (c *Control) check() error {
	switch {
	case c.Place == "" || c.Title == "" || c.Asks == "":
		return errors.New("place, title and asks are wanted")
	case c.From != "" && !isDay(c.From):
		return fmt.Errorf("from is %q; a day is wanted, as 2026-11-25", c.From)
	case len(c.Sections) == 0:
		return errors.New("it names no section of the report")
	case len(c.Tests) == 0:
		return errors.New("it has no test")
	case c.AtMost != "" && c.AtMost != Partial:
		return fmt.Errorf("at_most is %q; only %q is possible", c.AtMost, Partial)
	case c.AtMost == Partial && c.Beyond == "":
		return errors.New("at_most without beyond: say what the log cannot show")
	}
	for _, t := range c.Tests {
		if t.Figure == "" {
			return errors.New("a test without a figure")
		}
		if _, err := t.parse(); err != nil {
			return err
		}
	}
	return nil
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// A wish is a test made ready.
type wish struct {
	op string // "good", or a comparison
	n  int64
}

func (t Test) parse() (wish, error) {
	if t.Is == "good" {
		return wish{op: "good"}, nil
	}
	op, number, _ := strings.Cut(t.Is, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !slices.Contains([]string{"=", "<", ">", "<=", ">="}, op) {
		return wish{}, fmt.Errorf("the test of %s is %q; \"good\" or a comparison is wanted, such as \"> 0\"", t.Figure, t.Is)
	}
	return wish{op, n}, nil
}

// Holds tells whether a figure is as the test wants it: a number, or good news.
func (t Test) Holds(n int64, isNumber, isGood bool) bool {
	w, err := t.parse()
	switch {
	case err != nil:
		return false
	case w.op == "good":
		return isGood
	case !isNumber:
		return false
	}
	switch w.op {
	case "=":
		return n == w.n
	case "<":
		return n < w.n
	case ">":
		return n > w.n
	case "<=":
		return n <= w.n
	}
	return n >= w.n
}

// Judge returns the verdict on a control of whose tests so many held.
func (c *Control) Judge(held int) Verdict {
	switch {
	case held == 0:
		return NotEvidenced
	case held < len(c.Tests) || c.AtMost == Partial:
		return Partial
	}
	return Evidenced
}

// ClockFor returns the clock of the pack for a kind of incident.
func (p *Pack) ClockFor(kind string) (Clock, bool) {
	for _, c := range p.Clocks {
		if slices.Contains(c.Kinds, kind) {
			return c, true
		}
	}
	return Clock{}, false
}
