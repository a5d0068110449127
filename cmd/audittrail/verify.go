package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/finding"
	"audittrail/tlog"
)

type verifyOptions struct {
	from        uint64
	keys        []string
	checkpoints []string
}

func (e *env) verifyCmd() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every record against the chain and the signed tree",
		Long: `Verify checks the hash of every record, the chain between records, the Merkle
tree over all of them against its signed checkpoint, and the archives that can
be read. It needs no key, changes nothing, and can run concurrently with the
writer. It names the first altered record, continues, and counts the others.

The log's signer is taken from the keyring or the log's folder. To detect that
the log was replaced together with its keys, name the verifier key that you keep
elsewhere with --key; to detect that its end was cut off, give a checkpoint that
you keep elsewhere with --checkpoint.

Findings of the kinds modified, missing, inserted, reordered, truncated and
rewritten are alterations, and are listed first. Four kinds are not, and give
the status 3 if there is nothing worse: torn (the last write was interrupted),
lost (the key to a content is missing), derived (a file that is derived from the
log differs from what the log gives) and unauthenticated (a line beyond the
newest checkpoint is under no key of the log). unreadable (a file cannot be
read) gives the status 1.` +
			exits("0  intact", "1  the check could not be completed", "2  altered", "3  intact, but the check is incomplete, or records are unauthenticated"),
		Example: `  audittrail verify
  audittrail verify --key log.vkey --checkpoint monday.checkpoint
  audittrail verify -o json | jq .errors`,
		Args:    takes(),
		GroupID: groupProve,
		RunE:    func(*cobra.Command, []string) error { return e.verify(o) },
	}
	f := cmd.Flags()
	f.Uint64Var(&o.from, "from", 0, "first `record` to check")
	f.StringArrayVar(&o.keys, "key", nil, "verifier `key` that must have signed, or a file of them; may be repeated")
	f.StringArrayVar(&o.checkpoints, "checkpoint", nil, "`file` of an older checkpoint that the log must continue; may be repeated")
	return cmd
}

// A verdict is the result of verify in JSON.
type verdict struct {
	Valid          bool                    `json:"valid"`
	Records        uint64                  `json:"records"`
	Root           tlog.Hash               `json:"root"`
	CheckpointSize uint64                  `json:"checkpoint_size"`
	Errors         []finding.Finding       `json:"errors"`
	ErrorCount     uint64                  `json:"error_count"`
	Altered        bool                    `json:"altered"`
	Verdict        audittrail.Verdict      `json:"verdict"` // intact, limited, unchecked or altered
	Counts         map[finding.Kind]uint64 `json:"counts"`  // of all findings, including those that are not listed
	Missing        []string                `json:"missing"`
	Left           uint64                  `json:"left"`     // archived or dropped
	Archived       uint64                  `json:"archived"` // of these, records in archives that were checked
	// Contents that were erased or have expired, or that only a hold keeps.
	Erased  uint64 `json:"erased"`
	Expired uint64 `json:"expired"`
	Held    uint64 `json:"held"`
}

func (e *env) verify(o verifyOptions) error {
	opts, err := e.options()
	if err != nil {
		return err
	}
	opts.ReadOnly = true
	if o.keys, err = e.vkeys(o.keys); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	progress, finish := e.ticks("verifying", true)
	vo := audittrail.VerifyOptions{From: o.from, VKeys: o.keys, Progress: progress}
	if len(o.keys) == 0 {
		vo.VKeys = opts.VKeys
	}
	for _, name := range o.checkpoints {
		signed, err := e.readInput(name, maxSmallFile)
		if err != nil {
			return fmt.Errorf("verify: read --checkpoint: %w", err)
		}
		if _, err := tlog.ReadCheckpoint(signed); err != nil {
			return fmt.Errorf("verify: read --checkpoint %s: %w", inputName(name), err)
		}
		vo.Checkpoints = append(vo.Checkpoints, signed)
	}
	started := e.now()
	v, err := audittrail.VerifyDir(e.ctx, e.logDir(), opts, vo)
	finish()
	if err != nil {
		return err
	}
	if e.output == asTable {
		err = e.sayVerdict(v, &o, e.now().Sub(started).Seconds())
	} else {
		err = e.listVerdict(v)
	}
	if err != nil {
		return err
	}
	return ended(statusOfVerdict(v.Verdict()))
}

// problemColumns are the columns of the list of findings.
var problemColumns = []column{
	{name: "seq", width: 8, right: true},
	{name: "kind", width: 10},
	{name: "file", width: 30},
	{name: "offset", width: 10, right: true},
	{name: "detail", width: 20},
}

