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

// A RebuildOptions says of which log a new one is to be made.
type RebuildOptions struct {
	From   string  // the old log's folder
	Old    Options // how to read it: where its keyring is, and its master key
	To     string  // the new log's folder, which is empty, or from an interrupted Rebuild
	New    Options
	Reason string
	// AcceptTruncated goes on where signed records are missing from the end: they
	// may have ordered an erasure, and then whom it was about is brought back.
	AcceptTruncated bool
	// Progress is told how many of how many bytes have been gone over: the old
	// log is read twice.
	Progress func(done, total uint64)
}

// A RebuildResult is what Rebuild did. It is also what the new log's first record says.
type RebuildResult struct {
	Origin  string     `json:"origin"` // of the old log; empty if that is not known
	Size    uint64     `json:"size"`   // of the old log: what its newest checkpoint covers, or more
	Root    *tlog.Hash `json:"root"`   // that was signed last; nil if that is not known
	Signed  uint64     `json:"signed"` // how many records that covers
	Reason  string     `json:"reason"`
	Carried uint64     `json:"carried"` // records that were carried over
	Lost    []Loss     `json:"lost"`    // those that were not
	// Copies and DamagedLines are lines: whole ones of records that were there before,
	// and those that are no record or were altered.
	Copies       uint64 `json:"copies"`
	DamagedLines uint64 `json:"damaged_lines"`
	// Missing is how many signed records nothing is there of, at the end or later
	// than the keyring: that this was accepted is on record.
	Missing uint64 `json:"missing_accepted,omitempty"`
}

// A TruncatedError means that signed records are missing from the end of a log that
// is to be rebuilt, or that its keyring is older than records that cannot be read:
// these may have ordered an erasure, and it cannot be known whose.
type TruncatedError struct {
	Missing, Signed uint64 // records
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("of %d signed records, %d are missing from the end, or are newer than the keyring and cannot be read: an erasure that they ordered would be undone; bring back the whole log, or the newest keyring, or accept that with --accept-truncated", e.Signed, e.Missing)
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
//
// The old log is compared with the newest root that was signed for it. Files that
// are derived from its lines decide nothing. If signed records are missing from
// its end, the error is a *TruncatedError, unless that is accepted.
func Rebuild(ctx context.Context, o RebuildOptions) (*RebuildResult, error) {
	r, err := rebuild(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	return r, nil
}

func rebuild(ctx context.Context, o *RebuildOptions) (*RebuildResult, error) {
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
	n.NoIndex = true // whoever writes the log next makes it
	n.MaxEventBytes = record.MaxContent / 2
	fresh, err := Open(o.To, n)
	if err != nil {
		return nil, err
	}
	return found, errors.Join(carry(ctx, s, found, fresh), fresh.Close())
}

// openOld opens the parts of a log that need not open.
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

// carry writes the new log.
func carry(ctx context.Context, s *survey, found *RebuildResult, to *Log) error {
	if err := begin(ctx, found, to); err != nil {
		return err
	}
	for _, h := range s.holds.Active() {
		if h.Unreadable {
			h = governance.Hold{ID: h.ID, Reason: fmt.Sprintf("record %d of the old log placed a hold that this program does not understand", h.Seq)}
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

// begin writes the first record, or finds that it is there, after an
// interruption.
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
			continue // the interruption was in its first write
		}
		if r.Event.Type != event.LogRebuilt || string(r.Event.Metadata[rebuiltMember]) != string(e.Metadata[rebuiltMember]) {
			return fmt.Errorf("there is a log in %s already, and not one that this began: name an empty folder", to.dir)
		}
		return nil
	}
	_, err = to.sequence.commitOwn(e)
	return err
}
