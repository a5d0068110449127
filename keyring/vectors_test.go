package keyring_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

var newVectors = flag.Bool("new-vectors", false, "write the vectors of a new format; those that exist stay forever")

// vectors is the folder of the rings that every later version must read.
const vectors = "../testdata/vectors/keyring"

// A vector has the values that its ring must return. PRKs are of test keys.
type vector struct {
	Origin     string       `json:"origin"`
	Generation uint64       `json:"generation"`
	System     string       `json:"system"`
	Subjects   int          `json:"subjects"`
	Classes    int          `json:"classes"`
	Keys       []vectorKey  `json:"keys"`
	Erased     []string     `json:"erased"`
	ErasedAt   uint64       `json:"erased_at"`
	Expired    string       `json:"expired"`
	Session    [2]string    `json:"session"`   // id, hash
	ClientID   [2]string    `json:"client_id"` // id, UUID
	VKeys      []string     `json:"vkeys"`
	SignedSize uint64       `json:"signed_size"`
	SignedRoot string       `json:"signed_root"`
	Applied    uint64       `json:"applied"`
	Now        time.Time    `json:"now"`               // when the backup had not expired
	Files      []vectorFile `json:"files,omitempty"`   // derived files and their keys
	Escrows    []vectorFile `json:"escrows,omitempty"` // of classes
	Format     vectorFormat `json:"format"`
}

type vectorFile struct {
	Class string `json:"class,omitempty"`
	ID    string `json:"id"`
	Key   string `json:"key"`
	Seq   uint64 `json:"seq,omitempty"`
}

type vectorKey struct {
	User    string `json:"user"`
	Class   string `json:"class"`
	Subject string `json:"subject"`
	PRK     string `json:"prk"`
}

// A vectorFormat counts the frames of each kind in the ring.
type vectorFormat struct {
	Kinds map[string]int `json:"kinds"`
}

func TestVectors(t *testing.T) {
	if *newVectors {
		writeVectors(t, filepath.Join(vectors, "v1-files"))
	}
	folders, err := filepath.Glob(filepath.Join(vectors, "v*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("found no vectors: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) { readVectors(t, folder) })
	}
}

