package lru_test

import (
	"errors"
	"testing"

	"audittrail/internal/index/block/lru"
)

// TestCache loads, keeps and drops.
func TestCache(t *testing.T) {
	c := lru.New[string](100)
	loads := 0
	get := func(key string, bytes int) {
		t.Helper()
		got, err := lru.Get(c, key, func() (string, int, error) { loads++; return "is " + key, bytes, nil })
		if err != nil || got != "is "+key {
			t.Fatalf("Get(%s) = %q, %v", key, got, err)
		}
	}
	for _, step := range []struct {
		key   string
		bytes int
		loads int
	}{
		{"a", 40, 1},
		{"b", 40, 2},
		{"a", 40, 2},
		{"c", 40, 3},      // b was used before a
		{"a", 40, 3},      //
		{"b", 40, 4},      // and c goes
		{"large", 101, 5}, // is not kept
		{"large", 101, 6}, //
		{"a", 40, 6},
	} {
		if get(step.key, step.bytes); loads != step.loads {
			t.Errorf("after %q, %d were loaded, want %d", step.key, loads, step.loads)
		}
	}
	c.Forget(func(key string) bool { return key == "a" })
	if get("b", 40); loads != 6 {
		t.Errorf("Forget dropped what it was not told to")
	}
	if get("a", 40); loads != 7 {
		t.Errorf("Forget kept what it was told to drop")
	}
	failed := errors.New("failed")
	if _, err := lru.Get(c, "x", func() (int, int, error) { return 0, 1, failed }); !errors.Is(err, failed) {
		t.Errorf("Get of what cannot be loaded: %v", err)
	}
	if got, err := lru.Get(c, "x", func() (int, int, error) { return 7, 1, nil }); got != 7 || err != nil {
		t.Errorf("Get after an error = %d, %v, want it loaded", got, err)
	}
}
