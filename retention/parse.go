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

// ParsePolicy parses a policy file: JSON if it begins with a brace, otherwise
// TOML. Unknown keys are refused.
func ParsePolicy(text []byte) (Policy, error) {
	p, err := parsePolicy(text)
	if err != nil {
		return Policy{}, fmt.Errorf("read retention policy: %w", err)
	}
	return p, nil
}

func parsePolicy(text []byte) (p Policy, err error) {
	if len(text) > maxPolicy {
		return p, fmt.Errorf("the policy is longer than %d bytes", maxPolicy)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return p, errors.New(strings.TrimPrefix(err.Error(), "json: "))
		}
		if _, err := d.Token(); err != io.EOF {
			return p, errors.New("trailing data after the policy")
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
		return p, fmt.Errorf("unknown key %s; docs/retention.md lists the keys", unknown[0])
	}
	return p, p.Check()
}
