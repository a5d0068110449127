// Package admission decides which records a reader of a log sees.
//
// Up to the newest signed size, records count: the tree shows whether they are
// the ones that were signed. Lines beyond were appended within the last second,
// or by somebody who can write to the folder and has no keys. They count as
// long as each authenticates under the keyring: see Judge. At the first line
// that does not, a reader stops. Without the keyring a reader stops at the
// signed size.
//
// It promises that the actions of a concurrent writer are not taken for a
// forgery: since an erasure signs all records before it destroys a key,
// checkpoint and keyring are read again before a record is rejected.
package admission

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"audittrail/finding"
	"audittrail/internal/segment"
	"audittrail/internal/trust"
	"audittrail/internal/verify"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// A Reader makes the records of a log that count visible to readers. Its
// exported fields are not changed while it is in use.
type Reader struct {
	FS     vfs.FS
	Tree   string         // folder of the tree's files
	Store  *segment.Store // whose visible records it sets
	Ring   *keyring.Ring  // nil without the keyring
	VKeys  []string       // verifier keys that are trusted, if there is no keyring
	Orders Orders         // of the Judge

	mu     sync.Mutex // guards all below
	file   []byte     // the published checkpoint, when it was read last
	head   uint64     // number of signed records, by file or by the keyring
	size   uint64     // number of records that count
	beyond Beyond
	wrong  error // why the signature of file does not count
}

// A Beyond describes the lines beyond the records that count.
type Beyond struct {
	Signed  uint64 // number of records that the newest head covers
	Size    uint64 // number of records that count
	Records uint64 // number of lines beyond these that continue the log
	// Detail says why the first of them does not count.
	Detail string
	// The number of signed records that are missing.
	Behind uint64
	// Damage says how the published checkpoint is damaged, if other evidence
	// covers the records that it claims to cover.
	Damage string
	// Unchecked says why the signature of the checkpoint was not checked, or
	// does not count; empty if it was.
	Unchecked string
}

// Beyond describes the lines beyond the records that count, as of the last call
// of Look.
func (r *Reader) Beyond() Beyond {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.beyond
}

// Checkpoint returns the published checkpoint, if its signature is right, which
// is checked if the keys are known.
func (r *Reader) Checkpoint() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, err := vfs.ReadFile(r.FS, filepath.Join(r.Tree, "checkpoint"), tlog.MaxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if err := r.readHead(!bytes.Equal(file, r.file)); err != nil {
		return nil, err
	}
	if r.wrong != nil && bytes.Equal(file, r.file) {
		return nil, fmt.Errorf("read checkpoint: %w", r.wrong)
	}
	return r.file, nil
}

// stray is the reason for which a line that is not the next record does not
// count.
const stray = "it does not continue the log"

// Look finds the end of the log, which a process may be writing if live is
// true, and makes the records that count visible to readers. It returns the
// number of records that it has found.
func (r *Reader) Look(ctx context.Context, live bool) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.lookOnce(ctx, live)
	signed := r.head
	if err != nil || signed <= found {
		r.beyond.Behind = 0
		return found, err
	}
	// A writer may have continued since: all records that are signed now can
	// also be read now.
	found, err = r.lookOnce(ctx, live)
	r.beyond.Behind = signed - min(signed, found)
	return found, err
}

// lookOnce reads the end of the log again, and makes the records that count
// visible to readers; called with mu held.
func (r *Reader) lookOnce(ctx context.Context, live bool) (uint64, error) {
	found, err := r.Store.Look(ctx, live, r.head)
	if err == nil {
		err = r.admit(ctx, found)
	}
	if err != nil {
		return found, err
	}
	if other := r.Store.Overlook(r.head); other != nil && r.beyond.Records == 0 {
		r.beyond.Records, r.beyond.Detail = 1, stray
	}
	return found, nil
}

