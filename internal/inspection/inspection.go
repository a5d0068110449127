// Package inspection holds a whole log against what was signed: its lines, the
// archives of those that have left it, and what holds keep. The log need not
// open, nor be at rest.
//
// It promises that what a writer does meanwhile is not reported as damage.
package inspection

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
	"audittrail/internal/audit"
	"audittrail/internal/content"
	"audittrail/internal/custody"
	"audittrail/internal/segment"
	"audittrail/internal/vfs"
	"audittrail/internal/vouch"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// attempts is how often a log is inspected whose writer moves segments meanwhile.
const attempts = 3

// A Log is the parts of a log that is to be inspected.
type Log struct {
	FS      vfs.FS
	Lines   string // the folder of its segments
	Tree    string // that of the tree's files
	Store   *segment.Store
	Ring    *keyring.Ring // nil if it is not at hand
	Custody *custody.Custody
	Admit   *admission.Reader // of what the store's readers see

	Writer    bool        // this process writes it
	HasWriter func() bool // some process does
}

// Options say what to hold a log against.
type Options struct {
	From        uint64
	Size        uint64
	Within      bool
	VKeys       []string
	Checkpoints [][]byte
	Progress    func(done, total uint64)
	MaxProblems int
}

// A Result is what was found.
type Result struct {
	audit.Result // but for what holds keep of the expired
	Held         uint64
	Archived     uint64 // records whose archives were read, and hold them
	Found        *audit.Findings

	// The newest signed root, and how many records it covers.
	Root           tlog.Hash
	CheckpointSize uint64
	// Missing is what would have been needed, or was asked for, and is not there.
	Missing []string

	moved bool   // segments were moved meanwhile
	end   uint64 // of the records that were found, if that was looked for
	known bool   // it was found out how far the log goes
}

