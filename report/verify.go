package report

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"audittrail"
	"audittrail/report/document"
	"audittrail/report/internal/render"
	"audittrail/report/rules"
	"audittrail/tlog"
)

var (
	// ErrRenderingDiffers reports that an HTML or PDF file does not show the report
	// that it carries: the file was changed, or another program made it.
	ErrRenderingDiffers = render.ErrRenderingDiffers
	// ErrOtherProgram reports that another version of the program made an HTML or PDF
	// file. Only that version can tell whether the file shows the report that it
	// carries.
	ErrOtherProgram = errors.New("another version of the program made the file")
	// ErrContent reports that a report contains what only readers of contents may
	// see, and was to be verified for somebody else.
	ErrContent = errors.New("the report has what was written about registered things")
)

// VerifyOptions say how a report is verified.
type VerifyOptions struct {
	// Keys are the verifier keys of the log that are trusted, each with the keys
	// that took over from it. If empty, the log's own list of keys is believed.
	Keys []string
	// Rules are the rule files of your own that the report used.
	Rules []*rules.Catalogue
	// Program is the version of this program: see Options.
	Program string
	// Redacted says that the caller may not read contents. Verifying a report that
	// has them then returns ErrContent: the differences would show them.
	Redacted bool
	// Progress is told how far the check of the log has come.
	Progress func(done, total uint64)
}

// A Verification is what Verify found.
type Verification struct {
	// Unsigned says why the signature does not cover the report as it is; nil if a
	// trusted key signed it.
	Unsigned error
	// Rendering is ErrRenderingDiffers or ErrOtherProgram, of a report that was read
	// from HTML or PDF; nil if the file shows the report that it carries.
	Rendering error
	// Recomputed tells whether the figures were computed again. Those of a report on
	// a case are not, nor those that the log's key signed and another MethodVersion
	// defines.
	Recomputed bool
	// Differences are the places in which the log contradicts the report.
	Differences []document.Difference
	// Circumstances are differences in how the log could be checked, then and now,
	// which contradict no figure.
	Circumstances []document.Difference
	// Records is how many records a report on a case has, and Changed are those
	// whose hashes in the log are others.
	Records int
	Changed []uint64

	was, is document.Status // of the report, and of the one that was computed again
}

// Verdict returns what a verification comes to. It is intact if a trusted key
// signed the report, the log gives every figure again, and the file shows them.
func (v *Verification) Verdict() audittrail.Verdict {
	found := v.verdict()
	for _, worse := range []audittrail.Verdict{audittrail.VerdictAltered, audittrail.VerdictUnchecked, audittrail.VerdictLimited} {
		if found == worse || v.rendering() == worse {
			return worse
		}
	}
	return audittrail.VerdictIntact
}

// rendering is the verdict on the file that carries the report.
func (v *Verification) rendering() audittrail.Verdict {
	switch {
	case errors.Is(v.Rendering, ErrRenderingDiffers):
		return audittrail.VerdictAltered
	case v.Rendering != nil:
		return audittrail.VerdictLimited
	}
	return audittrail.VerdictIntact
}

// verdict is the verdict on the report.
func (v *Verification) verdict() audittrail.Verdict {
	switch {
	case len(v.Differences) > 0 && v.is == document.Unchecked && v.was != document.Unchecked:
		return audittrail.VerdictUnchecked // what differs may be what a disk did not give
	case len(v.Differences) > 0, len(v.Changed) > 0, v.Unsigned != nil:
		return audittrail.VerdictAltered
	case !v.Recomputed, len(v.Circumstances) > 0 && v.is == document.Incomplete:
		return audittrail.VerdictLimited
	}
	return audittrail.VerdictIntact
}

