package audittrail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"audittrail/finding"
	"audittrail/internal/segment"
	"audittrail/internal/trust"
	"audittrail/keyring"
	"audittrail/tlog"
)

// VerifyOptions say what to check a log against. The zero value checks all of
// it against what its keyring says of its signatures.
type VerifyOptions struct {
	// From is the first record to read. Of those in front of it, only the
	// tree is looked at.
	From uint64
	// Size is how many records the verdict is about: problems that only concern
	// later ones are not reported, but for lines beyond the newest checkpoint that
	// nobody vouches for. If 0, it is about all.
	Size uint64
	// IgnoreUnauthenticated leaves out these lines, too, where there is a Size.
	IgnoreUnauthenticated bool
	// VKeys are verifier keys that are trusted. If there are none, the
	// keyring's word is taken for who signs. A key of the log that was
	// replaced since leads to its successors, see tlog.ResolveSigner.
	VKeys []string
	// Checkpoints are signed checkpoints that were kept elsewhere: the log
	// must continue what they cover. They catch what its own cannot: that it
	// was cut off or replaced, keyring and all.
	Checkpoints [][]byte
	// Progress is told how many of how many bytes have been gone over. If the
	// log is not intact it is gone over again, and the total doubles. Calls
	// come from several goroutines, one at a time.
	Progress func(done, total uint64)
	// MaxFindings is how many alterations are kept, and how many other problems;
	// if 0, 1000. All are counted.
	MaxFindings int
}

// A Verification is what Verify found.
type Verification struct {
	Records uint64 `json:"records"` // in their place, from First on
	Removed uint64 `json:"left"`    // archived or dropped, as the log says
	// Archived are those of them whose archives were read, and hold them.
	Archived uint64 `json:"archived"`
	First    uint64 `json:"first"` // the first that was asked for
	Bytes    uint64 `json:"bytes"` // that were read

	// Root is the newest signed root, and CheckpointSize how many records it
	// covers. Unsigned records behind them are only chained; with the keyring
	// at hand, their contents are authenticated.
	Root           tlog.Hash `json:"root"`
	CheckpointSize uint64    `json:"checkpoint_size"`
	Unsigned       uint64    `json:"unsigned"`

	// Of the records that were read, with the keyring at hand: those whose
	// contents were erased, have expired, or would have, but for a hold.
	Erased  uint64 `json:"erased"`
	Expired uint64 `json:"expired"`
	Held    uint64 `json:"held"`

	// Findings are the first alterations, by record, and then the first others.
	Findings     []finding.Finding `json:"errors"`
	FindingCount uint64            `json:"error_count"`
	// Limitations is what the check would have needed, or was asked for, and did
	// not have.
	Limitations []string `json:"missing"`
	// Sealed is true if the keyring was not at hand, so that nothing is known
	// of the keys to the contents.
	Sealed bool `json:"sealed"`

	kinds map[finding.Kind]uint64
}

// ErrNoVerifierKey means that there is neither a verifier key nor a keyring to
// check the log's signatures with.
var ErrNoVerifierKey = trust.ErrNoKey

// CheckSideFiles returns what is wrong with side files and id tables, as far as that
// can be told without reading lines: with the keyring, it can. A writer takes
// nothing from such a file, and makes it again where it is missing.
func (l *Log) CheckSideFiles(ctx context.Context) ([]finding.Finding, error) {
	if l.closed.Load() {
		return nil, fmt.Errorf("look at side files: %w", ErrClosed)
	}
	found, err := derivedFindings(ctx, l.store.Compare())
	if err != nil {
		return nil, fmt.Errorf("look at side files: %w", err)
	}
	return found, nil
}

// Verify checks every record against its own hash, the chain, and the Merkle
// tree whose root is signed. What is wrong with the log is in the Verification;
// the error is for when it could not be checked.
func (l *Log) Verify(ctx context.Context, o VerifyOptions) (*Verification, error) {
	if l.closed.Load() {
		return nil, fmt.Errorf("verify: %w", ErrClosed)
	}
	v, err := l.verify(ctx, o, nil)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return v, nil
}

// VerifyDir is Verify for a log that need not open: one that was altered or cut
// off, a copy without keys, on media that cannot be written to, or beside a
// writer. It takes no lock and writes nothing.
func VerifyDir(ctx context.Context, dir string, o Options, vo VerifyOptions) (*Verification, error) {
	o.ReadOnly, o.Create = true, false
	if err := o.complete(dir); err != nil {
		return nil, err
	}
	v, err := verifyDir(ctx, &Log{dir: dir, opts: o}, vo)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	return v, nil
}

func verifyDir(ctx context.Context, l *Log, o VerifyOptions) (*Verification, error) {
	_, err := l.opts.fs.Stat(filepath.Join(l.dir, treeDir))
	if errors.Is(err, fs.ErrNotExist) {
		err = l.find()
	}
	if err != nil {
		return nil, err
	}
	var missing []string
	ring, err := keyring.Open(ctx, l.opts.KeysDir, l.ringOptions())
	switch {
	case err == nil:
		l.ring, l.origin = ring, ring.Origin()
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(o.VKeys) == 0:
		return nil, fmt.Errorf("%w: %w: name the log's verifier key (--key), or where its keyring (--keys) and its master key (--master) are", ErrNoVerifierKey, err)
	case !errors.Is(err, keyring.ErrNoKeyring) && !errors.Is(err, keyring.ErrNoMaster):
		missing = append(missing, fmt.Sprintf("the keyring: %v", err))
	}
	var v *Verification
	if l.store, err = segment.Open(l.opts.fs, filepath.Join(l.dir, logDir), l.opts.roll); err == nil {
		if l.ring != nil {
			l.store.Authenticate(segment.Key(l.ring.DerivedKey()))
		}
		l.furnish()
		v, err = l.verify(ctx, o, missing)
		err = errors.Join(err, l.store.Close())
	}
	if l.ring != nil {
		err = errors.Join(err, l.ring.Close())
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (l *Log) verify(ctx context.Context, o VerifyOptions, missing []string) (*Verification, error) {
	v, err := l.inspect(ctx, o, missing)
	if err != nil {
		return nil, err
	}
	v.Findings, v.FindingCount, v.kinds = append(v.Findings, v.found.Kept()...), v.found.Count, v.found.Kinds
	return &v.Verification, nil
}
