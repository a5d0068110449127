package privacy_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/privacy"
	"audittrail/query"
)

// TestActed holds that what a person did to others is told to that person, and
// that the others' content is not.
func TestActed(t *testing.T) {
	log, err := audittrail.Open(t.TempDir(), audittrail.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, e := range []event.Event{
		{Type: event.HumanReview, UserID: "ann", Actor: "rick", Outcome: "success", Response: "about ann"},
		{Type: event.HumanReview, UserID: "rick", Actor: "rick", Response: "about rick"},
		{Type: event.HumanReview, UserID: "ann", Response: "by nobody"},
	} {
		if _, err := log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	desk, err := privacy.Open(t.Context(), log, query.New(log))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	h, err := desk.Answer(t.Context(), &b, privacy.Answer{User: "rick", By: "local", Now: time.Now()})
	if err != nil || h.Records != 1 || h.Acted != 1 {
		t.Fatalf("Answer() = %+v, %v, want 1 record about rick and 1 of what he did", h, err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open("events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(lines); strings.Count(got, `"actor":"rick"`) != 2 || !strings.Contains(got, "about rick") || strings.Contains(got, "ann") || strings.Contains(got, "nobody") {
		t.Errorf("events.jsonl is\n%s", got)
	}
}
