package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// placed gives a line another number, time and predecessor, and the matching
// hash, which needs no keys: the content stays authentic.
func placed(line []byte, seq uint64, logged time.Time, prev record.Hash) []byte {
	body := line[:bytes.LastIndex(line, []byte(`,"seq":`))]
	return rehash(fmt.Appendf(bytes.Clone(body), `,"seq":%d,"logged":"%s","prev":%q,"hash":"%064d"}`+"\n",
		seq, event.AppendTime(nil, logged), prev, 0), "", "")
}

// TestTailIsBoundToItsPlace moves an authentic record that no checkpoint covers,
// once in each of the ways that only its place reveals: readers end before it,
// and a writer refuses the log unless it may cut the record off.
func TestTailIsBoundToItsPlace(t *testing.T) {
	moves := map[string]struct {
		move func(line []byte, t record.ChainLink) []byte
		want string
	}{
		"another number": {func(line []byte, t record.ChainLink) []byte {
			return placed(line, t.Seq+2, t.Logged, t.Prev)
		}, "the line carries sequence number"},
		"another predecessor": {func(line []byte, t record.ChainLink) []byte {
			return placed(line, t.Seq, t.Logged, record.Hash{1})
		}, "the line does not continue the chain"},
		"an earlier time": {func(line []byte, t record.ChainLink) []byte {
			return placed(line, t.Seq, t.Logged.Add(-time.Hour), t.Prev)
		}, "the line was logged earlier than the line before it"},
	}
	// Two of these fill a segment.
	big := event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 700)}
	for _, records := range []int{1, 2} {
		for name, c := range moves {
			disk := vfs.NewMem()
			log := logtest.Open(t, "dir", rolling(disk))
			for range records {
				logtest.Append(t, log, big)
			}
			if _, err := log.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			sign := holdSigning(disk)
			moved := logtest.Append(t, log, big)
			segs := segments(t, log)
			killed := disk.KillOnly()
			sign()
			logtest.Close(t, log)
			if len(segs) != records {
				t.Fatalf("%d segments after %d records", len(segs), records+1)
			}
			edit(t, killed, segmentFile(segs[len(segs)-1], ".jsonl"), func(b []byte) []byte {
				l := lines(b)
				last := len(l) - 1
				l[last] = c.move(l[last], tailOf(l[last]))
				return bytes.Join(l, nil)
			})
			what := fmt.Sprintf("record %d, %s", moved.Seq, name)

			o := rolling(killed)
			o.ReadOnly, o.Create = true, false
			reader := logtest.Open(t, "dir", o)
			if b, err := reader.Beyond(t.Context()); err != nil || b.Size != moved.Seq || b.Records != 1 {
				t.Errorf("%s: Beyond() = %+v, %v, want one record that does not count", what, b, err)
			}
			if _, err := reader.Find(t.Context(), moved.ID.String()); !errors.Is(err, audittrail.ErrNoRecord) {
				t.Errorf("%s: Find() = %v, want ErrNoRecord", what, err)
			}
			logtest.Close(t, reader)

			_, err := audittrail.Open("dir", rolling(killed))
			var damaged *audittrail.DamagedError
			if !errors.As(err, &damaged) || damaged.Seq != moved.Seq || !strings.Contains(damaged.Detail, c.want) {
				t.Errorf("%s: Open() = %v, want that %s", what, err, c.want)
			}
			o = rolling(killed)
			o.Repair = true
			log = logtest.Open(t, "dir", o)
			if r, err := log.Get(t.Context(), moved.Seq); err != nil || r.Event.Type != event.LogRepaired {
				t.Errorf("%s: after the repair it is %+v, %v", what, r, err)
			}
			logtest.Close(t, log)
		}
	}
}

