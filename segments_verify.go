package audittrail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"audittrail/internal/archive"
	"audittrail/internal/audit"
	"audittrail/internal/content"
	"audittrail/internal/vouch"
)

// verifyLeft looks at the segments that have left the log: whether some did
// meanwhile, so that what was found means nothing, and what their archives are.
func (l *Log) verifyLeft(ctx context.Context, a *audit.Log, r *audit.Result, o VerifyOptions, evidence *vouch.Evidence, v *Verification, found *audit.Findings) error {
	if found.Count > 0 {
		again, err := l.auditFiles(ctx, v.CheckpointSize, evidence.Live)
		v.moved = err == nil && !slices.EqualFunc(a.Files, again, func(x, y audit.File) bool { return x.Path == y.Path })
		return nil
	}
	if r.Left == 0 {
		return nil
	}
	return l.verifyArchives(ctx, o, evidence, v, found)
}

// verifyArchives reads the archives of the segments that have left an intact log,
// where they can be reached. The hashes that it holds them against were verified.
func (l *Log) verifyArchives(ctx context.Context, o VerifyOptions, evidence *vouch.Evidence, v *Verification, found *audit.Findings) error {
	origin, err := evidence.Origin()
	if err != nil {
		return err
	}
	keeper := &archive.Keeper{
		FS: l.opts.fs, Store: l.store, Origin: origin, Keys: evidence.Keys,
		Entries: func(from uint64, dst [][32]byte) error { return l.kept(ctx, from, dst) },
	}
	infos, err := l.store.Segments()
	if err != nil {
		return err
	}
	if l.store.Size() == 0 { // the log need not be open in full
		if err := l.store.Refresh(ctx, evidence.Live); err != nil {
			return err
		}
	}
	register := archive.Register{Records: &content.Reader{Store: l.store, Ring: l.ring, Key: l.custody.KeyOf}}
	said, err := register.Statements(ctx)
	if err != nil {
		return err
	}
	for _, g := range infos {
		s, ok := said[g.First]
		if g.Gone == nil || !ok || s.Dropped || g.First+g.Records <= o.From {
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
			found.Add(audit.Problem{Seq: g.First, Kind: audit.Modified, File: archive.PackedFile(s.To, s.First), Detail: err.Error()})
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
	for h, err := range l.store.Hashes(ctx, from, from+uint64(len(dst))) {
		if err != nil {
			return err
		}
		dst[i] = h
		i++
	}
	return nil
}
