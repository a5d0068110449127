package audittrail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"audittrail/internal/admission"
	"audittrail/internal/index"
	"audittrail/internal/segment"
	"audittrail/internal/signed"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/keyring"
)

// A Log is an append-only sequence of records. Its methods may be called from
// many goroutines. Reads never wait for appends.
type Log struct {
	indexHolder

	dir   string
	opts  Options
	ring  *keyring.Ring // nil if opened for reading without its keyring
	store *segment.Store
	tree  *tree.Tree
	lock  vfs.Lock // nil if read-only

	origin string

	signed  signed.Tree      // the signed part of the tree
	records reader           // of the lines that are in the log's folder
	left    register         // of the segments that have left
	eraser  *eraser          // of the keys to contents
	admit   admission.Reader // decides which records readers see

	keysMu sync.Mutex // held while keys are replaced
	moves  sync.Mutex // held while segments are moved

	keeping     sync.WaitGroup // for keepTree
	stopKeeping func()

	gate     gate       // between encrypting records and destroying keys
	sequence *sequencer // nil if read-only, or not open yet
	signer   signer
	classes  atomic.Pointer[classes] // replaced whole
	changed  broadcast               // woken when records become visible
	closed   atomic.Bool
}

// A broadcast wakes all waiting goroutines.
type broadcast struct {
	mu      sync.Mutex
	ch      chan struct{}
	waiting bool
}

// wait returns a channel that is closed at the next call of wake.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	b.waiting = true
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting {
		close(b.ch)
		b.ch, b.waiting = nil, false
	}
}

// Origin returns the name of the log, as its checkpoints have it.
func (l *Log) Origin() string { return l.origin }

// Size returns the number of records: one more than the largest sequence
// number. A log that is open for reading first looks for new records of the
// writer.
func (l *Log) Size() (uint64, error) {
	if err := l.refresh(context.Background()); err != nil {
		return 0, err
	}
	return l.store.Size(), l.store.Broken()
}

// refresh lets a reader see what the writer has written.
func (l *Log) refresh(ctx context.Context) error {
	if l.lock != nil {
		return nil
	}
	if err := l.look(ctx); err != nil {
		return err
	}
	l.tree.Refresh()
	l.signed.Refresh()
	return nil
}

// look lets readers see all records that now count.
func (l *Log) look(ctx context.Context) error {
	_, err := l.admit.Look(ctx, l.hasWriter())
	return err
}

// Close waits for the appends that are under way, signs a last checkpoint, and
// closes the files. Appends that begin later fail with ErrClosed.
func (l *Log) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	var errs []error
	l.stopKeepingTree()
	if l.sequence != nil {
		l.sequence.Close()
		errs = append(errs, l.signer.stop())
	}
	if x := index.Of(l); x != nil {
		if err := x.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close index: %w", err))
		}
	}
	// Some of them are nil if Open has failed.
	if l.eraser != nil {
		errs = append(errs, l.eraser.Close())
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.tree != nil {
		errs = append(errs, l.tree.Close())
	}
	if l.ring != nil {
		errs = append(errs, l.ring.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	l.changed.wake()
	return errors.Join(errs...)
}
