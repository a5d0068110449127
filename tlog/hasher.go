package tlog

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// A Hasher computes leaf and node hashes like LeafHash and NodeHash, in two
// thirds of the time, for callers that compute millions of them. Both hash
// messages of fixed, short lengths, for which copying and padding costs the
// standard library as much as hashing does. A Hasher keeps them padded, in
// blocks, and reads the result from the digest's marshalled state. Should that
// state ever have another form than today, the Hasher notices, and calls those
// functions.
//
// It is for one goroutine.
type Hasher struct {
	sha   digest // nil if the form of the state is not known
	state []byte
	leaf  [sha256.BlockSize]byte
	node  [2 * sha256.BlockSize]byte
}

type digest interface {
	hash.Hash
	encoding.BinaryAppender
}

// stateMagic is how the marshalled state begins. The hash follows.
const stateMagic = "sha\x03"

// NewHasher returns a new Hasher.
func NewHasher() *Hasher {
	h := &Hasher{state: make([]byte, 0, 128)}
	pad(h.leaf[:], 1+HashSize)
	pad(h.node[:], 1+2*HashSize)
	h.node[0] = 1
	h.sha, _ = sha256.New().(digest)
	var probe Hash
	if h.sha != nil && (h.Leaf(probe) != LeafHash(probe) || h.Node(probe, probe) != NodeHash(probe, probe)) {
		h.sha = nil
	}
	return h
}

// pad writes the padding of FIPS 180-4, section 5.1.1, after a message of n
// bytes.
func pad(blocks []byte, n int) {
	blocks[n] = 0x80
	binary.BigEndian.PutUint64(blocks[len(blocks)-8:], uint64(n)*8)
}

// Leaf returns the hash of the leaf with this entry.
func (h *Hasher) Leaf(entry [32]byte) Hash {
	if h.sha == nil {
		return LeafHash(entry)
	}
	copy(h.leaf[1:], entry[:])
	return h.sum(h.leaf[:])
}

// Node returns the hash of the node above left and right.
func (h *Hasher) Node(left, right Hash) Hash {
	if h.sha == nil {
		return NodeHash(left, right)
	}
	copy(h.node[1:], left[:])
	copy(h.node[1+HashSize:], right[:])
	return h.sum(h.node[:])
}

func (h *Hasher) sum(blocks []byte) Hash {
	h.sha.Reset()
	h.sha.Write(blocks)
	state, err := h.sha.AppendBinary(h.state)
	if err != nil || len(state) < len(stateMagic)+HashSize || string(state[:len(stateMagic)]) != stateMagic {
		return Hash{} // excluded by NewHasher
	}
	return Hash(state[len(stateMagic):][:HashSize])
}
