package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// TestRollFails lets each step of a roll fail once: the batch is refused, the
// process continues, and nothing of the segment that was begun is left. A sync
// that fails stops the log.
func TestRollFails(t *testing.T) {
	o := func(disk vfs.FS) audittrail.Options {
		return audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
	}
	big := event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 1000)}
	small := event.Event{Type: event.Prompt, Prompt: "s"}
	kinds := make(map[vfs.OpKind]bool)
	for n := 0; ; n++ {
		for _, fault := range []error{syscall.ENOSPC, &vfs.Fault{Done: 1, Err: syscall.EMFILE}} {
			disk := vfs.NewMem()
			log := logtest.Open(t, "dir", o(disk))
			acked := []audittrail.Receipt{logtest.Append(t, log, big), logtest.Append(t, log, small)}
			before := dirNames(t, disk, "dir/log")
			steps := 0
			var failed vfs.Op
			disk.Inject(func(op vfs.Op) error {
				begun := op.Name == "dir/log" || strings.HasPrefix(op.Name, "dir/log/00000000000000000002")
				if !begun || op.Kind == vfs.OpReadDir {
					return nil
				}
				steps++
				if steps != n+1 {
					return nil
				}
				failed = op
				return fault
			})
			_, err := log.Append(t.Context(), big)
			disk.Inject(nil)
			if failed.Kind == 0 { // the last step is done
				if err != nil {
					t.Fatal(err)
				}
				logtest.Close(t, log)
				for _, k := range []vfs.OpKind{vfs.OpCreate, vfs.OpSyncDir, vfs.OpWrite} {
					if !kinds[k] {
						t.Errorf("no %v failed", k)
					}
				}
				return
			}
			kinds[failed.Kind] = true
			what := fmt.Sprintf("%v %s: %v", failed.Kind, failed.Name, fault)
			// An error of Stat on a written file does not show that the file is
			// wrong.
			lines := strings.HasSuffix(failed.Name, ".jsonl") && failed.Kind != vfs.OpStat || failed.Kind == vfs.OpSyncDir
			if err == nil && lines {
				t.Fatalf("%s: the batch was acknowledged", what)
			}
			if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EMFILE) {
				t.Errorf("%s: Append() = %v, which does not say why", what, err)
			}
			refused, begun := err != nil, failed.Kind == vfs.OpWrite && lines // the segment was whole then
			r, err := log.Append(t.Context(), small)
			stops := failed.Kind == vfs.OpSyncDir || failed.Kind == vfs.OpSync
			switch {
			case stops && err == nil:
				t.Errorf("%s: the log goes on after a sync that failed", what)
			case !stops && err != nil:
				t.Errorf("%s: Append() = %v afterwards", what, err)
			case err == nil:
				acked = append(acked, r)
				if now := dirNames(t, disk, "dir/log"); refused && !begun && !slices.Equal(now, before) {
					t.Errorf("%s: the folder has %q, and had %q", what, now, before)
				}
				acked = append(acked, logtest.Append(t, log, big), logtest.Append(t, log, big))
			}
			killed := disk.KillOnly()
			_ = log.Close() // what it can say is about the disk
			for _, left := range []*vfs.Mem{disk, killed, disk.Crash(nil)} {
				noEmptySegments(t, left, what)
				check(t, left, nil, what)
				again := logtest.Open(t, "dir", o(left))
				for _, want := range acked {
					if got, err := again.Get(t.Context(), want.Seq); err != nil || got.Hash != want.Hash {
						t.Errorf("%s: record %d: %v", what, want.Seq, err)
					}
				}
				logtest.Close(t, again)
			}
		}
	}
}

// TestRollFailsTwice fails the removal of a segment that a roll began, too:
// nothing is acknowledged until it was removed.
func TestRollFailsTwice(t *testing.T) {
	disk := vfs.NewMem()
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
	log := logtest.Open(t, "dir", o)
	big := event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 1000)}
	small := event.Event{Type: event.Prompt, Prompt: "s"}
	logtest.Append(t, log, big)
	logtest.Append(t, log, small)
	disk.Inject(func(op vfs.Op) error {
		switch {
		case !strings.HasPrefix(op.Name, "dir/log/00000000000000000002"):
		case op.Kind == vfs.OpRemove:
			return syscall.EIO
		case op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, ".side"):
			return syscall.ENOSPC
		}
		return nil
	})
	if _, err := log.Append(t.Context(), big); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Append() = %v, want no space left", err)
	}
	if _, err := log.Append(t.Context(), small); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Append() = %v while the empty segment cannot be removed", err)
	}
	disk.Inject(nil)
	logtest.Append(t, log, small)
	if names := dirNames(t, disk, "dir/log"); slices.Contains(names, "00000000000000000002.jsonl") {
		t.Errorf("the folder has %q", names)
	}
	logtest.Append(t, log, big)
	logtest.Close(t, log)
	noEmptySegments(t, disk, "afterwards")
	check(t, disk, nil, "afterwards")
}

