package retention_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/record"
	"audittrail/retention"
)

// A house is a log in which time goes by, in a bubble of its own.
type house struct {
	t      *testing.T
	dir    string
	policy retention.Policy
}

func (h *house) open() (*audittrail.Log, *retention.Manager) {
	h.t.Helper()
	log := logtest.Open(h.t, h.dir, audittrail.Options{Create: true, SegmentBytes: 8500, AcceptClock: true})
	m, err := retention.Open(h.t.Context(), log, retention.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	return log, m
}

func (h *house) with(do func(*audittrail.Log, *retention.Manager)) {
	h.t.Helper()
	log, m := h.open()
	do(log, m)
	if err := log.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// fill records events, of which some are incidents.
func fill(t *testing.T, log *audittrail.Log, n int) {
	t.Helper()
	for i := range n {
		e := event.Event{Type: event.Prompt, ModelID: "m", UserID: fmt.Sprintf("user %d", i%3), Prompt: "a prompt"}
		if i%10 == 0 {
			e.Type = event.SafetyIncident
		}
		logtest.Append(t, log, e)
	}
}

func actions(steps []retention.Step) map[retention.Action]int {
	n := map[retention.Action]int{}
	for _, s := range steps {
		n[s.Action]++
	}
	return n
}

func inBubble(t *testing.T, policy retention.Policy, run func(*testing.T, *house)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, dir: filepath.Join(dir, "log"), policy: policy}
		for i := range h.policy.Classes {
			if h.policy.Classes[i].ArchiveTo != "" {
				h.policy.Classes[i].ArchiveTo = filepath.Join(dir, "archive")
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "archive"), 0o700); err != nil {
			t.Fatal(err)
		}
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			if _, err := m.Set(t.Context(), h.policy, ""); err != nil {
				t.Fatal(err)
			}
			fill(t, log, 60)
		})
		run(t, h)
	})
}

func valid(t *testing.T, log *audittrail.Log) *audittrail.Verification {
	t.Helper()
	v, err := log.Verify(t.Context(), audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Fatalf("verify: %+v, %v", v, err)
	}
	return v
}

// TestApply lets time go by, and looks at what becomes of a log.
func TestApply(t *testing.T) {
	policy := retention.Policy{
		Classes: []retention.Class{
			{Name: "standard", KeepFor: period(t, "6mo"), ArchiveAfter: period(t, "2mo"), ArchiveTo: "/", DropAfter: period(t, "2y")},
			{Name: "incidents", KeepFor: period(t, "1y"), ArchiveAfter: period(t, "1mo"), ArchiveTo: "/", DropAfter: period(t, "3y")},
		},
		Rules: []retention.Rule{{Class: "incidents", Types: []string{"safety_incident"}}},
	}
	inBubble(t, policy, func(t *testing.T, h *house) {
		apply := func(after time.Duration, want map[retention.Action]int, states ...record.State) {
			t.Helper()
			time.Sleep(after)
			h.with(func(log *audittrail.Log, m *retention.Manager) {
				before, err := log.Size()
				if err != nil {
					t.Fatal(err)
				}
				plan, err := m.Plan(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if size, _ := log.Size(); size != before {
					t.Error("a plan recorded something")
				}
				due := plan.Due()
				seen := 0
				done, err := m.Apply(t.Context(), "", func(retention.Step) { seen++ })
				if err != nil {
					t.Fatal(err)
				}
				got := actions(done)
				for a, n := range want {
					if n > 0 != (got[a] > 0) || got[a] < n {
						t.Errorf("%s: did %d times %s, want %d; %+v", time.Now(), got[a], a, n, plan)
					}
				}
				if len(done) != len(due) || seen != len(due) {
					t.Errorf("planned %d steps, did %d, told of %d", len(due), len(done), seen)
				}
				if again, err := m.Apply(t.Context(), "", nil); err != nil || len(again) > 0 {
					t.Errorf("again: %+v, %v", again, err)
				}
				valid(t, log)
			})
		}
		nothing := map[retention.Action]int{retention.Expire: 0, retention.Archive: 0, retention.Drop: 0}
		month := 31 * 24 * time.Hour
		apply(0, nothing)
		apply(month, nothing) // the segments have both classes
		apply(month, map[retention.Action]int{retention.Archive: 2, retention.Expire: 0, retention.Drop: 0})
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			if v := valid(t, log); v.Removed == 0 || v.Archived != v.Removed {
				t.Errorf("%d have left, %d are in archives", v.Removed, v.Archived)
			}
			_, err := log.Get(t.Context(), 1)
			var archived *audittrail.ArchivedError
			if !errors.As(err, &archived) {
				t.Errorf("Get(1) = %v", err)
			}
			plan, err := m.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var records uint64
			for _, s := range plan.Steps {
				if s.Action == retention.Expire {
					records += s.Records
				}
			}
			if records != 60 {
				t.Errorf("%d records will expire, want all 60, also those that are archived: %+v", records, plan)
			}
		})
		apply(6*month, map[retention.Action]int{retention.Expire: 1, retention.Drop: 0})
		apply(6*month, map[retention.Action]int{retention.Expire: 1, retention.Drop: 0})
		apply(24*month, map[retention.Action]int{retention.Drop: 2, retention.Expire: 0})
		names, err := os.ReadDir(h.policy.Classes[0].ArchiveTo)
		if err != nil || len(names) > 0 {
			t.Errorf("the archive still has %v, %v", names, err)
		}
	})
}

