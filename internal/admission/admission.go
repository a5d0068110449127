// Package admission decides which records a reader of a log sees.
//
// Up to the newest signed size, records count: the tree tells whether they are
// the ones that were signed. What lies beyond is what was appended within the
// last second, or what somebody put there who can write to the folder and has
// no keys. It counts as far as it authenticates record after record under the
// keyring: see Judge. At the first record that does not, a reader stops. Without
// the keyring nobody can tell, and a reader stops at the signed size.
//
// It promises that what a writer does meanwhile is not taken for a forgery: an
// erasure signs everything before it destroys a key, so that before a record is
// rejected, checkpoint and keyring are read again.
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

// A Reader lets the readers of a log see the records that count. Its exported
// fields are not changed while it is in use.
type Reader struct {
	FS     vfs.FS
	Tree   string         // folder of the tree's files
	Store  *segment.Store // of which it sets what readers see
	Ring   *keyring.Ring  // nil if it is not at hand
	VKeys  []string       // verifier keys that are trusted, where the keyring is not
	Orders Orders         // that of Judge

	mu     sync.Mutex // guards all below
	file   []byte     // the published checkpoint, when it was read last
	head   uint64     // how many records it, or the keyring, says were signed
	size   uint64     // how many records count
	beyond Beyond
	wrong  error // why the signature of file does not count
}

// A Beyond is what there is beyond the records that count.
type Beyond struct {
	Signed  uint64 // how many records the newest head covers
	Size    uint64 // how many records count
	Records uint64 // how many lines beyond these continue the log
	// Detail says why the first of them does not count.
	Detail string
	// Behind is how many records were signed and are not there.
	Behind uint64
	// Damage says how the published checkpoint is damaged, where something else
	// vouches for what it claims to cover.
	Damage string
	// Unchecked says why the signature of the checkpoint was not checked, or
	// does not count; empty if it was.
	Unchecked string
}

// Beyond returns what there was beyond the records that count when the log was
// looked at last.
func (r *Reader) Beyond() Beyond {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.beyond
}

// Checkpoint returns the published checkpoint, if its signature is right, as far
// as the keys are known.
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

// stray says why a line does not count that is not the next record.
const stray = "it does not continue the log"

// Look looks how far the log goes, beside a writer if it is live, and lets
// readers see the records that count. It returns how many it has found.
func (r *Reader) Look(ctx context.Context, live bool) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.lookOnce(ctx, live)
	signed := r.head
	if err != nil || signed <= found {
		r.beyond.Behind = 0
		return found, err
	}
	// A writer may have gone on since: what was signed by now is there by now.
	found, err = r.lookOnce(ctx, live)
	r.beyond.Behind = signed - min(signed, found)
	return found, err
}

// lookOnce lets readers see the records that the store finds by now and that
// count; called with mu held.
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

// admit looks which of the records count that the store has found, and lets
// readers see these; called with mu held.
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
			records = 1 // where it is not the next, the name of a file may claim any number
		}
		r.beyond.Signed, r.beyond.Records, r.beyond.Detail = r.head, records, why
		return nil
	}
}

func (r *Reader) show(size uint64) {
	r.size, r.beyond.Size = size, size
	r.Store.Show(size)
}

// judge lets readers see the records that count of those up to a size. It
// returns the first that does not, and why.
func (r *Reader) judge(ctx context.Context, found uint64) (seq uint64, why string, err error) {
	if r.size == found {
		return 0, "", nil
	}
	if r.Ring == nil {
		return r.size, "it is beyond the newest checkpoint, and the keyring is not here", nil
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

// readHead finds out how many records were signed, if that may have changed, or
// if it must be known for certain.
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
		r.beyond.Unchecked = "the keyring is not here, and no verifier key is named"
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
		r.head = evidence.Ring.Signed.Size // whatever is wrong with the checkpoint
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
			case p.Kind == finding.Derived: // it is damaged, and says nothing of an alteration
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
