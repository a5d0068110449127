package audittrail_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

const firstSide = "log/00000000000000000000.side"

// changeEntry changes the entry of a record in the side file of the first
// segment, and makes its check right, as anybody can.
func changeEntry(side []byte, seq int, f func(e []byte)) []byte {
	side = bytes.Clone(side)
	e := side[32+16*seq:][:16]
	f(e)
	sum := binary.BigEndian.AppendUint64(nil, uint64(seq))
	sum = append(append(sum, e[:5]...), e[8:]...)
	c := crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli))
	e[5], e[6], e[7] = byte(c>>16), byte(c>>8), byte(c)
	return side
}

// hide changes a side file so that none of its entries is of a governance
// record.
func hide(side []byte, records int) []byte {
	for seq := range records {
		side = changeEntry(side, seq, func(e []byte) { e[4] = 0 })
	}
	return side
}

// governors returns the governance records that a reader of a log finds.
func governors(t *testing.T, disk vfs.FS, readOnly bool) (seqs []uint64, held bool) {
	t.Helper()
	o := onDisk(disk)
	o.ReadOnly, o.Create = readOnly, false
	log := logtest.Open(t, "dir", o)
	defer logtest.Close(t, log)
	for r, err := range log.GovernanceRecords(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, r.Seq)
	}
	holds, err := log.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !readOnly {
		_, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"bob"}, Reason: "r", Basis: "b", By: "officer"})
		if err == nil {
			t.Fatal("somebody was erased who is under a legal hold")
		}
	}
	return seqs, len(holds) == 1
}

// TestSideGovernsNothing changes every bit of a side file, and its entries for
// governance records: these govern the log all the same, and a person under a
// legal hold cannot be erased.
func TestSideGovernsNothing(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, about("ann", "one"))
	logtest.Append(t, log, about("bob", "two"))
	for _, kind := range []event.Type{event.AccessGranted, event.AccessRevoked, event.SubjectRestricted} {
		if _, err := log.AppendGovernance(t.Context(), event.Event{Type: kind, Labels: map[string]string{"id": "1"}}); err != nil {
			t.Fatal(err)
		}
	}
	hold(t, log, governance.Hold{User: "bob"})
	logtest.Close(t, log)
	want := []uint64{2, 3, 4, 5}
	side, err := vfs.ReadFile(disk, "dir/"+firstSide, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	sides := map[string][]byte{"all hidden": hide(side, 6), "none": nil, "header": side[:32]}
	for seq := range 6 {
		sides[fmt.Sprintf("entry %d", seq)] = changeEntry(side, seq, func(e []byte) { e[4] ^= 1 })
		sides[fmt.Sprintf("cut after %d", seq)] = side[:32+16*seq]
	}
	for bit := range 8 * len(side) {
		b := bytes.Clone(side)
		b[bit/8] ^= 1 << (bit % 8)
		sides[fmt.Sprintf("bit %d", bit)] = b
	}
	n := 0
	for name, b := range sides {
		changed := disk.Clone()
		if err := vfs.WriteFile(changed, "dir/"+firstSide, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, held := governors(t, changed, true); !slices.Equal(got, want) || !held {
			t.Fatalf("%s: a reader is governed by %v, held: %t, want %v", name, got, held, want)
		}
		if n++; n%20 != 0 && strings.HasPrefix(name, "bit") {
			continue
		}
		if got, held := governors(t, changed, false); !slices.Equal(got, want) || !held {
			t.Fatalf("%s: a writer is governed by %v, held: %t, want %v", name, got, held, want)
		}
	}
}

// TestOrderIsNotHidden restores an older keyring of a log in which somebody was
// erased since, and hides the order in the side file.
func TestOrderIsNotHidden(t *testing.T) {
	for _, readOnly := range []bool{true, false} {
		dir, kept := t.TempDir(), filepath.Join(t.TempDir(), "keys")
		log := logtest.Open(t, dir, audittrail.Options{Create: true})
		seq := logtest.Append(t, log, about("ann", "one")).Seq
		logtest.Close(t, log)
		copyTree(t, filepath.Join(dir, "keys"), kept)
		log = logtest.Open(t, dir, audittrail.Options{})
		erase(t, log, "ann")
		size := size(t, log)
		logtest.Close(t, log)
		bringBackKeys(t, dir, kept)
		side, err := os.ReadFile(filepath.Join(dir, firstSide))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, firstSide), hide(side, int(size)), 0o644); err != nil {
			t.Fatal(err)
		}
		log = logtest.Open(t, dir, audittrail.Options{ReadOnly: readOnly})
		wantStates(t, log, map[uint64]record.State{seq: record.Erased})
		logtest.Close(t, log)
	}
}

