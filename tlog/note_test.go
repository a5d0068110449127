package tlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"audittrail/tlog"
)

// head returns the checkpoint of the first n leaves, and the tree's hashes.
func head(t testing.TB, n int) (tlog.Checkpoint, memory) {
	t.Helper()
	m := grow(t, n)
	return tlog.Checkpoint{Origin: origin, Size: uint64(n), Root: root(t, m, n)}, m
}

// sign returns c, signed.
func sign(t testing.TB, c tlog.Checkpoint, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := tlog.Sign(c, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestCheckpoint(t *testing.T) {
	s, vkey := key(t, origin, 1)
	for _, n := range []int{0, 1, 300} {
		c, _ := head(t, n)
		signed := sign(t, c, s)
		got, note1, err := tlog.OpenCheckpoint(signed, []string{vkey, vkey}, origin)
		if err != nil || got != c || len(note1.Sigs) != 1 {
			t.Errorf("OpenCheckpoint = %v, %v, %v; want %v", got, note1, err, c)
		}
		if got, err := tlog.ReadCheckpoint(signed); err != nil || got != c {
			t.Errorf("ReadCheckpoint = %v, %v; want %v", got, err, c)
		}
		if got, err := tlog.ParseCheckpoint(c.String()); err != nil || got != c {
			t.Errorf("ParseCheckpoint = %v, %v; want %v", got, err, c)
		}
	}
}

// Witnesses sign with keys of their own, before or after the log's key.
func TestCheckpointWitnessed(t *testing.T) {
	s, vkey := key(t, origin, 1)
	w, wkey := key(t, "witness.example", 2)
	c, _ := head(t, 5)
	signed := sign(t, c, w, s)
	_, n, err := tlog.OpenCheckpoint(signed, []string{vkey}, "")
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
		t.Errorf("OpenCheckpoint with the log's key = %v, %v", n, err)
	}
	if _, _, err := tlog.OpenCheckpoint(signed, []string{wkey}, ""); !errors.Is(err, tlog.ErrOrigin) {
		t.Errorf("OpenCheckpoint with the witness's key: error is %v, want ErrOrigin", err)
	}
	if _, err := tlog.Sign(c, w); err == nil {
		t.Error("Sign by a witness alone: no error")
	}
}

// sloppy returns s with its base64 at the end not in canonical form: the bits
// that the padding leaves over are set, which lax decoders ignore.
func sloppy(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := strings.LastIndex(s, "=") - 1
	return s[:at] + string(alphabet[strings.IndexByte(alphabet, s[at])+1]) + s[at+1:]
}

func TestOpenCheckpointErrors(t *testing.T) {
	s, vkey := key(t, origin, 1)
	_, other := key(t, origin, 2)
	c, _ := head(t, 300)
	signed := sign(t, c, s)
	forged := bytes.Replace(signed, []byte("\n300\n"), []byte("\n301\n"), 1)
	for _, tt := range []struct {
		name   string
		signed []byte
		vkey   string
		origin string
		want   error
	}{
		{"another key", signed, other, origin, tlog.ErrUnknownKey},
		{"another log", signed, vkey, "audittrail/other", tlog.ErrOrigin},
		{"forged size", forged, vkey, origin, tlog.ErrBadSignature},
		{"no key", signed, "nonsense", origin, tlog.ErrMalformed},
		{"upper-case key hash", signed, strings.ToUpper(vkey), origin, tlog.ErrMalformed},
		{"nothing", nil, vkey, origin, tlog.ErrMalformed},
		{"unsigned", []byte(c.String()), vkey, origin, tlog.ErrMalformed},
		{"repeated signature", append(signed, signed[bytes.LastIndex(signed, []byte("—")):]...), vkey, origin, tlog.ErrMalformed},
		{"sloppy base64", []byte(sloppy(string(signed))), vkey, origin, tlog.ErrMalformed},
		{"trailing space", append(bytes.Clone(signed[:len(signed)-1]), " \n"...), vkey, origin, tlog.ErrMalformed},
		{"huge", bytes.Repeat([]byte("a"), tlog.MaxCheckpoint+1), vkey, origin, tlog.ErrMalformed},
	} {
		if _, _, err := tlog.OpenCheckpoint(tt.signed, []string{tt.vkey}, tt.origin); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	c, _ := head(t, 300)
	good := c.String()
	empty := tlog.Checkpoint{Origin: origin}
	for name, text := range map[string]string{
		"extension":      good + "more\n",
		"leading zero":   strings.Replace(good, "300", "0300", 1),
		"sign":           strings.Replace(good, "300", "+300", 1),
		"negative":       strings.Replace(good, "300", "-300", 1),
		"too large":      strings.Replace(good, "300", "9007199254740992", 1),
		"largest int64":  strings.Replace(good, "300", "9223372036854775807", 1),
		"sloppy base64":  sloppy(good),
		"no padding":     strings.Replace(good, "=\n", "\n", 1),
		"no origin":      strings.TrimPrefix(good, origin),
		"origin, spaces": "a b" + strings.TrimPrefix(good, origin),
		"origin, plus":   "a+b" + strings.TrimPrefix(good, origin),
		"origin, UTF-8":  "a\xffb" + strings.TrimPrefix(good, origin),
		"no newline":     strings.TrimSuffix(good, "\n"),
		"CR":             strings.ReplaceAll(good, "\n", "\r\n"),
		"empty root":     empty.String(),
	} {
		if got, err := tlog.ParseCheckpoint(text); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%s: ParseCheckpoint = %v, %v", name, got, err)
		}
	}
}

func TestProof(t *testing.T) {
	s, vkey := key(t, origin, 1)
	for _, size := range []int{1, 2, 255, 256, 300} {
		c, m := head(t, size)
		signed := sign(t, c, s)
		for i := 0; i < size; i += max(1, size/5) {
			hashes, err := tlog.ProveInclusion(c.Size, uint64(i), m)
			if err != nil {
				t.Fatal(err)
			}
			proof := tlog.FormatProof(uint64(i), hashes, signed)
			p, err := tlog.CheckProof([]string{vkey}, entry(i), proof)
			if err != nil || p.Index != uint64(i) || p.Checkpoint != c {
				t.Errorf("CheckProof(%d in %d) = %v, %v", i, size, p, err)
			}
			if _, err := tlog.CheckProof([]string{vkey}, entry(i+1), proof); !errors.Is(err, tlog.ErrProof) {
				t.Errorf("CheckProof of another entry: error is %v, want ErrProof", err)
			}
			checkTorchwood(t, vkey, i, proof)
		}
	}
}

// checkTorchwood lets torchwood verify a proof for entry i.
func checkTorchwood(t *testing.T, vkey string, i int, proof []byte) {
	t.Helper()
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(v))
	if err := torchwood.VerifyProof(policy, tlog.LeafHash(entry(i)), proof); err != nil {
		t.Errorf("torchwood.VerifyProof(%d): %v", i, err)
	}
	if err := torchwood.VerifyProof(policy, tlog.LeafHash(entry(i+1)), proof); err == nil {
		t.Errorf("torchwood.VerifyProof of entry %d under a proof for %d: no error", i+1, i)
	}
}

