package keyring

import (
	"bytes"
	"sync"
	"testing"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

func FuzzSigned(f *testing.F) {
	h := ringfile.NewHasher(bytes.Repeat([]byte{7}, 32))
	whole := signed{size: 300, root: [32]byte{3}, generation: 7, length: 4096}
	f.Add(whole.encode(h))
	f.Add((&signed{}).encode(h))
	f.Add([]byte(signedFirst + "1 AAAA\n1 1\nAAAA\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := parseSigned(in, h)
		if err == nil && !bytes.Equal(s.encode(h), in) {
			t.Errorf("parseSigned accepts %q, encode gives %q", in, s.encode(h))
		}
	})
}

// TestSignedIsOneOfAKind: a signed state is valid for one ring only, and only
// in canonical form.
func TestSignedIsOneOfAKind(t *testing.T) {
	h := ringfile.NewHasher(bytes.Repeat([]byte{7}, 32))
	other := ringfile.NewHasher(bytes.Repeat([]byte{8}, 32))
	text := (&signed{size: 300, generation: 7, length: 4096}).encode(h)
	if _, err := parseSigned(text, h); err != nil {
		t.Fatal(err)
	}
	if _, err := parseSigned(text, other); err == nil {
		t.Error("the signed state of another ring is accepted")
	}
	for _, edit := range [][2]string{{"300 ", "0300 "}, {"300 ", "+300 "}, {"300 ", "300  "}, {"\n7 ", "\n8 "}, {"4096\n", "4096 \n"}} {
		bad := bytes.Replace(text, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(bad, text) {
			t.Fatalf("no %q in %q", edit[0], text)
		}
		if _, err := parseSigned(bad, h); err == nil {
			t.Errorf("%q instead of %q is accepted", edit[1], edit[0])
		}
	}
}

func (c *cache[K, V]) len() (n int) {
	for i := range c.shards {
		n += len(c.shards[i].young) + len(c.shards[i].old)
	}
	return n
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[openKey, record.PRK](openKey.shard)
	key := func(i int) openKey {
		return openKey{subject: record.Subject{byte(i), byte(i >> 8), byte(i >> 16)}}
	}
	value := func(i int) record.PRK { return record.PRK{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 600_000 {
		c.put(key(i), value(i))
		// Keys in use stay in the cache, however many others pass through it.
		if i%1000 == 0 {
			if got, ok := c.get(key(0)); !ok || got != value(0) {
				t.Fatalf("the key in use is gone after %d others", i)
			}
		}
		if got, ok := c.get(key(i)); !ok || got != value(i) {
			t.Fatalf("key %d is not there", i)
		}
	}
	if n := c.len(); n > 262_144 || n < 131_072 {
		t.Errorf("the cache holds %d keys", n)
	}
	c.empty()
	if n := c.len(); n != 0 {
		t.Errorf("the cache holds %d keys after it was emptied", n)
	}
}

// TestEmptiedCacheStaysEmpty: a concurrent lookup must not restore a key.
func TestEmptiedCacheStaysEmpty(t *testing.T) {
	c := newCache[openKey, record.PRK](func(openKey) uint { return 0 })
	for range 50 {
		for i := range shardSize + 1 { // the first ones are in the old generation
			c.put(openKey{subject: record.Subject{byte(i), byte(i >> 8)}}, record.PRK{1})
		}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range shardSize {
					c.get(openKey{subject: record.Subject{byte(i + w), byte((i + w) >> 8)}})
				}
			})
		}
		c.empty()
		wg.Wait()
		if n := c.len(); n != 0 {
			t.Fatalf("the cache holds %d keys after it was emptied", n)
		}
	}
}
