package audittrail_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/index"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/lineage"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
	"audittrail/retention"
)

// A faultKind is one way in which one operation fails, while the disk is well
// before and after it.
type faultKind struct {
	name string
	err  error
	of   func(vfs.OpKind) bool // which operations can fail so
	half bool                  // a write writes half before it fails, anything else is carried out
}

func mutates(k vfs.OpKind) bool { return k <= vfs.OpSyncDir }

var faultKinds = []faultKind{
	{"ENOSPC", syscall.ENOSPC, func(k vfs.OpKind) bool {
		return mutates(k) && k != vfs.OpRemove && k != vfs.OpSync && k != vfs.OpSyncDir
	}, false},
	{"EIO", syscall.EIO, func(k vfs.OpKind) bool {
		return mutates(k) || k == vfs.OpOpen || k == vfs.OpRead || k == vfs.OpSize || k == vfs.OpReadDir || k == vfs.OpStat
	}, false},
	{"EMFILE", syscall.EMFILE, func(k vfs.OpKind) bool { return k == vfs.OpOpen || k == vfs.OpCreate }, false},
	{"short write", syscall.ENOSPC, func(k vfs.OpKind) bool { return k == vfs.OpWrite }, true},
	{"done, and an error all the same", syscall.EIO, mutates, true},
}

// one lets the nth operation of a kind fail. It returns which that was.
func (k faultKind) one(disk *vfs.Mem, n int) *vfs.Op {
	var mu sync.Mutex
	hit := new(vfs.Op)
	disk.Inject(func(op vfs.Op) error {
		if !k.of(op.Kind) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		n--
		if n != -1 {
			return nil
		}
		*hit = op
		if k.half {
			return &vfs.Fault{Done: max(1, op.Len/2), Err: k.err}
		}
		return k.err
	})
	return hit
}

// A sweep is a log that is used while one operation of the disk fails, and the
// records that it has acknowledged.
type sweep struct {
	disk   *vfs.Mem
	log    *audittrail.Log
	master []keyring.Master // which of them opens the keyring is not known
	now    atomic.Int64     // what the clock says, in seconds

	mu      sync.Mutex
	acked   map[string]audittrail.Receipt // by id
	batches [][]string                    // ids that were given together
	erased  map[string]uint64             // users whose erasure was acknowledged, and the size of the log then
	expired bool                          // the class short
	holds   map[string]bool               // ids of holds: in force, or released
	failed  error                         // the first error that a call returned
}

func (s *sweep) options() audittrail.Options {
	return audittrail.Options{Create: true, LockWait: -1, Classes: []string{"short"}, AcceptClock: true, Master: s.master[0]}.
		With(audittrail.Seams{FS: s.disk, Roll: 5000, Now: s.clock, Index: true})
}

func (s *sweep) clock() time.Time { return time.Unix(s.now.Load(), 0).UTC() }

func (s *sweep) open() error {
	var err error
	o := s.options()
	index.Tune(&o, index.Options{BlockRows: 16})
	s.log, err = audittrail.Open("dir", o)
	return err
}

func (s *sweep) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil && err != nil {
		s.failed = err
	}
	return err
}

// append records events together.
func (s *sweep) append(ctx context.Context, class string, ids ...string) {
	events := make([]event.Event, len(ids))
	for i, id := range ids {
		user := "user-" + id[strings.LastIndexByte(id, ' ')+1:]
		events[i] = event.Event{ID: id, Type: event.Prompt, UserID: user, Prompt: "words of " + id + strings.Repeat(" and more", 20), RetentionClass: class}
	}
	receipts, err := s.log.AppendBatch(ctx, events)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, ids)
	if err != nil {
		if s.failed == nil {
			s.failed = err
		}
		return
	}
	for i, id := range ids {
		s.acked[id] = receipts[i]
	}
}

