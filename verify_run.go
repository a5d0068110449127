package audittrail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"slices"

	"audittrail/finding"
	"audittrail/internal/admission"
	"audittrail/internal/archive"
	"audittrail/internal/segment"
	"audittrail/internal/trust"
	"audittrail/internal/verify"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// verifyAttempts is how often a log is inspected if its writer moves segments
// meanwhile.
const verifyAttempts = 3

// An inspected is the result of one pass over a log.
type inspected struct {
	Verification
	found *verify.Findings

	moved bool   // segments were moved meanwhile
	end   uint64 // of the records that were found, if they were counted
	known bool   // the end of the log is known
}

// inspect compares a log with what was signed, and repeats that if a writer may
// have changed the log meanwhile. missing are limitations that are known
// already.
func (l *Log) inspect(ctx context.Context, o VerifyOptions, missing []string) (*inspected, error) {
	live := l.lock != nil || l.hasWriter()
	end := uint64(math.MaxUint64)
	covered := uint64(0) // by the heads of the previous inspection
	for n := 0; ; n++ {
		v, err := l.inspectOnce(ctx, o, live, end, missing)
		if err != nil || v.found.Count == 0 {
			return v, err
		}
		signed := l.signedNow()
		before := live
		live = l.lock != nil || l.hasWriter()
		again := n < verifyAttempts && (live && !before || v.moved || signed > v.CheckpointSize)
		// A line beyond the signed ones is reported only if it was not signed
		// meanwhile: an erasure first signs, and then destroys keys. Since the
		// end of the log is fixed, one more inspection usually suffices; and
		// inspections continue only as long as more is covered than before, so
		// that forged checkpoints cannot prolong them without end.
		for _, p := range v.found.Kept() {
			meanwhile := p.Kind == finding.Unauthenticated && p.Seq >= v.CheckpointSize && p.Seq < signed
			again = again || meanwhile && (n < verifyAttempts || v.CheckpointSize > covered)
		}
		covered = v.CheckpointSize
		if !again {
			return v, nil
		}
		if v.end > 0 {
			end = min(end, v.end)
		}
	}
}

// signedNow returns the number of records that are signed now, as far as the
// log says.
func (l *Log) signedNow() uint64 {
	var size uint64
	if l.ring != nil {
		// If the keyring cannot be read, the next inspection says so.
		_, _ = l.ring.Refresh()
		size, _ = l.ring.Signed()
	}
	b, err := vfs.ReadFile(l.opts.fs, filepath.Join(l.treePath(), "checkpoint"), tlog.MaxCheckpoint)
	if err != nil {
		return size
	}
	c, err := tlog.ReadCheckpoint(b)
	if err != nil || l.ring != nil {
		return size // the keyring knows of every checkpoint before it is published
	}
	return c.Size
}

