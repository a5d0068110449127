package audittrail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// RebuildOptions say which log is to be rebuilt, and where.
type RebuildOptions struct {
	From   string  // the old log's folder
	Old    Options // how to read it: where its keyring is, and its master key
	To     string  // the new log's folder, which is empty, or left by an interrupted Rebuild
	New    Options
	Reason string
	// AcceptTruncated rebuilds a log although signed records are missing from
	// its end: they may have ordered an erasure, whose data subjects are then
	// readable again.
	AcceptTruncated bool
	// Progress is called with the number of bytes read so far and in all: the
	// old log is read twice.
	Progress func(done, total uint64)
}

// A RebuildResult describes what Rebuild did. The new log's first record
// contains it.
type RebuildResult struct {
	Origin  string     `json:"origin"` // of the old log; empty if that is not known
	Size    uint64     `json:"size"`   // of the old log: at least what its newest checkpoint covers
	Root    *tlog.Hash `json:"root"`   // the newest signed root; nil if it is not known
	Signed  uint64     `json:"signed"` // the number of records that Root covers
	Reason  string     `json:"reason"`
	Carried uint64     `json:"carried"` // records that were copied
	Lost    []Loss     `json:"lost"`    // records that were not copied
	// Copies counts the whole lines that repeat an earlier record, and
	// DamagedLines the lines that are not a record or were altered.
	Copies       uint64 `json:"copies"`
	DamagedLines uint64 `json:"damaged_lines"`
	// Missing is the number of signed records that are missing at the end, or
	// that are newer than the keyring and cannot be read: AcceptTruncated
	// accepted that.
	Missing uint64 `json:"missing_accepted,omitempty"`
}

// TruncatedError reports that signed records are missing from the end of a log
// that is to be rebuilt, or that records cannot be read because the keyring is
// older than they are: these records may have ordered an erasure, and it cannot
// be known whose.
type TruncatedError struct {
	Missing, Signed uint64 // records
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("of %d signed records, %d are missing from the end, or are newer than the keyring and cannot be read: an erasure that they ordered would be undone; restore the whole log, or the newest keyring, or accept that with --accept-truncated", e.Signed, e.Missing)
}

// rebuiltMember is the metadata member of the new log's first record that
// contains the RebuildResult.
const rebuiltMember = "rebuilt"

// Rebuild creates a new log with the readable records of an old one, which may
// be damaged or altered, or belong to somebody else. The records keep their
// ids, times, classes and users, and get new sequence numbers, keys and hashes,
// since they form a new chain: proofs of the old log hold for the old log only,
// which stays as it is. The first record of the new log (log_rebuilt) names the
// old log's origin, size and root, and lists the records that could not be
// copied, and why. Records of the old log's own actions, such as a change of
// its keys, are not copied, since the new log did not do these. But legal holds
// that are in force are placed again.
//
// The old log is compared with the newest root that was signed for it. Files
// that are derived from its lines are not trusted. If signed records are
// missing from its end, the error is a *TruncatedError, unless that is
// accepted.
func Rebuild(ctx context.Context, o RebuildOptions) (*RebuildResult, error) {
	r, err := rebuild(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	return r, nil
}

func rebuild(ctx context.Context, o *RebuildOptions) (*RebuildResult, error) {
	if o.Reason == "" {
		return nil, errors.New("give a reason for the rebuild; the first record of the new log names it")
	}
	from, err := filepath.Abs(o.From)
	if err != nil {
		return nil, err
	}
	if to, err := filepath.Abs(o.To); err != nil || to == from {
		return nil, errors.Join(err, errors.New("the new log's folder is that of the old log: name another folder"))
	}
	old, err := openOld(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the old log in %s: %w", o.From, err)
	}
	defer func() { _ = old.Close() }() // only read from: nothing to lose
	s := newSurvey(&old.records, o.Progress)
	if err := s.survey(ctx); err != nil {
		return nil, err
	}
	found := &RebuildResult{
		Origin: old.origin, Size: s.size, Root: s.root, Signed: s.signed, Reason: o.Reason,
		Carried: s.carried.count(), Lost: s.losses(), Copies: s.copies, DamagedLines: s.junk, Missing: s.missing,
	}
	if s.missing > 0 && !o.AcceptTruncated {
		return nil, &TruncatedError{Missing: s.missing, Signed: s.signed}
	}
	if found.Carried == 0 {
		return nil, fmt.Errorf("no record in %s can be read", o.From)
	}
	n := o.New
	n.Create, n.ReadOnly, n.AcceptClock = true, false, true
	n.NoIndex = true // the next writer creates the index
	n.MaxEventBytes = record.MaxContent / 2
	fresh, err := Open(o.To, n)
	if err != nil {
		return nil, err
	}
	return found, errors.Join(carry(ctx, s, found, fresh), fresh.Close())
}

// openOld opens the parts of a log that Open might refuse.
func openOld(ctx context.Context, o *RebuildOptions) (*Log, error) {
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
		err = l.eraser.guardAll(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// carry writes the records of the new log.
func carry(ctx context.Context, s *survey, found *RebuildResult, to *Log) error {
	if err := begin(ctx, found, to); err != nil {
		return err
	}
	for _, h := range s.holds.Active() {
		if h.Unreadable {
			h = governance.Hold{ID: h.ID, Reason: fmt.Sprintf("record %d of the old log placed a hold in a format that this program does not know", h.Seq)}
		}
		if _, err := to.PlaceHold(ctx, h); err != nil {
			return err
		}
	}
	const most, mostBytes = 4096, 16 << 20
	var records []adopted
	bytes := 0
	flush := func() error {
		err := to.sequence.adopt(ctx, records)
		records, bytes = records[:0], 0
		return err
	}
	err := s.eachCarried(ctx, func(r *record.Record) error {
		a := adopted{event: r.Event, own: r.LogMetadata, class: r.Class}
		a.event.RetentionClass, _, _ = record.SplitClass(r.Class)
		if a.own.Source == "" && !a.event.Type.Reserved() {
			a.own.Source = record.SourceImport // a line of version 1 does not say
		}
		records = append(records, a)
		if bytes += len(r.Line()); len(records) >= most || bytes >= mostBytes {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// begin writes the first record, unless an interrupted Rebuild has written it.
func begin(ctx context.Context, found *RebuildResult, to *Log) error {
	b, err := json.Marshal(found)
	if err != nil {
		return err
	}
	e := event.Event{Type: event.LogRebuilt, Time: to.opts.now(), Metadata: map[string]json.RawMessage{rebuiltMember: b}}
	if err := event.Canonicalize(&e); err != nil {
		return err
	}
	for r, err := range to.Records(ctx, 0, record.MaxSeq) {
		if err != nil {
			return err
		}
		if r.Event.Type == event.LogRepaired {
			continue // the first write was interrupted
		}
		if r.Event.Type != event.LogRebuilt || string(r.Event.Metadata[rebuiltMember]) != string(e.Metadata[rebuiltMember]) {
			return fmt.Errorf("%s contains a log already, which this rebuild did not begin: name an empty folder", to.dir)
		}
		return nil
	}
	_, err = to.sequence.commitOwn(e)
	return err
}