func TestParseProofRefuses(t *testing.T) {
	s, vkey := key(t, origin, 1)
	c, m := head(t, 300)
	hashes, err := tlog.ProveInclusion(300, 7, m)
	if err != nil {
		t.Fatal(err)
	}
	signed := sign(t, c, s)
	good := string(tlog.FormatProof(7, hashes, signed))
	first := hashes[0].String() + "\n"
	for name, proof := range map[string]string{
		"nothing":      "",
		"header":       strings.Replace(good, "@v1", "@v2", 1),
		"leading zero": strings.Replace(good, "index 7", "index 07", 1),
		"plus":         strings.Replace(good, "index 7", "index +7", 1),
		"no index":     strings.Replace(good, "index 7\n", "", 1),
		"extra":        string(torchwood.FormatProofWithExtraData(7, []byte("x"), hashes, signed)),
		"short hash":   strings.Replace(good, first, first[4:], 1),
		"sloppy hash":  strings.Replace(good, first, sloppy(first), 1),
		"65 hashes":    string(tlog.FormatProof(7, make([]tlog.Hash, 65), signed)),
		"no blank":     strings.Replace(good, "\n\n", "\n", 1),
		"CR in base64": strings.Replace(good, first, first[:8]+"\r"+first[8:], 1),
		"two newlines": good + "\n",
		"huge":         good + strings.Repeat("a", tlog.MaxProof),
	} {
		if _, err := tlog.CheckProof([]string{vkey}, entry(7), []byte(proof)); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%s: error is %v, want ErrMalformed", name, err)
		}
	}
}

