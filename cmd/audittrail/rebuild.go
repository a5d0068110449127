package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
)

type rebuildOptions struct {
	from, fromKeys, fromMaster string
	to, reason                 string
	truncated                  bool
}

func (e *env) rebuildCmd() *cobra.Command {
	var o rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Create a new log from the readable records of an old one",
		Long: `Rebuild creates a new log, with its own chain and keys, from the readable
records of an old one, which may be damaged, altered, or another organisation's.
The records keep their ids, times, retention classes and users. The first record
of the new log contains the old log's origin, size and root, and lists the
records that were not carried over, with the reasons. The old log does not
change: keep it, since its proofs are valid only with it.

If signed records are missing from the end of the old log, or if records that
are newer than its keyring cannot be read, they may have ordered an erasure that
the keyring has not carried out, of an unknown person. Rebuild then refuses, and
the status is 3. With --accept-truncated it continues, and the first record of
the new log contains the number of missing records.

The new log's folder must be empty. If the command was interrupted, run it
again.` +
			exits(ends0, ends1, "3  signed records are missing, and --accept-truncated was not given"),
		Example: `  audittrail rebuild --from audit --to audit-2 --reason "a bad sector in May"
  audittrail rebuild --from /mnt/theirs --from-keys /mnt/their-keys \
    --from-master file:their.key --to audit --reason "we took them over"`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE:    func(*cobra.Command, []string) error { return e.rebuild(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`folder` of the old log")
	f.StringVar(&o.fromKeys, "from-keys", "", "`folder` of the old log's keyring (default keys in that folder)")
	f.StringVar(&o.fromMaster, "from-master", "", "where the old log's master key is (default $AUDITTRAIL_MASTER, or else master.key in its keyring's folder)")
	f.StringVar(&o.to, "to", "", "`folder` of the new log")
	f.StringVar(&o.reason, "reason", "", "`reason`, for the first record of the new log")
	f.BoolVar(&o.truncated, "accept-truncated", false, "continue although signed records are missing, which may have ordered erasures")
	must(cmd.MarkFlagRequired("from"))
	must(cmd.MarkFlagRequired("to"))
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (e *env) rebuild(o rebuildOptions) error {
	e.dir = o.to
	fresh, err := e.options()
	if err != nil {
		return err
	}
	old := audittrail.Options{KeysDir: o.fromKeys, Logger: fresh.Logger}
	spec := o.fromMaster
	if spec == "" {
		spec = e.getenv(masterVar)
	}
	if spec != "" {
		if old.Master, err = e.masterFrom("--from-master", spec); err != nil {
			return err
		}
	}
	progress, finish := e.ticks("rebuilding", true)
	r, err := audittrail.Rebuild(e.ctx, audittrail.RebuildOptions{
		From: o.from, Old: old, To: o.to, New: fresh, Reason: o.reason, Progress: progress,
		AcceptTruncated: o.truncated,
	})
	finish()
	if err != nil {
		return err
	}
	e.noteMaster()
	var b sheetBuilder
	b.add("old log", r.Origin)
	b.add("records", display.Number(r.Size))
	b.add("carried over", display.Number(r.Carried))
	for _, l := range r.Lost {
		var text strings.Builder
		text.WriteString(display.Number(l.Records))
		for i, x := range l.Ranges {
			if i == 5 {
				text.WriteString(fmt.Sprintf(", and %s more", display.Count(uint64(len(l.Ranges)-i)+l.Omitted, "range", "ranges")))
				break
			}
			sep := ", "
			if i == 0 {
				sep = ": "
			}
			text.WriteString(sep + strconv.FormatUint(x.First, 10))
			if x.Last > x.First {
				text.WriteString("-" + strconv.FormatUint(x.Last, 10))
			}
		}
		b.add(lossNames[string(l.Reason)], text.String())
	}
	if r.Missing > 0 {
		b.add("missing", display.Count(r.Missing, "signed record", "signed records")+", which may have ordered erasures: accepted")
	}
	if r.Copies > 0 {
		b.add("copies", display.Count(r.Copies, "line is a copy of an earlier record", "lines are copies of earlier records"))
	}
	if r.DamagedLines > 0 {
		b.add("damaged", display.Count(r.DamagedLines, "line is not a record, or was altered", "lines are not records, or were altered"))
	}
	return e.sheet(r, b.fields)
}

// lossNames are the names of the reasons for which records were not carried
// over.
var lossNames = map[string]string{
	"erased": "erased", "expired": "expired", "lost": "without a key", "damaged": "missing or damaged",
	"archived": "in archives", "dropped": "dropped", "newer": "of a newer format", "own": "the old log's own",
}