func readVectors(t *testing.T, folder string) {
	ctx := context.Background()
	var v vector
	text, err := os.ReadFile(filepath.Join(folder, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(folder, "keys")
	r, err := keyring.Open(ctx, keys, keyring.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	v.check(t, r)
	v.checkFiles(t, r)
	if r.Generation() != v.Generation {
		t.Errorf("Generation = %d, want %d", r.Generation(), v.Generation)
	}
	closeRing(t, r)

	ring, err := os.ReadFile(filepath.Join(keys, fmt.Sprintf("ring-%016x", v.Generation)))
	if err != nil {
		t.Fatal(err)
	}
	master, err := os.ReadFile(filepath.Join(keys, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	end := 0
	for _, f := range frames(ring, unwrap(masterOf(t, map[string][]byte{"master.key": master}), ring)) {
		kinds[fmt.Sprint(f.kind)]++
		if end > 0 && f.off != end {
			t.Errorf("a frame begins at %d, the one before ends at %d", f.off, end)
		}
		end = f.off + f.size
	}
	if fmt.Sprint(kinds) != fmt.Sprint(v.Format.Kinds) || end != len(ring) {
		t.Errorf("the ring has frames of kinds %v up to %d, want %v up to %d", kinds, end, v.Format.Kinds, len(ring))
	}

	backup, err := os.ReadFile(filepath.Join(folder, "backup.age"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(folder, "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(string(bytes.TrimSpace(secret)))
	if err != nil {
		t.Fatal(err)
	}
	o := keyring.Options{FS: vfs.NewMem(), Now: func() time.Time { return v.Now }}
	if err := keyring.Restore(ctx, dir, bytes.NewReader(backup), id, o); err != nil {
		t.Fatal(err)
	}
	back, err := keyring.Open(ctx, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	v.check(t, back)
	if ids, err := back.FileKeys(); err != nil || len(ids) > 0 {
		t.Errorf("a restored ring has the keys of derived files %x, %v", ids, err)
	}
	closeRing(t, back)
}

func (v *vector) checkFiles(t *testing.T, r *keyring.Ring) {
	t.Helper()
	ids, err := r.FileKeys()
	if err != nil || len(ids) != len(v.Files) {
		t.Errorf("FileKeys = %x, %v, want %d of them", ids, err, len(v.Files))
	}
	for _, f := range v.Files {
		id, err := hex.DecodeString(f.ID)
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.FileKey(keyring.FileID(id))
		if got := hex.EncodeToString(key[:]); err != nil || got != f.Key {
			t.Errorf("FileKey(%s) = %s, %v, want %s", f.ID, got, err, f.Key)
		}
	}
}

func (v *vector) check(t *testing.T, r *keyring.Ring) {
	t.Helper()
	for _, k := range v.Keys {
		id, err := record.ParseSubject(k.Subject)
		if err != nil {
			t.Fatal(err)
		}
		prk, err := hex.DecodeString(k.PRK)
		if err != nil {
			t.Fatal(err)
		}
		if err := (held{k.User, k.Class, id, record.PRK(prk)}).check(r); err != nil {
			t.Error(err)
		}
	}
	for _, s := range v.Erased {
		id, err := record.ParseSubject(s)
		if err != nil {
			t.Fatal(err)
		}
		var state *keyring.StateError
		if _, err := r.DecryptionKey(id, v.Keys[0].Class); !errors.As(err, &state) || state.State != record.Erased || state.Seq != v.ErasedAt {
			t.Errorf("ForOpening(%s) = %v, want erased at %d", s, err, v.ErasedAt)
		}
	}
	if _, err := r.DecryptionKey(r.System(), v.Expired); !errors.Is(err, keyring.ErrExpired) {
		t.Errorf("ForOpening(%s) = %v, want ErrExpired", v.Expired, err)
	}
	if got := v.observe(r); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", v.observed()) {
		t.Errorf("the ring is\n%+v, want\n%+v", got, v.observed())
	}
}

// observed returns the part of v that observe returns.
func (v *vector) observed() vector {
	o := *v
	o.Generation, o.Keys, o.Erased, o.ErasedAt, o.Expired, o.Now, o.Files, o.Format = 0, nil, nil, 0, "", time.Time{}, nil, vectorFormat{}
	return o
}

func escrows(r *keyring.Ring) (all []vectorFile) {
	list, _ := r.Escrows()
	for _, e := range list {
		all = append(all, vectorFile{e.Class, hex.EncodeToString(e.File[:]), hex.EncodeToString(e.Key[:]), e.Seq})
	}
	return all
}

func (v *vector) observe(r *keyring.Ring) vector {
	session := r.Session(v.Session[0])
	size, root := r.Signed()
	seq, _ := r.LastDestruction()
	got := vector{
		Origin: r.Origin(), System: r.System().String(), Session: [2]string{v.Session[0], hex.EncodeToString(session[:])},
		ClientID: [2]string{v.ClientID[0], r.DeriveRecordID(v.ClientID[0]).String()}, SignedSize: size,
		SignedRoot: hex.EncodeToString(root[:]), Applied: seq,
	}
	got.Subjects, got.Classes = r.Count()
	got.Escrows = escrows(r)
	for _, s := range r.Signers() {
		got.VKeys = append(got.VKeys, s.VKey)
	}
	return got
}

func writeVectors(t *testing.T, folder string) {
	ctx := context.Background()
	if _, err := os.Stat(folder); err == nil {
		t.Fatalf("%s is there already", folder)
	}
	v := vector{Session: [2]string{"session-1", ""}, ClientID: [2]string{"order 4711", ""}, Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	keys := filepath.Join(folder, "keys")
	r, err := keyring.Create(ctx, keys, "vectors.example/log", keyring.Options{Now: func() time.Time { return v.Now }})
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(user, class string) record.Subject {
		h := seal(t, r, user, class)
		flush(t, r)
		v.Keys = append(v.Keys, vectorKey{user, class, h.subject.String(), hex.EncodeToString(h.prk[:])})
		return h.subject
	}
	doomed := seal(t, r, "to be erased", class).subject
	for i := range 70 { // two pages
		sealed(fmt.Sprintf("user-%d@example.com", i), class)
	}
	sealed("Zoë \u2028 <&>\x00", other)
	sealed("", class)
	sealed("", "governance/2026-11")
	newFile := func() keyring.FileID {
		id, key, err := r.NewFileKey()
		if err != nil {
			t.Fatal(err)
		}
		v.Files = append(v.Files, vectorFile{ID: hex.EncodeToString(id[:]), Key: hex.EncodeToString(key[:])})
		return id
	}
	newFile()
	if err := r.SetEscrows(keyring.Escrow{Class: "gone/2020-01", File: keyring.FileID{1}, Key: keyring.FileKey{2}, Seq: 40}); err != nil {
		t.Fatal(err)
	}
	v.Erased, v.ErasedAt, v.Expired = []string{doomed.String()}, 41, "gone/2020-01"
	k, err := r.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	id := identity(t)
	var backup bytes.Buffer
	for _, err := range []error{
		r.Destroy(keyring.Destruction{Subjects: []record.Subject{doomed}, Classes: []string{v.Expired}, Seq: 41, Hash: record.Hash{41}}),
		r.CommitSigner(k, 17, []byte("a statement\n")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sealed("in the journal", class)
	sealed("user-0@example.com", "later/2027-01")
	newFile()
	dropped := newFile()
	v.Files = v.Files[:2]
	for _, err := range []error{
		r.DropFileKeys(dropped),
		r.SetEscrows(keyring.Escrow{Class: "gone/2020-02", File: keyring.FileID{3}, Key: keyring.FileKey{4}, Seq: 43}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.SetSigned(42, [32]byte{4, 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Backup(&backup, id.Recipient(), v.Now.AddDate(0, 0, 30)); err != nil {
		t.Fatal(err)
	}
	seen := v.observe(r)
	seen.Keys, seen.Erased, seen.ErasedAt, seen.Expired, seen.Files, seen.Now = v.Keys, v.Erased, v.ErasedAt, v.Expired, v.Files, v.Now
	seen.Generation = r.Generation()
	closeRing(t, r)
	ring, err := os.ReadFile(filepath.Join(keys, fmt.Sprintf("ring-%016x", seen.Generation)))
	if err != nil {
		t.Fatal(err)
	}
	master, err := os.ReadFile(filepath.Join(keys, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	seen.Format.Kinds = map[string]int{}
	for _, f := range frames(ring, unwrap(masterOf(t, map[string][]byte{"master.key": master}), ring)) {
		seen.Format.Kinds[fmt.Sprint(f.kind)]++
	}
	text, err := json.MarshalIndent(seen, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"expect.json": append(text, '\n'), "backup.age": backup.Bytes(), "identity.txt": []byte(id.String() + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(keys, "LOCK")); err != nil {
		t.Fatal(err)
	}
}