// inspectOnce checks a log once. The log is taken to end with the record before
// end, or with the last signed record.
func (l *Log) inspectOnce(ctx context.Context, o VerifyOptions, live bool, end uint64, missing []string) (*inspected, error) {
	found := &verify.Findings{Max: o.MaxFindings}
	if found.Max <= 0 {
		found.Max = 1000
	}
	evidence := &trust.Evidence{
		FS: l.opts.fs, Tree: l.treePath(), Live: live, Pinned: o.VKeys, Checkpoints: o.Checkpoints,
	}
	a := &verify.Log{FS: l.opts.fs, Tree: evidence.Tree, From: o.From, Size: o.Size, IgnoreUnauthenticated: o.IgnoreUnauthenticated, Live: live, Progress: o.Progress}
	v := &inspected{found: found, Verification: Verification{
		First: o.From, Root: verify.EmptyRoot, Findings: make([]finding.Finding, 0), Sealed: l.ring == nil,
	}}
	if l.ring != nil {
		if _, err := l.ring.Refresh(); err != nil {
			return nil, err
		}
		ring, err := trust.RingOf(l.ring)
		if err != nil {
			return nil, err
		}
		evidence.Ring, a.Keys = ring, l.ring
		a.Judge = &admission.Judge{Ring: l.ring, Store: l.store, Orders: l.eraser, Lenient: true}
	}
	heads, absent, err := evidence.Heads(found)
	if err != nil {
		return nil, err
	}
	a.Heads, v.Limitations = heads, slices.Concat([]string{}, missing, absent)
	for _, h := range heads {
		if h.Size > v.CheckpointSize {
			v.CheckpointSize, v.Root = h.Size, h.Root
		}
	}
	if v.end, v.known, err = l.lookFor(ctx, live); err != nil {
		return nil, err
	}
	if a.Files, err = l.auditFiles(ctx, v, live, end); err != nil {
		return nil, err
	}
	compared := l.store.Compare()
	a.Sides = sides{compared}
	checked, err := a.Check(ctx, found)
	if err != nil {
		return nil, err
	}
	v.Records, v.Unsigned, v.Removed, v.Bytes = checked.Records, checked.Unsigned, checked.Left, checked.Bytes
	v.Erased, v.Expired = checked.Erased, checked.Expired
	if err := l.inspectLeft(ctx, a, o, evidence, v, end); err != nil {
		return nil, err
	}
	if found.Count == found.Kinds[finding.Lost]+found.Kinds[finding.Derived] { // otherwise there are no verified hashes to compare archives with
		derived, err := derivedFindings(ctx, compared)
		if err != nil {
			return nil, err
		}
		for _, p := range derived {
			found.Add(p)
		}
	}
	if o.From > 0 && v.Records == 0 && o.From > v.CheckpointSize {
		return nil, fmt.Errorf("from record %d: %w", o.From, segment.ErrBeyond)
	}
	if checked.Newer > 0 {
		v.Limitations = append(v.Limitations, fmt.Sprintf("%d records of a newer format were not understood: their hashes were checked", checked.Newer))
	}
	if checked.Blind {
		v.Limitations = append(v.Limitations, "the hashes in tree/: they are missing or altered as well, so that records may have been rewritten even where the chain is not broken")
	}
	if v.Unsigned > 0 && l.ring == nil {
		v.Limitations = append(v.Limitations, fmt.Sprintf("the keyring, or a newer checkpoint: %d records after the checkpoint are chained, but unauthenticated", v.Unsigned))
	}
	l.countHeld(v, o.From)
	return v, nil
}

// sides adapts the comparison of side files to the check of the lines.
type sides struct{ *segment.Comparison }

// Comparer returns a comparer.
func (s sides) Comparer() verify.Comparer { return s.Comparison.Comparer() }

// derivedFindings returns the side files and id tables that disagree with the
// lines.
func derivedFindings(ctx context.Context, compared *segment.Comparison) ([]finding.Finding, error) {
	all, err := compared.Differences(ctx)
	if err != nil {
		return nil, err
	}
	problems := make([]finding.Finding, len(all))
	for i, d := range all {
		problems[i] = finding.Finding{
			Seq: d.First, Kind: finding.Derived, File: path.Join("log", d.File),
			Detail: d.Detail,
		}
	}
	return problems, nil
}

// countHeld distinguishes the records whose contents have expired from those
// that a legal hold keeps.
func (l *Log) countHeld(v *inspected, from uint64) {
	if l.ring == nil || v.Expired == 0 {
		return
	}
	held, missing := l.eraser.countHeld(from)
	v.Held, v.Limitations = min(held, v.Expired), append(v.Limitations, missing...)
	v.Expired -= v.Held
}

// lookFor finds the end of the log, and lets the store's readers see the
// records that count, which the check needs for the ids before a line and for
// the log's statements about its segments. If the end cannot be determined, the
// signed records are checked, and the check reports which of them are missing.
func (l *Log) lookFor(ctx context.Context, live bool) (end uint64, known bool, err error) {
	if l.lock != nil {
		return l.store.Size(), true, nil
	}
	found, err := l.admit.Look(ctx, live)
	if err != nil {
		return 0, false, ctx.Err()
	}
	return found, true, nil
}

