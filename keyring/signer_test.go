package keyring_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"audittrail/internal/vfs"
)

func signedBy(t *testing.T, s note.Signer, vkey string) error {
	t.Helper()
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: "text\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = note.Open(msg, note.VerifierList(v))
	return err
}

func TestRotateSigner(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 2)
	first := r.Signers()
	if len(first) != 1 || first[0].From != 0 || first[0].Until != nil || first[0].Note != nil {
		t.Fatalf("Signers = %+v", first)
	}
	if time.Since(first[0].Created) > time.Minute {
		t.Errorf("Created = %v", first[0].Created)
	}
	if err := signedBy(t, r.Signer(), first[0].VKey); err != nil {
		t.Error(err)
	}
	k, err := r.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	if err := signedBy(t, k.Signer(), k.VKey()); err != nil {
		t.Error(err)
	}
	if r.Signers()[0].VKey != first[0].VKey || len(r.Signers()) != 1 {
		t.Error("a key that was not committed is among the signers")
	}
	before := files(t, disk)
	statement := []byte("a statement <&> of some kind\n\n— sig\n")
	for range 2 { // the second time it is in force already
		if err := r.CommitSigner(k, 300, statement); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		got := r.Signers()
		if len(got) != 2 || got[0].VKey != first[0].VKey || got[1].VKey != k.VKey() ||
			got[0].Until == nil || *got[0].Until != 300 || got[1].From != 300 || got[1].Until != nil ||
			!bytes.Equal(got[1].Note, statement) || got[0].Note != nil {
			t.Fatalf("Signers = %+v", got)
		}
		if err := signedBy(t, r.Signer(), k.VKey()); err != nil {
			t.Error(err)
		}
		closeRing(t, r)
		r = open(t, disk)
	}
	checkAll(t, r, all)
	later, err := r.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CommitSigner(later, 299, nil); err == nil {
		t.Error("CommitSigner puts a key in force before its predecessor")
	}
	closeRing(t, r)

	// The old private key is not on the disk any more: its seed was in the JSON
	// of the ring's state.
	seeds := func(all map[string][]byte) (found [][]byte) {
		for _, data := range all {
			for _, f := range frames(data, unwrap(masterOf(t, all), data)) {
				if _, after, ok := bytes.Cut(f.payload, []byte(`"seed":"`)); ok {
					seed, _, _ := bytes.Cut(after, []byte(`"`))
					found = append(found, seed)
				}
			}
		}
		return found
	}
	old, now := seeds(before), seeds(files(t, disk))
	if len(old) != 1 || len(now) != 1 || bytes.Equal(old[0], now[0]) {
		t.Errorf("seeds on disk: %d before, %d after", len(old), len(now))
	}
}

func TestForeignSigner(t *testing.T) {
	r := create(t, vfs.NewMem())
	defer closeRing(t, r)
	other := createAs(t, vfs.NewMem(), "example.com/other")
	defer closeRing(t, other)
	k, err := other.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CommitSigner(k, 0, nil); err == nil {
		t.Error("CommitSigner takes the key of another log")
	}
}

func TestSigned(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	if size, root := r.Signed(); size != 0 || root != [32]byte{} {
		t.Errorf("Signed = %d, %x", size, root)
	}
	for _, size := range []uint64{0, 3, 3, 7} {
		if err := r.SetSigned(size, [32]byte{byte(size)}); err != nil {
			t.Errorf("SetSigned(%d) = %v", size, err)
		}
	}
	if err := r.SetSigned(6, [32]byte{6}); err == nil {
		t.Error("SetSigned goes back")
	}
	if err := r.SetSigned(7, [32]byte{8}); err == nil {
		t.Error("SetSigned takes another root of one size")
	}
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	if size, root := r.Signed(); size != 7 || root != [32]byte{7} {
		t.Errorf("Signed = %d, %x, want 7", size, root)
	}
}
