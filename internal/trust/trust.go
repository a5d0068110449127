// Package trust finds out which keys of a log are trusted, and which sizes and
// roots of the log they have signed.
package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"audittrail/finding"
	"audittrail/internal/tree"
	"audittrail/internal/verify"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/tlog"
)

// The names of the files in findings.
const (
	checkpointFile = "tree/checkpoint"
	signersFile    = "tree/signers"
)

// ErrNoKey reports that no key is available to check the log's signature with.
var ErrNoKey = errors.New("no key to check the log's signature with")

// A Ring is the part of the log's keyring that concerns signatures.
type Ring struct {
	Origin string
	Eras   tlog.KeyPeriods
	Notes  [][]byte    // the notes by which keys replaced keys
	Signed verify.Head // the head that was signed last; its size is 0 if none was
}

// RingOf returns the Ring of a keyring.
func RingOf(ring *keyring.Ring) (*Ring, error) {
	eras, err := KeyPeriods(ring)
	if err != nil {
		return nil, err
	}
	size, root, err := ring.CurrentSigned()
	if err != nil {
		return nil, err
	}
	return &Ring{
		Origin: ring.Origin(), Eras: eras, Notes: notesOf(ring),
		Signed: verify.Head{Size: size, Root: root, Name: "the keyring, which remembers the newest signed checkpoint,"},
	}, nil
}

// KeyPeriods returns the sizes for which each of a keyring's keys counts.
func KeyPeriods(ring *keyring.Ring) (tlog.KeyPeriods, error) {
	return tlog.ResolveSigner(ring.Signers()[0].VKey, notesOf(ring))
}

func notesOf(ring *keyring.Ring) (notes [][]byte) {
	for _, s := range ring.Signers()[1:] {
		notes = append(notes, s.Note)
	}
	return notes
}

// Evidence is everything known about a log besides its lines.
type Evidence struct {
	FS          vfs.FS
	Tree        string   // folder of the tree's files
	Live        bool     // a process has the log open for writing
	Pinned      []string // verifier keys that are trusted; if there are none, those of the keyring
	Ring        *Ring    // nil without the keyring
	Checkpoints [][]byte // signed checkpoints that were stored elsewhere

	eras []tlog.KeyPeriods // of each key that is trusted
}

// Heads verifies the signatures of all checkpoints and returns the heads that
// they sign, and what is missing. If the log's keys did not sign the checkpoint
// in its folder, that is added to found; if no key is available to decide that,
// it is the error.
func (e *Evidence) Heads(found *verify.Findings) (heads []verify.Head, missing []string, err error) {
	if len(e.Pinned) == 0 && e.Ring == nil {
		return nil, nil, ErrNoKey
	}
	// The checkpoint is read before the notes, since a writer that has changed
	// its key publishes them in the other order.
	published, unread := vfs.ReadFile(e.FS, filepath.Join(e.Tree, "checkpoint"), tlog.MaxCheckpoint)
	if err := e.trust(found); err != nil {
		return nil, nil, err
	}
	origin := ""
	if e.Ring != nil {
		origin = e.Ring.Origin
		if e.Ring.Signed.Size > 0 {
			heads = append(heads, e.Ring.Signed)
		}
	}
	c, missing, err := e.published(published, unread, origin, found)
	if err != nil {
		return nil, nil, err
	}
	if c != nil {
		origin = c.Origin
		heads = append(heads, verify.Head{Size: c.Size, Root: c.Root, Name: checkpointFile})
	}
	for i, signed := range e.Checkpoints {
		c, err := e.open(signed, origin)
		if err != nil {
			return nil, nil, fmt.Errorf("given checkpoint %d: %w", i+1, err)
		}
		origin = c.Origin
		heads = append(heads, verify.Head{Size: c.Size, Root: c.Root, Name: fmt.Sprintf("the checkpoint of size %d that was given", c.Size)})
	}
	if len(heads) == 0 && e.Ring == nil && !found.Altered() {
		return nil, nil, fmt.Errorf("there is no signed checkpoint to check the log against: %s is missing or damaged; give one that was kept (--checkpoint), or the keyring (--keys)", checkpointFile)
	}
	return heads, missing, nil
}

