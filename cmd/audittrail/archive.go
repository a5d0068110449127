package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
)

func (e *env) archiveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "List, move, verify and restore segments",
		Long: `Archive has the commands for the log's segments, the files that contain its
records: each is in the log, in an archive, or dropped. 'audittrail retention
apply' moves and drops segments according to the retention policy.

A segment is named by the number of its first record. When it is archived or
dropped, the hashes and ids of its records stay in the log, and so do the
governance records.` + exits(ends0, ends1),
		GroupID: groupKeep,
	}
	cmd.AddCommand(e.archiveListCmd(), e.archiveCreateCmd(), e.archiveVerifyCmd(), e.archiveRestoreCmd())
	return cmd
}

func (e *env) archiveListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the segments of the log, and where each is",
		Long:    "List shows for every segment the number of its records, when the last of them\nwas logged, and where the segment is." + exits(ends0, ends1),
		Example: "  audittrail archive list -o json | jq '.[] | select(.state == \"archived\")'",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToRead, e.listSegments)
		},
	}
}

// segmentColumns are the columns of a list of segments.
var segmentColumns = []column{
	{name: "segment", width: 10, right: true},
	{name: "records", width: 10, right: true},
	{name: "bytes", width: 9, right: true},
	{name: "last logged", width: 19},
	{name: "state", width: 8},
	{name: "archive", width: 12},
}

