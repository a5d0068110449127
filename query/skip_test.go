package query_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/query"
)

// TestFollowSkipping follows a log from its beginning, which is in an archive,
// past an altered record: the records that are not here are not altered.
func TestFollowSkipping(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true, SegmentBytes: 4096})
	for i := range 60 {
		logtest.AppendBatch(t, log, event.Event{Type: event.Prompt, ModelID: "m", Prompt: fmt.Sprint("question ", i)})
	}
	segments, err := log.Segments(t.Context())
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments, %v; want several", len(segments), err)
	}
	first := segments[1].First
	if err := log.ArchiveSegments(t.Context(), []uint64{0}, t.TempDir(), "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	name := filepath.Join(dir, "log", fmt.Sprintf("%020d.jsonl", first))
	lines, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines = bytes.Replace(lines, []byte(`"model_id":"m"`), []byte(`"model_id":"n"`), 1)
	if err := os.WriteFile(name, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	defer func() {
		logtest.Close(t, reader)
	}()
	var altered []uint64
	e := query.New(reader).WithSkipHandler(func(seq uint64, _ error) { altered = append(altered, seq) })
	for h, err := range e.Follow(t.Context(), query.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if h.Seq != first+1 {
			t.Errorf("the first record is %d, want %d", h.Seq, first+1)
		}
		break
	}
	if !slices.Equal(altered, []uint64{first}) {
		t.Errorf("altered are %d, want %d alone", altered, first)
	}
}