// trust determines the sizes for which each key counts.
func (e *Evidence) trust(found *verify.Findings) error {
	notes, err := e.signers()
	var malformed error // they cannot be read as notes
	wrong := false      // they are notes, but not the log's
	if errors.Is(err, tree.ErrMalformed) || errors.Is(err, vfs.ErrTooLarge) {
		malformed, notes = err, nil
	} else if err != nil {
		return err
	}
	if e.Ring != nil {
		if malformed == nil && e.compare(notes) != nil {
			// The notes of the keyring count. Notes that the log's signers did
			// not sign are ignored; notes that they signed, and that the
			// keyring lacks, show that it is outdated.
			if _, err := tlog.ResolveSigner(e.Ring.Eras[0].VKey, notes); err != nil {
				malformed = err
			} else {
				wrong = true
			}
		}
		notes = e.Ring.Notes
	}
	for _, key := range e.Pinned {
		if _, err := tlog.ParseVKey(key); err != nil {
			return err
		}
		eras, err := tlog.ResolveSigner(key, notes)
		if err != nil {
			// The notes do not lead to this key, or not to any: the key counts
			// by itself.
			wrong = wrong || !errors.Is(err, tlog.ErrUnknownKey)
			eras = tlog.KeyPeriods{{VKey: key, Until: math.MaxUint64}}
		}
		e.eras = append(e.eras, eras)
	}
	if len(e.Pinned) == 0 {
		e.eras = []tlog.KeyPeriods{e.Ring.Eras}
	}
	switch {
	case malformed != nil:
		found.Add(finding.Finding{Kind: finding.Derived, File: signersFile, Detail: fmt.Sprintf("the notes by which signers replaced signers are damaged, and are restored from the keyring when the log is opened for writing: %v", malformed)})
	case wrong:
		found.Add(finding.Finding{Kind: finding.Modified, File: signersFile, Detail: "the notes by which signers replaced signers are not those that were signed"})
	}
	return nil
}

// compare compares the published notes with those of the keyring. The last
// notes may be unpublished because of a crash; or missing in the keyring
// because it was read before a writer changed its key.
func (e *Evidence) compare(notes [][]byte) error {
	n := min(len(notes), len(e.Ring.Notes))
	if !slices.EqualFunc(notes[:n], e.Ring.Notes[:n], bytes.Equal) {
		return tlog.ErrProof
	}
	if n == len(notes) {
		return nil
	}
	eras, err := tlog.ResolveSigner(e.Ring.Eras[0].VKey, notes)
	if err == nil {
		e.Ring.Eras, e.Ring.Notes = eras, notes
	}
	return err
}

// signers reads the notes that are published in the tree's folder.
func (e *Evidence) signers() ([][]byte, error) {
	t, err := tree.Open(e.FS, e.Tree, true)
	if err != nil {
		return nil, err
	}
	notes, err := t.Signers()
	return notes, errors.Join(err, t.Close())
}

