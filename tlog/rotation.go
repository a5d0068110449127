package tlog

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Rotation states that one key of a log replaces another, and is signed by
// both keys: the old key is valid for checkpoints up to Size, the new one from
// Size on. The signed text names both keys, so that a verifier who trusts
// either can trust the other. The text:
//
//	audittrail.signer-rotation/v1\n
//	<origin>\n
//	<size in decimal>\n
//	<root in base64>\n
//	<old verifier key>\n
//	<new verifier key>\n
type Rotation struct {
	Origin   string
	Size     uint64
	Root     Hash
	Old, New string // verifier keys
}

const rotationHeader = "audittrail.signer-rotation/v1"

// String returns the text that is signed.
func (r Rotation) String() string {
	return fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n%s\n", rotationHeader, r.Origin, r.Size, r.Root, r.Old, r.New)
}

// check returns both verifiers, or an error if r cannot be a rotation.
func (r Rotation) check() (old, next note.Verifier, err error) {
	if err := (Checkpoint{Origin: r.Origin, Size: r.Size, Root: r.Root}).check(); err != nil {
		return nil, nil, fmt.Errorf("rotation: %w", err)
	}
	if old, err = ParseVKey(r.Old); err != nil {
		return nil, nil, fmt.Errorf("rotation: %w", err)
	}
	if next, err = ParseVKey(r.New); err != nil {
		return nil, nil, fmt.Errorf("rotation: %w", err)
	}
	if old.Name() != r.Origin || next.Name() != r.Origin {
		return nil, nil, malformed("rotation", "a key does not have the name of the log")
	}
	// note.Open could not distinguish the two signatures if the hashes were
	// equal.
	if old.KeyHash() == next.KeyHash() {
		return nil, nil, malformed("rotation", "the two keys have the same hash")
	}
	return old, next, nil
}

// SignRotation returns the rotation, signed by both keys.
func SignRotation(r Rotation, old, next note.Signer) ([]byte, error) {
	if _, _, err := r.check(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: r.String()}, old, next)
	if err != nil {
		return nil, fmt.Errorf("sign rotation: %w", err)
	}
	// A rotation is permanent, so it is verified before it is returned.
	if _, err := readRotation(signed); err != nil {
		return nil, fmt.Errorf("sign rotation: keys and signers do not match: %w", err)
	}
	return signed, nil
}

// OpenRotation reads a rotation and verifies that it replaces oldVKey, and is
// signed by that key and by the new one.
func OpenRotation(signed []byte, oldVKey string) (Rotation, error) {
	r, err := readRotation(signed)
	if err != nil {
		return Rotation{}, err
	}
	if r.Old != oldVKey {
		return Rotation{}, fmt.Errorf("rotation: %w: the rotation replaces another key", ErrUnknownKey)
	}
	return r, nil
}

// readRotation reads a rotation and verifies that it is signed by the two keys
// that it names, the old one first, and by no others. The caller decides
// whether to trust either.
func readRotation(signed []byte) (Rotation, error) {
	if len(signed) > MaxRotation {
		return Rotation{}, malformed("rotation", "longer than %d bytes", MaxRotation)
	}
	n, err := splitNote("rotation", signed)
	if err != nil {
		return Rotation{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 7 || lines[0] != rotationHeader {
		return Rotation{}, malformed("rotation", "not six lines")
	}
	size, ok := parseSize(lines[2])
	root, ok2 := parseHash(lines[3])
	if !ok || !ok2 {
		return Rotation{}, malformed("rotation", "invalid size or root")
	}
	r := Rotation{Origin: lines[1], Size: size, Root: root, Old: lines[4], New: lines[5]}
	old, next, err := r.check()
	if err != nil {
		return Rotation{}, err
	}
	by := n.UnverifiedSigs
	if len(by) != 2 || by[0].Hash != old.KeyHash() || by[1].Hash != next.KeyHash() {
		return Rotation{}, malformed("rotation", "not signed by the old key and then by the new one")
	}
	n, err = openNote("rotation", signed, note.VerifierList(old, next))
	if err != nil {
		return Rotation{}, err
	}
	if len(n.Sigs) != 2 {
		return Rotation{}, malformed("rotation", "a signature does not have the name of the log")
	}
	return r, nil
}

// A KeyPeriod is the range of tree sizes, both ends included, for which a key
// is valid. At the size of a rotation both keys are. Until is [math.MaxUint64]
// for the last key.
type KeyPeriod struct {
	VKey        string
	From, Until uint64
}

// KeyPeriods are the keys of a log, oldest first.
type KeyPeriods []KeyPeriod

// ResolveSigner returns which key is valid for which sizes, given the log's
// rotations in order and one trusted verifier key, which may be the first, the
// last or one between. Rotations that do not form a chain through that key are
// refused.
func ResolveSigner(pinned string, rotations [][]byte) (KeyPeriods, error) {
	if _, err := ParseVKey(pinned); err != nil {
		return nil, err
	}
	eras := KeyPeriods{{VKey: pinned, Until: math.MaxUint64}}
	seen := map[string]bool{pinned: len(rotations) == 0}
	for i, signed := range rotations {
		r, err := readRotation(signed)
		if err != nil {
			return nil, fmt.Errorf("signer rotation %d: %w", i, err)
		}
		if i == 0 {
			eras[0].VKey = r.Old
			seen[r.Old] = true
		}
		last := &eras[len(eras)-1]
		if r.Old != last.VKey || r.Size < last.From {
			return nil, fmt.Errorf("signer rotation %d: %w: the old key is not the new key of the rotation before", i, ErrProof)
		}
		if seen[r.New] {
			return nil, fmt.Errorf("signer rotation %d: %w: the new key was in use before", i, ErrProof)
		}
		seen[r.New] = true
		last.Until = r.Size
		eras = append(eras, KeyPeriod{VKey: r.New, From: r.Size, Until: math.MaxUint64})
	}
	if !seen[pinned] {
		return nil, fmt.Errorf("signer rotations: %w: no rotation names the given key", ErrUnknownKey)
	}
	return eras, nil
}

// Keys returns the verifier keys that are valid for a tree of that size.
func (e KeyPeriods) Keys(size uint64) []string {
	var keys []string
	for _, era := range e {
		if era.From <= size && size <= era.Until {
			keys = append(keys, era.VKey)
		}
	}
	return keys
}

// OpenCheckpoint is like the function of that name, with the keys that are
// valid for the checkpoint's size.
func (e KeyPeriods) OpenCheckpoint(signed []byte, origin string) (Checkpoint, *note.Note, error) {
	c, err := ReadCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	c, n, err := OpenCheckpoint(signed, e.Keys(c.Size), origin)
	if !errors.Is(err, ErrUnknownKey) {
		return c, n, err
	}
	for _, era := range e {
		if old, _, oldErr := OpenCheckpoint(signed, []string{era.VKey}, origin); oldErr == nil {
			return Checkpoint{}, nil, fmt.Errorf("checkpoint of size %d: %w: from size %d to %d only",
				old.Size, ErrRetiredKey, era.From, era.Until)
		}
	}
	return c, n, err
}
