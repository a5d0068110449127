package access_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"audittrail/access"
)

// vectors are tokens with what is made of them, and texts that are none.
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
