package keyring_test

import (
	"context"
	"errors"
	"testing"

	"audittrail/keyring"
	"audittrail/record"
)

const class = "standard/2026-11"

func TestReopen(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir() + "/keys"
	r, err := keyring.Create(ctx, dir, "example.com/log", keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sub, prk, err := r.ForSealing("user-1", class)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	ro, err := keyring.Open(ctx, dir, keyring.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ro.ForOpening(sub, class); err != nil || got != prk {
		t.Fatalf("ForOpening: %v", err)
	}
	if err := r.SetSigned(7, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy([]record.Subject{sub}, nil, 9, record.Hash{2}); err != nil {
		t.Fatal(err)
	}
	if _, err := ro.ForOpening(sub, class); !errors.Is(err, keyring.ErrErased) {
		t.Fatalf("ForOpening(erased) = %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err = keyring.Open(ctx, dir, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ForOpening(sub, class); !errors.Is(err, keyring.ErrErased) {
		t.Fatalf("ForOpening(erased) = %v", err)
	}
	if seq, hash := r.Applied(); seq != 9 || hash != (record.Hash{2}) {
		t.Errorf("Applied = %d, %v", seq, hash)
	}
	again, _, err := r.ForSealing("user-1", class)
	if err != nil || again == sub {
		t.Errorf("ForSealing after erasure: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