// admit decides which of the records that the store has found count, and makes
// these visible to readers; called with mu held.
func (r *Reader) admit(ctx context.Context, found uint64) error {
	if found <= r.size && found >= r.beyond.Signed && r.beyond.Signed > 0 {
		r.show(found)
		r.beyond.Records, r.beyond.Detail = 0, ""
		return nil
	}
	if err := r.readHead(false); err != nil {
		return err
	}
	for {
		r.show(min(found, max(r.size, r.head)))
		seq, why, err := r.judge(ctx, found)
		if err != nil {
			return err
		}
		if why != "" {
			if err := r.readHead(true); err != nil {
				return err
			}
			if r.head > seq {
				continue // it was signed meanwhile
			}
		}
		records := found - r.size
		if why == stray {
			records = 1 // if it is not the next, the name of a file may claim any number
		}
		r.beyond.Signed, r.beyond.Records, r.beyond.Detail = r.head, records, why
		return nil
	}
}

func (r *Reader) show(size uint64) {
	r.size, r.beyond.Size = size, size
	r.Store.Show(size)
}

// judge makes the records up to a size that count visible to readers. It
// returns the first record that does not count, and why.
func (r *Reader) judge(ctx context.Context, found uint64) (seq uint64, why string, err error) {
	if r.size == found {
		return 0, "", nil
	}
	if r.Ring == nil {
		return r.size, "it is beyond the newest checkpoint, and cannot be authenticated without the keyring", nil
	}
	judge := &Judge{Ring: r.Ring, Store: r.Store, Orders: r.Orders}
	lines := make([][]byte, 0, Together)
	for r.size < found {
		lines = lines[:0]
		broken := ""
		for seq := r.size; seq < found && len(lines) < Together; seq++ {
			line, err := r.Store.Peek(seq)
			var other *record.CorruptError
			var gone *segment.GoneError
			if errors.As(err, &other) || errors.As(err, &gone) || errors.Is(err, segment.ErrBeyond) {
				broken = stray
				break
			}
			if err != nil {
				return 0, "", err
			}
			lines = append(lines, slices.Clone(line))
		}
		n, why, err := judge.Reject(ctx, lines)
		if err != nil {
			return 0, "", err
		}
		r.show(r.size + uint64(n))
		if n < len(lines) || broken != "" {
			return r.size, cmp.Or(why, broken), nil
		}
	}
	return 0, "", nil
}

// readHead determines the number of signed records, if it may have changed, or
// if again is true.
func (r *Reader) readHead(again bool) error {
	file, err := vfs.ReadFile(r.FS, filepath.Join(r.Tree, "checkpoint"), tlog.MaxCheckpoint)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, vfs.ErrTooLarge) {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if r.file != nil && bytes.Equal(file, r.file) && !again {
		return nil
	}
	r.file, r.beyond.Unchecked, r.beyond.Damage, r.wrong = append([]byte{}, file...), "", "", nil
	if r.Ring == nil && len(r.VKeys) == 0 {
		r.beyond.Unchecked = "neither the keyring nor a verifier key is available"
		c, err := tlog.ReadCheckpoint(file)
		if err != nil {
			c.Size, r.beyond.Unchecked = 0, "there is no checkpoint"
		}
		r.head = c.Size
		return nil
	}
	evidence := &trust.Evidence{FS: r.FS, Tree: r.Tree, Live: true, Pinned: r.VKeys}
	if r.Ring != nil {
		if _, err := r.Ring.Refresh(); err != nil {
			return err
		}
		evidence.Pinned = nil
		if evidence.Ring, err = trust.RingOf(r.Ring); err != nil {
			return err
		}
	}
	found := &verify.Findings{Max: 1}
	heads, _, err := evidence.Heads(found)
	r.head = 0
	if evidence.Ring != nil {
		r.head = evidence.Ring.Signed.Size // even if the checkpoint is wrong
	}
	for _, h := range heads {
		r.head = max(r.head, h.Size)
	}
	switch {
	case err != nil:
		r.wrong = err
	default:
		for _, p := range found.Kept() {
			switch {
			case p.File != "tree/checkpoint":
			case p.Kind == finding.Derived: // it is damaged, which is not an alteration
				r.wrong, r.beyond.Damage = fmt.Errorf("%w: %s", tlog.ErrMalformed, p.Detail), p.Detail
			default:
				r.wrong = fmt.Errorf("%w: %s", tlog.ErrBadSignature, p.Detail)
			}
		}
	}
	if r.wrong != nil {
		r.beyond.Unchecked = r.wrong.Error()
	}
	return nil
}
