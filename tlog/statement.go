package tlog

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Statement is a text other than a checkpoint that a log's key signs: it says
// that the log issued a report or a certificate. Its text:
//
//	audittrail.<kind>/v1\n
//	<origin>\n
//	<line>\n               (one or more)
//
// The kind defines the meaning of the lines.
type Statement struct {
	Kind   string // 1 to 32 lower-case letters and hyphens
	Origin string
	Lines  []string
}

// MaxStatement bounds a signed statement in bytes, and maxStatementLines its
// lines after the second.
const (
	MaxStatement      = 8 << 10
	maxStatementLines = 16
)

// statementKinds are kinds of signed texts that are not statements of this form.
var statementKinds = []string{"consistency", "signer-rotation"}

// String returns the text that is signed.
func (s Statement) String() string {
	return fmt.Sprintf("audittrail.%s/v1\n%s\n%s\n", s.Kind, s.Origin, strings.Join(s.Lines, "\n"))
}

// check returns an error if s cannot be a statement.
func (s Statement) check() error {
	notName := func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }
	switch {
	case s.Kind == "" || len(s.Kind) > 32 || strings.ContainsFunc(s.Kind, notName) || slices.Contains(statementKinds, s.Kind):
		return malformed("statement", "invalid kind")
	case !ValidOrigin(s.Origin):
		return malformed("statement", "the origin is not the name of a log")
	case strings.HasPrefix(s.Origin, "audittrail."+s.Kind+"/"):
		// A checkpoint of such a log would begin like the statement.
		return malformed("statement", "the log has the name of the kind")
	case len(s.Lines) == 0 || len(s.Lines) > maxStatementLines:
		return malformed("statement", "%d lines; a statement has 1 to %d", len(s.Lines), maxStatementLines)
	case len(s.String()) > MaxStatement/2:
		return malformed("statement", "longer than %d bytes", MaxStatement/2)
	}
	for _, l := range s.Lines {
		if l == "" || strings.ContainsFunc(l, func(r rune) bool { return r < 0x20 }) {
			return malformed("statement", "an empty line or a control character")
		}
	}
	return nil
}

// SignStatement returns the statement, signed by a key of its log.
func SignStatement(s Statement, signer note.Signer) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if signer.Name() != s.Origin {
		return nil, fmt.Errorf("sign statement: the key is not of %s", s.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: s.String()}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	return signed, nil
}

// ReadStatement reads a signed statement of a kind without verifying who signed
// it.
func ReadStatement(kind string, signed []byte) (Statement, error) {
	if len(signed) > MaxStatement {
		return Statement{}, malformed("statement", "longer than %d bytes", MaxStatement)
	}
	n, err := splitNote("statement", signed)
	if err != nil {
		return Statement{}, err
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != "audittrail."+kind+"/v1" {
		return Statement{}, malformed("statement", "the first line is not audittrail.%s/v1", kind)
	}
	s := Statement{Kind: kind, Origin: lines[1], Lines: lines[2:]}
	if err := s.check(); err != nil {
		return Statement{}, err
	}
	if len(n.UnverifiedSigs) != 1 || n.UnverifiedSigs[0].Name != s.Origin {
		return Statement{}, malformed("statement", "not signed by one key of its log")
	}
	return s, nil
}

// OpenStatement reads a signed statement of a kind and verifies that one of the
// given verifier keys signed it. An origin other than "" must be its log's name.
func OpenStatement(kind string, signed []byte, vkeys []string, origin string) (Statement, error) {
	s, err := ReadStatement(kind, signed)
	if err != nil {
		return Statement{}, err
	}
	if origin != "" && s.Origin != origin {
		return Statement{}, fmt.Errorf("statement: %w: the statement is of %q, not of %q", ErrOrigin, s.Origin, origin)
	}
	known, err := verifiers(vkeys)
	if err != nil {
		return Statement{}, err
	}
	if _, err := openNote("statement", signed, known); err != nil {
		return Statement{}, err
	}
	return s, nil
}

// Since returns the verifier keys that were valid when the tree had that size,
// or became valid later: those that can have signed a statement about that
// tree.
func (e KeyPeriods) Since(size uint64) []string {
	var keys []string
	for _, era := range e {
		if era.Until >= size {
			keys = append(keys, era.VKey)
		}
	}
	return keys
}
