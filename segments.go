package audittrail

import (
	"context"
	"fmt"
	"slices"
	"time"

	"audittrail/internal/archive"
	"audittrail/internal/tombstone"
	"audittrail/internal/trust"
	"audittrail/record"
	"audittrail/tlog"
)

// A SegmentState says whether a segment's lines are in the log, archived or
// dropped.
type SegmentState string

// The states of a segment.
const (
	SegmentHere     SegmentState = "here"
	SegmentArchived SegmentState = "archived"
	SegmentDropped  SegmentState = "dropped"
)

// A Segment describes a file of the log's lines. The hashes and ids of an
// archived or dropped segment, and its governance records, have stayed in the
// log.
type Segment struct {
	First       uint64 // sequence number of its first record
	Records     uint64
	Bytes       int64 // of its lines, also if it was archived or dropped
	FirstLogged time.Time
	LastLogged  time.Time
	State       SegmentState
	Archive     string // the folder of its archive, also if the archive was dropped since
	Reason      string // why it left; empty without the keyring
	Seq         uint64 // of the record of its removal, if its state is not here
	// Classes counts the records that have left, by retention class and month;
	// nil without the keyring. For a segment that has not left, see
	// CountClasses.
	Classes map[string]record.ClassCount
	// Unreachable is true if the segment was archived, and its archive cannot
	// be found now.
	Unreachable bool
	// Leftover is true if the segment was dropped and files of its archive
	// still exist: DropSegments removes them.
	Leftover bool
	Newest   bool // the log is writing to it, and it cannot leave
}

// CountClasses counts the records of a segment that has not left the log, given
// by its first record, by retention class and month. Governance records are not
// counted. It reads all of the segment's lines, and decrypts none.
func (l *Log) CountClasses(ctx context.Context, first uint64) (map[string]record.ClassCount, error) {
	infos, err := l.store.Segments()
	if err != nil {
		return nil, fmt.Errorf("count records by class: %w", err)
	}
	counts := make(tombstone.Classes)
	for _, g := range infos {
		if g.First != first {
			continue
		}
		for line, err := range l.store.Lines(ctx, first, first+g.Records) {
			if err != nil {
				return nil, fmt.Errorf("count records by class: %w", err)
			}
			counts.Add(line)
		}
	}
	return counts, nil
}

// CountArchivedBySubject counts the archived records about each of some
// subjects, in segments that begin before size (0: in all). It also returns the
// archives for which the count is not known: archives that cannot be read, and
// whose tombstones are of a version without counts.
func (l *Log) CountArchivedBySubject(ctx context.Context, subjects []record.Subject, size uint64) (map[record.Subject]uint64, []UnreachableArchive, error) {
	return l.countArchived(ctx, subjects, size, l.left.eachDeparted)
}

// CountArchivedByActor is CountArchivedBySubject for the records that name the
// subjects as actor, whomever the records are about.
func (l *Log) CountArchivedByActor(ctx context.Context, subjects []record.Subject, size uint64) (map[record.Subject]uint64, []UnreachableArchive, error) {
	return l.countArchived(ctx, subjects, size, l.left.eachDepartedActs)
}