func dirNames(t *testing.T, disk vfs.FS, dir string) []string {
	t.Helper()
	names, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// noEmptySegments checks that no segment but the last is empty.
func noEmptySegments(t *testing.T, disk vfs.FS, what string) {
	t.Helper()
	var segs []string
	for _, name := range dirNames(t, disk, "dir/log") {
		if strings.HasSuffix(name, ".jsonl") {
			segs = append(segs, name)
		}
	}
	for i, name := range segs {
		if st, err := disk.Stat("dir/log/" + name); err != nil || st.Size() == 0 && i < len(segs)-1 {
			t.Errorf("%s: of %q, %s is empty: %v", what, segs, name, err)
		}
	}
}

// TestRollAfterCutWrite has a write fail halfway, the next one begin a segment,
// and then the power fail: the bytes that were cut off do not reappear before
// that segment, where they would not count as a torn write.
func TestRollAfterCutWrite(t *testing.T) {
	disk := vfs.NewMem()
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
	log := logtest.Open(t, "dir", o)
	big := event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 1000)}
	small := event.Event{Type: event.Prompt, Prompt: "s"}
	logtest.Append(t, log, big)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && op.Name == "dir/log/00000000000000000000.jsonl" {
			return &vfs.Fault{Done: op.Len / 2, Err: syscall.ENOSPC}
		}
		return nil
	})
	if _, err := log.Append(t.Context(), small); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Append() = %v, want no space left", err)
	}
	disk.Inject(nil)
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 2000)})
	if names := dirNames(t, disk, "dir/log"); !slices.Contains(names, "00000000000000000001.jsonl") {
		t.Fatalf("no segment was begun: the folder has %q", names)
	}
	for seed := range uint64(50) {
		after := disk.Crash(rand.New(rand.NewPCG(seed, 0)))
		v, err := audittrail.VerifyDir(t.Context(), "dir", audittrail.Options{}.With(audittrail.Seams{FS: after, Roll: 6000}), audittrail.VerifyOptions{})
		if err != nil || v.Altered() {
			t.Fatalf("seed %d: verify: %+v, %v", seed, v, err)
		}
	}
	logtest.Close(t, log)
}

// TestEmptySegments puts files without a byte under the names of segments, as a
// roll that failed left them in earlier versions, and as anybody can: they hold
// nothing, so nothing is said to be altered, everything is read, and the next
// writer puts them aside.
func TestEmptySegments(t *testing.T) {
	disk := vfs.NewMem()
	acked := filled(t, disk)
	log := openLog(t, disk)
	n := size(t, log)
	segs := segments(t, log)
	logtest.Close(t, log)
	starts := make(map[uint64]bool)
	for _, s := range segs {
		starts[s.First] = true
	}
	try := func(firsts ...uint64) {
		t.Helper()
		what := fmt.Sprintf("empty segments %d", firsts)
		disk := disk.Clone()
		for _, first := range firsts {
			touch(t, disk, fmt.Sprintf("dir/log/%020d.jsonl", first))
			touch(t, disk, fmt.Sprintf("dir/log/%020d.side", first))
		}
		verify := func(when string) {
			t.Helper()
			for _, vo := range []audittrail.VerifyOptions{{}, {From: n / 2}, {From: n - 1}} {
				if v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), vo); err != nil || !v.Valid() || v.Records+v.Removed != n-vo.From {
					t.Fatalf("%s: verify from %d %s: %+v, %v", what, vo.From, when, v, err)
				}
			}
		}
		verify("before")
		ro := rolling(disk)
		ro.Create, ro.ReadOnly = false, true
		reader := logtest.Open(t, "dir", ro)
		if got := size(t, reader); got != n {
			t.Fatalf("%s: a reader sees %d records, want %d", what, got, n)
		}
		for _, r := range acked {
			if got, err := reader.Get(t.Context(), r.Seq); err != nil || got.Hash != r.Hash {
				t.Fatalf("%s: a reader of record %d: %v", what, r.Seq, err)
			}
		}
		st, err := reader.Stat(t.Context())
		if err != nil || len(st.Empty) != len(firsts) || st.Segments != len(segs) {
			t.Fatalf("%s: Stat() = %d empty, %d segments, %v; want %d and %d", what, len(st.Empty), st.Segments, err, len(firsts), len(segs))
		}
		logtest.Close(t, reader)
		var said bytes.Buffer
		wo := rolling(disk)
		wo.Logger = slog.New(slog.NewTextHandler(&said, nil))
		writer := logtest.Open(t, "dir", wo)
		if strings.Count(said.String(), "put an empty segment aside") != len(firsts) {
			t.Errorf("%s: the writer says %q", what, said.String())
		}
		for range 8 {
			logtest.Append(t, writer, event.Event{Type: event.Prompt, Prompt: strings.Repeat("goes on ", 50)})
		}
		if v, err := writer.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() || v.Records != n+8 {
			t.Fatalf("%s: verify after: %+v, %v", what, v, err)
		}
		logtest.Close(t, writer)
		aside := 0
		for _, name := range dirNames(t, disk, "dir/log") {
			if strings.HasPrefix(name, "empty-") {
				aside++
			}
		}
		if aside != len(firsts) {
			t.Errorf("%s: %d were put aside: %q", what, aside, dirNames(t, disk, "dir/log"))
		}
		noEmptySegments(t, disk, what)
	}
	for first := range n + 3 {
		if !starts[first] && first != n {
			try(first)
		}
	}
	try(segs[0].First+1, segs[1].First+1, n+1, n+100)
}

