package tlog_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"audittrail/tlog"
)

func FuzzParseCheckpoint(f *testing.F) {
	c, _ := head(f, 300)
	f.Add(c.String())
	c, _ = head(f, 0)
	f.Add(c.String())
	f.Fuzz(func(t *testing.T, in string) {
		c, err := tlog.ParseCheckpoint(in)
		if err == nil && c.String() != in {
			t.Errorf("ParseCheckpoint accepted %q, which is %q", in, c.String())
		}
	})
}

// Of a checkpoint signed by a known key, nothing can be changed but which other
// keys signed it.
func FuzzOpenCheckpoint(f *testing.F) {
	s, vkey := key(f, origin, 1)
	w, _ := key(f, "witness.example", 2)
	c, _ := head(f, 300)
	f.Add(sign(f, c, s))
	f.Add(sign(f, c, w, s))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, n, err := tlog.OpenCheckpoint(in, []string{vkey}, origin)
		if err != nil {
			return
		}
		lines := strings.SplitAfter(string(in[len(c.String())+1:]), "\n")
		lines = lines[:len(lines)-1]
		var want []string
		for _, sig := range slices.Concat(n.Sigs, n.UnverifiedSigs) {
			want = append(want, fmt.Sprintf("— %s %s\n", sig.Name, sig.Base64))
		}
		slices.Sort(want)
		slices.Sort(lines)
		if !slices.Equal(want, lines) || !bytes.HasPrefix(in, []byte(c.String()+"\n—")) {
			t.Errorf("OpenCheckpoint accepted %q, which is %v, %q", in, c, want)
		}
		own, _ := tlog.Sign(c, s)
		if line := own[bytes.Index(own, []byte("—")):]; !bytes.Contains(in, line) {
			t.Errorf("OpenCheckpoint accepted %q, without the signature %q", in, line)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	s, _ := key(f, origin, 1)
	c, m := head(f, 300)
	hashes, err := tlog.ProveInclusion(300, 41, m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tlog.FormatProof(41, hashes, sign(f, c, s)))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := tlog.ParseProof(in)
		if err != nil {
			return
		}
		if again := tlog.FormatProof(p.Index, p.Hashes, p.Signed); !bytes.Equal(again, in) {
			t.Errorf("ParseProof accepted %q, which is %q", in, again)
		}
		if _, err := tlog.ReadCheckpoint(p.Signed); err != nil {
			t.Errorf("ParseProof accepted %q, whose checkpoint is %v", in, err)
		}
	})
}

func FuzzParseConsistency(f *testing.F) {
	s, _ := key(f, origin, 1)
	c, m := head(f, 300)
	hashes, err := tlog.ProveConsistency(300, 100, m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tlog.FormatConsistency(tlog.Checkpoint{Size: 100, Root: root(f, m, 100)}, hashes, sign(f, c, s)))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := tlog.ParseConsistency(in)
		if err != nil {
			return
		}
		old := tlog.Checkpoint{Size: p.OldSize, Root: p.OldRoot}
		if again := tlog.FormatConsistency(old, p.Hashes, p.Signed); !bytes.Equal(again, in) {
			t.Errorf("ParseConsistency accepted %q, which is %q", in, again)
		}
	})
}

func FuzzOpenRotation(f *testing.F) {
	vkeys, signed := rotations(f, 10)
	k1, _ := key(f, origin, 1)
	k2, _ := key(f, origin, 2)
	f.Add(signed[0])
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := tlog.OpenRotation(in, vkeys[0])
		if err != nil || r.New != vkeys[1] {
			return
		}
		// Ed25519 signatures are deterministic.
		if again, err := tlog.SignRotation(r, k1, k2); err != nil || !bytes.Equal(again, in) {
			t.Errorf("OpenRotation accepted %q, which is %q, %v", in, again, err)
		}
	})
}

func FuzzParseVKey(f *testing.F) {
	_, vkey := key(f, origin, 1)
	f.Add(vkey)
	f.Fuzz(func(t *testing.T, in string) {
		v, err := tlog.ParseVKey(in)
		if err != nil {
			return
		}
		if want := fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash()); !strings.HasPrefix(in, want) {
			t.Errorf("ParseVKey accepted %q, which begins with %q", in, want)
		}
		if _, err := note.NewVerifier(in); err != nil {
			t.Errorf("ParseVKey accepted %q: %v", in, err)
		}
	})
}