func TestConsistencyProof(t *testing.T) {
	s, vkey := key(t, origin, 1)
	c, m := head(t, 300)
	signed := sign(t, c, s)
	for _, n := range []int{0, 1, 255, 256, 299, 300} {
		old := tlog.Checkpoint{Origin: origin, Size: uint64(n), Root: root(t, m, n)}
		hashes, err := tlog.ProveConsistency(300, uint64(n), m)
		if err != nil {
			t.Fatal(err)
		}
		proof := tlog.FormatConsistency(old, hashes, signed)
		if got, err := tlog.CheckConsistencyProof([]string{vkey}, old, proof); err != nil || got != c {
			t.Errorf("CheckConsistencyProof(%d) = %v, %v", n, got, err)
		}
		other := old
		other.Root[0] ^= 1
		if _, err := tlog.CheckConsistencyProof([]string{vkey}, other, proof); !errors.Is(err, tlog.ErrProof) {
			t.Errorf("%d: with another root: error is %v, want ErrProof", n, err)
		}
		if _, err := tlog.CheckConsistencyProof([]string{vkey}, other, tlog.FormatConsistency(other, hashes, signed)); !errors.Is(err, tlog.ErrProof) {
			t.Errorf("%d: about another root: error is %v, want ErrProof", n, err)
		}
		other = old
		other.Origin = "audittrail/other"
		if _, err := tlog.CheckConsistencyProof([]string{vkey}, other, proof); !errors.Is(err, tlog.ErrOrigin) {
			t.Errorf("%d: with another origin: error is %v, want ErrOrigin", n, err)
		}
		bad := bytes.Replace(proof, fmt.Appendf(nil, "old %d ", n), fmt.Appendf(nil, "old 0%d ", n), 1)
		if _, err := tlog.CheckConsistencyProof([]string{vkey}, old, bad); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%d: with a leading zero: error is %v, want ErrMalformed", n, err)
		}
	}
}

// rotations returns the verifier keys of a log that rotated at these sizes, and
// the rotations.
func rotations(t testing.TB, sizes ...uint64) (vkeys []string, signed [][]byte) {
	t.Helper()
	old, oldVKey := key(t, origin, 1)
	vkeys = append(vkeys, oldVKey)
	for i, size := range sizes {
		next, nextVKey := key(t, origin, byte(i+2))
		r := tlog.Rotation{Origin: origin, Size: size, Root: tlog.Hash{1}, Old: oldVKey, New: nextVKey}
		b, err := tlog.SignRotation(r, old, next)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tlog.OpenRotation(b, oldVKey); err != nil || got != r {
			t.Fatalf("OpenRotation = %v, %v; want %v", got, err, r)
		}
		if _, err := tlog.OpenRotation(b, nextVKey); !errors.Is(err, tlog.ErrUnknownKey) {
			t.Fatalf("OpenRotation with the new key: error is %v, want ErrUnknownKey", err)
		}
		signed, vkeys = append(signed, b), append(vkeys, nextVKey)
		old, oldVKey = next, nextVKey
	}
	return vkeys, signed
}

func TestResolveSigner(t *testing.T) {
	vkeys, signed := rotations(t, 10, 10, 300)
	want := tlog.KeyPeriods{
		{VKey: vkeys[0], From: 0, Until: 10},
		{VKey: vkeys[1], From: 10, Until: 10},
		{VKey: vkeys[2], From: 10, Until: 300},
		{VKey: vkeys[3], From: 300, Until: math.MaxUint64},
	}
	for i, pinned := range vkeys {
		got, err := tlog.ResolveSigner(pinned, signed)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("ResolveSigner(key %d) = %v, %v; want %v", i, got, err, want)
		}
	}
	got, err := tlog.ResolveSigner(vkeys[0], nil)
	if err != nil || len(got) != 1 || got[0] != (tlog.KeyPeriod{VKey: vkeys[0], Until: math.MaxUint64}) {
		t.Errorf("ResolveSigner without rotations = %v, %v", got, err)
	}
}

