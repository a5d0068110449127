package event

import (
	"errors"
	"strings"
)

// Parts is the set of those encrypted fields that an event has, so that a
// reader without keys can distinguish a request from an answer. It does not
// reveal the values of the fields.
type Parts uint16

// The parts, in the order of their names in a record. They reach the disk.
const (
	PartPrompt    Parts = 1 << iota // Event.Prompt
	PartResponse                    // Event.Response
	PartSystem                      // Event.SystemInstructions
	PartInput                       // Event.InputMessages
	PartOutput                      // Event.OutputMessages
	PartArguments                   // Tool.Arguments
	PartResult                      // Tool.Result
	PartError                       // Event.Error
)

var partNames = [...]string{"prompt", "response", "system", "input", "output", "arguments", "result", "error"}

// PartsOf returns the parts that an event has.
func PartsOf(e *Event) Parts {
	var p Parts
	add := func(part Parts, has bool) {
		if has {
			p |= part
		}
	}
	add(PartPrompt, e.Prompt != "")
	add(PartResponse, e.Response != "")
	add(PartSystem, e.SystemInstructions != "")
	add(PartInput, len(e.InputMessages) > 0)
	add(PartOutput, len(e.OutputMessages) > 0)
	if e.Tool != nil {
		add(PartArguments, len(e.Tool.Arguments) > 0)
		add(PartResult, len(e.Tool.Result) > 0)
	}
	add(PartError, e.Error != "")
	return p
}

// Has reports whether p has one of some parts.
func (p Parts) Has(some Parts) bool { return p&some != 0 }

// Names returns the names of the parts, in their order.
func (p Parts) Names() []string {
	var names []string
	for i, name := range partNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names of the parts, separated by commas.
func (p Parts) String() string { return strings.Join(p.Names(), ",") }

// AppendParts appends the parts as a JSON array of their names, in their order.
func AppendParts(dst []byte, p Parts) []byte {
	dst = append(dst, '[')
	first := true
	for i, name := range partNames {
		if p&(1<<i) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

var errParts = errors.New("not a list of parts in their order, without spaces or repetition")

// ParseParts reads the one encoding that [AppendParts] gives for at least one
// part, and refuses others.
func ParseParts(raw []byte) (Parts, error) {
	if len(raw) < 2 || raw[0] != '[' || raw[len(raw)-1] != ']' {
		return 0, errParts
	}
	var p Parts
	rest := string(raw[1 : len(raw)-1])
	for i, name := range partNames {
		after, ok := strings.CutPrefix(rest, `"`+name+`"`)
		if !ok {
			continue
		}
		p |= 1 << i
		if after == "" {
			return p, nil
		}
		if rest, ok = strings.CutPrefix(after, ","); !ok {
			return 0, errParts
		}
	}
	return 0, errParts
}
