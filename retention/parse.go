package retention

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/BurntSushi/toml"
)

// ParsePolicy reads a policy from a file: in TOML, or, if it begins with a
// brace, in JSON. What it does not know is refused.
func ParsePolicy(text []byte) (Policy, error) {
	p, err := parsePolicy(text)
	if err != nil {
		return Policy{}, fmt.Errorf("read retention policy: %w", err)
	}
	return p, nil
}

func parsePolicy(text []byte) (p Policy, err error) {
	if len(text) > maxPolicy {
		return p, fmt.Errorf("it is longer than %d bytes", maxPolicy)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return p, errors.New(strings.TrimPrefix(err.Error(), "json: "))
		}
		if _, err := d.Token(); err != io.EOF {
			return p, errors.New("something follows behind it")
		}
		return p, p.Check()
	}
	meta, err := toml.Decode(string(text), &p)
	var bad toml.ParseError
	if errors.As(err, &bad) {
		return p, fmt.Errorf("line %d: %s", bad.Position.Line, bad.Message)
	}
	if err != nil {
		return p, errors.New(strings.TrimPrefix(err.Error(), "toml: "))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return p, fmt.Errorf("there is no %s; docs/retention.md has what there is", unknown[0])
	}
	return p, p.Check()
}