func TestResolveSignerRefuses(t *testing.T) {
	vkeys, signed := rotations(t, 10, 20, 300)
	_, stranger := key(t, origin, 99)
	k1, _ := key(t, origin, 1)
	k4, _ := key(t, origin, 4)
	back, err := tlog.SignRotation(tlog.Rotation{Origin: origin, Size: 400, Root: tlog.Hash{1}, Old: vkeys[3], New: vkeys[0]}, k4, k1)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		pinned    string
		rotations [][]byte
		want      error
	}{
		"a stranger's key":   {stranger, signed, tlog.ErrUnknownKey},
		"a gap":              {vkeys[0], [][]byte{signed[0], signed[2]}, tlog.ErrProof},
		"another order":      {vkeys[0], [][]byte{signed[1], signed[0], signed[2]}, tlog.ErrProof},
		"twice the same":     {vkeys[0], [][]byte{signed[0], signed[0]}, tlog.ErrProof},
		"a chain that ends":  {vkeys[3], signed[:2], tlog.ErrUnknownKey},
		"a key comes back":   {vkeys[0], append(signed[:3:3], back), tlog.ErrProof},
		"garbage":            {vkeys[0], [][]byte{[]byte("x")}, tlog.ErrMalformed},
		"no key":             {"x", signed, tlog.ErrMalformed},
		"a forged size":      {vkeys[0], [][]byte{bytes.Replace(signed[0], []byte("\n10\n"), []byte("\n11\n"), 1)}, tlog.ErrBadSignature},
		"one signature only": {vkeys[0], [][]byte{signed[0][:bytes.LastIndex(signed[0], []byte("—"))]}, tlog.ErrMalformed},
	} {
		if got, err := tlog.ResolveSigner(tt.pinned, tt.rotations); !errors.Is(err, tt.want) {
			t.Errorf("%s: ResolveSigner = %v, %v; want %v", name, got, err, tt.want)
		}
	}
}

func TestSignRotationRefuses(t *testing.T) {
	k1, v1 := key(t, origin, 1)
	k2, v2 := key(t, origin, 2)
	k3, v3 := key(t, "audittrail/other", 3)
	good := tlog.Rotation{Origin: origin, Size: 1, Root: tlog.Hash{1}, Old: v1, New: v2}
	for name, err := range map[string]error{
		"signers swapped":      errOf(tlog.SignRotation(good, k2, k1)),
		"one signer twice":     errOf(tlog.SignRotation(good, k1, k1)),
		"a key of another log": errOf(tlog.SignRotation(tlog.Rotation{Origin: origin, Size: 1, Root: tlog.Hash{1}, Old: v1, New: v3}, k1, k3)),
		"the same key":         errOf(tlog.SignRotation(tlog.Rotation{Origin: origin, Size: 1, Root: tlog.Hash{1}, Old: v1, New: v1}, k1, k1)),
		"a line in the origin": errOf(tlog.SignRotation(tlog.Rotation{Origin: "a\nb", Size: 1, Root: tlog.Hash{1}, Old: v1, New: v2}, k1, k2)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func errOf(_ []byte, err error) error { return err }

// A key is valid up to the size at which it was replaced, and no further: a
// thief who steals it later cannot sign a longer log.
func TestErasOpenCheckpoint(t *testing.T) {
	vkeys, signed := rotations(t, 10)
	eras, err := tlog.ResolveSigner(vkeys[1], signed)
	if err != nil {
		t.Fatal(err)
	}
	k1, _ := key(t, origin, 1)
	k2, _ := key(t, origin, 2)
	k3, _ := key(t, origin, 3)
	for _, tt := range []struct {
		size int
		key  note.Signer
		want error
	}{
		{5, k1, nil},
		{10, k1, nil},
		{10, k2, nil},
		{11, k2, nil},
		{11, k1, tlog.ErrRetiredKey},
		{9, k2, tlog.ErrRetiredKey},
		{9, k3, tlog.ErrUnknownKey},
	} {
		c, _ := head(t, tt.size)
		if _, _, err := eras.OpenCheckpoint(sign(t, c, tt.key), origin); !errors.Is(err, tt.want) {
			t.Errorf("size %d: error is %v, want %v", tt.size, err, tt.want)
		}
	}
}