// TestCopyIsRefused gives a record a second place, and hides its id where ids
// are looked up: the next writer does not sign it.
func TestCopyIsRefused(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(disk))
	for i := range 40 {
		logtest.Append(t, log, about("bob", fmt.Sprintf("approve transfer %d", i)))
	}
	logtest.Close(t, log)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	var segments, derived []string
	for _, name := range names {
		if strings.HasSuffix(name, ".jsonl") {
			segments = append(segments, name)
		} else {
			derived = append(derived, name)
		}
	}
	if len(segments) < 3 || len(derived) <= len(segments) {
		t.Fatalf("%d segments and %d derived files", len(segments), len(derived))
	}
	first, err := vfs.ReadFile(disk, "dir/log/"+firstSegment, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	original := lines(first)[1]
	edit(t, disk, "log/"+segments[len(segments)-1], func(b []byte) []byte {
		l := lines(b)
		last, _ := record.ParseChainLink(bytes.TrimSuffix(l[len(l)-1], []byte("\n")))
		own, _ := record.ParseChainLink(bytes.TrimSuffix(original, []byte("\n")))
		again := bytes.Replace(original, []byte(own.Prev.String()), []byte(last.Hash.String()), 1)
		again = bytes.Replace(again, event.AppendTime(nil, own.Logged), event.AppendTime(nil, last.Logged), 1)
		return append(b, rehash(again, `"seq":1,"logged"`, fmt.Sprintf(`"seq":%d,"logged"`, last.Seq+1))...)
	})
	refused := func(what string, disk *vfs.Mem) {
		t.Helper()
		_, err := audittrail.Open("dir", rolling(disk))
		var damaged *audittrail.DamagedError
		if !errors.As(err, &damaged) || !strings.Contains(damaged.Detail, "a copy of record 1") {
			t.Fatalf("%s: Open() = %v, want that there is a copy of record 1", what, err)
		}
	}
	refused("nothing hidden", disk.Clone())
	for _, name := range derived {
		changed := disk.Clone()
		if err := changed.Remove("dir/log/" + name); err != nil {
			t.Fatal(err)
		}
		refused(name+" gone", changed)
		b, err := vfs.ReadFile(disk, "dir/log/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(b); at += 13 {
			changed := disk.Clone()
			edit(t, changed, "log/"+name, func(b []byte) []byte {
				b[at] ^= 1 << (at % 8)
				return b
			})
			refused(fmt.Sprintf("%s, byte %d", name, at), changed)
		}
	}
	changed := disk.Clone()
	edit(t, changed, firstSide, func(b []byte) []byte {
		return changeEntry(b, 1, func(e []byte) { e[12]++ })
	})
	refused("another id in the side file", changed)
	for _, name := range derived {
		if err := changed.Remove("dir/log/" + name); err != nil {
			t.Fatal(err)
		}
	}
	refused("nothing derived left", changed)
}

