// Package signed answers questions about the signed tree over a log's records,
// even if the files of the tree are damaged.
//
// The files are derived and not signed: a hash in them is trusted if the path
// from it up to the signed root is right. If a file is wrong, the answer is
// computed from the log's lines, and trusted only if these give the signed
// root. So a damaged file never overrides lines and signature. If neither files
// nor lines give an answer, it is not known.
package signed

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"

	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/segment"
	"audittrail/internal/tree"
	"audittrail/internal/trust"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// ErrRoot says that neither the files of the tree nor the lines of the log give
// the root that was signed: lines were altered, or cannot be distinguished from
// altered ones.
var ErrRoot = errors.New("neither the lines of the log nor the files of its tree give the root that was signed")

// A Head is a size of the log, and the root that was signed for it.
type Head struct {
	Size uint64
	Root tlog.Hash
}

// A Tree is the signed tree over the records of a log.
type Tree struct {
	Store  *segment.Store
	Files  *tree.Tree
	Ring   *keyring.Ring // nil without the keyring
	Origin string
	Writer bool // this process writes the log
	Logger *slog.Logger
	// Damaged, unless it is nil, gets a value when files are found damaged,
	// unless it contains one already. Its capacity is one.
	Damaged chan struct{}

	mu     sync.Mutex
	head   Head
	fresh  bool       // head is the newest published one
	lines  *fromLines // nil until it is needed
	failed *Head      // head whose root the lines do not give
	told   bool       // it was logged that files are damaged

	entries uint64 // number of entries in the file that gave a signed root
	bad     Head   // head whose root they did not give
}

// Refresh makes the tree look for a newer head when one is needed.
func (t *Tree) Refresh() {
	t.mu.Lock()
	t.fresh = false
	t.mu.Unlock()
}

// Head returns the newest signed head. Its size is 0 if none is known.
func (t *Tree) Head() Head {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest()
}

// Size returns the size of the newest signed head.
func (t *Tree) Size() uint64 { return t.Head().Size }

func (t *Tree) newest() Head {
	if t.fresh {
		return t.head
	}
	if t.Ring != nil {
		if size, root := t.Ring.Signed(); size >= t.head.Size {
			t.head = Head{size, root}
		}
	}
	if t.Writer {
		return t.head // the keyring remembers a head before it is published
	}
	t.fresh = true
	// Without the checkpoint, fewer records are known to be signed, which is
	// still right.
	if text, err := t.Files.Checkpoint(); err == nil {
		if c, err := t.Open(text); err == nil && c.Size > t.head.Size {
			t.head = Head{c.Size, c.Root}
		}
	}
	return t.head
}

// Open reads a checkpoint of the log, and checks its signature if there is a
// keyring.
func (t *Tree) Open(text []byte) (tlog.Checkpoint, error) {
	if t.Ring == nil {
		return tlog.ReadCheckpoint(text)
	}
	eras, err := trust.KeyPeriods(t.Ring)
	if err != nil {
		return tlog.Checkpoint{}, err
	}
	c, _, err := eras.OpenCheckpoint(text, t.Origin)
	return c, err
}

// Check reports whether the record with a sequence number has the hash that was
// signed. For a record that is not signed yet, it returns true. entry is the
// entry in the tree's file, if there is one. If the hash is not the signed one,
// want is the signed one, if it is known.
func (t *Tree) Check(ctx context.Context, seq uint64, got record.Hash, entry []byte) (ok bool, want record.Hash, err error) {
	head := t.Head()
	if seq >= head.Size {
		return true, got, nil
	}
	if proof, err := tlog.ProveInclusion(head.Size, seq, t.reader(head)); err == nil {
		if tlog.CheckInclusion(proof, head.Size, head.Root, seq, tlog.LeafHash(got)) == nil {
			t.tell()
			return true, got, nil
		}
		if entry != nil && tlog.CheckInclusion(proof, head.Size, head.Root, seq, tlog.LeafHash([32]byte(entry))) == nil {
			return false, record.Hash(entry), nil
		}
	}
	lines, err := t.anyLines(ctx, head, seq)
	switch {
	case errors.Is(err, ErrRoot):
		return false, record.Hash{}, nil
	case err != nil:
		return false, record.Hash{}, err
	}
	leaf, entryOf, err := lines.leaf(ctx, seq)
	if err != nil {
		return false, record.Hash{}, err
	}
	if leaf == tlog.LeafHash(got) {
		t.tell()
		return true, got, nil
	}
	return false, entryOf, nil
}