func (s *sweep) erase(ctx context.Context, user string) {
	order := audittrail.Erasure{Users: []string{user}, Reason: "asked", Basis: "GDPR 17(1)(b)"}
	done, err := s.log.Erase(ctx, order)
	if s.note(err) != nil {
		return
	}
	s.erased[user], err = s.log.Size()
	_ = s.note(err)
	_, err = privacy.Certify(ctx, s.log, query.New(s.log), []*audittrail.ErasureOrder{done}, s.clock())
	_ = s.note(err)
}

// work calls the methods of a log, and continues after an error as a server
// would.
func (s *sweep) work(ctx context.Context) {
	due, err := retention.Open(ctx, s.log, retention.Options{Now: s.clock})
	if s.note(err) == nil {
		month := retention.Period{Months: 1}
		_, err := due.Set(ctx, retention.Policy{Classes: []retention.Class{
			{Name: "standard", ArchiveAfter: month, ArchiveTo: place}, {Name: "short", KeepFor: month},
		}}, "ada")
		_ = s.note(err)
	}
	s.append(ctx, "short", "first e", "first f")
	for i := range 8 {
		s.append(ctx, "", fmt.Sprintf("one %d.0 a", i), fmt.Sprintf("one %d.1 b", i), fmt.Sprintf("one %d.2 c", i))
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 3 {
				s.append(ctx, "", fmt.Sprintf("many %d.%d %c", w, i, 'a'+w))
			}
		})
	}
	writers.Wait()
	_, err = s.log.Checkpoint(ctx)
	_ = s.note(err)
	hold := func(h governance.Hold) string {
		h, err := s.log.PlaceHold(ctx, h)
		if s.note(err) != nil {
			return ""
		}
		s.holds[h.ID] = true
		return h.ID
	}
	hold(governance.Hold{User: "user-d", Reason: "case 1"})
	released := hold(governance.Hold{Class: "short", Reason: "case 2"})
	s.erase(ctx, "user-a")
	if released != "" {
		delete(s.holds, released) // in force or not, unless this is acknowledged
		if _, err := s.log.ReleaseHold(ctx, released, "settled", ""); s.note(err) == nil {
			s.holds[released] = false
		}
	}
	_ = s.note(s.log.RotateSigner(ctx))
	s.append(ctx, "", "then a", "then b")
	s.now.Store(s.clock().AddDate(0, 2, 0).Unix())
	if due != nil {
		if _, err := due.Apply(ctx, "due", nil); s.note(err) == nil {
			s.expired = true
		}
	}
	if err := s.log.RotateMaster(ctx, s.master[1]); err == nil {
		s.master = []keyring.Master{s.master[1]}
	} else {
		_ = s.note(err)
	}
	if id, err := age.GenerateX25519Identity(); err == nil {
		var backup bytes.Buffer
		_, err := s.log.BackupKeys(ctx, &backup, id.Recipient(), s.clock().AddDate(1, 0, 0))
		_ = s.note(err)
	}
	if graph, err := lineage.Open(ctx, s.log); s.note(err) == nil {
		_, err := graph.RegisterAll(ctx, []lineage.Entity{
			&lineage.Dataset{Name: "tickets", Version: "1"},
			&lineage.ModelVersion{Name: "bot", Version: "1", Datasets: []string{"dataset:tickets@1"}},
		})
		_ = s.note(err)
	}
	if segs, err := s.log.Segments(ctx); s.note(err) == nil {
		segs = slices.DeleteFunc(segs, func(g audittrail.Segment) bool { return g.State != audittrail.SegmentArchived })
		if len(segs) > 1 {
			_ = s.note(s.log.RestoreSegments(ctx, []uint64{segs[0].First}))
			_ = s.note(s.log.ArchiveSegments(ctx, []uint64{segs[0].First}, place, "again"))
			_ = s.note(s.log.DropSegments(ctx, []uint64{segs[1].First}, "older"))
		} else if s.failed == nil {
			_ = s.note(fmt.Errorf("%d segments are archived", len(segs)))
		}
	}
	for i := range 4 {
		s.append(ctx, "", fmt.Sprintf("last %d.0 d", i), fmt.Sprintf("last %d.1 b", i))
	}
}