func touch(t *testing.T, disk vfs.FS, name string) {
	t.Helper()
	f, err := disk.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEmptySegmentAndTornWrite interrupts a process that continued after a
// failed roll: the write that was cut short does not count as damage.
func TestEmptySegmentAndTornWrite(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	n := size(t, log)
	segs := segments(t, log)
	logtest.Close(t, log)
	last := segs[len(segs)-1]
	for first := last.First + 1; first <= n; first++ {
		what := fmt.Sprintf("an empty segment %d", first)
		disk := disk.Clone()
		touch(t, disk, fmt.Sprintf("dir/log/%020d.jsonl", first))
		edit(t, disk, fmt.Sprintf("log/%020d.jsonl", last.First), func(b []byte) []byte {
			return append(b, `{"v":1,"id":"01a2`+strings.Repeat("f", 1<<17)...)
		})
		v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
		if err != nil || v.Altered() || v.FindingCount != 1 || v.Count(finding.Torn) != 1 {
			t.Fatalf("%s: verify: %+v, %v", what, v, err)
		}
		ro := rolling(disk)
		ro.Create, ro.ReadOnly = false, true
		reader := logtest.Open(t, "dir", ro)
		if got := size(t, reader); got != n {
			t.Errorf("%s: a reader sees %d records, want %d", what, got, n)
		}
		logtest.Close(t, reader)
		writer := openLog(t, disk)
		logtest.Append(t, writer, event.Event{Type: event.Prompt, Prompt: "goes on"})
		if v, err := writer.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() || v.Records != n+2 {
			t.Fatalf("%s: verify after: %+v, %v", what, v, err)
		}
		logtest.Close(t, writer)
		noEmptySegments(t, disk, what)
	}
}

// TestEmptySegmentUnderReader has a writer of an earlier version leave an empty
// segment while a reader reads the log, which first takes it for the next
// segment.
func TestEmptySegmentUnderReader(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	without := disk.Clone() // where the writer continues in the segment before
	log := openLog(t, without)
	n := size(t, log)
	last := segments(t, log)
	r := logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "after"})
	more := segments(t, log)
	logtest.Close(t, log)
	if len(more) != len(last) {
		t.Fatal("the record begins a segment of its own")
	}
	touch(t, disk, fmt.Sprintf("dir/log/%020d.jsonl", n))
	ro := rolling(disk)
	ro.Create, ro.ReadOnly = false, true
	reader := logtest.Open(t, "dir", ro)
	defer logtest.Close(t, reader)
	if got := size(t, reader); got != n {
		t.Fatalf("%d records, want %d", got, n)
	}
	for _, ext := range []string{".jsonl", ".side"} {
		name := fmt.Sprintf("dir/log/%020d", last[len(last)-1].First) + ext
		b, err := vfs.ReadFile(without, name, 1<<20)
		if err == nil {
			err = vfs.WriteFile(disk, name, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := reader.Size(); err != nil || got != r.Seq+1 {
		t.Errorf("Size() = %d, %v, want %d", got, err, r.Seq+1)
	}
	touch(t, disk, fmt.Sprintf("dir/log/%020d.jsonl", r.Seq+1)) // begun in its turn
	if got, err := reader.Get(t.Context(), r.Seq); err != nil || got.Hash != r.Hash {
		t.Errorf("Get(%d) = %v", r.Seq, err)
	}
	if got, err := reader.Size(); err != nil || got != r.Seq+1 {
		t.Errorf("Size() = %d, %v, want %d", got, err, r.Seq+1)
	}
}