// Verify verifies a report that was handed out: its signature, whether the log
// gives every figure again, at the size that the report names, and, of HTML and
// PDF, whether the file shows the report that it carries. Of a report on a case
// it tells whether the log has its records; what these say is not opened again.
//
// The error is for what could not be found out, and for a signature by a key that
// is not trusted. The Verification is there also then, with the Rendering.
func Verify(ctx context.Context, log *audittrail.Log, r *Report, o VerifyOptions) (*Verification, error) {
	v := &Verification{Rendering: r.CheckRendering(o.Program), was: r.file.Report.Status}
	if err := v.Rendering; err != nil && !errors.Is(err, ErrRenderingDiffers) && !errors.Is(err, ErrOtherProgram) {
		return v, err
	}
	trusted, err := trustedKeys(log, o.Keys, r.file.Report.Size)
	if err == nil {
		err = r.file.Verify(trusted)
	}
	switch {
	case errors.Is(err, document.ErrDigest), errors.Is(err, document.ErrUnsigned), errors.Is(err, tlog.ErrBadSignature):
		v.Unsigned = err // what was changed is told by what the log gives
	case err != nil:
		return v, err
	}
	if r.file.Report.Type == CaseType {
		return v, v.compareRecords(ctx, log, r.file.Report)
	}
	return v, v.recompute(ctx, log, r.file.Report, o)
}

// CheckRendering compares the file that a report was read from with what this
// version of the program, which program names, writes of the report. It returns
// ErrRenderingDiffers or ErrOtherProgram if the file is not that, and nil for a
// report that was not read from HTML or PDF.
func (r *Report) CheckRendering(program string) error {
	switch {
	case r.form == nil:
		return nil
	case r.file.Report.Program != program:
		return fmt.Errorf("%w: %s", ErrOtherProgram, r.file.Report.Program)
	}
	return render.CheckRendering(r.rendering, r.form, r.file)
}

// trustedKeys returns the keys that may have signed a report of that size.
func trustedKeys(log *audittrail.Log, pinned []string, size uint64) ([]string, error) {
	if len(pinned) == 0 {
		keys, err := log.Keys()
		if err != nil {
			return nil, err
		}
		pinned = []string{keys[0].VKey}
	}
	notes, err := log.Rotations()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, key := range pinned {
		eras, err := tlog.ResolveSigner(key, notes)
		if err != nil {
			return nil, err
		}
		all = append(all, eras.Since(size)...)
	}
	return all, nil
}

// compareRecords tells whether the log has the records of a report on a case.
func (v *Verification) compareRecords(ctx context.Context, log *audittrail.Log, was *document.Report) error {
	records, err := caseRecords(was)
	if err != nil {
		return fmt.Errorf("verify report: %w", err)
	}
	v.Records = len(records)
	for seq, hash := range records {
		is, err := log.Get(ctx, seq)
		if err != nil {
			return fmt.Errorf("verify report: %w", err)
		}
		if is.Hash.String() != hash {
			v.Changed = append(v.Changed, seq)
		}
	}
	slices.Sort(v.Changed)
	return nil
}

// recompute computes a report again and finds what differs.
func (v *Verification) recompute(ctx context.Context, log *audittrail.Log, was *document.Report, o VerifyOptions) error {
	if v.Unsigned == nil && was.Method != MethodVersion {
		return nil
	}
	packs := []*rules.Catalogue{} // none is not all
	for _, r := range was.Rules {
		if slices.Contains(rules.Names(), r.ID) {
			p, err := rules.Builtin(r.ID)
			if err != nil {
				return fmt.Errorf("verify report: %w", err)
			}
			packs = append(packs, p)
		}
	}
	if o.Redacted && !was.Redacted {
		return fmt.Errorf("verify report: %w", ErrContent)
	}
	again := Options{
		Redacted: was.Redacted, Pseudonyms: was.Pseudonyms, Organisation: was.Organisation,
		Type: was.Type, Start: was.Start.Time, End: was.End.Time, Model: was.Model, Rules: append(packs, o.Rules...),
		Program: was.Program, Size: was.Size, Progress: o.Progress, // the log cannot contradict the version
	}
	if w := was.Witness; w != nil {
		again.Checkpoint, again.Witnesses = w.Checkpoint, w.Keys
	}
	is, err := build(ctx, log, again)
	if err != nil {
		return err
	}
	v.Recomputed, v.is = true, is.Status
	v.Differences = document.Compare(was, is)
	if v.Unsigned == nil {
		v.Differences, v.Circumstances = circumstances(was, is, v.Differences)
	}
	return nil
}
