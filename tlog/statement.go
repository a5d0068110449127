package tlog

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Statement is what a log's key says beside its checkpoints: of a report or a
// certificate, that the log made it. Its text:
//
//	audittrail.<kind>/v1\n
//	<origin>\n
//	<line>\n               (one or more)
//
// What the lines mean is the kind's own matter.
type Statement struct {
	Kind   string // 1 to 32 lower-case letters and hyphens
	Origin string
	Lines  []string
}

// MaxStatement bounds a signed statement in bytes, and maxStatementLines its
// lines behind the second.
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

// check says what keeps s from being a statement.
func (s Statement) check() error {
	notName := func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }
	switch {
	case s.Kind == "" || len(s.Kind) > 32 || strings.ContainsFunc(s.Kind, notName) || slices.Contains(statementKinds, s.Kind):
		return malformed("statement", "its kind is none")
	case !ValidOrigin(s.Origin):
		return malformed("statement", "its origin is no name of a log")
	case strings.HasPrefix(s.Origin, "audittrail."+s.Kind+"/"):
		// Its checkpoints would begin as the statement does.
		return malformed("statement", "the log is named as the kind is")
	case len(s.Lines) == 0 || len(s.Lines) > maxStatementLines:
		return malformed("statement", "%d lines; 1 to %d are wanted", len(s.Lines), maxStatementLines)
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
		return Statement{}, malformed("statement", "its first line is not audittrail.%s/v1", kind)
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
		return Statement{}, fmt.Errorf("statement: %w: it is of %q, not of %q", ErrOrigin, s.Origin, origin)
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

// Since returns the verifier keys that were in force when the tree had that
// size, or came into force later: those that can have signed a statement about
// it.
func (e KeyPeriods) Since(size uint64) []string {
	var keys []string
	for _, era := range e {
		if era.Until >= size {
			keys = append(keys, era.VKey)
		}
	}
	return keys
}