// TestSealsOutliveRotations replaces the master key and the signer, and
// restores the keyring from an earlier backup: sealed side files are trusted,
// and no line is read.
func TestSealsOutliveRotations(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(disk))
	for i := range 40 {
		logtest.Append(t, log, about("bob", fmt.Sprint(i)))
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := log.BackupKeys(t.Context(), &backup, id.Recipient(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	sealed := func(what string) {
		t.Helper()
		opened := make(map[string]int)
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".jsonl") {
				opened[op.Name]++
			}
			return nil
		})
		defer disk.Inject(nil)
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		log := logtest.Open(t, "dir", o)
		defer logtest.Close(t, log)
		if _, err := log.Find(t.Context(), "no such id"); !errors.Is(err, audittrail.ErrNoRecord) {
			t.Fatalf("%s: Find = %v", what, err)
		}
		for name, n := range opened {
			// In the newest segment, the two records that govern are read, too.
			if n > 3+2 {
				t.Errorf("%s: %s was read %d times: its side file was not believed", what, name, n)
			}
		}
	}
	sealed("a new signer")
	if err := disk.Remove("dir/keys/LOCK"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	names, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := disk.Remove("dir/keys/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if err := keyring.Restore(t.Context(), "dir/keys", &backup, id, keyring.Options{FS: disk}); err != nil {
		t.Fatal(err)
	}
	sealed("a keyring from a backup, under a new master key")
}

// TestDerivedIsNamed has verify and the log itself name each derived file that
// disagrees with the lines, with and without the keyring, and call nothing
// altered. The next writer rebuilds a file that was removed, and the log is
// intact.
func TestDerivedIsNamed(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(disk))
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	vkey := keys[0].VKey
	for i := range 40 {
		logtest.Append(t, log, about("bob", fmt.Sprint(i)))
	}
	logtest.Close(t, log)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	problems := func(disk *vfs.Mem, withKeys bool) []finding.Finding {
		t.Helper()
		o, vo := rolling(disk), audittrail.VerifyOptions{}
		o.ReadOnly, o.Create = true, false
		if !withKeys {
			o.KeysDir, vo.VKeys = "nowhere", []string{vkey}
		}
		v, err := audittrail.VerifyDir(t.Context(), "dir", o, vo)
		if err != nil {
			t.Fatal(err)
		}
		if v.Altered() || v.FindingCount != v.Count(finding.Derived) || v.Records != 40 {
			t.Fatalf("with keys %t: altered %t, %d records, %+v", withKeys, v.Altered(), v.Records, v.Findings)
		}
		return v.Findings
	}
	own := func(disk *vfs.Mem) []finding.Finding {
		t.Helper()
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		log := logtest.Open(t, "dir", o)
		defer logtest.Close(t, log)
		found, err := log.CheckSideFiles(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	wants := func(what string, got []finding.Finding, name string) {
		t.Helper()
		if len(got) != 1 || got[0].File != "log/"+name || got[0].Kind != finding.Derived {
			t.Fatalf("%s: %+v, want one problem, of %s", what, got, name)
		}
	}
	if got := slices.Concat(problems(disk, true), problems(disk, false), own(disk)); len(got) != 0 {
		t.Fatalf("nothing was changed: %+v", got)
	}
	n := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".jsonl") {
			continue
		}
		n++
		b, err := vfs.ReadFile(disk, "dir/log/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		changes := map[string][]byte{"extended": append(bytes.Clone(b), 0)}
		if strings.HasSuffix(name, ".tab") {
			changes["cut"] = b[:len(b)-1]
		}
		for at := 0; at < len(b); at += 11 {
			bad := bytes.Clone(b)
			bad[at] ^= 4
			changes[fmt.Sprintf("byte %d", at)] = bad
		}
		for what, bad := range changes {
			changed := disk.Clone()
			edit(t, changed, "log/"+name, func([]byte) []byte { return bad })
			wants(what+", with keys", problems(changed, true), name)
			wants(what+", the log itself", own(changed), name)
			// Without keys the last 32 bytes of a side file cannot be
			// authenticated, and id tables are not used at all.
			if strings.HasSuffix(name, ".side") && what == "extended" {
				wants(what+", without keys", problems(changed, false), name)
			}
		}
		if strings.HasSuffix(name, ".side") {
			changed := disk.Clone()
			edit(t, changed, "log/"+name, func(b []byte) []byte {
				var first int
				if _, err := fmt.Sscanf(name, "%d.side", &first); err != nil {
					t.Fatal(err)
				}
				e := b[32:48]
				e[9] ^= 1
				sum := binary.BigEndian.AppendUint64(nil, uint64(first))
				c := crc32.Checksum(append(append(sum, e[:5]...), e[8:]...), crc32.MakeTable(crc32.Castagnoli))
				e[5], e[6], e[7] = byte(c>>16), byte(c>>8), byte(c)
				count := binary.BigEndian.Uint64(b[len(b)-112:])
				digest := sha256.Sum256(b[32:][:16*count])
				copy(b[len(b)-64:], digest[:]) // all that needs no key
				return b
			})
			wants("another id, without keys", problems(changed, false), name)
		}
		changed := disk.Clone()
		if err := changed.Remove("dir/log/" + name); err != nil {
			t.Fatal(err)
		}
		if got := slices.Concat(problems(changed, true), problems(changed, false), own(changed)); len(got) != 0 {
			t.Errorf("%s removed: %+v, want nothing", name, got)
		}
		logtest.Close(t, logtest.Open(t, "dir", rolling(changed)))
		if again, err := vfs.ReadFile(changed, "dir/log/"+name, 1<<20); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s was removed, and made again as %x, %v, want %x", name, again, err, b)
		}
	}
	if n < 4 {
		t.Errorf("%d derived files", n)
	}
}

