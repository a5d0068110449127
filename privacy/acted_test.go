package privacy_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/query"
)

// TestActed holds that what a person did to others is told to that person, and
// that the others' content is not.
func TestActed(t *testing.T) {
	log := logtest.New(t)
	for _, e := range []event.Event{
		{Type: event.HumanReview, UserID: "ann", Actor: "rick", Outcome: "success", Response: "about ann"},
		{Type: event.HumanReview, UserID: "rick", Actor: "rick", Response: "about rick"},
		{Type: event.HumanReview, UserID: "ann", Response: "by nobody"},
	} {
		logtest.Append(t, log, e)
	}
	desk, err := privacy.Open(t.Context(), log, query.New(log))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	h, err := desk.AnswerAccessRequest(t.Context(), &b, privacy.SubjectAccessRequest{User: "rick", By: "local", Now: time.Now()})
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

// TestActedArchived counts what somebody did to others in archives, also where
// these cannot be read, and answers with what can be.
func TestActedArchived(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true, SegmentBytes: 4096})
	for i := range 30 {
		logtest.Append(t, log, event.Event{Type: event.HumanReview, UserID: "ann", Actor: []string{"rita", "", "rick"}[i%3], Response: "about ann"})
	}
	segments, err := log.Segments(t.Context())
	if err != nil || len(segments) < 3 {
		t.Fatalf("%d segments, %v, want several", len(segments), err)
	}
	var firsts []uint64
	for _, s := range segments[:len(segments)-1] {
		firsts = append(firsts, s.First)
	}
	away := t.TempDir()
	if err := os.Mkdir(filepath.Join(away, "archive"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := log.ArchiveSegments(t.Context(), firsts, filepath.Join(away, "archive"), "old"); err != nil {
		t.Fatal(err)
	}
	check := func(records uint64, absent bool) {
		t.Helper()
		h, err := d.SubjectData(t.Context(), "rita")
		if err != nil || h.Records != records || h.Acted != 10 || h.ActedUnknown != 0 || h.ActedAbsent > 0 != absent {
			t.Errorf("Held = %+v, %v, want 10 of others", h, err)
		}
		all, err := d.CountAffected(t.Context(), []string{"rita", "nobody", "ann", "rita"})
		want := []privacy.AffectedRecords{{Records: records, Acted: 10}, {}, {Records: 30}, {Records: records, Acted: 10}}
		if diff := cmp.Diff(want, all); err != nil || diff != "" {
			t.Errorf("Tallies (-want +got): %v\n%s", err, diff)
		}
	}
	check(0, false)
	var b bytes.Buffer
	if h, err := d.AnswerAccessRequest(t.Context(), &b, privacy.SubjectAccessRequest{User: "rita", By: "local", Now: time.Now()}); err != nil || h.Acted != 10 {
		t.Errorf("Answer = %+v, %v", h, err)
	}
	files := unzipped(t, b.Bytes())
	if n := strings.Count(files["events.jsonl"], `"actor":"rita"`); n != 10 || strings.Contains(files["events.jsonl"], "about ann") {
		t.Errorf("the answer has %d of 10 records:\n%s", n, files["events.jsonl"])
	}
	if page := files["index.html"]; !strings.Contains(page, "You acted in 10 more records") || strings.Contains(page, "0001") {
		t.Errorf("index.html: %s", page)
	}
	if err := os.Rename(filepath.Join(away, "archive"), filepath.Join(away, "moved")); err != nil {
		t.Fatal(err)
	}
	check(1, true) // that rita was answered is about rita
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"rita"}, Reason: "r", Basis: "b"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := privacy.Certify(t.Context(), log, query.New(log), []*audittrail.ErasureOrder{done}, time.Now())
	if err != nil || all[0].Acted != 10 || all[0].ActedUnknown != 0 {
		t.Errorf("Certify = %+v, %v", all, err)
	}
}

// unzipped are the files of a ZIP archive.
func unzipped(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}