func (l *Log) countArchived(ctx context.Context, subjects []record.Subject, size uint64, departed func(context.Context, uint64, func(record.Subject) bool, func(UnreachableArchive) error) error) (map[record.Subject]uint64, []UnreachableArchive, error) {
	counts := make(map[record.Subject]uint64, len(subjects))
	for _, s := range subjects {
		counts[s] = 0
	}
	if size == 0 {
		size = record.MaxSeq
	}
	var unknown []UnreachableArchive
	err := l.refresh(ctx)
	if err == nil {
		want := func(s record.Subject) bool { _, ok := counts[s]; return ok }
		err = departed(ctx, size, want, func(u UnreachableArchive) error {
			if !u.Tabled {
				unknown = append(unknown, u)
			}
			for s, n := range u.About {
				counts[s] += n
			}
			return nil
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("count archived records: %w", err)
	}
	return counts, unknown, nil
}

// ArchivedBySubject calls use with the archived records about a subject, in
// order. It returns the archives that contain or may contain such records, and
// that could not be read.
func (l *Log) ArchivedBySubject(ctx context.Context, s record.Subject, use func(*record.Record) error) ([]UnreachableArchive, error) {
	return l.archived(ctx, s, use, l.left.archivedRecords)
}

// ArchivedByActor is ArchivedBySubject for the records that name a subject as
// actor, whomever the records are about.
func (l *Log) ArchivedByActor(ctx context.Context, s record.Subject, use func(*record.Record) error) ([]UnreachableArchive, error) {
	return l.archived(ctx, s, use, l.left.archivedActs)
}

func (l *Log) archived(ctx context.Context, s record.Subject, use func(*record.Record) error, read func(context.Context, func(record.Subject) bool, func([]*record.Record) error) ([]UnreachableArchive, error)) ([]UnreachableArchive, error) {
	var unreached []UnreachableArchive
	err := l.refresh(ctx)
	if err == nil {
		want := func(of record.Subject) bool { return of == s }
		unreached, err = read(ctx, want, func(found []*record.Record) error { return l.useAll(found, use) })
	}
	if err != nil {
		return nil, fmt.Errorf("read archived records: %w", err)
	}
	return unreached, nil
}

// useAll decrypts records and calls use with them.
func (l *Log) useAll(found []*record.Record, use func(*record.Record) error) error {
	for _, r := range found {
		own := *r // what reads archives keeps its own
		opened, err := l.records.open(&own)
		if err == nil {
			err = use(opened)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// First returns the sequence number of the oldest record whose segment has not
// left the log. Later segments may have left as well: see Segments.
func (l *Log) First() uint64 { return l.store.First() }

// Segments describes the segments of the log, including those that have left
// it, in order.
func (l *Log) Segments(ctx context.Context) ([]Segment, error) {
	all, err := l.segments(ctx)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	return all, nil
}

func (l *Log) segments(ctx context.Context) ([]Segment, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	infos, err := l.store.Segments()
	if err != nil {
		return nil, err
	}
	said, err := l.left.statements(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Segment, 0, len(infos))
	for i, g := range infos {
		s := Segment{First: g.First, Records: g.Records, Bytes: g.Size, State: SegmentHere, Newest: i == len(infos)-1}
		switch st, ok := said[g.First]; {
		case g.Gone != nil:
			s.State, s.FirstLogged, s.LastLogged = SegmentArchived, g.Gone.FirstLogged, g.Gone.LastLogged
			if !ok {
				break // verify reports it
			}
			s.Archive, s.Reason, s.Seq, s.Classes = st.To, st.Reason, st.Seq, st.Classes
			if st.Dropped {
				s.State, s.Leftover = SegmentDropped, l.keeper().Left(&st)
			} else {
				s.Unreachable = !l.keeper().There(&st)
			}
		case g.Records > 0:
			if s.FirstLogged, s.LastLogged, err = l.loggedBetween(g.First, g.First+g.Records-1); err != nil {
				return nil, err
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func (l *Log) loggedBetween(first, last uint64) (from, to time.Time, err error) {
	for i, seq := range []uint64{first, last} {
		line, err := l.store.Line(seq)
		if err != nil {
			return from, to, err
		}
		t, _ := record.ParseChainLink(line) // Line has checked it
		if to = t.Logged; i == 0 {
			from = t.Logged
		}
	}
	return from, to, nil
}

// keeper returns the reader of the log's archives.
func (l *Log) keeper() *archive.Keeper {
	k := &archive.Keeper{FS: l.opts.fs, Store: l.store, Origin: l.origin, Entries: &l.signed}
	if l.ring != nil {
		if eras, err := trust.KeyPeriods(l.ring); err == nil {
			k.Keys = []tlog.KeyPeriods{eras}
		}
	}
	return k
}

// recordMove records that a segment leaves, unless that is recorded already,
// covers the record with a checkpoint, and then removes the segment.
func (l *Log) recordMove(ctx context.Context, m *archive.Move) error {
	if m == nil {
		return nil // the segment has left already
	}
	if m.Statement != nil {
		e, err := m.Statement.Event()
		if err != nil {
			return err
		}
		e.Time = l.opts.now()
		if _, err := l.sequence.commitOwn(e); err != nil {
			return err
		}
		if _, err := l.Checkpoint(ctx); err != nil {
			return err
		}
	}
	return m.Complete()
}

// moving calls do for each of some segments, given by their first records, with
// the log's statement about the segment.
func (l *Log) moving(ctx context.Context, what string, firsts []uint64, do func(uint64, *tombstone.Statement) error) error {
	if err := l.writable(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	l.moves.Lock()
	defer l.moves.Unlock()
	for _, first := range firsts {
		said, err := l.left.statements(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		var st *tombstone.Statement
		if s, ok := said[first]; ok {
			st = &s
		}
		if err := do(first, st); err != nil {
			return fmt.Errorf("%s of record %d: %w", what, first, err)
		}
	}
	return nil
}

// ArchiveSegments moves segments, given by their first records, into a folder,
// compressed and each with a signed manifest. A segment's lines are removed
// from the log only after the archive was read back and compared with the tree,
// and after the move was recorded. The hashes and ids of its records, and its
// governance records, stay in the log. A segment that has left already is
// skipped; after a crash, another call finishes the move. The newest segment,
// and a segment that no checkpoint covers yet, are refused.
func (l *Log) ArchiveSegments(ctx context.Context, firsts []uint64, to, reason string) error {
	return l.moving(ctx, "archive the segment", firsts, func(first uint64, said *tombstone.Statement) error {
		_, head, err := l.proofHead(ctx)
		if err != nil {
			return err
		}
		move, err := l.keeper().Archive(ctx, first, to, head.Size)
		if err != nil || move == nil {
			return err
		}
		signed, err := l.SignStatement(archive.ManifestKind, move.Manifest()...)
		if err == nil {
			err = move.Prove(ctx, signed, reason, said)
		}
		if err != nil {
			return err
		}
		return l.recordMove(ctx, move)
	})
}

// DropSegments permanently removes segments, given by their first records:
// their lines, or their archives. The hashes and ids of their records, and
// their governance records, stay in the log. The removal is recorded before any
// file is removed. A segment with a record under a legal hold is refused with a
// *SegmentHeldError.
func (l *Log) DropSegments(ctx context.Context, firsts []uint64, reason string) error {
	return l.moving(ctx, "drop the segment", firsts, func(first uint64, said *tombstone.Statement) error {
		// No hold may be placed meanwhile.
		if err := l.eraser.govern(ctx); err != nil {
			return err
		}
		defer l.eraser.release()
		if said == nil || !said.Dropped {
			held, err := l.eraser.holdsOn(ctx, first)
			if err == nil && len(held) > 0 {
				err = &SegmentHeldError{First: first, Holds: held}
			}
			if err != nil {
				return err
			}
		}
		_, head, err := l.proofHead(ctx)
		if err != nil {
			return err
		}
		move, err := l.keeper().Drop(ctx, first, reason, head.Size, said)
		if err != nil {
			return err
		}
		return l.recordMove(ctx, move)
	})
}

// RestoreSegments restores segments, given by their first records, from their
// archives, which stay where they are.
func (l *Log) RestoreSegments(ctx context.Context, firsts []uint64) error {
	return l.moving(ctx, "restore the segment", firsts, func(first uint64, said *tombstone.Statement) error {
		switch {
		case said == nil:
			return nil // it never left, or verify reports it
		case said.Dropped:
			return &DroppedError{Seq: first, First: first, By: said.Seq}
		}
		return l.keeper().Restore(ctx, said)
	})
}

// CheckArchive reads the whole archive of a segment, given by its first record,
// and compares it with the tree. If the archive does not exist, the error is
// fs.ErrNotExist.
func (l *Log) CheckArchive(ctx context.Context, first uint64) error {
	said, err := l.left.statements(ctx)
	if err == nil {
		s, ok := said[first]
		if !ok || s.Dropped {
			return fmt.Errorf("check archive of record %d: its segment is not archived", first)
		}
		_, err = l.keeper().Check(ctx, &s)
	}
	if err != nil {
		return fmt.Errorf("check archive of record %d: %w", first, err)
	}
	return nil
}

// Errors of archiving, restoring and dropping segments.
var (
	// ErrArchiveDamaged reports that an archive differs from the segment that
	// was archived.
	ErrArchiveDamaged = archive.ErrDamaged
	// ErrArchiveManifest reports that the log's keys did not sign an archive's
	// manifest.
	ErrArchiveManifest = archive.ErrManifest
	// ErrSegmentInUse reports that a segment cannot leave the log yet.
	ErrSegmentInUse = archive.ErrNotWhole
)

// An Absence is a run of records of one segment whose lines have left the log.
type Absence struct {
	First, Next uint64 // from First (inclusive) to Next (exclusive)
	// Records is the number of these records that are missing from answers:
	// governance records have stayed.
	Records uint64
	// State is SegmentArchived or SegmentDropped, or empty if no record that
	// counts says that they left: see Beyond.Missing.
	State SegmentState
	// LoggedBy is the time at which a later record was logged: none of these
	// was logged after it. It is zero if not known.
	LoggedBy time.Time
}

// Absent returns the records of the log that no answer can contain, because
// they were archived or dropped, or are missing, in order. It reads no archive.
func (l *Log) Absent(ctx context.Context) ([]Absence, error) {
	all, err := l.absent(ctx)
	if err != nil {
		return nil, fmt.Errorf("list absent records: %w", err)
	}
	return all, nil
}

func (l *Log) absent(ctx context.Context) ([]Absence, error) {
	if err := l.refresh(ctx); err != nil || len(l.store.Gone()) == 0 {
		return nil, err
	}
	infos, err := l.store.Segments()
	if err != nil {
		return nil, err
	}
	said, err := l.left.statements(ctx)
	if err != nil {
		return nil, err
	}
	var all []Absence
	var by time.Time
	for i := len(infos) - 1; i >= 0; i-- {
		g := infos[i]
		if g.Gone == nil {
			if g.Records > 0 {
				by = l.loggedAt(ctx, g.First)
			}
			continue
		}
		a := Absence{First: g.First, Next: g.First + g.Records, Records: g.Records - min(g.Gone.Kept(), g.Records), LoggedBy: by}
		switch st, ok := said[g.First]; {
		case ok && st.Dropped:
			a.State = SegmentDropped
		case ok:
			a.State = SegmentArchived
		}
		all = append(all, a)
	}
	slices.Reverse(all)
	return all, nil
}

// loggedAt returns when a record was logged; zero if the record cannot be read.
func (l *Log) loggedAt(ctx context.Context, seq uint64) time.Time {
	r, err := l.get(ctx, seq)
	if err != nil {
		return time.Time{} // a caller that reads the record gets the error
	}
	return r.Logged
}