// TestDropAfterExpiry has a policy by which a segment could be dropped as soon
// as its contents expire: no earlier.
func TestDropAfterExpiry(t *testing.T) {
	policy := retention.Policy{Classes: []retention.Class{{Name: "standard", KeepFor: period(t, "1mo"), DropAfter: period(t, "1mo")}}}
	inBubble(t, policy, func(t *testing.T, h *house) {
		h.with(func(_ *audittrail.Log, m *retention.Manager) {
			plan, err := m.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := actions(plan.Steps)
			if n[retention.Drop] < 2 || n[retention.Expire] != 1 {
				t.Errorf("%+v", plan)
			}
			for _, s := range plan.Steps {
				if want := time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC); s.Due != want {
					t.Errorf("%s is due %s, want %s", s.Action, s.Due, want)
				}
			}
		})
		time.Sleep(60 * 24 * time.Hour)
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			done, err := m.Apply(t.Context(), "", nil)
			if err != nil || len(done) < 3 || done[0].Action != retention.Expire || done[1].Action != retention.Drop {
				t.Errorf("%+v, %v", done, err)
			}
			valid(t, log)
		})
	})
}

// TestHolds has holds in the way.
func TestHolds(t *testing.T) {
	policy := retention.Policy{Classes: []retention.Class{
		{Name: "standard", KeepFor: period(t, "1mo"), ArchiveAfter: period(t, "1mo"), ArchiveTo: "/", DropAfter: period(t, "2mo")},
	}}
	inBubble(t, policy, func(t *testing.T, h *house) {
		time.Sleep(40 * 24 * time.Hour)
		var hold governance.Hold
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			if done, err := m.Apply(t.Context(), "", nil); err != nil || actions(done)[retention.Archive] == 0 {
				t.Fatalf("%+v, %v", done, err)
			}
			var err error
			if hold, err = log.PlaceHold(t.Context(), governance.Hold{Reason: "a claim", User: "user 1"}); err != nil {
				t.Fatal(err)
			}
			// One that keeps nothing is not in the way.
			if _, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "another", Model: "other"}); err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(60 * 24 * time.Hour)
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			plan, err := m.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			blocked := 0
			for _, s := range plan.Steps {
				if s.Blocked != "" {
					blocked++
					if s.Action != retention.Drop || !slices.Equal(s.Holds, []string{hold.ID}) {
						t.Errorf("blocked: %+v", s)
					}
					err := log.DropSegments(t.Context(), []uint64{*s.Segment}, "past the policy")
					var held *audittrail.SegmentHeldError
					if !errors.As(err, &held) || len(held.Holds) != 1 || held.Holds[0].ID != hold.ID {
						t.Errorf("DropSegments() = %v, want the hold", err)
					}
				}
			}
			if blocked < 2 {
				t.Errorf("%d steps are blocked: %+v", blocked, plan)
			}
			if _, err := m.Apply(t.Context(), "", nil); err != nil {
				t.Fatal(err)
			}
			segments, err := log.Segments(t.Context())
			if err != nil || segments[0].State != audittrail.SegmentArchived {
				t.Fatalf("%+v, %v", segments[0], err)
			}
			// Records under a legal hold are readable beyond their class, also
			// from an archive.
			if err := log.RestoreSegments(t.Context(), []uint64{0}); err != nil {
				t.Fatal(err)
			}
			for seq := range segments[0].Records {
				r, err := log.Get(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				want := record.Expired
				if r.Event.Type.Reserved() || r.Event.UserID == "user 1" {
					want = record.Readable
				}
				if r.State != want {
					t.Errorf("record %d is %s, want %s", seq, r.State, want)
				}
			}
			if _, err := log.ReleaseHold(t.Context(), hold.ID, "settled", ""); err != nil {
				t.Fatal(err)
			}
			done, err := m.Apply(t.Context(), "", nil)
			if err != nil || actions(done)[retention.Drop] < blocked {
				t.Errorf("after the release: %+v, %v", done, err)
			}
			valid(t, log)
		})
	})
}

