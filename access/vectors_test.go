package access_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"audittrail/access"
	"audittrail/internal/logtest"
)

// vectors are tokens with their ids and hashes, and texts that are not tokens.
type vectors struct {
	Tokens []struct {
		Token string `json:"token"`
		Hash  string `json:"hash"`
		ID    string `json:"id"`
	} `json:"tokens"`
	Refused []string `json:"refused"`
}

func TestTokenVectors(t *testing.T) {
	name := filepath.Join("..", "testdata", "vectors", "token", "v1.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	for _, want := range v.Tokens {
		token, err := access.ParseToken(want.Token)
		if err != nil {
			t.Errorf("ParseToken(%s): %v", want.Token, err)
			continue
		}
		hash := sha256.Sum256(append([]byte("audittrail/v1 access token\x00"), want.Token...))
		if got := hex.EncodeToString(hash[:]); got != want.Hash || token.ID().String() != want.ID || want.ID != "t-"+want.Hash[:16] {
			t.Errorf("%s: hash %s, id %s, want %s, %s", want.Token, got, token.ID(), want.Hash, want.ID)
		}
	}
	for _, text := range v.Refused {
		if _, err := access.ParseToken(text); err == nil {
			t.Errorf("ParseToken(%q): no error", text)
		}
	}
}

func TestUsesVector(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "token", "uses.json"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := access.DecodeUses(text)
	id, perr := access.ParseID("t-0123456789abcdef")
	if err != nil || perr != nil || len(u) != 2 || u[id].Format(time.RFC3339Nano) != "2026-11-25T10:00:00.5Z" {
		t.Errorf("DecodeUses = %v, %v", u, err)
	}
	if again := access.EncodeUses(u); !bytes.Equal(again, text) {
		t.Errorf("EncodeUses = %s, want %s", again, text)
	}
}

func FuzzUses(f *testing.F) {
	f.Add([]byte(`{"uses":{"t-0123456789abcdef":"2026-11-25T10:00:00.000000000Z"},"v":1}` + "\n"))
	f.Add([]byte(`{"uses":{},"v":1}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		u, err := access.DecodeUses(in)
		if err == nil && !bytes.Equal(access.EncodeUses(u), in) {
			t.Errorf("DecodeUses accepted %q, EncodeUses gives %q", in, access.EncodeUses(u))
		}
	})
}

// TestLastUse is known to the next process, whatever the file was, and is no
// reason to refuse anybody.
func TestLastUse(t *testing.T) {
	log := logtest.New(t)
	o := access.Options{UsesFile: filepath.Join(t.TempDir(), "uses.json")}
	c := openAccess(t, log, o)
	token, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	before := time.Now()
	c.Check(token, access.ReadEvents, nil)
	c.Check(token, access.DeleteData, nil) // does not count as a use
	closeAccess(t, c)
	for _, damage := range []string{"", "x"} {
		if damage != "" {
			if err := os.WriteFile(o.UsesFile, []byte(damage), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c = openAccess(t, log, o)
		all := c.List()
		if used := !all[0].LastUsed.Before(before); used != (damage == "") || !all[1].LastUsed.IsZero() {
			t.Errorf("damage %q: last used %v and %v", damage, all[0].LastUsed, all[1].LastUsed)
		}
		if d := c.Check(token, access.ReadEvents, nil); !d.Allowed {
			t.Error(d.Err())
		}
		closeAccess(t, c)
	}
	text, err := os.ReadFile(o.UsesFile)
	if u, derr := access.DecodeUses(text); err != nil || derr != nil || len(u) != 1 {
		t.Errorf("the file was not made anew: %s, %v, %v", text, err, derr)
	}
}
