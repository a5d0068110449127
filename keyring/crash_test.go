package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// An acked has the operations that a keyring acknowledged before it crashed,
// and those that may or may not have happened.
type acked struct {
	created   bool
	held      []held
	doomed    []held // Destroy was called
	destroyed int    // how many of the doomed it acknowledged
	applied   uint64
	expired   bool
	vkeys     []string // the signers, as acknowledged
	nextVKey  string   // CommitSigner was called with it
	files     []fileKey
	lastFile  fileKey // DropFileKeys was called
	escrowed  uint64  // SetEscrows acknowledged it
	size      uint64  // SetSigned acknowledged it
	nextSize  uint64
}

// live does every operation that writes, until the disk fails.
func (a *acked) live(disk vfs.FS) (err error) {
	o := keyring.Options{FS: disk}
	r, err := keyring.Create(context.Background(), dir, "example.com/log", o)
	if err != nil {
		return err
	}
	a.created = true
	a.vkeys = []string{r.Signers()[0].VKey}
	defer func() { err = errors.Join(err, r.Close()) }()
	steps := []func() error{
		func() error { return a.seal(r, 3) },
		func() error { return a.sign(r) },
		func() error { return a.seal(r, 2) },
		func() error { return a.newFile(r) },
		func() error { return a.newFile(r) },
		func() error { return a.dropFile(r) },
		func() error { return a.destroy(r, nil) },
		func() error { return a.newFile(r) },
		func() error { return a.escrow(r) },
		func() error { return a.escrow(r) },
		func() error { return a.seal(r, 2) },
		func() error { return a.rotateSigner(r) },
		func() error { return a.sign(r) },
		func() error { return r.RotateMaster(context.Background(), nil) },
		func() error { return a.seal(r, 1) },
		func() error { return a.backup(r) },
		func() error { return a.destroy(r, []string{other}) },
		func() error { return a.seal(r, 1) },
		func() error { return a.sign(r) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (a *acked) seal(r *keyring.Ring, n int) error {
	var fresh []held
	for i := range n {
		c := class
		if i == 1 && !a.expired {
			c = other
		}
		user := fmt.Sprintf("user-%d", len(a.held)+len(a.doomed)+i)
		sub, prk, err := r.EncryptionKey(user, c)
		if err != nil {
			return err
		}
		fresh = append(fresh, held{user, c, sub, prk})
	}
	if err := r.Flush(); err != nil {
		return err
	}
	a.held = append(a.held, fresh...)
	return nil
}

func (a *acked) destroy(r *keyring.Ring, classes []string) error {
	a.doomed = append(a.doomed, a.held[0])
	a.held = a.held[1:]
	if classes != nil {
		// The destruction of that class may have happened or not.
		a.expired = true
		a.held = slices.DeleteFunc(a.held, func(h held) bool { return h.class == other })
	}
	a.applied++
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{a.doomed[len(a.doomed)-1].subject}, Classes: classes, Seq: a.applied, Hash: record.Hash{byte(a.applied)}}); err != nil {
		return err
	}
	a.destroyed = len(a.doomed)
	return nil
}

type fileKey struct {
	id  keyring.FileID
	key keyring.FileKey
}

func (a *acked) newFile(r *keyring.Ring) error {
	id, key, err := r.NewFileKey()
	if err == nil {
		a.files = append(a.files, fileKey{id, key})
	}
	return err
}

func (a *acked) dropFile(r *keyring.Ring) error {
	a.lastFile, a.files = a.files[0], a.files[1:]
	return r.DropFileKeys(a.lastFile.id)
}

func (a *acked) escrow(r *keyring.Ring) error {
	n := a.escrowed + 1
	err := r.SetEscrows(keyring.Escrow{Class: "old/2020-01", File: keyring.FileID{byte(n)}, Key: keyring.FileKey{byte(n)}, Seq: n})
	if err == nil {
		a.escrowed = n
	}
	return err
}

func (a *acked) checkFiles(r *keyring.Ring) error {
	for _, f := range a.files {
		if key, err := r.FileKey(f.id); err != nil || key != f.key {
			return fmt.Errorf("key of a file: %w", err)
		}
	}
	e, ok, err := r.Escrow("old/2020-01")
	if err != nil || ok != (e.Seq > 0) || e.Seq != a.escrowed && e.Seq != a.escrowed+1 || e.File[0] != byte(e.Seq) || e.Key[0] != byte(e.Seq) {
		return fmt.Errorf("escrow is of record %d, want %d or the next: %w", e.Seq, a.escrowed, err)
	}
	a.escrowed = e.Seq
	return nil
}

func (a *acked) rotateSigner(r *keyring.Ring) error {
	k, err := r.NewSigner()
	if err != nil {
		return err
	}
	a.nextVKey = k.VKey()
	if err := r.CommitSigner(k, 7, []byte("statement")); err != nil {
		return err
	}
	a.vkeys, a.nextVKey = append(a.vkeys, a.nextVKey), ""
	return nil
}

func (a *acked) sign(r *keyring.Ring) error {
	a.nextSize = a.size + 10
	if err := r.SetSigned(a.nextSize, [32]byte{byte(a.nextSize)}); err != nil {
		return err
	}
	a.size = a.nextSize
	return nil
}

var crashIdentity, _ = age.GenerateX25519Identity()

func (a *acked) backup(r *keyring.Ring) error {
	_, err := r.Backup(io.Discard, crashIdentity.Recipient(), time.Now().Add(time.Hour))
	return err
}

// check opens the files that a crash left, compares them with the acknowledged
// operations, continues to write, and leaves the files in order.
func (a *acked) check(disk *vfs.Mem) error {
	ctx := context.Background()
	o := keyring.Options{FS: disk}
	r, err := keyring.Open(ctx, dir, o)
	if !a.created && errors.Is(err, keyring.ErrNoKeyring) {
		r, err = keyring.Create(ctx, dir, "example.com/log", o)
	}
	if err != nil {
		return err
	}
	for _, h := range a.held {
		if err := h.check(r); err != nil {
			return err
		}
	}
	size, root := r.Signed()
	if err := r.SetSigned(size, root); err != nil {
		return err
	}
	for i, h := range a.doomed {
		err := h.check(r)
		if i < a.destroyed && !errors.Is(err, keyring.ErrErased) {
			return fmt.Errorf("destroyed subject %d: %w", i, err)
		}
		if err != nil && !errors.Is(err, keyring.ErrErased) && !errors.Is(err, keyring.ErrExpired) {
			return fmt.Errorf("subject %d that was being destroyed: %w", i, err)
		}
	}
	if err := errors.Join(a.checkState(r), a.checkFiles(r)); err != nil {
		return err
	}
	// Applying the destructions again is what a log does when it is opened.
	for i, h := range a.doomed {
		if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{h.subject}, Seq: uint64(i + 1), Hash: record.Hash{byte(i + 1)}}); err != nil {
			return err
		}
		if err := h.check(r); !errors.Is(err, keyring.ErrErased) {
			return fmt.Errorf("subject %d after the second Destroy: %w", i, err)
		}
	}
	if err := a.seal(r, 2); err != nil {
		return err
	}
	// From now on it is known what had happened.
	a.created = true
	a.vkeys, a.nextVKey = nil, ""
	for _, s := range r.Signers() {
		a.vkeys = append(a.vkeys, s.VKey)
	}
	a.destroyed = len(a.doomed)
	a.size, a.nextSize = size, size
	return r.Close()
}

