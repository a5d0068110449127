package audittrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/internal/archive"
	"audittrail/internal/segment"
	"audittrail/internal/tombstone"
	"audittrail/record"
)

// ArchivedError reports that a record is no longer in the log, but in an
// archive.
type ArchivedError struct {
	Seq     uint64
	First   uint64 // of its segment
	Archive string // its folder; empty if that cannot be read without the keyring
}

func (e *ArchivedError) Error() string {
	where := e.Archive
	if where == "" {
		where = "a folder that cannot be read without the keyring"
	}
	return fmt.Sprintf("record %d was archived in %s, with the segment of record %d; 'audittrail archive restore %[3]d' restores it", e.Seq, where, e.First)
}

// DroppedError reports that a record was dropped. Its hash is still in the
// tree, so that its absence is accounted for, and a copy of the record can
// still be proved.
type DroppedError struct {
	Seq   uint64
	First uint64 // of its segment
	By    uint64 // the record of the removal
}

func (e *DroppedError) Error() string {
	return fmt.Sprintf("record %d was dropped, as record %d says; its hash is kept", e.Seq, e.By)
}

// A register knows what a log's records say of the segments that have left it,
// and finds their records in archives.
type register struct {
	log     *Log // whose archives are read
	records *reader

	mu   sync.Mutex // guards both below
	next uint64     // records before it were read
	said map[uint64]tombstone.Statement
}

// statements returns the log's newest statement about each segment that has
// left, by the segment's first record.
func (g *register) statements(ctx context.Context) (map[uint64]tombstone.Statement, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	store := g.records.store
	seqs, err := store.Administrative(g.next)
	if err != nil {
		return nil, err
	}
	said := make(map[uint64]tombstone.Statement, len(g.said))
	maps.Copy(said, g.said)
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := store.Checked(ctx, seq)
		if err != nil {
			return nil, err
		}
		if record.HasTypePrefix(line, "segments_") {
			r, err := g.records.get(ctx, seq)
			if err != nil {
				return nil, err
			}
			if s, ok := tombstone.ParseStatement(r); ok {
				said[s.First] = s
			}
		}
		g.next = seq + 1
	}
	g.said = said
	return said, nil
}

// where replaces an error of the store that says that a record has left the log
// by an *ArchivedError or a *DroppedError. It returns other errors as they are.
func (g *register) where(ctx context.Context, err error) error {
	var gone *segment.GoneError
	if !errors.As(err, &gone) {
		return err
	}
	// A reader may find the files of a segment removed before it has read the
	// record of the removal.
	serr := g.log.refresh(ctx)
	var said map[uint64]tombstone.Statement
	if serr == nil {
		said, serr = g.statements(ctx)
	}
	s, ok := said[gone.First]
	if serr != nil {
		return errors.Join(err, serr)
	}
	switch {
	case !ok:
		return fmt.Errorf("%w, and no record says so: %w; run verify", err, tombstone.ErrDamaged)
	case s.Dropped:
		return &DroppedError{Seq: gone.Seq, First: gone.First, By: s.Seq}
	}
	return &ArchivedError{Seq: gone.Seq, First: gone.First, Archive: s.To}
}

// lines yields the lines of the records from (inclusive) to to (exclusive). It
// reads archived ones from their archives, and skips dropped ones. A line is
// valid until the next one.
func (g *register) lines(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		infos, err := g.records.store.Segments()
		var said map[uint64]tombstone.Statement
		if err == nil {
			said, err = g.statements(ctx)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for _, info := range infos {
			if info.First+info.Records <= from || info.First >= to {
				continue
			}
			lines := g.records.store.Lines(ctx, max(from, info.First), min(to, info.First+info.Records))
			if s, ok := said[info.First]; ok && info.Gone != nil && !s.Dropped {
				lines = g.archived(ctx, info.First, &s)
			}
			for line, err := range lines {
				t, _ := record.ParseChainLink(line)
				if err == nil && (t.Seq < from || t.Seq >= to) {
					continue
				}
				if !yield(line, err) || err != nil {
					return
				}
			}
		}
	}
}

