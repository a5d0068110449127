package audittrail

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"audittrail/internal/segment"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// DefaultMaxEventBytes is the largest event that a log takes unless told
// otherwise: the lengths of its content together, in bytes (prompt, response,
// system instructions, messages, tool arguments and result, error, metadata).
// The other fields have limits of their own.
const DefaultMaxEventBytes = 16 << 20

// The lengths that a segment can be told to have.
const (
	minSegment = 4 << 10
	maxSegment = 1 << 30
)

// DefaultClass is the retention class of events that name none.
const DefaultClass = "standard"

// GovernanceClass is the retention class of the records by which the log is
// administered, and of accounts of what was done with it. It does not expire.
const GovernanceClass = keyring.GovernanceClass

// Options tell how to open a log. The zero value opens an existing one for
// writing, with the keyring in its keys folder.
type Options struct {
	// KeysDir is the folder of the keyring; if empty, "keys" in the log's own
	// folder. It belongs on another disk than the log, and in other backups.
	KeysDir string
	// Master unlocks the keyring; if nil, the file "master.key" in KeysDir.
	Master keyring.Master
	// ReadOnly opens the log without the writer's lock and without writing
	// anything, beside a writer or on read-only media. A keyring that is not
	// there, or whose master key is not, leaves contents sealed.
	ReadOnly bool
	// Create makes a new log where there is none.
	Create bool
	// Origin names a new log for all time, in its checkpoints; if empty,
	// "audittrail/" and 16 random hexadecimal digits.
	Origin string
	// MaxEventBytes bounds one event; if 0, DefaultMaxEventBytes.
	MaxEventBytes int
	// Source is recorded of the events that are appended: how the log came to
	// know of them. If empty, record.SourceApp. What the log records of itself
	// is of record.SourceLog.
	Source record.Source
	// Classes are the retention classes that events may name; DefaultClass is
	// always among them.
	Classes []string
	// SegmentBytes is the length at which a new file of records is begun; if 0,
	// 256 MiB. What is archived or dropped is whole files.
	SegmentBytes int64
	// AcceptClock lets the log follow a clock that has jumped far ahead. See
	// ClockError.
	AcceptClock bool
	// LockWait is how long Open waits for its turn to write: for the lock to
	// pass from one writer to the next, however often it does. If 0, two seconds;
	// if negative, not at all. A writer that is not ShortLived is waited for no
	// longer than two seconds.
	LockWait time.Duration
	// VKeys are verifier keys that are trusted to have signed the log's
	// checkpoints, for a log that is read without its keyring. Without them the
	// published checkpoint is taken at its word, and Beyond says so.
	VKeys []string
	// ShortLived tells other processes that this one will close the log soon, so
	// that they wait for their turn.
	ShortLived bool
	// Repair lets Open cut off a damaged end of the log that it would refuse
	// otherwise. See DamagedError.
	Repair bool
	// RepairNewer lets Repair cut off lines of a newer format, too, which only a
	// newer version of this program can tell from forgeries.
	RepairNewer bool
	// NoIndex opens the log without its index, the folder "index", from which
	// queries are answered: they read the log then. An erasure or expiry by a
	// writer without an index destroys the keys of the index that there is, and
	// the next writer with one makes it again.
	//
	// The index decides nothing. What it contains of contents is encrypted, and
	// is removed with the users and months that are erased or expire. If it
	// cannot be kept, Logger is told.
	NoIndex bool
	// Logger is told what goes on behind the calls; if nil, nobody is.
	Logger *slog.Logger
	seams
}

// seams are the log's dependencies on the world, for tests.
type seams struct {
	indexTuning

	fs   vfs.FS
	now  func() time.Time
	rand io.Reader
	roll int64 // length of a segment

	masterFile string // the default master key, if Master is not given
}

func (o *Options) complete(dir string) error {
	o.KeysDir = cmp.Or(o.KeysDir, filepath.Join(dir, "keys"))
	o.MaxEventBytes = cmp.Or(o.MaxEventBytes, DefaultMaxEventBytes)
	o.LockWait = cmp.Or(o.LockWait, 2*time.Second)
	if o.MaxEventBytes < 0 || o.MaxEventBytes > record.MaxContent/2 {
		return fmt.Errorf("open log: MaxEventBytes is %d, want 1 to %d", o.MaxEventBytes, record.MaxContent/2)
	}
	if o.SegmentBytes != 0 && (o.SegmentBytes < minSegment || o.SegmentBytes > maxSegment) {
		return fmt.Errorf("open log: SegmentBytes is %d, want %d to %d", o.SegmentBytes, minSegment, maxSegment)
	}
	o.roll = cmp.Or(o.roll, o.SegmentBytes)
	if o.Create && o.ReadOnly {
		return errors.New("open log: it cannot be created read-only")
	}
	if o.Source != "" && !slices.Contains(record.Sources(), o.Source) {
		return fmt.Errorf("open log: invalid Source %q: use one of %v", o.Source, record.Sources())
	}
	if err := checkClasses(o.Classes); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.fs == nil {
		o.fs = vfs.Below(dir, o.KeysDir)
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.rand == nil {
		o.rand = rand.Reader
	}
	if o.Master == nil {
		o.masterFile = filepath.Join(o.KeysDir, "master.key")
		o.Master = keyring.MasterFile(o.fs, o.masterFile)
	}
	return nil
}

var (
	// ErrNoLog means that there is no log in the folder.
	ErrNoLog = errors.New("no log here")
	// ErrReadOnly means that the log was opened for reading.
	ErrReadOnly = errors.New("the log is open for reading only")
	// ErrClosed means that the log has been closed.
	ErrClosed = errors.New("the log is closed")
	// ErrTooLarge means that an event is over Options.MaxEventBytes.
	ErrTooLarge = errors.New("event too large")
	// ErrLocked means that another process has the log open for writing.
	ErrLocked = vfs.ErrLocked
	// ErrLockLost means that the log's or the keyring's lock is another file by
	// now than the one that was locked: it was removed, or a folder exchanged,
	// under an open log. It writes nothing more, and destroys nothing.
	ErrLockLost = vfs.ErrLockLost
	// ErrNoKeys means that the log was opened without its keyring.
	ErrNoKeys = errors.New("the log is open without its keyring")
	// ErrNoRecord means that no record has that sequence number or id.
	ErrNoRecord = segment.ErrBeyond
	// ErrTombstone means that what remains of a segment that has left the log is
	// damaged, or that no record says that the segment left.
	ErrTombstone = tombstone.ErrDamaged
)