func (a *acked) checkState(r *keyring.Ring) error {
	var vkeys []string
	for _, s := range r.Signers() {
		vkeys = append(vkeys, s.VKey)
	}
	if a.created && !slices.Equal(vkeys, a.vkeys) && !slices.Equal(vkeys, append(slices.Clip(a.vkeys), a.nextVKey)) {
		return fmt.Errorf("signers are %q, want %q and perhaps %q", vkeys, a.vkeys, a.nextVKey)
	}
	if size, root := r.Signed(); size != a.size && size != a.nextSize || root[0] != byte(size) {
		return fmt.Errorf("Signed = %d, want %d or %d", size, a.size, a.nextSize)
	}
	if seq, _ := r.LastDestruction(); seq > a.applied || int(seq) < a.destroyed {
		return fmt.Errorf("Applied = %d, want %d to %d", seq, a.destroyed, a.applied)
	}
	return nil
}

func (a *acked) clone() *acked {
	c := *a
	c.held, c.doomed = slices.Clone(a.held), slices.Clone(a.doomed)
	return &c
}

// TestCrashAnywhere cuts the power, or kills the process, at every operation
// that changes the disk.
func TestCrashAnywhere(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 2
	}
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		disk.FailAfter(n)
		var a acked
		err := a.live(disk)
		if err != nil && !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("crash at operation %d: %v", n, err)
		}
		try := func(what string, after *vfs.Mem) {
			t.Helper()
			after.FailAfter(-1)
			b := a.clone()
			if err := b.check(after); err != nil {
				t.Fatalf("%s at operation %d: %v", what, n, err)
			}
			// Operations acknowledged since must survive the next power loss,
			// though they follow on bytes that the first process left.
			for _, again := range []*vfs.Mem{after.Crash(nil), after.Crash(rand.New(rand.NewPCG(uint64(n), 99)))} {
				if err := b.clone().check(again); err != nil {
					t.Fatalf("%s at operation %d, then a power loss: %v", what, n, err)
				}
			}
		}
		try("kill", disk.KillOnly())
		try("power loss that keeps nothing", disk.Crash(nil))
		for seed := range seeds {
			try(fmt.Sprintf("power loss %d", seed), disk.Crash(rand.New(rand.NewPCG(seed, uint64(n)))))
		}
		if err == nil {
			t.Logf("%d operations", n)
			return
		}
	}
}

