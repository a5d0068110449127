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
		Short: "Make a new log of what can be read of an old one",
		Long: `Rebuild makes a new log, with a chain and keys of its own, of the records of an
old one that can be read: one that is damaged, or was altered, or is another's.
They keep their ids, times, retention classes and users. The first record of the
new log names the old one's origin, size and root, and lists what was not
carried over, and why. The old log stays as it is: keep it, since only it proves
what it proved.

If signed records are missing from the end of the old log, or records that are
newer than its keyring cannot be read, they may have ordered an erasure that the
keyring has not carried out. Nobody can know whose, so that nothing is rebuilt,
and the status is 3. With --accept-truncated it is, and the first record of the
new log says how many records were missing.

The new log's folder must be empty. After an interruption, do it again.` +
			exits(ends0, ends1, "3  signed records are missing, and that was not accepted"),
		Example: `  audittrail rebuild --from audit --to audit-2 --reason "a bad sector in May"
  audittrail rebuild --from /mnt/theirs --from-keys /mnt/their-keys \
    --from-master file:their.key --to audit --reason "we took them over"`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE:    func(*cobra.Command, []string) error { return e.rebuild(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`folder` of the old log")
	f.StringVar(&o.fromKeys, "from-keys", "", "`folder` of its keyring (default keys in that folder)")
	f.StringVar(&o.fromMaster, "from-master", "", "where its master key is (default $AUDITTRAIL_MASTER, or else master.key among its keys)")
	f.StringVar(&o.to, "to", "", "`folder` of the new log")
	f.StringVar(&o.reason, "reason", "", "`why`, for the first record")
	f.BoolVar(&o.truncated, "accept-truncated", false, "go on though signed records are missing, which may have ordered erasures")
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
		b.add("copies", display.Count(r.Copies, "line is of a record that was there before", "lines are of records that were there before"))
	}
	if r.DamagedLines > 0 {
		b.add("damaged", display.Count(r.DamagedLines, "line is no record, or was altered", "lines are no records, or were altered"))
	}
	return e.sheet(r, b.fields)
}

// lossNames are what the reasons are called for which records are not carried
// over.
var lossNames = map[string]string{
	"erased": "erased", "expired": "expired", "lost": "without a key", "damaged": "not there, or damaged",
	"archived": "in archives", "dropped": "dropped", "newer": "not understood", "own": "the old log's own",
}