// TestLastLineWithoutEnd cuts off the last byte of a log, as an interrupted write
// leaves it: that record was not acknowledged, and the next one begins a line.
func TestLastLineWithoutEnd(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte { return b[:len(b)-1] })
	log := logtest.Open(t, "dir", onDisk(disk))
	r, err := log.Get(t.Context(), 7)
	if err != nil || r.Event.Type != event.LogRepaired {
		t.Errorf("record 7 is %+v, %v, want the record of the repair", r, err)
	}
	logtest.Close(t, log)
	check(t, disk, nil, "after the repair")
}

// TestFirstDamageIsNamed has whole lines follow a forged one: the error says
// why the forged line is not a record.
func TestFirstDamageIsNamed(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		l[6] = placed(l[6], 6, tailOf(l[6]).Logged, record.Hash{1})
		return bytes.Join(l, nil)
	})
	_, err := audittrail.Open("dir", onDisk(disk))
	var damaged *audittrail.DamagedError
	if !errors.As(err, &damaged) || damaged.Seq != 6 || damaged.Detail != "the line does not continue the chain" {
		t.Errorf("Open() = %v, want that the line does not continue the chain, and nothing of those behind it", err)
	}
}

// TestTreeAndLogShort cuts records off that were signed, and the tree's files with
// them: the error says how many records are left.
func TestTreeAndLogShort(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte { return bytes.Join(lines(b)[:3], nil) })
	for _, name := range []string{"entries", "0"} {
		edit(t, disk, filepath.Join("tree", name), func(b []byte) []byte { return b[:3*32] })
	}
	_, err := audittrail.Open("dir", onDisk(disk))
	want := &audittrail.RollbackError{Have: 3, Signed: 5, Detail: "only the first 3 are whole"}
	var behind *audittrail.RollbackError
	if !errors.As(err, &behind) || *behind != *want {
		t.Errorf("Open() = %v, want %v", err, want)
	}
}

// TestReadErrorIsNoLoss damages the tree and has the disk refuse every read of a
// line from one on: records that cannot be read are not reported as missing.
func TestReadErrorIsNoLoss(t *testing.T) {
	for n := 0; ; n++ {
		disk := signedThenMore(t)
		remove(t, disk, "tree/entries")
		reads := 0
		disk.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpRead || op.Name != "dir/log/"+firstSegment {
				return nil
			}
			if reads++; reads > n {
				return syscall.EIO
			}
			return nil
		})
		log, err := audittrail.Open("dir", onDisk(disk))
		var behind *audittrail.RollbackError
		var damaged *audittrail.DamagedError
		if errors.As(err, &behind) || errors.As(err, &damaged) || err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("from read %d on: Open() = %v, want that of the disk", n, err)
		}
		if err == nil {
			logtest.Close(t, log)
			return
		}
	}
}

// TestTreeChangesMeanwhile damages a file of the tree at each operation of an
// opening: nothing is signed that the log does not say.
func TestTreeChangesMeanwhile(t *testing.T) {
	for n := int64(0); ; n++ {
		disk := signedThenMore(t)
		var ops atomic.Int64
		disk.Inject(func(vfs.Op) error {
			if ops.Add(1) != n+1 {
				return nil
			}
			f, err := disk.OpenFile("dir/tree/0", os.O_RDWR, 0)
			if err == nil {
				_, err = f.WriteAt(make([]byte, 32), 4*32)
				err = errors.Join(err, f.Close())
			}
			return err
		})
		log, err := audittrail.Open("dir", onDisk(disk))
		over := ops.Load() <= n
		disk.Inject(nil)
		if err == nil {
			logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "goes on"})
			logtest.Close(t, log)
		} else if !strings.Contains(err.Error(), "the tree's files have changed meanwhile") {
			t.Errorf("at operation %d: Open() = %v, want that the files have changed", n, err)
		}
		check(t, disk, nil, fmt.Sprintf("a hash was damaged at operation %d", n))
		if over {
			return
		}
	}
}

