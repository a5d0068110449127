package terms_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"audittrail/internal/index/block/terms"
)

// TestSet compares a set with a map, with keys that are repeated, also within
// one batch, and so many of them that the set grows.
func TestSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	set, want := terms.NewSet(), map[string]int{}
	var order []string
	var batch terms.Batch
	for range 2000 {
		batch.Reset()
		var keys []string
		for range rng.IntN(40) {
			term, end := fmt.Sprint(rng.IntN(1+rng.IntN(20_000))), byte(rng.IntN(3))
			batch.Add(set, []byte(term), end)
			keys = append(keys, term+string(rune(end)))
		}
		i := 0
		batch.Enter(set, func(is *terms.Term, isNew bool) {
			key := keys[i]
			i++
			if is.Key != key || isNew != (want[key] == 0) || is.Last != uint32(want[key]) || isNew && is.Head != -1 {
				t.Fatalf("key %q: %+v, new %v; it was there %d times", key, *is, isNew, want[key])
			}
			if isNew {
				order = append(order, key)
			}
			want[key]++
			is.Head, is.Last = 7, is.Last+1
		})
		if i != len(keys) {
			t.Fatalf("%d keys were entered, want %d", i, len(keys))
		}
	}
	if len(set.All()) != len(order) || len(order) < 5000 {
		t.Fatalf("%d terms, want %d, and many", len(set.All()), len(order))
	}
	for id, key := range order {
		if got, ok := set.Get([]byte(key)); !ok || got != uint32(id) || set.All()[id].Key != key {
			t.Fatalf("Get(%q) = %d, %v, want %d", key, got, ok, id)
		}
	}
	if id, ok := set.Get([]byte("none")); ok {
		t.Errorf("Get of what is not there = %d", id)
	}
}
