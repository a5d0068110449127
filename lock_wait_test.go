package audittrail_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// busy is a disk whose writer's lock others hold for so many attempts, each of
// which takes a second and a half.
type busy struct {
	*vfs.Mem
	holder func(attempt int) string
	left   int
	tries  int
	now    time.Time
}

func (b *busy) Lock(name, holder string) (vfs.Lock, error) {
	if name != "dir/LOCK" {
		return b.Mem.Lock(name, holder)
	}
	b.now = b.now.Add(1500 * time.Millisecond)
	if b.tries++; b.tries <= b.left {
		return nil, &vfs.LockedError{Name: name, Holder: b.holder(b.tries)}
	}
	return b.Mem.Lock(name, holder)
}

func (b *busy) open(wait time.Duration) error {
	b.now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	o := audittrail.Options{Create: true, LockWait: wait, ShortLived: true}.With(audittrail.Seams{FS: b, Now: func() time.Time { return b.now }})
	log, err := audittrail.Open("dir", o)
	if err != nil {
		return err
	}
	return log.Close()
}

// TestLockChangesHands waits for a lock as long as it changes hands, however
// often, and not for a writer that stays.
func TestLockChangesHands(t *testing.T) {
	others := func(n int) string { return fmt.Sprintf("pid %d, briefly", n) }
	for _, tt := range []struct {
		name   string
		holder func(int) string
		held   int
		wait   time.Duration
		tries  int // 0: it is opened
	}{
		{"many, one after the other", others, 12, 5 * time.Second, 0},
		{"one that is brief, and is not", func(int) string { return "pid 1, briefly" }, 100, 10 * time.Second, 8},
		{"one that is brief, for a while", func(int) string { return "pid 1, briefly" }, 5, 10 * time.Second, 0},
		{"one that stays", func(int) string { return "pid 1" }, 100, time.Minute, 3},
		{"one that stays, after many", func(n int) string {
			if n > 5 {
				return "pid 1"
			}
			return others(n)
		}, 100, time.Minute, 8},
		{"nobody knows who", func(int) string { return "" }, 100, time.Minute, 2},
		{"not at all", others, 100, -1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &busy{Mem: vfs.NewMem(), holder: tt.holder, left: tt.held}
			err := b.open(tt.wait)
			if tt.tries == 0 {
				if err != nil {
					t.Errorf("Open = %v after %d attempts", err, b.tries)
				}
				return
			}
			if !errors.Is(err, audittrail.ErrLocked) || b.tries != tt.tries {
				t.Errorf("Open = %v after %d attempts, want ErrLocked after %d", err, b.tries, tt.tries)
			}
		})
	}
}

// TestClosed has every call that writes say that the log is closed.
func TestClosed(t *testing.T) {
	ctx := t.Context()
	log := logtest.New(t)
	if _, err := log.Append(ctx, event.Event{ID: "a", Type: event.Prompt}); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	calls := map[string]func() error{
		"Append":            func() error { _, err := log.Append(ctx, event.Event{Type: event.Prompt}); return err },
		"Append with an id": func() error { _, err := log.Append(ctx, event.Event{ID: "a", Type: event.Prompt}); return err },
		"Append with another": func() error {
			_, err := log.Append(ctx, event.Event{ID: "b", Type: event.Prompt, UserID: "u"})
			return err
		},
		"AppendBatch":      func() error { _, err := log.AppendBatch(ctx, []event.Event{{ID: "a", Type: event.Prompt}}); return err },
		"AppendGovernance": func() error { _, err := log.AppendGovernance(ctx, event.Event{Type: event.ReportMade}); return err },
		"AppendGovernanceBatch": func() error {
			_, err := log.AppendGovernanceBatch(ctx, []event.Event{{Type: event.ReportMade}})
			return err
		},
		"Erase": func() error {
			_, err := log.Erase(ctx, audittrail.Erasure{Users: []string{"u"}, Reason: "r"})
			return err
		},
		"Expire":    func() error { _, err := log.Expire(ctx, []string{"short/2020-01"}, "r"); return err },
		"PlaceHold": func() error { _, err := log.PlaceHold(ctx, governance.Hold{Reason: "r"}); return err },
		"ReleaseHold": func() error {
			_, err := log.ReleaseHold(ctx, "0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11", "r", "b")
			return err
		},
		"RotateSigner": func() error { return log.RotateSigner(ctx) },
		"DropSegments": func() error { return log.DropSegments(ctx, []uint64{0}, "r") },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, audittrail.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	if err := log.Close(); err != nil {
		t.Errorf("Close again = %v", err)
	}
}
