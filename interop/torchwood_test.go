package interop

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// policy trusts the log's own key under the log's own name, and nothing else.
func policy(t *testing.T, vkey string) torchwood.Policy {
	t.Helper()
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(v))
}

// TestTorchwoodReadsTheTree reads every entry of an exported tree, each of
// which Torchwood's client checks against the signed root.
func TestTorchwoodReadsTheTree(t *testing.T) {
	dir, path := newLog(t, 2000)
	signed, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy(t, vkey(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	files, err := torchwood.NewTileFS(os.DirFS(path))
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(files)
	if err != nil {
		t.Fatal(err)
	}
	want := entries(t, dir)
	next := 0
	for i, entry := range client.AllEntries(t.Context(), checkpoint.Tree, 0) {
		if int(i) != next || next >= len(want) || !bytes.Equal(entry, want[i][:]) {
			t.Fatalf("entry %d of the tree is %x, which is no hash of record %d", i, entry, next)
		}
		next++
	}
	if err := client.Err(); err != nil {
		t.Fatal(err)
	}
	if next != len(want) || checkpoint.N != int64(len(want)) {
		t.Errorf("the tree has %d entries under a checkpoint of %d, want %d", next, checkpoint.N, len(want))
	}
}

// TestTorchwoodVerifiesProofs verifies the proofs of the command prove, for
// every record of a small log and for the wrong record too.
func TestTorchwoodVerifiesProofs(t *testing.T) {
	dir, _ := newLog(t, 20)
	p := policy(t, vkey(t, dir))
	want := entries(t, dir)
	for seq, entry := range want {
		proof := audittrail(t, dir, "prove", fmt.Sprint(seq))
		if err := torchwood.VerifyProof(p, tlog.RecordHash(entry[:]), proof); err != nil {
			t.Errorf("proof of record %d: %v", seq, err)
		}
		other := want[(seq+1)%len(want)]
		err := torchwood.VerifyProof(p, tlog.RecordHash(other[:]), proof)
		if _, ok := errors.AsType[*torchwood.VerifyRecordError](err); !ok {
			t.Errorf("proof of record %d, given another record: %v, want a VerifyRecordError", seq, err)
		}
	}
}
