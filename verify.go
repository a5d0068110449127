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

// VerifyOptions say with what a log is compared. The zero value compares the
// whole log with the signatures that its keyring knows.
type VerifyOptions struct {
	// From is the first record to read. For the records before it, only the
	// tree is checked.
	From uint64
	// Size is the number of records that the verdict covers: findings that only
	// affect later records are not reported, except for unauthenticated lines
	// beyond the newest checkpoint. If 0, the verdict covers all records.
	Size uint64
	// IgnoreUnauthenticated leaves out the unauthenticated lines, too, if Size
	// is set.
	IgnoreUnauthenticated bool
	// VKeys are the verifier keys that are trusted. If there are none, the keys
	// in the keyring are trusted. From a key of the log that was replaced
	// since, the check follows the rotations to its successors, see
	// tlog.ResolveSigner.
	VKeys []string
	// Checkpoints are signed checkpoints that were stored elsewhere: the log
	// must be consistent with them. Only they reveal that the log was cut off
	// or replaced together with its keyring.
	Checkpoints [][]byte
	// Progress is called with the number of bytes read so far and in all. If
	// the log is not intact, it is read again, and the total doubles. Calls
	// come from several goroutines, one at a time.
	Progress func(done, total uint64)
	// MaxFindings bounds the alterations, and also the other findings, in
	// Verification.Findings; if 0, 1000 of each. All are counted.
	MaxFindings int
}

// A Verification is the result of Verify.
type Verification struct {
	Records uint64 `json:"records"` // found in their place, from First on
	Removed uint64 `json:"left"`    // archived or dropped, as the log says
	// Archived counts those of them that were found in their archives.
	Archived uint64 `json:"archived"`
	First    uint64 `json:"first"` // the first record that was checked
	Bytes    uint64 `json:"bytes"` // that were read

	// Root is the newest signed root, and CheckpointSize the number of records
	// that it covers. The Unsigned records after them are only chained; if the
	// keyring is available, their contents were authenticated.
	Root           tlog.Hash `json:"root"`
	CheckpointSize uint64    `json:"checkpoint_size"`
	Unsigned       uint64    `json:"unsigned"`

	// Counts of the records that were read whose contents were erased, have
	// expired, or would have expired without a legal hold; 0 without the
	// keyring.
	Erased  uint64 `json:"erased"`
	Expired uint64 `json:"expired"`
	Held    uint64 `json:"held"`

	// Findings are the first alterations, by record, and then the first other
	// findings.
	Findings     []finding.Finding `json:"errors"`
	FindingCount uint64            `json:"error_count"`
	// Limitations name what the check needed, or was asked to use, and did not
	// have.
	Limitations []string `json:"missing"`
	// Sealed is true if the keyring was not available, so that the keys to the
	// contents were not checked.
	Sealed bool `json:"sealed"`

	kinds map[finding.Kind]uint64
}

// ErrNoVerifierKey reports that neither a verifier key nor a keyring is
// available to check the log's signatures with.
var ErrNoVerifierKey = trust.ErrNoKey

// CheckSideFiles returns the side files and id tables that are damaged, as far
// as that can be decided without reading lines, which needs the keyring. A
// writer does not trust such a file, and rebuilds it if it is missing.
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
// tree whose root is signed. The Verification lists what is wrong with the log;
// Verify returns an error only if the log could not be checked.
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

// VerifyDir is Verify for a log that Open may refuse: a log that was altered or
// cut off, a copy without keys, or a log on read-only media or with an active
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