// A segmentJSON is a segment in JSON.
type segmentJSON struct {
	First       uint64                  `json:"first"`
	Records     uint64                  `json:"records"`
	Bytes       int64                   `json:"bytes"`
	FirstLogged string                  `json:"first_logged,omitempty"`
	LastLogged  string                  `json:"last_logged,omitempty"`
	State       audittrail.SegmentState `json:"state"`
	Archive     string                  `json:"archive,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
	Seq         *uint64                 `json:"recorded_as,omitempty"`
}

func (e *env) listSegments(log *audittrail.Log) error {
	all, err := log.Segments(e.ctx)
	if err != nil {
		return fmt.Errorf("archive list: %w", err)
	}
	return e.list(segmentColumns, func(yield func(row, error) bool) {
		for _, s := range all {
			j := segmentJSON{
				First: s.First, Records: s.Records, Bytes: s.Bytes, FirstLogged: display.Time(s.FirstLogged),
				LastLogged: display.Time(s.LastLogged), State: s.State, Archive: s.Archive, Reason: s.Reason,
			}
			if s.State != audittrail.SegmentHere {
				j.Seq = &s.Seq
			}
			logged := ""
			if !s.LastLogged.IsZero() {
				logged = s.LastLogged.UTC().Format("2006-01-02 15:04:05")
			}
			cells := []string{
				strconv.FormatUint(s.First, 10), strconv.FormatUint(s.Records, 10), display.Bytes(s.Bytes), logged, string(s.State), s.Archive,
			}
			if e.output == asCSV {
				cells[2] = strconv.FormatInt(s.Bytes, 10)
			}
			if !yield(row{cells, j}, nil) {
				return
			}
		}
	})
}

func (e *env) archiveCreateCmd() *cobra.Command {
	var to, reason string
	var all bool
	cmd := &cobra.Command{
		Use:   "create [SEGMENT...]",
		Short: "Move segments to an archive now",
		Long: `Create moves segments to an archive folder now, compressed and each with a
signed manifest, independently of the policy. Each archive is read again and
compared with the log's tree before the segment is removed from the log. The log
records where the archive is. The newest segment stays. If the command was
interrupted, run it again.` + exits(ends0, ends1, ends2),
		Example: `  audittrail archive create 0 --to /mnt/archive --reason "make room"
  audittrail archive create --all --to /mnt/archive`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := e.archiveCreate(args, all, to, reason); err != nil {
				return fmt.Errorf("archive create: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`folder` of the archive")
	cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which the log records")
	cmd.Flags().BoolVar(&all, "all", false, "all segments but the newest")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) archiveCreate(args []string, all bool, to, reason string) error {
	if to == "" {
		return errors.New("name the folder with --to")
	}
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	return e.with(e.openToWrite, func(log *audittrail.Log) error {
		firsts, err := e.segmentArgs(log, args, all, audittrail.SegmentHere)
		if err != nil {
			return err
		}
		for _, first := range firsts {
			if err := log.ArchiveSegments(e.ctx, []uint64{first}, to, reason); err != nil {
				return err
			}
			e.note("segment %d is in %s", first, to)
		}
		return nil
	})
}

// segmentArgs returns the segments of a state that arguments name, or all of
// that state.
func (e *env) segmentArgs(log *audittrail.Log, args []string, all bool, state audittrail.SegmentState) ([]uint64, error) {
	segments, err := log.Segments(e.ctx)
	if err != nil {
		return nil, err
	}
	if all == (len(args) > 0) {
		return nil, errors.New("no segment given; name segments by the numbers of their first records, which 'audittrail archive list' shows, or all of them with --all")
	}
	var firsts []uint64
	for _, s := range segments {
		if all && s.State == state && !s.Newest {
			firsts = append(firsts, s.First)
		}
	}
	for _, arg := range args {
		first, err := strconv.ParseUint(arg, 10, 64)
		i := slices.IndexFunc(segments, func(s audittrail.Segment) bool { return s.First == first })
		if err != nil || i < 0 {
			return nil, fmt.Errorf("invalid segment %.40q: use the number of its first record, as 'audittrail archive list' shows it", arg)
		}
		if s := segments[i]; s.State != state {
			return nil, fmt.Errorf("segment %d is %s, not %s", first, s.State, state)
		}
		firsts = append(firsts, first)
	}
	return firsts, nil
}

func (e *env) archiveVerifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [SEGMENT...]",
		Short: "Compare archives with the log's tree",
		Long: `Verify reads the archives of the named segments, or all archives, and compares
every record with the hash that the log has of it. 'audittrail verify' includes
this check.` +
			exits("0  all archives are intact", ends1, "2  an archive was altered", "3  an archive cannot be read"),
		Example: "  audittrail archive verify",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				if err := e.archiveVerify(log, args); err != nil {
					return fmt.Errorf("archive verify: %w", err)
				}
				return nil
			})
		},
	}
}

// An archiveVerdict is the result of archive verify for one archive.
type archiveVerdict struct {
	First   uint64 `json:"first"`
	State   string `json:"state"` // whole, altered or unreachable
	Archive string `json:"archive"`
	Detail  string `json:"detail,omitempty"`
}

func (e *env) archiveVerify(log *audittrail.Log, args []string) error {
	firsts, err := e.segmentArgs(log, args, len(args) == 0, audittrail.SegmentArchived)
	if err != nil {
		return err
	}
	segments, err := log.Segments(e.ctx)
	if err != nil {
		return err
	}
	worst := exitOK
	columns := []column{{name: "segment", width: 10, right: true}, {name: "state", width: 11}, {name: "archive", width: 20, wrap: true}}
	err = e.list(columns, func(yield func(row, error) bool) {
		for _, first := range firsts {
			i := slices.IndexFunc(segments, func(s audittrail.Segment) bool { return s.First == first })
			v := archiveVerdict{First: first, State: "whole", Archive: segments[i].Archive}
			switch err := log.CheckArchive(e.ctx, first); {
			case e.ctx.Err() != nil:
				yield(row{}, e.ctx.Err())
				return
			case errors.Is(err, audittrail.ErrArchiveDamaged), errors.Is(err, audittrail.ErrArchiveManifest):
				v.State, v.Detail, worst = "altered", err.Error(), exitAltered
			case err != nil:
				v.State, v.Detail = "unreachable", err.Error()
				if errors.Is(err, fs.ErrNotExist) {
					v.Detail = "the archive is missing"
				}
				worst = worseStatus(worst, exitLimited)
			}
			where := v.Archive
			if v.Detail != "" {
				where += ": " + v.Detail
			}
			if !yield(row{[]string{strconv.FormatUint(first, 10), v.State, where}, v}, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return ended(worst)
}

func (e *env) archiveRestoreCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "restore [SEGMENT...]",
		Short: "Restore segments from their archives",
		Long: `Restore copies segments from their archives into the log, after comparing every
record with the log's tree. The archives stay. The next 'audittrail retention
apply' archives a restored segment again if the policy demands that.` + exits(ends0, ends1, ends2),
		Example: `  audittrail archive restore 0
  audittrail archive restore --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			return e.with(e.openToWrite, func(log *audittrail.Log) error {
				firsts, err := e.segmentArgs(log, args, all, audittrail.SegmentArchived)
				if err == nil {
					err = log.RestoreSegments(e.ctx, firsts)
				}
				if err != nil {
					return fmt.Errorf("archive restore: %w", err)
				}
				e.note("%s restored", display.Count(len(firsts), "segment", "segments"))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all archived segments")
	e.writerFlags(cmd)
	return cmd
}
