package keyring_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

const (
	class = "standard/2026-11"
	other = "short/2026-12"
	dir   = "audit/keys"
)

func create(t testing.TB, fsys vfs.FS) *keyring.Ring {
	t.Helper()
	return createAs(t, fsys, "example.com/log")
}

func createAs(t testing.TB, fsys vfs.FS, origin string) *keyring.Ring {
	t.Helper()
	r, err := keyring.Create(context.Background(), dir, origin, keyring.Options{FS: fsys})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return r
}

func open(t testing.TB, fsys vfs.FS) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(context.Background(), dir, keyring.Options{FS: fsys})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return r
}

func openReader(t testing.TB, fsys vfs.FS) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(context.Background(), dir, keyring.Options{FS: fsys, ReadOnly: true})
	if err != nil {
		t.Fatalf("Open for reading: %v", err)
	}
	return r
}

func closeRing(t testing.TB, r *keyring.Ring) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A held has keys that a ring returned, and must return again.
type held struct {
	user, class string
	subject     record.Subject
	prk         record.PRK
}

func seal(t testing.TB, r *keyring.Ring, user, class string) held {
	t.Helper()
	sub, prk, err := r.EncryptionKey(user, class)
	if err != nil {
		t.Fatalf("ForSealing(%q, %q): %v", user, class, err)
	}
	return held{user, class, sub, prk}
}

func flush(t testing.TB, r *keyring.Ring) {
	t.Helper()
	if err := r.Flush(); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

// fill creates keys for n users, flushed one by one.
func fill(t testing.TB, r *keyring.Ring, n int) []held {
	t.Helper()
	var all []held
	for i := range n {
		all = append(all, seal(t, r, fmt.Sprintf("user-%d", i), class))
		flush(t, r)
	}
	return all
}

// check compares a ring with the keys that it returned before.
func (h held) check(r *keyring.Ring) error {
	prk, err := r.DecryptionKey(h.subject, h.class)
	if err != nil {
		return fmt.Errorf("key of %q: %w", h.user, err)
	}
	if prk != h.prk {
		return fmt.Errorf("key of %q is another", h.user)
	}
	user, err := r.User(h.subject)
	if err != nil || user != h.user {
		return fmt.Errorf("User = %q, %w, want %q", user, err, h.user)
	}
	sub, ok, err := r.LookupUser(h.user)
	if err != nil || !ok || sub != h.subject {
		return fmt.Errorf("LookupUser(%q) = %v, %v, %w, want %v", h.user, sub, ok, err, h.subject)
	}
	return nil
}

func checkAll(t testing.TB, r *keyring.Ring, all []held) {
	t.Helper()
	for _, h := range all {
		if err := h.check(r); err != nil {
			t.Fatal(err)
		}
	}
}

// files returns the contents of all files in the keyring's folder.
func files(t testing.TB, fsys vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		data, err := vfs.ReadFile(fsys, filepath.Join(dir, name), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}

func ringFile(r *keyring.Ring) string { return fmt.Sprintf("ring-%016x", r.Generation()) }

func overwrite(t testing.TB, fsys vfs.FS, name string, data []byte) {
	t.Helper()
	if err := vfs.WriteFile(fsys, filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The functions below read a ring as docs/format/keyring.md describes it,
// without the package that writes it.

type plainFrame struct {
	off     int
	size    int
	kind    byte
	payload []byte
}

// unwrap returns the wrapping keys whose headers are anywhere in data and
// decrypt under the master key, with their generations.
func unwrap(master, data []byte) map[[32]byte]uint64 {
	found := map[[32]byte]uint64{}
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(`{"generation":`))
		if i < 0 {
			return found
		}
		at += i
		line, _, _ := bytes.Cut(data[at:], []byte("\n"))
		at++
		var h struct {
			Generation                 uint64
			Origin, Directory, Journal string
			Master, Wrapped, CRC       string
		}
		if json.Unmarshal(line, &h) != nil {
			continue
		}
		var directory, journal uint64
		_, _ = fmt.Sscanf(h.Directory, "%x", &directory)
		_, _ = fmt.Sscanf(h.Journal, "%x", &journal)
		aad := []byte("audittrail/v1 keyring wrap\x00")
		aad = binary.BigEndian.AppendUint64(aad, h.Generation)
		aad = binary.BigEndian.AppendUint64(aad, directory)
		aad = binary.BigEndian.AppendUint64(aad, journal)
		aad = append(append(aad, h.Master...), h.Origin...)
		sealed, _ := base64.StdEncoding.DecodeString(h.Wrapped)
		if key, err := openGCM(master, sealed, aad); err == nil {
			found[[32]byte(key)] = h.Generation
		}
	}
}

func openGCM(key, sealed, aad []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(sealed) < 12 {
		return nil, fmt.Errorf("short")
	}
	return gcm.Open(nil, sealed[:12], sealed[12:], aad)
}

// frames returns every frame that begins at any byte of data and decrypts under
// one of the keys.
func frames(data []byte, keys map[[32]byte]uint64) []plainFrame {
	var found []plainFrame
	for off := 0; off+8 < len(data); off++ {
		n := int(binary.BigEndian.Uint32(data[off:]))
		if n < 29 || n > len(data)-off-8 {
			continue
		}
		for key, generation := range keys {
			aad := []byte("audittrail/v1 keyring frame\x00")
			aad = binary.BigEndian.AppendUint64(aad, generation)
			aad = binary.BigEndian.AppendUint64(aad, uint64(off))
			plain, err := openGCM(key[:], data[off+8:off+8+n], aad)
			if err == nil {
				found = append(found, plainFrame{off, 8 + n, plain[0], plain[1:]})
			}
		}
	}
	return found
}

// masterOf returns the master key of a folder.
func masterOf(t testing.TB, all map[string][]byte) []byte {
	t.Helper()
	s, err := keyring.ParseMaster(all["master.key"])
	if err != nil {
		t.Fatal(err)
	}
	return s[:]
}

// subjectKey finds the key of a subject in frames.
func subjectKey(t testing.TB, found []plainFrame, id record.Subject) []byte {
	t.Helper()
	for _, f := range found {
		if f.kind != 1 && f.kind != 5 {
			continue
		}
		if i := bytes.Index(f.payload, append([]byte{3}, id[:]...)); i >= 0 {
			return f.payload[i+17:][:32]
		}
	}
	t.Fatal("the subject's key is not there")
	return nil
}

// classKey finds the key of a class in frames.
func classKey(t testing.TB, found []plainFrame, name string) []byte {
	t.Helper()
	for _, f := range found {
		if f.kind != 5 {
			continue
		}
		if i := bytes.Index(f.payload, append([]byte{1, byte(len(name))}, name...)); i >= 0 {
			return f.payload[i+2+len(name):][:32]
		}
	}
	t.Fatal("the class's key is not there")
	return nil
}
