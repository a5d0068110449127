package audittrail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/remnant"
	"audittrail/internal/salvage"
	"audittrail/internal/segment"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// A Rebuilding says of which log a new one is to be made.
type Rebuilding struct {
	From   string  // the old log's folder
	Old    Options // how to read it: where its keyring is, and its master key
	To     string  // the new log's folder, which is empty, or from an interrupted Rebuild
	New    Options
	Reason string
	// Progress is told how many of how many bytes have been gone over: the old
	// log is read twice.
	Progress func(done, total uint64)
}

// A Rebuilt is what Rebuild did. It is also what the new log's first record says.
type Rebuilt struct {
	Origin string         `json:"origin"` // of the old log; empty if that is not known
	Size   uint64         `json:"size"`   // of the old log: what its newest checkpoint covers, or more
	Root   *tlog.Hash     `json:"root"`   // that was signed last; nil if that is not known
	Signed uint64         `json:"signed"` // how many records that covers
	Reason string         `json:"reason"`
	Carry  uint64         `json:"carried"` // records that were carried over
	Lost   []salvage.Loss `json:"lost"`    // those that were not
	// Copies and Junk are lines: whole ones of records that were there before,
	// and those that are no record or were altered.
	Copies uint64 `json:"copies"`
	Junk   uint64 `json:"damaged_lines"`
}

// rebuiltMember is where it stands in the first record's metadata.
const rebuiltMember = "rebuilt"