// archived yields the lines of an archive.
func (g *register) archived(ctx context.Context, first uint64, s *tombstone.Statement) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line, err := range g.log.keeper().Lines(ctx, s) {
			if err != nil && ctx.Err() == nil {
				err = errors.Join(&ArchivedError{Seq: first, First: first, Archive: s.To}, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// An UnreachableArchive is an archive that could not be read; Err says why. Its
// contents are unknown, unless Tabled is true.
type UnreachableArchive struct {
	First   uint64 // of its segment
	Records uint64
	Archive string // its folder
	Err     error
	// Tabled is true if the segment's tombstone says what the archive contains:
	// About is then the number of its records about each requested subject, and
	// Classes the number of these records in each month of a retention class.
	Tabled  bool
	About   map[record.Subject]uint64
	Classes map[string]uint64
}

// each calls f with the archived segments that begin before size.
func (g *register) each(ctx context.Context, size uint64, f func(segment.Info, *tombstone.Statement) error) error {
	infos, err := g.records.store.Segments()
	if err != nil {
		return err
	}
	said, err := g.statements(ctx)
	if err != nil {
		return err
	}
	for _, info := range infos {
		s, ok := said[info.First]
		if info.Gone == nil || !ok || s.Dropped || info.First >= size {
			continue
		}
		if err := f(info, &s); err != nil {
			return err
		}
	}
	return nil
}

// A relation selects records by subject: records about the subject, or records
// in which the subject acted.
type relation struct {
	row    func(tombstone.Row) record.Subject
	record func(*record.Record) record.Subject
	// may reports whether a line may be of a record that the relation selects
	// for the subjects that want accepts.
	may func(line []byte, want func(record.Subject) bool) bool
	// tells reports whether a tombstone's table, if it has one, contains the
	// relation.
	tells func(tabled, acts bool) bool
}

var about = relation{
	row:    func(r tombstone.Row) record.Subject { return r.Subject },
	record: func(r *record.Record) record.Subject { return r.Subject },
	may: func(line []byte, want func(record.Subject) bool) bool {
		var finder record.Finder
		text, _ := finder.Find(line)
		s, err := record.ParseSubject(string(text))
		return text == nil || err != nil || want(s)
	},
	tells: func(tabled, _ bool) bool { return tabled },
}

var acted = relation{
	row:    func(r tombstone.Row) record.Subject { return r.Actor },
	record: func(r *record.Record) record.Subject { return r.Actor },
	may:    func(line []byte, _ func(record.Subject) bool) bool { return bytes.Contains(line, []byte(`,"actor":"`)) },
	tells:  func(_, acts bool) bool { return acts },
}

// departed returns what a segment's tombstone says of the archived records that
// rel selects for the subjects that want accepts.
func (g *register) departed(ctx context.Context, info segment.Info, s *tombstone.Statement, rel *relation, want func(record.Subject) bool) (UnreachableArchive, error) {
	u := UnreachableArchive{First: info.First, Records: info.Records, Archive: s.To, About: map[record.Subject]uint64{}, Classes: map[string]uint64{}}
	tabled, acts, err := g.records.store.Departed(ctx, info.First, func(r tombstone.Row) error {
		if of := rel.row(r); want(of) {
			u.About[of] += uint64(r.Records)
			u.Classes[r.Class] += uint64(r.Records)
		}
		return nil
	})
	if u.Tabled = rel.tells(tabled, acts); !u.Tabled {
		clear(u.About)
		clear(u.Classes)
	}
	return u, err
}

// eachDeparted calls f for each archived segment that begins before size, with
// what its tombstone says of the records about the subjects that want accepts.
// If a tombstone has no table, the archive itself is read, if possible.
func (g *register) eachDeparted(ctx context.Context, size uint64, want func(record.Subject) bool, f func(UnreachableArchive) error) error {
	return g.depart(ctx, size, &about, want, f)
}

// eachDepartedActs is eachDeparted for the records in which the subjects acted,
// whomever the records are about.
func (g *register) eachDepartedActs(ctx context.Context, size uint64, want func(record.Subject) bool, f func(UnreachableArchive) error) error {
	return g.depart(ctx, size, &acted, want, f)
}

func (g *register) depart(ctx context.Context, size uint64, rel *relation, want func(record.Subject) bool, f func(UnreachableArchive) error) error {
	return g.each(ctx, size, func(info segment.Info, s *tombstone.Statement) error {
		u, err := g.departed(ctx, info, s, rel, want)
		if err != nil {
			return err
		}
		if !u.Tabled {
			found, err := g.readArchive(ctx, info, s, rel, want)
			if err = g.fatal(ctx, err, &u); err != nil {
				return err
			}
			if u.Err == nil {
				u.Tabled = true
				for _, r := range found {
					u.About[rel.record(r)]++
					u.Classes[r.Class]++
				}
			}
		}
		return f(u)
	})
}

// fatal returns an error of reading an archive, unless the error only says that
// the archive cannot be read; it stores such an error in u.
func (g *register) fatal(ctx context.Context, err error, u *UnreachableArchive) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, archive.ErrDamaged) || errors.Is(err, archive.ErrManifest) || errors.As(err, new(*record.VersionError)) {
		return err
	}
	u.Err = err
	return nil
}

// readArchive returns the records of an archive that rel selects for the
// subjects that want accepts, once the whole archive was compared with the
// tree.
func (g *register) readArchive(ctx context.Context, info segment.Info, s *tombstone.Statement, rel *relation, want func(record.Subject) bool) ([]*record.Record, error) {
	var found []*record.Record
	for line, err := range g.archived(ctx, info.First, s) {
		if err != nil {
			return nil, err
		}
		r, err := wanted(line, rel, want)
		if err != nil {
			return nil, err
		}
		if r != nil {
			found = append(found, r)
		}
	}
	return found, nil
}

// archivedRecords calls f with the archived records about the subjects that
// want accepts, an archive at a time. Governance records are not among them,
// since they stay in the log. It returns the archives that may contain such
// records and could not be read; an altered archive is an error.
func (g *register) archivedRecords(ctx context.Context, want func(record.Subject) bool, f func([]*record.Record) error) ([]UnreachableArchive, error) {
	return g.read(ctx, &about, want, f)
}

// archivedActs is archivedRecords for the records in which the subjects acted,
// whomever the records are about.
func (g *register) archivedActs(ctx context.Context, want func(record.Subject) bool, f func([]*record.Record) error) ([]UnreachableArchive, error) {
	return g.read(ctx, &acted, want, f)
}

func (g *register) read(ctx context.Context, rel *relation, want func(record.Subject) bool, f func([]*record.Record) error) ([]UnreachableArchive, error) {
	var unreached []UnreachableArchive
	err := g.each(ctx, record.MaxSeq, func(info segment.Info, s *tombstone.Statement) error {
		u, err := g.departed(ctx, info, s, rel, want)
		if err != nil || u.Tabled && len(u.About) == 0 {
			return err
		}
		found, err := g.readArchive(ctx, info, s, rel, want)
		if err = g.fatal(ctx, err, &u); err != nil {
			return err
		}
		if u.Err != nil {
			unreached = append(unreached, u)
			return nil
		}
		return f(found)
	})
	return unreached, err
}

// wanted decodes a line and returns its record if rel selects it for a subject
// that want accepts, and nil otherwise.
func wanted(line []byte, rel *relation, want func(record.Subject) bool) (*record.Record, error) {
	if !rel.may(line, want) {
		return nil, nil
	}
	_, kind, known := record.Peek(line)
	t, ok := record.ParseChainLink(line)
	if !ok || !known || event.Type(kind).Reserved() {
		return nil, nil
	}
	r, err := record.Decode(slices.Clone(line))
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", t.Seq, err)
	}
	if !want(rel.record(r)) {
		return nil, nil
	}
	return r, nil
}

