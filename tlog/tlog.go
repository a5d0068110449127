// Package tlog is the mathematics of a transparency log: the Merkle tree over
// record hashes, proofs about it, and the signed notes that commit to it. It
// works on bytes alone, and does not store them.
//
// The tree is that of RFC 6962, section 2.1. Checkpoints follow
// c2sp.org/tlog-checkpoint, inclusion proofs c2sp.org/tlog-proof@v1, signatures
// c2sp.org/signed-note with Ed25519, so that other tools can verify our logs.
// Consistency proofs and signer rotations, for which no such format exists, are
// texts of our own, drawn in docs/format.
//
// Every decoder accepts exactly one encoding per value, and bounds what it
// reads. The package does not promise that the content of a checkpoint or
// statement is true: only that the holder of a key signed it, and that proofs
// and checkpoints are consistent.
package tlog

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// A Hash is the hash of a leaf, of an interior node, or of a whole tree.
type Hash = tlog.Hash

// A HashReader reads hashes by their stored index, see
// [golang.org/x/mod/sumdb/tlog.StoredHashIndex].
type HashReader = tlog.HashReader

const (
	// HashSize is the size of a hash in bytes.
	HashSize = tlog.HashSize

	// MaxSize is the largest size of a tree. Sequence numbers are integers that
	// JSON represents exactly; the limit also keeps stored hash indexes far
	// from overflow.
	MaxSize = 1<<53 - 1

	// MaxCheckpoint, MaxProof and MaxRotation bound the encodings in bytes, and
	// MaxHashes the hashes in a proof.
	MaxCheckpoint = 1 << 20
	MaxProof      = 1 << 20
	MaxRotation   = 8 << 10
	MaxHashes     = 64
)

// The errors for signed texts and proofs. They are different answers, and
// errors of this package wrap exactly one of them.
var (
	// ErrMalformed reports bytes that are not the canonical encoding of a
	// value.
	ErrMalformed = errors.New("malformed")

	// ErrUnknownKey reports a text that none of the given keys signed.
	ErrUnknownKey = errors.New("signed by no known key")

	// ErrRetiredKey reports a text that is signed by a key of the log, but by
	// one that is not valid for a tree of that size.
	ErrRetiredKey = errors.New("signed by a key that is not valid for a tree of this size")

	// ErrBadSignature reports a text that names a known key as its signer,
	// which did not sign these bytes.
	ErrBadSignature = errors.New("signature does not verify")

	// ErrOrigin reports a text that belongs to another log.
	ErrOrigin = errors.New("belongs to another log")

	// ErrProof reports a well-formed proof that does not prove the claim.
	ErrProof = errors.New("proof does not hold")
)

// emptyRoot is the root of the tree without leaves: the hash of nothing.
var emptyRoot = Hash(sha256.Sum256(nil))

// LeafHash returns the hash of the leaf with this entry: SHA-256(0x00 ||
// entry).
func LeafHash(entry [32]byte) Hash {
	// A stack buffer: this runs once for every record.
	var buf [1 + HashSize]byte
	copy(buf[1:], entry[:])
	return sha256.Sum256(buf[:])
}

// NodeHash returns the hash of the node above left and right:
// SHA-256(0x01 || left || right).
func NodeHash(left, right Hash) Hash { return tlog.NodeHash(left, right) }

// malformed returns an ErrMalformed that names the thing and what is wrong with
// it. It never quotes the input, which may be hostile or large.
func malformed(thing, format string, args ...any) error {
	return fmt.Errorf("%w %s: %s", ErrMalformed, thing, fmt.Sprintf(format, args...))
}

// parseSize reads a decimal number in canonical form, at most MaxSize.
func parseSize(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= MaxSize && strconv.FormatUint(n, 10) == s
}

// parseHash reads a hash in canonical padded base64: the standard decoder skips
// line breaks and ignores the bits that the padding leaves over.
func parseHash(s string) (Hash, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != HashSize {
		return Hash{}, false
	}
	h := Hash(b)
	return h, h.String() == s
}