// Rebuild makes a new log of the records of an old one that can be read: one
// that is damaged, or was altered, or is another's. They keep their ids, times,
// classes and users, and get new places, keys and hashes, since the chain is a
// new one: what the old one proved, only the old one proves, and it is left as
// it is. The first record of the new log (log_rebuilt) names the old one's
// origin, size and root, and lists what could not be carried over, and why. What
// the old log did to itself, such as to change its keys, is not carried over:
// it is not what the new one did. But holds that are in force are placed again.
func Rebuild(ctx context.Context, o Rebuilding) (*Rebuilt, error) {
	r, err := rebuild(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	return r, nil
}

func rebuild(ctx context.Context, o *Rebuilding) (*Rebuilt, error) {
	if o.Reason == "" {
		return nil, errors.New("say with a reason why; the first record of the new log names it")
	}
	from, err := filepath.Abs(o.From)
	if err != nil {
		return nil, err
	}
	if to, err := filepath.Abs(o.To); err != nil || to == from {
		return nil, errors.Join(err, errors.New("the new log's folder is the old one's; the old log stays as it is"))
	}
	old, err := openOld(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the old log in %s: %w", o.From, err)
	}
	defer func() { _ = old.abandon() }() // only read from: nothing to lose
	s := &salvager{log: old, progress: o.Progress, said: make(map[uint64]remnant.Statement)}
	if err := s.survey(ctx); err != nil {
		return nil, err
	}
	s.found.Reason = o.Reason
	if s.found.Carry == 0 {
		return nil, fmt.Errorf("no record in %s can be read", o.From)
	}
	n := o.New
	n.Create, n.ReadOnly, n.AcceptClock = true, false, true
	n.MaxEventBytes = record.MaxContent / 2
	fresh, err := Open(o.To, n)
	if err != nil {
		return nil, err
	}
	return &s.found, errors.Join(s.carry(ctx, fresh), fresh.Close())
}

// openOld opens the parts of a log that need not open.
func openOld(ctx context.Context, o *Rebuilding) (*Log, error) {
	o.Old.ReadOnly, o.Old.Create = true, false
	if err := o.Old.complete(o.From); err != nil {
		return nil, err
	}
	l := &Log{dir: o.From, opts: o.Old}
	if err := l.find(); err != nil {
		return nil, err
	}
	ring, err := keyring.Open(ctx, o.Old.KeysDir, l.ringOptions())
	if err != nil {
		return nil, fmt.Errorf("without its keyring, no content can be read: %w", err)
	}
	l.ring, l.origin = ring, ring.Origin()
	if err = l.openFiles(true); err == nil {
		err = l.custody.GuardAll(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.abandon())
	}
	return l, nil
}

// A salvager goes over an old log.
type salvager struct {
	log      *Log
	progress func(done, total uint64)
	account  salvage.Account
	found    Rebuilt
	vouched  uint64                       // records that the tree vouches for
	said     map[uint64]remnant.Statement // of segments that have left
	holds    barrier.Holds
	limit    uint64 // records that so many bytes can hold
	read     uint64 // bytes
	total    uint64
}

// minLine is less than any record's line has.
const minLine = 200

// survey finds out what can be carried over.
func (s *salvager) survey(ctx context.Context) error {
	l := s.log
	s.found.Origin = l.origin
	size, root := l.ring.Signed()
	if size > 0 {
		h := tlog.Hash(root)
		s.found.Signed, s.found.Root = size, &h
		if got, err := l.tree.Root(size); err == nil && got == h {
			s.vouched = size
		}
	}
	s.found.Size = size
	infos, err := l.store.Segments()
	if err != nil {
		return err
	}
	for _, g := range infos {
		if g.Gone == nil {
			s.total += 2 * uint64(g.Size)
			s.limit += uint64(g.Size)/minLine + 1
		} else {
			s.limit += g.Records
		}
	}
	// A place is no part of what a record's content authenticates.
	s.limit = min(s.limit+size, record.MaxSeq)
	err = s.each(ctx, func(seq uint64, r *content.Record, why salvage.Reason) error {
		switch {
		case why != "":
			s.account.Lose(seq, why)
		case !s.account.Carry(seq, r.ID, seq < s.vouched):
			return nil
		}
		s.found.Size = max(s.found.Size, seq+1)
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range infos {
		if g.Gone != nil {
			s.departed(&g)
		}
	}
	s.account.Finish(s.found.Size)
	s.found.Carry, s.found.Lost, s.found.Copies = s.account.Carried(), s.account.Losses(), s.account.Copies()
	return nil
}

// departed counts the records of a segment that has left the old log.
func (s *salvager) departed(g *segment.Info) {
	why := salvage.Archived
	if s.said[g.First].Dropped {
		why = salvage.Dropped
	}
	for seq := g.First; seq < g.First+g.Records; seq++ {
		s.account.Lose(seq, why)
	}
	s.found.Size = max(s.found.Size, g.First+g.Records)
}

// each calls f for every line that says which record it is, in the order in
// which they stand: with the record if it can be carried over, or with why it
// cannot. Others it counts.
func (s *salvager) each(ctx context.Context, f func(uint64, *content.Record, salvage.Reason) error) error {
	s.found.Junk = 0
	take := func(line []byte) error {
		seq, r, why := s.look(line)
		if why == "" && r == nil {
			s.found.Junk++
			return nil
		}
		return f(seq, r, why)
	}
	for line, err := range s.log.store.Kept(ctx) {
		if err != nil {
			return err
		}
		if err := take(line); err != nil {
			return err
		}
	}
	for raw, err := range s.log.store.Scan(ctx, segment.Pos{}) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%w; copy what can be read of the disk, and rebuild from the copy", err)
		}
		s.read += uint64(len(raw.Line)) + 1
		if s.progress != nil {
			s.progress(min(s.read, s.total), s.total)
		}
		if err := take(raw.Line); err != nil {
			return err
		}
	}
	return nil
}

// look says what a line is. Without a record and a reason, it is none, or was
// altered.
func (s *salvager) look(line []byte) (uint64, *content.Record, salvage.Reason) {
	t, ok := record.ParseTail(line)
	if !ok || !record.Intact(line, &t) || t.Seq >= s.limit {
		return 0, nil, ""
	}
	var want []byte
	if t.Seq < s.vouched {
		entry, err := s.log.tree.Entry(t.Seq)
		if err != nil || entry != t.Hash {
			return 0, nil, ""
		}
		want = entry[:]
	}
	r, err := s.log.records.View(append([]byte(nil), line...), t.Seq, want)
	var newer *record.VersionError
	switch {
	case errors.As(err, &newer):
		return t.Seq, nil, salvage.Newer
	case err != nil:
		return 0, nil, ""
	case r.State == Erased:
		return t.Seq, nil, salvage.Erased
	case r.State == Expired:
		return t.Seq, nil, salvage.Expired
	case r.State != Readable:
		return t.Seq, nil, salvage.Lost
	case r.Event.Type.Own():
		if st, ok := remnant.ParseStatement(&r.Record); ok && st.Seq >= s.said[st.First].Seq {
			s.said[st.First] = st
		}
		if r.Event.Type == event.HoldPlaced || r.Event.Type == event.HoldReleased {
			if r.Seq >= s.holds.Next() && s.holds.Take(&r.Record, true) != nil {
				return 0, nil, ""
			}
		}
		return t.Seq, nil, salvage.OwnAct
	}
	return t.Seq, r, ""
}

// carry writes the new log.
func (s *salvager) carry(ctx context.Context, to *Log) error {
	if err := s.begin(ctx, to); err != nil {
		return err
	}
	for _, h := range s.holds.Active() {
		if _, err := to.PlaceHold(ctx, h); err != nil {
			return err
		}
	}
	const most, mostBytes = 4096, 16 << 20
	var events []event.Event
	var classes []string
	bytes := 0
	flush := func() error {
		err := to.adopt(ctx, events, classes)
		events, classes, bytes = events[:0], classes[:0], 0
		return err
	}
	done := make(map[uint64]struct{}) // of those whose place another line claims too
	err := s.each(ctx, func(seq uint64, r *content.Record, why salvage.Reason) error {
		if why != "" || !s.account.Has(seq) {
			return nil
		}
		if s.found.Copies > 0 {
			if _, again := done[seq]; again {
				return nil
			}
			done[seq] = struct{}{}
		}
		e := r.Event
		e.RetentionClass, _, _ = record.SplitClass(r.Class)
		events, classes = append(events, e), append(classes, r.Class)
		if bytes += len(r.Line()); len(events) >= most || bytes >= mostBytes {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// begin writes the first record, or finds that it is there, after an
// interruption.
func (s *salvager) begin(ctx context.Context, to *Log) error {
	b, err := json.Marshal(&s.found)
	if err != nil {
		return err
	}
	e := to.ownEvent(event.LogRebuilt, map[string]json.RawMessage{rebuiltMember: b})
	if err := event.Canonicalize(&e); err != nil {
		return err
	}
	for r, err := range to.Records(ctx, 0, record.MaxSeq) {
		if err != nil {
			return err
		}
		if r.Event.Type == event.LogRepaired {
			continue // the interruption was in its first write
		}
		if r.Event.Type != event.LogRebuilt || string(r.Event.Metadata[rebuiltMember]) != string(e.Metadata[rebuiltMember]) {
			return fmt.Errorf("there is a log in %s already, and not one that this began: name an empty folder", to.dir)
		}
		return nil
	}
	_, err = to.commitOwn(e)
	return err
}

// adopt appends records of another log, with the classes and months that they
// had there.
func (l *Log) adopt(ctx context.Context, events []event.Event, classes []string) error {
	all := make([]*item, len(events))
	for i := range events {
		all[i] = &item{event: events[i], index: i, reserved: events[i].Type.Reserved(), class: classes[i]}
	}
	if err := each(all, l.prepare); err != nil {
		return err
	}
	return l.run(ctx, all)
}
