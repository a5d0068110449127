package index

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"audittrail/keyring"
	"audittrail/record"
)

// A Log is the log that is indexed. Its methods may be called from many
// goroutines.
type Log interface {
	// Origin names the log.
	Origin() string
	// Size returns the number of records. A reader looks for new ones first.
	Size() (uint64, error)
	// Has reports whether the record at a place has a hash. It is true also if
	// the record was removed or cannot be read.
	Has(ctx context.Context, seq uint64, hash record.Hash) bool
	// Records yields the records from a place to before another that are in the
	// log, in order.
	Records(ctx context.Context, from, to uint64) iter.Seq2[*record.Record, error]
	// Gone returns the ranges of removed records, each by its first and the one
	// after its last, in order.
	Gone() [][2]uint64
	// Unapplied returns the newest record that ordered keys to be destroyed, if
	// the keyring is not known to have destroyed them.
	Unapplied() (seq uint64, some bool, err error)
}

// A Holder keeps an index for [Of]. A log embeds it.
type Holder struct{ x *Index }

// Hold makes a holder of an index.
func Hold(x *Index) Holder { return Holder{x} }

func (h Holder) held() *Index { return h.x }

// Of returns the index of a log. It is how other packages of this module get to
// it: the log exports nothing of it.
func Of(log interface{ held() *Index }) *Index { return log.held() }

// A Tuning has options for an index that differ from the usual ones. A log's
// options embed it, for tests.
type Tuning struct{ o Options }

func (t *Tuning) tuned() *Options { return &t.o }

// Tune sets the options of the index of a log that is opened with o.
func Tune(o interface{ tuned() *Options }, tuned Options) { *o.tuned() = tuned }

// TunedOptions returns the options that Tune has set.
func TunedOptions(o interface{ tuned() *Options }) Options { return *o.tuned() }

// errNoKeys reports that there can be no index, since the log is open without
// its keyring.
var errNoKeys = errors.New("the log is open without its keyring")

// keyGeneration returns the generation of the keyring, in a reader as the
// writer last wrote it. It changes with every destruction of keys.
func (x *Index) keyGeneration() (uint64, error) {
	if x.ring == nil {
		return 0, errNoKeys
	}
	generation, err := x.ring.CurrentGeneration()
	if err != nil {
		return 0, err
	}
	if seq, some, err := x.log.Unapplied(); err != nil || some {
		return generation ^ (seq+1)<<32, err
	}
	return generation, nil
}

// Version returns a text that changes when records are removed from the log or
// restored, or keys are destroyed: results computed from contents are outdated
// then.
func (x *Index) Version() string {
	generation, err := x.keyGeneration()
	if err != nil {
		generation = 0 // without keys, no content can become unreadable
	}
	return fmt.Sprint(generation, x.log.Gone())
}

// fileKey returns the key of a block. The error is keyring.ErrLost if it was
// destroyed, or is about to be.
func (x *Index) fileKey(id keyOf) (keyring.FileKey, error) {
	if x.ring == nil {
		return keyring.FileKey{}, errNoKeys
	}
	if _, some, err := x.log.Unapplied(); err != nil {
		return keyring.FileKey{}, err
	} else if some { // the block may contain text of erased data subjects
		return keyring.FileKey{}, keyring.ErrLost
	}
	return x.ring.FileKey(id)
}