// TestRemnantDecidesNothingByItself has somebody without keys change the
// tombstone of a segment: whether a record governs the log, and an id. With the
// sealed side file the change has no effect; without it, the tombstone is not
// trusted.
func TestRemnantDecidesNothingByItself(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	firsts := whole(t, log, 2)
	if err := log.ArchiveSegments(t.Context(), firsts[:1], place, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	const name = "log/00000000000000000000.remnant"
	governed := func(disk *vfs.Mem, withKeys bool) (seqs []uint64, err error) {
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		if !withKeys {
			o.KeysDir = "nowhere"
		}
		log := logtest.Open(t, "dir", o)
		defer logtest.Close(t, log)
		for r, err := range log.GovernanceRecords(t.Context(), 0) {
			if err != nil {
				return nil, err
			}
			seqs = append(seqs, r.Seq)
		}
		return seqs, nil
	}
	want, err := governed(disk, true)
	if err != nil || len(want) < 2 || want[0] != 0 {
		t.Fatalf("governed by %v, %v, want record 0 and what archived its segment", want, err)
	}
	if got, err := governed(disk, false); err != nil || !slices.Equal(got, want) {
		t.Errorf("without keys: governed by %v, %v, want %v", got, err, want)
	}
	resum := func(b []byte) []byte {
		sum := sha256.Sum256(b[:len(b)-32])
		return append(b[:len(b)-32], sum[:]...)
	}
	records := func(b []byte) uint64 { return binary.BigEndian.Uint64(b[32:]) }
	changed := disk.Clone()
	edit(t, changed, name, func(b []byte) []byte {
		b[80+48*records(b)] ^= 1 << 7 // the first line that is kept does not govern
		return resum(b)
	})
	if got, err := governed(changed, true); err != nil || !slices.Equal(got, want) {
		t.Errorf("with a side file: governed by %v, %v, want %v", got, err, want)
	}
	if got, err := governed(changed, false); err == nil {
		t.Errorf("without keys: governed by %v, want an error", got)
	}
	if err := changed.Remove("dir/" + firstSide); err != nil {
		t.Fatal(err)
	}
	if got, err := governed(changed, true); err == nil {
		t.Errorf("without a side file: governed by %v, want an error", got)
	}

	// The id of a record that has left, and the same event again.
	changed = disk.Clone()
	edit(t, changed, name, func(b []byte) []byte {
		b[80+32*records(b)+16+3] ^= 1 // the second record's
		return resum(b)
	})
	log = openLog(t, changed)
	_, err = log.Append(t.Context(), event.Event{ID: "event 0", Type: event.Prompt, UserID: "user 0", Prompt: "another"})
	if err == nil {
		t.Error("an id was used twice, since the tombstone of its segment denies it")
	}
	logtest.Close(t, log)
}
