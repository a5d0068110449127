package audittrail

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/internal/tree"
	"audittrail/internal/trust"
	"audittrail/internal/vfs"
	"audittrail/keyring"
)

const (
	logDir    = "log"
	treeDir   = "tree"
	escrowDir = "escrow"
	indexDir  = "index"
	lockName  = "LOCK"
)

// Open opens the log in the folder dir, with its index (unless o.NoIndex is
// set): opened for writing, the log keeps its index concurrently with the
// appends, which do not wait for it; opened read-only, it reads the index that
// the writer keeps. The caller must close the log.
//
// A log that is opened for writing is recovered first: the rest of an
// interrupted write is copied to another file, cut off and recorded, and
// records that no checkpoint covers yet are authenticated. Open refuses a log
// that lacks signed records with a *RollbackError; a log whose end is damaged
// in a way that no interruption causes, with a *DamagedError; and a log whose
// published checkpoint the keyring's keys did not sign, and which covers more
// records than the keyring knows were signed, with a *CheckpointError.
func Open(dir string, o Options) (*Log, error) {
	if err := o.complete(dir); err != nil {
		return nil, err
	}
	l := &Log{dir: dir, opts: o}
	l.classes.Store(newClasses(o.Classes, nil))
	if err := l.find(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	var err error
	if o.ReadOnly {
		err = l.openToRead()
	} else {
		err = l.openToWrite()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.attachIndex()
	return l, nil
}

// find reports whether there is a log, or may be one.
func (l *Log) find() error {
	if l.opts.Create {
		return nil
	}
	for _, name := range []string{filepath.Join(l.dir, logDir), l.opts.KeysDir} {
		_, err := l.opts.fs.Stat(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return ErrNoLog
}

func (l *Log) openFiles(readOnly bool) error {
	var err error
	l.store, err = segment.Open(l.opts.fs, filepath.Join(l.dir, logDir), l.opts.roll)
	if err != nil {
		return err
	}
	if l.ring != nil {
		l.store.Authenticate(segment.Key(l.ring.DerivedKey()))
	}
	if l.tree, err = tree.Open(l.opts.fs, filepath.Join(l.dir, treeDir), readOnly); err != nil {
		return err
	}
	l.furnish()
	return nil
}

// furnish creates the parts of the log that read the files that were opened.
func (l *Log) furnish() {
	l.eraser = newEraser(l)
	l.signed.Store, l.signed.Files, l.signed.Ring, l.signed.Origin = l.store, l.tree, l.ring, l.origin
	l.signed.Writer, l.signed.Logger = l.lock != nil, l.opts.Logger
	l.records = reader{store: l.store, ring: l.ring, keys: l.eraser}
	if l.tree != nil {
		l.records.tree = &l.signed
	}
	l.admit.FS, l.admit.Tree, l.admit.Store = l.opts.fs, l.treePath(), l.store
	l.admit.Ring, l.admit.VKeys, l.admit.Orders = l.ring, l.opts.VKeys, l.eraser
	l.left.log, l.left.records = l, &l.records
	l.makeIndex()
}

// treePath returns the folder of the tree's files, escrowPath that of the keys
// of records that a legal hold keeps after their class has expired.
func (l *Log) treePath() string   { return filepath.Join(l.dir, treeDir) }
func (l *Log) escrowPath() string { return filepath.Join(l.dir, escrowDir) }

func (l *Log) ringOptions() keyring.Options {
	return keyring.Options{
		FS: l.opts.fs, Master: l.opts.Master, Rand: l.opts.rand, Now: l.opts.now, ReadOnly: l.opts.ReadOnly,
	}
}

func (l *Log) openToRead() error {
	ctx := context.Background()
	ring, err := keyring.Open(ctx, l.opts.KeysDir, l.ringOptions())
	switch {
	case err == nil:
		l.ring, l.origin = ring, ring.Origin()
	case errors.Is(err, keyring.ErrNoKeyring), errors.Is(err, fs.ErrPermission),
		errors.Is(err, keyring.ErrNoMaster) && l.opts.masterFile != "":
		// This is an auditor's copy, without the keys to its contents. A master
		// key that was named must exist, though.
		l.opts.Logger.Debug("no keyring", slog.Any("error", err))
	default:
		return fmt.Errorf("open log: %w", err)
	}
	if err := l.openFiles(true); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.store.Hold(&l.signed)
	return l.look(ctx)
}

// hasWriter reports whether a process has the log open for writing. A lock that
// cannot be opened, or that is not a plain file, counts as taken. Where there
// is no lock, on read-only media, nobody writes.
func (l *Log) hasWriter() bool {
	held, err := l.opts.fs.Locked(filepath.Join(l.dir, lockName))
	other := (*vfs.FileTypeError)(nil)
	return held || errors.Is(err, fs.ErrPermission) || errors.As(err, &other)
}

func (l *Log) openToWrite() error {
	if err := vfs.MakeDir(l.opts.fs, l.dir, 0o755); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if err := l.takeLock(); err != nil {
		return err
	}
	if err := l.openRing(); err != nil {
		return err
	}
	// If the keyring were exchanged, the keys of new records would be written
	// to the wrong one, and the records would be lost.
	l.opts.fs = l.ring.Guard(l.opts.fs)
	eras, err := trust.KeyPeriods(l.ring)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	for _, name := range []string{logDir, treeDir} {
		if err := vfs.MakeDir(l.opts.fs, filepath.Join(l.dir, name), 0o755); err != nil {
			return fmt.Errorf("open log: %w", err)
		}
	}
	if err := l.openFiles(false); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	found := recovery{
		store: l.store, tree: l.tree, ring: l.ring, eras: eras, origin: l.origin,
		now: l.opts.now, logger: l.opts.Logger, repair: l.opts.Repair, newer: l.opts.RepairNewer,
	}
	repairs, err := found.run(context.Background())
	if err != nil {
		return err
	}
	l.store.Hold(&l.signed)
	l.signer.log = l
	l.signer.start()
	l.signed.Damaged = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	l.stopKeeping = cancel
	l.keeping.Go(func() { l.keepTree(ctx, found.checked) })
	l.sequence = newSequencer(l, found.last)
	for _, r := range repairs {
		if err := l.recordRepair(r); err != nil {
			return err
		}
	}
	if found.checked {
		if err := l.mendSides(context.Background()); err != nil {
			return fmt.Errorf("open log: %w", err)
		}
	}
	if err := l.eraser.finishAll(context.Background()); err != nil {
		return fmt.Errorf("open log: carry out the orders to destroy keys: %w", err)
	}
	return l.publishSigners(context.Background())
}

// briefly marks the holder of a writer's lock that will soon end by itself.
const briefly = ", briefly"

// stays is how long a writer without that mark is waited for.
const stays = 2 * time.Second

// takeLock takes the writer's lock. It waits for its turn as long as the lock
// passes from one writer to the next, and shortly for a single writer that may
// be about to end.
func (l *Log) takeLock() error {
	// In containers, all writers may have the same pid.
	own := fmt.Sprintf("pid %d since %s", os.Getpid(), l.opts.now().UTC().Format(time.RFC3339Nano))
	if l.opts.ShortLived {
		own += briefly
	}
	holder, since := "", l.opts.now()
	for attempt := 1; ; attempt++ {
		lock, err := l.opts.fs.Lock(filepath.Join(l.dir, lockName), own)
		if err == nil {
			l.lock = lock
			l.opts.fs = vfs.Guard(l.opts.fs, lock)
			return nil
		}
		var locked *vfs.LockedError
		if !errors.As(err, &locked) {
			return fmt.Errorf("open log: %w", err)
		}
		now := l.opts.now()
		if locked.Holder != "" && locked.Holder != holder {
			holder, since = locked.Holder, now
		}
		patience := l.opts.LockWait
		if !strings.HasSuffix(holder, briefly) {
			patience = min(patience, stays)
		}
		if now.Sub(since) >= patience {
			return fmt.Errorf("open log for writing: %w: a log has one writer; end that process, or send events through it", err)
		}
		// Many processes may wait. Their pauses grow, and differ, so that they
		// leave the processor to the writer.
		time.Sleep(10*time.Millisecond + mathrand.N(time.Duration(min(attempt, 20))*10*time.Millisecond))
	}
}

// openRing opens the keyring, or creates it with a new log.
func (l *Log) openRing() error {
	ctx := context.Background()
	ring, err := keyring.Open(ctx, l.opts.KeysDir, l.ringOptions())
	if errors.Is(err, keyring.ErrNoKeyring) && l.opts.Create {
		ring, err = l.createRing(ctx)
	}
	if errors.Is(err, keyring.ErrNoKeyring) {
		return fmt.Errorf("open log: %w: a log cannot be written without its keyring; name its folder (--keys) or restore it from a backup", err)
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.ring, l.origin = ring, ring.Origin()
	return nil
}

func (l *Log) createRing(ctx context.Context) (*keyring.Ring, error) {
	// Records without a keyring belong to a log that lost it, not to a new one.
	names, err := l.opts.fs.ReadDir(filepath.Join(l.dir, logDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(names) > 0 {
		return nil, keyring.ErrNoKeyring
	}
	origin := l.opts.Origin
	if origin == "" {
		var b [8]byte
		if _, err := io.ReadFull(l.opts.rand, b[:]); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
		origin = "audittrail/" + hex.EncodeToString(b[:])
	}
	if err := l.createMaster(); err != nil {
		return nil, err
	}
	return keyring.Create(ctx, l.opts.KeysDir, origin, l.ringOptions())
}

// createMaster creates the master key file that a new log has by default.
func (l *Log) createMaster() error {
	path := l.opts.masterFile
	if path == "" {
		return nil
	}
	if _, err := l.opts.fs.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := vfs.MakeDir(l.opts.fs, l.opts.KeysDir, 0o700); err != nil {
		return fmt.Errorf("create master key: %w", err)
	}
	secret, err := keyring.NewMaster(l.opts.rand)
	if err != nil {
		return fmt.Errorf("create master key: %w", err)
	}
	if err := vfs.WriteFile(l.opts.fs, path, keyring.FormatMaster(secret), 0o600); err != nil {
		return fmt.Errorf("create master key: %w", err)
	}
	return nil
}

// recordRepair records in the log which part of it was cut off, or which file
// was moved away.
func (l *Log) recordRepair(r *repair) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record repair: %w", err)
	}
	_, err = l.sequence.commitOwn(event.Event{
		Type: event.LogRepaired, Time: l.opts.now().UTC().Truncate(time.Microsecond),
		Metadata: map[string]json.RawMessage{"repair": b},
	})
	return err
}
