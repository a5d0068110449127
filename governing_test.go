package audittrail_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/privacy"
	"audittrail/record"
	"audittrail/retention"
	"audittrail/tlog"
)

// governing are the types of records without which somebody could do what the
// log forbids.
var governing = []event.Type{
	event.AccessRevoked, event.HoldPlaced, event.SubjectRestricted, event.SubjectErased,
	event.SegmentsArchived, event.RetentionPolicySet, event.SignerRotated,
}

// governed makes a log in which one record of each of these types was signed, and
// returns where they are. older are the side files as they were before, and token
// one that was revoked.
func governed(t *testing.T, disk *vfs.Mem) (seqs map[event.Type]uint64, older map[string][]byte, token string) {
	t.Helper()
	if err := vfs.MakeDir(disk, place, 0o700); err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, "dir", rolling(disk))
	controller, err := access.Open(t.Context(), log, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, grant, err := controller.Grant(t.Context(), access.GrantRequest{User: "eve", Role: "auditor"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		logtest.Append(t, log, about(fmt.Sprintf("user %d", i%3), fmt.Sprintf("prompt %d", i)))
	}
	firsts := whole(t, log, 1)
	older = make(map[string][]byte)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".side") {
			if older[name], err = vfs.ReadFile(disk, "dir/log/"+name, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := controller.Revoke(t.Context(), grant.ID, "left", "admin"); err != nil {
		t.Fatal(err)
	}
	if err := controller.Close(); err != nil {
		t.Fatal(err)
	}
	hold(t, log, governance.Hold{User: "user 3"})
	if _, err := log.AppendGovernance(t.Context(), event.Event{Type: event.SubjectRestricted, UserID: "user 1"}); err != nil {
		t.Fatal(err)
	}
	erase(t, log, "user 2")
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Fatal(err)
	}
	policy, err := retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Set(t.Context(), retention.Policy{}, "officer"); err != nil {
		t.Fatal(err)
	}
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	logtest.Append(t, log, about("user 1", "more"))
	seqs = make(map[event.Type]uint64)
	for r, err := range log.GovernanceRecords(t.Context(), 0, governing...) {
		if err != nil {
			t.Fatal(err)
		}
		seqs[r.Event.Type] = r.Seq
	}
	logtest.Close(t, log)
	if len(seqs) != len(governing) {
		t.Fatalf("records that govern: %v", seqs)
	}
	return seqs, older, secret.Reveal()
}

// alter changes the type of a record, and everything that depends on it and
// needs no key: the record's hash, if chained the hashes of all later records,
// the record's entry in the tree, and, if trees, all files of the tree except
// the signed checkpoint.
func alter(t *testing.T, disk *vfs.Mem, seq uint64, to string, chained, trees bool) {
	t.Helper()
	changed := make(map[uint64][2]record.Hash)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	var before *record.Hash
	for _, name := range names {
		if !strings.HasSuffix(name, ".jsonl") {
			continue
		}
		edit(t, disk, "log/"+name, func(b []byte) []byte {
			l := lines(b)
			for i, line := range l {
				old, _ := record.ParseChainLink(bytes.TrimSuffix(line, []byte("\n")))
				switch {
				case old.Seq == seq:
					_, rest, _ := strings.Cut(string(line), `"type":"`)
					from, _, _ := strings.Cut(rest, `"`)
					l[i] = rehash(line, `"type":"`+from+`"`, `"type":"`+to+`"`)
				case old.Seq > seq && chained:
					l[i] = rehash(line, old.Prev.String(), before.String())
				default:
					continue
				}
				now, _ := record.ParseChainLink(bytes.TrimSuffix(l[i], []byte("\n")))
				changed[old.Seq] = [2]record.Hash{old.Hash, now.Hash}
				before = &now.Hash
			}
			return bytes.Join(l, nil)
		})
	}
	if changed[seq][0] == changed[seq][1] {
		t.Fatalf("record %d was not altered", seq)
	}
	if !trees {
		edit(t, disk, "tree/entries", func(b []byte) []byte {
			for _, h := range changed {
				b = bytes.Replace(b, h[0][:], h[1][:], 1)
			}
			return b
		})
		edit(t, disk, "tree/0", func(b []byte) []byte {
			for _, h := range changed {
				old, now := tlog.LeafHash(h[0]), tlog.LeafHash(h[1])
				b = bytes.Replace(b, old[:], now[:], 1)
			}
			return b
		})
		return
	}
	files, err := tree.Open(disk, "dir/tree", true)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([][32]byte, files.Size())
	if err := files.ReadEntries(0, entries); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	for seq, h := range changed {
		entries[seq] = h[1]
	}
	if names, err = disk.ReadDir("dir/tree"); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name != "checkpoint" && name != "signers" {
			if err := disk.Remove("dir/tree/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if files, err = tree.Open(disk, "dir/tree", false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Append(entries), files.Close()); err != nil {
		t.Fatal(err)
	}
}

// follows returns what a process that opens a log with an altered record does
// although it must not. If named, errors must name that record.
func follows(t *testing.T, o audittrail.Options, kind event.Type, seq uint64, named bool, token string) string {
	t.Helper()
	o.Create = false
	log, err := audittrail.Open("dir", o)
	if err != nil {
		return "" // nothing is done
	}
	defer func() { _ = log.Close() }() // an altered log may not close well
	ctx := t.Context()
	for _, types := range [][]event.Type{nil, {kind}, {event.ModelRetired}} {
		var failed error
		for _, err := range log.GovernanceRecords(ctx, 0, types...) {
			failed = err
		}
		if failed == nil {
			return fmt.Sprintf("the records that govern, of the types %v, were listed", types)
		}
		var altered *record.TamperError
		if named && (!errors.As(failed, &altered) || altered.Seq != seq) {
			return fmt.Sprintf("the error is %v, want that record %d was altered", failed, seq)
		}
	}
	if _, err := retention.Open(ctx, log, retention.Options{}); err == nil {
		return "a retention policy is in force"
	}
	if o.KeysDir != "" {
		return ""
	}
	if c, err := access.Open(ctx, log, access.Options{}); err == nil {
		defer func() { _ = c.Close() }() // as above
		if c.Check(token, access.ReadEvents, nil).Allowed {
			return "a revoked token is good"
		}
		return "access opens"
	}
	if _, err := privacy.Open(ctx, log, nil); err == nil {
		return "the restrictions are known"
	}
	if holds, err := log.Holds(ctx); err == nil {
		return fmt.Sprintf("the holds are %v", holds)
	}
	if o.ReadOnly {
		return ""
	}
	if _, err := log.Erase(ctx, audittrail.Erasure{Users: []string{"user 3"}, Reason: "r", Basis: "b", By: "o"}); err == nil {
		return "somebody was erased who is under a legal hold"
	}
	return ""
}

// TestAlteredGoverningRecord has somebody without keys replace a signed
// governance record, and make everything else consistent that does not need a
// key.
func TestAlteredGoverningRecord(t *testing.T) {
	disk := vfs.NewMem()
	seqs, older, token := governed(t, disk)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	sides := map[string]func(*vfs.Mem){
		"sealed": func(*vfs.Mem) {},
		"no side files": func(disk *vfs.Mem) {
			for _, name := range names {
				if strings.HasSuffix(name, ".side") {
					if err := disk.Remove("dir/log/" + name); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		"older seals": func(disk *vfs.Mem) {
			for name, b := range older {
				if name == "00000000000000000000.side" {
					continue // its segment has left since, by the record in question
				}
				edit(t, disk, "log/"+name, func([]byte) []byte { return b })
			}
		},
	}
	for _, kind := range governing {
		for what, side := range sides {
			for _, chained := range []bool{false, true} {
				for _, trees := range []bool{false, true} {
					if !trees && what != "sealed" {
						continue // the lines are compared with the root alone
					}
					name := fmt.Sprintf("%s/%s/chained %t/trees %t", kind, what, chained, trees)
					t.Run(name, func(t *testing.T) {
						changed := disk.Clone()
						side(changed)
						// Otherwise the signed root cannot be computed, and the
						// altered record is not known.
						named := !chained && what == "sealed"
						alter(t, changed, seqs[kind], "prompt", chained, trees)
						for _, who := range []string{"reader", "reader without keys", "writer"} {
							own := changed.Clone()
							o := rolling(own)
							o.ReadOnly = who != "writer"
							if who == "reader without keys" {
								o.KeysDir = "nowhere"
							}
							if done := follows(t, o, kind, seqs[kind], named && who == "reader", token); done != "" {
								t.Errorf("%s: %s", who, done)
							}
						}
						o := rolling(changed)
						o.ReadOnly, o.Create = true, false
						v, err := audittrail.VerifyDir(t.Context(), "dir", o, audittrail.VerifyOptions{})
						if err != nil || !v.Altered() {
							t.Errorf("verify: %+v, %v, want that it was altered", v, err)
						}
					})
				}
			}
		}
	}
}

// TestOlderSealChangesNothing puts an older seal, of before a revocation, back.
func TestOlderSealChangesNothing(t *testing.T) {
	disk := vfs.NewMem()
	seqs, older, token := governed(t, disk)
	for name, b := range older {
		if name != "00000000000000000000.side" {
			edit(t, disk, "log/"+name, func([]byte) []byte { return b })
		}
	}
	for _, readOnly := range []bool{true, false} {
		o := rolling(disk)
		o.ReadOnly, o.Create = readOnly, false
		log := logtest.Open(t, "dir", o)
		found := make(map[event.Type]uint64)
		for r, err := range log.GovernanceRecords(t.Context(), 0, governing...) {
			if err != nil {
				t.Fatal(err)
			}
			found[r.Event.Type] = r.Seq
		}
		if fmt.Sprint(found) != fmt.Sprint(seqs) {
			t.Errorf("read only %t: governed by %v, want %v", readOnly, found, seqs)
		}
		c, err := access.Open(t.Context(), log, access.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Check(token, access.ReadEvents, nil).Allowed {
			t.Errorf("read only %t: a revoked token is good", readOnly)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		logtest.Close(t, log)
	}
}

// TestAlteredGoverningRecordThatLeft alters a tombstone: the line of a
// governance record, its hash in the tombstone, and the tree.
func TestAlteredGoverningRecordThatLeft(t *testing.T) {
	disk := vfs.NewMem()
	governed(t, disk)
	const seq = 0 // access_granted
	edit(t, disk, "log/00000000000000000000.remnant", func(b []byte) []byte {
		at := bytes.Index(b, []byte(`{"`))
		end := at + bytes.IndexByte(b[at:], '\n')
		old, ok := record.ParseChainLink(b[at:end])
		if !ok || old.Seq != seq {
			t.Fatalf("the first line of the tombstone is %q", b[at:end])
		}
		line := rehash(b[at:end+1], `"type":"access_granted"`, `"type":"access_revoked"`)
		now, _ := record.ParseChainLink(bytes.TrimSuffix(line, []byte("\n")))
		copy(b[at:], line)
		copy(b[bytes.Index(b, old.Hash[:]):], now.Hash[:])
		edit(t, disk, "tree/entries", func(b []byte) []byte { return bytes.Replace(b, old.Hash[:], now.Hash[:], 1) })
		sum := sha256.Sum256(b[:len(b)-32])
		return append(b[:len(b)-32], sum[:]...)
	})
	for _, readOnly := range []bool{true, false} {
		o := rolling(disk)
		o.ReadOnly, o.Create = readOnly, false
		log, err := audittrail.Open("dir", o)
		var altered *record.TamperError
		if err == nil {
			for _, err = range log.GovernanceRecords(t.Context(), 0, event.AccessGranted) {
				if err != nil {
					break
				}
			}
			_ = log.Close() // an altered log may not close well
		}
		if !errors.As(err, &altered) || altered.Seq != seq {
			t.Errorf("read only %t: %v, want that record %d was altered", readOnly, err, seq)
		}
	}
}
