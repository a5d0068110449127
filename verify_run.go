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

// attempts is how often a log is inspected whose writer moves segments meanwhile.
const verifyAttempts = 3

// An inspected log is what one pass over it has found.
type inspected struct {
	Verification
	found *verify.Findings

	moved bool   // segments were moved meanwhile
	end   uint64 // of the records that were found, if that was looked for
	known bool   // it was found out how far the log goes
}

// inspect compares a log with what was signed, and again what a writer may have put in order meanwhile.
// Of what is missing something may be known before.
func (l *Log) inspect(ctx context.Context, o VerifyOptions, missing []string) (*inspected, error) {
	live := l.lock != nil || l.hasWriter()
	end := uint64(math.MaxUint64)
	covered := uint64(0) // by the heads of the inspection before
	for n := 0; ; n++ {
		v, err := l.inspectOnce(ctx, o, live, end, missing)
		if err != nil || v.found.Count == 0 {
			return v, err
		}
		signed := l.signedNow()
		before := live
		live = l.lock != nil || l.hasWriter()
		again := n < verifyAttempts && (live && !before || v.moved || signed > v.CheckpointSize)
		// A line beyond the signed ones is called a forgery only if nothing has
		// signed it meanwhile: an erasure signs, and destroys keys then. As the
		// end is where it was, this comes to one; and it goes on only as long as
		// more is covered than before, whatever calls itself signed.
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

// signedNow returns how many records are signed by now, as far as the log says.
func (l *Log) signedNow() uint64 {
	var size uint64
	if l.ring != nil {
		// If it cannot be read, the next inspection says so.
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

// inspectOnce goes over a log, which is taken to end with the record before end, or
// with what is signed.
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
	if found.Count == found.Kinds[finding.Lost]+found.Kinds[finding.Derived] { // otherwise there is nothing to compare with
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
		v.Limitations = append(v.Limitations, "the hashes in tree/: they are gone or altered as well, so that besides what breaks the chain, records may have been rewritten")
	}
	if v.Unsigned > 0 && l.ring == nil {
		v.Limitations = append(v.Limitations, fmt.Sprintf("the keyring, or a newer checkpoint: %d records behind the checkpoint are chained, but nothing vouches for them", v.Unsigned))
	}
	l.countHeld(v, o.From)
	return v, nil
}

// sides are the side files as the check of the lines knows them.
type sides struct{ *segment.Comparison }

// Comparer returns a comparer.
func (s sides) Comparer() verify.Comparer { return s.Comparison.Comparer() }

// derivedFindings returns the side files and id tables that are not what the lines make
// of them.
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

// countHeld tells the records whose contents have expired from those that a hold
// keeps.
func (l *Log) countHeld(v *inspected, from uint64) {
	if l.ring == nil || v.Expired == 0 {
		return
	}
	held, missing := l.eraser.countHeld(from)
	v.Held, v.Limitations = min(held, v.Expired), append(v.Limitations, missing...)
	v.Expired -= v.Held
}

// lookFor looks how far the log goes, and lets the store's readers see what counts
// of it: the ids before a line, and what the log says of its segments. If that
// cannot be told, what is signed is there at least, or the check says why not.
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

// auditFiles lists the segments. Beside a writer they are read as far as it
// has told its callers: what stands behind that is just being written.
func (l *Log) auditFiles(ctx context.Context, v *inspected, live bool, upTo uint64) ([]verify.File, error) {
	size := max(v.end, v.CheckpointSize)
	if upTo < math.MaxUint64 {
		size = max(min(size, upTo), v.CheckpointSize)
	}
	files, err := verify.Files(l.opts.fs, filepath.Join(l.dir, logDir))
	if err != nil || !live && upTo == math.MaxUint64 || size == 0 && !(live && v.known) {
		return files, err
	}
	if size == 0 { // it is writing the log's first records
		for i := range files {
			files[i].Size = 0
		}
		return files[:min(1, len(files))], nil
	}
	end, err := l.store.End(ctx, size-1)
	if err != nil {
		return files, ctx.Err() // for the check to say what is wrong with that record
	}
	for i := range files {
		if files[i].First == end.First {
			files[i].Size = min(files[i].Size, end.Offset)
		}
	}
	return slices.DeleteFunc(files, func(f verify.File) bool { return f.First > end.First }), nil
}

// inspectLeft looks at the segments that have left the log: whether some did
// meanwhile, so that what was found means nothing, and what their archives are.
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

// inspectArchives reads the archives of the segments that have left an intact log,
// where they can be reached. The hashes that it holds them against were verified.
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
			v.Limitations = append(v.Limitations, what+": only the keyring tells where it is")
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
			v.Limitations = append(v.Limitations, fmt.Sprintf("%s: it is not in %s", what, s.To))
		default:
			v.Limitations = append(v.Limitations, fmt.Sprintf("%s: it cannot be read in %s: %v", what, s.To, err))
		}
	}
	return nil
}

// storeEntries are the hashes of the records as the log's own folder has them.
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
