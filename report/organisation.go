package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"audittrail/report/document"
	"audittrail/report/rules"
)

// maxWords bounds what an organisation says of itself, in bytes each.
const maxWords = 1000

// ParseOrganisation reads an organisation's file: whose systems these are, for
// whom the report is made, and which controls do not apply to them, with the
// reason. Packs are the rules of the report; what it says of others that come
// with the program is checked as well. Its errors name the place in the file.
func ParseOrganisation(text []byte, packs []*rules.Catalogue) (*document.Organisation, error) {
	if len(text) > MaxOrganisation {
		return nil, fmt.Errorf("organisation: the file has more than %d bytes", MaxOrganisation)
	}
	var file struct {
		Name          string `toml:"name"`
		Systems       string `toml:"systems"`
		For           string `toml:"for"`
		NotApplicable []struct {
			Rules  string `toml:"rules"`
			Place  string `toml:"place"`
			Reason string `toml:"reason"`
		} `toml:"not_applicable"`
	}
	meta, err := toml.Decode(string(text), &file)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("organisation: line %d: %s", syntax.Position.Line, syntax.Message)
	case err != nil:
		return nil, fmt.Errorf("organisation: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("organisation: unknown key %q: allowed are name, systems, for and not_applicable, and in that rules, place and reason", unknown[0].String())
	}
	o := &document.Organisation{Name: strings.TrimSpace(file.Name), Systems: strings.TrimSpace(file.Systems), For: strings.TrimSpace(file.For)}
	if o.Name+o.Systems+o.For == "" && len(file.NotApplicable) == 0 {
		return nil, errors.New("organisation: the file states nothing: give name, systems, for or not_applicable")
	}
	for _, said := range []struct{ key, value string }{{"name", o.Name}, {"systems", o.Systems}, {"for", o.For}} {
		if len(said.value) > maxWords {
			return nil, fmt.Errorf("organisation: %s has %d bytes: use at most %d", said.key, len(said.value), maxWords)
		}
	}
	for i, n := range file.NotApplicable {
		entry := document.NotApplicable{Rules: n.Rules, Place: n.Place, Reason: strings.TrimSpace(n.Reason)}
		if err := checkNotApplicable(entry, o.NotApplicable, packs); err != nil {
			return nil, fmt.Errorf("organisation: not_applicable %d: %w", i+1, err)
		}
		o.NotApplicable = append(o.NotApplicable, entry)
	}
	return o, nil
}

// checkNotApplicable refuses an entry without a reason, one that is there
// before, and one that names no control.
func checkNotApplicable(n document.NotApplicable, before []document.NotApplicable, packs []*rules.Catalogue) error {
	var pack *rules.Catalogue
	if at := slices.IndexFunc(packs, func(p *rules.Catalogue) bool { return p.ID == n.Rules }); at >= 0 {
		pack = packs[at]
	} else if p, err := rules.Builtin(n.Rules); err == nil {
		pack = p
	} else {
		allowed := rules.Names()
		for _, p := range packs {
			if !slices.Contains(allowed, p.ID) {
				allowed = append(allowed, p.ID)
			}
		}
		return fmt.Errorf("unknown rules %q: allowed are %s", n.Rules, strings.Join(allowed, ", "))
	}
	if n.Place != "" && !slices.ContainsFunc(pack.Controls, func(c rules.Control) bool { return c.Place == n.Place }) {
		places := make([]string, len(pack.Controls))
		for i, c := range pack.Controls {
			places[i] = fmt.Sprintf("%q", c.Place)
		}
		return fmt.Errorf("unknown place %q: allowed in %s are %s, or none for all of it", n.Place, n.Rules, strings.Join(places, ", "))
	}
	switch {
	case n.Reason == "":
		return fmt.Errorf("reason is empty: say why %s does not apply", strings.TrimSpace(n.Rules+" "+n.Place))
	case len(n.Reason) > maxWords:
		return fmt.Errorf("reason has %d bytes: use at most %d", len(n.Reason), maxWords)
	}
	for _, b := range before {
		if b.Rules == n.Rules && (b.Place == n.Place || b.Place == "") {
			return fmt.Errorf("%s is there before", strings.TrimSpace(n.Rules+" "+n.Place))
		}
	}
	return nil
}