// Run inspects a log, and again what a writer may have put in order meanwhile.
// Of what is missing something may be known before.
func (l *Log) Run(ctx context.Context, o Options, missing []string) (*Result, error) {
	live := l.Writer || l.HasWriter()
	end := uint64(math.MaxUint64)
	covered := uint64(0) // by the heads of the inspection before
	for n := 0; ; n++ {
		v, err := l.inspect(ctx, o, live, end, missing)
		if err != nil || v.Found.Count == 0 {
			return v, err
		}
		signed := l.signed()
		before := live
		live = l.Writer || l.HasWriter()
		again := n < attempts && (live && !before || v.moved || signed > v.CheckpointSize)
		// A line beyond the signed ones is called a forgery only if nothing has
		// signed it meanwhile: an erasure signs, and destroys keys then. As the
		// end is where it was, this comes to one; and it goes on only as long as
		// more is covered than before, whatever calls itself signed.
		for _, p := range v.Found.Kept() {
			meanwhile := p.Kind == finding.Unauthenticated && p.Seq >= v.CheckpointSize && p.Seq < signed
			again = again || meanwhile && (n < attempts || v.CheckpointSize > covered)
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

// signed returns how many records are signed by now, as far as the log says.
func (l *Log) signed() uint64 {
	var size uint64
	if l.Ring != nil {
		// If it cannot be read, the next inspection says so.
		_, _ = l.Ring.Refresh()
		size, _ = l.Ring.Signed()
	}
	b, err := vfs.ReadFile(l.FS, filepath.Join(l.Tree, "checkpoint"), tlog.MaxCheckpoint)
	if err != nil {
		return size
	}
	c, err := tlog.ReadCheckpoint(b)
	if err != nil || l.Ring != nil {
		return size // the keyring knows of every checkpoint before it is published
	}
	return c.Size
}

// inspect goes over a log, which is taken to end with the record before end, or
// with what is signed.
func (l *Log) inspect(ctx context.Context, o Options, live bool, end uint64, missing []string) (*Result, error) {
	found := &audit.Findings{Max: o.MaxProblems}
	if found.Max <= 0 {
		found.Max = 1000
	}
	evidence := &vouch.Evidence{
		FS: l.FS, Tree: l.Tree, Live: live, Pinned: o.VKeys, Checkpoints: o.Checkpoints,
	}
	a := &audit.Log{FS: l.FS, Tree: evidence.Tree, From: o.From, Size: o.Size, Within: o.Within, Live: live, Progress: o.Progress}
	v := &Result{Found: found, Root: audit.EmptyRoot}
	if l.Ring != nil {
		if _, err := l.Ring.Refresh(); err != nil {
			return nil, err
		}
		ring, err := vouch.RingOf(l.Ring)
		if err != nil {
			return nil, err
		}
		evidence.Ring, a.Keys = ring, l.keyState
		a.Judge = func() audit.Judge {
			return &admission.Judge{Ring: l.Ring, Store: l.Store, Refused: l.Custody.Refused, Lenient: true}
		}
	}
	heads, absent, err := evidence.Heads(found)
	if err != nil {
		return nil, err
	}
	a.Heads, v.Missing = heads, slices.Concat([]string{}, missing, absent)
	for _, h := range heads {
		if h.Size > v.CheckpointSize {
			v.CheckpointSize, v.Root = h.Size, h.Root
		}
	}
	if v.end, v.known, err = l.look(ctx, live); err != nil {
		return nil, err
	}
	if a.Files, err = l.auditFiles(ctx, v, live, end); err != nil {
		return nil, err
	}
	compared := l.Store.Compare()
	a.Sides = sides{compared}
	if v.Result, err = a.Check(ctx, found); err != nil {
		return nil, err
	}
	if err := l.inspectLeft(ctx, a, o, evidence, v, end); err != nil {
		return nil, err
	}
	if found.Count == found.Kinds[finding.Lost]+found.Kinds[finding.Derived] { // otherwise there is nothing to compare with
		derived, err := Derived(ctx, compared)
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
	if v.Newer > 0 {
		v.Missing = append(v.Missing, fmt.Sprintf("%d records of a newer format were not understood: their hashes were checked", v.Newer))
	}
	if v.Blind {
		v.Missing = append(v.Missing, "the hashes in tree/: they are gone or altered as well, so that besides what breaks the chain, records may have been rewritten")
	}
	if v.Unsigned > 0 && l.Ring == nil {
		v.Missing = append(v.Missing, fmt.Sprintf("the keyring, or a newer checkpoint: %d records behind the checkpoint are chained, but nothing vouches for them", v.Unsigned))
	}
	l.countHeld(v, o.From)
	return v, nil
}

// sides are the side files as the check of the lines knows them.
type sides struct{ *segment.Comparison }

// Comparer returns a comparer.
func (s sides) Comparer() audit.Comparer { return s.Comparison.Comparer() }

// Derived returns the side files and id tables that are not what the lines make
// of them.
func Derived(ctx context.Context, compared *segment.Comparison) ([]finding.Finding, error) {
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
func (l *Log) countHeld(v *Result, from uint64) {
	if l.Ring == nil || v.Expired == 0 {
		return
	}
	held, missing := l.Custody.CountHeld(from)
	v.Held, v.Missing = min(held, v.Expired), append(v.Missing, missing...)
	v.Expired -= v.Held
}

// keyState says what has become of the key to some records.
func (l *Log) keyState(subject record.Subject, class string) (record.PRK, record.State, error) {
	prk, err := l.Ring.ForOpening(subject, class)
	switch state, absent := keyring.StateOf(err); {
	case absent && state == record.Lost:
		return prk, record.Lost, nil
	case absent && state == record.Expired:
		return prk, record.Expired, nil
	case absent:
		return prk, record.Erased, nil
	}
	return prk, record.Readable, err
}

// look looks how far the log goes, and lets the store's readers see what counts
// of it: the ids before a line, and what the log says of its segments. If that
// cannot be told, what is signed is there at least, or the check says why not.
func (l *Log) look(ctx context.Context, live bool) (end uint64, known bool, err error) {
	if l.Writer {
		return l.Store.Size(), true, nil
	}
	found, err := l.Admit.Look(ctx, live)
	if err != nil {
		return 0, false, ctx.Err()
	}
	return found, true, nil
}

// auditFiles lists the segments. Beside a writer they are read as far as it
// has told its callers: what stands behind that is just being written.
func (l *Log) auditFiles(ctx context.Context, v *Result, live bool, upTo uint64) ([]audit.File, error) {
	size := max(v.end, v.CheckpointSize)
	if upTo < math.MaxUint64 {
		size = max(min(size, upTo), v.CheckpointSize)
	}
	files, err := audit.Files(l.FS, l.Lines)
	if err != nil || !live && upTo == math.MaxUint64 || size == 0 && !(live && v.known) {
		return files, err
	}
	if size == 0 { // it is writing the log's first records
		for i := range files {
			files[i].Size = 0
		}
		return files[:min(1, len(files))], nil
	}
	end, err := l.Store.End(ctx, size-1)
	if err != nil {
		return files, ctx.Err() // for the check to say what is wrong with that record
	}
	for i := range files {
		if files[i].First == end.First {
			files[i].Size = min(files[i].Size, end.Offset)
		}
	}
	return slices.DeleteFunc(files, func(f audit.File) bool { return f.First > end.First }), nil
}

// inspectLeft looks at the segments that have left the log: whether some did
// meanwhile, so that what was found means nothing, and what their archives are.
func (l *Log) inspectLeft(ctx context.Context, a *audit.Log, o Options, evidence *vouch.Evidence, v *Result, end uint64) error {
	if v.Found.Count > v.Found.Kinds[finding.Derived] {
		again, err := l.auditFiles(ctx, v, evidence.Live, end)
		v.moved = err == nil && !slices.EqualFunc(a.Files, again, func(x, y audit.File) bool { return x.Path == y.Path })
		return nil
	}
	if v.Left == 0 {
		return nil
	}
	return l.inspectArchives(ctx, o, evidence, v)
}

// inspectArchives reads the archives of the segments that have left an intact log,
// where they can be reached. The hashes that it holds them against were verified.
func (l *Log) inspectArchives(ctx context.Context, o Options, evidence *vouch.Evidence, v *Result) error {
	origin, err := evidence.Origin()
	if err != nil {
		return err
	}
	keeper := &archive.Keeper{
		FS: l.FS, Store: l.Store, Origin: origin, Keys: evidence.Keys,
		Entries: func(from uint64, dst [][32]byte) error { return l.kept(ctx, from, dst) },
	}
	infos, err := l.Store.Segments()
	if err != nil {
		return err
	}
	register := archive.Register{Records: &content.Reader{Store: l.Store, Ring: l.Ring, Key: l.Custody.KeyOf}}
	said, err := register.Statements(ctx)
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
			v.Missing = append(v.Missing, what+": only the keyring tells where it is")
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
			v.Found.Add(finding.Finding{Seq: g.First, Kind: finding.Modified, File: archive.PackedFile(s.To, s.First), Detail: err.Error()})
		case errors.Is(err, fs.ErrNotExist):
			v.Missing = append(v.Missing, fmt.Sprintf("%s: it is not in %s", what, s.To))
		default:
			v.Missing = append(v.Missing, fmt.Sprintf("%s: it cannot be read in %s: %v", what, s.To, err))
		}
	}
	return nil
}

// kept fills dst with the hashes of records from one on, as the log's own folder
// has them.
func (l *Log) kept(ctx context.Context, from uint64, dst [][32]byte) error {
	i := 0
	for h, err := range l.Store.Hashes(ctx, from, from+uint64(len(dst))) {
		if err != nil {
			return err
		}
		dst[i] = h
		i++
	}
	return nil
}