// TestUnreachableArchive has an archive be away when it is due to be dropped.
func TestUnreachableArchive(t *testing.T) {
	policy := retention.Policy{Classes: []retention.Class{
		{Name: "standard", KeepFor: period(t, "1mo"), ArchiveAfter: period(t, "1mo"), ArchiveTo: "/", DropAfter: period(t, "2mo")},
	}}
	inBubble(t, policy, func(t *testing.T, h *house) {
		time.Sleep(40 * 24 * time.Hour)
		h.with(func(_ *audittrail.Log, m *retention.Manager) {
			if _, err := m.Apply(t.Context(), "", nil); err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(60 * 24 * time.Hour)
		place := h.policy.Classes[0].ArchiveTo
		if err := os.Rename(place, place+"-away"); err != nil {
			t.Fatal(err)
		}
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			if _, err := m.Apply(t.Context(), "", nil); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Apply() = %v, want it to say that it cannot archive there", err)
			}
			if err := os.Mkdir(place, 0o700); err != nil {
				t.Fatal(err)
			}
			done, err := m.Apply(t.Context(), "", nil)
			if err != nil || actions(done)[retention.Drop] > 0 {
				t.Errorf("Apply() = %+v, %v, want nothing dropped", done, err)
			}
			segments, err := log.Segments(t.Context())
			if err != nil || segments[0].State != audittrail.SegmentArchived || !segments[0].Unreachable {
				t.Errorf("%+v, %v", segments[0], err)
			}
			if err := log.DropSegments(t.Context(), []uint64{0}, "past the policy"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("DropSegments() = %v", err)
			}
			plan, err := m.Plan(t.Context())
			if err != nil || len(plan.Due()) > 0 || plan.Steps[0].Blocked == "" {
				t.Errorf("Plan() = %+v, %v", plan, err)
			}
		})
		entries, err := os.ReadDir(place)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Rename(filepath.Join(place, e.Name()), filepath.Join(place+"-away", e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(place+"-away", place); err != nil {
			t.Fatal(err)
		}
		h.with(func(log *audittrail.Log, m *retention.Manager) {
			done, err := m.Apply(t.Context(), "", nil)
			if err != nil || actions(done)[retention.Drop] == 0 {
				t.Errorf("Apply() = %+v, %v", done, err)
			}
			valid(t, log)
		})
	})
}
