package keyring

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"audittrail/keyring/internal/ringfile"
)

// A SignerInfo is a key that signs checkpoints, or did.
type SignerInfo struct {
	VKey    string    // verifier key (c2sp.org/signed-note)
	Created time.Time // when the key was made
	From    uint64    // size of the log from which on the key is valid
	Until   *uint64   // size up to which the key is valid; nil for the key in force
	Note    []byte    // rotation that put the key in force, signed by its predecessor too; nil for the first key
}

// A SignerKey is a new signing key that is not in force yet.
type SignerKey struct {
	vkey    string
	created time.Time
	signer  *signer
}

// VKey returns the verifier key.
func (k SignerKey) VKey() string { return k.vkey }

// Signer returns a signer with the key, such as for the rotation that will put
// it in force.
func (k SignerKey) Signer() note.Signer { return k.signer }

// Format redacts the key for every verb.
func (k SignerKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key.
func (k SignerKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue redacts the key.
func (k SignerKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// A signer is a note.Signer that does not print its key.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func newSigner(name string, seed []byte) (*signer, string, error) {
	private := ed25519.NewKeyFromSeed(seed)
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", fmt.Errorf("make verifier key: %w", err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, "", fmt.Errorf("make verifier key: %w", err)
	}
	return &signer{name: name, hash: v.KeyHash(), key: private}, vkey, nil
}

func (s *signer) Name() string                    { return s.name }
func (s *signer) KeyHash() uint32                 { return s.hash }
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func (s *signer) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s *signer) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s *signer) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Signer returns the key in force, whose name is the log's origin. It is nil
// once the ring is closed.
func (r *Ring) Signer() note.Signer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return nil
	}
	signers := r.st.Meta().Signers
	s, _, err := newSigner(r.origin, signers[len(signers)-1].Seed)
	if err != nil {
		panic("keyring: " + err.Error()) // the origin and the seed's length were checked
	}
	return s
}

// Signers returns all keys, the one in force last.
func (r *Ring) Signers() []SignerInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return nil
	}
	infos := make([]SignerInfo, 0, len(r.st.Meta().Signers))
	for _, s := range r.st.Meta().Signers {
		info := SignerInfo{VKey: s.VKey, Created: s.Created, From: s.From, Note: slices.Clone(s.Note)}
		if s.Until != nil {
			info.Until = new(*s.Until)
		}
		infos = append(infos, info)
	}
	return infos
}

// NewSigner creates a signing key. It is only in memory until it is committed.
func (r *Ring) NewSigner() (SignerKey, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if err := r.usable(); err != nil {
		return SignerKey{}, fmt.Errorf("make signing key: %w", err)
	}
	k, err := r.makeSigner(r.origin)
	if err != nil {
		return SignerKey{}, fmt.Errorf("make signing key: %w", err)
	}
	return k, nil
}

func (r *Ring) makeSigner(origin string) (SignerKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(r.o.Rand, seed); err != nil {
		return SignerKey{}, err
	}
	s, vkey, err := newSigner(origin, seed)
	return SignerKey{vkey: vkey, created: r.now(), signer: s}, err
}

// now returns the time in UTC and without the monotonic clock, since it is
// written to disk.
func (r *Ring) now() time.Time { return r.o.Now().UTC().Round(0) }

func (k SignerKey) entry(from uint64, statement []byte) ringfile.Signer {
	return ringfile.Signer{
		VKey: k.vkey, Created: k.created, From: from,
		Note: slices.Clone(statement), Seed: k.signer.key.Seed(),
	}
}

// CommitSigner puts a key in force for logs of at least the given size, with
// the rotation that its predecessor signed. The predecessor's private key is
// destroyed; its verifier key is kept.
func (r *Ring) CommitSigner(k SignerKey, from uint64, statement []byte) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.commitSigner(k, from, statement); err != nil {
		return fmt.Errorf("put signing key in force: %w", err)
	}
	return nil
}

func (r *Ring) commitSigner(k SignerKey, from uint64, statement []byte) error {
	if err := r.usable(); err != nil {
		return err
	}
	if k.signer == nil || k.signer.name != r.origin {
		return errors.New("the key was not created by this keyring")
	}
	m := r.st.Meta().Clone()
	old := &m.Signers[len(m.Signers)-1]
	if k.vkey == old.VKey {
		// An earlier call was interrupted while it wiped the previous
		// generation.
		return r.settle(r.sweep(false, true))
	}
	if from < old.From {
		return fmt.Errorf("size %d is smaller than %d, from which on the key in force is valid", from, old.From)
	}
	old.Seed, old.Until = nil, &from
	m.Signers = append(m.Signers, k.entry(from, statement))
	return r.advance(m, r.master, true)
}
