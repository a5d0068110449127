package privacy_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/privacy"
)

// TestSecondPerson takes an approval of somebody else who still has access, and of
// nobody else.
func TestSecondPerson(t *testing.T) {
	log, _ := open(t, t.TempDir(), audittrail.Options{Create: true})
	c, err := access.Open(t.Context(), log, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	grants := map[string]*access.Grant{}
	for _, user := range []string{"ann", "bob", "carl"} {
		if _, grants[user], err = c.Grant(t.Context(), access.GrantRequest{User: user, Role: access.Privacy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Revoke(t.Context(), grants["carl"].ID, "left", "local"); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]struct {
		by    string
		asker *access.Grant
		want  string
	}{
		"another one":         {grants["ann"].ID.String(), grants["bob"], ""},
		"without a token":     {grants["ann"].ID.String(), nil, ""},
		"the same":            {grants["ann"].ID.String(), grants["ann"], "the same person"},
		"revoked since":       {grants["carl"].ID.String(), grants["ann"], "was revoked"},
		"of nobody":           {access.ID{1}.String(), grants["ann"], "the approver is no longer known"},
		"given without token": {access.Local, grants["ann"], "given without a token"},
	} {
		err := privacy.CheckFourEyes(c, privacy.Approval{By: q.by}, q.asker)
		var refused *privacy.ApprovalError
		if q.want == "" && err != nil || q.want != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Problem, q.want)) {
			t.Errorf("%s: %v, want %q", name, err, q.want)
		}
	}
}

// TestHideActor hides the name of who acted while that person's data are restricted,
// and no other.
func TestHideActor(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	add(t, log, "ann", "x")
	for _, actor := range []string{"ann", "bob", ""} {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "carl", Actor: actor, Prompt: "p"})
	}
	if _, err := d.Restrict(t.Context(), "ann", "disputed", "local"); err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]string{1: "", 2: "bob", 3: ""} {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		hidden := d.RedactActor(r)
		if hidden.Event.Actor != want || hidden.Event.Prompt != "p" || (hidden == r) != (seq != 1) {
			t.Errorf("record %d: actor %q, want %q, and the record itself where nothing is hidden", seq, hidden.Event.Actor, want)
		}
	}
}

// TestAnswerToNobody makes no answer for somebody on whom nothing is held.
func TestAnswerToNobody(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	add(t, log, "ann", "x")
	var out bytes.Buffer
	_, err := d.AnswerAccessRequest(t.Context(), &out, privacy.SubjectAccessRequest{User: "nobody", By: "local", Now: time.Now()})
	if !errors.Is(err, privacy.ErrNothingStored) || out.Len() > 0 {
		t.Errorf("Answer = %v with %d bytes, want that nothing is held", err, out.Len())
	}
}

// TestApprovalOfNoID says that no approval has an id, and not that it has expired.
func TestApprovalOfNoID(t *testing.T) {
	_, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	for _, id := range []string{"x", "01a2b3c4-0000-8000-8000-000000000000"} {
		_, err := d.ErasureApproval(id, nil, time.Now())
		var refused *privacy.ApprovalError
		if !errors.As(err, &refused) || !strings.Contains(refused.Problem, "no approval has this id") {
			t.Errorf("%s: %v, want that no approval has this id", id, err)
		}
	}
}
