package record

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"audittrail/internal/cjson"
)

// A Disclosure is one record with the key to its body: whoever has it can read
// that record and no other, and can check that the two belong together. What
// was disclosed is out of the log's hands: destroying the data subject's key
// does not take it back.
type Disclosure struct {
	Line []byte // without its LF
	Key  Key
}

const disclosureVersion = 1

// MarshalJSON writes the disclosure with its key, as a file for its receiver.
func (d Disclosure) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		V    int    `json:"v"`
		Key  string `json:"key"`
		Line string `json:"line"`
	}{disclosureVersion, base64.StdEncoding.EncodeToString(d.Key[:]), string(d.Line)})
}

// ErrDisclosure is wrapped by the errors of what is no disclosure.
var ErrDisclosure = errors.New("not a disclosure")

// ErrHash means that a line is not what the hash at its end says.
var ErrHash = errors.New("the line is not what its hash says")

// CheckDisclosure reads a disclosure, and returns the record, opened, if its
// line is whole and commits to the key. That the record is in a log is for a
// proof to say.
func CheckDisclosure(b []byte) (*Record, error) {
	line, key, err := parseDisclosure(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisclosure, err)
	}
	r, err := Decode(line)
	if err != nil {
		return nil, err
	}
	if !VerifyHash(line, &r.ChainLink) {
		return nil, fmt.Errorf("record %d: %w", r.Seq, ErrHash)
	}
	if err := r.OpenWith(key); err != nil {
		return nil, fmt.Errorf("record %d: %w", r.Seq, err)
	}
	return r, nil
}

func parseDisclosure(b []byte) (line []byte, key Key, err error) {
	d := cjson.NewDecoder(b)
	var version int64
	var keyText string
	err = d.Object(func(name string) (err error) {
		switch name {
		case "v":
			version, err = d.Int()
		case "key":
			keyText, err = d.String()
		case "line":
			var s string
			s, err = d.String()
			line = []byte(s)
		default:
			return fmt.Errorf("unknown field %q", name)
		}
		return err
	})
	if err == nil {
		err = d.End()
	}
	if err != nil {
		return nil, key, err
	}
	if version != disclosureVersion {
		return nil, key, fmt.Errorf("version %d is not understood", version)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(keyText)
	if err != nil || len(raw) != len(key) {
		return nil, key, errors.New("the key is not 32 bytes in base64")
	}
	copy(key[:], raw)
	return line, key, nil
}