// TestCrashWhileRepairing cuts the power a second time, at every operation of
// opening the files that the first crash left.
func TestCrashWhileRepairing(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 0; ; n += step {
		disk := vfs.NewMem()
		disk.FailAfter(n)
		var a acked
		err := a.live(disk)
		left := disk.Crash(rand.New(rand.NewPCG(3, uint64(n))))
		if !a.created && err != nil {
			continue
		}
		for m := 0; ; m++ {
			second := left.Clone()
			second.FailAfter(m)
			r, oerr := keyring.Open(context.Background(), dir, keyring.Options{FS: second})
			if oerr == nil {
				oerr = r.Close()
			}
			third := second.Crash(rand.New(rand.NewPCG(uint64(m), uint64(n))))
			if err := a.clone().check(third); err != nil {
				t.Fatalf("crash at operation %d, and at operation %d of opening: %v", n, m, err)
			}
			if oerr == nil {
				break
			}
			if !errors.Is(oerr, vfs.ErrCrashed) {
				t.Fatalf("crash at operation %d, then Open = %v", n, oerr)
			}
		}
		if err == nil {
			return
		}
	}
}

// TestCrashInMerge crashes where the journal is merged into the base.
func TestCrashInMerge(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	var all []held
	for i := range 4090 {
		all = append(all, seal(t, r, fmt.Sprintf("user-%d", i), class))
	}
	flush(t, r)
	closeRing(t, r)
	for n := 0; ; n++ {
		now := disk.Clone()
		r := open(t, now)
		start := now.Ops()
		now.FailAfter(start + n)
		fresh := slices.Clone(all[:1])
		var err error
		for i := 0; i < 10 && err == nil; i++ {
			h := seal(t, r, fmt.Sprintf("new-%d", i), class)
			if err = r.Flush(); err == nil {
				fresh = append(fresh, h)
			}
		}
		after := now.Crash(rand.New(rand.NewPCG(1, uint64(n))))
		back := open(t, after)
		checkAll(t, back, fresh)
		closeRing(t, back)
		if err == nil {
			if back.Generation() == 0 && now.Ops()-start < 12 {
				t.Error("nothing was merged")
			}
			return
		}
	}
}
