package index_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// TestAddedAsRead appends an event and then changes values that it points to:
// the index has the event as the log has it.
func TestAddedAsRead(t *testing.T) {
	p := openPair(t, t.TempDir(), audittrail.Options{Create: true}, index.Options{})
	tokens, latency := int64(7), 3*time.Millisecond
	ev := event.Event{
		Type: event.ToolResult, ModelID: "m1", UserID: "u", SessionID: "s", InputTokens: &tokens, Latency: &latency,
		InputMessages: json.RawMessage(`["hello"]`), Cost: &event.Cost{Nano: 5, Currency: "EUR"},
		Tool:     &event.Tool{Name: "t", Arguments: json.RawMessage(`{"q":"before"}`)},
		Producer: &event.Producer{ID: "p"}, Labels: map[string]string{"k": "v"},
		Metadata: map[string]json.RawMessage{"m": json.RawMessage(`"first"`)},
	}
	logtest.Append(t, p.Log, ev)
	tokens, latency = 8, 0
	copy(ev.InputMessages, `["spoil"]`)
	copy(ev.Tool.Arguments, `{"q":"after."}`)
	copy(ev.Metadata["m"], `"other"`)
	ev.Labels["k"], ev.Metadata["n"], ev.Tool.Name, ev.Producer.ID, ev.Cost.Nano = "w", nil, "u", "q", 6
	p.append(t, 0, 40)
	for !p.x.Idle() { // as the goroutine that follows the log takes them
		runtime.Gosched()
	}
	if n := hold(t, p); n != 41 {
		t.Errorf("%d of 41 records are indexed", n)
	}
	for word, want := range map[string]int{"hello": 1, "before": 1, "first": 1, "spoil": 0, "after": 0, "other": 0} {
		found, _, _, err := answers(t.Context(), p, word, "m1")
		if err != nil || len(found) != want {
			t.Errorf("%s is found in %v, %v; want %d records", word, found, err, want)
		}
	}
	p.close(t)
}

// TestEraseWithoutIndex erases a data subject when the blocks with the text
// cannot be written again: the keys of all blocks are destroyed, and the
// results are right.
func TestEraseWithoutIndex(t *testing.T) {
	t.Run("its disk fails", func(t *testing.T) {
		dir, disk := t.TempDir(), vfs.NewMem()
		p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{FS: disk})
		p.append(t, 0, 2000)
		ann, _, err := p.Subject("user-3")
		if err != nil {
			t.Fatal(err)
		}
		for blocks(t, p) == 0 { // as the keeper writes them
			runtime.Gosched()
		}
		var mu sync.Mutex
		var states []record.State // of what is erased, when its blocks are made again
		disk.Inject(func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind == vfs.OpWrite && strings.Contains(op.Name, ".block") {
				for r, err := range p.Records(t.Context(), 0, 100) {
					if err == nil && r.Subject == ann {
						states = append(states, r.State)
						break
					}
				}
				return errors.New("the disk fails")
			}
			return nil
		})
		erase(t, p)
		disk.Inject(nil)
		if len(states) == 0 || states[0] != record.Readable {
			t.Errorf("when the index was purged, the content was %v: it must go after", states)
		}
		hold(t, p)
		p.close(t)
	})
	t.Run("it is not kept", func(t *testing.T) {
		dir := t.TempDir()
		p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{})
		p.append(t, 0, 2000)
		p.close(t)
		p = openPair(t, dir, audittrail.Options{NoIndex: true}, index.Options{})
		ids, err := p.x.FileKeys()
		if err != nil || len(ids) == 0 {
			t.Fatalf("%d keys of blocks, %v; this test looks at nothing", len(ids), err)
		}
		erase(t, p)
		for _, id := range ids {
			if _, err := p.x.FileKey(id); !errors.Is(err, keyring.ErrLost) {
				t.Errorf("the key of a block from before the erasure: %v, want ErrLost", err)
			}
		}
		p.close(t)
		p = openPair(t, dir, audittrail.Options{}, index.Options{Logger: slog.New(slog.DiscardHandler)})
		hold(t, p)
		p.close(t)
	})
}

func erase(t *testing.T, p *pair) {
	t.Helper()
	if _, err := p.Erase(t.Context(), audittrail.Erasure{Users: []string{"user-3"}, Reason: "asked", Basis: "GDPR 17(1)(b)"}); err != nil {
		t.Fatal(err)
	}
}

// blocks returns the number of keys of blocks.
func blocks(t *testing.T, p *pair) int {
	t.Helper()
	ids, err := p.x.FileKeys()
	if err != nil {
		t.Fatal(err)
	}
	return len(ids)
}
