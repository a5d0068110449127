package tlog_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail/tlog"
)

const vectors = "../testdata/vectors/tlog"

var update = flag.Bool("update", false, "write the vectors that are missing")

// golden compares got with a vector. Vectors are permanent: an existing one is
// never written again.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join(vectors, name)
	want, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && *update {
		err = os.WriteFile(file, got, 0o644)
		want = got
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func TestVectors(t *testing.T) {
	k1, v1 := key(t, origin, 1)
	k2, v2 := key(t, origin, 2)
	golden(t, "vkeys", []byte(v1+"\n"+v2+"\n"))

	c, m := head(t, 300)
	var roots bytes.Buffer
	for n := range 301 {
		fmt.Fprintf(&roots, "%d %v\n", n, root(t, m, n))
	}
	golden(t, "roots", roots.Bytes())

	signed := sign(t, c, k1)
	golden(t, "checkpoint-300", signed)
	empty, _ := head(t, 0)
	golden(t, "checkpoint-0", sign(t, empty, k1))

	hashes, err := tlog.ProveInclusion(300, 41, m)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "proof-41-of-300.tlog-proof", tlog.FormatProof(41, hashes, signed))

	if hashes, err = tlog.ProveConsistency(300, 100, m); err != nil {
		t.Fatal(err)
	}
	old := tlog.Checkpoint{Origin: origin, Size: 100, Root: root(t, m, 100)}
	golden(t, "consistency-100-300", tlog.FormatConsistency(old, hashes, signed))

	rotation, err := tlog.SignRotation(tlog.Rotation{Origin: origin, Size: 300, Root: c.Root, Old: v1, New: v2}, k1, k2)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rotation", rotation)
}

// The values of the vectors are read back from the files alone.
func TestVectorsHold(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(vectors, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	vkeys := strings.Fields(string(read("vkeys")))
	for _, name := range []string{"checkpoint-0", "checkpoint-300"} {
		if _, _, err := tlog.OpenCheckpoint(read(name), vkeys[:1], origin); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tlog.CheckProof(vkeys[:1], entry(41), read("proof-41-of-300.tlog-proof")); err != nil {
		t.Error(err)
	}
	var old tlog.Checkpoint
	for line := range strings.Lines(string(read("roots"))) {
		var b64 string
		if _, err := fmt.Sscanf(line, "100 %s\n", &b64); err != nil {
			continue
		}
		var err error
		if old, err = tlog.ParseCheckpoint(fmt.Sprintf("%s\n100\n%s\n", origin, b64)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tlog.CheckConsistencyProof(vkeys[:1], old, read("consistency-100-300")); err != nil {
		t.Error(err)
	}
	if _, err := tlog.OpenRotation(read("rotation"), vkeys[0]); err != nil {
		t.Error(err)
	}
}

// refused are vectors in other than canonical form, and damaged ones: each
// names its vector, and the text that is replaced in it.
var refused = []struct{ name, from, old, new string }{
	{"checkpoint-leading-zero", "checkpoint-300", "\n300\n", "\n0300\n"},
	{"checkpoint-extension", "checkpoint-300", "\n\n", "\nextension\n\n"},
	{"checkpoint-no-origin", "checkpoint-300", origin + "\n300", "\n300"},
	{"checkpoint-too-large", "checkpoint-300", "\n300\n", "\n9007199254740992\n"},
	{"checkpoint-crlf", "checkpoint-300", "\n", "\r\n"},
	{"checkpoint-hyphen", "checkpoint-300", "—", "-"},
	{"checkpoint-cut", "checkpoint-300", "=\n", ""},
	{"proof-extra", "proof-41-of-300.tlog-proof", "index", "extra AAAA\nindex"},
	{"proof-leading-zero", "proof-41-of-300.tlog-proof", "index 41", "index 041"},
	{"proof-version", "proof-41-of-300.tlog-proof", "@v1", "@v2"},
	{"proof-trailing", "proof-41-of-300.tlog-proof", "=\n\n", "=\n\n\n"},
	{"consistency-spaces", "consistency-100-300", "old 100 ", "old  100 "},
	{"consistency-version", "consistency-100-300", "/v1", "/v2"},
	{"rotation-size", "rotation", "\n300\n", "\n+300\n"},
	{"rotation-version", "rotation", "/v1", "/v0"},
	{"rotation-line", "rotation", "\n\n", "\n \n\n"},
}

func TestVectorsRefused(t *testing.T) {
	for _, r := range refused {
		from, err := os.ReadFile(filepath.Join(vectors, r.from))
		if err != nil {
			t.Fatal(err)
		}
		in := bytes.ReplaceAll(from, []byte(r.old), []byte(r.new))
		if bytes.Equal(in, from) {
			t.Errorf("%s: nothing to replace", r.name)
		}
		golden(t, filepath.Join("refused", r.name), in)
		kind, _, _ := strings.Cut(r.name, "-")
		var got error
		switch kind {
		case "checkpoint":
			_, got = tlog.ReadCheckpoint(in)
		case "proof":
			_, got = tlog.ParseProof(in)
		case "consistency":
			_, got = tlog.ParseConsistency(in)
		case "rotation":
			_, v1 := key(t, origin, 1)
			_, got = tlog.OpenRotation(in, v1)
		}
		if !errors.Is(got, tlog.ErrMalformed) {
			t.Errorf("%s: error is %v, want ErrMalformed", r.name, got)
		}
	}
}