// TestUnreadableLevelOfSmallLog makes a file of the tree unreadable that the
// log does not need yet: the file is replaced before it is needed.
func TestUnreadableLevelOfSmallLog(t *testing.T) {
	disk := signedThenMore(t)
	touch(t, disk, "dir/tree/1")
	disk.Inject(func(op vfs.Op) error {
		switch {
		case op.Name != "dir/tree/1":
		case op.Kind == vfs.OpRemove:
			disk.Inject(nil) // what comes in its place is somewhere else on the disk
		case op.Kind == vfs.OpOpen:
			return syscall.EIO
		}
		return nil
	})
	log := logtest.Open(t, "dir", onDisk(disk))
	batch := make([]event.Event, 300)
	for i := range batch {
		batch[i] = event.Event{Type: event.Prompt, Prompt: "p"}
	}
	logtest.AppendBatch(t, log, batch...)
	logtest.Close(t, log)
	check(t, disk, nil, "afterwards")
}

// TestJunkSegmentBehindTornLine has a file follow, under the name of a segment, on a
// line that was cut short: no interrupted write leaves both. It is put aside on
// request, and nothing is cut off without that.
func TestJunkSegmentBehindTornLine(t *testing.T) {
	disk := signedThenMore(t)
	segment := filepath.Join("log", firstSegment)
	edit(t, disk, segment, func(b []byte) []byte { return b[:len(b)-100] })
	edit(t, disk, "log/00000000000000000008.jsonl", func([]byte) []byte { return []byte("junk") })
	before := readOn(t, disk, segment)
	_, err := audittrail.Open("dir", onDisk(disk))
	var damaged *audittrail.DamagedError
	if !errors.As(err, &damaged) || damaged.Seq != 7 || !strings.Contains(damaged.Detail, "whole segments follow") {
		t.Errorf("Open() = %v, want that segments follow", err)
	}
	if !bytes.Equal(before, readOn(t, disk, segment)) {
		t.Error("the refused log was changed")
	}
	o := onDisk(disk)
	o.Repair = true
	logtest.Close(t, logtest.Open(t, "dir", o))
	names := strings.Join(dirNames(t, disk, "dir/log"), " ")
	if !strings.Contains(names, "-segment") || strings.Contains(names, "00000000000000000008.jsonl") {
		t.Errorf("log/ holds %s, want the junk put aside", names)
	}
	check(t, disk, nil, "after the repair")
}

// TestMisnamedSegment puts a file among the segments that is named after a
// record past the end of the log: readers end where the log does, and a writer
// continues when it may put that file aside.
func TestMisnamedSegment(t *testing.T) {
	copied := func(disk *vfs.Mem) []byte { return readOn(t, disk, "log/"+firstSegment) }
	junk := func(*vfs.Mem) []byte { return []byte("junk\n") }
	empty := func(t *testing.T) *vfs.Mem {
		disk := vfs.NewMem()
		logtest.Close(t, logtest.Open(t, "dir", onDisk(disk)))
		remove(t, disk, "log/"+firstSegment)
		return disk
	}
	for name, c := range map[string]struct {
		disk func(t *testing.T) *vfs.Mem
		size uint64
		of   uint64
		text func(*vfs.Mem) []byte
	}{
		"junk":                {signedThenMore, 8, 100, junk},
		"a copy":              {signedThenMore, 8, 100, copied},
		"a copy as the next":  {signedThenMore, 8, 8, copied},
		"junk beside nothing": {empty, 0, 100, junk},
	} {
		disk := c.disk(t)
		edit(t, disk, fmt.Sprintf("log/%020d.jsonl", c.of), func([]byte) []byte { return c.text(disk) })
		if c.size > 0 {
			o := onDisk(disk)
			o.ReadOnly, o.Create = true, false
			reader := logtest.Open(t, "dir", o)
			if b, err := reader.Beyond(t.Context()); err != nil || b.Size != c.size || b.Detail == "" {
				t.Errorf("%s: Beyond() = %+v, %v, want %d that count, and why no more do", name, b, err, c.size)
			}
			logtest.Close(t, reader)
		}
		_, err := audittrail.Open("dir", onDisk(disk))
		var damaged *audittrail.DamagedError
		if !errors.As(err, &damaged) || damaged.Seq != c.size || !strings.Contains(damaged.File, fmt.Sprint(c.of)) || damaged.Offset != 0 {
			t.Errorf("%s: Open() = %v, want that file named", name, err)
		}
		o := onDisk(disk)
		o.Repair = true
		log := logtest.Open(t, "dir", o)
		if r, err := log.Get(t.Context(), c.size); err != nil || r.Event.Type != event.LogRepaired {
			t.Errorf("%s: record %d is %+v, %v, want that of the repair", name, c.size, r, err)
		}
		logtest.Close(t, log)
		check(t, disk, nil, name)
	}
}