func (e *env) listVerdict(v *audittrail.Verification) error {
	if e.output == asJSON {
		return display.JSON(e.stdout, verdict{
			Verdict: v.Verdict(), Valid: v.Valid(), Records: v.Records, Left: v.Removed, Archived: v.Archived, Erased: v.Erased, Expired: v.Expired, Held: v.Held, Root: v.Root, CheckpointSize: v.CheckpointSize,
			Errors: v.Findings, ErrorCount: v.FindingCount, Counts: v.Counts(), Altered: v.Altered(), Missing: append([]string{}, v.Limitations...),
		})
	}
	return e.list(problemColumns, func(yield func(row, error) bool) {
		for _, p := range v.Findings {
			cells := []string{strconv.FormatUint(p.Seq, 10), string(p.Kind), p.File, strconv.FormatInt(p.Offset, 10), p.Detail}
			if !yield(row{cells, p}, nil) {
				return
			}
		}
	})
}

// sayVerdict prints what was checked, and the result, for people.
func (e *env) sayVerdict(v *audittrail.Verification, o *verifyOptions, seconds float64) error {
	if _, err := fmt.Fprintln(e.stdout, e.headline(v)); err != nil {
		return err
	}
	var b sheetBuilder
	what := display.Count(v.Records, "record", "records")
	if o.from > 0 {
		what += fmt.Sprintf(", from %d on", o.from)
	}
	b.add("checked", fmt.Sprintf("%s, %s, in %.2f s", what, display.Bytes(int64(v.Bytes)), seconds))
	if v.Removed > 0 {
		b.add("not here", fmt.Sprintf("%s, archived or dropped according to the log; %s of these checked in archives",
			display.Count(v.Removed, "record", "records"), display.Number(v.Archived)))
	}
	if v.CheckpointSize > 0 {
		b.add("signed", display.Count(v.CheckpointSize, "record", "records"))
		b.add("root", v.Root.String())
	}
	if v.Unsigned > 0 {
		b.add("not signed yet", display.Count(v.Unsigned, "record", "records"))
	}
	for _, gone := range []struct {
		what string
		n    uint64
	}{{"erased", v.Erased}, {"expired", v.Expired}, {"held", v.Held}} {
		if gone.n > 0 {
			b.add(gone.what, "the contents of "+display.Count(gone.n, "record", "records"))
		}
	}
	for _, name := range o.checkpoints {
		if v.Valid() {
			b.add("continues", inputName(name))
		}
	}
	for _, m := range v.Limitations {
		b.add("missing", m)
	}
	if err := e.sheet(nil, b.fields); err != nil {
		return err
	}
	const shown = 20
	for i, p := range v.Findings[:min(shown, len(v.Findings))] {
		first := ""
		if i == 0 {
			first = "first: "
		}
		_, err := fmt.Fprintf(e.stdout, "\n%srecord %d %s\n  %s, byte %d\n  %s\n",
			first, p.Seq, e.paint(bad, string(p.Kind)), display.Visible(p.File), p.Offset, display.Visible(p.Detail))
		if err != nil {
			return err
		}
	}
	if v.FindingCount > shown {
		_, err := fmt.Fprintf(e.stdout, "\n… and %s more; -o jsonl lists up to 1,000 alterations and 1,000 others\n", display.Number(v.FindingCount-shown))
		return err
	}
	return nil
}

// headline returns the verdict in a sentence.
func (e *env) headline(v *audittrail.Verification) string {
	limits := display.OneLine(strings.Join(v.Caveats(), "; "))
	switch v.Verdict() {
	case audittrail.VerdictAltered:
		return fmt.Sprintf("The log was %s: %s.", e.paint(bad, "ALTERED"), kindsText(v))
	case audittrail.VerdictUnchecked:
		return "The log " + e.paint(bad, "could not be checked") + ": " + limits + "."
	case audittrail.VerdictLimited:
		return "The log is " + e.paint(wary, "intact") + ", but " + limits + "."
	}
	return "The log is " + e.paint(good, "intact") + "."
}

// kindsText counts the alterations of each kind, and adds other findings.
func kindsText(v *audittrail.Verification) string {
	text := display.Count(v.Alterations(), "alteration", "alterations")
	if limits := v.Caveats(); len(limits) > 0 {
		text += "; also, " + strings.Join(limits, "; ")
	}
	return text
}