// Proves is Check, but always follows the path up to the signed root, also if
// the tree's file has the same hash: it is for a record that is checked in
// place of all records before it.
func (t *Tree) Proves(ctx context.Context, seq uint64, got record.Hash) (ok bool, want record.Hash, err error) {
	head := t.Head()
	if seq >= head.Size {
		return true, got, nil
	}
	if proof, err := tlog.ProveInclusion(head.Size, seq, t.reader(head)); err == nil &&
		tlog.CheckInclusion(proof, head.Size, head.Root, seq, tlog.LeafHash(got)) == nil {
		return true, got, nil
	}
	return t.Check(ctx, seq, got, t.entry(seq))
}

// entry returns the entry of a record in the tree's file, or nil.
func (t *Tree) entry(seq uint64) []byte {
	var one [1][32]byte
	if t.Files.ReadEntries(seq, one[:]) != nil {
		return nil // the file is derived
	}
	return one[0][:]
}

// Agrees is Check for a record of which only the hash is known.
func (t *Tree) Agrees(ctx context.Context, seq uint64, got record.Hash) (ok bool, want record.Hash, err error) {
	if seq >= t.Head().Size {
		return true, got, nil
	}
	entry := t.entry(seq)
	if bytes.Equal(entry, got[:]) {
		return true, got, nil
	}
	return t.Check(ctx, seq, got, entry)
}

// Root returns the root of the tree over the first size records, all of which
// are signed.
func (t *Tree) Root(ctx context.Context, size uint64) (root tlog.Hash, err error) {
	head := t.Head()
	err = t.Prove(ctx, head, func(r tlog.HashReader) error {
		if root, err = xtlog.TreeHash(int64(size), r); err != nil {
			return err
		}
		proof, err := tlog.ProveConsistency(head.Size, size, r)
		if err != nil {
			return err
		}
		return tlog.CheckConsistency(proof, head.Size, head.Root, size, root)
	})
	return root, err
}

// reader reads the hashes of the tree from its files.
func (t *Tree) reader(head Head) tlog.HashReader {
	if t.Files.Size() < head.Size {
		t.Files.Refresh()
	}
	return t.Files.HashReader()
}

// Prove calls prove with a reader of the tree's hashes, and, if the result does
// not verify, again with a reader that takes them from the log's lines.
func (t *Tree) Prove(ctx context.Context, head Head, prove func(tlog.HashReader) error) error {
	err := prove(t.reader(head))
	if err == nil {
		return nil
	}
	lines, lerr := t.fromLines(ctx, head)
	if lerr != nil {
		return lerr
	}
	if err := prove(lines.reader(ctx)); err != nil {
		return err
	}
	t.tell()
	return nil
}

// tell logs once that files of the tree are damaged.
func (t *Tree) tell() {
	t.mu.Lock()
	told := t.told
	t.told = true
	t.mu.Unlock()
	if told {
		return
	}
	t.Logger.Warn("files of the tree are damaged, and were not used: nothing was altered; verify names them, and doctor --repair rebuilds them")
	t.Notice()
}

// Notice sends to Damaged.
func (t *Tree) Notice() {
	select {
	case t.Damaged <- struct{}{}:
	default:
	}
}

// Mended discards the cached results about the files, which were rebuilt.
func (t *Tree) Mended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines, t.failed, t.told, t.bad, t.entries = nil, nil, false, Head{}, 0
}