// published verifies the checkpoint in the log's folder, given the result of
// reading it.
func (e *Evidence) published(signed []byte, err error, origin string, found *verify.Findings) (*tlog.Checkpoint, []string, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if e.Ring != nil && (e.Ring.Signed.Size == 0 || e.Live) {
			return nil, nil, nil // no checkpoint was ever signed, or the first is about to be published
		}
		return nil, []string{checkpointFile + ": there is no published checkpoint; a new one is written when the log is opened"}, nil
	case err != nil && !errors.Is(err, vfs.ErrTooLarge):
		return nil, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	var c tlog.Checkpoint
	if err == nil {
		c, err = e.open(signed, origin)
	}
	if err == nil {
		return &c, nil, nil
	}
	if errors.Is(err, tlog.ErrUnknownKey) && len(e.Pinned) > 0 && !e.pinsOwn() && !found.Altered() {
		return nil, nil, err
	}
	if errors.Is(err, tlog.ErrMalformed) || errors.Is(err, vfs.ErrTooLarge) {
		found.Add(finding.Finding{
			Kind: finding.Derived, File: checkpointFile,
			Detail: fmt.Sprintf("the published checkpoint is damaged: %v", err),
		})
		return nil, nil, nil
	}
	if errors.Is(err, tlog.ErrOrigin) && !e.ringFits() {
		return nil, nil, fmt.Errorf("%w: name this log's own keyring; if this is its keyring, the log was replaced by another one", err)
	}
	said, _ := tlog.ReadCheckpoint(signed) // the size that it claims, if it can be parsed
	if name := e.decides(said.Size, origin); name != "" && !errors.Is(err, tlog.ErrRetiredKey) {
		found.Add(finding.Finding{
			Kind: finding.Derived, File: checkpointFile,
			Detail: fmt.Sprintf("the published checkpoint was not signed by the log's keys, and is ignored: %s covers what was signed; the next writer puts it aside and signs again: %v", name, err),
		})
		return nil, nil, nil
	}
	found.Add(finding.Finding{
		Seq: said.Size, Kind: finding.Rewritten, File: checkpointFile,
		Detail: fmt.Sprintf("the published checkpoint was not signed by the log's keys: %v", err),
	})
	return nil, nil, nil
}

// decides names other evidence that covers the first size records, if there is
// any: a published checkpoint with a wrong signature is then irrelevant. The
// keyring remembers a checkpoint before it is published.
func (e *Evidence) decides(size uint64, origin string) string {
	if e.Ring != nil && e.Ring.Signed.Size > 0 && size <= e.Ring.Signed.Size {
		return "the keyring"
	}
	for _, signed := range e.Checkpoints {
		if c, err := e.open(signed, origin); err == nil && c.Size > 0 && size <= c.Size {
			return fmt.Sprintf("the checkpoint of size %d that was given", c.Size)
		}
	}
	return ""
}

// pinsOwn reports whether the verifier keys that were named are the keyring's.
func (e *Evidence) pinsOwn() bool {
	if e.Ring == nil {
		return false
	}
	for _, key := range e.Pinned {
		if !slices.ContainsFunc(e.Ring.Eras, func(era tlog.KeyPeriod) bool { return era.VKey == key }) {
			return false
		}
	}
	return true
}

// ringFits reports whether the keyring belongs to the log with this tree.
func (e *Evidence) ringFits() bool {
	t, err := tree.Open(e.FS, e.Tree, true)
	if err != nil || e.Ring == nil {
		return false
	}
	root, err := t.Root(e.Ring.Signed.Size)
	_ = t.Close() // only read from: nothing to lose
	return err == nil && e.Ring.Signed.Size > 0 && root == e.Ring.Signed.Root
}

// open verifies a signed checkpoint with any of the keys that are trusted.
func (e *Evidence) open(signed []byte, origin string) (tlog.Checkpoint, error) {
	var first error
	for _, eras := range e.eras {
		c, _, err := eras.OpenCheckpoint(signed, origin)
		if err == nil {
			return c, nil
		}
		// A wrong signature is a better explanation than an unknown key.
		if first == nil || errors.Is(first, tlog.ErrUnknownKey) {
			first = err
		}
	}
	return tlog.Checkpoint{}, first
}

// KeyPeriods returns the sizes for which the trusted verifier keys count. Call
// Heads first.
func (e *Evidence) KeyPeriods() []tlog.KeyPeriods { return e.eras }

// Origin returns the log's name, as its keyring or its published checkpoint has
// it.
func (e *Evidence) Origin() (string, error) {
	if e.Ring != nil {
		return e.Ring.Origin, nil
	}
	signed, err := vfs.ReadFile(e.FS, filepath.Join(e.Tree, "checkpoint"), tlog.MaxCheckpoint)
	if err != nil {
		return "", fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := tlog.ReadCheckpoint(signed)
	return c.Origin, err
}