// TestTailOfAnotherHash has the last line, which nothing has signed yet, end in a
// hash that is not its own: it is an incomplete write, and not a record.
func TestTailOfAnotherHash(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte { return flipAt(b, len(b)-4) })
	log := logtest.Open(t, "dir", onDisk(disk))
	if n := size(t, log); n != 8 { // seven, and what says that the eighth was put aside
		t.Errorf("%d records, want 8", n)
	}
	if r, err := log.Get(t.Context(), 7); err != nil || r.Event.Type != event.LogRepaired {
		t.Errorf("record 7 is %+v, %v, want the repair", r, err)
	}
	logtest.Close(t, log)
	if v := verifyOn(t, disk, audittrail.VerifyOptions{}); !v.Valid() {
		t.Errorf("verify: %+v", v)
	}
}

// TestKeyringOfAnotherLog opens a log with the keyring of another, which has signed
// more: nothing is signed, and the error names the keyring.
func TestKeyringOfAnotherLog(t *testing.T) {
	disk, other := signedThenMore(t), vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(other))
	for range 9 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "of another log"})
	}
	logtest.Close(t, log)
	for _, name := range []string{"ring-0000000000000001", "master.key", "signed"} {
		b, err := vfs.ReadFile(other, filepath.Join("dir/keys", name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		edit(t, disk, filepath.Join("keys", name), func([]byte) []byte { return b })
	}
	before := readOn(t, disk, "tree/checkpoint")
	_, err := audittrail.Open("dir", onDisk(disk))
	var refused *audittrail.CheckpointError
	if !errors.As(err, &refused) || !errors.Is(err, tlog.ErrOrigin) || !strings.Contains(err.Error(), "this log's own keyring") {
		t.Errorf("Open() = %v, want that the keyring is another log's", err)
	}
	if !bytes.Equal(readOn(t, disk, "tree/checkpoint"), before) {
		t.Error("the checkpoint was changed")
	}
}

// TestCheckpointStays opens a log whose checkpoint is damaged and cannot be put
// aside: the error is the disk's, and the file is where it was.
func TestCheckpointStays(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, "tree/checkpoint", func(b []byte) []byte { // another signature
		at := &b[bytes.LastIndexByte(b[:len(b)-1], ' ')+20]
		if *at == 'A' {
			*at = 'B' // still base64: a file that is none claims nothing
		} else {
			*at = 'A'
		}
		return b
	})
	before := readOn(t, disk, "tree/checkpoint")
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && op.Name == "dir/tree/checkpoint" {
			return syscall.EIO
		}
		return nil
	})
	if _, err := audittrail.Open("dir", onDisk(disk)); !errors.Is(err, syscall.EIO) {
		t.Errorf("Open() = %v, want the disk's error", err)
	}
	disk.Inject(nil)
	if !bytes.Equal(readOn(t, disk, "tree/checkpoint"), before) {
		t.Error("the checkpoint was changed")
	}
}
