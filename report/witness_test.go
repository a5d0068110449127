package report_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/report"
	"audittrail/report/document"
)

// cosigned is the log's newest checkpoint with the signature of a witness, and
// the witness's verifier key.
func cosigned(t *testing.T, log *audittrail.Log) document.Witness {
	t.Helper()
	signed, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	private, vkey, err := note.GenerateKey(rand.Reader, "witness.example.com")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(signed[:bytes.LastIndex(signed, []byte("\n\n"))+1])
	theirs, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return document.Witness{Checkpoint: string(signed) + string(theirs[len(text)+1:]), Keys: []string{vkey}}
}

// witnessed are the options of a report to which a witness's checkpoint is given.
func witnessed(w document.Witness) report.Options {
	return report.Options{Checkpoint: w.Checkpoint, Witnesses: w.Keys}
}

// What nobody outside has witnessed needs attention: all of it, what came since,
// or nothing.
func TestWitness(t *testing.T) {
	log, _ := newLog(t, some()...)
	unwitnessed := func(w document.Witness, want string, text string) {
		t.Helper()
		r := made(t, log, witnessed(w))
		wants(t, r, map[string]string{"integrity.unwitnessed": want})
		lines := concerns(r)[document.Unwitnessed]
		if (len(lines) == 0) != (text == "") || len(lines) > 0 && !strings.Contains(lines[0], text) {
			t.Errorf("it needs attention that %q, want %q", lines, text)
		}
	}
	unwitnessed(document.Witness{}, "–", "Whether anybody outside has witnessed the log's 11 records is not known")
	w := cosigned(t, log)
	unwitnessed(w, "0", "")
	logtest.AppendBatch(t, log, some()[:3]...)
	unwitnessed(w, "3", "Nobody outside has witnessed the last 3 records: the newest checkpoint that witness.example.com cosigned covers 11 records.")

	// A checkpoint that no witness signed, one that another did, and one of
	// another log are refused.
	foreign, _ := newLog(t, some()...)
	other := cosigned(t, foreign)
	own, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]document.Witness{
		"not cosigned":    {Checkpoint: string(own), Keys: w.Keys},
		"another witness": {Checkpoint: w.Checkpoint, Keys: other.Keys},
		"another log":     other,
		"no checkpoint":   {Checkpoint: "nothing", Keys: w.Keys},
	} {
		if _, err := report.Generate(t.Context(), log, witnessed(bad)); !errors.Is(err, report.ErrWitness) {
			t.Errorf("%s: error is %v, want ErrWitness", name, err)
		}
	}
}

// A log with nothing to look at more closely has a report that says so: the
// list is there, and it is empty.
func TestNothingNeedsAttention(t *testing.T) {
	log, _ := newLog(t, event.Event{Type: event.Feedback, Time: day})
	w := cosigned(t, log)
	r := made(t, log, report.Options{Checkpoint: w.Checkpoint, Witnesses: w.Keys, Type: "integrity"})
	if r.Attention == nil || len(r.Attention) != 0 || r.Status != document.Complete {
		t.Errorf("status %s, it needs attention that %v", r.Status, r.Attention)
	}
	if !bytes.Contains(encoded(t, r), []byte(`"attention":[],`)) {
		t.Error("the encoded report has no empty list")
	}
}
