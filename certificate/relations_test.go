package certificate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"audittrail"
	"audittrail/certificate"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
	"audittrail/tlog"
)

// A maker signs any certificate, as the holder of a log's key can.
type maker struct {
	signer  note.Signer
	vkey    string
	origin  string
	entries [][32]byte // of the tree
}

func newMaker(t *testing.T, origin string, entries [][32]byte) *maker {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &maker{signer, vkey, origin, entries}
}

// hashes are the tree's stored hashes.
func (m *maker) hashes(t *testing.T) tlog.HashReader {
	t.Helper()
	var stored []sumdb.Hash
	reader := sumdb.HashReaderFunc(func(indexes []int64) ([]sumdb.Hash, error) {
		out := make([]sumdb.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for n, e := range m.entries {
		more, err := sumdb.StoredHashesForRecordHash(int64(n), tlog.LeafHash(e), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	return reader
}

func (m *maker) checkpoint(t *testing.T, size int) (tlog.Checkpoint, []byte) {
	t.Helper()
	leaves := make([]tlog.Hash, size)
	for i := range leaves {
		leaves[i] = tlog.LeafHash(m.entries[i])
	}
	c := tlog.Checkpoint{Origin: m.origin, Size: uint64(size), Root: tlog.RootOf(leaves)}
	signed, err := tlog.Sign(c, m.signer)
	if err != nil {
		t.Fatal(err)
	}
	return c, signed
}

// complete adds the checkpoint before, of a number of records, the inclusion
// proof of the record at index, and the consistency proof of the later tree
// with the one before to a certificate.
func (m *maker) complete(t *testing.T, c *certificate.Certificate, index, before, later int) {
	t.Helper()
	old, signedBefore := m.checkpoint(t, before)
	_, signedAll := m.checkpoint(t, len(m.entries))
	path, err := tlog.ProveInclusion(uint64(len(m.entries)), uint64(index), m.hashes(t))
	if err != nil {
		t.Fatal(err)
	}
	_, signedLater := m.checkpoint(t, later)
	prefix, err := tlog.ProveConsistency(uint64(later), uint64(before), m.hashes(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Before = signedBefore
	c.Proof = tlog.FormatProof(uint64(index), path, signedAll)
	c.Consistency = tlog.FormatConsistency(old, prefix, signedLater)
}

// sign signs a certificate: so the order of the checks does not matter, and each
// relation between its parts is checked by itself.
func (m *maker) sign(t *testing.T, c *certificate.Certificate) {
	t.Helper()
	digest, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m.signLines(t, c, certificate.Kind, digest)
}

func (m *maker) signLines(t *testing.T, c *certificate.Certificate, kind string, lines ...string) {
	t.Helper()
	var err error
	if c.Signature, err = tlog.SignStatement(tlog.Statement{Kind: kind, Origin: m.origin, Lines: lines}, m.signer); err != nil {
		t.Fatal(err)
	}
}

// TestRelations signs certificates whose parts do not belong together: each
// part is right, and the signature over all of them too, but the certificate
// does not verify.
func TestRelations(t *testing.T) {
	log := logtest.Open(t, t.TempDir(), audittrail.Options{Create: true, Origin: "example.com/relations"})
	add := func(e event.Event) uint64 {
		t.Helper()
		r := logtest.Append(t, log, e)
		return r.Seq
	}
	add(event.Event{Type: event.Prompt, UserID: "ann", Prompt: "x"})
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r", Basis: "b"})
	if err != nil {
		t.Fatal(err)
	}
	order, err := log.Get(t.Context(), done.Receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	// An application can record the words of the order in an event of its own.
	alike := add(event.Event{Type: event.Prompt, Metadata: order.Event.Metadata})
	add(event.Event{Type: event.Prompt, Metadata: map[string]json.RawMessage{"a": json.RawMessage("1")}})
	size, err := log.Size()
	if err != nil {
		t.Fatal(err)
	}
	var entries [][32]byte
	for seq := range size {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, r.Hash)
	}
	m := newMaker(t, log.Origin(), entries)
	seq, all := int(done.Receipt.Seq), len(entries)
	certify := func(of uint64) *certificate.Certificate {
		t.Helper()
		d, err := log.Disclose(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		c := &certificate.Certificate{
			Issued: order.Logged, Seq: of, Subjects: done.Subjects, Reason: "r", Basis: "b", ErasureRecord: d, Records: 1,
		}
		m.complete(t, c, int(of), seq, all)
		return c
	}
	check := func(what, want string, c *certificate.Certificate) {
		t.Helper()
		b, err := c.Encode()
		if err == nil {
			c, err = certificate.Decode(b)
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		_, err = c.Check([]string{m.vkey})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case want != "" && err == nil:
			t.Errorf("%s: the certificate holds", what)
		case want != "" && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	signed := func(what, want string, change func(*certificate.Certificate)) {
		t.Helper()
		c := certify(done.Receipt.Seq)
		change(c)
		m.sign(t, c)
		check(what, want, c)
	}

	signed("as it is", "", func(*certificate.Certificate) {})
	signed("another reason", "the certificate contradicts its record", func(c *certificate.Certificate) { c.Reason = "other" })
	signed("another basis", "the certificate contradicts its record", func(c *certificate.Certificate) { c.Basis = "other" })
	signed("no subject", "the certificate contradicts its record", func(c *certificate.Certificate) { c.Subjects = nil })
	signed("a subject more", "the certificate contradicts its record", func(c *certificate.Certificate) {
		c.Subjects = append(slices.Clone(c.Subjects), record.Subject{0xff})
	})
	signed("another number", "the certificate contradicts its record", func(c *certificate.Certificate) { c.Seq++ })
	signed("a checkpoint before that has the erasure", "covers the erasure", func(c *certificate.Certificate) {
		m.complete(t, c, seq, all, all)
	})
	signed("a log to compare with that ends before", "does not contain the erasure", func(c *certificate.Certificate) {
		m.complete(t, c, seq, seq, seq)
	})
	signed("the proof of another record", "certificate", func(c *certificate.Certificate) {
		other := certify(alike)
		c.Proof = other.Proof
	})
	signed("a checkpoint before of another tree", "certificate", func(c *certificate.Certificate) {
		other := newMaker(t, m.origin, slices.Repeat([][32]byte{{1}}, all))
		other.signer, other.vkey = m.signer, m.vkey
		_, c.Before = other.checkpoint(t, seq)
	})
	// The record of an application with the details of an order.
	c := certify(alike)
	m.sign(t, c)
	check("the words of an order in a prompt", "of type prompt", c)

	// A tree in which the record has another index than it states.
	moved := newMaker(t, m.origin, append([][32]byte{{1}}, entries...))
	moved.signer, moved.vkey = m.signer, m.vkey
	c = certify(done.Receipt.Seq)
	moved.complete(t, c, seq+1, seq, all)
	m.sign(t, c)
	check("a record in another place", "the proof is of record", c)

	// The log's statement of another certificate, and of another kind.
	c = certify(done.Receipt.Seq)
	digest, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m.signLines(t, c, certificate.Kind, strings.Repeat("0", 64))
	check("another digest", "signed another certificate", c)
	m.signLines(t, c, certificate.Kind, digest, digest)
	check("two digests", "signed another certificate", c)
	m.signLines(t, c, "report", digest)
	check("another kind of statement", "certificate", c)
	stranger := newMaker(t, m.origin, entries)
	stranger.sign(t, c)
	check("the statement of another key", "certificate", c)
}

// TestLimits refuses certificates that are too large, before their parts are
// read.
func TestLimits(t *testing.T) {
	text, _ := vector(t, 2)
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	encode := func(name string, value any) []byte {
		t.Helper()
		old := members[name]
		defer func() { members[name] = old }()
		members[name] = value
		b, err := json.Marshal(members) // which sorts them
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	backup := members["backups"].([]any)[0]
	for what, c := range map[string]struct {
		b    []byte
		want string
	}{
		"records":       {encode("records", uint64(record.MaxSeq)+1), "too large"},
		"number":        {encode("seq", uint64(record.MaxSeq)+1), "too large"},
		"backups":       {encode("backups", slices.Repeat([]any{backup}, 10_001)), "too large"},
		"no signature":  {encode("signature", ""), "not signed"},
		"short key":     {encode("key", "AAAA"), "32 bytes"},
		"bad key":       {encode("key", "!"), "32 bytes"},
		"long key":      {encode("key", strings.Repeat("A", 64)), "32 bytes"},
		"subject":       {encode("subjects", []any{"x"}), "subject 0"},
		"backup":        {encode("backups", []any{map[string]any{"id": "x", "created": "", "expires": ""}}), "backup 0"},
		"time":          {encode("issued", "yesterday"), "invalid time"},
		"version":       {encode("v", 7), "version 7"},
		"all of 64 MiB": {encode("reason", strings.Repeat("a", certificate.MaxBytes)), "longer than"},
	} {
		if _, err := certificate.Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	if _, err := (&certificate.Certificate{Reason: strings.Repeat("a", certificate.MaxBytes)}).Encode(); err == nil {
		t.Error("a certificate was written that is longer than the limit")
	}
}
