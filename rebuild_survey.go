package audittrail

import (
	"context"
	"errors"
	"fmt"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/segment"
	"audittrail/internal/signed"
	"audittrail/internal/tombstone"
	"audittrail/record"
	"audittrail/tlog"
)

// A survey reads an old log, which need not be whole.
type survey struct {
	account

	// The results of the survey.
	size   uint64     // of the log: at least what its newest checkpoint covers
	root   *tlog.Hash // that was signed last; nil if that is not known
	signed uint64     // how many records that covers
	junk   uint64     // lines that are no record or were altered
	// Missing is the number of signed records that are missing at the end, or
	// are newer than the keyring and cannot be read: they may have ordered an
	// erasure.
	missing uint64

	log      reader
	tree     *signed.Tree
	progress func(done, total uint64)
	vouched  uint64                         // records that the signed tree contains
	said     map[uint64]tombstone.Statement // of segments that have left
	holds    governance.Holds
	limit    uint64 // records that fit into the bytes of the log
	read     uint64 // bytes
	total    uint64
}

// newSurvey returns the survey of a log. Progress is called with the number of
// bytes read so far and in all, which are twice those of the log.
func newSurvey(log *reader, progress func(done, total uint64)) *survey {
	s := &survey{log: *log, tree: log.tree, progress: progress, said: make(map[uint64]tombstone.Statement)}
	s.log.tree = nil // the survey compares records with the tree itself
	return s
}

// minLine is smaller than the line of any record.
const minLine = 200

// survey finds out which records can be copied.
func (s *survey) survey(ctx context.Context) error {
	l := &s.log
	head := s.tree.Head()
	if head.Size > 0 {
		s.signed, s.root = head.Size, &head.Root
		switch known, err := s.tree.Known(ctx, head); {
		case err != nil:
			return fmt.Errorf("compare the lines with the signed root: %w", err)
		case known:
			s.vouched = head.Size
		}
	}
	s.size = head.Size
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
	// A record's content does not authenticate its sequence number.
	s.limit = min(s.limit+head.Size, record.MaxSeq)
	err = s.each(ctx, func(seq uint64, r *record.Record, why LossReason) error {
		switch {
		case why != "":
			s.lose(seq, why)
		case !s.carry(seq, r.ID, seq < s.vouched):
			return nil
		}
		s.size = max(s.size, seq+1)
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
	s.miss(head.Size)
	s.finish(s.size)
	return nil
}

// miss counts the signed records that are missing and may have ordered an
// erasure that the keyring has not carried out.
func (s *survey) miss(size uint64) {
	end := size
	for end > 0 && !s.known(end-1) {
		end--
	}
	s.missing = size - end
	heard, _ := s.log.ring.Signed() // an order is carried out once it is signed
	for seq := heard; seq < end; seq++ {
		if !s.known(seq) {
			s.missing++
		}
	}
}

// departed counts the records of a segment that has left the old log, if a record
// of the log says that. A tombstone that no record names is not trusted: its
// records count as missing.
func (s *survey) departed(g *segment.Info) {
	said, ok := s.said[g.First]
	if !ok || said.Records != g.Records {
		return
	}
	why := LossArchived
	if said.Dropped {
		why = LossDropped
	}
	for seq := g.First; seq < g.First+g.Records; seq++ {
		s.lose(seq, why)
	}
	s.size = max(s.size, g.First+g.Records)
}

// each calls f for every line with a sequence number, in the order of the
// files: with the record if it can be copied, or with the reason why not. It
// counts other lines.
func (s *survey) each(ctx context.Context, f func(uint64, *record.Record, LossReason) error) error {
	s.junk = 0
	take := func(line []byte) error {
		seq, r, why, err := s.look(ctx, line)
		if err != nil {
			return err
		}
		if why == "" && r == nil {
			s.junk++
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
			return fmt.Errorf("%w; copy all files that can be read to another disk, and rebuild from the copy", err)
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

// look decides what a line is. If it returns neither a record nor a reason, the
// line is not a record or was altered. It returns an error if it cannot decide.
func (s *survey) look(ctx context.Context, line []byte) (uint64, *record.Record, LossReason, error) {
	t, ok := record.ParseChainLink(line)
	if !ok || !record.VerifyHash(line, &t) || t.Seq >= s.limit {
		return 0, nil, "", nil
	}
	if t.Seq < s.vouched {
		var entry [1][32]byte
		if err := s.tree.ReadEntries(ctx, t.Seq, entry[:]); err != nil {
			return 0, nil, "", fmt.Errorf("compare record %d with the signed root: %w", t.Seq, err)
		}
		if entry[0] != t.Hash {
			return 0, nil, "", nil
		}
	}
	r, err := s.log.view(ctx, append([]byte(nil), line...), t.Seq, nil)
	var newer *record.VersionError
	switch {
	case errors.As(err, &newer):
		return t.Seq, nil, LossNewer, nil
	case errors.Is(err, record.ErrFormat), errors.Is(err, record.ErrWrongKey), errors.Is(err, record.ErrBody):
		return 0, nil, "", nil
	case err != nil:
		return 0, nil, "", err
	case r.State == record.Erased:
		return t.Seq, nil, LossErased, nil
	case r.State == record.Expired:
		return t.Seq, nil, LossExpired, nil
	case r.State != record.Readable:
		return t.Seq, nil, LossLost, nil
	case r.Event.Type.Internal():
		if st, ok := tombstone.ParseStatement(r); ok && st.Seq >= s.said[st.First].Seq {
			s.said[st.First] = st
		}
		if r.Event.Type == event.HoldPlaced || r.Event.Type == event.HoldReleased {
			if r.Seq >= s.holds.Next() && s.holds.Take(r, true) != nil {
				return 0, nil, "", nil
			}
		}
		return t.Seq, nil, LossInternal, nil
	}
	return t.Seq, r, "", nil
}

// eachCarried calls f with the records that are copied. Call survey first.
func (s *survey) eachCarried(ctx context.Context, f func(*record.Record) error) error {
	done := make(map[uint64]struct{}) // sequence numbers that several lines claim
	return s.each(ctx, func(seq uint64, r *record.Record, why LossReason) error {
		if why != "" || !s.carried.has(seq) {
			return nil
		}
		if s.copies > 0 {
			if _, again := done[seq]; again {
				return nil
			}
			done[seq] = struct{}{}
		}
		return f(r)
	})
}
