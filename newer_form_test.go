package audittrail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/retention"
)

// TestGovernanceOfNewerForm copies the governance records of a log into a new
// one, once as they are and once with a member that this program does not know,
// and that may narrow the others: no token permits anything, a restricted
// person stays restricted, nothing is approved, and no policy counts.
func TestGovernanceOfNewerForm(t *testing.T) {
	ctx := t.Context()
	old := logtest.New(t)
	logtest.Append(t, old, about("ann", "first"))
	users, err := access.Open(ctx, old, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := users.Grant(ctx, access.GrantRequest{User: "bob", Role: access.Auditor, By: "local"})
	if err != nil {
		t.Fatal(err)
	}
	desk, err := privacy.Open(ctx, old, query.New(old))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = desk.Restrict(ctx, "ann", "disputed", "local"); err == nil {
		err = desk.LiftRestriction(ctx, "ann", "settled", "local")
	}
	if err != nil {
		t.Fatal(err)
	}
	hold, err := old.PlaceHold(ctx, governance.Hold{Reason: "a case"})
	if err != nil {
		t.Fatal(err)
	}
	approved, err := desk.ApproveRelease(ctx, hold.ID, "local", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, newer := range map[string]bool{"as it is": false, "with another member": true} {
		t.Run(name, func(t *testing.T) {
			log := logtest.New(t)
			logtest.Append(t, log, about("ann", "first"))
			ann, _, err := log.Subject("ann")
			if err != nil {
				t.Fatal(err)
			}
			// Carl's grant is of a form that is known.
			users, err := access.Open(ctx, log, access.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = users.Close() }()
			carls, _, err := users.Grant(ctx, access.GrantRequest{User: "carl", Role: access.Auditor, By: "local"})
			if err != nil {
				t.Fatal(err)
			}
			may := func(who access.Token) bool {
				t.Helper()
				if err := users.Refresh(ctx); err != nil {
					t.Fatal(err)
				}
				return users.Check(who.Reveal(), access.ReadEvents, nil).Allowed
			}
			copyGovernance(t, old, log, newer, event.SubjectRestricted, event.AccessGranted, event.ErasureApproved)
			if may(token) == newer || !may(carls) {
				t.Errorf("the copied grant permits: %t, want %t; carl's: %t", may(token), !newer, may(carls))
			}
			revoked := fmt.Sprintf(`{"by":"local","ids":[%q]}`, carls.ID())
			if newer {
				revoked = fmt.Sprintf(`{"by":"local","ids":[%q],"only_if":"x"}`, carls.ID())
			}
			appendGovernance(ctx, t, log, event.Event{Type: event.AccessRevoked, Metadata: map[string]json.RawMessage{"revocation": json.RawMessage(revoked)}})
			if may(carls) || may(token) == newer {
				t.Errorf("after a revocation carl's grant permits: %t, the other: %t", may(carls), may(token))
			}
			if newer { // which grants it means, is not known
				again, _, err := users.Grant(ctx, access.GrantRequest{User: "dora", Role: access.Auditor, By: "local"})
				if err != nil || !may(again) {
					t.Fatalf("a grant after it: %v, %t", err, may(again))
				}
				appendGovernance(ctx, t, log, event.Event{Type: event.AccessRevoked, Metadata: map[string]json.RawMessage{"revocation": json.RawMessage(`{"by":"local","of":"all"}`)}})
				if may(again) {
					t.Error("a revocation that names no grants as this program knows it has ended none")
				}
			}
			desk, err := privacy.Open(ctx, log, query.New(log))
			if err != nil {
				t.Fatal(err)
			}
			if !desk.Restricted(ann) {
				t.Error("ann is not restricted")
			}
			if _, err := desk.ReleaseApproval(approved.ID.String(), approved.Hold, time.Now()); (err != nil) != newer {
				t.Errorf("ReleaseApproval: %v, want an error: %t", err, newer)
			}
			copyGovernance(t, old, log, newer, event.RestrictionLifted)
			if err := desk.Refresh(ctx); err != nil || desk.Restricted(ann) != newer {
				t.Errorf("after the lift ann is restricted: %t, %v, want %t", desk.Restricted(ann), err, newer)
			}
			policy := `{"by":"local","class":[{"keep_for":"1y","name":"standard"}]}`
			if newer {
				policy = strings.Replace(policy, `]}`, `],"only_if":"x"}`, 1)
			}
			appendGovernance(ctx, t, log, event.Event{Type: event.RetentionPolicySet, Metadata: map[string]json.RawMessage{"policy": json.RawMessage(policy)}})
			if _, err := retention.Open(ctx, log, retention.Options{}); (err != nil) != newer {
				t.Errorf("retention.Open: %v, want an error: %t", err, newer)
			}
		})
	}
}

// copyGovernance appends the records of some types of another log, if newer with a
// member more in their details.
func copyGovernance(t *testing.T, from, to *audittrail.Log, newer bool, types ...event.Type) {
	t.Helper()
	for r, err := range from.GovernanceRecords(t.Context(), 0, types...) {
		if err != nil {
			t.Fatal(err)
		}
		e := event.Clone(&r.Event)
		e.ID = r.ID.String()
		for name, details := range e.Metadata {
			if newer {
				e.Metadata[name] = json.RawMessage(strings.TrimSuffix(string(details), "}") + `,"zone":"a"}`)
			}
		}
		appendGovernance(t.Context(), t, to, e)
	}
}

func appendGovernance(ctx context.Context, t *testing.T, log *audittrail.Log, e event.Event) {
	t.Helper()
	if _, err := log.AppendGovernance(ctx, e); err != nil {
		t.Fatal(err)
	}
}

// TestHoldOfNewerForm has a hold on one model with a member that this program does not
// know: it keeps everybody's records, also in a log that is rebuilt from this
// one.
func TestHoldOfNewerForm(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, about("ann", "first"))
	err := audittrail.CommitOwn(log, event.Event{Type: event.HoldPlaced, Metadata: map[string]json.RawMessage{
		"hold": json.RawMessage(`{"model_id":"another","reason":"r","region":"eu"}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantErasureHeld(t, log)
	logtest.Close(t, log)
	_, err = audittrail.Rebuild(t.Context(), audittrail.RebuildOptions{From: dir, To: to, Reason: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	wantErasureHeld(t, logtest.Open(t, to, audittrail.Options{}))
}

func wantErasureHeld(t *testing.T, log *audittrail.Log) {
	t.Helper()
	var held *governance.LegalHoldError
	_, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r"})
	if !errors.As(err, &held) {
		t.Errorf("Erase = %v, want a LegalHoldError", err)
	}
}
