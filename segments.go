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

// A SegmentState says where a segment's lines are.
type SegmentState string

// Where they can be.
const (
	SegmentHere     SegmentState = "here"
	SegmentArchived SegmentState = "archived"
	SegmentDropped  SegmentState = "dropped"
)

// A Segment is a file of the log's lines. Of one that was archived or dropped,
// the hashes, the ids, and the lines that govern the log have stayed.
type Segment struct {
	First       uint64 // sequence number of its first record
	Records     uint64
	Bytes       int64 // of its lines, wherever they are
	FirstLogged time.Time
	LastLogged  time.Time
	State       SegmentState
	Archive     string // the place of its archive; of one that was dropped, where that was
	Reason      string // why it left; empty without the keyring
	Seq         uint64 // of the record that says so, if it is not here
	// Classes counts the records that have left, by retention class and month;
	// nil without the keyring. Of a segment that is here, CountClasses does.
	Classes map[string]record.ClassCount
	// Unreachable is true if it was archived, and its archive is not there now.
	Unreachable bool
	// Leftover is true if it was dropped and files of its archive are still
	// there: DropSegments removes them.
	Leftover bool
	Newest   bool // it is the one that is written to, and stays
}

// CountClasses counts the records of a segment that is here, given by its first
// record, by retention class and month. What governs the log is not counted. It
// reads all of the segment's lines, and opens none.
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

// CountArchivedBySubject returns how many of the records of segments that begin before
// size (0: all) are in archives and about each of some subjects, and of which
// archives that is not known: those that cannot be read, and whose remnants are
// of the version that does not say.
func (l *Log) CountArchivedBySubject(ctx context.Context, subjects []record.Subject, size uint64) (map[record.Subject]uint64, []UnreachableArchive, error) {
	return l.countArchived(ctx, subjects, size, l.left.eachDeparted)
}

// CountArchivedByActor is CountArchivedBySubject of the records that name the subjects as
// actor, whomever they are about.
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

// ArchivedBySubject calls use with the records in archives that are about a subject,
// in order, and returns the archives with such records, or of which it is not
// known, that it could not read.
func (l *Log) ArchivedBySubject(ctx context.Context, s record.Subject, use func(*record.Record) error) ([]UnreachableArchive, error) {
	return l.archived(ctx, s, use, l.left.archivedRecords)
}

// ArchivedByActor is ArchivedBySubject for the records that name a subject as actor,
// whomever they are about.
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

// useAll opens records and calls use with them.
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

// First returns the sequence number of the oldest record from which on records
// are here. Some behind it may have left the log as well: see Segments.
func (l *Log) First() uint64 { return l.store.First() }

// Segments describes the segments of the log, those too that have left it, in
// order.
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
				break // verify tells
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
		t, _ := record.ParseChainLink(line) // Line has looked at it
		if to = t.Logged; i == 0 {
			from = t.Logged
		}
	}
	return from, to, nil
}

// keeper returns what reads the log's archives.
func (l *Log) keeper() *archive.Keeper {
	k := &archive.Keeper{FS: l.opts.fs, Store: l.store, Origin: l.origin, Entries: &l.signed}
	if l.ring != nil {
		if eras, err := trust.KeyPeriods(l.ring); err == nil {
			k.Keys = []tlog.KeyPeriods{eras}
		}
	}
	return k
}

// recordMove records what is to be said of a segment that leaves, if anything is,
// covers that with a checkpoint, and then lets the segment leave.
func (l *Log) recordMove(ctx context.Context, m *archive.Move) error {
	if m == nil {
		return nil // it has left
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

// moving does something with each of some segments, given by their first
// records, and with what the log says of them.
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
// compressed and each with a signed manifest. A segment is read back there and
// held against the tree, and the move is recorded, before its lines leave the
// log. Their hashes, ids, and the lines that govern the log stay. One that has
// left already is passed over; after a crash, doing it again finishes it. The
// newest segment, and one that no checkpoint covers yet, are refused.
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

// DropSegments removes segments, given by their first records, for good: their
// lines, or their archives. Their hashes, ids, and the lines that govern the log
// stay. It is recorded before anything is removed. One in which a hold keeps
// anything is refused with a *SegmentHeldError.
func (l *Log) DropSegments(ctx context.Context, firsts []uint64, reason string) error {
	return l.moving(ctx, "drop the segment", firsts, func(first uint64, said *tombstone.Statement) error {
		// So that no hold is placed meanwhile.
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

// RestoreSegments brings segments, given by their first records, back from
// their archives, which stay where they are.
func (l *Log) RestoreSegments(ctx context.Context, firsts []uint64) error {
	return l.moving(ctx, "restore the segment", firsts, func(first uint64, said *tombstone.Statement) error {
		switch {
		case said == nil:
			return nil // it never left, or verify tells
		case said.Dropped:
			return &DroppedError{Seq: first, First: first, By: said.Seq}
		}
		return l.keeper().Restore(ctx, said)
	})
}

// CheckArchive reads the archive of a segment, given by its first record, to its
// end, and holds it against the tree. An archive that is not there is
// fs.ErrNotExist.
func (l *Log) CheckArchive(ctx context.Context, first uint64) error {
	said, err := l.left.statements(ctx)
	if err == nil {
		s, ok := said[first]
		if !ok || s.Dropped {
			return fmt.Errorf("check archive of record %d: there is none", first)
		}
		_, err = l.keeper().Check(ctx, &s)
	}
	if err != nil {
		return fmt.Errorf("check archive of record %d: %w", first, err)
	}
	return nil
}

// What can keep a segment from being moved.
var (
	// ErrArchiveDamaged means that an archive is not what was archived.
	ErrArchiveDamaged = archive.ErrDamaged
	// ErrArchiveManifest means that an archive's manifest is none that the log
	// signed.
	ErrArchiveManifest = archive.ErrManifest
	// ErrSegmentInUse means that a segment cannot leave the log yet.
	ErrSegmentInUse = archive.ErrNotWhole
)

// An Absence is a run of records of one segment whose lines have left the log.
type Absence struct {
	First, Next uint64 // from First (inclusive) to Next (exclusive)
	// Records is how many of them are in no answer: what governs the log has
	// stayed.
	Records uint64
	// State is SegmentArchived or SegmentDropped, or empty if no record that
	// counts says that they left: see Beyond.Missing.
	State SegmentState
	// LoggedBy is when a record behind them was logged: none of them was logged
	// later. It is zero if that is not known.
	LoggedBy time.Time
}

// Absent returns what of the log's records cannot be in an answer, since it was
// archived or dropped, or is not there at all, in order. It reads no archive.
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

// loggedAt is when a record was logged; zero if it is not what it was.
func (l *Log) loggedAt(ctx context.Context, seq uint64) time.Time {
	r, err := l.get(ctx, seq)
	if err != nil {
		return time.Time{} // who wants the record is told
	}
	return r.Logged
}