// auditFiles lists the segments. With an active writer they are read up to the
// last acknowledged record: later lines are being written.
func (l *Log) auditFiles(ctx context.Context, v *inspected, live bool, upTo uint64) ([]verify.File, error) {
	size := max(v.end, v.CheckpointSize)
	if upTo < math.MaxUint64 {
		size = max(min(size, upTo), v.CheckpointSize)
	}
	files, err := verify.Files(l.opts.fs, filepath.Join(l.dir, logDir))
	if err != nil || !live && upTo == math.MaxUint64 || size == 0 && !(live && v.known) {
		return files, err
	}
	if size == 0 { // the writer is writing the log's first records
		for i := range files {
			files[i].Size = 0
		}
		return files[:min(1, len(files))], nil
	}
	end, err := l.store.End(ctx, size-1)
	if err != nil {
		return files, ctx.Err() // the check reports what is wrong with that record
	}
	for i := range files {
		if files[i].First == end.First {
			files[i].Size = min(files[i].Size, end.Offset)
		}
	}
	return slices.DeleteFunc(files, func(f verify.File) bool { return f.First > end.First }), nil
}

// inspectLeft checks the segments that have left the log: whether some left
// during the inspection, which makes its findings void, and whether their
// archives are intact.
func (l *Log) inspectLeft(ctx context.Context, a *verify.Log, o VerifyOptions, evidence *trust.Evidence, v *inspected, end uint64) error {
	if v.found.Count > v.found.Kinds[finding.Derived] {
		again, err := l.auditFiles(ctx, v, evidence.Live, end)
		v.moved = err == nil && !slices.EqualFunc(a.Files, again, func(x, y verify.File) bool { return x.Path == y.Path })
		return nil
	}
	if v.Removed == 0 {
		return nil
	}
	return l.inspectArchives(ctx, o, evidence, v)
}

// inspectArchives checks the archives of the segments that have left an intact
// log, if they can be read. It compares them with hashes that were verified
// before.
func (l *Log) inspectArchives(ctx context.Context, o VerifyOptions, evidence *trust.Evidence, v *inspected) error {
	origin, err := evidence.Origin()
	if err != nil {
		return err
	}
	keeper := &archive.Keeper{FS: l.opts.fs, Store: l.store, Origin: origin, Keys: evidence.KeyPeriods(), Entries: storeEntries{l.store}}
	infos, err := l.store.Segments()
	if err != nil {
		return err
	}
	left := register{records: &reader{store: l.store, ring: l.ring, keys: l.eraser}}
	said, err := left.statements(ctx)
	if err != nil {
		return err
	}
	for _, g := range infos {
		s, ok := said[g.First]
		if g.Gone == nil || !ok || s.Dropped || g.First+g.Records <= o.From || o.Size > 0 && g.First >= o.Size {
			continue
		}
		what := fmt.Sprintf("the archive of records %d to %d", g.First, g.First+g.Records-1)
		if s.To == "" {
			v.Limitations = append(v.Limitations, what+": its folder cannot be read without the keyring")
			continue
		}
		m, err := keeper.Check(ctx, &s)
		switch {
		case err == nil:
			v.Archived += m.Records
			v.Bytes += uint64(m.Bytes)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrManifest), errors.Is(err, archive.ErrForeign):
			v.found.Add(finding.Finding{Seq: g.First, Kind: finding.Modified, File: archive.PackedFile(s.To, s.First), Detail: err.Error()})
		case errors.Is(err, fs.ErrNotExist):
			v.Limitations = append(v.Limitations, fmt.Sprintf("%s: no archive is in %s", what, s.To))
		default:
			v.Limitations = append(v.Limitations, fmt.Sprintf("%s: the archive in %s cannot be read: %v", what, s.To, err))
		}
	}
	return nil
}

// storeEntries reads the hashes of the records from the log's own folder.
type storeEntries struct{ store *segment.Store }

// ReadEntries fills dst with the hashes of records from one on.
func (e storeEntries) ReadEntries(ctx context.Context, from uint64, dst [][32]byte) error {
	i := 0
	for h, err := range e.store.Hashes(ctx, from, from+uint64(len(dst))) {
		if err != nil {
			return err
		}
		dst[i] = h
		i++
	}
	return nil
}
