package privacy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/privacy"
)

// TestNear counts the other users with a similar id, whichever process opened
// the log, without erased users.
func TestNear(t *testing.T) {
	dir := t.TempDir()
	log, d := open(t, dir, audittrail.Options{Create: true})
	for _, u := range []string{
		"Ann.Lee@Example.com", "ann.lee@example.com", "ann.lee@example.com ", "jos\u00e9", "jose\u0301", "bob\n",
		"STRASSE", "stra\u00dfe", "x\u200by", "-rf", "0",
	} {
		add(t, log, u, "x")
	}
	_, reader := open(t, dir, audittrail.Options{ReadOnly: true})
	asked := []string{
		"ANN.LEE@EXAMPLE.COM", "ann.lee@example.com", " ann.lee@example.com", "\ufeffann.lee@example.com", "jose", "jos\u00e9", "bob", "Stra\u00dfe", "strasse",
		"xy", "-RF", "00", "nobody", "ANN.LEE@EXAMPLE.COM",
	}
	want := []int{3, 2, 3, 3, 2, 1, 1, 2, 2, 1, 1, 0, 0, 3}
	for name, desk := range map[string]*privacy.Manager{"writer": d, "reader": reader} {
		got, err := desk.CountSimilar(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: Near(%q) (-want +got):\n%s", name, asked, diff)
		}
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann.lee@example.com "}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	for name, desk := range map[string]*privacy.Manager{"writer": d, "reader": reader} {
		got, err := desk.CountSimilar(t.Context(), asked[:2])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{2, 1}, got); diff != "" {
			t.Errorf("%s, after an erasure: Near (-want +got):\n%s", name, diff)
		}
	}
}

// TestNames finds ids that are words, and no parts of words.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		text, user string
		want       bool
	}{
		{"alice asked by letter", "alice", true},
		{"ALICE asked", "alice", true},
		{"asked by Alice.", "alice", true},
		{"(alice)", "alice", true},
		{"malice", "alice", false},
		{"alices", "alice", false},
		{"malice of alice", "alice", true},
		{"asked by bob", "bob", false}, // three characters
		{"asked by letter", "user-1234", false},
		{"user-1234 asked", "user-1234", true},
		{"user-12345 asked", "user-1234", false},
		{"letter of ann.lee@example.com", "Ann.Lee@Example.com", true},
		{"letter of ann.lee", "ann.lee@example.com", true},
		{"letter of jos\u00e9 M", "jose\u0301 m", true},
		{"letter of Ann  Lee", "Ann Lee", true},
		{"ticket 17", "", false},
	} {
		if got := privacy.Mentions(c.text, c.user); got != c.want {
			t.Errorf("Names(%q, %q) = %v, want %v", c.text, c.user, got, c.want)
		}
	}
	if got := privacy.FirstMentioned("alice asked", []string{"dora", "alice"}); got != 1 {
		t.Errorf("AnyNamed = %d, want 1", got)
	}
}