// newSweep makes a log, before anything fails.
func newSweep(t *testing.T) *sweep {
	t.Helper()
	s := &sweep{
		disk:  vfs.NewMem(),
		acked: make(map[string]audittrail.Receipt), erased: make(map[string]uint64), holds: make(map[string]bool),
	}
	s.now.Store(time.Date(2026, 1, 10, 9, 0, 0, 0, time.UTC).Unix())
	for range 2 {
		key, err := keyring.NewMaster(crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.master = append(s.master, keyring.MasterText(string(keyring.FormatMaster(key))))
	}
	if err := vfs.MakeDir(s.disk, place, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	return s
}

// run calls work while operation n of a kind fails, and checks the log
// afterwards. It sets whether there was an operation n.
func (k faultKind) run(t *testing.T, n int, reached *bool) {
	t.Helper()
	s := newSweep(t)
	ctx := t.Context()
	hit := k.one(s.disk, n)
	s.work(ctx)
	s.disk.Inject(nil) // what the closing log does, it does on a disk that is well
	*reached = hit.Kind != 0
	what := fmt.Sprintf("%s at operation %d (%v %s)", k.name, n, hit.Kind, hit.Name)

	_, err := s.log.Append(ctx, event.Event{ID: "after z", Type: event.Prompt, UserID: "user-z", Prompt: "after"})
	stopped := err != nil
	if stopped && (s.failed == nil || !*reached) {
		t.Fatalf("%s: Append() = %v, though nothing had failed", what, err)
	}
	if hit.Kind == vfs.OpSync && strings.HasSuffix(hit.Name, ".jsonl") && strings.HasPrefix(hit.Name, "dir/log") && !stopped {
		t.Fatalf("%s: Append() succeeded after the sync of a segment had failed", what)
	}
	killed := s.disk.KillOnly()
	if err := s.log.Close(); err != nil && !*reached {
		t.Fatalf("%s: Close() = %v", what, err)
	}
	for _, left := range []struct {
		name string
		disk *vfs.Mem
	}{{"closed", s.disk}, {"killed", killed}, {"power lost", killed.Crash(rand.New(rand.NewPCG(uint64(n), 1)))}} {
		s.disk = left.disk
		s.check(t, what+", "+left.name)
	}
}

// check opens the log, and compares it with the acknowledged records.
func (s *sweep) check(t *testing.T, what string) {
	t.Helper()
	ctx := t.Context()
	masters := s.master
	defer func() { s.master = masters }()
	for i := range masters {
		s.master = masters[i:]
		v, err := audittrail.VerifyDir(ctx, "dir", s.options(), audittrail.VerifyOptions{})
		if err != nil && i+1 < len(masters) && !errors.Is(err, fs.ErrNotExist) {
			continue // the other master key, then
		}
		if err != nil || v.Altered() {
			t.Fatalf("%s: verify before it is opened: %+v, %v", what, v, err)
		}
		break
	}
	if err := s.open(); err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	defer func() {
		if err := s.log.Close(); err != nil {
			t.Fatalf("%s: close: %v", what, err)
		}
	}()
	s.compare(t, what)
	if _, err := s.log.Append(ctx, event.Event{Type: event.Prompt, Prompt: "goes on"}); err != nil {
		t.Fatalf("%s: append: %v", what, err)
	}
	if v, err := s.log.Verify(ctx, audittrail.VerifyOptions{}); err != nil || !v.Valid() || len(v.Limitations) > 0 {
		t.Fatalf("%s: verify: %+v, %v", what, v, err)
	}
}

// compare looks for every acknowledged record, once, and for halves.
func (s *sweep) compare(t *testing.T, what string) {
	t.Helper()
	ctx := t.Context()
	holds, err := s.log.Holds(ctx)
	if err != nil {
		t.Fatalf("%s: holds: %v", what, err)
	}
	inForce := make(map[string]bool)
	for _, h := range holds {
		inForce[h.ID] = true
	}
	for id, want := range s.holds {
		if inForce[id] != want {
			t.Fatalf("%s: hold %s is in force: %v, want %v", what, id, inForce[id], want)
		}
	}
	gone := audittrail.Gone(s.log)
	left := func(seq uint64) bool {
		for _, g := range gone {
			if seq >= g[0] && seq < g[1] {
				return true
			}
		}
		return false
	}
	n, err := s.log.Size()
	if err != nil {
		t.Fatalf("%s: size: %v", what, err)
	}
	count := make(map[string]int)
	for r, err := range s.log.Records(ctx, 0, n) {
		if err != nil {
			t.Fatalf("%s: records: %v", what, err)
		}
		if r.State == record.Readable {
			count[r.Event.ID]++
		}
		for user, size := range s.erased {
			if r.Event.UserID == user && r.Seq < size {
				t.Fatalf("%s: record %d about %s is %v, who was erased", what, r.Seq, user, r.State)
			}
		}
		if s.expired && r.Class == "short/2026-01" && r.State == record.Readable && s.released() {
			t.Fatalf("%s: record %d of an expired class can be read", what, r.Seq)
		}
	}
	for id, c := range count {
		if id != "" && c > 1 {
			t.Fatalf("%s: %q is there %d times", what, id, c)
		}
	}
	for id, want := range s.acked {
		if left(want.Seq) {
			continue
		}
		got, err := s.log.Get(ctx, want.Seq)
		if err != nil || got.Hash != want.Hash {
			t.Fatalf("%s: %q was acknowledged as record %d: %v", what, id, want.Seq, err)
		}
	}
	for _, ids := range s.batches {
		if _, ok := s.acked[ids[0]]; ok {
			continue
		}
		there := 0
		for _, id := range ids {
			if _, err := s.log.Find(ctx, id); err == nil {
				there++
			} else if !errors.Is(err, audittrail.ErrNoRecord) {
				t.Fatalf("%s: find %q: %v", what, id, err)
			}
		}
		if there != 0 && there != len(ids) {
			t.Fatalf("%s: of a batch of %d that was not acknowledged, %d are there", what, len(ids), there)
		}
	}
}

// released reports whether the release of every hold on the class short was
// acknowledged: a hold whose release failed half-way may be in force.
func (s *sweep) released() bool {
	n := 0
	for _, inForce := range s.holds {
		if !inForce {
			n++
		}
	}
	return n == 1
}

// TestOneFaultAnywhere lets one operation of the disk fail, each in turn and in
// each way that it can, while the process continues: afterwards the log works,
// or has stopped and can be opened again; it contains every acknowledged record
// once; no alteration is reported; and erased persons stay erased. All
// operations are tried where AUDITTRAIL_EXPLORE is set, otherwise a sample.
func TestOneFaultAnywhere(t *testing.T) {
	const samples = 12
	for _, k := range faultKinds {
		t.Run(k.name, func(t *testing.T) {
			total := k.count(t)
			if total < 20 {
				t.Fatalf("only %d operations can fail so", total)
			}
			if os.Getenv("AUDITTRAIL_EXPLORE") != "" {
				t.Logf("%d operations or so", total)
				for n, more := 0, true; more; n++ {
					t.Run(strconv.Itoa(n), func(t *testing.T) { k.run(t, n, &more) })
				}
				return
			}
			rng := rand.New(rand.NewPCG(uint64(total), 7))
			for range samples {
				n := rng.IntN(total)
				t.Run(strconv.Itoa(n), func(t *testing.T) { k.run(t, n, new(bool)) })
			}
		})
	}
}

// count returns how many operations of a kind the work takes, roughly:
// operations in the background vary.
func (k faultKind) count(t *testing.T) int {
	t.Helper()
	s := newSweep(t)
	var mu sync.Mutex
	total := 0
	s.disk.Inject(func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if k.of(op.Kind) {
			total++
		}
		return nil
	})
	s.work(t.Context())
	if s.failed != nil {
		t.Fatalf("without a fault: %v", s.failed)
	}
	s.disk.Inject(nil)
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	return total
}
