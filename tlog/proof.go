package tlog

import (
	"bytes"
	"fmt"
	"strings"

	"filippo.io/torchwood"
)

// A Proof is a proof that an entry is in a log, complete except for the log's
// key: c2sp.org/tlog-proof@v1, without extra data.
type Proof struct {
	Index      uint64
	Hashes     []Hash     // from the leaf's sibling up
	Checkpoint Checkpoint // the content of Signed
	Signed     []byte     // the signed checkpoint
}

const (
	proofHeader       = "c2sp.org/tlog-proof@v1"
	consistencyHeader = "audittrail.consistency/v1"
)

// FormatProof returns the text of the proof that hashes, made by
// [ProveInclusion], are for the leaf at index under the signed checkpoint.
func FormatProof(index uint64, hashes []Hash, signed []byte) []byte {
	return torchwood.FormatProof(int64(index), hashes, signed)
}

// ParseProof reads a proof without verifying it.
func ParseProof(proof []byte) (Proof, error) {
	lines, hashes, signed, err := splitProof("proof", proofHeader, proof)
	if err != nil {
		return Proof{}, err
	}
	if strings.HasPrefix(lines, "extra ") {
		return Proof{}, malformed("proof", "extra data, which our proofs do not have")
	}
	s, ok := strings.CutPrefix(lines, "index ")
	index, ok2 := parseSize(s)
	if !ok || !ok2 {
		return Proof{}, malformed("proof", "invalid index")
	}
	c, err := ReadCheckpoint(signed)
	if err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	return Proof{Index: index, Hashes: hashes, Checkpoint: c, Signed: signed}, nil
}

// CheckProof checks that proof proves entry to be in the log of one of the
// verifier keys, and returns the proof, with the entry's index and the
// checkpoint.
func CheckProof(vkeys []string, entry [32]byte, proof []byte) (Proof, error) {
	p, err := ParseProof(proof)
	if err != nil {
		return Proof{}, err
	}
	c, _, err := OpenCheckpoint(p.Signed, vkeys, "")
	if err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	if err := CheckInclusion(p.Hashes, c.Size, c.Root, p.Index, LeafHash(entry)); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// A Consistency is a proof that a log at its newest checkpoint still begins
// with an older, smaller state of it:
//
//	audittrail.consistency/v1\n
//	old <size in decimal> <root in base64>\n
//	<hash in base64>\n      (RFC 6962, section 2.1.2; none or more)
//	\n
//	<signed checkpoint>
type Consistency struct {
	OldSize    uint64
	OldRoot    Hash
	Hashes     []Hash
	Checkpoint Checkpoint // the content of Signed
	Signed     []byte     // the signed checkpoint
}

// FormatConsistency returns the text of the proof that hashes, made by
// [ProveConsistency], are for the old checkpoint under the signed one.
func FormatConsistency(old Checkpoint, hashes []Hash, signed []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nold %d %s\n", consistencyHeader, old.Size, old.Root)
	for _, h := range hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(signed)
	return b.Bytes()
}

// ParseConsistency reads a consistency proof without verifying it.
func ParseConsistency(proof []byte) (Consistency, error) {
	line, hashes, signed, err := splitProof("consistency proof", consistencyHeader, proof)
	if err != nil {
		return Consistency{}, err
	}
	line, ok := strings.CutPrefix(line, "old ")
	size, root, ok2 := strings.Cut(line, " ")
	p := Consistency{Hashes: hashes, Signed: signed}
	var ok3, ok4 bool
	p.OldSize, ok3 = parseSize(size)
	p.OldRoot, ok4 = parseHash(root)
	if !ok || !ok2 || !ok3 || !ok4 {
		return Consistency{}, malformed("consistency proof", "invalid second line")
	}
	if p.Checkpoint, err = ReadCheckpoint(signed); err != nil {
		return Consistency{}, fmt.Errorf("consistency proof: %w", err)
	}
	return p, nil
}

// CheckConsistencyProof checks that proof proves the log of one of the verifier
// keys to begin with the old checkpoint, which the caller trusts or has opened.
// It returns the newer checkpoint.
func CheckConsistencyProof(vkeys []string, old Checkpoint, proof []byte) (Checkpoint, error) {
	p, err := ParseConsistency(proof)
	if err != nil {
		return Checkpoint{}, err
	}
	c, _, err := OpenCheckpoint(p.Signed, vkeys, old.Origin)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("consistency proof: %w", err)
	}
	if p.OldSize != old.Size || p.OldRoot != old.Root {
		return Checkpoint{}, fmt.Errorf("consistency proof: %w: the proof is for another checkpoint, of size %d", ErrProof, p.OldSize)
	}
	if err := CheckConsistency(p.Hashes, c.Size, c.Root, old.Size, old.Root); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// splitProof splits a proof of either kind into its parts: a header, one line
// that says what is proven, hashes, a blank line and a signed checkpoint.
func splitProof(thing, header string, proof []byte) (line string, hashes []Hash, signed []byte, err error) {
	if len(proof) > MaxProof {
		return "", nil, nil, malformed(thing, "longer than %d bytes", MaxProof)
	}
	first, rest, _ := strings.Cut(string(proof), "\n")
	if first != header {
		return "", nil, nil, malformed(thing, "the first line is not %s", header)
	}
	line, rest, _ = strings.Cut(rest, "\n")
	for {
		b64, after, ok := strings.Cut(rest, "\n")
		if !ok {
			return "", nil, nil, malformed(thing, "no blank line after the hashes")
		}
		rest = after
		if b64 == "" {
			return line, hashes, []byte(rest), nil
		}
		h, ok := parseHash(b64)
		if !ok {
			return "", nil, nil, malformed(thing, "hash %d", len(hashes)+1)
		}
		if len(hashes) == MaxHashes {
			return "", nil, nil, malformed(thing, "more than %d hashes", MaxHashes)
		}
		hashes = append(hashes, h)
	}
}