// scan decodes the records from (inclusive) to to (exclusive) whose subject and
// class want accepts, and calls f with them. It reads archived ones from their
// archives.
func (g *register) scan(ctx context.Context, from, to uint64, want func(subject, class []byte) bool, f func(*record.Record) error) error {
	var finder record.Finder
	for line, err := range g.lines(ctx, from, to) {
		if err != nil {
			return err
		}
		subject, class := finder.Find(line)
		if subject != nil && !want(subject, class) {
			continue
		}
		r, err := record.Decode(slices.Clone(line))
		if err == nil {
			err = f(r)
		}
		if err != nil {
			t, _ := record.ParseChainLink(line) // lines has checked it
			return fmt.Errorf("record %d: %w", t.Seq, err)
		}
	}
	return nil
}

// A removedCursor reads lines in ascending order, archived ones from their
// archives. The caller must close it.
type removedCursor struct {
	register *register
	first    uint64 // of the segment whose archive is open
	next     func() ([]byte, error, bool)
	stop     func()
}

// cursor returns a cursor at the beginning of the log.
func (g *register) cursor() *removedCursor { return &removedCursor{register: g} }

// Close closes the archive that is open.
func (c *removedCursor) Close() {
	if c.stop != nil {
		c.stop()
	}
	c.stop = nil
}

// line returns the line of a record. Sequence numbers must ascend from call to
// call.
func (c *removedCursor) line(ctx context.Context, seq uint64) ([]byte, error) {
	line, err := c.register.records.store.Line(seq)
	err = c.register.where(ctx, err)
	var archived *ArchivedError
	if !errors.As(err, &archived) {
		return line, err
	}
	if c.stop == nil || c.first != archived.First {
		c.Close()
		c.first = archived.First
		c.next, c.stop = iter.Pull2(c.register.lines(ctx, archived.First, record.MaxSeq))
	}
	for {
		line, err, ok := c.next()
		if err != nil || !ok {
			return nil, errors.Join(archived, err)
		}
		if t, _ := record.ParseChainLink(line); t.Seq == seq {
			return bytes.Clone(line), nil
		}
	}
}
