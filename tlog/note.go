package tlog

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"audittrail/internal/canonical"
)

// ValidOrigin reports whether a log can have this name, which is at once the
// first line of its checkpoints and the name of its keys.
func ValidOrigin(origin string) bool {
	bad := func(r rune) bool { return r < 0x20 || r == 0x7f || r == '+' || unicode.IsSpace(r) }
	return origin != "" && len(origin) <= 255 && utf8.ValidString(origin) && !strings.ContainsFunc(origin, bad)
}

// ParseVKey reads an Ed25519 verifier key as c2sp.org/signed-note writes it:
// name+hash+base64.
func ParseVKey(vkey string) (note.Verifier, error) {
	if len(vkey) > 512 {
		return nil, malformed("verifier key", "longer than 512 bytes")
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, malformed("verifier key", "%v", err)
	}
	// Other spellings of the hash and of the base64 are accepted there.
	b64 := strings.SplitN(vkey, "+", 3)[2]
	key, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(key) == 0 {
		return nil, malformed("verifier key", "invalid base64")
	}
	encoded, err := note.NewEd25519VerifierKey(v.Name(), key[1:])
	if err == nil {
		err = canonical.Check([]byte(vkey), []byte(encoded))
	}
	if err != nil {
		return nil, malformed("verifier key", "%v", err)
	}
	return v, nil
}

// verifiers returns the verifiers of keys; naming a key twice does no harm.
func verifiers(vkeys []string) (note.Verifiers, error) {
	var list []note.Verifier
	for i, k := range vkeys {
		if slices.Contains(vkeys[:i], k) {
			continue
		}
		v, err := ParseVKey(k)
		if err != nil {
			return nil, err
		}
		same := func(o note.Verifier) bool { return o.Name() == v.Name() && o.KeyHash() == v.KeyHash() }
		if slices.ContainsFunc(list, same) {
			return nil, fmt.Errorf("two verifier keys are named %s+%08x", v.Name(), v.KeyHash())
		}
		list = append(list, v)
	}
	return note.VerifierList(list...), nil
}

// splitNote parses a signed note without verifying it. It is stricter than
// [note.Open], which skips repeated signatures and accepts base64 that is not
// canonical.
func splitNote(thing string, signed []byte) (*note.Note, error) {
	if !utf8.Valid(signed) {
		return nil, malformed(thing, "not UTF-8")
	}
	s := string(signed)
	split := strings.LastIndex(s, "\n\n")
	if split < 0 {
		return nil, malformed(thing, "no blank line before the signatures")
	}
	n := &note.Note{Text: s[:split+1]}
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\n' }) {
		return nil, malformed(thing, "control characters")
	}
	rest := s[split+2:]
	for rest != "" {
		line, after, ok := strings.Cut(rest, "\n")
		sig, ok2 := parseSignature(line)
		if !ok || !ok2 {
			return nil, malformed(thing, "signature %d", len(n.UnverifiedSigs)+1)
		}
		same := func(o note.Signature) bool { return o.Name == sig.Name && o.Hash == sig.Hash }
		if slices.ContainsFunc(n.UnverifiedSigs, same) {
			return nil, malformed(thing, "two signatures by one key")
		}
		if len(n.UnverifiedSigs) == maxSignatures {
			return nil, malformed(thing, "more than %d signatures", maxSignatures)
		}
		n.UnverifiedSigs = append(n.UnverifiedSigs, sig)
		rest = after
	}
	if len(n.UnverifiedSigs) == 0 {
		return nil, malformed(thing, "no signature")
	}
	return n, nil
}

// maxSignatures is the limit of [note.Open].
const maxSignatures = 100

// parseSignature reads one signature line of a note.
func parseSignature(line string) (note.Signature, bool) {
	line, ok := strings.CutPrefix(line, "— ")
	if !ok {
		return note.Signature{}, false
	}
	name, b64, ok := strings.Cut(line, " ")
	raw, err := base64.StdEncoding.DecodeString(b64)
	if !ok || err != nil || len(raw) < 5 || base64.StdEncoding.EncodeToString(raw) != b64 {
		return note.Signature{}, false
	}
	return note.Signature{Name: name, Hash: binary.BigEndian.Uint32(raw), Base64: b64}, true
}

// openNote verifies a signed note: at least one known key must have signed it,
// and each signature that claims to be by a known key must be valid.
func openNote(thing string, signed []byte, known note.Verifiers) (*note.Note, error) {
	split, err := splitNote(thing, signed)
	if err != nil {
		return nil, err
	}
	n, err := note.Open(signed, known)
	var bad *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case err == nil:
		return n, nil
	case errors.As(err, &bad):
		return nil, fmt.Errorf("%s: %w: the signature by key %s+%08x", thing, ErrBadSignature, bad.Name, bad.Hash)
	case errors.As(err, &unverified):
		var by []string
		for _, s := range split.UnverifiedSigs {
			by = append(by, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
		}
		return nil, fmt.Errorf("%s: %w, but by %s", thing, ErrUnknownKey, strings.Join(by[:min(len(by), 8)], ", "))
	default:
		return nil, malformed(thing, "%v", err)
	}
}
