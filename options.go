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

// DefaultMaxEventBytes is the size of the largest event that a log takes by
// default: the sum of the lengths of its content, in bytes (prompt, response,
// system instructions, messages, tool arguments and result, error, metadata).
// The other fields have limits of their own.
const DefaultMaxEventBytes = 16 << 20

// Bounds of Options.SegmentBytes.
const (
	minSegment = 4 << 10
	maxSegment = 1 << 30
)

// DefaultClass is the retention class of events that do not name one.
const DefaultClass = "standard"

// GovernanceClass is the retention class of governance records and of the
// access log. It does not expire.
const GovernanceClass = keyring.GovernanceClass

// Options configure how a log is opened. The zero value opens an existing one
// for writing, with the keyring in its keys folder.
type Options struct {
	// KeysDir is the folder of the keyring; if empty, "keys" in the log's own
	// folder. It belongs on another disk than the log, and in other backups.
	KeysDir string
	// Master unlocks the keyring; if nil, the file "master.key" in KeysDir.
	Master keyring.Master
	// ReadOnly opens the log without the writer's lock and without writing
	// anything, concurrently with a writer or on read-only media. Without the
	// keyring, or its master key, contents stay encrypted.
	ReadOnly bool
	// Create creates a log if there is none.
	Create bool
	// Origin is the permanent name of a new log, in its checkpoints; if empty,
	// "audittrail/" and 16 random hexadecimal digits.
	Origin string
	// MaxEventBytes bounds one event; if 0, DefaultMaxEventBytes.
	MaxEventBytes int
	// Source is recorded with the events that are appended: it says how the log
	// learned of them. If empty, record.SourceApp. Events that the log records
	// of itself have record.SourceLog.
	Source record.Source
	// Classes are the retention classes that events may name; DefaultClass is
	// always among them.
	Classes []string
	// SegmentBytes is the length at which a new segment is begun; if 0, 256
	// MiB. Only whole segments can be archived or dropped.
	SegmentBytes int64
	// AcceptClock lets the log follow a clock that has jumped far ahead. See
	// ClockError.
	AcceptClock bool
	// LockWait is how long Open waits for the writer's lock, however often the
	// lock passes from one writer to the next. If 0, two seconds; if negative,
	// Open does not wait. For a writer that is not ShortLived, Open waits two
	// seconds at most.
	LockWait time.Duration
	// VKeys are the verifier keys that are trusted to sign the log's
	// checkpoints, for a log that is read without its keyring. Without them the
	// signature of the published checkpoint is not checked, and Beyond says so.
	VKeys []string
	// ShortLived tells other processes that this one will soon close the log,
	// so that they wait for the lock.
	ShortLived bool
	// Repair lets Open cut off a damaged end of the log that it would refuse
	// otherwise. See DamagedError.
	Repair bool
	// RepairNewer lets Repair cut off lines of a newer format, too, which only a
	// newer version of this program can tell from forgeries.
	RepairNewer bool
	// NoIndex opens the log without its index, the folder "index", from which
	// queries are answered; queries then read the log. An erasure or expiry by
	// a writer without an index destroys the keys of the existing index, and
	// the next writer with an index rebuilds it.
	//
	// The index is derived, and no record depends on it. The contents in it are
	// encrypted, and are removed when a user is erased or a month expires. If
	// the index cannot be kept, that is logged to Logger.
	NoIndex bool
	// Logger is the logger for work in the background, such as repairs; if nil,
	// nothing is logged.
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
		return fmt.Errorf("open log: MaxEventBytes is %d, use 1 to %d", o.MaxEventBytes, record.MaxContent/2)
	}
	if o.SegmentBytes != 0 && (o.SegmentBytes < minSegment || o.SegmentBytes > maxSegment) {
		return fmt.Errorf("open log: SegmentBytes is %d, use %d to %d", o.SegmentBytes, minSegment, maxSegment)
	}
	o.roll = cmp.Or(o.roll, o.SegmentBytes)
	if o.Create && o.ReadOnly {
		return errors.New("open log: a log cannot be created read-only: leave out Create or ReadOnly")
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
	// ErrNoLog reports that the folder does not contain a log.
	ErrNoLog = errors.New("no log here")
	// ErrReadOnly reports that the log was opened for reading only.
	ErrReadOnly = errors.New("the log is open for reading only")
	// ErrClosed reports that the log has been closed.
	ErrClosed = errors.New("the log is closed")
	// ErrTooLarge reports that an event is larger than Options.MaxEventBytes.
	ErrTooLarge = errors.New("event too large")
	// ErrLocked reports that another process has the log open for writing.
	ErrLocked = vfs.ErrLocked
	// ErrLockLost reports that the lock file of the log or the keyring is no
	// longer the one that was locked: the file was removed, or a folder was
	// exchanged, while the log was open. The log then writes nothing more, and
	// destroys no keys.
	ErrLockLost = vfs.ErrLockLost
	// ErrNoKeys reports that the log was opened without its keyring.
	ErrNoKeys = errors.New("the log is open without its keyring")
	// ErrNoRecord reports that no record has that sequence number or id.
	ErrNoRecord = segment.ErrBeyond
	// ErrTombstone reports that the tombstone of a segment is damaged, or that
	// no record says that the segment has left the log.
	ErrTombstone = tombstone.ErrDamaged
)
