package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/internal/vfs"
	"audittrail/service"
)

// outFlag adds --out FILE to a command whose result is a file, and refuses file
// names whose ending is that of another form.
func outFlag(cmd *cobra.Command, out *string, endings ...string) {
	cmd.PreRunE = oneForm(out, endings...)
	cmd.Flags().StringVar(out, "out", "", "`file` for the result, written durably and as a whole (default standard output)")
}

// writeOut writes a result to the file of --out, or to standard output. A link
// is followed, and a device or a pipe is written to directly: the rename that
// makes a file appear as a whole would replace it, even /dev/null.
func (e *env) writeOut(out string, data []byte, perm fs.FileMode) error {
	if out == "" {
		_, err := e.forTerminal(e.stdout).Write(data)
		return err
	}
	target, err := filepath.EvalSymlinks(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = out
	case err != nil:
		return err
	}
	if fi, err := os.Stat(target); err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	err = vfs.WriteFile(vfs.OS, target, data, perm)
	if errors.Is(err, fs.ErrNotExist) {
		return notCreated(out, err)
	}
	return err
}

func (e *env) proveCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "prove " + recordArg,
		Short: "Prove that a record is in the log",
		Long: `Prove writes a proof that a record is in the log (C2SP tlog-proof). 'audittrail
check' and other tools check it without the log: they need the proof, the
record's line and the log's verifier key. None of these discloses the content.` + recordArgHelp +
			exits(ends0, ends1, ends2, unknown3),
		Example: `  audittrail prove 17 --out 17.tlog-proof
  audittrail show --raw 17 > 17.json
  audittrail keys show --vkey > log.vkey
  audittrail check --key log.vkey --proof 17.tlog-proof 17.json`,
		Args:    takes(recordArg),
		GroupID: groupProve,
		RunE: func(_ *cobra.Command, args []string) error {
			return e.reading(func(s *service.Session) error {
				proof, err := s.Prove(e.ctx, service.ProveRequest{Record: service.ParseRef(args[0])})
				if err != nil {
					return fmt.Errorf("prove: %w", err)
				}
				return e.writeOut(out, proof, 0o644)
			})
		},
	}
	outFlag(cmd, &out, "tlog-proof")
	return cmd
}

func (e *env) checkpointCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint",
		Long: `Checkpoint prints the log's newest checkpoint: the number of records and their
Merkle root, signed (C2SP tlog-checkpoint). Keep some checkpoints outside this
machine: with a checkpoint you can later verify that the log still contains all
records that it covers, with 'audittrail verify --checkpoint FILE' on the log or
'audittrail check --consistency' without it.` + exits(ends0, ends1, ends2),
		Example: "  audittrail checkpoint --out /mnt/elsewhere/today.checkpoint",
		Args:    takes(),
		GroupID: groupProve,
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				signed, err := log.Checkpoint(e.ctx)
				if err != nil {
					return fmt.Errorf("checkpoint: %w", err)
				}
				return e.writeOut(out, signed, 0o644)
			})
		},
	}
	outFlag(cmd, &out, "checkpoint")
	return cmd
}

func (e *env) consistencyCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "consistency OLD-CHECKPOINT",
		Short: "Prove that the log continues an older checkpoint",
		Long: `Consistency writes a proof that the log, as of its newest checkpoint, begins
with exactly the records that an older checkpoint covers. 'audittrail check
--consistency' checks the proof; it needs the older checkpoint and the log's
verifier key.` +
			exits(ends0, ends1, "2  the log does not begin with the records of the old checkpoint"),
		Example: `  audittrail consistency monday --out proof
  audittrail check --key "$VKEY" --consistency proof --checkpoint monday`,
		Args:    takes("OLD-CHECKPOINT"),
		GroupID: groupProve,
		RunE: func(_ *cobra.Command, args []string) error {
			old, err := e.readInput(args[0], maxSmallFile)
			if err != nil {
				return fmt.Errorf("consistency: %w", err)
			}
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				proof, err := log.ProveConsistency(e.ctx, old)
				if err != nil {
					return err
				}
				return e.writeOut(out, proof, 0o644)
			})
		},
	}
	outFlag(cmd, &out, "proof")
	return cmd
}

func (e *env) discloseCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "disclose " + recordArg,
		Short: "Write one record together with the key to its content",
		Long: `Disclose writes one record together with its own key, which opens no other
record. A recipient can read the content, and check with 'audittrail check
--disclosed FILE' that the line and the content belong together. Together with a
proof, they can also check that the log contains the record.

A disclosure cannot be undone: erasing the person in the log does not affect
disclosed copies.` + recordArgHelp + exits(ends0, ends1, ends2, unknown3),
		Example: "  audittrail disclose 17 --out 17.disclosed",
		Args:    takes(recordArg),
		GroupID: groupProve,
		RunE: func(_ *cobra.Command, args []string) error {
			return e.reading(func(s *service.Session) error {
				d, err := s.Disclose(e.ctx, service.DiscloseRequest{Record: service.ParseRef(args[0])})
				if err != nil {
					return fmt.Errorf("disclose: %w", err)
				}
				text, err := d.MarshalJSON()
				if err != nil {
					return err
				}
				return e.writeOut(out, append(text, '\n'), 0o600)
			})
		},
	}
	outFlag(cmd, &out, "disclosed", "json")
	return cmd
}

func (e *env) treeCmd() *cobra.Command {
	tree := &cobra.Command{
		Use:     "tree",
		Short:   "Publish the tree",
		Long:    "Tree has the commands for the log's Merkle tree." + exits(ends0, ends1),
		GroupID: groupProve,
	}
	export := &cobra.Command{
		Use:   "export DIR",
		Short: "Write the tree as the files of a C2SP tlog-tiles log",
		Long: `Export writes the tree as the files of a C2SP tlog-tiles log: the checkpoint,
the tiles and the entries, which are hashes without content. Any static file
server can serve them to auditors, mirrors and witnesses.

A folder with an older export is updated. An interrupted export can be run
again.` + exits(ends0, ends1, "2  the folder has the tree of another log, or of a longer one"),
		Example: "  audittrail tree export /srv/www/log",
		Args:    takes("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				progress, finish := e.ticks("writing tiles", false)
				err := log.ExportTree(e.ctx, args[0], progress)
				finish()
				return err
			})
		},
	}
	tree.AddCommand(export)
	return tree
}
