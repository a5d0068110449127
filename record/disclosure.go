package record

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"audittrail/internal/cjson"
)

// A Disclosure is one record with the key to its body. Its holder can read that
// record and no other, and can check that key and record belong together. A
// disclosure cannot be revoked: destroying the data subject's key does not
// affect it.
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

// ErrDisclosure reports bytes that are not a disclosure.
var ErrDisclosure = errors.New("not a disclosure")

// ErrHash reports that a line does not have the hash that it states.
var ErrHash = errors.New("the line does not have the hash that it states")

// CheckDisclosure reads a disclosure, and returns the decrypted record if its
// line is intact and commits to the key. It takes a proof to show that the
// record is in a log.
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
		return nil, key, fmt.Errorf("unknown version %d", version)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(keyText)
	if err != nil || len(raw) != len(key) {
		return nil, key, errors.New("the key is not 32 bytes in base64")
	}
	copy(key[:], raw)
	return line, key, nil
}
