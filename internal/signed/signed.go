// Package signed answers what the tree over a log's records that was signed holds,
// whatever state the files of the tree are in.
//
// The files are derived, and nobody vouches for them: what they say is believed
// if the path from it up to the signed root is right. Where they fail, the answer
// is put together from the log's lines, and believed only if these give the
// signed root. So a damaged file never outvotes lines and signature. What neither
// gives is not known.
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
// the root that was signed: lines were altered, or cannot be told from such.
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
	Ring   *keyring.Ring // nil if it is not at hand
	Origin string
	Writer bool // this process writes the log
	Logger *slog.Logger
	// Damaged, unless it is nil, is sent to when files are found damaged and nobody
	// has taken the last one yet. It has room for one.
	Damaged chan struct{}

	mu     sync.Mutex
	head   Head
	fresh  bool       // head is what was published last
	lines  *fromLines // nil until it was needed
	failed *Head      // the lines do not give its root
	told   bool       // the log was told that files are damaged

	entries uint64 // how many of those in the file gave a signed root
	bad     Head   // for which they did not
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
		return t.head // it remembers what it signs before it publishes that
	}
	t.fresh = true
	// Without it, what is known of the signed records is less, and not wrong.
	if text, err := t.Files.Checkpoint(); err == nil {
		if c, err := t.Open(text); err == nil && c.Size > t.head.Size {
			t.head = Head{c.Size, c.Root}
		}
	}
	return t.head
}

// Open reads a checkpoint of the log, and checks its signature if the keyring is
// at hand.
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

// Check tells whether the record with a sequence number has the hash that was
// signed. Of a record that nobody has signed it does. entry is what the tree's
// file has, if it has one. If the hash is another one, want is the one that was
// signed, if that is known.
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

// Proves is Check by the path up to the signed root, also where the tree's file has
// that hash: for a record that stands for all before it.
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

// entry returns what the tree's file has of a record, or nil.
func (t *Tree) entry(seq uint64) []byte {
	var one [1][32]byte
	if t.Files.ReadEntries(seq, one[:]) != nil {
		return nil // it is derived
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

// Root returns the root of the tree over the first size records, of which that
// many were signed.
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

// Prove calls prove with a reader of the tree's hashes, and again with one that
// takes them from the log's lines if what comes of the first does not hold.
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

// tell says once that files of the tree are damaged.
func (t *Tree) tell() {
	t.mu.Lock()
	told := t.told
	t.told = true
	t.mu.Unlock()
	if told {
		return
	}
	t.Logger.Warn("files of the tree are damaged, and were gone around: nothing was altered; verify names them, and doctor --repair makes them again")
	t.Notice()
}

// Notice sends to Damaged.
func (t *Tree) Notice() {
	select {
	case t.Damaged <- struct{}{}:
	default:
	}
}

// Mended forgets what was found out about the files, which were made again.
func (t *Tree) Mended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines, t.failed, t.told, t.bad, t.entries = nil, nil, false, Head{}, 0
}
