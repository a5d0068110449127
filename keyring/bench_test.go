package keyring_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"audittrail/keyring"
	"audittrail/record"
)

// benchSubjects is how many subjects the large ring of the benchmarks has.
// KEYRING_SUBJECTS sets another number.
var benchSubjects = func() int {
	if n, err := strconv.Atoi(os.Getenv("KEYRING_SUBJECTS")); err == nil {
		return n
	}
	return 100_000
}()

var large struct {
	once     sync.Once
	dir      string
	subjects []record.Subject // a sample
}

// largeRing returns the folder of a ring with many subjects, made once.
func largeRing(b *testing.B) string {
	b.Helper()
	large.once.Do(func() {
		dir, err := os.MkdirTemp("", "keyring-bench-")
		if err != nil {
			b.Fatal(err)
		}
		large.dir = dir
		r, err := keyring.Create(context.Background(), dir, "bench.example/log", keyring.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchSubjects {
			id, _, err := r.EncryptionKey(benchUser(i), class)
			if err != nil {
				b.Fatal(err)
			}
			if i%97 == 0 {
				large.subjects = append(large.subjects, id)
			}
			if i%64 == 63 {
				if err := r.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := r.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := r.SetSigned(1, [32]byte{1}); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	})
	return large.dir
}

func benchUser(i int) string { return fmt.Sprintf("user-%08d@example.com", i) }

func openLarge(b *testing.B, o keyring.Options) *keyring.Ring {
	b.Helper()
	r, err := keyring.Open(context.Background(), largeRing(b), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

func BenchmarkOpen(b *testing.B) {
	for _, o := range []struct {
		name string
		keyring.Options
	}{{"writer", keyring.Options{}}, {"reader", keyring.Options{ReadOnly: true}}} {
		b.Run(o.name, func(b *testing.B) {
			dir := largeRing(b)
			b.ReportAllocs()
			for b.Loop() {
				r, err := keyring.Open(context.Background(), dir, o.Options)
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkForSealing(b *testing.B) {
	b.Run("hit", func(b *testing.B) {
		r := openLarge(b, keyring.Options{})
		b.ReportAllocs()
		user := benchUser(7)
		for b.Loop() {
			if _, _, err := r.EncryptionKey(user, class); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hit-parallel", func(b *testing.B) {
		r := openLarge(b, keyring.Options{})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			user := benchUser(7)
			for pb.Next() {
				if _, _, err := r.EncryptionKey(user, class); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("miss", func(b *testing.B) {
		r := openLarge(b, keyring.Options{})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, _, err := r.EncryptionKey(benchUser(i*7919%benchSubjects), class); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkForOpening(b *testing.B) {
	for _, o := range []struct {
		name string
		keyring.Options
	}{{"writer", keyring.Options{}}, {"reader", keyring.Options{ReadOnly: true}}} {
		b.Run(o.name, func(b *testing.B) {
			r := openLarge(b, o.Options)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.DecryptionKey(large.subjects[0], class); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("miss", func(b *testing.B) {
		r := openLarge(b, keyring.Options{})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c := fmt.Sprintf("other/%04d-%02d", 1000+i/12%8000, i%12+1)
			_, err := r.DecryptionKey(large.subjects[i*31%len(large.subjects)], c)
			if err == nil {
				b.Fatal("found a key of a class that there is not")
			}
		}
	})
}

func BenchmarkDestroy(b *testing.B) {
	r := openLarge(b, keyring.Options{})
	seq := uint64(0)
	for b.Loop() {
		seq++
		id, _, err := r.EncryptionKey(fmt.Sprintf("short-lived-%d", seq), class)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{id}, Seq: seq, Hash: record.Hash{1}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSession(b *testing.B) {
	r := openLarge(b, keyring.Options{})
	b.ReportAllocs()
	for b.Loop() {
		r.Session("session-0123456789")
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if large.dir != "" {
		_ = os.RemoveAll(large.dir)
	}
	os.Exit(code)
}
