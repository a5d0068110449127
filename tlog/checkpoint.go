package tlog

import (
	"fmt"
	"slices"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/canonical"
)

// A Checkpoint is the head of a log's tree: its size and root, which third
// parties trust once they are signed. Its text is that of
// c2sp.org/tlog-checkpoint, without extension lines:
//
//	<origin>\n
//	<size in decimal>\n
//	<root in base64>\n
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// String returns the text that is signed.
func (c Checkpoint) String() string {
	return torchwood.Checkpoint{
		Origin: c.Origin,
		Tree:   tlog.Tree{N: int64(c.Size), Hash: c.Root},
	}.String()
}

// check returns an error if c cannot be the head of a log.
func (c Checkpoint) check() error {
	switch {
	case !ValidOrigin(c.Origin):
		return malformed("checkpoint", "the origin is not the name of a log")
	case c.Size > MaxSize:
		return malformed("checkpoint", "the size is more than %d", uint64(MaxSize))
	case c.Size == 0 && c.Root != emptyRoot:
		return malformed("checkpoint", "the root is not that of the empty tree")
	}
	return nil
}

// ParseCheckpoint reads the text of a checkpoint, without signatures.
func ParseCheckpoint(text string) (Checkpoint, error) {
	if len(text) > MaxCheckpoint {
		return Checkpoint{}, malformed("checkpoint", "longer than %d bytes", MaxCheckpoint)
	}
	t, err := torchwood.ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, malformed("checkpoint", "not three lines")
	}
	if t.Extension != "" {
		return Checkpoint{}, malformed("checkpoint", "extension lines, which our logs do not write")
	}
	c := Checkpoint{Origin: t.Origin, Size: uint64(t.N), Root: t.Hash}
	if err := c.check(); err != nil {
		return Checkpoint{}, err
	}
	if err := canonical.Check([]byte(text), []byte(c.String())); err != nil {
		return Checkpoint{}, malformed("checkpoint", "%v", err)
	}
	return c, nil
}

// Sign returns the signed checkpoint. The log's own key, whose name is the
// origin, must be among the signers.
func Sign(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if !slices.ContainsFunc(signers, func(s note.Signer) bool { return s.Name() == c.Origin }) {
		return nil, fmt.Errorf("sign checkpoint: no key of %s among the signers", c.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: c.String()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// ReadCheckpoint reads a signed checkpoint without verifying its signatures:
// for a checkpoint that the caller wrote itself, and to show what a checkpoint
// claims.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, malformed("checkpoint", "longer than %d bytes", MaxCheckpoint)
	}
	n, err := splitNote("checkpoint", signed)
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(n.Text)
}

// OpenCheckpoint reads a signed checkpoint and verifies that it is signed by
// one of the given verifier keys that belongs to the log which the checkpoint
// names: the cosignature of a witness alone is not enough. An origin other than
// "" must be that log's name. Signatures by unknown keys are left in the note
// as unverified.
func OpenCheckpoint(signed []byte, vkeys []string, origin string) (Checkpoint, *note.Note, error) {
	c, err := ReadCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if origin != "" && c.Origin != origin {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: %w: the checkpoint is of %q, not of %q", ErrOrigin, c.Origin, origin)
	}
	known, err := verifiers(vkeys)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	n, err := openNote("checkpoint", signed, known)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == c.Origin }) {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: %w: the checkpoint is of %q, and no key of that log signed it", ErrOrigin, c.Origin)
	}
	return c, n, nil
}
